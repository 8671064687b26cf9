package gha

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// A pack is shut when it has packSize bytes or packBlobs blobs: so much is sent
// in the time that half a dozen small requests take. Or when no blob has come for
// gatherQuiet, and after gatherMost at the latest. Fewer blobs than packFrom are
// stored by themselves, as a pack takes two entries, its own and that of the
// catalog.
const (
	packSize    = 8 << 20
	packBlobs   = 4096
	packFrom    = 3
	gatherQuiet = 100 * time.Millisecond
	gatherMost  = time.Second
)

// gatherer makes packs of blobs that are put at the same time. The calls of Put
// wait until theirs is stored: nothing is acknowledged before.
type gatherer struct {
	store *store
	from  int
	quiet time.Duration

	mu      sync.Mutex
	open    *batch             // what takes more blobs, or nil
	pending map[string]*member // of all batches, by the keys of blobs
}

// batch is the blobs of a pack, and the calls that wait for it. A goroutine works
// for them, which ends before the last of them does.
type batch struct {
	cancel context.CancelFunc
	more   chan struct{} // that a blob has come
	full   chan struct{} // closed when no more are taken
	done   chan struct{} // closed when all is over

	// Guarded by the gatherer.
	members map[string]*member
	size    int64
	waiting int // calls
}

// member is a blob of a batch. The result is there when the batch is done.
type member struct {
	batch   *batch
	key     string
	blob    blob.Descriptor
	data    []byte
	absent  bool              // it was just not found
	calls   []context.Context // that have come before the batch was shut
	waiting int               // calls

	loose bool // it is to be stored by itself
	err   error
}

// put stores a blob together with others, or says that it is to be stored by
// itself. The data is not used any more afterwards.
func (g *gatherer) put(ctx context.Context, key string, data []byte) (loose bool, err error) {
	m := g.join(ctx, key, data)
	select {
	case <-m.batch.done:
		return m.loose, m.err
	case <-ctx.Done():
		return false, g.leave(ctx, m)
	}
}

// join makes a call wait for a blob.
func (g *gatherer) join(ctx context.Context, key string, data []byte) *member {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.pending[key]
	if m == nil || m.waiting == 0 { // or the pack may go without
		m = g.add(ctx, key, data)
	}
	m.waiting++
	m.batch.waiting++
	if m.batch == g.open {
		m.calls = append(m.calls, ctx)
		m.absent = m.absent || backend.IsAbsent(ctx)
	}
	if b := m.batch; b == g.open && (b.size >= packSize || len(b.members) >= packBlobs) {
		g.open = nil
		close(b.full)
	}
	return m
}

// add adds a blob to the batch that is open.
func (g *gatherer) add(ctx context.Context, key string, data []byte) *member {
	if g.open == nil {
		b := &batch{more: make(chan struct{}, 1), full: make(chan struct{}), done: make(chan struct{}), members: map[string]*member{}}
		ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
		g.open = b
		go g.run(ctx, b)
	}
	b := g.open
	m := &member{batch: b, key: key, data: data, blob: blob.Descriptor{Digest: digestOf(key), Size: int64(len(data))}}
	b.members[key], g.pending[key] = m, m
	b.size += m.blob.Size
	select {
	case b.more <- struct{}{}:
	default:
	}
	return m
}

// leave ends the wait of a call. The last one of a batch ends that too.
func (g *gatherer) leave(ctx context.Context, m *member) error {
	b := m.batch
	g.mu.Lock()
	m.waiting--
	b.waiting--
	last := b.waiting == 0
	if m.waiting == 0 && g.open == b {
		delete(b.members, m.key)
		delete(g.pending, m.key)
		b.size -= m.blob.Size
	}
	if last && g.open == b {
		g.open = nil
	}
	g.mu.Unlock()
	if last {
		b.cancel()
		<-b.done
	}
	return ctx.Err()
}

// run gathers a batch and stores it.
func (g *gatherer) run(ctx context.Context, b *batch) {
	defer close(b.done)
	defer b.cancel()
	g.gather(ctx, b)
	members := g.shut(b)
	if len(members) == 0 {
		return
	}
	ctx, cancel := together(ctx, members)
	defer cancel()
	err := g.store.putTogether(ctx, members)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range members {
		m.err = err
		m.calls, m.data = nil, nil
		if g.pending[m.key] == m {
			delete(g.pending, m.key)
		}
	}
}

// gather waits until a batch is to be stored.
func (g *gatherer) gather(ctx context.Context, b *batch) {
	most := time.NewTimer(gatherMost)
	defer most.Stop()
	quiet := time.NewTimer(g.quiet)
	defer quiet.Stop()
	for {
		select {
		case <-b.more:
			quiet.Reset(g.quiet)
		case <-quiet.C:
			return
		case <-most.C:
			return
		case <-b.full:
			return
		case <-ctx.Done():
			return
		}
	}
}

// shut has a batch take no more blobs, and returns them.
func (g *gatherer) shut(b *batch) []*member {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == b {
		g.open = nil
	}
	return slices.SortedFunc(maps.Values(b.members), func(a, b *member) int { return cmp.Compare(a.key, b.key) })
}

// wanted reports whether a call still waits for a blob. One that has left has
// failed, and leaves nothing behind.
func (g *gatherer) wanted(m *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return m.waiting > 0
}

// together returns the context of a batch that is shut: it tells the traces of all
// calls, and ends with the last of their times.
func together(ctx context.Context, members []*member) (context.Context, context.CancelFunc) {
	var calls []context.Context
	var last time.Time
	limited := true
	for _, m := range members {
		for _, call := range m.calls {
			end, ok := call.Deadline()
			if limited = limited && ok; end.After(last) {
				last = end
			}
			calls = append(calls, call)
		}
	}
	ctx = backend.WithTracesOf(ctx, calls...)
	if !limited {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, last)
}
