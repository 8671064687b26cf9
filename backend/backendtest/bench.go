package backendtest

import (
	"fmt"
	"io"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// Benchmarks measures what every transfer is made of, over stores of the
// harness: put and open of small and large blobs, a question for a hundred
// blobs, the replacement of a ref.
func Benchmarks(b *testing.B, h Harness) {
	for _, size := range []int{4 << 10, 4 << 20} {
		b.Run("put "+bytesOf(size), func(b *testing.B) { benchmarkPut(b, h, size) })
		b.Run("open "+bytesOf(size), func(b *testing.B) { benchmarkOpen(b, h, size) })
	}
	b.Run("stat 100", func(b *testing.B) { benchmarkStat(b, h) })
	b.Run("put ref", func(b *testing.B) { benchmarkPutRef(b, h) })
}

// newBenchEnv returns a new store that is closed with the benchmark.
func (h Harness) newBenchEnv(b *testing.B) *env {
	b.Helper()
	store := h.New(b)
	b.Cleanup(func() { _ = store.Close() })
	return &env{Backend: store, h: h, caps: store.Info().Capabilities}
}

func benchmarkPut(b *testing.B, h Harness, size int) {
	e := h.newBenchEnv(b)
	data := content(1, size)
	b.SetBytes(int64(size))
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		copy(data, fmt.Sprintf("%-20d", i)) // another blob each time
		d := describe(data)
		b.StartTimer()
		if err := e.Put(b.Context(), d, blob.Bytes(data)); err != nil {
			b.Fatalf("Put(%d bytes) = %v, want nil", size, err)
		}
		b.StopTimer()
		if e.caps.DeleteBlobs {
			if err := e.Delete(b.Context(), d.Digest); err != nil {
				b.Fatalf("Delete() = %v, want nil", err)
			}
		}
		b.StartTimer()
	}
}

func benchmarkOpen(b *testing.B, h Harness, size int) {
	e := h.newBenchEnv(b)
	data := content(1, size)
	d := describe(data)
	if err := e.Put(b.Context(), d, blob.Bytes(data)); err != nil {
		b.Fatalf("Put(%d bytes) = %v, want nil", size, err)
	}
	b.SetBytes(int64(size))
	for b.Loop() {
		r, err := e.Open(b.Context(), d, 0, -1)
		if err != nil {
			b.Fatalf("Open(%d bytes) = %v, want nil", size, err)
		}
		if n, err := io.Copy(io.Discard, r); err != nil || n != d.Size {
			b.Fatalf("Read(%d bytes) = %d, %v, want all", size, n, err)
		}
		if err := r.Close(); err != nil {
			b.Fatalf("Close() = %v, want nil", err)
		}
	}
}

func benchmarkStat(b *testing.B, h Harness) {
	e := h.newBenchEnv(b)
	var digests []blob.Digest
	for i := range 100 {
		data := fmt.Appendf(nil, "blob %d", i)
		d := describe(data)
		digests = append(digests, d.Digest)
		if i%2 == 0 {
			continue // half of them are absent
		}
		if err := e.Put(b.Context(), d, blob.Bytes(data)); err != nil {
			b.Fatalf("Put(%s) = %v, want nil", data, err)
		}
	}
	for b.Loop() {
		if found, err := e.Stat(b.Context(), digests...); err != nil || len(found) != 50 {
			b.Fatalf("Stat(100 digests) = %d blobs, %v, want 50", len(found), err)
		}
	}
}

func benchmarkPutRef(b *testing.B, h Harness) {
	e := h.newBenchEnv(b)
	docs := []backend.Document{e.doc(b, "even"), e.doc(b, "odd")}
	for i := 0; b.Loop(); i++ {
		if _, err := e.PutRef(b.Context(), "main", docs[i%2], backend.Always); err != nil {
			b.Fatalf("PutRef(main) = %v, want nil", err)
		}
	}
}
