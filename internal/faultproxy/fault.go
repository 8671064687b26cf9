package faultproxy

import (
	"errors"
	"io"
	"net"
	"net/http"
)

// Kind is what goes wrong.
type Kind int

// The kinds of fault.
const (
	// Answer answers with Fault.Answer in place of doing what was asked.
	Answer Kind = iota
	// Reset resets the connection after Fault.After bytes of the request's
	// body or, where it has none, of the answer's.
	Reset
	// Stall moves no byte and answers nothing from there on, until the client
	// has gone or the server closes. That the client has gone may go unnoticed
	// while it still had a body to send. With After beyond the body, the
	// request is done and its answer kept back.
	Stall
	// Truncate closes the connection after Fault.After bytes of the answer's
	// body.
	Truncate
	// Lost does what was asked and resets the connection before the answer.
	Lost
)

// Fault is something that goes wrong with some of the requests.
type Fault struct {
	Kind Kind
	// Match limits the fault to requests that it accepts; it must not read the
	// body, nor call the server. Nil accepts all.
	Match func(*http.Request) bool
	// Skip lets this many requests pass first.
	Skip int
	// Times is how many requests it strikes: 0 means one, below zero all.
	Times int
	// After is how many bytes pass before Reset, Stall and Truncate strike.
	After int64
	// Answer is the answer of the kind Answer.
	Answer http.HandlerFunc
}

// Around has do answer a request under a fault; nil is none. What a fault holds
// up ends with closing. The server must have [ConnContext].
func (f *Fault) Around(closing <-chan struct{}, w http.ResponseWriter, r *http.Request, do http.HandlerFunc) {
	if f == nil {
		do(w, r)
		return
	}
	s := &strike{Fault: f, closing: closing, request: r}
	switch {
	case f.Kind == Answer:
		if r.Header.Get("Expect") == "" {
			// A client that is still sending when its connection closes may
			// miss the answer.
			_, _ = io.Copy(io.Discard, r.Body)
		}
		f.Answer(w, r)
	case f.Kind == Lost:
		do(&lostWriter{header: make(http.Header)}, r)
		s.end()
	case f.Kind == Truncate:
		do(&faultyWriter{ResponseWriter: w, left: f.After, strike: s, headers: true}, r)
		s.end() // the answer was shorter
	case r.ContentLength != 0:
		r.Body = &faultyBody{ReadCloser: r.Body, left: f.After, strike: s}
		do(&faultyWriter{ResponseWriter: w, strike: s}, r)
		s.end()
	case f.After > 0:
		do(&faultyWriter{ResponseWriter: w, left: f.After, strike: s, headers: true}, r)
		s.end()
	default:
		s.end()
	}
}

// strike is a fault that has struck a request.
type strike struct {
	*Fault

	closing <-chan struct{}
	request *http.Request
}

// wait is where a stalled request remains.
func (s *strike) wait() {
	if s.Kind != Stall {
		return
	}
	select {
	case <-s.request.Context().Done():
	case <-s.closing:
	}
}

// end ends the connection of the request, and its handler with it.
func (s *strike) end() {
	s.wait()
	c, ok := s.request.Context().Value(connKey{}).(net.Conn)
	if !ok {
		panic("the server's ConnContext is not that of faultproxy")
	}
	if tcp, ok := c.(*net.TCPConn); ok && s.Kind != Truncate {
		// Without lingering, close sends a reset.
		_ = tcp.SetLinger(0)
	}
	panic(http.ErrAbortHandler)
}

var errStruck = errors.New("a fault on purpose")

// faultyBody is a request's body that breaks off after some bytes. It may be
// read by another goroutine than the handler's.
type faultyBody struct {
	io.ReadCloser

	left   int64
	strike *strike
}

func (b *faultyBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.strike.wait()
		return 0, errStruck
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// faultyWriter is an answer that ends the connection after some bytes of its
// body, or before its headers.
type faultyWriter struct {
	http.ResponseWriter

	headers bool
	left    int64
	strike  *strike
}

func (w *faultyWriter) WriteHeader(status int) {
	if !w.headers && status >= http.StatusOK {
		w.strike.end()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *faultyWriter) Write(p []byte) (int, error) {
	if !w.headers {
		w.strike.end()
	}
	n, err := w.ResponseWriter.Write(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	if n < len(p) && err == nil {
		_ = w.FlushError() // a client that has gone needs no more
		w.strike.end()
	}
	return n, err
}

// FlushError is what [http.ResponseController] looks for.
func (w *faultyWriter) FlushError() error {
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// lostWriter takes an answer that nobody will see.
type lostWriter struct{ header http.Header }

func (w *lostWriter) Header() http.Header         { return w.header }
func (w *lostWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *lostWriter) WriteHeader(int)             {}
