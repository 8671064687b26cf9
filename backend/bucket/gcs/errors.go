package gcs

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"cloud.google.com/go/auth"
	"google.golang.org/api/googleapi"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/bucket"
	"github.com/larder-build/larder/internal/calls"
)

// Explain implements [bucket.Service].
func (s *service) Explain(err error) bucket.Meaning {
	if refused, ok := errors.AsType[*googleapi.Error](err); ok {
		refused = parsed(refused)
		kind, temporary := kindOf(refused)
		if refused.Code == http.StatusUnauthorized && s.transport != nil && s.transport.accepted.Load() {
			temporary = true // a token that has expired is followed by another
		}
		return bucket.Meaning{
			Text: s.say(refused, kind), Kind: kind, Temporary: temporary, RetryAfter: calls.RetryAfter(refused.Header, time.Now()),
		}
	}
	if token, ok := errors.AsType[*auth.Error](err); ok {
		if token.Temporary() {
			return bucket.Meaning{Kind: backend.ErrUnavailable, Temporary: true}
		}
		return bucket.Meaning{Kind: backend.ErrDenied}
	}
	return ofNetwork(err)
}

// parsed returns an answer with its errors read: the client does not for
// requests that read content.
func parsed(refused *googleapi.Error) *googleapi.Error {
	var body struct {
		Error struct {
			Message string
			Errors  []googleapi.ErrorItem
		}
	}
	if refused.Message != "" || json.Unmarshal([]byte(refused.Body), &body) != nil {
		return refused
	}
	read := *refused
	read.Message, read.Errors = body.Error.Message, body.Error.Errors
	return &read
}

// say is an answer in the service's words.
func (s *service) say(refused *googleapi.Error, kind error) string {
	var reason, credentials string
	if len(refused.Errors) > 0 {
		reason = refused.Errors[0].Reason
	}
	message := calls.OneLine(refused.Message)
	if message == "" && !strings.HasPrefix(strings.TrimSpace(refused.Body), "<") { // a page for browsers
		message = calls.OneLine(refused.Body)
	}
	if errors.Is(kind, backend.ErrDenied) {
		credentials = s.source
	}
	answer := fmt.Sprintf("%s answered %d %s", s.endpoint.Host, refused.Code, http.StatusText(refused.Code))
	return calls.Refusal(answer, reason, message, "", credentials, "")
}

// kindOf is what an answer means.
//
// Source: cloud.google.com/storage/docs/json_api/v1/status-codes.
func kindOf(refused *googleapi.Error) (kind error, temporary bool) {
	switch refused.Code {
	case http.StatusBadRequest:
		return backend.ErrInvalid, false
	case http.StatusUnauthorized:
		return backend.ErrDenied, false
	case http.StatusForbidden:
		return forbidden(refused)
	case http.StatusNotFound, http.StatusGone:
		return backend.ErrNotFound, false
	case http.StatusConflict, http.StatusPreconditionFailed:
		return backend.ErrConflict, false
	case http.StatusRequestEntityTooLarge:
		return backend.ErrTooLarge, false
	case http.StatusTooManyRequests:
		return backend.ErrLimited, true
	case http.StatusRequestTimeout:
		return backend.ErrUnavailable, true
	}
	if refused.Code >= http.StatusInternalServerError {
		return backend.ErrUnavailable, true
	}
	return nil, false
}

// forbidden tells missing rights from limits, which have the same status.
func forbidden(refused *googleapi.Error) (kind error, temporary bool) {
	for _, item := range refused.Errors {
		switch item.Reason {
		case "rateLimitExceeded", "userRateLimitExceeded":
			return backend.ErrLimited, true
		case "quotaExceeded", "dailyLimitExceeded":
			return backend.ErrLimited, false
		case "retentionPolicyNotMet", "objectUnderActiveHold":
			return backend.ErrReadOnly, false
		}
	}
	return backend.ErrDenied, false
}

// ofNetwork is what the end of a connection, or none, means.
func ofNetwork(err error) bucket.Meaning {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return bucket.Meaning{Kind: backend.ErrUnavailable}
	}
	_, isNet := errors.AsType[net.Error](err)
	_, isURL := errors.AsType[*url.Error](err)
	switch {
	case isNet, isURL, errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed),
		errors.Is(err, context.DeadlineExceeded): // one of the client's own
		return bucket.Meaning{Kind: backend.ErrUnavailable, Temporary: true}
	}
	return bucket.Meaning{}
}

// textOf returns what an error says, on one line and without URLs.
func (s *service) textOf(err error) string {
	if text := s.Explain(err).Text; text != "" {
		return text
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
