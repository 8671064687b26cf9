package ghaserver

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// artifactPath is where the protocol's first version is.
const artifactPath = "/_apis/artifactcache/"

// retirement is what github.com says of the first version since 2025-04-15
// (docker/build-push-action#1345).
const retirement = "This legacy service is shutting down, effective April 15, 2025. Migrate to the new service ASAP."

// complaint is an answer of the first version that reports an error.
type complaint struct {
	status  int
	retryIn time.Duration

	ID        string  `json:"$id"`
	Inner     *string `json:"innerException"`
	Message   string  `json:"message"`
	TypeName  string  `json:"typeName"`
	TypeKey   string  `json:"typeKey"`
	ErrorCode int     `json:"errorCode"`
	EventID   int     `json:"eventId"`
}

func complain(status int, key, format string, args ...any) *complaint {
	return &complaint{
		status: status, ID: "1", Message: fmt.Sprintf(format, args...), TypeKey: key, EventID: 3000,
		TypeName: "Microsoft.Azure.DevOps.ArtifactCache.WebApi." + key + ", Microsoft.Azure.DevOps.ArtifactCache.WebApi",
	}
}

func (c *complaint) write(w http.ResponseWriter, q Quirks) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if c.retryIn > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(c.retryIn.Seconds()))))
	}
	writeError(w, q, c.status, c.Message, func() { _ = json.NewEncoder(w).Encode(c) }) // or the client has gone
}

// serveArtifacts answers a request of the first version.
func (s *Server) serveArtifacts(w http.ResponseWriter, r *http.Request) {
	status, body, c := s.artifacts(r)
	switch {
	case c != nil:
		drain(r)
		c.write(w, s.options.Quirks)
	case body == nil:
		w.WriteHeader(status)
	default:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body) // or the client has gone
	}
}

