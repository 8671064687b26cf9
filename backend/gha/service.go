package gha

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// methodsPath is where the service's methods are.
const methodsPath = "twirp/github.actions.results.api.v1.CacheService/"

// service is the cache service: three methods.
type service struct {
	base      *url.URL
	token     string
	scopes    scopes
	budget    *Budget
	transport *transport
}

// query has the fields of all methods' requests.
type query struct {
	Key         string   `json:"key"`
	Version     string   `json:"version"`
	RestoreKeys []string `json:"restore_keys,omitempty"`
	Size        int64    `json:"size_bytes,omitempty"`
}

// reply has the fields of all methods' responses.
type reply struct {
	OK          bool   `json:"ok"`
	UploadURL   string `json:"signed_upload_url"`
	DownloadURL string `json:"signed_download_url"`
	MatchedKey  string `json:"matched_key"`
	Message     string `json:"message"`
}

// create reserves an entry and returns where its content goes. One that is there
// or reserved gives errExists.
func (s *service) create(ctx context.Context, key string) (*url.URL, error) {
	if err := s.budget.wait(ctx); err != nil {
		return nil, err
	}
	got, err := s.call(ctx, "create", "CreateCacheEntry", query{Key: key, Version: cacheVersion})
	if refused, ok := errors.AsType[*ResponseError](err); ok {
		if refused.Status == http.StatusConflict {
			return nil, errExists
		}
		if f, ok := errors.AsType[*bucket.Failure](err); ok && refused.Status == http.StatusTooManyRequests {
			s.budget.pause(f.RetryAfter)
		}
	}
	switch {
	case err != nil:
		return nil, err
	case got.OK:
		return s.signed(got.UploadURL)
	case got.Message != "":
		return nil, s.denied(got.Message)
	default: // how Gitea says it
		return nil, errExists
	}
}

// finalize makes an entry visible.
func (s *service) finalize(ctx context.Context, key string, size int64) error {
	got, err := s.call(ctx, "finalize", "FinalizeCacheEntryUpload", query{Key: key, Version: cacheVersion, Size: size})
	switch {
	case err != nil:
		return err
	case got.OK:
		return nil
	case got.Message != "":
		return s.denied(got.Message)
	default:
		return unexpected(s.base.Host, "that an entry of %d bytes was not finalized", size)
	}
}

// lookup returns the key of the first entry that is found, and where its content
// is; "" if none is. Each key is also the beginning of others: of those the
// newest counts.
func (s *service) lookup(ctx context.Context, keys ...string) (key string, content *url.URL, err error) {
	// Some take only restore keys for the beginning of others.
	got, err := s.call(ctx, "lookup", "GetCacheEntryDownloadURL", query{Key: keys[0], RestoreKeys: keys, Version: cacheVersion})
	if err != nil || !got.OK {
		return "", nil, err
	}
	content, err = s.signed(got.DownloadURL)
	return got.MatchedKey, content, err
}

// denied is an answer of status 200 that is none.
func (s *service) denied(message string) error {
	e := &ResponseError{Host: s.base.Host, Status: http.StatusOK, Message: clean(message)}
	kind, _ := kindOf(e)
	return &bucket.Failure{Kind: kind, Err: e}
}

// signed reads a URL that the service has made.
func (s *service) signed(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, unexpected(s.base.Host, "with a malformed URL for content")
	}
	return u, nil
}

// call calls a method. Errors of it are a [bucket.Failure].
func (s *service) call(ctx context.Context, op, method string, q query) (reply, error) {
	var got reply
	data, err := json.Marshal(q)
	if err != nil {
		return got, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base.String()+methodsPath+method, bytes.NewReader(data))
	if err != nil {
		return got, err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.transport.send(req, op)
	if err != nil {
		return got, err
	}
	if resp.StatusCode != http.StatusOK {
		return got, s.explain(refusal(resp, time.Now()))
	}
	defer func() { _ = resp.Body.Close() }()
	data, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return got, networkError(ctx, err)
	}
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &got); err != nil {
		return got, unexpected(s.base.Host, "with a document that is no JSON")
	}
	return got, nil
}

// explain adds what is known of the token to a refusal of it. A method that is
// not found is no entry that is not.
func (s *service) explain(err error) error {
	e, ok := errors.AsType[*ResponseError](err)
	if !ok {
		return err
	}
	f, _ := errors.AsType[*bucket.Failure](err)
	if e.Status == http.StatusNotFound {
		f.Kind = backend.ErrUnavailable
	}
	e.Message = strings.ReplaceAll(e.Message, s.token, "REDACTED")
	if e.Status == http.StatusUnauthorized && !s.scopes.expires.IsZero() {
		e.Hint = "the runtime token is valid until " + s.scopes.expires.UTC().Format(time.RFC3339)
	}
	return err
}
