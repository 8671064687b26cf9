package ghaserver

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// restPath is where the REST API of the one repository is: [Repository].
const restPath = "/repos/"

// Repository is the one that the entries are of.
const Repository = "octo/cache"

// pageSize is how many entries a page has if nobody says so, and maxPage how many
// it can have.
const (
	pageSize = 30
	maxPage  = 100
)

// restPeriod is that of the limit of the REST API.
const restPeriod = time.Hour

// RESTToken returns a token for the REST API, as a job has in GITHUB_TOKEN, with
// the permission actions: read, or write.
func (s *Server) RESTToken(permission int) string {
	sum := sha256.Sum256(s.sign("rest " + strconv.Itoa(permission)))
	return "ghs_" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// problem is an answer of the REST API that reports an error.
type problem struct {
	status  int
	Message string `json:"message"`
	Docs    string `json:"documentation_url"`
	Status  string `json:"status"`
}

func trouble(status int, message string) *problem {
	return &problem{status: status, Message: message, Docs: "https://docs.github.com/rest", Status: strconv.Itoa(status)}
}

// serveREST answers a request of the REST API.
func (s *Server) serveREST(w http.ResponseWriter, r *http.Request) {
	status, body, p := s.rest(w, r)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	switch {
	case p != nil:
		drain(r)
		writeError(w, s.options.Quirks, p.status, p.Message, func() { _ = json.NewEncoder(w).Encode(p) }) // or the client has gone
	case body == nil:
		w.WriteHeader(status)
	default:
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body) // as above
	}
}

// rest finds out what is asked for, and whether that is allowed.
func (s *Server) rest(w http.ResponseWriter, r *http.Request) (status int, body any, p *problem) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	permission := 0
	for _, one := range []int{Read, Read | Write} {
		if token == s.RESTToken(one) {
			permission = one
		}
	}
	path, ours := strings.CutPrefix(r.URL.Path, restPath+Repository+"/actions/")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case token == "" || permission == 0:
		return 0, nil, trouble(http.StatusUnauthorized, "Bad credentials")
	case !s.restAllows(w.Header()):
		return 0, nil, trouble(http.StatusForbidden, "API rate limit exceeded for installation.")
	case !ours:
		return 0, nil, trouble(http.StatusNotFound, "Not Found")
	case r.Method == http.MethodDelete && permission&Write == 0:
		return 0, nil, trouble(http.StatusForbidden, "Resource not accessible by integration")
	}
	id, isOne := strings.CutPrefix(path, "caches/")
	switch {
	case r.Method == http.MethodGet && path == "caches":
		return s.restList(w, r.URL.Query())
	case r.Method == http.MethodDelete && path == "caches":
		return s.restDelete(r.URL.Query())
	case r.Method == http.MethodDelete && isOne:
		return s.restDeleteOne(id)
	case r.Method == http.MethodGet && path == "cache/usage":
		return http.StatusOK, s.restUsage(), nil
	case r.Method == http.MethodGet && path == "cache/retention-limit":
		return http.StatusOK, map[string]int{"max_cache_retention_days": 7}, nil
	case r.Method == http.MethodGet && path == "cache/storage-limit":
		return http.StatusOK, map[string]int64{"max_cache_size_gb": max(s.options.Quota>>30, 1)}, nil
	default:
		return 0, nil, trouble(http.StatusNotFound, "Not Found")
	}
}

// restAllows counts a request against the limit, and tells of it.
func (s *Server) restAllows(h http.Header) bool {
	limit := s.options.RESTRequests
	if limit == 0 {
		return true
	}
	now := s.options.Now()
	if now.Sub(s.restBegan) >= restPeriod {
		s.restBegan, s.restCount = now, 0
	}
	s.restCount++
	h.Set("X-Ratelimit-Limit", strconv.Itoa(limit))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(max(limit-s.restCount, 0)))
	h.Set("X-Ratelimit-Reset", strconv.FormatInt(s.restBegan.Add(restPeriod).Unix(), 10))
	return s.restCount <= limit
}