// artifacts finds out what is asked for.
func (s *Server) artifacts(r *http.Request) (status int, body any, c *complaint) {
	if s.options.Retired {
		return 0, nil, complain(http.StatusUnprocessableEntity, "RetiredException", "%s", retirement)
	}
	if !strings.Contains(r.Header.Get("Accept"), "api-version=") {
		return 0, nil, complain(http.StatusBadRequest, "VssVersionNotSpecifiedException", "No api-version was supplied for the request.")
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	scopes, err := s.scopes(token)
	if err != nil {
		return 0, nil, complain(http.StatusUnauthorized, "UnauthorizedRequestException", "%v", err)
	}
	path := strings.TrimPrefix(r.URL.Path, artifactPath)
	id, isEntry := strings.CutPrefix(path, "caches/")
	switch {
	case r.Method == http.MethodGet && path == "cache":
		return s.artifactLookup(scopes, r.Host, r.URL.Query())
	case r.Method == http.MethodGet && path == "caches":
		return s.artifactList(scopes, r.URL.Query().Get("key"))
	case r.Method == http.MethodPost && path == "caches":
		return s.artifactReserve(scopes, r)
	case r.Method == http.MethodPatch && isEntry:
		return s.artifactChunk(scopes, id, r)
	case r.Method == http.MethodPost && isEntry:
		return s.artifactCommit(scopes, id, r)
	default:
		return 0, nil, complain(http.StatusNotFound, "VssResourceNotFoundException", "no route for %s %q", r.Method, r.URL.Path)
	}
}

// found is what the first version tells of an entry.
type found struct {
	Result   string    `json:"result,omitempty"`
	Key      string    `json:"cacheKey"`
	Scope    string    `json:"scope"`
	Version  string    `json:"cacheVersion"`
	Created  time.Time `json:"creationTime"`
	Location string    `json:"archiveLocation,omitempty"`
}

func tell(e *entry) found {
	return found{Key: e.key, Scope: e.scope, Version: e.version, Created: e.created.UTC()}
}

// artifactLookup finds an entry. A miss is an empty answer.
func (s *Server) artifactLookup(scopes []Scope, host string, q url.Values) (status int, body any, c *complaint) {
	refs := readable(scopes)
	if len(refs) == 0 {
		return 0, nil, complain(http.StatusForbidden, "AccessDeniedException", "cache read denied: the token may not read")
	}
	keys := strings.Split(q.Get("keys"), ",")
	if c := checkKeys(keys); c != nil {
		return 0, nil, c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.find(refs, s.folded(keys), q.Get("version"))
	if e == nil {
		return http.StatusNoContent, nil, nil
	}
	e.used = s.options.Now()
	f := tell(e)
	f.Result = "hit"
	f.Location = s.signedURL(host, e, "r", s.options.DownloadLife)
	return http.StatusOK, f, nil
}

// artifactList lists the entries that can be read, for the debug output of
// GitHub's client.
func (s *Server) artifactList(scopes []Scope, prefix string) (status int, body any, c *complaint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []found{}
	for _, e := range s.sorted() {
		if slices.Contains(readable(scopes), e.scope) && strings.HasPrefix(e.key, prefix) && s.visible(e) != nil {
			all = append(all, tell(e))
		}
	}
	return http.StatusOK, map[string]any{"totalCount": len(all), "artifactCaches": all}, nil
}

func checkKeys(keys []string) *complaint {
	if slices.ContainsFunc(keys, badKey) {
		return complain(http.StatusBadRequest, "InvalidCacheKeyException", "key is invalid: want 1 to %d characters without commas", maxKey)
	}
	return nil
}

// artifactReserve reserves an entry.
func (s *Server) artifactReserve(scopes []Scope, r *http.Request) (status int, body any, c *complaint) {
	var req struct {
		Key, Version string
		Size         int64 `json:"cacheSize"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return 0, nil, complain(http.StatusBadRequest, "VssPropertyValidationException", "the request could not be decoded")
	}
	if c := checkKeys([]string{req.Key}); c != nil {
		return 0, nil, c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	scope, ok := writable(scopes)
	switch wait := s.limit(); {
	case !ok:
		return 0, nil, complain(http.StatusForbidden, "AccessDeniedException", "cache write denied: the token may only read")
	case s.options.BudgetExhausted:
		return 0, nil, complain(http.StatusForbidden, "AccessDeniedException", "insufficient usage to upload artifacts or caches")
	case wait > 0:
		c := complain(http.StatusTooManyRequests, "RequestBlockedException", "Request was blocked due to exceeding usage of resource 'Count' in namespace 'ArtifactCache'.")
		c.retryIn = wait
		return 0, nil, c
	case s.options.Quota > 0 && req.Size > s.options.Quota:
		return 0, nil, complain(http.StatusBadRequest, "InvalidCacheSizeException", "Cache size of %d bytes is over the data cap limit.", req.Size)
	}
	e := s.reserve(identity{scope, s.folded([]string{req.Key})[0], req.Version})
	if e == nil {
		return 0, nil, complain(http.StatusConflict, "ArtifactCacheItemAlreadyExistsException", "Cache already exists. Scope: %s, Key: %s, Version: %s", scope, req.Key, req.Version)
	}
	return http.StatusCreated, map[string]int64{"cacheId": e.id}, nil
}

// reserved returns the entry with an identifier that is being written, or nil.
func (s *Server) reserved(scopes []Scope, id string) *entry {
	scope, ok := writable(scopes)
	for _, e := range s.blobs {
		if ok && strconv.FormatInt(e.id, 10) == id && e.scope == scope && !e.finalized() {
			return e
		}
	}
	return nil
}

// artifactChunk stores a part of an entry. Parts come in any order, and without
// a length.
func (s *Server) artifactChunk(scopes []Scope, id string, r *http.Request) (status int, body any, c *complaint) {
	var from, to int64
	span := r.Header.Get("Content-Range")
	if _, err := fmt.Sscanf(span, "bytes %d-%d/*", &from, &to); err != nil || from < 0 || to < from || !strings.HasSuffix(span, "/*") {
		return 0, nil, complain(http.StatusBadRequest, "InvalidRangeException", "Content-Range %q is invalid, want bytes FIRST-LAST/*", span)
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.reserved(scopes, id)
	switch {
	case e == nil:
		return 0, nil, complain(http.StatusNotFound, "CacheNotFoundException", "no cache of id %q is reserved", id)
	case int64(len(data)) != to-from+1:
		return 0, nil, complain(http.StatusBadRequest, "InvalidRangeException", "Content-Range %q does not fit %d bytes", span, len(data))
	}
	e.chunks[from] = data
	return http.StatusNoContent, nil, nil
}

// artifactCommit makes an entry visible.
func (s *Server) artifactCommit(scopes []Scope, id string, r *http.Request) (status int, body any, c *complaint) {
	var req struct{ Size int64 }
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		return 0, nil, complain(http.StatusBadRequest, "VssPropertyValidationException", "the request could not be decoded")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.reserved(scopes, id)
	if e == nil {
		return 0, nil, complain(http.StatusNotFound, "CacheNotFoundException", "no cache of id %q is reserved", id)
	}
	data := e.joined()
	if int64(len(data)) != req.Size || req.Size == 0 {
		return 0, nil, complain(http.StatusBadRequest, "InvalidCacheSizeException", "size is %d, and %d bytes are there", req.Size, len(data))
	}
	e.chunks = nil
	if s.options.Contents != nil {
		s.options.Contents.Put(e.name(), data)
	} else {
		e.data, e.uploaded = data, true
	}
	s.finalize(e)
	return http.StatusNoContent, nil, nil
}

// joined returns what the chunks make up, as far as there is no gap.
func (e *entry) joined() []byte {
	var data []byte
	for {
		next, ok := e.chunks[int64(len(data))]
		if !ok || len(next) == 0 {
			return data
		}
		data = append(data, next...)
	}
}
