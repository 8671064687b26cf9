package wrap_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/wrap"
)

// throttled is a store whose requests wait, and say so if it is told to.
type throttled struct {
	*recorder

	waits, tells time.Duration
}

func (s throttled) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	backend.TraceRetry(ctx, "get", errors.New("too many requests"), s.tells)
	select {
	case <-time.After(s.waits):
	case <-ctx.Done():
		return backend.Ref{}, ctx.Err()
	}
	return s.recorder.GetRef(ctx, name)
}

func TestTimeoutLeavesTimeForWaitsThatAreTold(t *testing.T) {
	for _, tt := range []struct {
		name         string
		waits, tells time.Duration
		stalls       bool
	}{
		{"a wait", time.Hour, time.Hour, false},
		{"a wait and a little more", time.Hour + 29*time.Second, time.Hour, false},
		{"a stall after a wait", 2 * time.Hour, time.Hour, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := wrap.Timeout(throttled{&recorder{caps: everything}, tt.waits, tt.tells}, wrap.TimeoutOptions{})
				began := time.Now()
				_, err := b.GetRef(t.Context(), "main")
				if tt.stalls {
					checkStall(t, err, "get ref", time.Since(began), tt.tells+30*time.Second)
				} else if err != nil {
					t.Errorf("GetRef(main) = %v, want nil", err)
				}
			})
		})
	}
}

// TestTimeoutIsNotShortenedByProgress has a step be announced after a wait was.
func TestTimeoutIsNotShortenedByProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := wrap.Timeout(announcing{&recorder{caps: everything}}, wrap.TimeoutOptions{})
		if _, err := b.GetRef(ctx, "main"); err != nil {
			t.Errorf("GetRef(main) = %v, want nil", err)
		}
	})
}

// announcing is a store that announces a wait of an hour, and then a step.
type announcing struct{ *recorder }

func (s announcing) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	backend.TraceRetry(ctx, "get", errors.New("too many requests"), time.Hour)
	backend.TraceProgress(ctx)
	select {
	case <-time.After(time.Hour):
	case <-ctx.Done():
		return backend.Ref{}, ctx.Err()
	}
	return s.recorder.GetRef(ctx, name)
}

// stepping is a store whose calls take steps of a time each, and say so.
type stepping struct {
	*recorder

	steps int
	each  time.Duration
}

func (s stepping) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	for range s.steps {
		select {
		case <-time.After(s.each):
		case <-ctx.Done():
			return backend.Ref{}, ctx.Err()
		}
		backend.TraceProgress(ctx)
	}
	return s.recorder.GetRef(ctx, name)
}

func TestTimeoutTakesStepsForProgress(t *testing.T) {
	for _, tt := range []struct {
		name   string
		each   time.Duration
		stalls bool
	}{{"short ones", 29 * time.Second, false}, {"a long one", 31 * time.Second, true}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := wrap.Timeout(stepping{&recorder{caps: everything}, 10, tt.each}, wrap.TimeoutOptions{})
				began := time.Now()
				_, err := b.GetRef(t.Context(), "main")
				if tt.stalls {
					checkStall(t, err, "get ref", time.Since(began), 30*time.Second)
				} else if err != nil {
					t.Errorf("GetRef(main) = %v, want nil", err)
				}
			})
		})
	}
}