// listed is what the REST API tells of an entry. Those that are reserved are not
// there, and those that were finalized are at once.
type listed struct {
	ID       int64     `json:"id"`
	Ref      string    `json:"ref"`
	Key      string    `json:"key"`
	Version  string    `json:"version"`
	Accessed time.Time `json:"last_accessed_at"`
	Created  time.Time `json:"created_at"`
	Size     int64     `json:"size_in_bytes"`
}

func list(e *entry) listed {
	return listed{e.id, e.scope, e.key, e.version, e.used.UTC(), e.created.UTC(), e.size}
}

// matching returns the entries of a ref whose keys begin with a prefix.
func (s *Server) matching(ref string, is func(key string) bool) []*entry {
	if ref != "" && !strings.HasPrefix(ref, "refs/") {
		ref = "refs/heads/" + ref
	}
	return slices.DeleteFunc(s.sorted(), func(e *entry) bool { return ref != "" && e.scope != ref || !is(e.key) })
}

// restList is a page of the entries. What is deleted between two pages moves the
// others forward.
func (s *Server) restList(w http.ResponseWriter, q url.Values) (status int, body any, p *problem) {
	found := s.matching(q.Get("ref"), func(key string) bool { return strings.HasPrefix(key, q.Get("key")) })
	switch q.Get("sort") {
	case "", "last_accessed_at":
		slices.SortStableFunc(found, func(a, b *entry) int { return a.used.Compare(b.used) })
	case "created_at": // they are
	case "size_in_bytes":
		slices.SortStableFunc(found, func(a, b *entry) int { return int(a.size - b.size) })
	default:
		return 0, nil, trouble(http.StatusUnprocessableEntity, "Invalid sort")
	}
	if q.Get("direction") != "asc" {
		slices.Reverse(found)
	}
	per, page := pageSize, 1
	if n, err := strconv.Atoi(q.Get("per_page")); err == nil && n > 0 {
		per = min(n, maxPage)
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 0 {
		page = n
	}
	from := min((page-1)*per, len(found))
	to := min(from+per, len(found))
	if to < len(found) {
		q.Set("page", strconv.Itoa(page+1))
		w.Header().Set("Link", fmt.Sprintf(`<%s%s%s/actions/caches?%s>; rel="next"`, s.URL, restPath, Repository, q.Encode()))
	}
	all := []listed{}
	for _, e := range found[from:to] {
		all = append(all, list(e))
	}
	return http.StatusOK, map[string]any{"total_count": len(found), "actions_caches": all}, nil
}

// restDelete removes the entries of a key, in all refs unless one is named.
func (s *Server) restDelete(q url.Values) (status int, body any, p *problem) {
	key := q.Get("key")
	if key == "" {
		return 0, nil, trouble(http.StatusUnprocessableEntity, "Missing key")
	}
	found := s.matching(q.Get("ref"), func(other string) bool { return other == key })
	if len(found) == 0 {
		return 0, nil, trouble(http.StatusNotFound, "Not Found")
	}
	all := []listed{}
	for _, e := range found {
		all = append(all, list(e))
		s.remove(e)
	}
	return http.StatusOK, map[string]any{"total_count": len(all), "actions_caches": all}, nil
}

func (s *Server) restDeleteOne(id string) (status int, body any, p *problem) {
	for _, e := range s.sorted() {
		if strconv.FormatInt(e.id, 10) == id {
			s.remove(e)
			return http.StatusNoContent, nil, nil
		}
	}
	return 0, nil, trouble(http.StatusNotFound, "Not Found")
}

func (s *Server) restUsage() any {
	var size int64
	all := s.sorted()
	for _, e := range all {
		size += e.size
	}
	return map[string]any{"full_name": Repository, "active_caches_size_in_bytes": size, "active_caches_count": len(all)}
}
