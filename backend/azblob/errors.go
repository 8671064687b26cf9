package azblob

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// ResponseError is the service's refusal in its own words, for [errors.As].
type ResponseError struct {
	// Host is who has answered.
	Host string
	// Status is the HTTP status.
	Status int
	// Code is the service's own, such as AuthorizationPermissionMismatch, or "".
	Code string
	// Message is what the service says, or "": answers to HEAD have none.
	Message string
	// RequestID is the service's name for the request, for its operators, or "".
	RequestID string
	// Credentials says where those that were refused have come from, or "".
	Credentials string
	// Hint is what to do about it, or "".
	Hint string
}

var _ backend.Remedier = (*ResponseError)(nil)

// Error describes the refusal without any secret.
func (e *ResponseError) Error() string {
	parts := []string{fmt.Sprintf("%s answered %d %s", e.Host, e.Status, http.StatusText(e.Status)), e.Code, e.Message}
	text := strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ": ")
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	if e.Credentials != "" {
		text += "; credentials: " + e.Credentials
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Remedy implements [backend.Remedier].
func (e *ResponseError) Remedy() string { return e.Hint }

// codeOf returns the service's code of an error, or "".
func codeOf(err error) string {
	if e, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return e.ErrorCode
	}
	return ""
}

// failure translates an error of the SDK.
func (s *store) failure(err error) error {
	if err == nil || isEnd(err) {
		return err
	}
	if e, ok := errors.AsType[*azcore.ResponseError](err); ok {
		f := &bucket.Failure{Err: s.responseError(err)}
		f.Kind, f.Temporary = kindOf(e.ErrorCode, e.StatusCode)
		if e.RawResponse != nil {
			f.RetryAfter = retryAfter(e.RawResponse.Header, s.opts.Now())
		}
		return f
	}
	if text, ok := tokenError(err); ok {
		return &bucket.Failure{Kind: backend.ErrDenied, Err: fmt.Errorf("%s gave no token: %s", s.account.source, text)}
	}
	return networkError(err)
}

// tokenError returns what went wrong with getting a token.
func tokenError(err error) (text string, ok bool) {
	var (
		failed   *azidentity.AuthenticationFailedError
		required *azidentity.AuthenticationRequiredError
	)
	switch {
	case errors.As(err, &failed), errors.As(err, &required):
		return oneLine(err.Error()), true
	case strings.Contains(err.Error(), "failed to acquire a token"), // the chain's, which has no type
		strings.Contains(err.Error(), "not permitted for non TLS protected"): // azcore's
		return oneLine(err.Error()), true
	}
	return "", false
}

// responseError returns a refusal in the service's words.
func (s *store) responseError(err error) error {
	refused, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return err
	}
	e := &ResponseError{Status: refused.StatusCode, Code: refused.ErrorCode, Host: s.account.url.Host}
	detail := ""
	if resp := refused.RawResponse; resp != nil {
		e.RequestID = oneLine(resp.Header.Get("X-Ms-Request-Id"))
		e.Message, detail = messageOf(resp)
	}
	if kind, _ := kindOf(e.Code, e.Status); errors.Is(kind, backend.ErrDenied) {
		e.Credentials = s.account.source
	}
	if strings.HasPrefix(detail, "Signature not valid in the specified time frame") {
		e.Message += " " + detail // other details repeat the signature
	}
	e.Hint = s.hint(e.Code)
	return e
}

// messageOf returns what the body of an error says.
func messageOf(resp *http.Response) (message, detail string) {
	body, err := runtime.Payload(resp)
	if err != nil {
		return "", ""
	}
	var said struct {
		Message string
		Detail  string `xml:"AuthenticationErrorDetail"`
	}
	if xml.Unmarshal(body, &said) != nil {
		return "", ""
	}
	// The identifier and the time follow, in lines of their own.
	message, _, _ = strings.Cut(said.Message, "\nRequestId:")
	return oneLine(message), oneLine(said.Detail)
}

