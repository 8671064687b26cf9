package wrap_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
)

// checkStall requires the error of a stall, after the given time.
func checkStall(t *testing.T, err error, op string, took, want time.Duration) {
	t.Helper()
	if _, temporary := backend.Temporary(err); !temporary || !errors.Is(err, backend.ErrUnavailable) {
		t.Errorf("%s = %v, want a temporary ErrUnavailable", op, err)
		return
	}
	if text := err.Error(); !strings.Contains(text, op) || !strings.Contains(text, "stalled: no progress for 30s") {
		t.Errorf("%s = %v, want a stall of 30s named", op, err)
	}
	if took != want {
		t.Errorf("%s took %v, want %v", op, took, want)
	}
}

// TestTimeoutEveryMethod lets the store not answer at all.
func TestTimeoutEveryMethod(t *testing.T) {
	for _, m := range interfaceMethods() {
		op, ok := opOf(m)
		if !ok {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := faulty.New(&recorder{caps: everything}, faulty.Fault{Op: op, Stall: true})
				b := wrap.Timeout(store, wrap.TimeoutOptions{})
				began := time.Now()
				err := callMethod(t, b, m)
				// A document of three bytes adds some microseconds.
				checkStall(t, err, string(op), time.Since(began).Truncate(time.Second), 30*time.Second)
				if err := callMethod(t, b, m); err != nil {
					t.Errorf("%s() the next time = %v, want nil", m.Name, err)
				}
			})
		})
	}
}

func TestTimeoutCallerContextWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faulty.New(mem.New(), faulty.Fault{Op: faulty.Stat, Stall: true})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := wrap.Timeout(store, wrap.TimeoutOptions{}).Stat(ctx, someBlob.Digest)
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, backend.ErrUnavailable) {
			t.Errorf("Stat() = %v, want context.DeadlineExceeded alone", err)
		}
	})
}

// TestTimeoutGivesMoreTime has batches and documents that may take longer.
func TestTimeoutGivesMoreTime(t *testing.T) {
	const s = time.Second
	many := make([]blob.Digest, 250)
	tests := []struct {
		name string
		op   faulty.Op
		do   use
		want time.Duration
	}{
		{"a few", faulty.Stat, stat(many[:99]...), 30 * s},
		{"a large batch", faulty.Stat, stat(many...), 90 * s},
		{"a large deletion", faulty.Delete, remove(many...), 90 * s},
		{"a document of 1 MiB", faulty.PutRef, putRef("main", 1<<20, backend.Always), 32 * s},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := faulty.New(mem.New(), faulty.Fault{Op: test.op, Stall: true})
				began := time.Now()
				err := test.do(t.Context(), wrap.Timeout(store, wrap.TimeoutOptions{}))
				checkStall(t, err, string(test.op), time.Since(began), test.want)
			})
		})
	}
}

// slow is a body that yields a byte after each pause.
type slow struct {
	r     io.Reader
	pause time.Duration
}

func (s *slow) Read(p []byte) (int, error) {
	time.Sleep(s.pause) //nolint:forbidigo // The clock is that of a bubble.
	return s.r.Read(p[:1])
}

func (s *slow) Close() error { return nil }

// opens is a backend whose Open yields r.
type opens struct {
	backend.Backend
	r io.ReadCloser
}

func (o opens) Open(context.Context, blob.Descriptor, int64, int64) (io.ReadCloser, error) {
	return o.r, nil
}

// TestTimeoutSlowIsNotStalled reads, uses and writes a blob slowly, much longer
// than a stall may be in all.
func TestTimeoutSlowIsNotStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := digits(20)
		b := wrap.Timeout(opens{mem.New(), &slow{bytes.NewReader(data), 29 * time.Second}}, wrap.TimeoutOptions{})
		if got, err := readRange(t.Context(), b, blob.Describe("", data), 0, -1); !bytes.Equal(got, data) || err != nil {
			t.Errorf("slow store: read %v, %v, want all", got, err)
		}

		store, d := stored(t, data)
		b = wrap.Timeout(store, wrap.TimeoutOptions{})
		r, err := b.Open(t.Context(), d, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got, err := io.ReadAll(&slow{r, time.Hour}); !bytes.Equal(got, data) || err != nil {
			t.Errorf("slow reader: read %v, %v, want all", got, err)
		}
		slowSource := blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
			time.Sleep(time.Hour) //nolint:forbidigo // The clock is that of a bubble.
			return &slow{bytes.NewReader(data), time.Hour}, nil
		})
		if err := wrap.Timeout(mem.New(), wrap.TimeoutOptions{}).Put(t.Context(), d, slowSource); err != nil {
			t.Errorf("slow source: Put() = %v, want nil", err)
		}
		fill(t, store, 3)
		for _, err := range b.List(t.Context()) {
			if err != nil {
				t.Errorf("slow use: List yields %v, want nil", err)
			}
			time.Sleep(time.Hour) //nolint:forbidigo // The clock is that of a bubble.
		}
	})
}

func TestTimeoutBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, d := stored(t, digits(40), faulty.Fault{Op: faulty.Open, StallAt: 10, Times: -1})
		began := time.Now()
		got, err := readRange(t.Context(), wrap.Timeout(store, wrap.TimeoutOptions{}), d, 0, -1)
		checkStall(t, err, "open", time.Since(began), 30*time.Second)
		if len(got) != 10 {
			t.Errorf("read %d bytes, want the 10 before the stall", len(got))
		}
	})
}

// deaf is a body whose Read obeys nothing but Close.
type deaf struct {
	closing chan struct{}
	closes  int
}

func (d *deaf) Read([]byte) (int, error) {
	<-d.closing
	return 0, io.ErrClosedPipe
}

func (d *deaf) Close() error {
	d.closes++
	close(d.closing)
	return nil
}

func TestTimeoutClosesDeafBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := &deaf{closing: make(chan struct{})}
		b := wrap.Timeout(opens{mem.New(), body}, wrap.TimeoutOptions{})
		began := time.Now()
		_, err := readRange(t.Context(), b, someBlob, 0, -1)
		checkStall(t, err, "open", time.Since(began), 30*time.Second)
		if body.closes != 1 {
			t.Errorf("the body was closed %d times, want once", body.closes)
		}
	})
}

// TestTimeoutThenResume is what the order of the wrappers is for.
func TestTimeoutThenResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := digits(40)
		store, d := stored(t, data, faulty.Fault{Op: faulty.Open, StallAt: 10}, faulty.Fault{Op: faulty.Open, Stall: true})
		got, err := readRange(t.Context(), wrap.Recommended(store, wrap.Options{}), d, 0, -1)
		if !bytes.Equal(got, data) || err != nil || store.Calls(faulty.Open) != 3 {
			t.Errorf("read %v, %v with %d opens, want all with 3", got, err, store.Calls(faulty.Open))
		}
	})
}

// buffering reads all of the source at once and then sends it for a while.
type buffering struct {
	backend.Backend
	sends time.Duration
}

func (b buffering) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	if _, err := blob.ReadAll(ctx, d, src, 64<<20); err != nil {
		return err
	}
	select {
	case <-time.After(b.sends):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestTimeoutPut(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name  string
		size  int
		sends time.Duration
		stall time.Duration // when it is noticed, or 0
	}{
		{"small and quick", 512 << 10, 30 * s, 0},
		{"small and stalled", 512 << 10, time.Hour, 31 * s},
		{"large and slow", 32 << 20, 93 * s, 0},
		{"large and stalled", 48 << 20, time.Hour, 94 * s},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				data := make([]byte, test.size)
				b := wrap.Timeout(buffering{mem.New(), test.sends}, wrap.TimeoutOptions{})
				began := time.Now()
				err := b.Put(t.Context(), blob.Describe("", data), blob.Bytes(data))
				if test.stall > 0 {
					checkStall(t, err, "put", time.Since(began), test.stall)
				} else if err != nil {
					t.Errorf("Put() = %v, want nil", err)
				}
			})
		})
	}
}

func TestTimeoutList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		count := 0
		var last error
		for _, err := range wrap.Timeout(endless{mem.New()}, wrap.TimeoutOptions{}).List(t.Context()) {
			count, last = count+1, err
		}
		checkStall(t, last, "list", time.Since(began), 30*time.Second)
		if count != 1 {
			t.Errorf("List yields %d errors, want one", count)
		}
	})
}

// TestTimeoutRaces has many parts of a source read at once, as stores do that
// send parts side by side.
func TestTimeoutRaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := digits(1000)
		b := wrap.Timeout(parallelPut{mem.New()}, wrap.TimeoutOptions{Stall: time.Second})
		if err := b.Put(t.Context(), blob.Describe("", data), blob.Bytes(data)); err != nil {
			t.Errorf("Put() = %v, want nil", err)
		}
	})
}

// parallelPut reads parts side by side.
type parallelPut struct{ backend.Backend }

func (parallelPut) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	r, err := src.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	at, ok := r.(io.ReaderAt)
	if !ok {
		return errors.New("the source's random access was lost")
	}
	var group sync.WaitGroup
	for off := int64(0); off < d.Size; off += 10 {
		group.Go(func() { _, _ = at.ReadAt(make([]byte, 10), off) })
	}
	group.Wait()
	return ctx.Err()
}
