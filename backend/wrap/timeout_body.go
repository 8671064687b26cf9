package wrap

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-build/larder/blob"
)

// open opens a blob and watches its reader, unless that is a local file.
func (t *timeout) open(ctx context.Context, open opener, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	ctx, w := t.start(ctx, opOpen, string(d.Digest), t.stall)
	r, err := open(ctx, d, off, n)
	if err != nil {
		return nil, w.end(err)
	}
	w.pause()
	switch {
	case w.reason() != nil: // in the last moment, but the reader's context has ended
		_ = r.Close()
		return nil, w.end(w.reason())
	case fileOf(r) != nil:
		return tapReader(r, onClose(func() { _ = w.end(nil) })), nil
	default:
		return newWatchedBody(r, w, t.stall), nil
	}
}

// watchedBody is a reader of which each Read is watched.
type watchedBody struct {
	src   io.Reader
	watch *watch
	stall time.Duration
	close func() error // closes src once
}

func newWatchedBody(r io.ReadCloser, w *watch, stall time.Duration) *watchedBody {
	b := &watchedBody{src: r, watch: w, stall: stall, close: sync.OnceValue(r.Close)}
	w.mu.Lock()
	defer w.mu.Unlock()
	// A Read that does not look at its context is woken up by this. What Close
	// says then does not matter: the stall is the error.
	w.onStall = func() { _ = b.close() }
	return b
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.watch.resume(b.stall)
	n, err := b.src.Read(p)
	if errors.Is(err, io.EOF) {
		b.watch.pause()
		return n, err
	}
	return n, b.watch.verdict(err)
}

func (b *watchedBody) Close() error {
	err := b.close()
	_ = b.watch.end(nil)
	return err
}

// Put watches what the driver does between its reads from the source.
func (t *timeout) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	ctx, w := t.start(ctx, opPut, string(d.Digest), t.stall)
	tap := &putTap{timeout: t, watch: w}
	return w.end(t.next.Put(ctx, d, tapSource(tapOpen(src, tap), tap)))
}

// putTap pauses a watch while a source is used.
type putTap struct {
	timeout *timeout
	watch   *watch
	taken   atomic.Int64 // bytes read by the driver so far
}

func (p *putTap) reading() { p.watch.pause() }

func (p *putTap) read(n int, _ error) {
	p.watch.resume(p.timeout.forBytes(min(p.taken.Add(int64(n)), buffered)))
}

// handed leaves the watch paused: a driver that copies a local file by itself
// reads it out of sight, and from this machine.
func (p *putTap) handed(int64) { p.watch.pause() }

func (p *putTap) closed() {}

// tapOpen returns src with its Open told to a tap like a read.
func tapOpen(src blob.Source, t tap) blob.Source {
	return blob.SourceFunc(func(ctx context.Context) (io.ReadCloser, error) {
		t.reading()
		r, err := src.Open(ctx)
		t.read(0, err)
		return r, err
	})
}
