package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/bucket/buckettest"
)

// content returns n bytes.
func content(n int) []byte { return bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n] }

// stream is a source that can be read only in order.
func stream(data []byte) blob.Source {
	return blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(data))), nil
	})
}

func key(d blob.Descriptor) string { return "p/blobs/" + d.Digest.String() }

// TestPutRequests counts what it takes to put a blob, by what is there.
func TestPutRequests(t *testing.T) {
	small, large := content(1000), content(2<<20)
	whole := func(o *bucket.Options) { o.PartSize = 1 << 20 }
	for _, tt := range []struct {
		name  string
		data  []byte
		there []byte // what is in the store, nil for nothing
		age   time.Duration
		asked bool // and the store has said that it is not there
		store func(*buckettest.Memory)
		want  map[string]int
	}{
		{name: "small", data: small, want: map[string]int{"put": 1}},
		{name: "small and there", data: small, there: small, want: map[string]int{"put": 1, "head": 1}},
		{name: "small and damaged", data: small, there: small[1:], want: map[string]int{"put": 2, "head": 1}},
		{name: "small and old", data: small, there: small, age: 13 * time.Hour, want: map[string]int{"put": 1, "head": 1, "touch": 1}},
		{name: "small where conditions are refused", data: small, store: func(m *buckettest.Memory) {
			refused := false
			m.Before = func(_ context.Context, op, _ string) error {
				if op == "put" && !refused {
					refused = true
					return backend.ErrUnsupported
				}
				return nil
			}
		}, want: map[string]int{"put": 2}},
		{name: "small where there are no conditions", data: small, there: small, store: func(m *buckettest.Memory) { m.Can.Create = false }, want: map[string]int{"put": 1}},
		{name: "large", data: large, want: map[string]int{"head": 1, "put": 1}},
		{name: "large and known to be absent", data: large, asked: true, want: map[string]int{"put": 1}},
		{name: "large and there", data: large, there: large, want: map[string]int{"head": 1}},
		{name: "large and damaged", data: large, there: large[1:], want: map[string]int{"head": 1, "put": 1}},
		{name: "large and not quite old", data: large, there: large, age: 11 * time.Hour, want: map[string]int{"head": 1}},
		{name: "large and old", data: large, there: large, age: 13 * time.Hour, want: map[string]int{"head": 1, "touch": 1}},
		{name: "large and old without ages", data: large, there: large, age: 13 * time.Hour, store: func(m *buckettest.Memory) { m.Can.NoAges = true }, want: map[string]int{"head": 1}},
		{name: "large and unknown", data: large, store: func(m *buckettest.Memory) {
			m.Before = func(_ context.Context, op, _ string) error {
				if op == "head" {
					return backend.ErrDenied
				}
				return nil
			}
		}, want: map[string]int{"head": 1, "put": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := buckettest.NewMemory()
				if tt.store != nil {
					tt.store(m)
				}
				o := options()
				whole(&o)
				o.RefreshAge = 0
				b := bucket.New(t.Context(), buckettest.Parts{Memory: m}, o)
				d := blob.Describe("", tt.data)
				if tt.there != nil {
					m.Set(key(d), tt.there)
				}
				time.Sleep(tt.age) //nolint:forbidigo // Time here is that of the test.
				ctx := t.Context()
				if tt.asked {
					ctx = backend.WithAbsent(ctx)
				}
				if err := b.Put(ctx, d, stream(tt.data)); err != nil {
					t.Errorf("Put() = %v, want nil", err)
				}
				if diff := cmp.Diff(tt.want, m.Counts()); diff != "" {
					t.Errorf("requests (-want +got):\n%s", diff)
				}
				r, o2, err := m.Get(t.Context(), key(d), 0, -1)
				if err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(r)
				if !bytes.Equal(got, tt.data) {
					t.Errorf("the object has %d bytes, want what was put", len(got))
				}
				if age := time.Since(o2.ModTime); !m.Can.NoAges && age > 12*time.Hour {
					t.Errorf("the object is %v old, want it renewed", age)
				}
			})
		})
	}
}

