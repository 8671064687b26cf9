package azblob

import (
	"net/http"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/calls"
)

// transport sends requests for the SDK.
type transport struct {
	host   string // the account's
	own    *calls.Transport
	client *http.Client
}

func newTransport(host string, given http.RoundTripper) *transport {
	own := calls.NewTransport(given, nil)
	return &transport{host: host, own: own, client: own.Client()}
}

// Do implements policy.Transporter. Responses stay as they are: net/http would
// otherwise decompress blobs.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	backend.TraceRequest(req.Context(), t.opOf(req))
	if req.Header.Get("Accept-Encoding") == "" {
		req.Header.Set("Accept-Encoding", "identity")
	}
	return t.client.Do(req)
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
