// Package testserver has what servers in the process of a test have in common: a
// life, the distance to their clients, and the requests that they remember.
package testserver

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"
)

// TB is what a server that ends with a test needs of a testing.TB.
type TB interface {
	Helper()
	Cleanup(func())
}

// New returns a server that is not started, and that says nothing of clients
// which go away or do not trust it.
func New(handler http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	return s
}

// Life is the time in which a server answers: from NewLife to End.
type Life struct {
	ctx context.Context
	end context.CancelFunc
}

// NewLife begins a life.
func NewLife() Life {
	ctx, end := context.WithCancel(context.Background()) //nolint:forbidigo // no call governs it
	return Life{ctx, end}
}

// End ends all pauses. It may be called again.
func (l Life) End() { l.end() }

// Over is closed when the life ends.
func (l Life) Over() <-chan struct{} { return l.ctx.Done() }

// Pause is the distance between client and server: so much time passes, unless
// the request or the life ends before.
func (l Life) Pause(r *http.Request, distance time.Duration) {
	if distance == 0 {
		return
	}
	timer := time.NewTimer(distance)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-l.Over():
	}
}
