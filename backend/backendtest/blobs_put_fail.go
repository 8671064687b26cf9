package backendtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
)

func putFailureCases() []testCase {
	return []testCase{
		{name: "put/refuses content that does not match", run: putRefusesContent},
		{name: "put/bad content leaves what was there", run: putLeavesOld},
		{name: "put/a failing source leaves nothing", run: putFailingSource},
		{name: "put/a source that does not open leaves nothing", run: putUnopened},
	}
}

func putCancelCases() []testCase {
	return []testCase{
		{name: "put/canceled while it reads leaves nothing", run: putCanceled},
		{name: "put/canceled while its source waits leaves nothing", run: putCanceledWaiting},
		{name: "put/canceled leaves what was there", run: putCanceledOld},
	}
}

// wrongContent returns, for data of at least one byte, what is not data.
func wrongContent(data []byte) map[string]*source {
	flip := func(i int) []byte {
		flipped := bytes.Clone(data)
		flipped[i] ^= 1
		return flipped
	}
	return map[string]*source{
		"first byte flipped": sourceOf(flip(0)),
		"last byte flipped":  sourceOf(flip(len(data) - 1)),
		"one byte short":     sourceOf(data[:len(data)-1]),
		"empty":              sourceOf(nil),
		"one byte long":      sourceOf(append(bytes.Clone(data), 0)),
		"twice":              sourceOf(append(bytes.Clone(data), data...)),
		"without end":        sourceThen(data, func(_ context.Context, p []byte) (int, error) { return len(p), nil }),
	}
}

func putRefusesContent(t *testing.T, e *env) {
	for _, size := range []int{1, 3000, max(300_000, e.h.PartSize+1)} {
		data := content(uint64(size), size)
		d := describe(data)
		for name, src := range wrongContent(data) {
			t.Run(name+" of "+bytesOf(size), func(t *testing.T) {
				wantErr(t, "Put("+name+")", e.Put(t.Context(), d, src), backend.ErrCorrupt)
				src.check(t)
				e.wantNoBlob(t, d)
				e.other(t).wantNoBlob(t, d)
			})
		}
		e.put(t, data)
		e.wantBlob(t, data)
	}
	t.Run("content for an empty blob", func(t *testing.T) {
		wantErr(t, "Put(1 byte as 0)", e.Put(t.Context(), describe(nil), sourceOf([]byte("x"))), backend.ErrCorrupt)
		e.wantNoBlob(t, describe(nil))
	})
	t.Run("right digest and wrong size", func(t *testing.T) {
		d := describe(content(7, 100))
		for _, size := range []int64{0, 99, 101} {
			d.Size = size
			wantErr(t, "Put(100 bytes as "+bytesOf(size)+")", e.Put(t.Context(), d, sourceOf(content(7, 100))), backend.ErrCorrupt)
			e.wantNoBlob(t, d)
		}
	})
}

// putLeavesOld allows success, because a blob that is there need not be read.
func putLeavesOld(t *testing.T, e *env) {
	data := content(1, 3000)
	d := e.put(t, data)
	for name, src := range wrongContent(data) {
		t.Run(name, func(t *testing.T) {
			if err := e.Put(t.Context(), d, src); err != nil {
				wantErr(t, "Put("+name+")", err, backend.ErrCorrupt)
			}
			src.check(t)
			e.wantBlob(t, data)
		})
	}
	t.Run("descriptor of another size", func(t *testing.T) {
		wrong := d
		wrong.Size++
		wantErr(t, "Put(3000 bytes as 3001)", e.Put(t.Context(), wrong, sourceOf(data)), backend.ErrCorrupt)
		e.wantBlob(t, data)
	})
}

func putFailingSource(t *testing.T, e *env) {
	data := content(1, 300_000)
	d := describe(data)
	fail := func(context.Context, []byte) (int, error) { return 0, errSource }
	for _, after := range []int{0, 1, 100_000, len(data)} {
		t.Run("after "+bytesOf(after), func(t *testing.T) {
			src := sourceThen(data[:after], fail)
			wantErr(t, "Put(failing source)", e.Put(t.Context(), d, src), errSource)
			src.check(t)
			e.wantNoBlob(t, d)
		})
	}
	e.put(t, data)
	if err := e.Put(t.Context(), d, sourceThen(data[:5], fail)); err != nil {
		wantErr(t, "Put(failing source, present)", err, errSource)
	}
	e.wantBlob(t, data)
}

func putUnopened(t *testing.T, e *env) {
	data := content(1, 3000)
	d := describe(data)
	src := &source{reader: func(context.Context) (io.Reader, error) { return nil, errSource }}
	wantErr(t, "Put(source that does not open)", e.Put(t.Context(), d, src), errSource)
	e.wantNoBlob(t, d)
}

// canceling returns a source of data that cancels a context before its last
// byte and takes no notice of it.
func canceling(data []byte, cancel context.CancelFunc) *source {
	last := len(data) - 1
	return &source{reader: func(context.Context) (io.Reader, error) {
		return io.MultiReader(
			bytes.NewReader(data[:last]),
			readerFunc(func([]byte) (int, error) { cancel(); return 0, io.EOF }),
			bytes.NewReader(data[last:]),
		), nil
	}}
}

func putCanceled(t *testing.T, e *env) {
	for _, size := range []int{1, 3000, max(300_000, e.h.PartSize+1)} {
		t.Run(bytesOf(size), func(t *testing.T) {
			data := content(uint64(size), size)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			src := canceling(data, cancel)
			wantErr(t, "Put(canceled)", e.Put(ctx, describe(data), src), context.Canceled)
			src.check(t)
			e.wantNoBlob(t, describe(data))
			e.other(t).wantNoBlob(t, describe(data))
		})
	}
}

func putCanceledWaiting(t *testing.T, e *env) {
	data := content(1, 300_000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	src := sourceThen(data[:100_000], func(ctx context.Context, _ []byte) (int, error) {
		cancel()
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(10 * time.Second):
			return 0, errors.New("the context of the source did not end with that of Put")
		}
	})
	wantErr(t, "Put(canceled)", e.Put(ctx, describe(data), src), context.Canceled)
	src.check(t)
	e.wantNoBlob(t, describe(data))
}

func putCanceledOld(t *testing.T, e *env) {
	data := content(1, 3000)
	d := e.put(t, data)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// A store that does not read what it has never notices the end.
	if err := e.Put(ctx, d, canceling(data, cancel)); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Put(canceled) = %v, want nil or %v", err, context.Canceled)
	}
	e.wantBlob(t, data)
}
