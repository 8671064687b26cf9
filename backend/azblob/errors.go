package azblob

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/calls"
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
	answer := fmt.Sprintf("%s answered %d %s", e.Host, e.Status, http.StatusText(e.Status))
	return calls.Refusal(answer, e.Code, e.Message, e.RequestID, e.Credentials, e.Hint)
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

// failure translates an error of the SDK, whose call had a context.
func (s *store) failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*azcore.ResponseError](err); ok {
		f := &bucket.Failure{Err: s.responseError(err)}
		f.Kind, f.Temporary = kindOf(e.ErrorCode, e.StatusCode)
		if e.ErrorCode == codeNoContainer {
			s.creation.missing.Store(true)
		}
		if e.RawResponse != nil {
			f.RetryAfter = retryAfter(e.RawResponse.Header, s.opts.Now())
		}
		return f
	}
	if e, ok := errors.AsType[*tokenError](err); ok {
		return &bucket.Failure{Kind: backend.ErrDenied, Err: fmt.Errorf("%s: %w", s.account.source, e), Temporary: e.temporary()}
	}
	if errors.Is(err, errOnce) {
		// The service wanted another token, which the next attempt will have.
		return &bucket.Failure{Kind: backend.ErrUnavailable, Err: fmt.Errorf("a token has expired: %w", err), Temporary: true}
	}
	return networkError(ctx, err)
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
		e.RequestID = calls.OneLine(resp.Header.Get("X-Ms-Request-Id"))
		e.Message, detail = messageOf(resp)
	}
	if kind, _ := kindOf(e.Code, e.Status); errors.Is(kind, backend.ErrDenied) {
		e.Credentials = s.account.source
	}
	if strings.HasPrefix(detail, "Signature not valid in the specified time frame") {
		e.Message += " " + detail // other details repeat the signature
	}
	e.Hint = s.hint(e.Code, e.Message)
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
	return calls.OneLine(message), calls.OneLine(said.Detail)
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
