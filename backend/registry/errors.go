package registry

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/calls"
)

// ResponseError is a registry's refusal in its own words, for [errors.As].
type ResponseError struct {
	// Host is who has answered.
	Host string
	// Status is the HTTP status.
	Status int
	// Code is the registry's own, such as MANIFEST_UNKNOWN, or "".
	Code string
	// Message is what the registry says, or "".
	Message string
	// RequestID is the registry's name for the request, for its operators, or "".
	RequestID string
	// Credentials says where those that were refused have come from, or "".
	Credentials string
	// Hint is one sentence on what to do, or "".
	Hint string

	retryAfter time.Duration
}

// Error describes the refusal without any secret.
func (e *ResponseError) Error() string {
	answer := fmt.Sprintf("%s answered %d %s", e.Host, e.Status, http.StatusText(e.Status))
	return calls.Refusal(answer, e.Code, e.Message, e.RequestID, e.Credentials, e.Hint)
}

// Unwrap returns what the refusal means, one of the kinds of package backend.
func (e *ResponseError) Unwrap() error { return e.kind() }

// maxErrorBody bounds what is read of a refusal.
const maxErrorBody = 64 << 10

// responseError reads a response that is none of those wanted.
func (b *Backend) responseError(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what has come is better than nothing
	code, message := parseErrors(body)
	e := &ResponseError{
		Host: resp.Request.URL.Host, Status: resp.StatusCode, Code: code, Message: message,
		RequestID: requestID(resp.Header), retryAfter: calls.RetryAfter(resp.Header, b.opts.Now()),
	}
	if errors.Is(e, backend.ErrDenied) {
		e.Credentials = b.session.source()
	}
	e.Hint = hint(b.repo.RegistryStr(), e.Code, e.Status, e.Message)
	return e
}

// parseErrors reads the errors of a body in the form of the specification, or
// takes a body in plain text for the message.
func parseErrors(body []byte) (code, message string) {
	var parsed struct {
		Errors []struct {
			Code    string
			Message string
			Detail  any
		}
		Message string
	}
	switch err := json.Unmarshal(body, &parsed); {
	case err == nil && len(parsed.Errors) > 0:
		first := parsed.Errors[0]
		return first.Code, calls.OneLine(withDetail(first.Message, first.Detail))
	case err == nil:
		return "", calls.OneLine(parsed.Message)
	case strings.HasPrefix(strings.TrimSpace(string(body)), "<"): // a page for browsers
		return "", ""
	default:
		return "", calls.OneLine(string(body))
	}
}

// withDetail adds a detail that is a text or a small object: some registries
// say there what matters.
func withDetail(message string, detail any) string {
	if detail == nil || detail == "" {
		return message
	}
	text, isText := detail.(string)
	if !isText {
		data, err := json.Marshal(detail)
		if err != nil || len(data) <= 2 { // {} or []
			return message
		}
		text = string(data)
	}
	if strings.Contains(message, text) {
		return message
	}
	return strings.TrimPrefix(message+": "+text, ": ")
}

// requestID returns the registry's name for a request.
func requestID(h http.Header) string {
	for _, key := range []string{"X-Request-Id", "X-Amzn-Requestid", "X-Github-Request-Id", "X-Ms-Correlation-Request-Id", "Docker-Request-Id"} {
		if id := h.Get(key); id != "" {
			return calls.OneLine(id)
		}
	}
	return ""
}

// kinds are those of the specification's codes, and of codes that some
// registries add.
var kinds = map[string]error{
	"BLOB_UNKNOWN":          backend.ErrNotFound,
	"BLOB_UPLOAD_INVALID":   backend.ErrUnavailable,
	"BLOB_UPLOAD_UNKNOWN":   backend.ErrUnavailable,
	"DENIED":                backend.ErrDenied,
	"DIGEST_INVALID":        backend.ErrCorrupt,
	"MANIFEST_BLOB_UNKNOWN": backend.ErrNotFound,
	"MANIFEST_INVALID":      backend.ErrInvalid,
	"MANIFEST_UNKNOWN":      backend.ErrNotFound,
	"MANIFEST_UNVERIFIED":   backend.ErrInvalid,
	"NAME_INVALID":          backend.ErrInvalid,
	"NAME_UNKNOWN":          backend.ErrNotFound,
	"NOT_FOUND":             backend.ErrNotFound,
	"RANGE_INVALID":         backend.ErrUnavailable,
	"SIZE_INVALID":          backend.ErrCorrupt,
	"TAG_INVALID":           backend.ErrInvalid,
	"TOOMANYREQUESTS":       backend.ErrLimited,
	"UNAUTHORIZED":          backend.ErrDenied,
	"UNAVAILABLE":           backend.ErrUnavailable,
	"UNSUPPORTED":           backend.ErrUnsupported,
}

