package cli

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/blob"
)

// meter adds up the steps of a transfer. What a step costs is a lock and an
// entry of a map, for at least some ten kilobytes each: nothing is printed in
// its course.
type meter struct {
	mu    sync.Mutex
	gauge []gauge
}

// gauge is the state of the transfer to one target.
type gauge struct {
	planned, done, reused larder.Count
	// moving has the bytes read of each blob that is under way.
	moving map[blob.Digest]int64
	moved  int64
}

func newMeter(targets int) *meter {
	m := &meter{gauge: make([]gauge, targets)}
	for i := range m.gauge {
		m.gauge[i].moving = make(map[blob.Digest]int64)
	}
	return m
}

// step is a larder.Progress.
func (m *meter) step(s larder.Step) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := &m.gauge[s.Target]
	before, moving := g.moving[s.Blob]
	switch {
	case s.Kind == larder.StepPlanned:
		g.planned.Blobs++
		g.planned.Bytes += s.Bytes
		g.moving[s.Blob] = 0
	case s.Kind == larder.StepMoved && moving:
		g.moving[s.Blob] += s.Bytes
		g.moved += s.Bytes
	case s.Kind == larder.StepMoved: // What is closed after its end.
	case moving:
		g.moved -= before
		delete(g.moving, s.Blob)
		g.finish(s)
	case s.Kind == larder.StepReused, s.Kind == larder.StepMounted:
		g.reused.Blobs++
		g.reused.Bytes += s.Bytes
	}
}

// finish counts a planned blob that has come to its end.
func (g *gauge) finish(s larder.Step) {
	g.done.Blobs++
	g.done.Bytes += s.Bytes
	if s.Kind == larder.StepReused || s.Kind == larder.StepMounted {
		g.reused.Blobs++
		g.reused.Bytes += s.Bytes
	}
}

// read returns the state of one target.
func (m *meter) read(target int) state {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.gauge[target]
	bytes := min(max(g.done.Bytes+g.moved, 0), g.planned.Bytes)
	return state{planned: g.planned, done: larder.Count{Blobs: g.done.Blobs, Bytes: bytes}, reused: g.reused}
}

// state is how far the transfer to a target has come.
type state struct {
	planned, done, reused larder.Count
	// rate is in bytes per second.
	rate float64
}

// idle reports whether there is nothing to be seen.
func (s state) idle() bool { return s.done.Blobs == s.planned.Blobs }

// remaining returns the time that is left at the present rate; false if nobody
// knows.
func (s state) remaining() (time.Duration, bool) {
	left := float64(s.planned.Bytes - s.done.Bytes)
	if s.rate < 1 || left/s.rate > 100*time.Hour.Seconds() {
		return 0, false
	}
	return time.Duration(math.Ceil(left/s.rate)) * time.Second, true
}

// String says everything about the state in a line.
func (s state) String() string {
	return fmt.Sprintf("%d of %s, %s", s.done.Blobs, count(s.planned.Blobs, "blob"), s.brief())
}

// brief says what fits beside a bar on a terminal of 80 columns.
func (s state) brief() string {
	if s.planned.Blobs == 0 && s.reused.Blobs == 0 {
		return "waiting"
	}
	text := fmt.Sprintf("%s of %s", bytesText(s.done.Bytes), bytesText(s.planned.Bytes))
	if !s.idle() {
		text += ", " + bytesText(int64(s.rate)) + "/s"
		if left, ok := s.remaining(); ok {
			text += ", " + left.String() + " left"
		}
	}
	if s.reused.Bytes > 0 {
		text += ", reused " + bytesText(s.reused.Bytes)
	}
	return text
}

// speed measures a rate as an average in which what was long ago counts little.
type speed struct {
	at    time.Time
	bytes int64
	// sum is the weighted sum of the rates seen, and weight that of the weights,
	// which comes close to 1 with time.
	sum, weight float64
}

// memory is how long it takes until a change of the rate shows by two thirds.
const memory = 5 * time.Second

// update takes in that so many bytes have been moved by now, and returns the
// rate in bytes per second.
func (s *speed) update(now time.Time, bytes int64) float64 {
	passed := now.Sub(s.at)
	if passed > 0 {
		current := max(float64(bytes-s.bytes), 0) / passed.Seconds()
		weight := 1 - math.Exp(-passed.Seconds()/memory.Seconds())
		s.sum += (current - s.sum) * weight
		s.weight += (1 - s.weight) * weight
		s.at, s.bytes = now, bytes
	}
	if s.weight == 0 {
		return 0
	}
	return s.sum / s.weight
}
