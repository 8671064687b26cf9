package azblob_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/azblob"
	"github.com/larder-build/larder/internal/azuretest"
)

// answer is a response with a body.
func answer(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// TestErrorsOfTheService shows what is made of the service's codes.
func TestErrorsOfTheService(t *testing.T) {
	for _, tt := range []struct {
		status     int
		code       string
		kind       error
		temporary  bool
		retryAfter time.Duration
	}{
		{403, "AccountIsDisabled", backend.ErrDenied, false, 0},
		{403, "AuthorizationFailure", backend.ErrDenied, false, 0},
		{401, "InvalidAuthenticationInfo", backend.ErrDenied, false, 0},
		{404, "ContainerNotFound", backend.ErrNotFound, false, 0},
		{404, "BlobNotFound", backend.ErrNotFound, false, 0},
		{409, "BlobImmutableDueToPolicy", backend.ErrReadOnly, false, 0},
		{409, "ContainerBeingDeleted", backend.ErrUnavailable, true, 0},
		{409, "BlobArchived", backend.ErrUnavailable, false, 0},
		{409, "SomethingNew", backend.ErrExists, false, 0},
		{412, "ConditionNotMet", backend.ErrConflict, false, 0},
		{412, "LeaseIdMissing", backend.ErrDenied, false, 0},
		{413, "RequestBodyTooLarge", backend.ErrTooLarge, false, 0},
		{429, "TooManyRequests", backend.ErrLimited, true, 3 * time.Second},
		{500, "InternalError", backend.ErrUnavailable, true, 0},
		{500, "OperationTimedOut", backend.ErrUnavailable, true, 0},
		{502, "", backend.ErrUnavailable, true, 0},
		{503, "ServerBusy", backend.ErrLimited, true, 3 * time.Second},
		{400, "InvalidHeaderValue", backend.ErrInvalid, false, 0},
		{302, "", backend.ErrUnavailable, false, 0},
	} {
		t.Run(http.StatusText(tt.status)+" "+tt.code, func(t *testing.T) {
			_, opts := fake(t, azuretest.Options{})
			opts.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				resp := answer(r, tt.status, "<Error><Code>"+tt.code+"</Code><Message>the service's own words.\nRequestId:r\nTime:t</Message></Error>")
				resp.Header = http.Header{"X-Ms-Request-Id": {"r-1"}, "Location": {"http://127.0.0.1:1/"}}
				if tt.code != "" {
					resp.Header.Set("X-Ms-Error-Code", tt.code)
				}
				if tt.retryAfter > 0 {
					resp.Header.Set("Retry-After", "3")
				}
				return resp, nil
			})
			_, err := open(t, opts).PutRef(t.Context(), "main", backend.Document{Data: []byte("{}")}, backend.Always)
			after, temporary := backend.Temporary(err)
			if !errors.Is(backend.Kind(err), tt.kind) || temporary != tt.temporary || after != tt.retryAfter {
				t.Errorf("PutRef() = %v, a %v, temporary %t after %v, want %v, %t, %v", err, backend.Kind(err), temporary, after, tt.kind, tt.temporary, tt.retryAfter)
			}
			e, ok := errors.AsType[*azblob.ResponseError](err)
			if !ok || e.Code != tt.code || e.Status != tt.status || e.RequestID != "r-1" || e.Message != "the service's own words." {
				t.Errorf("PutRef() = %+v, want code %s, status %d, message and request", e, tt.code, tt.status)
			}
		})
	}
}

// TestUnreachable shows what is said if there is nobody.
func TestUnreachable(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	opts.AccountKey, opts.SAS = "", azuretest.SAS{Container: "cache", Permissions: "r", Expires: inAnHour()}.Sign()
	s.Close()
	_, err := open(t, opts).GetRef(t.Context(), "main")
	if _, temporary := backend.Temporary(err); !errors.Is(err, backend.ErrUnavailable) || !temporary {
		t.Errorf("GetRef(nobody listens) = %v, want a temporary %v", err, backend.ErrUnavailable)
	}
	if err == nil || strings.Contains(err.Error(), "http://") || strings.Contains(err.Error(), "sig") {
		t.Errorf("GetRef(nobody listens) = %v, want no URL in it", err)
	}
}

// TestTimeOutOfTheNetwork is no end of the caller's context.
func TestTimeOutOfTheNetwork(t *testing.T) {
	_, opts := fake(t, azuretest.Options{})
	opts.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, timeout{} })
	_, err := open(t, opts).GetRef(t.Context(), "main")
	if _, temporary := backend.Temporary(err); !errors.Is(err, backend.ErrUnavailable) || !temporary || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("GetRef(time-out of the network) = %v, want a temporary %v", err, backend.ErrUnavailable)
	}
}

type timeout struct{}

func (timeout) Error() string        { return "i/o timeout" }
func (timeout) Is(target error) bool { return target == context.DeadlineExceeded }

// TestAnswersOfOthers reads through somebody who answers as the service does
// not: no byte of another range is handed out.
func TestAnswersOfOthers(t *testing.T) {
	for _, tt := range []struct {
		name         string
		status       int
		contentRange string
		off          int64
	}{
		{"no range", http.StatusOK, "", 5},
		{"another range", http.StatusPartialContent, "bytes 0-9/20", 5},
		{"malformed range", http.StatusPartialContent, "pages 5-9/20", 5},
		{"not modified", http.StatusNotModified, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, opts := fake(t, azuretest.Options{})
			opts.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				resp := answer(r, tt.status, "0123456789")
				if tt.contentRange != "" {
					resp.Header.Set("Content-Range", tt.contentRange)
				}
				if tt.status == http.StatusNotModified {
					resp.Header.Set("X-Ms-Error-Code", "ConditionNotMet")
				}
				return resp, nil
			})
			data, err := read(t.Context(), open(t, opts), describe(content(1, 20)), tt.off, -1)
			if !errors.Is(err, backend.ErrUnavailable) || len(data) > 0 {
				t.Errorf("Open(%d, -1) = %q, %v, want %v", tt.off, data, err, backend.ErrUnavailable)
			}
		})
	}
}
