package registrytest

import (
	"io"
	"net/http"

	"github.com/larder-build/larder/internal/faultproxy"
	"github.com/larder-build/larder/internal/testserver"
)

// The kinds of fault are those of package faultproxy.
const (
	Answer   = faultproxy.Answer
	Reset    = faultproxy.Reset
	Stall    = faultproxy.Stall
	Truncate = faultproxy.Truncate
	Lost     = faultproxy.Lost
)

// Fault is something that goes wrong with some of the requests.
type Fault struct {
	Kind faultproxy.Kind
	// Op limits the fault to one kind of request, Match to what it accepts; it
	// must not call the server. With neither every request counts, those for
	// tokens and to the storage service included.
	Op    Op
	Match func(Request) bool
	// Skip lets this many requests pass first.
	Skip int
	// Times is how many requests it strikes: 0 means one, below zero all.
	Times int
	// After is how many bytes pass before Reset, Stall and Truncate strike.
	After int64
	// Failure is the answer of Answer.
	Failure Failure
}

// Inject adds a fault. Of several that fit a request the first added strikes.
func (s *Server) Inject(f Fault) { s.faults.Add(f, f.Skip, f.Times) }

// Heal removes all faults.
func (s *Server) Heal() { s.faults.Clear() }

// strike returns the fault that strikes a request, or nil.
func (s *Server) strike(r Request) *Fault {
	return s.faults.Next(func(f *Fault) bool { return (f.Op == "" || f.Op == r.Op) && (f.Match == nil || f.Match(r)) })
}

// around answers a request under a fault; nil is none.
func (f *Fault) around(closing <-chan struct{}, w http.ResponseWriter, r *http.Request, do http.HandlerFunc) {
	var fault *faultproxy.Fault
	if f != nil {
		answer := func(w http.ResponseWriter, _ *http.Request) { f.Failure.write(w) }
		fault = &faultproxy.Fault{Kind: f.Kind, After: f.After, Answer: answer}
	}
	fault.Around(closing, w, r, do)
}

// notedWriter notes the answer in the list of requests.
type notedWriter struct {
	http.ResponseWriter
	log   *testserver.Log[Request, Op]
	entry *Request
}

func (w *notedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *notedWriter) WriteHeader(status int) {
	w.note(status, 0)
	w.ResponseWriter.WriteHeader(status)
}

func (w *notedWriter) Write(p []byte) (int, error) {
	w.note(http.StatusOK, len(p))
	return w.ResponseWriter.Write(p)
}

func (w *notedWriter) note(status, n int) {
	w.log.Change(w.entry, func(r *Request) {
		if r.Status == 0 {
			r.Status = status
		}
		r.Sent += int64(n)
	})
}

// notedBody notes how much of a request's body was read.
type notedBody struct {
	io.ReadCloser
	log   *testserver.Log[Request, Op]
	entry *Request
}

func (b *notedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.log.Change(b.entry, func(r *Request) { r.Received += int64(n) })
	return n, err
}
