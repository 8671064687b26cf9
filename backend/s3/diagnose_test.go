package s3_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/s3"
	"github.com/larder-build/larder/internal/s3test"
)

// lifecycle is a document of one rule for what is below a prefix.
func lifecycle(prefix string, days int, more string) string {
	return fmt.Sprintf(`<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status>
		<Filter><Prefix>%s</Prefix></Filter><Expiration><Days>%d</Days></Expiration>%s</Rule></LifecycleConfiguration>`, prefix, days, more)
}

const aborting = `<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>`

func TestDiagnose(t *testing.T) {
	sound := []string{
		"endpoint: ok", "clock: ok", "credentials: ok", "quirks: note", "right to list: ok",
		"conditions: ok", "lifecycle rules: note", "versioning: ok", "unfinished uploads: ok",
	}
	but := func(changed ...string) []string {
		all := slices.Clone(sound)
		for _, c := range changed {
			check, _, _ := strings.Cut(c, ":")
			all[slices.IndexFunc(all, func(s string) bool { return strings.HasPrefix(s, check+":") })] = c
		}
		return all
	}
	for _, tt := range []struct {
		name   string
		server s3test.Options
		change func(*s3.Options)
		want   []string
		text   string // a part of what is said
	}{
		{"sound", s3test.Options{}, nil, sound, "attributes access_key_id and secret_access_key"},
		{"a store that ignores conditions", s3test.Options{Quirks: s3test.Quirks{IgnoreConditions: true}}, func(o *s3.Options) { o.Quirks = "generic" }, but("conditions: failed"), "set conditions=false"},
		{"conditions that are not used", s3test.Options{}, func(o *s3.Options) { o.NoConditions = true }, but("conditions: warning"), "the last of several exporters at a time wins"},
		{"no right to list", s3test.Options{Deny: func(op string) bool { return op == "ListObjectsV2" }}, nil, but("right to list: failed"), "allow s3:ListBucket on the bucket cache"},
		{"no right to look at rules", s3test.Options{Deny: func(op string) bool { return strings.HasPrefix(op, "GetBucket") }}, nil, but("lifecycle rules: skipped", "versioning: skipped"), "s3:GetLifecycleConfiguration"},
		{"versions", s3test.Options{Versioning: "Enabled"}, nil, but("versioning: warning"), "NoncurrentVersionExpiration"},
		{"objects that expire too soon", s3test.Options{Lifecycle: lifecycle("", 1, aborting)}, nil, but("lifecycle rules: failed"), "objects expire after 1 days"},
		{"objects that expire soon", s3test.Options{Lifecycle: lifecycle("blobs/", 2, aborting)}, nil, but("lifecycle rules: warning"), "less than twice touch_refresh"},
		{"objects that expire in time", s3test.Options{Lifecycle: lifecycle("blobs/", 30, aborting)}, nil, but("lifecycle rules: ok"), "expire after 30 days"},
		{"other objects expire", s3test.Options{Lifecycle: lifecycle("logs/", 1, aborting)}, nil, append(but()[:7:7], "unfinished uploads: note", "versioning: ok", "unfinished uploads: ok"), "none of 1 removes objects"},
		{"a wrong key", s3test.Options{}, func(o *s3.Options) { o.SecretAccessKey = "wrong" }, []string{"endpoint: ok", "clock: ok", "credentials: failed"}, "correct attribute secret_access_key"},
		{"a wrong region", s3test.Options{Region: "eu-west-3"}, nil, []string{"endpoint: ok", "clock: ok", "credentials: failed"}, "set region=eu-west-3"},
		{"a clock that is off", s3test.Options{Now: func() time.Time { return time.Now().Add(5 * time.Minute) }}, nil, but("clock: warning"), "behind the store's"},
		{"nobody there", s3test.Options{}, func(o *s3.Options) { o.Endpoint = "http://127.0.0.1:1" }, []string{"endpoint: failed"}, "check attribute endpoint_url"},
		{"nobody to ask as", s3test.Options{}, func(o *s3.Options) { o.AccessKeyID, o.SecretAccessKey, o.Credentials = "", "", failing{} }, []string{"credentials: failed"}, "the vault is sealed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newFake(t, tt.server)
			b := openFake(t, s, tt.change)
			var got []string
			text := ""
			for f := range b.Diagnose(t.Context(), backend.DiagnoseOptions{}) {
				got = append(got, fmt.Sprintf("%s: %s", f.Check, f.Status))
				text += f.Detail + "\n" + f.Remedy + "\n"
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Diagnose (-want +got):\n%s%s", diff, text)
			}
			if !strings.Contains(text, tt.text) {
				t.Errorf("Diagnose says\n%swant it to say %q", text, tt.text)
			}
			if keys := s.Keys(cache); len(keys) > 0 {
				t.Errorf("Diagnose left %q, want nothing", keys)
			}
		})
	}
}

// TestDiagnoseNoBucket ends where there is nothing to look at.
func TestDiagnoseNoBucket(t *testing.T) {
	s := s3test.New(t, s3test.Options{Keys: map[string]string{accessKey: secretKey}})
	b, err := s3.Open(t.Context(), "elsewhere", s3.Options{Endpoint: s.URL, AccessKeyID: accessKey, SecretAccessKey: secretKey})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	var got []string
	for f := range b.Diagnose(t.Context(), backend.DiagnoseOptions{}) {
		got = append(got, fmt.Sprintf("%s: %s", f.Check, f.Status))
	}
	want := []string{"endpoint: ok", "clock: ok", "credentials: ok", "bucket: failed", "write: skipped"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Diagnose (-want +got):\n%s", diff)
	}
}

// TestDiagnoseReadOnly writes nothing, and stops when nobody listens.
func TestDiagnoseReadOnly(t *testing.T) {
	s := newFake(t, s3test.Options{})
	b := openFake(t, s, func(o *s3.Options) { o.Quirks = "generic" })
	for range b.Diagnose(t.Context(), backend.DiagnoseOptions{ReadOnly: true}) {
	}
	for op := range count(s.Requests()) {
		if strings.HasPrefix(op, "Put") || strings.HasPrefix(op, "Delete") || strings.HasPrefix(op, "Create") {
			t.Errorf("Diagnose(read-only) asked for %s", op)
		}
	}
	for range b.Diagnose(t.Context(), backend.DiagnoseOptions{}) {
		break
	}
	if got := s.Requests(); len(got) != 1 {
		t.Errorf("Diagnose(stopped at once) asked for %q, want one request", got)
	}
}
