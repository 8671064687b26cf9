package gcs_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/gcstest"
)

// answered has the server answer some requests with a refusal in its format.
func answered(status int, reason, message string, match func(*http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if match != nil && !match(r) {
			return false
		}
		body, _ := json.Marshal(map[string]any{"error": map[string]any{ //nolint:errchkjson // strings
			"code": status, "message": message, "errors": []map[string]string{{"reason": reason, "message": message}},
		}})
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(body)
		return true
	}
}

// TestRefusals translates what the service says, and keeps its words.
func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		name      string
		status    int
		reason    string
		want      error
		temporary bool
	}{
		{"malformed", 400, "invalid", backend.ErrInvalid, false},
		{"credentials", 401, "authError", backend.ErrDenied, false},
		{"rights", 403, "forbidden", backend.ErrDenied, false},
		{"rate", 403, "rateLimitExceeded", backend.ErrLimited, true},
		{"rate of a user", 403, "userRateLimitExceeded", backend.ErrLimited, true},
		{"quota", 403, "quotaExceeded", backend.ErrLimited, false},
		{"retention", 403, "retentionPolicyNotMet", backend.ErrReadOnly, false},
		{"not there", 404, "notFound", backend.ErrNotFound, false},
		{"slow", 408, "timeout", backend.ErrUnavailable, true},
		{"conflict", 409, "conflict", backend.ErrConflict, false},
		{"precondition", 412, "conditionNotMet", backend.ErrConflict, false},
		{"too large", 413, "uploadTooLarge", backend.ErrTooLarge, false},
		{"too many", 429, "rateLimitExceeded", backend.ErrLimited, true},
		{"internal", 500, "internalError", backend.ErrUnavailable, true},
		{"overloaded", 503, "backendError", backend.ErrUnavailable, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, opts := fake(t, gcstest.Options{Before: answered(tt.status, tt.reason, "the service says no", nil)})
			b := open(t, opts)
			for op, err := range map[string]error{
				"GetRef":    second(b.GetRef(t.Context(), "main")),
				"PutRef":    second(b.PutRef(t.Context(), "main", backend.Document{Data: []byte("{}")}, backend.Always)),
				"DeleteRef": b.DeleteRef(t.Context(), "main", backend.Match("7")),
			} {
				want := tt.want
				if op == "DeleteRef" && errors.Is(want, backend.ErrNotFound) {
					want = backend.ErrConflict
				}
				if !errors.Is(err, want) || errors.Is(want, tt.want) && !strings.Contains(err.Error(), "the service says no") {
					t.Errorf("%s = %v, want %v in the service's words", op, err, want)
				}
				if _, temporary := backend.Temporary(err); temporary != tt.temporary {
					t.Errorf("%s: Temporary(%v) = %t, want %t", op, err, temporary, tt.temporary)
				}
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

// TestRightsForOneVerb is about what each right is needed for.
func TestRightsForOneVerb(t *testing.T) {
	data := []byte("content")
	d := blob.Describe("", data)
	uploads := func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/upload/") }
	_, opts := fake(t, gcstest.Options{Before: answered(403, "forbidden", "caller does not have storage.objects.create access", uploads)})
	b := open(t, opts)
	if err := b.Put(t.Context(), d, blob.Bytes(data)); !errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), "storage.objects.create") {
		t.Errorf("Put() = %v, want %v that names the right", err, backend.ErrDenied)
	}
	if found, err := b.Stat(t.Context(), d.Digest); err != nil || len(found) != 0 {
		t.Errorf("Stat() = %v, %v, want nothing found", found, err)
	}
	// Who may not ask whether there is something may not be told that there is not.
	reads := func(r *http.Request) bool { return r.Method == http.MethodGet }
	_, opts = fake(t, gcstest.Options{Before: answered(403, "forbidden", "caller does not have storage.objects.get access", reads)})
	b = open(t, opts)
	if found, err := b.Stat(t.Context(), d.Digest); !errors.Is(err, backend.ErrDenied) {
		t.Errorf("Stat() = %v, %v, want %v", found, err, backend.ErrDenied)
	}
	if err := b.Put(t.Context(), d, blob.Bytes(data)); err != nil {
		t.Errorf("Put() = %v, want nil: writing is allowed", err)
	}
}

func TestMissingBucket(t *testing.T) {
	_, opts := fake(t, gcstest.Options{})
	opts.Bucket = "nowhere"
	b := open(t, opts)
	_, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("{}")}, backend.Always)
	if !errors.Is(err, backend.ErrNotFound) || !strings.Contains(err.Error(), "bucket does not exist") {
		t.Errorf("PutRef() = %v, want %v that tells of the bucket", err, backend.ErrNotFound)
	}
}

// TestForeignVersion has a version of another store never match.
func TestForeignVersion(t *testing.T) {
	_, opts := fake(t, gcstest.Options{})
	b := open(t, opts)
	for _, v := range []backend.Version{"sha256:abc", "0", "-1", `"etag"`} {
		if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("{}")}, backend.Match(v)); !errors.Is(err, backend.ErrConflict) {
			t.Errorf("PutRef(match %s) = %v, want %v", v, err, backend.ErrConflict)
		}
	}
}