// oneLine makes one line of a text, of a bounded length.
func oneLine(s string) string {
	const limit = 1 << 10
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// kinds are what the service's codes mean that their status does not tell.
//
// Source: learn.microsoft.com/rest/api/storageservices/blob-service-error-codes.
var kinds = map[string]error{
	"AccountBeingCreated":      backend.ErrUnavailable,
	"AccountIsDisabled":        backend.ErrDenied,
	"BlobAlreadyExists":        backend.ErrConflict,
	"BlobArchived":             backend.ErrUnavailable,
	"BlobBeingRehydrated":      backend.ErrUnavailable,
	"BlobImmutableDueToPolicy": backend.ErrReadOnly,
	"BlobOverwritten":          backend.ErrUnavailable,
	"BlockCountExceedsLimit":   backend.ErrLimited,
	"BlockListTooLong":         backend.ErrTooLarge,
	"ConditionNotMet":          backend.ErrConflict,
	"ContainerBeingDeleted":    backend.ErrUnavailable,
	"ContainerDisabled":        backend.ErrDenied,
	"Crc64Mismatch":            backend.ErrCorrupt,
	"LeaseIdMissing":           backend.ErrDenied, // no lost race: the lease stays
	"Md5Mismatch":              backend.ErrCorrupt,
	"OperationTimedOut":        backend.ErrUnavailable,
	"ServerBusy":               backend.ErrLimited,
	"SnapshotsPresent":         backend.ErrUnsupported,
}

// kindOf returns what a refusal means, and whether the same request may succeed
// later.
func kindOf(code string, status int) (kind error, temporary bool) {
	switch code {
	case "ServerBusy", "ContainerBeingDeleted", "AccountBeingCreated", "OperationTimedOut", "BlobOverwritten":
		return kinds[code], true
	}
	if kind, ok := kinds[code]; ok {
		return kind, false
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return backend.ErrDenied, false
	case http.StatusNotFound, http.StatusGone:
		return backend.ErrNotFound, false
	case http.StatusConflict, http.StatusPreconditionFailed:
		return backend.ErrConflict, false
	case http.StatusRequestedRangeNotSatisfiable:
		return bucket.ErrRange, false
	case http.StatusRequestEntityTooLarge:
		return backend.ErrTooLarge, false
	case http.StatusTooManyRequests:
		return backend.ErrLimited, true
	case http.StatusRequestTimeout:
		return backend.ErrUnavailable, true
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return backend.ErrUnsupported, false
	}
	if status >= http.StatusBadRequest && status < http.StatusInternalServerError {
		return backend.ErrInvalid, false
	}
	// A redirect or a success that is not the one expected comes from somebody
	// in between.
	return backend.ErrUnavailable, status >= http.StatusInternalServerError
}

// retryAfter reads the headers with which the service asks for a pause.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.Atoi(h.Get("X-Ms-Retry-After-Ms")); err == nil {
		return max(0, time.Duration(ms)*time.Millisecond)
	}
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

// hint returns what can be done about a refusal, or "".
func (s *store) hint(code string) string {
	a := s.account
	switch code {
	case "ContainerNotFound":
		return fmt.Sprintf("create the container %s, correct the attribute container, or set create_container=true", s.opts.Container)
	case "InvalidResourceName":
		return "correct the attribute container"
	case "KeyBasedAuthenticationNotPermitted":
		return "leave out " + attrKey + ": the account takes tokens only, which Azure's default chain gets"
	case "AuthorizationFailure":
		return "allow this machine in the account's network rules, and see that the credentials are for this container"
	case "AuthorizationPermissionMismatch", "UnauthorizedBlobOverwrite", "InsufficientAccountPermissions":
		if a.sas != nil {
			return fmt.Sprintf("make the SAS in %s with the permissions rwdl: it has %s", a.setting, oneLine(a.sas.Get("sp")))
		}
		return "assign the role Storage Blob Data Contributor for the container"
	case "AuthenticationFailed":
		return s.authenticationHint()
	}
	return ""
}

func (s *store) authenticationHint() string {
	a := s.account
	switch end := a.sasEnd(); {
	case a.key != nil:
		return fmt.Sprintf("see that %s is a key of the account %s, which account_name says otherwise", a.setting, a.name)
	case a.sas != nil && !end.IsZero() && s.opts.Now().After(end):
		return fmt.Sprintf("make a new SAS for %s: it ended at %s", a.setting, end.UTC().Format(time.RFC3339))
	case a.sas != nil:
		return "see that the SAS in " + a.setting + " is whole and for this container"
	default:
		return "see that account_url is right"
	}
}

// networkError translates an error of net/http. The URL, in which a signature
// may be, is left out.
func networkError(err error) error {
	var outer *url.Error
	for errors.As(err, &outer) {
		err = outer.Err
	}
	var (
		resolving   *net.DNSError
		certificate *tls.CertificateVerificationError
	)
	if errors.As(err, &resolving) && resolving.IsNotFound {
		return &bucket.Failure{Kind: backend.ErrUnavailable, Err: fmt.Errorf("%w; see that account_url is right", plain{err})}
	}
	return &bucket.Failure{Kind: backend.ErrUnavailable, Err: plain{err}, Temporary: !errors.As(err, &certificate)}
}

// bodyError translates an error of a response's body.
func bodyError(err error) error {
	if err == nil || errors.Is(err, io.EOF) || isEnd(err) {
		return err
	}
	return networkError(err)
}

// plain is an error of the network. A time-out there is not the end of the
// call's context, although it looks like one.
type plain struct{ error }

// Unwrap returns the cause, unless it looks like the end of a context.
func (p plain) Unwrap() error {
	if isEnd(p.error) {
		return nil
	}
	return p.error
}

func isEnd(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// invalid returns the error of a setting, whose value it does not repeat.
func invalid(setting string, err error) error {
	return fmt.Errorf("%w: attribute %s: %w", backend.ErrInvalid, setting, err)
}

// openError returns err as the error of Open.
func openError(err error) error {
	e := &backend.Error{Op: "open", Backend: driverName, Kind: backend.Kind(err), Err: err}
	if f, ok := errors.AsType[*bucket.Failure](err); ok {
		e.Temporary, e.RetryAfter = f.Temporary, f.RetryAfter
	}
	return e
}