// TestTouchThatDoesNothing sends content again to a store that says it has
// renewed an age and has not.
func TestTouchThatDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := buckettest.NewMemory()
		data := content(2 << 20)
		d := blob.Describe("", data)
		m.Set(key(d), data)
		o := options()
		o.RefreshAge, o.PartSize = 0, 1<<20
		b := bucket.New(t.Context(), lazy{buckettest.Parts{Memory: m}}, o)
		time.Sleep(24 * time.Hour) //nolint:forbidigo // Time here is that of the test.
		if err := b.Put(t.Context(), d, stream(data)); err != nil {
			t.Errorf("Put() = %v, want nil", err)
		}
		info, err := b.Stat(t.Context(), d.Digest)
		if age := time.Since(info[d.Digest].ModTime); err != nil || age > time.Hour {
			t.Errorf("Stat() = %v old, %v, want it renewed", age, err)
		}
	})
}

// lazy renews nothing.
type lazy struct{ buckettest.Parts }

func (lazy) Touch(_ context.Context, _ string, o bucket.Object) (bucket.Object, error) { return o, nil }

// TestParts puts blobs in parts, and has some of them fail.
func TestParts(t *testing.T) {
	data := content(2_500_000) // of 25 parts
	d := blob.Describe("", data)
	flaky := func(failures int64, err error) func(*buckettest.Memory) {
		return func(m *buckettest.Memory) {
			var left atomic.Int64
			left.Store(failures)
			m.Before = func(_ context.Context, op, _ string) error {
				if op != "part" || left.Add(-1) < 0 {
					return nil
				}
				return err
			}
		}
	}
	passing := &bucket.Failure{Kind: backend.ErrUnavailable, Err: errors.New("busy"), Temporary: true}
	for _, tt := range []struct {
		name  string
		src   blob.Source
		store func(*buckettest.Memory)
		want  error
	}{
		{name: "a stream", src: stream(data)},
		{name: "memory", src: blob.Bytes(data)},
		{name: "a stream with a part that fails once", src: stream(data), store: flaky(1, passing)},
		{name: "memory with a part that fails once", src: blob.Bytes(data), store: flaky(1, passing)},
		{name: "a stream whose parts fail", src: stream(data), store: flaky(1000, passing), want: backend.ErrUnavailable},
		{name: "memory whose parts fail", src: blob.Bytes(data), store: flaky(1000, passing), want: backend.ErrUnavailable},
		{name: "a part that is refused", src: stream(data), store: flaky(1, backend.ErrDenied), want: backend.ErrDenied},
		{name: "another stream", src: stream(append(slices.Clip(data[1:]), 0)), want: backend.ErrCorrupt},
		{name: "other memory", src: blob.Bytes(append(slices.Clip(data[1:]), 0)), want: backend.ErrCorrupt},
		{name: "too short a stream", src: stream(data[1:]), want: backend.ErrCorrupt},
		{name: "too much memory", src: blob.Bytes(append(slices.Clip(data), 0)), want: backend.ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := buckettest.NewMemory()
				if tt.store != nil {
					tt.store(m)
				}
				b := bucket.New(t.Context(), buckettest.Parts{Memory: m}, options())
				if err := b.Put(t.Context(), d, tt.src); !errors.Is(err, tt.want) {
					t.Errorf("Put() = %v, want %v", err, tt.want)
				}
				if open := m.Uploads(); open != 0 {
					t.Errorf("%d uploads are left, want none", open)
				}
				if keys := m.Keys(); (tt.want == nil) != (len(keys) == 1) {
					t.Errorf("objects = %q after %v", keys, tt.want)
				}
			})
		})
	}
}

