package ghaserver

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// servicePath is where the methods of the protocol's second version are.
const servicePath = "/twirp/github.actions.results.api.v1.CacheService/"

// versionLength is how many characters a version has: it is a digest in hex.
const versionLength = 64

// maxKey is the longest key in characters.
const maxKey = 512

// failure is an answer that reports an error, in the form of Twirp.
type failure struct {
	status  int
	Code    string `json:"code"`
	Message string `json:"msg"`
	retryIn time.Duration
}

func fail(status int, code, format string, args ...any) *failure {
	return &failure{status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// write answers with the failure.
func (f *failure) write(w http.ResponseWriter, q Quirks) {
	w.Header().Set("Content-Type", "application/json")
	if f.retryIn > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(f.retryIn.Seconds()))))
	}
	writeError(w, q, f.status, f.Message, func() { _ = json.NewEncoder(w).Encode(f) }) // or the client has gone
}

// writeError answers with an error document, unless a quirk wants another one.
func writeError(w http.ResponseWriter, q Quirks, status int, message string, document func()) {
	if q.PageErrors {
		w.Header().Set("Content-Type", "text/html")
	}
	w.WriteHeader(status)
	switch {
	case q.PageErrors:
		_, _ = fmt.Fprintf(w, "<html><body><h1>%d</h1>{'error': '%s'}</body></html>", status, html.EscapeString(message)) // or the client has gone
	case q.BOM:
		_, _ = io.WriteString(w, "\ufeff") // as above
		document()
	default:
		document()
	}
}

// request has the fields of all methods' requests.
type request struct {
	Key         string      `json:"key"`
	Version     string      `json:"version"`
	RestoreKeys []string    `json:"restore_keys"`
	Size        json.Number `json:"size_bytes"` // a number or a string

	host string // that the client has asked
}

// answer has the fields of all methods' responses. Like GitHub's, those of a
// method are there even if they are empty.
type answer map[string]any

// serveTwirp answers a call of a method.
func (s *Server) serveTwirp(w http.ResponseWriter, r *http.Request) {
	a, f := s.call(r)
	if f != nil {
		drain(r)
		f.write(w, s.options.Quirks)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a) // or the client has gone
}

func (s *Server) call(r *http.Request) (answer, *failure) {
	method := strings.TrimPrefix(r.URL.Path, servicePath)
	do, ok := map[string]func([]Scope, request) (answer, *failure){
		"CreateCacheEntry":         s.create,
		"FinalizeCacheEntryUpload": s.commit,
		"GetCacheEntryDownloadURL": s.lookup,
	}[method]
	switch media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); {
	case !ok || r.Method != http.MethodPost:
		return nil, fail(http.StatusNotFound, "bad_route", "no handler for path %q", r.URL.Path)
	case media != "application/json":
		return nil, fail(http.StatusNotFound, "bad_route", "unexpected Content-Type %q", media)
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	scopes, err := s.scopes(token)
	if err != nil {
		return nil, fail(http.StatusUnauthorized, "unauthenticated", "%v", err)
	}
	var req request
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return nil, fail(http.StatusBadRequest, "malformed", "the json request could not be decoded")
	}
	if f := req.check(); f != nil {
		return nil, f
	}
	req.host = r.Host
	req.Key, req.RestoreKeys = s.folded([]string{req.Key})[0], s.folded(req.RestoreKeys)
	s.mu.Lock()
	defer s.mu.Unlock()
	return do(scopes, req)
}

// badKey reports whether the service cannot store a key.
func badKey(key string) bool {
	return key == "" || len([]rune(key)) > maxKey || strings.Contains(key, ",")
}

// check has the service refuse what it cannot store.
func (r request) check() *failure {
	if slices.ContainsFunc(append([]string{r.Key}, r.RestoreKeys...), badKey) {
		return fail(http.StatusBadRequest, "invalid_argument", "key is invalid: want 1 to %d characters without commas", maxKey)
	}
	if len(r.Version) != versionLength {
		return fail(http.StatusBadRequest, "invalid_argument", "version is invalid: want %d characters", versionLength)
	}
	return nil
}

// create is CreateCacheEntry.
func (s *Server) create(scopes []Scope, req request) (answer, *failure) {
	scope, ok := writable(scopes)
	if !ok {
		return answer{"ok": false, "signed_upload_url": "", "message": "cache write denied: the token may only read"}, nil
	}
	if s.options.BudgetExhausted {
		return nil, fail(http.StatusForbidden, "permission_denied", "insufficient usage to upload artifacts or caches")
	}
	if wait := s.limit(); wait > 0 {
		f := fail(http.StatusTooManyRequests, "resource_exhausted", "rate limit exceeded")
		f.retryIn = wait
		return nil, f
	}
	e := s.reserve(identity{scope, req.Key, req.Version})
	switch {
	case e != nil:
		return answer{"ok": true, "signed_upload_url": s.signedURL(req.host, e, "cw", s.options.UploadLife), "message": ""}, nil
	case s.options.SoftExists:
		return answer{"ok": false}, nil
	default:
		return nil, fail(http.StatusConflict, "already_exists", "cache entry with the same key, version, and scope already exists")
	}
}

// limit counts a creation, and returns how long to wait if it is one too many.
func (s *Server) limit() time.Duration {
	if s.options.Creations == 0 {
		return 0
	}
	now := s.options.Now()
	if now.Sub(s.windowBegan) >= s.options.Per {
		s.windowBegan, s.windowCount = now, 0
	}
	if s.windowCount++; s.windowCount <= s.options.Creations {
		return 0
	}
	return s.options.Per - now.Sub(s.windowBegan)
}

// commit is FinalizeCacheEntryUpload.
func (s *Server) commit(scopes []Scope, req request) (answer, *failure) {
	scope, ok := writable(scopes)
	if !ok {
		return answer{"ok": false, "entry_id": "0", "message": "cache write denied: the token may only read"}, nil
	}
	size, err := req.Size.Int64()
	if err != nil || size <= 0 {
		return nil, fail(http.StatusBadRequest, "invalid_argument", "size_bytes is invalid: want a positive number")
	}
	e := s.entries[identity{scope, req.Key, req.Version}]
	if e == nil || e.finalized() || s.sizeOf(e) != size {
		return nil, fail(http.StatusNotFound, "not_found", "cache entry upload not found, or of another size")
	}
	s.finalize(e)
	return answer{"ok": true, "entry_id": strconv.FormatInt(e.id, 10), "message": ""}, nil
}

// lookup is GetCacheEntryDownloadURL.
func (s *Server) lookup(scopes []Scope, req request) (answer, *failure) {
	refs := readable(scopes)
	if len(refs) == 0 {
		return nil, fail(http.StatusForbidden, "permission_denied", "cache read denied: the token may not read")
	}
	e := s.find(refs, append([]string{req.Key}, req.RestoreKeys...), req.Version)
	if e == nil {
		return answer{"ok": false, "signed_download_url": "", "matched_key": ""}, nil
	}
	e.used = s.options.Now()
	return answer{"ok": true, "signed_download_url": s.signedURL(req.host, e, "r", s.options.DownloadLife), "matched_key": e.key}, nil
}
