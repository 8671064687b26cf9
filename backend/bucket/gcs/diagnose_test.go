package gcs_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/bucket/gcs"
	"github.com/larder-build/larder/internal/gcstest"
)

func TestDiagnose(t *testing.T) {
	rules := func(days int) map[string]any {
		return map[string]any{"lifecycle": map[string]any{"rule": []any{map[string]any{
			"action": map[string]any{"type": "Delete"}, "condition": map[string]any{"age": days},
		}}}}
	}
	noSettings := answered(403, "forbidden", "caller does not have storage.buckets.get access", func(r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/b/caches")
	})
	good := []string{"endpoint: ok", "clock: ok", "credentials: ok", "bucket: ok"}
	for _, tt := range []struct {
		name    string
		service gcstest.Options
		change  func(*gcs.Options)
		want    []string
		says    string
	}{
		{"as it should be", gcstest.Options{}, nil, append(good, "lifecycle rules: note"), "what is not pruned stays"},
		{"rule for the old", gcstest.Options{Attrs: rules(30)}, nil, append(good, "lifecycle rules: ok"), "30 days"},
		{"rule for the young", gcstest.Options{Attrs: rules(1)}, nil, append(good, "lifecycle rules: warning"), "touch_refresh"},
		{"retention", gcstest.Options{Attrs: map[string]any{"retentionPolicy": map[string]any{"retentionPeriod": "3600", "effectiveTime": "2026-01-01T00:00:00Z"}}}, nil, append(good, "lifecycle rules: note", "retention policy: failed"), "1h0m0s"},
		{"versions", gcstest.Options{Attrs: map[string]any{"versioning": map[string]any{"enabled": true}}}, nil, append(good, "lifecycle rules: note", "versioning: warning"), "noncurrent"},
		{"soft delete", gcstest.Options{Attrs: map[string]any{"softDeletePolicy": map[string]any{"retentionDurationSeconds": "604800"}}}, nil, append(good, "lifecycle rules: note", "soft delete: note"), "168h"},
		{"cold", gcstest.Options{Attrs: map[string]any{"storageClass": "NEARLINE"}}, nil, append(good, "lifecycle rules: note", "storage class: warning"), "STANDARD"},
		{"requester pays", gcstest.Options{Attrs: map[string]any{"billing": map[string]any{"requesterPays": true}}}, nil, append(good, "lifecycle rules: note", "requester pays: note"), "user_project"},
		{"settings are secret", gcstest.Options{Before: noSettings}, nil, append(good, "lifecycle rules: skipped"), "storage.buckets.get"},
		{"no bucket", gcstest.Options{}, func(o *gcs.Options) { o.Bucket = "nowhere" }, []string{"endpoint: ok", "clock: ok", "credentials: ok", "bucket: failed"}, "create the bucket nowhere"},
		{"no token", gcstest.Options{Token: "x"}, nil, []string{"endpoint: ok", "clock: ok", "credentials: failed"}, "gcloud auth"},
		{"no rights", gcstest.Options{Before: answered(403, "forbidden", "caller does not have storage.objects.list access", nil)}, nil, []string{"endpoint: ok", "clock: ok", "credentials: ok", "bucket: warning", "lifecycle rules: skipped"}, "Storage Object User"},
		{"nobody there", gcstest.Options{}, func(o *gcs.Options) { o.Endpoint, o.Transport = "http://127.0.0.1:1", nil }, []string{"endpoint: failed"}, "endpoint_url"},
		{"without TLS", gcstest.Options{}, func(o *gcs.Options) { o.Endpoint = "http://storage.example" }, append([]string{"endpoint: note"}, append(good[1:], "lifecycle rules: note")...), "without TLS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, opts := fake(t, tt.service)
			if tt.change != nil {
				tt.change(&opts)
			}
			var short []string
			var text string
			for f := range open(t, opts).Diagnose(t.Context(), backend.DiagnoseOptions{}) {
				short = append(short, f.Check+": "+string(f.Status))
				text += f.Detail + "\n" + f.Remedy + "\n"
				if f.Detail == "" || f.Status == backend.FindingFailed && f.Remedy == "" {
					t.Errorf("finding %+v, want a detail, and a remedy for a failure", f)
				}
			}
			if diff := cmp.Diff(tt.want, short); diff != "" {
				t.Errorf("Diagnose() differs (-want +got):\n%s", diff)
			}
			if !strings.Contains(text, tt.says) {
				t.Errorf("Diagnose() says\n%s, want %q in it", text, tt.says)
			}
		})
	}
}
