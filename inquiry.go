package larder

import (
	"context"
	"reflect"
	"sync"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// inquiry asks each store once for a blob, however many sources of an import
// name it: the caches of branches have most of their blobs in common.
type inquiry struct {
	mu      sync.Mutex
	answers map[question]*answer
}

// question is whether a store has a blob.
type question struct {
	store backend.Backend
	blob  blob.Digest
}

// answer is what a store says of a blob, once done is closed.
type answer struct {
	done   chan struct{}
	failed bool
	there  bool
	size   int64 // below zero if the store does not say
}

// absent returns which of the blobs a store does not have at their size. A
// question that fails for one source is asked again for another, whose time may
// not be up.
func (p *inquiry) absent(ctx context.Context, b backend.Backend, blobs []blob.Descriptor) (map[blob.Digest]bool, error) {
	if !reflect.TypeOf(b).Comparable() {
		return absent(ctx, b, blobs)
	}
	mine, all := p.claim(b, blobs)
	if err := p.ask(ctx, b, mine); err != nil {
		return nil, err
	}
	var again []blob.Descriptor
	gone := make(map[blob.Digest]bool)
	for i, d := range blobs {
		a := all[i]
		select {
		case <-a.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		switch {
		case a.failed:
			again = append(again, d)
		case !a.there || a.size >= 0 && a.size != d.Size:
			gone[d.Digest] = true
		}
	}
	if len(again) == 0 {
		return gone, nil
	}
	rest, err := absent(ctx, b, again)
	for d := range rest {
		gone[d] = true
	}
	return gone, err
}

// claim returns the answers for all blobs, and those of them that nobody has
// asked for yet, which the caller has to ask for.
func (p *inquiry) claim(b backend.Backend, blobs []blob.Descriptor) (mine map[blob.Digest]*answer, all []*answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answers == nil {
		p.answers = make(map[question]*answer)
	}
	mine = make(map[blob.Digest]*answer)
	for _, d := range blobs {
		q := question{b, d.Digest}
		a := p.answers[q]
		if a == nil {
			a = &answer{done: make(chan struct{})}
			p.answers[q], mine[d.Digest] = a, a
		}
		all = append(all, a)
	}
	return mine, all
}

// ask fills in answers.
func (p *inquiry) ask(ctx context.Context, b backend.Backend, mine map[blob.Digest]*answer) error {
	if len(mine) == 0 {
		return nil
	}
	digests := make([]blob.Digest, 0, len(mine))
	for d := range mine {
		digests = append(digests, d)
	}
	found, err := b.Stat(ctx, digests...)
	for d, a := range mine {
		info, there := found[d]
		a.failed, a.there, a.size = err != nil, there, info.Size
		close(a.done)
	}
	return err
}
