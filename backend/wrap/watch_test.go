package wrap

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestWatchExpiresTooLate runs the timer's function after a pause has begun, as
// happens when both come at the same moment.
func TestWatchExpiresTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalled := func() error { return errors.New("stalled") }
		ctx, w := startWatch(t.Context(), time.Second, stalled)
		w.pause()
		w.expire(stalled)
		if ctx.Err() != nil || w.reason() != nil {
			t.Errorf("a paused watch ended the call: %v, %v", ctx.Err(), w.reason())
		}
		w.resume(time.Second)
		<-ctx.Done()
		if err := w.end(ctx.Err()); err == nil || err.Error() != "stalled" {
			t.Errorf("end() = %v, want stalled", err)
		}
	})
}
