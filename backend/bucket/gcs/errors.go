package gcs

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cloud.google.com/go/auth"
	"google.golang.org/api/googleapi"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/bucket"
)

// Explain implements [bucket.Service].
func (s *service) Explain(err error) bucket.Meaning {
	if refused, ok := errors.AsType[*googleapi.Error](err); ok {
		m := meaning(refused)
		if refused.Code == http.StatusUnauthorized && s.transport != nil && s.transport.accepted.Load() {
			m.Temporary = true // a token that has expired is followed by another
		}
		return m
	}
	if token, ok := errors.AsType[*auth.Error](err); ok {
		if token.Temporary() {
			return bucket.Meaning{Kind: backend.ErrUnavailable, Temporary: true}
		}
		return bucket.Meaning{Kind: backend.ErrDenied}
	}
	return ofNetwork(err)
}

// meaning is what an answer of the service means.
//
// Source: cloud.google.com/storage/docs/json_api/v1/status-codes.
func meaning(refused *googleapi.Error) bucket.Meaning {
	kind, temporary := kindOf(refused)
	return bucket.Meaning{Kind: kind, Temporary: temporary, RetryAfter: retryAfter(refused.Header)}
}

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

// retryAfter is how long the service asked to wait.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
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
func textOf(err error) string {
	inner := err
	if refused, ok := errors.AsType[*googleapi.Error](err); ok {
		inner = refused
	} else if u, ok := errors.AsType[*url.Error](err); ok {
		inner = u.Err
	}
	return strings.Join(strings.Fields(inner.Error()), " ")
}
