// Package strikes says which of several faults strikes: the first that fits what
// is going on, after it has let so many pass, and so often. What the faults are,
// others know.
package strikes

import "sync"

// List is a list of faults. The zero value has none. Its methods may be called
// from many goroutines.
type List[F any] struct {
	mu  sync.Mutex
	all []*entry[F]
}

type entry[F any] struct {
	fault       F
	skip, times int
}

// Add adds a fault, which lets so many that it fits pass and then strikes so many:
// 0 times mean one, less than zero all.
func (l *List[F]) Add(fault F, skip, times int) {
	if times == 0 {
		times = 1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, &entry[F]{fault, skip, times})
}

// Clear removes all faults.
func (l *List[F]) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = nil
}

// Next returns the fault that strikes what goes on now, or nil: of those that fit
// it, as fits says, the first that was added and does not let it pass. fits is not
// asked about faults that have struck as often as they should, and must not call
// the list.
func (l *List[F]) Next(fits func(*F) bool) *F {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.all {
		switch {
		case e.times == 0, !fits(&e.fault):
		case e.skip > 0:
			e.skip--
		default:
			e.times--
			return &e.fault
		}
	}
	return nil
}
