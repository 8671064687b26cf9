package registry_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/registrytest"
)

// refusing returns a backend of a registry that answers everything but the
// first question in one way.
func refusing(t *testing.T, status int, header map[string]string, body string) *registry.Backend {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		for key, value := range header {
			w.Header().Set(key, value)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return open(t, strings.TrimPrefix(s.URL, "http://")+"/a/b", registry.Options{})
}

func refusal(code, message string) string {
	return fmt.Sprintf(`{"errors":[{"code":%q,"message":%q}]}`, code, message)
}

// TestKinds shows that a refusal is classified by what the registry says, and
// by its status for want of that.
func TestKinds(t *testing.T) {
	for _, test := range []struct {
		name      string
		status    int
		body      string
		want      error
		temporary bool
	}{
		{"unknown manifest", 404, refusal("MANIFEST_UNKNOWN", "manifest unknown"), backend.ErrNotFound, false},
		{"missing blob", 400, refusal("MANIFEST_BLOB_UNKNOWN", "blob unknown to registry"), backend.ErrNotFound, false},
		{"missing blob under another status", 404, refusal("BLOB_UNKNOWN", "blob unknown"), backend.ErrNotFound, false},
		{"unknown repository", 404, refusal("NAME_UNKNOWN", "The repository with name 'x' does not exist in the registry"), backend.ErrNotFound, false},
		{"malformed manifest", 400, refusal("MANIFEST_INVALID", "manifest invalid"), backend.ErrInvalid, false},
		{"immutable tag of ECR", 400, refusal("TAG_INVALID", "The image tag 'main' already exists in the 'x' repository and cannot be overwritten because the tag is immutable."), backend.ErrExists, false},
		{"immutable tag of Harbor", 412, refusal("PRECONDITION", "Failed to process request due to 'main' configured as immutable."), backend.ErrExists, false},
		{"quota of Harbor", 403, refusal("DENIED", "adding 1.0 GiB of storage resource, which when updated to current usage will exceed the configured upper limit: quota exceeded"), backend.ErrLimited, false},
		{"denied", 403, refusal("DENIED", "requested access to the resource is denied"), backend.ErrDenied, false},
		{"denied in no form", 403, "Forbidden", backend.ErrDenied, false},
		{"denied, it says of a full rate", 429, refusal("TOOMANYREQUESTS", "You have reached your pull rate limit."), backend.ErrLimited, true},
		{"rate limit under another status", 400, refusal("TOOMANYREQUESTS", "toomanyrequests"), backend.ErrLimited, true},
		{"unsupported", 405, refusal("UNSUPPORTED", "The operation is unsupported."), backend.ErrUnsupported, false},
		{"too large for a proxy", 413, "<html>413 Request Entity Too Large</html>", backend.ErrTooLarge, false},
		{"wrong digest", 400, refusal("DIGEST_INVALID", "provided digest did not match uploaded content"), backend.ErrCorrupt, false},
		{"upload is gone", 404, refusal("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"), backend.ErrUnavailable, true},
		{"proxy fails", 502, "<html>Bad Gateway</html>", backend.ErrUnavailable, true},
		{"registry fails", 500, refusal("UNKNOWN", "unknown error"), backend.ErrUnavailable, true},
		{"registry fails and blames a name", 503, refusal("NAME_UNKNOWN", "unknown"), backend.ErrUnavailable, true},
		{"read-only", 405, refusal("UNSUPPORTED", "The registry is in read-only mode"), backend.ErrReadOnly, false},
		{"no space", 507, "", backend.ErrLimited, false},
		{"teapot", 418, "", backend.ErrInvalid, false},
		{"nothing", 204, "", backend.ErrUnavailable, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := refusing(t, test.status, nil, test.body)
			_, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("{}")}, backend.Always)
			if backend.Kind(err) != test.want { //nolint:errorlint // Kind returns the sentinels themselves.
				t.Errorf("PutRef() = %v of kind %v, want %v", err, backend.Kind(err), test.want)
			}
			if _, temporary := backend.Temporary(err); temporary != test.temporary {
				t.Errorf("Temporary(%v) = %t, want %t", err, temporary, test.temporary)
			}
		})
	}
}

