package backendtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"testing"
	"testing/iotest"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

func openCases() []testCase {
	return []testCase{
		{name: "open/returns what was put", run: openReturnsContent},
		{name: "open/returns the range asked for", run: openRanges},
		{name: "open/refuses offsets outside the blob", run: openOffsets},
		{name: "open/a missing blob is not found", run: openMissing},
		{name: "open/readers keep the rules of io.Reader", run: openReaderRules},
		{name: "open/readers are independent", run: openIndependent},
		{name: "open/its context governs the reader", run: openContext},
	}
}

func openReturnsContent(t *testing.T, e *env) {
	for _, size := range e.h.sizes() {
		t.Run(bytesOf(size), func(t *testing.T) {
			data := content(uint64(size), size)
			e.put(t, data)
			e.wantBlob(t, data)
			e.other(t).wantBlob(t, data)
		})
	}
}

func openRanges(t *testing.T, e *env) {
	data := content(1, 70_000)
	d := e.put(t, data)
	size := int64(len(data))
	ranges := []struct {
		name             string
		off, n, from, to int64
	}{
		{"all", 0, -1, 0, size},
		{"all by length", 0, size, 0, size},
		{"nothing at the start", 0, 0, 0, 0},
		{"nothing in the middle", 500, 0, 500, 500},
		{"nothing at the end", size, 0, size, size},
		{"to the end from the end", size, -1, size, size},
		{"past the end from the end", size, 10, size, size},
		{"first byte", 0, 1, 0, 1},
		{"last byte", size - 1, 1, size - 1, size},
		{"last byte to the end", size - 1, -1, size - 1, size},
		{"all but the first", 1, -1, 1, size},
		{"all but the last", 0, size - 1, 0, size - 1},
		{"middle", 4095, 4098, 4095, 8193},
		{"past the end", size - 10, 100, size - 10, size},
		{"far past the end", 1, math.MaxInt64, 1, size},
		{"any negative length", 7, -42, 7, size},
	}
	for _, r := range ranges {
		t.Run(r.name, func(t *testing.T) {
			for _, d := range []blob.Descriptor{d, anySize(d)} {
				got, err := e.read(t.Context(), d, r.off, r.n)
				if want := data[r.from:r.to]; err != nil || !bytes.Equal(got, want) {
					t.Errorf("Open(size %d, %d, %d) = %s, %v, want %s", d.Size, r.off, r.n, brief(got), err, brief(want))
				}
			}
		})
	}
}

func openOffsets(t *testing.T, e *env) {
	d, empty := e.put(t, content(1, 100)), e.put(t, nil)
	for _, tt := range []struct {
		name   string
		d      blob.Descriptor
		off, n int64
	}{
		{"negative", d, -1, 10},
		{"negative to the end", d, -1, -1},
		{"beyond", d, 101, 10},
		{"beyond to the end", d, 101, -1},
		{"beyond for nothing", d, 101, 0},
		{"far beyond", d, math.MaxInt64, 1},
		{"beyond an empty blob", empty, 1, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, d := range []blob.Descriptor{tt.d, anySize(tt.d)} {
				call := fmt.Sprintf("Open(size %d, %d, %d)", d.Size, tt.off, tt.n)
				r, err := e.Open(t.Context(), d, tt.off, tt.n)
				if err == nil {
					_ = r.Close()
				}
				wantErr(t, call, err, backend.ErrInvalid)
			}
		})
	}
}

func openMissing(t *testing.T, e *env) {
	e.put(t, content(1, 100))
	d := absent(1)
	for _, r := range [][2]int64{{0, -1}, {0, 0}, {5, -1}, {5, 5}, {0, 1}} {
		for _, d := range []blob.Descriptor{d, anySize(d)} {
			data, err := e.read(t.Context(), d, r[0], r[1])
			wantErr(t, fmt.Sprintf("Open(absent of size %d, %d, %d) = %q", d.Size, r[0], r[1], data), err, backend.ErrNotFound)
		}
	}
}

func openReaderRules(t *testing.T, e *env) {
	for _, size := range []int{0, 1, 9000} {
		t.Run(bytesOf(size), func(t *testing.T) {
			data := content(1, size)
			r, err := e.Open(t.Context(), e.put(t, data), 0, -1)
			if err != nil {
				t.Fatalf("Open(%d bytes) = %v, want nil", size, err)
			}
			if err := iotest.TestReader(onlyReader{r}, data); err != nil {
				t.Errorf("Open(%d bytes): %v", size, err)
			}
			wantErr(t, "Close()", r.Close(), nil)
		})
	}
}

// onlyReader hides every method but Read: seeking is no promise.
type onlyReader struct{ io.Reader }

func openIndependent(t *testing.T, e *env) {
	data := content(1, 5000)
	d := e.put(t, data)
	const n = 5
	var readers [n]io.ReadCloser
	var got [n][]byte
	for i := range readers {
		r, err := e.Open(t.Context(), d, 0, -1)
		if err != nil {
			t.Fatalf("Open(%s) = %v, want nil", d.Digest, err)
		}
		readers[i] = r
	}
	for range len(data) / 100 {
		for i, r := range readers {
			var piece [100]byte
			if _, err := io.ReadFull(r, piece[:]); err != nil {
				t.Fatalf("Read(reader %d) = %v, want nil", i, err)
			}
			got[i] = append(got[i], piece[:]...)
		}
	}
	for i, r := range readers {
		if !bytes.Equal(got[i], data) {
			t.Errorf("Read(reader %d in turns with others) = %s, want %s", i, brief(got[i]), brief(data))
		}
		wantErr(t, "Close()", r.Close(), nil)
	}
}

func openContext(t *testing.T, e *env) {
	// The blob is larger than what connections and buffers hold, so that the
	// rest has to come from the store.
	d := e.put(t, content(1, max(4<<20, e.h.PartSize+1)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := e.Open(ctx, d, 0, -1)
	if err != nil {
		t.Fatalf("Open(%s) = %v, want nil", d.Digest, err)
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
		t.Fatalf("Read(first byte) = %v, want nil", err)
	}
	cancel()
	n, err := io.Copy(io.Discard, r)
	wantErr(t, fmt.Sprintf("Read(rest after cancel) = %d bytes", n), err, context.Canceled)
	_ = r.Close()
}
