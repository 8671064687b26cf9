package interop

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"
)

var rottenReg = kind{name: "registry", encoding: ociManifest, open: newRotten}

// rotten is a repository of a registry whose disk can go bad: it answers with
// what damage has left of a blob, until the blob is deleted.
type rotten struct {
	repository // by way of the server that damages

	mu  sync.Mutex
	bad map[string][]byte
}

func newRotten(t *testing.T) place {
	t.Helper()
	r := &rotten{repository: newRepository(t, openReg.name), bad: map[string][]byte{}}
	registry := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: r.host})
	registry.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
		w.WriteHeader(http.StatusBadGateway) // the client has gone
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if content := r.left(req); content != nil {
			http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(content))
			return
		}
		registry.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	return r
}

// left returns what is left of the blob that a request reads, or nil if it is
// whole.
func (r *rotten) left(req *http.Request) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	digest := path.Base(req.URL.Path)
	if req.Method == http.MethodDelete {
		delete(r.bad, digest)
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return nil
	}
	return r.bad[digest]
}

func (r *rotten) spoil(t *testing.T, digest string, d damage) {
	t.Helper()
	content := d(r.blob(t, digest))
	if content == nil {
		r.repository.spoil(t, digest, d)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bad[digest] = content
}
