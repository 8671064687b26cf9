// Package calls has what the calls of different backends have in common: they end
// with their context and with the backend, they go through connections that end
// with it too, they do something for many digests at a time, they wait, their
// errors name what they were about, and diagnoses tell what they find.
package calls

import (
	"context"
	"fmt"
	"io/fs"
	"time"
)

// Life is the time in which the calls of a backend are made: from [NewLife] to
// End.
type Life struct {
	ctx context.Context
	end context.CancelFunc
}

// NewLife begins a life. The context gives it its values, and not its end.
func NewLife(ctx context.Context) Life {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	return Life{ctx, end}
}

// End ends the calls that are under way and allows no others. It may be called
// again.
func (l Life) End() { l.end() }

// Ended returns why no call can be made, [fs.ErrClosed] or the error of the
// context, or nil.
func (l Life) Ended(ctx context.Context) error {
	if l.ctx.Err() != nil {
		return fs.ErrClosed
	}
	return ctx.Err()
}

// Begin returns the context of a call: it ends with ctx, with the life, and with
// end.
func (l Life) Begin(ctx context.Context) (merged context.Context, end context.CancelFunc, err error) {
	if err := l.Ended(ctx); err != nil {
		return nil, nil, err
	}
	merged, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.ctx, cancel)
	return merged, func() { stop(); cancel() }, nil
}

// Call runs do with the context of a call.
func (l Life) Call(ctx context.Context, do func(context.Context) error) error {
	merged, end, err := l.Begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	return l.Reason(ctx, do(merged))
}

// Reason returns why a call with the given context failed: the end of that or of
// the life comes before what it has caused.
func (l Life) Reason(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if end := l.Ended(ctx); end != nil {
		return fmt.Errorf("%w: %w", end, err)
	}
	return err
}

// Pause waits, unless the context ends first.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
