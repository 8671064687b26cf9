package s3_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/s3"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/s3test"
)

// answering is a store that answers everything the same.
func answering(t *testing.T, status int, header http.Header, body string) *s3.Backend {
	t.Helper()
	b, err := s3.Open(t.Context(), cache, s3.Options{
		Region: "us-east-1", AccessKeyID: accessKey, SecretAccessKey: secretKey,
		Transport: sending(func(r *http.Request) (*http.Response, error) {
			if header == nil {
				header = http.Header{}
			}
			if r.Body != nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			return &http.Response{
				StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)),
				ContentLength: int64(len(body)), Request: r,
			}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// refusal is the document of an error.
func refusal(code, message string) string {
	return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" + code + "</Code><Message>" + message + "</Message><RequestId>body-id</RequestId></Error>"
}

// TestErrors translates what S3 and the stores that look like it answer to a
// write without a condition.
func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		header http.Header
		body   string

		kind  error
		again bool          // whether it may help to try again
		after time.Duration // when
		want  []string      // parts of what is said
	}{
		{name: "access denied", status: 403, body: refusal("AccessDenied", "Access Denied"), kind: backend.ErrDenied, want: []string{"AWS answered 403 Forbidden to PutObject: AccessDenied: Access Denied", "allow s3:PutObject"}},
		{name: "account problem", status: 403, body: refusal("AllAccessDisabled", "All access to this object has been disabled"), kind: backend.ErrDenied, want: []string{"AllAccessDisabled"}},
		{name: "explicit deny", status: 403, body: refusal("AccessDenied", "User: arn:aws:iam::1:user/ci is not authorized to perform: s3:PutObject with an explicit deny"), kind: backend.ErrDenied, want: []string{"explicit deny"}},
		{name: "wrong key", status: 403, body: refusal("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."), kind: backend.ErrDenied, want: []string{"attribute access_key_id"}},
		{name: "wrong signature", status: 403, body: refusal("SignatureDoesNotMatch", "The request signature we calculated does not match"), kind: backend.ErrDenied, want: []string{"attribute secret_access_key"}},
		{name: "skew", status: 403, body: refusal("RequestTimeTooSkewed", "The difference is too large"), kind: backend.ErrDenied, want: []string{"set the clock"}},
		{name: "expired", status: 400, body: refusal("ExpiredToken", "The provided token has expired."), kind: backend.ErrDenied, want: []string{"ExpiredToken"}},
		{name: "invalid token", status: 400, body: refusal("InvalidToken", "The provided token is malformed or otherwise invalid."), kind: backend.ErrDenied, want: []string{"InvalidToken"}},
		{name: "no bucket", status: 404, body: refusal("NoSuchBucket", "The specified bucket does not exist"), kind: backend.ErrNotFound, want: []string{"create the bucket cache"}},
		{name: "wrong region", status: 301, header: http.Header{"X-Amz-Bucket-Region": {"eu-west-3"}}, body: refusal("PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint."), kind: backend.ErrInvalid, want: []string{"set region=eu-west-3"}},
		{name: "malformed authorization", status: 400, body: refusal("AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong; expecting 'eu-west-1'"), kind: backend.ErrInvalid, want: []string{"set region to that of the bucket"}},
		{name: "slow down", status: 503, body: refusal("SlowDown", "Please reduce your request rate."), kind: backend.ErrLimited, again: true, want: []string{"SlowDown"}},
		{name: "MinIO slow down", status: 503, body: refusal("SlowDownWrite", "Resource requested is unwritable, please reduce your request rate"), kind: backend.ErrLimited, again: true},
		{name: "too many requests", status: 429, header: http.Header{"Retry-After": {"7"}}, body: "slow", kind: backend.ErrLimited, again: true, after: 7 * time.Second},
		{name: "R2 too many requests", status: 429, body: refusal("ServiceUnavailable", "Reduce your concurrent request rate for the same object."), kind: backend.ErrUnavailable, again: true},
		{name: "internal error", status: 500, body: refusal("InternalError", "We encountered an internal error. Please try again."), kind: backend.ErrUnavailable, again: true, want: []string{"We encountered"}},
		{name: "unavailable", status: 503, body: refusal("ServiceUnavailable", "Service is unable to handle request."), kind: backend.ErrUnavailable, again: true},
		{name: "a proxy's page", status: 502, body: "<html><body>Bad Gateway</body></html>", kind: backend.ErrUnavailable, again: true, want: []string{"502 Bad Gateway"}},
		{name: "a proxy's time-out", status: 504, body: "", kind: backend.ErrUnavailable, again: true},
		{name: "request timeout", status: 400, body: refusal("RequestTimeout", "Your socket connection to the server was not read from or written to within the timeout period."), kind: backend.ErrUnavailable, again: true},
		{name: "incomplete body", status: 400, body: refusal("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header"), kind: backend.ErrUnavailable, again: true},
		{name: "concurrent operation", status: 409, body: refusal("OperationAborted", "A conflicting conditional operation is currently in progress against this resource."), kind: backend.ErrUnavailable, again: true},
		{name: "bad digest", status: 400, body: refusal("BadDigest", "The Content-MD5 you specified did not match what we received."), kind: backend.ErrCorrupt},
		{name: "payload mismatch", status: 400, body: refusal("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."), kind: backend.ErrCorrupt},
		{name: "too large", status: 400, body: refusal("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size."), kind: backend.ErrTooLarge},
		{name: "a proxy's limit", status: 413, body: "<html>", kind: backend.ErrTooLarge},
		{name: "quota", status: 403, body: refusal("QuotaExceeded", ""), kind: backend.ErrLimited, want: []string{"QuotaExceeded"}},
		{name: "MinIO is full", status: 507, body: refusal("XMinioStorageFull", "Storage backend has reached its minimum free drive threshold."), kind: backend.ErrLimited},
		{name: "not implemented", status: 501, body: refusal("NotImplemented", "A header you provided implies functionality that is not implemented"), kind: backend.ErrUnsupported},
		{name: "method not allowed", status: 405, body: refusal("MethodNotAllowed", "The specified method is not allowed against this resource."), kind: backend.ErrUnsupported},
		{name: "versitygw and a file for a directory", status: 409, body: refusal("ObjectParentIsFile", "Object parent already exists as a file."), kind: backend.ErrInvalid},
		{name: "the end of the client", status: 499, body: "", kind: backend.ErrUnavailable, again: true},
		{name: "nonsense", status: 400, body: "\x00\x01 no document", kind: backend.ErrInvalid},
		{name: "request id", status: 403, header: http.Header{"X-Amz-Request-Id": {"ABC123"}}, body: refusal("AccessDenied", "Access Denied"), kind: backend.ErrDenied, want: []string{"(request ABC123)"}},
		{name: "a message of many lines", status: 403, body: refusal("AccessDenied", "a\n\tb\x7f  c"), kind: backend.ErrDenied, want: []string{": a b c"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := answering(t, tt.status, tt.header, tt.body)
			_, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("{}")}, backend.Always)
			if got := backend.Kind(err); !errors.Is(err, tt.kind) || !errors.Is(got, tt.kind) {
				t.Errorf("Kind(%v) = %v, want %v", err, got, tt.kind)
			}
			if after, again := backend.Temporary(err); again != tt.again || after != tt.after {
				t.Errorf("Temporary(%v) = %v, %t, want %v, %t", err, after, again, tt.after, tt.again)
			}
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error = %v, want it to say %q", err, want)
				}
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\t\x00") {
				t.Errorf("error = %q, want one line", err)
			}
			refused, ok := errors.AsType[*s3.ResponseError](err)
			if tt.name != "concurrent operation" && (!ok || refused.Status != tt.status || refused.Op != "PutObject") {
				t.Errorf("ResponseError = %+v, want status %d", refused, tt.status)
			}
		})
	}
}

