package wrap

import (
	"context"
	"sync"
	"time"
)

// watch ends a call that makes no progress. It runs while the store is to
// move and is paused while the caller is.
type watch struct {
	cancel  context.CancelCauseFunc
	onStall func() // called when the watch has ended the call, or nil

	mu      sync.Mutex
	timer   *time.Timer
	until   time.Time     // when the timer ends, as far as it was extended
	pauses  int           // the watch runs while it is 0
	stalled error         // why the call was ended, or nil
	done    chan struct{} // closed when the watch has ended the call
}

// startWatch returns a running watch, which ends the returned context after the
// given time without progress, because of what makeErr returns.
func startWatch(ctx context.Context, allowed time.Duration, makeErr func() error) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{cancel: cancel, done: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(allowed, func() { w.expire(makeErr) })
	return ctx, w
}

// expire ends the call, unless the watch was paused just before.
func (w *watch) expire(makeErr func() error) {
	w.mu.Lock()
	if w.pauses > 0 || w.stalled != nil {
		w.mu.Unlock()
		return
	}
	w.stalled = makeErr()
	onStall := w.onStall
	w.mu.Unlock()
	defer close(w.done)
	w.cancel(w.stalled)
	if onStall != nil {
		onStall()
	}
}

// pause stops the clock until as many calls of resume.
func (w *watch) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pauses++
	w.timer.Stop()
}

// resume starts the clock anew.
func (w *watch) resume(allowed time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pauses--; w.pauses == 0 && w.stalled == nil {
		w.until = time.Time{}
		w.timer.Reset(allowed)
	}
}

// extend gives the call another time from now on, if the clock runs and it has not
// been given more.
func (w *watch) extend(allowed time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	until := time.Now().Add(allowed)
	if w.pauses > 0 || w.stalled != nil || until.Before(w.until) {
		return
	}
	w.until = until
	w.timer.Reset(allowed)
}

// verdict pauses the watch and returns err or, if the watch has ended the call,
// the reason instead. Then it has also waited for onStall.
func (w *watch) verdict(err error) error {
	w.pause()
	stalled := w.reason()
	if stalled == nil {
		return err
	}
	<-w.done
	if err != nil {
		return stalled
	}
	return nil
}

// reason returns why the watch has ended the call, or nil.
func (w *watch) reason() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stalled
}

// end is verdict for a call that is over.
func (w *watch) end(err error) error {
	defer w.cancel(nil)
	return w.verdict(err)
}
