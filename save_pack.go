package larder

import (
	"context"
	"errors"
	"io"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/archive"
	"github.com/larder-build/larder/blob/compress"
	"github.com/larder-build/larder/internal/calls"
	"github.com/larder-build/larder/manifest"
)

// changedTries is how often a directory is begun again when files change.
const changedTries = 3

// directory stores the layers of a directory.
func (s *save) directory(ctx context.Context, i int) (*packing, error) {
	before, err := s.remembered(ctx, s.dirs[i])
	if err != nil {
		return nil, err
	}
	skipped := s.storesIn(s.dirs[i])
	for try := 1; ; try++ {
		p := &packing{save: s, dir: s.dirs[i], position: i, before: before, skipped: skipped, report: &SavedDirectory{Name: s.dirs[i].Name}}
		err := p.pack(ctx)
		switch {
		case err == nil:
			p.report.Skipped = skipped.files()
			return p, nil
		case errors.Is(err, archive.ErrChanged) && try < changedTries:
		case s.opts.SkipUnreadable && skipped.add(err):
			p.probe()
		default:
			return nil, err
		}
	}
}

// storesIn returns what of a directory is left out because it is a target.
func (s *save) storesIn(d Directory) unreadable {
	inside := make(unreadable)
	for _, p := range s.publishing.dests {
		if at := storeIn(d.Path, p.Target); at != "" && !s.skips(at) {
			inside[at] = errStore
		}
	}
	return inside
}

// skips reports whether a directory, or one that it is in, is not to be saved.
func (s *save) skips(at string) bool {
	if s.opts.Skip == nil {
		return false
	}
	for i, c := range at {
		if c == '/' && s.opts.Skip(at[:i], true) {
			return true
		}
	}
	return s.opts.Skip(at, true)
}

// packing is the making of a directory's layers.
type packing struct {
	*save
	dir      Directory
	position int
	before   *archive.Snapshot
	skipped  unreadable
	report   *SavedDirectory

	entries []archive.Entry
	packs   []archive.Pack
	layers  []compress.Layer
	// began is when the directory was listed, and settled since when a change of
	// a file shows in its times.
	began, settled time.Time
	mu             sync.Mutex
	// writers are as many as layers are compressed at a time; each is used for
	// many layers. A nil one is yet to be made.
	writers chan *compress.Writer
	free    chunks
}

// pack lists the directory, and stores what of it is new.
func (p *packing) pack(ctx context.Context) error {
	p.began = p.opts.Export.Now()
	if err := p.list(ctx); err != nil {
		return err
	}
	p.packs = archive.Plan(p.before, p.entries, p.opts.PackSize)
	for i := range p.entries {
		p.report.Files++
		p.report.Bytes += p.entries[i].Size
	}
	p.report.Layers = len(p.packs)
	return p.run(ctx)
}

// list lists the directory, and waits until a change of a file that was listed
// would show.
func (p *packing) list(ctx context.Context) error {
	opts := archive.WalkOptions{Skip: p.skip()}
	if p.opts.SkipUnreadable {
		opts.OnError = func(at string, err error) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.skipped[at] = err
			return nil
		}
	}
	var err error
	if p.entries, err = archive.Walk(ctx, p.dir.Path, opts); err != nil {
		return err
	}
	p.settled, err = settled(ctx, p.entries)
	return err
}

// skip returns what tells which names to leave out.
func (p *packing) skip() func(string, bool) bool {
	if len(p.skipped) == 0 {
		return p.opts.Skip
	}
	known := maps.Clone(p.skipped)
	return func(at string, dir bool) bool {
		return known[at] != nil || p.opts.Skip != nil && p.opts.Skip(at, dir)
	}
}

// freeChunks is how many chunks of a layer are kept for later ones: what a pack
// takes that compresses as source code does.
const freeChunks = 8

