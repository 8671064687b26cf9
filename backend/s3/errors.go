package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/calls"
)

// ResponseError is a store's refusal in its own words, for [errors.As].
type ResponseError struct {
	// Host is who has answered.
	Host string
	// Op is S3's name of the operation, such as PutObject.
	Op string
	// Status is the HTTP status.
	Status int
	// Code is S3's, such as NoSuchBucket, or "".
	Code string
	// Message is what the store says, or "".
	Message string
	// RequestID is the store's name for the request, for its operators, or "".
	RequestID string
	// Credentials says where those that were refused have come from, or "".
	Credentials string
	// Hint is one sentence on what to do, or "".
	Hint string

	retryAfter time.Duration
}

// Error describes the refusal without any secret.
func (e *ResponseError) Error() string {
	answer := fmt.Sprintf("%s answered %d %s to %s", e.Host, e.Status, http.StatusText(e.Status), e.Op)
	message := e.Message
	if message == http.StatusText(e.Status) {
		message = ""
	}
	return calls.Refusal(answer, e.Code, message, e.RequestID, e.Credentials, e.Hint)
}

// Unwrap returns what the refusal means, one of the kinds of package backend.
func (e *ResponseError) Unwrap() error { return e.kind() }

// Remedy returns what can be done about it.
func (e *ResponseError) Remedy() string { return e.Hint }

// plain returns the refusal without its meaning.
func (e *ResponseError) plain() error { return errors.New(e.Error()) }

// codeNoBucket is the code for a bucket that is not there.
const codeNoBucket = "NoSuchBucket"

// kinds are those of S3's codes whose status does not say as much, or the
// wrong thing. Source: Amazon S3 API Reference, "Error responses"; the codes
// in XAmz are MinIO's and Ceph's spellings.
var kinds = map[string]error{
	"AccessDenied":                      backend.ErrDenied,
	"AuthorizationHeaderMalformed":      backend.ErrInvalid,
	"AuthorizationQueryParametersError": backend.ErrDenied,
	"BadDigest":                         backend.ErrCorrupt,
	"ConditionalRequestConflict":        backend.ErrConflict,
	"EntityTooLarge":                    backend.ErrTooLarge,
	"EntityTooSmall":                    backend.ErrInvalid,
	"ExistingObjectIsDirectory":         backend.ErrInvalid, // versitygw, of a/b where there is a/b/c
	"ExpiredToken":                      backend.ErrDenied,
	"ExpiredTokenException":             backend.ErrDenied,
	"IncompleteBody":                    backend.ErrUnavailable,
	"InvalidAccessKeyId":                backend.ErrDenied,
	"InvalidDigest":                     backend.ErrCorrupt,
	"InvalidToken":                      backend.ErrDenied,
	"MethodNotAllowed":                  backend.ErrUnsupported,
	"NoSuchBucket":                      backend.ErrNotFound,
	"NoSuchKey":                         backend.ErrNotFound,
	"NoSuchUpload":                      backend.ErrNotFound,
	"NotImplemented":                    backend.ErrUnsupported,
	"ObjectParentIsFile":                backend.ErrInvalid, // versitygw, of a/b where there is a
	"OperationAborted":                  backend.ErrConflict,
	"PreconditionFailed":                backend.ErrConflict,
	"QuotaExceeded":                     backend.ErrLimited,
	"RequestTimeTooSkewed":              backend.ErrDenied,
	"RequestTimeout":                    backend.ErrUnavailable,
	"SignatureDoesNotMatch":             backend.ErrDenied,
	"SlowDown":                          backend.ErrLimited,
	"SlowDownRead":                      backend.ErrLimited,
	"SlowDownWrite":                     backend.ErrLimited,
	"ServiceUnavailable":                backend.ErrUnavailable,
	"Throttling":                        backend.ErrLimited,
	"XAmzContentChecksumMismatch":       backend.ErrCorrupt,
	"XAmzContentSHA256Mismatch":         backend.ErrCorrupt,
	"XMinioStorageFull":                 backend.ErrLimited,
}

// kind tells what a refusal means: by its code, or for want of it by its
// status.
func (e *ResponseError) kind() error {
	if kind, ok := kinds[e.Code]; ok {
		return kind
	}
	switch status := e.Status; {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return backend.ErrDenied
	case status == http.StatusNotFound:
		return backend.ErrNotFound
	case status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented:
		return backend.ErrUnsupported
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return backend.ErrConflict
	case status == http.StatusRequestEntityTooLarge:
		return backend.ErrTooLarge
	case status == http.StatusTooManyRequests, status == http.StatusInsufficientStorage:
		return backend.ErrLimited
	case status >= statusClientClosed, status == http.StatusRequestTimeout, status < http.StatusMultipleChoices: // the latter of several objects
		return backend.ErrUnavailable
	default:
		return backend.ErrInvalid
	}
}

