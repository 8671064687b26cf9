package wrap

import (
	"maps"
	"sync"
	"time"
)

// Stats add up what happened at one or more backends.
type Stats struct {
	// Calls is the number of finished operations by their name, which is that
	// of [backend.Error]; Failures is how many of them failed.
	Calls, Failures map[string]int64
	// BytesIn were read from stores, BytesOut sent to them.
	BytesIn, BytesOut int64
	// Requests is the number of requests that drivers reported.
	Requests int64
	// Retries is how often something was tried again.
	Retries int64
	// Waited is the time spent waiting for a turn and before retries, summed
	// over operations that ran at the same time.
	Waited time.Duration
}

// Counter adds up what it observes. The zero value is ready. It may be used by
// several backends at the same time.
type Counter struct {
	mu    sync.Mutex
	stats Stats
}

// Observer returns an observer that counts in c.
func (c *Counter) Observer() Observer { return Observer{Done: c.add} }

// Stats returns what has been counted so far. Operations under way, readers
// that are not closed among them, are not.
func (c *Counter) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Calls, s.Failures = maps.Clone(s.Calls), maps.Clone(s.Failures)
	return s
}

func (c *Counter) add(r Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.stats
	if s.Calls == nil {
		s.Calls, s.Failures = map[string]int64{}, map[string]int64{}
	}
	s.Calls[r.Op]++
	if r.Failed {
		s.Failures[r.Op]++
	}
	s.BytesIn += r.BytesIn
	s.BytesOut += r.BytesOut
	s.Requests += r.Requests
	s.Retries += r.Retries
	s.Waited += r.Waited
}