// TestTLS reaches a store by HTTPS whose certificate an authority of its own
// has made.
func TestTLS(t *testing.T) {
	s := newFake(t, s3test.Options{TLS: true})
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	data := random(2 << 20)
	for _, quirks := range []string{"aws", "generic", "gcs"} {
		t.Run(quirks, func(t *testing.T) {
			b := openFake(t, s, func(o *s3.Options) { o.RootCAs, o.Quirks, o.Region = pool, quirks, s3test.Region })
			for _, data := range [][]byte{data, data[:1000], nil} {
				put(t, b, data)
			}
			if quirks != "gcs" {
				if _, err := b.PutRef(t.Context(), quirks, backend.Document{Data: []byte("{}")}, backend.Absent); err != nil {
					t.Errorf("PutRef() = %v, want nil", err)
				}
			}
		})
	}
	stranger := openFake(t, s, nil)
	_, err := stranger.GetRef(t.Context(), "main")
	if _, again := backend.Temporary(err); !errors.Is(err, backend.ErrUnavailable) || again || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("GetRef(unknown authority) = %v, want a lasting %v about the certificate", err, backend.ErrUnavailable)
	}
}

// TestNobodyThere tells a store that is down, which may come back, from a name
// that nobody has.
func TestNobodyThere(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cause error // nil for what the network says
		again bool
	}{
		{"a closed port", nil, true},
		{"a name server that is busy", &net.DNSError{Err: "server misbehaving", Name: "larder.invalid", IsTemporary: true}, true},
		{"a name that nobody has", &net.DNSError{Err: "no such host", Name: "larder.invalid", IsNotFound: true}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := s3.Options{Endpoint: "http://127.0.0.1:1", AccessKeyID: accessKey, SecretAccessKey: secretKey}
			if tt.cause != nil {
				o.Transport = sending(func(*http.Request) (*http.Response, error) { return nil, tt.cause })
			}
			b, err := s3.Open(t.Context(), cache, o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = b.Close() }()
			_, err = b.GetRef(t.Context(), "main")
			if _, again := backend.Temporary(err); !errors.Is(err, backend.ErrUnavailable) || again != tt.again {
				t.Errorf("GetRef() = %v, temporary %t, want %v, temporary %t", err, again, backend.ErrUnavailable, tt.again)
			}
		})
	}
}