// run makes the layers that are not there yet, on all processors.
func (p *packing) run(ctx context.Context) error {
	p.layers = make([]compress.Layer, len(p.packs))
	group, ctx := errgroup.WithContext(ctx)
	processors := runtime.GOMAXPROCS(0)
	// While some layers are compressed, as many others are stored.
	group.SetLimit(2 * processors)
	p.writers, p.free = make(chan *compress.Writer, processors), make(chunks, 2*processors*freeChunks)
	for range processors {
		p.writers <- nil
	}
	p.announce()
	for i, pack := range p.packs {
		if pack.Reuse < 0 {
			group.Go(func() error { return p.make(ctx, i) })
		}
	}
	return group.Wait()
}

// announce says which layers are to be made, before the first is: how much there
// is to do does not grow in its course.
func (p *packing) announce() {
	for i, pack := range p.packs {
		if pack.Reuse < 0 {
			p.report.Delta = p.report.Delta || pack.Delta
			p.step(StepPlanned, i)
		}
	}
}

// make makes a layer and stores it in all targets.
func (p *packing) make(ctx context.Context, i int) (err error) {
	defer func() {
		if err != nil {
			p.step(StepFailed, i)
		}
	}()
	out, err := newSpool(p.opts.TempDir, p.bytes(i), spoolMemory, p.free)
	if err != nil {
		return err
	}
	defer out.close()
	layer, err := p.write(ctx, out, i)
	if err != nil {
		return err
	}
	for _, t := range p.publishing.dests {
		if err := p.put(ctx, t, layer.Descriptor, out.source()); err != nil {
			return &targetError{t, err}
		}
	}
	p.layers[i] = layer
	p.step(StepSent, i)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Written.add(layer.Size)
	return nil
}

// put stores a layer in a target.
func (p *packing) put(ctx context.Context, t *publisher, d blob.Descriptor, src blob.Source) error {
	var sent atomic.Bool
	source := blob.SourceFunc(func(ctx context.Context) (io.ReadCloser, error) {
		sent.Store(true)
		return src.Open(ctx)
	})
	if err := t.Backend.Put(t.traced(ctx), d, source); err != nil {
		return err
	}
	if sent.Load() {
		t.report.count(&t.report.Sent, d.Size)
	} else {
		t.report.count(&t.report.Reused, d.Size)
	}
	return nil
}

// watched returns a writer that reports what is written to w, if anybody listens.
func (p *packing) watched(w io.Writer, i int) io.Writer {
	progress := p.opts.Export.Progress
	if progress == nil {
		return w
	}
	name := p.name(i)
	return writerFunc(func(b []byte) (int, error) {
		n, err := w.Write(b)
		progress.step(StepMoved, p.position, name, int64(n))
		return n, err
	})
}

// writerFunc is a function that serves as a writer.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// step reports a step of the making of a layer.
func (p *packing) step(kind StepKind, i int) {
	if p.opts.Export.Progress == nil {
		return
	}
	p.opts.Export.Progress.step(kind, p.position, p.name(i), p.bytes(i))
}

// bytes is the size of the files of a layer.
func (p *packing) bytes(i int) (size int64) {
	for j := range p.packs[i].Entries {
		size += p.packs[i].Entries[j].Size
	}
	return size
}

// name tells a layer apart from others while its digest is not known.
func (p *packing) name(i int) blob.Digest {
	return digest.FromString(p.dir.Name + "\x00" + p.packs[i].Entries[0].Path)
}

// write writes a layer, with a list of what it holds where there is a place for
// one.
func (p *packing) write(ctx context.Context, out io.Writer, i int) (compress.Layer, error) {
	entries := p.packs[i].Entries
	w := <-p.writers
	defer func() { p.writers <- w }()
	w, err := p.begin(w, out, entries)
	if err != nil {
		return compress.Layer{}, err
	}
	defer w.Abort()
	if err := archive.Write(ctx, p.watched(w, i), p.dir.Path, entries, p.opts.Keep); err != nil {
		return compress.Layer{}, err
	}
	if err := w.Close(); err != nil {
		return compress.Layer{}, err
	}
	return w.Layer(), nil
}

