package gha

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/larder-build/larder/backend"
)

// shared is a question that many calls ask at the same time: one that was asked
// after a call has begun answers it too.
type shared struct {
	turn chan struct{}

	mu sync.Mutex
	// begun and ended count questions; ended is the number of the last one that was
	// answered, and answer what it has given.
	begun, ended int
	answer       error
}

func newShared() *shared { return &shared{turn: make(chan struct{}, 1)} }

// ask asks the question, unless somebody else does. That nothing was found is an
// answer, other errors are not.
func (q *shared) ask(ctx context.Context, question func(context.Context) error) error {
	q.mu.Lock()
	before := q.begun
	q.mu.Unlock()
	release, err := take(ctx, q.turn)
	if err != nil {
		return err
	}
	defer release()
	number, answered, err := q.begin(before)
	if answered {
		return err
	}
	err = question(ctx)
	if err == nil || errors.Is(err, backend.ErrNotFound) {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.ended, q.answer = number, err
	}
	return err
}

// begin returns the number of a question, unless one was answered that came after
// so many others.
func (q *shared) begin(before int) (number int, answered bool, answer error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended > before {
		return 0, true, q.answer
	}
	q.begun++
	return q.begun, false, nil
}

// errTurn is why a call waits for another one.
var errTurn = errors.New("another call asks where packs are, or writes that")

// take takes what one can have at a time, until it is released. The wait is told,
// as whoever has it may have to wait for others, and is then no stall.
func take(ctx context.Context, one chan struct{}) (release func(), err error) {
	for wait := firstPoll; ; wait = min(2*wait, lastPoll) {
		select {
		case one <- struct{}{}:
			return func() { <-one }, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
			backend.TraceRetry(ctx, "lookup", errTurn, min(2*wait, lastPoll))
		}
	}
}
