package gha

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// DefaultAPI is where GitHub's REST API is.
const DefaultAPI = "https://api.github.com/"

// restPage is how many entries a page has: as many as it can.
const restPage = 100

// rest is the part of GitHub's REST API that is about entries. It knows those of
// all scopes, as soon as they are finalized.
//
// Source: docs.github.com/rest/actions/cache.
type rest struct {
	base   *url.URL // of the repository's actions
	token  string
	client *client
	now    func() time.Time
}

// newREST returns nil if there is no token for it, or if the runtime token does
// not tell which scopes are meant.
func newREST(o Options, s scopes, c *client) (*rest, error) {
	if o.APIToken == "" {
		return nil, nil
	}
	if o.Repository == "" {
		return nil, &missingError{attribute: "repository", variable: envRepository}
	}
	if checkRepository(o.Repository) != nil {
		return nil, fmt.Errorf("%w: attribute repository: %w", backend.ErrInvalid, checkRepository(o.Repository))
	}
	address := o.API
	if address == "" {
		address = DefaultAPI
	}
	u, err := parseURL(address)
	if err != nil {
		return nil, fmt.Errorf("%w: attribute api_url: %w", backend.ErrInvalid, err)
	}
	if !s.known {
		return nil, nil
	}
	return &rest{base: u.JoinPath("repos", o.Repository, "actions"), token: o.APIToken, client: c, now: o.Now}, nil
}

// restEntry is an entry as the REST API has it.
type restEntry struct {
	ID      int64     `json:"id"`
	Ref     string    `json:"ref"`
	Key     string    `json:"key"`
	Version string    `json:"version"`
	Created time.Time `json:"created_at"`
	Size    int64     `json:"size_in_bytes"`
}

// page is one of a listing.
type page struct {
	Total   int         `json:"total_count"`
	Entries []restEntry `json:"actions_caches"`
}

// entries returns the entries whose keys begin with a prefix, of one ref or of
// all (""), in the order of their creation. If that takes more than so many
// pages, unless that is 0, it returns false after the first.
//
// Entries that go while pages are read hide others from the next page; then it
// begins again, and keeps what it has seen.
func (r *rest) entries(ctx context.Context, prefix, ref string, pages int) (all []restEntry, ok bool, err error) {
	seen := map[int64]bool{}
	total := 0
	for number := 1; ; number++ {
		got, err := r.page(ctx, prefix, ref, number)
		if err != nil {
			return nil, false, err
		}
		if number == 1 && pages > 0 && got.Total > pages*restPage {
			return nil, false, nil
		}
		for _, e := range got.Entries {
			if !seen[e.ID] && e.Version == cacheVersion {
				seen[e.ID] = true
				all = append(all, e)
			}
		}
		switch {
		case got.Total < total:
			number, total = 0, 0
		case len(got.Entries) < restPage:
			return all, true, nil
		default:
			total = got.Total
		}
	}
}

func (r *rest) page(ctx context.Context, prefix, ref string, number int) (page, error) {
	q := url.Values{
		"key": {prefix}, "sort": {"created_at"}, "direction": {"asc"},
		"per_page": {strconv.Itoa(restPage)}, "page": {strconv.Itoa(number)},
	}
	if ref != "" {
		q.Set("ref", ref)
	}
	var got page
	err := r.call(ctx, http.MethodGet, "caches", q, &got)
	return got, err
}

// remove deletes an entry. One that is not there is a success.
func (r *rest) remove(ctx context.Context, e restEntry) error {
	err := r.call(ctx, http.MethodDelete, "caches/"+strconv.FormatInt(e.ID, 10), nil, nil)
	if errors.Is(err, backend.ErrNotFound) {
		return nil
	}
	return err
}

// call sends a request, and reads its answer into a document unless that is nil.
func (r *rest) call(ctx context.Context, method, path string, q url.Values, answer any) error {
	where := r.base.JoinPath(path)
	where.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, method, where.String(), http.NoBody)
	if err != nil {
		return errors.New("malformed request")
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	resp, err := r.client.send(req, "rest")
	if err != nil {
		return err
	}
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusMultipleChoices {
		return r.refusal(resp)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return networkError(ctx, err)
	case answer != nil && json.Unmarshal(data, answer) != nil:
		return unexpected(where.Host, "with a document that is no JSON")
	}
	return nil
}

// refusal translates an answer that is no success. A rate limit is one with
// status 403 too.
func (r *rest) refusal(resp *http.Response) error {
	err := refusal(resp, r.now(), r.token)
	e, _ := errors.AsType[*ResponseError](err)
	f, _ := errors.AsType[*bucket.Failure](err)
	reset, resetErr := strconv.ParseInt(resp.Header.Get("X-Ratelimit-Reset"), 10, 64)
	switch {
	case resp.Header.Get("X-Ratelimit-Remaining") == "0" && resetErr == nil:
		f.Kind, f.Temporary = backend.ErrLimited, true
		f.RetryAfter = max(time.Unix(reset, 0).Sub(r.now()), time.Second)
	case e.Status == http.StatusForbidden && resp.Request.Method == http.MethodDelete:
		e.Hint = "give the job the permission actions: write"
	case e.Status == http.StatusForbidden, e.Status == http.StatusNotFound && resp.Request.Method == http.MethodGet:
		f.Kind = backend.ErrDenied
		e.Hint = "give the job the permission actions: read, and check attribute repository"
	}
	return err
}

// Usage is how much a repository keeps, in all of its scopes.
type Usage struct {
	// Entries are how many entries there are, and Bytes how large they are. GitHub
	// counts them every five minutes or so.
	Entries int   `json:"active_caches_count"`
	Bytes   int64 `json:"active_caches_size_in_bytes"`
}

// Usage asks how much the repository keeps. Without [Options.APIToken] it returns
// ErrUnsupported.
func (b *Backend) Usage(ctx context.Context) (Usage, error) {
	var u Usage
	if b.store.rest == nil {
		return u, b.Fail("usage", "", errUnsupported("tell its usage"))
	}
	err := b.store.rest.call(ctx, http.MethodGet, "cache/usage", nil, &u)
	return u, b.Fail("usage", "", err)
}
