package testserver

import (
	"slices"
	"sync"
)

// Log remembers requests, and what kinds of operations they are. Its methods may
// be called at any time from many goroutines.
type Log[Request any, Op comparable] struct {
	op func(Request) Op

	mu  sync.Mutex
	all []*Request
}

// NewLog returns a log of requests whose operation op returns.
func NewLog[Request any, Op comparable](op func(Request) Op) *Log[Request, Op] {
	return &Log[Request, Op]{op: op}
}

// Note adds a request, and returns where it is remembered.
func (l *Log[Request, Op]) Note(r Request) *Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, &r)
	return &r
}

// Change has change put down what else becomes of a request that was noted.
func (l *Log[Request, Op]) Change(r *Request, change func(*Request)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(r)
}

// Requests returns a copy of the requests so far, in the order in which they were
// noted.
func (l *Log[Request, Op]) Requests() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Request, len(l.all))
	for i, r := range l.all {
		all[i] = *r
	}
	return all
}

// Count returns how many requests there were with one of these operations, or
// at all if none is named.
func (l *Log[Request, Op]) Count(ops ...Op) int {
	n := 0
	for _, r := range l.Requests() {
		if len(ops) == 0 || slices.Contains(ops, l.op(r)) {
			n++
		}
	}
	return n
}

// Forget forgets the requests so far.
func (l *Log[Request, Op]) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = nil
}