// TestResponseError shows that what the registry says is kept.
func TestResponseError(t *testing.T) {
	body := `{"errors":[{"code":"DENIED","message":"no\nway","detail":{"action":"push"}}]}`
	b := refusing(t, http.StatusForbidden, map[string]string{"X-Request-Id": "req-7"}, body)
	_, err := b.GetRef(t.Context(), "main")
	refused, ok := errors.AsType[*registry.ResponseError](err)
	if !ok {
		t.Fatalf("GetRef() = %v, want a ResponseError", err)
	}
	if refused.Status != http.StatusForbidden || refused.Code != "DENIED" || refused.Message != `no way: {"action":"push"}` || refused.RequestID != "req-7" {
		t.Errorf("GetRef() = %+v, want status, code, message, detail and request as sent", refused)
	}
	for _, want := range []string{"main", "DENIED", "no way", "403", "req-7", "no credentials"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("GetRef() = %q, want %q in it", err, want)
		}
	}
}

func TestLongMessagesAreCut(t *testing.T) {
	b := refusing(t, http.StatusBadRequest, nil, strings.Repeat("x", 1<<20))
	if _, err := b.GetRef(t.Context(), "main"); err == nil || len(err.Error()) > 3000 {
		t.Errorf("GetRef() = an error of %d bytes, want a short one", len(err.Error()))
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second, "-1": 0, "soon": 0, "": 0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2026 03:00:00 GMT": 0,
	} {
		s := refusing(t, http.StatusTooManyRequests, map[string]string{"Retry-After": value}, "")
		now := func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
		b := open(t, s.Repository(), registry.Options{Now: now})
		_, err := b.GetRef(t.Context(), "main")
		if got, temporary := backend.Temporary(err); got != want || !temporary {
			t.Errorf("Temporary(Retry-After %q) = %s, %t, want %s, true", value, got, temporary, want)
		}
	}
}

// TestRefusedHeadIsExplained shows that the reason behind a refused HEAD, which
// has no body, is asked for.
func TestRefusedHeadIsExplained(t *testing.T) {
	b := refusing(t, http.StatusBadRequest, nil, refusal("NAME_INVALID", "too many slashes"))
	_, err := b.Stat(t.Context(), blob.Describe("", nil).Digest)
	if !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), "too many slashes") {
		t.Errorf("Stat() = %v, want the registry's words", err)
	}
}

// TestWrongManifests shows that a registry is not believed what the digest
// disproves.
func TestWrongManifests(t *testing.T) {
	for name, header := range map[string]string{"header": someDigest, "name": ""} {
		b := refusing(t, http.StatusOK, map[string]string{"Docker-Content-Digest": header}, "{}")
		ref := "main"
		if header == "" {
			ref = someDigest
		}
		if _, err := b.GetRef(t.Context(), ref); !errors.Is(err, backend.ErrCorrupt) {
			t.Errorf("GetRef(digest in the %s is another) = %v, want %v", name, err, backend.ErrCorrupt)
		}
	}
	large := refusing(t, http.StatusOK, nil, strings.Repeat(" ", 4<<20+1))
	if _, err := large.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrTooLarge) {
		t.Errorf("GetRef(more than 4 MiB) = %v, want %v", err, backend.ErrTooLarge)
	}
}

// TestAuthenticationIsPutOff shows that whoever is asked to wait before there is
// a token, by the registry or by the server of tokens, learns for how long.
func TestAuthenticationIsPutOff(t *testing.T) {
	for _, op := range []registrytest.Op{registrytest.OpPing, registrytest.OpToken} {
		for status, kind := range map[int]error{
			http.StatusTooManyRequests: backend.ErrLimited, http.StatusServiceUnavailable: backend.ErrUnavailable,
		} {
			s := registrytest.New(t, registrytest.Options{Auth: &registrytest.Auth{Tokens: true, Users: accounts}})
			s.Inject(registrytest.Fault{Op: op, Failure: registrytest.Failure{
				Status: status, Code: "TOOMANYREQUESTS", Message: "come back later", RetryAfter: 42 * time.Second,
			}})
			b := open(t, s.Host+"/a/b", registry.Options{Keychain: login("writer", "s3cret-of-writer")})
			_, err := b.GetRef(t.Context(), "main")
			after, temporary := backend.Temporary(err)
			if !errors.Is(err, kind) || !temporary || after != 42*time.Second || !strings.Contains(err.Error(), "come back later") {
				t.Errorf("GetRef(%s answered %d) = %v, temporary %t after %v, want %v in its words, after 42s", op, status, err, temporary, after, kind)
			}
			if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrNotFound) {
				t.Errorf("GetRef() after that = %v, want %v", err, backend.ErrNotFound)
			}
		}
	}
}
