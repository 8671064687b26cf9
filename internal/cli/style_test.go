package cli

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

func TestPrintable(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"plain", "main, v1.0 – ok", "main, v1.0 – ok"},
		{"control sequence", "\x1b[2Jmain", `\x1b[2Jmain`},
		{"new line", "a\nb", `a\nb`},
		{"right-to-left override", "a\u202eb", `a\u202eb`},
		{"no UTF-8", "a\xff", `a\xff`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := printable(test.text); got != test.want {
				t.Errorf("printable(%q) = %q, want %q", test.text, got, test.want)
			}
		})
	}
	if got := printable(strings.Repeat("é", maxText)); len(got) > maxText+len("…") || !strings.HasSuffix(got, "é…") {
		t.Errorf("printable(long) has %d bytes and ends in %q", len(got), got[len(got)-6:])
	}
}

func TestShellWord(t *testing.T) {
	for text, want := range map[string]string{
		"type=local,src=./cache,tag=v1": "type=local,src=./cache,tag=v1",
		"tag=a;b":                       "'tag=a;b'",
		"it's":                          `'it'\''s'`,
		"$(rm -r /)":                    "'$(rm -r /)'",
		"":                              "''",
	} {
		if got := shellWord(text); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", text, got, want)
		}
	}
}

func TestFigures(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{bytesText(0), "0 B"},
		{bytesText(1536), "1.5 KiB"},
		{bytesText(-1536), "-1.5 KiB"},
		{size(40 << 30), "  40 GiB"},
		{count(1, "blob"), "1 blob"},
		{count(0, "blob"), "0 blobs"},
		{count(1234567, "blob"), "1,234,567 blobs"},
		{elapsed(123456 * time.Microsecond), "123ms"},
		{elapsed(12345 * time.Millisecond), "12.3s"},
		{elapsed(3661400 * time.Millisecond), "1h1m1s"},
		{style{}.time(nil), "-"},
		{some([]string{"a", "b"}), "a, b"},
		{some(strings.Split("a b c d e f g h i j", " ")), "a, b, c, d, e, f, g, h and 2 more"},
		{tail("short", 10), "short"},
		{tail("a rather long name", 10), "…long name"},
		{layerType("application/vnd.oci.image.layer.v1.tar+zstd"), "tar+zstd"},
		{layerType("text/\x07"), `text/\a`},
		{style{}.digest("not-a-digest\n"), `not-a-digest\n`},
		{inputs(nil), "-"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}

func TestOneLine(t *testing.T) {
	var all []error
	for i := range 9 {
		all = append(all, fmt.Errorf("error %d", i))
	}
	const want = "error 0; error 1; error 2; error 3; error 4; and 4 more"
	if got := oneLine(errors.Join(all...)); got != want {
		t.Errorf("oneLine(9 errors) = %q, want %q", got, want)
	}
}

func TestSummary(t *testing.T) {
	for _, test := range []struct {
		name   string
		report *larder.TargetReport
		want   string
	}{
		{
			"all", &larder.TargetReport{Outcome: larder.Published, Sent: larder.Count{Blobs: 1, Bytes: 1024}, Mounted: larder.Count{Blobs: 2, Bytes: 4096}, Retries: 3},
			"at x: published , sent 1 blob (1.0 KiB), reused 0 blobs, mounted 2 blobs (4.0 KiB), retried 3 times, in 1.5s\n",
		},
		{"skipped", &larder.TargetReport{Outcome: larder.Skipped}, "at x: nothing to publish\n"},
		{"failed", &larder.TargetReport{Outcome: larder.Failed}, ""},
		{"never begun", &larder.TargetReport{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.report.Target, test.report.Ref = "at", "x"
			var out bytes.Buffer
			newApp(Streams{}, nil).summary(&out, test.report, 1500*time.Millisecond)
			if got := out.String(); got != test.want {
				t.Errorf("summary = %q, want %q", got, test.want)
			}
		})
	}
}

// TestDifference shows the forms that the fixtures do not have: records with
// another result, and readable names.
func TestDifference(t *testing.T) {
	d := &manifest.Difference{Changed: []manifest.Change{{
		Named: manifest.Named{Digest: "sha256:" + blob.Digest(strings.Repeat("a", 64)), Name: "go build"},
		A:     &manifest.Stack{Top: "sha256:" + blob.Digest(strings.Repeat("b", 64))},
	}}}
	var out bytes.Buffer
	newApp(Streams{}, nil).printDifference(&out, []larder.Target{{Ref: "x"}, {Ref: "y"}}, d)
	const want = "~ record aaaaaaaaaaaa go build: bbbbbbbbbbbb -> no result\n"
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("difference = %q, want %q at its end", out.String(), want)
	}
}

func TestVersion(t *testing.T) {
	info := &buildinfo.BuildInfo{Main: debug.Module{Version: "v0.1.0"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"},
	}}
	var out bytes.Buffer
	thisBuild(info, true).print(&out)
	if got, want := out.String(), "larder v0.1.0, commit 0123456789abcdef with changes, go"; !strings.HasPrefix(got, want) {
		t.Errorf("version = %q, want %q at its beginning", got, want)
	}
	out.Reset()
	thisBuild(nil, false).print(&out)
	if got := out.String(); !strings.HasPrefix(got, "larder unknown, go") {
		t.Errorf("version of an unknown build = %q", got)
	}
	if got := mustExecute(t, "version"); !strings.HasPrefix(got, "larder ") || strings.Count(got, "\n") != 1 {
		t.Errorf("version = %q, want one line", got)
	}
}
