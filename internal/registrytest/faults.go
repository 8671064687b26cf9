package registrytest

import (
	"io"
	"net"
	"net/http"
)

// Kind is what goes wrong.
type Kind int

// The kinds of fault.
const (
	// Answer answers with Fault.Failure in place of doing what was asked.
	Answer Kind = iota
	// Reset resets the connection after Fault.After bytes of the request's
	// body or, where it has none, of the answer's.
	Reset
	// Stall moves no byte and answers nothing from there on, until the client
	// has gone or the server closes. That the client has gone may go unnoticed
	// while it still had a body to send.
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
func (s *Server) Inject(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Heal removes all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// strike returns the fault that strikes a request, or nil.
func (s *Server) strike(r Request) *Fault {
	for _, f := range s.faults {
		switch {
		case f.Op != "" && f.Op != r.Op, f.Match != nil && !f.Match(r), f.Times == 0:
		case f.Skip > 0:
			f.Skip--
		default:
			f.Times--
			return f
		}
	}
	return nil
}

// around answers a request under a fault; nil is none.
func (f *Fault) around(s *Server, w http.ResponseWriter, r *http.Request, do http.HandlerFunc) {
	if f == nil {
		do(w, r)
		return
	}
	end := func() { f.end(s, r) }
	switch {
	case f.Kind == Answer:
		f.Failure.write(w)
	case f.Kind == Lost:
		do(&lostWriter{header: make(http.Header)}, r)
		end()
	case f.Kind == Truncate:
		do(&faultyWriter{ResponseWriter: w, left: f.After, end: end, headers: true}, r)
		end() // the answer was shorter
	case r.ContentLength != 0:
		r.Body = &faultyBody{ReadCloser: r.Body, left: f.After, end: end}
		do(&faultyWriter{ResponseWriter: w, end: end}, r)
	case f.After > 0:
		do(&faultyWriter{ResponseWriter: w, left: f.After, end: end, headers: true}, r)
		end()
	default:
		end()
	}
}

// end ends the connection of a request, and the handler with it.
func (f *Fault) end(s *Server, r *http.Request) {
	c, err := conn(r)
	if err != nil {
		panic(err)
	}
	if f.Kind == Stall {
		select {
		case <-r.Context().Done():
		case <-s.closing.Done():
		}
	}
	if tcp, ok := c.(*net.TCPConn); ok && f.Kind != Truncate {
		// Without lingering, close sends a reset.
		_ = tcp.SetLinger(0)
	}
	panic(http.ErrAbortHandler)
}

// faultyBody is a request's body that ends the connection after some bytes.
type faultyBody struct {
	io.ReadCloser
	left int64
	end  func()
}

func (b *faultyBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.end()
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
	end     func()
}

func (w *faultyWriter) WriteHeader(status int) {
	if !w.headers {
		w.end()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *faultyWriter) Write(p []byte) (int, error) {
	if !w.headers {
		w.end()
	}
	n, err := w.ResponseWriter.Write(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	if n < len(p) && err == nil {
		err = http.NewResponseController(w.ResponseWriter).Flush()
		w.end()
	}
	return n, err
}

// lostWriter takes an answer that nobody will see.
type lostWriter struct{ header http.Header }

func (w *lostWriter) Header() http.Header         { return w.header }
func (w *lostWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *lostWriter) WriteHeader(int)             {}

// notedWriter notes the answer in the list of requests.
type notedWriter struct {
	http.ResponseWriter
	server *Server
	entry  *Request
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
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	if w.entry.Status == 0 {
		w.entry.Status = status
	}
	w.entry.Sent += int64(n)
}

// notedBody notes how much of a request's body was read.
type notedBody struct {
	io.ReadCloser
	server *Server
	entry  *Request
}

func (b *notedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.server.mu.Lock()
	defer b.server.mu.Unlock()
	b.entry.Received += int64(n)
	return n, err
}