// begin begins a layer, with the list if it can, and with the writer of an earlier
// one if there is one.
func (p *packing) begin(w *compress.Writer, out io.Writer, entries []archive.Entry) (_ *compress.Writer, err error) {
	opts := compress.WriterOptions{Level: p.opts.Level, Serial: true}
	if p.opts.Compression == compress.Zstd {
		if opts.Note, err = archive.AppendList(nil, p.opts.Keep.Kept(entries), false); err != nil {
			return nil, err
		}
	}
	if w != nil {
		err = w.Reset(out, opts.Note)
		return w, err
	}
	return compress.NewWriter(out, p.opts.Compression, opts)
}

// stack returns the layers of the directory as snapshots have them.
func (p *packing) stack() []archive.StackLayer {
	stack := make([]archive.StackLayer, len(p.packs))
	for i, pack := range p.packs {
		if pack.Reuse >= 0 {
			stack[i] = p.before.Layers[pack.Reuse]
			continue
		}
		l := p.layers[i]
		stack[i] = archive.StackLayer{Digest: l.Digest, DiffID: l.DiffID, MediaType: l.MediaType, Size: l.Size, Annotations: annotationsOf(l), Delta: pack.Delta}
		for j := range pack.Entries {
			if e := &pack.Entries[j]; e.Removed {
				stack[i].Removed = append(stack[i].Removed, e.Path)
			} else {
				stack[i].Entries++
			}
		}
	}
	return stack
}

// saved returns the directory as a manifest has it.
func (p *packing) saved() savedDirectory {
	d := savedDirectory{name: p.dir.Name, createdAt: p.began, bytes: p.report.Bytes, tool: p.opts.Tool}
	for _, l := range p.stack() {
		d.layers = append(d.layers, manifest.Layer{Digest: l.Digest, DiffID: l.DiffID, Size: l.Size, MediaType: l.MediaType, Annotations: l.Annotations, CreatedAt: p.began, Parent: manifest.NoParent})
		if l.Delta {
			d.deltas++
		}
	}
	return d
}

// clockTick is longer than the time for which files get the same time stamp:
// Linux stamps them with the time of its last tick, of which there are a hundred
// a second or more.
const clockTick = 20 * time.Millisecond

// settled waits until what is changed from now on has a later time than all
// entries, so that a change of a file after it was read shows in its times. It
// returns since when that is so.
func settled(ctx context.Context, entries []archive.Entry) (time.Time, error) {
	var youngest int64
	for i := range entries {
		youngest = max(youngest, entries[i].Stat.ChangeTime)
	}
	wait := clockTick - time.Since(time.Unix(0, youngest))
	if wait > 0 {
		if err := calls.Pause(ctx, min(wait, clockTick)); err != nil {
			return time.Time{}, err
		}
	}
	return time.Now(), nil
}

// snapshot returns what to remember of the directory.
func (p *packing) snapshot() *archive.Snapshot {
	of := make(map[string]int)
	for i, pack := range p.packs {
		for j := range pack.Entries {
			of[pack.Entries[j].Path] = i
		}
		if pack.Reuse >= 0 {
			for j, layer := range p.before.Of {
				if layer == pack.Reuse {
					if _, replaced := of[p.before.Entries[j].Path]; !replaced {
						of[p.before.Entries[j].Path] = i
					}
				}
			}
		}
	}
	s := &archive.Snapshot{Layers: p.stack(), Entries: p.entries, Of: make([]int, len(p.entries))}
	for i := range s.Entries {
		e := &s.Entries[i]
		s.Of[i] = of[e.Path]
		if time.Unix(0, e.Stat.ChangeTime).After(p.settled) {
			e.Stat.ChangeTime = 0 // of another clock: it is read again next time
		}
	}
	return s
}
