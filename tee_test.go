package larder

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/larder-build/larder/blob"
)

// countingSource counts how often it is opened.
type countingSource struct {
	blob.Source
	opened atomic.Int32
}

func (s *countingSource) Open(ctx context.Context) (io.ReadCloser, error) {
	s.opened.Add(1)
	return s.Source.Open(ctx)
}

// drain reads a member to its end, as a store does.
func drain(t *testing.T, src blob.Source) []byte {
	t.Helper()
	r, err := src.Open(t.Context())
	if err != nil {
		t.Errorf("Open() = %v", err)
		return nil
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Errorf("ReadAll() = %v", err)
	}
	return data
}

func TestTeeReadsItsSourceOnce(t *testing.T) {
	// In a bubble no member is late because the machine is busy.
	synctest.Test(t, func(t *testing.T) {
		want := bytes.Repeat([]byte("larder"), 200_000)
		for _, members := range []int{1, 2, 5} {
			src := &countingSource{Source: blob.Bytes(want)}
			shared := newTee(t.Context(), src, members)
			var running sync.WaitGroup
			for range members {
				member, leave := shared.member()
				running.Go(func() {
					defer leave()
					if got := drain(t, member); !bytes.Equal(got, want) {
						t.Errorf("%d members: a member read %d bytes, want the %d of the source", members, len(got), len(want))
					}
				})
			}
			running.Wait()
			shared.wait()
			if got := src.opened.Load(); got != 1 {
				t.Errorf("%d members: source opened %d times, want 1", members, got)
			}
		}
	})
}

func TestTeeMembersThatNeedNothingHoldNobodyUp(t *testing.T) {
	src := &countingSource{Source: blob.Bytes([]byte("content"))}
	shared := newTee(t.Context(), src, 3)
	reader, leaveReader := shared.member()
	for range 2 {
		_, leave := shared.member()
		leave()
	}
	if got := drain(t, reader); string(got) != "content" {
		t.Errorf("member read %q, want %q", got, "content")
	}
	leaveReader()
	shared.wait()
}

func TestTeeLateMemberReadsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &countingSource{Source: blob.Bytes([]byte("content"))}
		shared := newTee(t.Context(), src, 2)
		early, leaveEarly := shared.member()
		late, leaveLate := shared.member()
		// The early one is done before the late one begins: with a tee that waits
		// for both, a limit of one upload at a time would be a deadlock.
		if got := drain(t, early); string(got) != "content" {
			t.Errorf("early member read %q", got)
		}
		leaveEarly()
		if got := drain(t, late); string(got) != "content" {
			t.Errorf("late member read %q", got)
		}
		leaveLate()
		shared.wait()
		if got := src.opened.Load(); got != 2 {
			t.Errorf("source opened %d times, want 2", got)
		}
	})
}

func TestTeeMemberMayReadAgain(t *testing.T) {
	src := &countingSource{Source: blob.Bytes([]byte("content"))}
	shared := newTee(t.Context(), src, 1)
	member, leave := shared.member()
	for range 3 {
		if got := drain(t, member); string(got) != "content" {
			t.Errorf("member read %q", got)
		}
	}
	leave()
	shared.wait()
}

func TestTeeMemberThatStopsLeavesTheOthersAlone(t *testing.T) {
	want := bytes.Repeat([]byte("x"), 3*teeChunk)
	shared := newTee(t.Context(), blob.Bytes(want), 2)
	quitter, leaveQuitter := shared.member()
	stayer, leaveStayer := shared.member()
	var running sync.WaitGroup
	running.Go(func() {
		defer leaveQuitter()
		r, err := quitter.Open(t.Context())
		if err != nil {
			t.Errorf("Open() = %v", err)
			return
		}
		_, _ = io.ReadFull(r, make([]byte, 10))
		r.Close()
	})
	running.Go(func() {
		defer leaveStayer()
		if got := drain(t, stayer); !bytes.Equal(got, want) {
			t.Errorf("the other member read %d bytes, want %d", len(got), len(want))
		}
	})
	running.Wait()
	shared.wait()
}

func TestTeePassesTheSourcesErrorOn(t *testing.T) {
	broken := errors.New("disk on fire")
	src := blob.SourceFunc(func(context.Context) (io.ReadCloser, error) { return nil, broken })
	shared := newTee(t.Context(), src, 2)
	var running sync.WaitGroup
	for range 2 {
		member, leave := shared.member()
		running.Go(func() {
			defer leave()
			r, err := member.Open(t.Context())
			if err != nil {
				t.Errorf("Open() = %v, want the error on reading", err)
				return
			}
			defer r.Close()
			if _, err := io.ReadAll(r); !errors.Is(err, broken) {
				t.Errorf("ReadAll() = %v, want %v", err, broken)
			}
		})
	}
	running.Wait()
	shared.wait()
}

func TestTeeEndsWithTheMembersContext(t *testing.T) {
	stalled := blob.SourceFunc(func(ctx context.Context) (io.ReadCloser, error) {
		r, w := io.Pipe()
		context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
		return r, nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	shared := newTee(ctx, stalled, 1)
	member, leave := shared.member()
	r, err := member.Open(ctx)
	if err != nil {
		t.Fatalf("Open() = %v", err)
	}
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("ReadAll() = %v, want %v", err, context.Canceled)
	}
	r.Close()
	leave()
	shared.wait()
}
