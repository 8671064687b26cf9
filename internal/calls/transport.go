package calls

import (
	"io/fs"
	"net/http"
	"sync/atomic"
)

const (
	// idleConnections is how many connections to a host wait for the next
	// request. Fewer than requests at a time would have most of them dial anew.
	idleConnections = 256
	// socketBuffer is that of connections, in bytes: the default of 4 KiB takes
	// several times as many system calls.
	socketBuffer = 64 << 10
)

// Transport sends the requests of a backend until it is closed.
type Transport struct {
	next   http.RoundTripper
	idle   func() // closes idle connections
	closed atomic.Bool
}

// NewTransport returns a transport that sends requests by what the application
// has given. If that is nil, it has connections of its own, which are like those
// of [http.DefaultTransport] and which adapt, unless nil, changes before their
// first use.
func NewTransport(given http.RoundTripper, adapt func(*http.Transport)) *Transport {
	if given != nil {
		return &Transport{next: given, idle: func() {}}
	}
	own := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	if standard, ok := http.DefaultTransport.(*http.Transport); ok {
		own = standard.Clone()
	}
	own.MaxIdleConns, own.MaxIdleConnsPerHost = 0, idleConnections
	own.ReadBufferSize, own.WriteBufferSize = socketBuffer, socketBuffer
	own.DisableCompression = true // what is hashed must arrive as it is stored
	if adapt != nil {
		adapt(own)
	}
	return &Transport{next: own, idle: own.CloseIdleConnections}
}

// RoundTrip implements [http.RoundTripper]. After Close it returns
// [fs.ErrClosed].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.closed.Load() {
		if req.Body != nil {
			_ = req.Body.Close() // as a RoundTripper must
		}
		return nil, fs.ErrClosed
	}
	resp, err := t.next.RoundTrip(req)
	if t.closed.Load() {
		// A request that has begun before has net/http keep idle connections
		// again, such as the one that is being opened for it.
		t.idle()
	}
	return resp, err
}

// Client returns a client that follows no redirect, which would take tokens and
// signatures to another host.
func (t *Transport) Client() *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Close closes idle connections of its own, and allows no further requests. It
// may be called again.
func (t *Transport) Close() {
	t.closed.Store(true)
	t.idle()
}