// TestPartsAtATime counts how many parts of a stream are in memory: those of
// all blobs share a few buffers, and each blob has one of its own.
func TestPartsAtATime(t *testing.T) {
	m := buckettest.NewMemory()
	var mu sync.Mutex
	var now, most int
	count := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		now += n
		most = max(most, now)
	}
	m.Before = func(_ context.Context, op, _ string) error {
		if op != "part" {
			return nil
		}
		count(1)
		<-time.After(time.Millisecond)
		count(-1)
		return nil
	}
	const blobs = 4
	b := bucket.New(t.Context(), buckettest.Parts{Memory: m}, options())
	done := make(chan error, blobs)
	for i := range blobs {
		data := append(content(2_500_000), byte(i))
		go func() { done <- b.Put(t.Context(), blob.Describe("", data), stream(data)) }()
	}
	for range blobs {
		if err := <-done; err != nil {
			t.Errorf("Put() = %v, want nil", err)
		}
	}
	if most < 3 || most > blobs+6 {
		t.Errorf("%d parts were in memory at a time, want some and at most %d", most, blobs+6)
	}
}

// TestPieces reads a large blob in pieces, some of which fail.
func TestPieces(t *testing.T) {
	m := buckettest.NewMemory()
	data := content(2_500_000)
	d := blob.Describe("", data)
	m.Set(key(d), data)
	b := bucket.New(t.Context(), m, options())
	for _, tt := range []struct {
		name   string
		off, n int64
		gets   int
	}{
		{"all", 0, -1, 25},
		{"from the middle", 1_000_000, -1, 15},
		{"to the middle", 0, 1_000_001, 11},
		{"a little", 1_000_000, 10, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m.Counts()
			r, err := b.Open(t.Context(), d, tt.off, tt.n)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			want := data[tt.off:]
			if tt.n >= 0 {
				want = want[:tt.n]
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("Open(%d, %d) = %d bytes, %v, want %d", tt.off, tt.n, len(got), err, len(want))
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if got := m.Counts()["get"]; got != tt.gets {
				t.Errorf("Open(%d, %d) took %d requests, want %d", tt.off, tt.n, got, tt.gets)
			}
		})
	}
	t.Run("a piece that fails", func(t *testing.T) {
		var n atomic.Int64
		m.Before = func(_ context.Context, op, _ string) error {
			if op == "get" && n.Add(1) == 7 {
				return &bucket.Failure{Kind: backend.ErrUnavailable, Err: io.ErrUnexpectedEOF, Temporary: true}
			}
			return nil
		}
		defer func() { m.Before = nil }()
		r, err := b.Open(t.Context(), d, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if _, temporary := backend.Temporary(err); !temporary || !bytes.Equal(got, data[:len(got)]) || len(got) == len(data) {
			t.Errorf("ReadAll() = %d bytes, %v, want the bytes before the failure and a temporary error", len(got), err)
		}
		if _, again := r.Read(make([]byte, 1)); !errors.Is(again, backend.ErrUnavailable) {
			t.Errorf("Read(again) = %v, want %v", again, backend.ErrUnavailable)
		}
		_ = r.Close()
	})
}

// TestCloseWhileReading closes readers that wait for a store which does not
// answer, as those do who have lost patience.
func TestCloseWhileReading(t *testing.T) {
	for _, size := range []int{1000, 2_500_000} {
		m := buckettest.NewMemory()
		data := content(size)
		d := blob.Describe("", data)
		m.Set(key(d), data)
		b := bucket.New(t.Context(), stuck{m}, options())
		r, err := b.Open(t.Context(), d, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, r)
			ended <- err
		}()
		if err := r.Close(); err != nil {
			t.Errorf("Close(while it is read) = %v, want nil", err)
		}
		if err := <-ended; err == nil {
			t.Errorf("Read(%d bytes, closed) = nil, want an error", size)
		}
	}
}

// stuck is a store whose bodies yield nothing until their context ends.
type stuck struct{ *buckettest.Memory }

func (s stuck) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, bucket.Object, error) {
	_, o, err := s.Memory.Get(ctx, key, off, n)
	return io.NopCloser(waiting{ctx}), o, err
}

type waiting struct{ ctx context.Context }

func (w waiting) Read([]byte) (int, error) {
	<-w.ctx.Done()
	return 0, w.ctx.Err()
}
