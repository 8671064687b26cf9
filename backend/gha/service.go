package gha

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// service is the cache service: what both versions of the protocol share.
type service struct {
	base   *url.URL
	token  string
	scopes scopes
	client *client
	now    func() time.Time
}

// message is a call of the service.
type message struct {
	op, method string
	where      *url.URL
	header     http.Header
	body       any // in JSON; nil is none
}

// call sends a message and reads its answer into a document, which stays as it
// is if the answer is empty. Errors are a [bucket.Failure] or that of the
// context.
func (s *service) call(ctx context.Context, m message, answer any) error {
	body := io.Reader(http.NoBody)
	if m.body != nil {
		data, err := json.Marshal(m.body)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, m.method, m.where.String(), body)
	if err != nil {
		return errors.New("malformed request") // the error may have a secret
	}
	if m.header != nil {
		req.Header = m.header.Clone()
	}
	if m.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.send(req, m.op)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return networkError(ctx, err)
	}
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff")))
	if len(data) > 0 && json.Unmarshal(data, answer) != nil {
		return unexpected(s.base.Host, "with a document that is no JSON")
	}
	return nil
}

// send sends a request with the token. The caller closes the answer, which is a
// success.
func (s *service) send(req *http.Request, op string) (*http.Response, error) {
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := s.client.send(req, op)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusOK && resp.StatusCode < http.StatusMultipleChoices {
		return resp, nil
	}
	return nil, s.explain(refusal(resp, s.now(), s.token))
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
	if e.Status == http.StatusUnauthorized && !s.scopes.expires.IsZero() {
		e.Hint = "the runtime token is valid until " + s.scopes.expires.UTC().Format(time.RFC3339)
	}
	return err
}

// statusOf returns the status of an answer that is an error, or 0.
func statusOf(err error) int {
	if e, ok := errors.AsType[*ResponseError](err); ok {
		return e.Status
	}
	return 0
}

// signed reads a URL that the service has made.
func (s *service) signed(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, unexpected(s.base.Host, "with a malformed URL for content")
	}
	return u, nil
}
