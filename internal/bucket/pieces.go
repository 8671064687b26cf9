package bucket

import (
	"context"
	"errors"
	"io"
	"sync"
)

// pieces reads a range in pieces: the first one as it comes, the others ahead
// of it into spare buffers. Where there is none, a piece is read as it comes
// when it is its turn.
type pieces struct {
	b    *Backend
	ctx  context.Context
	stop context.CancelFunc
	key  string
	to   int64 // the end of the range

	current io.ReadCloser
	ahead   []*piece // in order
	next    int64    // what is not yet asked for
	err     error    // what the range has ended with
	running sync.WaitGroup
}

// piece is a part of a range on its way.
type piece struct {
	buf  *buffer
	read int
	err  error
	done chan struct{}
}

// newPieces returns a reader of head and then of the bytes from next to to.
func newPieces(ctx context.Context, b *Backend, key string, head io.ReadCloser, next, to int64) *pieces {
	ctx, stop := context.WithCancel(ctx)
	return &pieces{b: b, ctx: ctx, stop: stop, key: key, current: head, next: next, to: to}
}

// Read implements [io.Reader].
func (p *pieces) Read(buf []byte) (int, error) {
	p.fetchAhead()
	for p.err == nil {
		n, err := p.current.Read(buf)
		if errors.Is(err, io.EOF) {
			err = p.advance()
		}
		p.err = err
		if n > 0 || len(buf) == 0 {
			return n, nil
		}
	}
	return 0, p.err
}

// fetchAhead asks for pieces as long as there are buffers for them.
func (p *pieces) fetchAhead() {
	for len(p.ahead) < p.b.opts.Concurrency-1 && p.next < p.to {
		n := min(p.b.buffers.size, p.to-p.next)
		buf := p.b.buffers.try(n)
		if buf == nil {
			return
		}
		one, off := &piece{buf: buf, done: make(chan struct{})}, p.next
		p.ahead, p.next = append(p.ahead, one), p.next+n
		p.running.Go(func() {
			defer close(one.done)
			one.err = p.fetch(one.buf.data, off)
		})
	}
}

// fetch fills data from the object.
func (p *pieces) fetch(data []byte, off int64) error {
	r, _, err := p.b.store.Get(p.ctx, p.key, off, int64(len(data)))
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	if _, err = io.ReadFull(r, data); errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// advance makes the next piece the current one. At the end it returns io.EOF.
func (p *pieces) advance() error {
	_ = p.current.Close()
	if len(p.ahead) > 0 {
		one := p.ahead[0]
		p.ahead = p.ahead[1:]
		p.current = one
		<-one.done
		return one.err
	}
	if p.next >= p.to {
		return io.EOF
	}
	n := min(p.b.buffers.size, p.to-p.next)
	r, _, err := p.b.store.Get(p.ctx, p.key, p.next, n)
	if err != nil {
		return err
	}
	p.current, p.next = &counted{ReadCloser: r, left: n}, p.next+n
	return nil
}

// Close ends what is under way.
func (p *pieces) Close() error {
	p.stop()
	p.running.Wait()
	_ = p.current.Close()
	for _, one := range p.ahead {
		_ = one.Close()
	}
	p.ahead = nil
	return nil
}

// Read implements [io.Reader], when the piece is done.
func (p *piece) Read(buf []byte) (int, error) {
	if p.buf == nil || p.read == len(p.buf.data) {
		return 0, io.EOF
	}
	n := copy(buf, p.buf.data[p.read:])
	p.read += n
	return n, nil
}

// Close gives the memory back, when the piece is done.
func (p *piece) Close() error {
	if p.buf != nil {
		p.buf.free()
		p.buf = nil
	}
	return nil
}
