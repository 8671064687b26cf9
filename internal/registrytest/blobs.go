package registrytest

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// storagePath is where the storage service has blobs.
const storagePath = "/storage/"

func (s *Server) getBlob(w http.ResponseWriter, r *http.Request, at route) *Failure {
	data, ok := s.lookupBlob(at)
	if !ok {
		return errBlobUnknown(at.ref)
	}
	if s.storage != nil && r.Method == http.MethodGet {
		http.Redirect(w, r, s.storageURL(at), http.StatusTemporaryRedirect)
		return nil
	}
	s.serveContent(w, r, at.ref, data)
	return nil
}

func (s *Server) lookupBlob(at route) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.existing(at.repo).blobs[digest.Digest(at.ref)]
	return data, ok
}

// serveContent sends a blob, or the range of it that was asked for.
func (s *Server) serveContent(w http.ResponseWriter, r *http.Request, d string, data []byte) {
	h := w.Header()
	h.Set("ETag", strconv.Quote(d))
	h.Set("Content-Type", "application/octet-stream")
	if r.Method != http.MethodHead || !s.options.NoDigestHeader {
		h.Set("Docker-Content-Digest", d)
	}
	if s.options.IgnoreRange {
		h.Set("Content-Length", strconv.Itoa(len(data)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(data) // a client that has gone is none of ours
		}
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

func (s *Server) deleteBlob(w http.ResponseWriter, at route) *Failure {
	if s.options.NoDelete {
		return errUnsupported()
	}
	s.mu.Lock()
	repo := s.existing(at.repo)
	_, ok := repo.blobs[digest.Digest(at.ref)]
	delete(repo.blobs, digest.Digest(at.ref))
	s.mu.Unlock()
	if !ok {
		return errBlobUnknown(at.ref)
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// storageURL is where the storage service has a blob. Its host is spelled
// unlike the registry's, because clients compare names and not ports.
func (s *Server) storageURL(at route) string {
	_, port, _ := strings.Cut(s.storage.Listener.Addr().String(), ":")
	return fmt.Sprintf("http://localhost:%s%s%s/%s?signature=valid", port, storagePath, at.repo, at.ref)
}

// serveStorage is the service that RedirectBlobs leads to.
func (s *Server) serveStorage(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, storagePath)
	i := strings.LastIndexByte(path, '/')
	at := route{op: OpStorage, repo: path[:max(i, 0)], ref: path[i+1:]}
	s.serve(w, r, at, func(w http.ResponseWriter, r *http.Request) {
		data, ok := s.lookupBlob(at)
		switch {
		case r.Header.Get("Authorization") != "":
			http.Error(w, "InvalidArgument: Only one auth mechanism allowed", http.StatusBadRequest)
		case !ok:
			http.Error(w, "NoSuchKey", http.StatusNotFound)
		default:
			s.serveContent(w, r, at.ref, data)
		}
	})
}