// TestLargeLoser has a large document lose a race: stores answer before they
// have read it and close the connection, which must not hide the answer.
func TestLargeLoser(t *testing.T) {
	s := newFake(t, s3test.Options{})
	b := openFake(t, s, nil)
	doc := backend.Document{Data: random(8 << 20)}
	v, err := b.PutRef(t.Context(), "main", doc, backend.Absent)
	if err != nil {
		t.Fatal(err)
	}
	for cond, data := range map[backend.Condition][]byte{backend.Absent: doc.Data[1:], backend.Match(v + "x"): doc.Data[2:]} {
		if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: data}, cond); !errors.Is(err, backend.ErrConflict) {
			t.Errorf("PutRef(%s) = %v, want %v", cond, err, backend.ErrConflict)
		}
	}
	if ref, err := b.GetRef(t.Context(), "main"); err != nil || !bytes.Equal(ref.Data, doc.Data) {
		t.Errorf("GetRef() = %d bytes, %v, want what was written first", len(ref.Data), err)
	}
}

// TestCanceledIsNoFailure returns the end of a context as it is.
func TestCanceledIsNoFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b, err := s3.Open(t.Context(), cache, s3.Options{
		Region: "us-east-1", AccessKeyID: accessKey, SecretAccessKey: secretKey,
		Transport: sending(func(r *http.Request) (*http.Response, error) {
			cancel()
			<-r.Context().Done()
			return nil, r.Context().Err()
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	err = b.Put(ctx, blob.Describe("", []byte("x")), blob.Bytes([]byte("x")))
	if _, again := backend.Temporary(err); !errors.Is(err, context.Canceled) || backend.Kind(err) != nil || again {
		t.Errorf("Put(canceled) = %v, want %v of no kind", err, context.Canceled)
	}
	if err != nil && strings.Contains(err.Error(), "http") {
		t.Errorf("Put(canceled) = %v, want no URL in it", err)
	}
}