// words tell kinds by what messages say, because registries use one code for
// several things: ECR and Harbor refuse a write to an immutable tag as if it
// were malformed or forbidden, Harbor and Quay a full quota as if it were
// forbidden.
var words = []struct {
	text string
	kind error
}{
	{"immutable", backend.ErrExists},
	{"cannot be overwritten", backend.ErrExists},
	{"does not allow updating", backend.ErrExists}, // Nexus: GoogleContainerTools/jib#3057
	{"configured upper limit", backend.ErrLimited}, // Harbor: goharbor/harbor#17390
	{"403 forbidden", backend.ErrDenied},           // Artifactory: GoogleContainerTools/kaniko#1095
	{"quota", backend.ErrLimited},
	{"rate limit", backend.ErrLimited},
	{"read-only", backend.ErrReadOnly},
	{"read only", backend.ErrReadOnly},
}

// kind tells what a refusal means: by its words, by its code, and for want of
// both by its status.
func (e *ResponseError) kind() error {
	if e.Status < http.StatusInternalServerError {
		message := strings.ToLower(e.Message)
		for _, w := range words {
			if strings.Contains(message, w.text) {
				return w.kind
			}
		}
		if kind, ok := kinds[strings.ToUpper(e.Code)]; ok {
			return kind
		}
	}
	return kindOfStatus(e.Status)
}

func kindOfStatus(status int) error {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return backend.ErrDenied
	case status == http.StatusNotFound, status == http.StatusGone:
		return backend.ErrNotFound
	case status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented:
		return backend.ErrUnsupported
	case status == http.StatusRequestEntityTooLarge:
		return backend.ErrTooLarge
	case status == http.StatusTooManyRequests, status == http.StatusInsufficientStorage:
		return backend.ErrLimited
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return backend.ErrConflict
	case status >= http.StatusInternalServerError, status == http.StatusRequestTimeout:
		return backend.ErrUnavailable
	case status >= http.StatusBadRequest:
		return backend.ErrInvalid
	default: // a success that is not the one expected, a redirect that leads nowhere
		return backend.ErrUnavailable
	}
}

// temporary reports whether the same request may succeed later.
func (e *ResponseError) temporary() bool {
	switch strings.ToUpper(e.Code) {
	case "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "RANGE_INVALID": // the next attempt is a new upload
		return errors.Is(e.kind(), backend.ErrUnavailable)
	}
	switch e.Status {
	case http.StatusNotImplemented, http.StatusInsufficientStorage, http.StatusHTTPVersionNotSupported:
		return false
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusTooEarly:
		return true
	default:
		return e.Status >= http.StatusInternalServerError || strings.EqualFold(e.Code, "TOOMANYREQUESTS")
	}
}

// authError translates an error of a ping or of an exchange for a token.
func (s *session) authError(err error, source string) error {
	// On this machine both protocols are tried: what is wrong with HTTPS says
	// more than that the same port does not speak HTTP.
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return calls.NetworkError(certificate)
	}
	refused, ok := errors.AsType[*transport.Error](err)
	if !ok {
		return calls.NetworkError(err)
	}
	e := &ResponseError{Host: s.repo.RegistryStr(), Status: refused.StatusCode, Credentials: source}
	if refused.Request != nil {
		e.Host = refused.Request.URL.Host
	}
	if r := s.transport.refusal.Load(); r != nil && r.status == e.Status {
		e.Code, e.Message = parseErrors(r.body)
		e.RequestID, e.retryAfter = requestID(r.header), calls.RetryAfter(r.header, s.now())
	}
	e.Hint = hint(s.repo.RegistryStr(), e.Code, e.Status, e.Message)
	return e
}

// credentialError is the error of a keychain, or of what one has found.
func credentialError(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", backend.ErrDenied, what, err)
}

// fail returns err as the error of a call, or nil if there is none.
func fail(op, key string, err error) error {
	if err == nil {
		return nil
	}
	e := &backend.Error{Op: op, Backend: driverName, Key: key, Err: err}
	if calls.IsEnd(err) || errors.Is(err, fs.ErrClosed) {
		return e
	}
	var (
		refused *ResponseError
		offline *calls.Unanswered
	)
	e.Kind = backend.Kind(err)
	e.RetryAfter, e.Temporary = backend.Temporary(err)
	switch {
	case errors.As(err, &refused):
		e.Temporary, e.RetryAfter = refused.temporary(), refused.retryAfter
	case errors.As(err, &offline) && e.Kind == nil:
		e.Kind, e.Temporary = backend.ErrUnavailable, offline.Temporary
	}
	return e
}
