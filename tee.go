package larder

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/larder-build/larder/blob"
)

// teePatience is how long the first reader of a tee waits for the others. It
// only has to cover the time in which they get going: who comes later, perhaps
// because a limit makes it wait for the first to end, reads the source by
// itself.
const teePatience = 200 * time.Millisecond

// teeChunk is the size of the pieces that a tee hands on, in bytes.
const teeChunk = 256 << 10

// tee lets several stores receive a blob while its source is read once. Each
// has a member source; the reading starts when all have opened theirs or left.
// A store that opens its source again, to repeat a failed upload, reads the
// original.
type tee struct {
	src  blob.Source
	pump func()
	done chan struct{}

	mu      sync.Mutex
	absent  int // members that have neither opened nor left
	writers []*io.PipeWriter
	started bool
	timer   *time.Timer
}

// newTee returns a tee for n members. The context governs the common reading.
func newTee(ctx context.Context, src blob.Source, n int) *tee {
	t := &tee{src: src, absent: n, done: make(chan struct{})}
	t.pump = func() { t.copy(ctx) }
	return t
}

// member returns a source for one of the members, and the function by which it
// leaves when it is done.
func (t *tee) member() (src blob.Source, leave func()) {
	var once sync.Once
	arrive := func(w *io.PipeWriter) (joined bool) {
		once.Do(func() { joined = t.arrive(w) })
		return joined
	}
	open := func(ctx context.Context) (io.ReadCloser, error) {
		r, w := io.Pipe()
		if !arrive(w) {
			return t.src.Open(ctx)
		}
		return &teeReader{PipeReader: r, stop: context.AfterFunc(ctx, func() {
			w.CloseWithError(context.Cause(ctx))
		})}, nil
	}
	return blob.SourceFunc(open), func() { arrive(nil) }
}

// arrive notes that a member has opened its source, to be fed through w, or
// has left without. It reports whether w will be fed.
func (t *tee) arrive(w *io.PipeWriter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.absent--
	if t.started {
		return false
	}
	if w != nil {
		t.writers = append(t.writers, w)
	}
	switch {
	case len(t.writers) == 0:
	case t.absent == 0:
		t.start()
	case t.timer == nil:
		t.timer = time.AfterFunc(teePatience, func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.start()
		})
	}
	return w != nil
}

// start begins the reading. The caller holds t.mu.
func (t *tee) start() {
	if t.started {
		return
	}
	t.started = true
	go func() {
		defer close(t.done)
		t.pump()
	}()
}

// wait returns when nothing of the tee runs any more. All members have left.
func (t *tee) wait() {
	t.mu.Lock()
	if t.timer != nil {
		t.timer.Stop()
	}
	started := t.started
	t.started = true
	t.mu.Unlock()
	if started {
		<-t.done
	}
}

// copy feeds the members until the source ends or all of them have closed.
func (t *tee) copy(ctx context.Context) {
	writers := t.writers
	src, err := t.src.Open(ctx)
	if err == nil {
		writers, err = feed(writers, src)
		err = errors.Join(err, src.Close())
	}
	for _, w := range writers {
		w.CloseWithError(err) // nil means io.EOF
	}
}

// feed copies src to all writers, dropping those whose readers have closed. It
// returns those that are left.
func feed(writers []*io.PipeWriter, src io.Reader) ([]*io.PipeWriter, error) {
	buf := make([]byte, teeChunk)
	for len(writers) > 0 {
		n, err := src.Read(buf)
		alive := writers[:0]
		for _, w := range writers {
			if _, gone := w.Write(buf[:n]); gone == nil {
				alive = append(alive, w)
			}
		}
		writers = alive
		if errors.Is(err, io.EOF) {
			return writers, nil
		}
		if err != nil {
			return writers, err
		}
	}
	return nil, nil
}

// teeReader is a member's reader. The context that it was opened with ends it.
type teeReader struct {
	*io.PipeReader
	stop func() bool
}

func (r *teeReader) Close() error {
	r.stop()
	return r.PipeReader.Close()
}