// temporary reports whether the same request may succeed later.
func (e *ResponseError) temporary() bool {
	switch e.Code {
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "RequestTimeout", "InternalError", "ServiceUnavailable", "IncompleteBody":
		return true
	case "XMinioStorageFull", "NotImplemented":
		return false
	}
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusTooEarly:
		return true
	case http.StatusNotImplemented, http.StatusInsufficientStorage, http.StatusHTTPVersionNotSupported:
		return false
	default:
		return e.Status >= statusClientClosed
	}
}

// statusClientClosed is nginx's and MinIO's for a request that was broken off.
const statusClientClosed = 499

// translate returns the error of an operation of the SDK as package bucket
// wants it, nil for nil.
func (s *store) translate(err error) error {
	if err == nil {
		return nil
	}
	if calls.IsEnd(err) {
		return ended(err)
	}
	op := ""
	if outer, ok := errors.AsType[*smithy.OperationError](err); ok {
		op = outer.Operation()
	}
	response, answered := errors.AsType[*awshttp.ResponseError](err)
	if !answered || response.HTTPStatusCode() == 0 {
		return s.offline(err)
	}
	e := &ResponseError{
		Host: s.endpoint, Op: op, Status: response.HTTPStatusCode(), RequestID: calls.OneLine(response.ServiceRequestID()),
		retryAfter: calls.RetryAfter(response.Response.Header, time.Now()),
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		e.Code, e.Message = code(api, e.Status), calls.OneLine(api.ErrorMessage())
	}
	if e.Code == "InvalidRange" || e.Status == http.StatusRequestedRangeNotSatisfiable {
		return bucket.ErrRange
	}
	if e.Code == "" && e.Status < http.StatusMultipleChoices { // it has broken off, or is not S3's
		return &bucket.Failure{Kind: backend.ErrUnavailable, Err: fmt.Errorf("%s: the answer to %s cannot be read", s.endpoint, op), Temporary: true}
	}
	s.explain(e, response.Response.Header)
	return s.failure(e)
}

// code returns S3's code, or "" for what the SDK makes up for answers without a
// body.
func code(api smithy.APIError, status int) string {
	code := api.ErrorCode()
	if code == "UnknownError" || code == strings.ReplaceAll(http.StatusText(status), " ", "") || strings.ContainsFunc(code, unicode.IsSpace) {
		return ""
	}
	return calls.OneLine(code)
}

// failure returns a refusal with what is to be known about it. After
// credentials that have expired there may be others.
func (s *store) failure(e *ResponseError) error {
	f := &bucket.Failure{Kind: e.kind(), Err: e, Temporary: e.temporary(), RetryAfter: e.retryAfter}
	switch e.Code {
	case "ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired":
		f.Temporary = s.identity.renew()
	}
	return f
}

// offline translates the error of a request that was not answered, or not even
// sent.
func (s *store) offline(err error) error {
	var (
		signing *v4Error
		send    *smithyhttp.RequestSendError
	)
	if errors.As(err, &signing) || !errors.As(err, &send) {
		return s.unsent(err)
	}
	cause := calls.NetworkError(send.Err)
	cause.Err = fmt.Errorf("%s: %w", s.endpoint, cause.Err)
	return &bucket.Failure{Kind: backend.ErrUnavailable, Err: cause, Temporary: cause.Temporary}
}

// unsent translates the error of a request that could not be made.
func (s *store) unsent(err error) error {
	if outer, ok := errors.AsType[*smithy.OperationError](err); ok {
		err = outer.Unwrap()
	}
	text := calls.OneLine(err.Error())
	if strings.Contains(text, "credential") || strings.Contains(text, "get identity") {
		return &bucket.Failure{Kind: backend.ErrDenied, Err: fmt.Errorf("credentials: %s: %s; set access_key_id and secret_access_key, profile, or anonymous=true", s.identity.source, text)}
	}
	return &bucket.Failure{Kind: backend.ErrInvalid, Err: errors.New(text)}
}

// ended returns the end of a context, without the URL in what net/http makes of
// it.
func ended(err error) error {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, end) {
			return end
		}
	}
	return err
}

// endpointName returns an endpoint as messages name it.
func endpointName(endpoint string) string {
	if u, err := url.Parse(endpoint); err == nil && u.Host != "" {
		return u.Host
	}
	return "AWS"
}
