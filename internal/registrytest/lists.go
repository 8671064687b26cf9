package registrytest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

func (s *Server) listTags(w http.ResponseWriter, r *http.Request, at route) *Failure {
	s.mu.Lock()
	repo, ok := s.repos[at.repo]
	var tags []string
	if ok {
		tags = slices.Clone(repo.order)
	}
	s.mu.Unlock()
	if !ok {
		return errNameUnknown(at.repo)
	}
	if !s.options.UnsortedTags {
		slices.Sort(tags)
		var f *Failure
		if tags, f = s.page(w, r, tags); f != nil {
			return f
		}
	}
	return writeJSON(w, map[string]any{"name": at.repo, "tags": append([]string{}, tags...)})
}

func (s *Server) catalog(w http.ResponseWriter, r *http.Request) *Failure {
	s.mu.Lock()
	names := sortedKeys(s.repos)
	s.mu.Unlock()
	names, f := s.page(w, r, names)
	if f != nil {
		return f
	}
	return writeJSON(w, map[string]any{"repositories": append([]string{}, names...)})
}

// page returns the part of a sorted list that was asked for, and points to the
// next one by a Link header (RFC 8288).
func (s *Server) page(w http.ResponseWriter, r *http.Request, all []string) ([]string, *Failure) {
	q := r.URL.Query()
	n := len(all)
	if text := q.Get("n"); text != "" {
		asked, err := strconv.Atoi(text)
		if err != nil || asked < 0 {
			return nil, errPaginationNumber(text)
		}
		n = asked
	}
	if limit := s.options.PageSize; limit > 0 {
		n = min(n, limit)
	}
	if last := q.Get("last"); last != "" {
		i, found := slices.BinarySearch(all, last)
		if found {
			i++
		}
		all = all[i:]
	}
	if n == 0 || n >= len(all) {
		return all[:min(n, len(all))], nil
	}
	next := url.Values{"n": {strconv.Itoa(n)}, "last": {all[n-1]}}
	w.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, r.URL.Path, next.Encode()))
	return all[:n], nil
}
