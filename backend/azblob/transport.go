package azblob

import (
	"io/fs"
	"net/http"
	"sync/atomic"

	"github.com/larder-build/larder/backend"
)

// connections is how many idle connections are kept: as many as there are
// requests at a time.
const connections = 64

// transport sends requests for the SDK.
type transport struct {
	host   string // the account's
	client *http.Client
	idle   func() // closes idle connections
	closed atomic.Bool
}

func newTransport(host string, given http.RoundTripper) *transport {
	t := &transport{host: host, client: &http.Client{Transport: given, CheckRedirect: refuseRedirects}, idle: func() {}}
	if given == nil {
		own := &http.Transport{Proxy: http.ProxyFromEnvironment}
		if standard, ok := http.DefaultTransport.(*http.Transport); ok {
			own = standard.Clone()
		}
		own.MaxIdleConns, own.MaxIdleConnsPerHost = 2*connections, connections
		t.client.Transport, t.idle = own, own.CloseIdleConnections
	}
	return t
}

// refuseRedirects keeps a signature in the URL from getting to another host.
// The service redirects nothing.
func refuseRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Do implements policy.Transporter. Responses stay as they are: net/http would
// otherwise decompress blobs.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	backend.TraceRequest(req.Context(), t.opOf(req))
	if req.Header.Get("Accept-Encoding") == "" {
		req.Header.Set("Accept-Encoding", "identity")
	}
	if t.closed.Load() {
		return nil, fs.ErrClosed
	}
	resp, err := t.client.Do(req)
	if t.closed.Load() {
		// A request that has begun before has net/http keep idle connections
		// again, such as the one that is being opened for it.
		t.idle()
	}
	return resp, err
}

// close ends the life of idle connections.
func (t *transport) close() {
	t.closed.Store(true)
	t.idle()
}

// opOf names a request in a word or two.
func (t *transport) opOf(req *http.Request) string {
	q := req.URL.Query()
	switch {
	case req.URL.Host != t.host: // where tokens come from
		return "token"
	case q.Get("comp") == "list":
		return "list"
	case q.Get("comp") == "metadata":
		return "touch"
	case q.Get("comp") == "block":
		return "put block"
	case q.Get("comp") == "blocklist":
		return "commit"
	case q.Get("restype") != "":
		return "container"
	}
	return map[string]string{
		http.MethodGet: "get", http.MethodHead: "head", http.MethodPut: "put", http.MethodDelete: "delete",
	}[req.Method]
}
