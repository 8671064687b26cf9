package cli

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
)

// TestBadInput gives the outcome of everything that can be wrong with a command
// line or with what it names. Each case is run twice, the second time with
// --json, whose document has to say the same.
func TestBadInput(t *testing.T) {
	const someDigest = "sha256:dec4ee88ba10d8c3daa10cf7012e24d4e2bd3278a6fdd12c769b8d7a2e644dce"
	for _, test := range []struct {
		name   string
		args   []string
		status int
		kind   string
		// want are parts of what standard error has.
		want []string
	}{
		{"unknown attribute", []string{"copy", "--from", mainRef, "--to", "type=local,dest=new,mod=max"}, 2, "usage", []string{"copy: --to: ", "unknown attribute mod ", "did you mean mode?"}},
		{"unknown type", []string{"ls", "type=locl,src=cache"}, 2, "usage", []string{"unknown type locl, did you mean local?"}},
		{"no location", []string{"ls", "cache"}, 2, "usage", []string{"a path that begins with ./"}},
		{"stray space", []string{"ls", " ./cache"}, 2, "usage", []string{"space"}},
		{"bad value", []string{"ls", "type=local,src=cache,mode=most"}, 2, "usage", []string{"min, max"}},
		{"unknown flag", []string{"ls", "--foo", "./cache"}, 2, "usage", []string{"unknown flag: --foo", `"larder ls --help"`}},
		{"unknown command", []string{"lss", "./cache"}, 2, "usage", []string{`"lss", did you mean ls?`}},
		{"no argument", []string{"inspect"}, 2, "usage", []string{"want 1 location, got 0 arguments"}},
		{"too many arguments", []string{"diff", "./a", "./b", "./c"}, 2, "usage", []string{"want 2 locations, got 3 arguments"}},
		{"no destination", []string{"copy", "--from", mainRef}, 2, "usage", []string{`"to"`}},
		{"argument of copy", []string{"copy", "./a", "./b"}, 2, "usage", []string{"./a"}},
		{"unknown encoding", []string{"copy", "--encoding", "zip", "--from", mainRef, "--to", "./new"}, 2, "usage", []string{`"zip"`, "oci-manifest"}},
		{"two sources of a copy", []string{"copy", "--from", mainRef + ";feature-login", "--to", "./new"}, 2, "usage", []string{"--from: ", "names 2 refs, want one"}},
		{"digest as destination", []string{"copy", "--from", mainRef, "--to", "type=local,dest=new,digest=" + someDigest}, 2, "usage", []string{"a digest can only be read"}},
		{"removal of a digest", []string{"rm", "type=local,src=cache,digest=" + someDigest}, 2, "usage", []string{"a digest can only be read"}},
		{"repair of a digest", []string{"verify", "--repair", "type=local,src=cache,digest=" + someDigest}, 2, "usage", []string{"a digest can only be read"}},
		{"removal of nothing in particular", []string{"rm", "./cache"}, 2, "usage", []string{"names no ref"}},
		{"digest like a path", []string{"inspect", "type=local,src=cache,digest=sha256:../../../../etc/passwd"}, 2, "usage", []string{"64 lower-case hexadecimal digits"}},
		{"no time", []string{"doctor", "--timeout", "0s", "./cache"}, 2, "usage", []string{"--timeout", "above 0"}},
		{"ref like a path", []string{"inspect", "type=local,src=cache,tag=../../main"}, 2, "usage", []string{`".."`}},
		{"file for a directory", []string{"inspect", "./expected.json"}, 2, "usage", []string{"not a directory"}},

		{"no such ref", []string{"inspect", "type=local,src=cache,tag=mian"}, 3, "not-found", []string{`there is no ref "mian"`, "the refs there are feature-login, main"}},
		{"no such document", []string{"inspect", "type=local,src=cache,digest=sha256:" + strings.Repeat("0", 64)}, 3, "not-found", []string{"there is no ref"}},
		{"no such source", []string{"copy", "--from", "./nowhere", "--to", "./new"}, 3, "not-found", []string{`there is no ref "latest", nor any other`}},
		{"one of the sources", []string{"merge", "--from", mainRef, "--from", "./nowhere", "--to", "./new"}, 3, "not-found", []string{"src=./nowhere", "nor any other", "--skip-missing does without"}},
		{"none of the sources", []string{"merge", "--skip-missing", "--from", "./nowhere", "--from", "./neither", "--to", "./new"}, 3, "not-found", []string{"src=./nowhere", "nor any other"}},
		{"one side of a diff", []string{"diff", mainRef, "type=local,src=cache,tag=mian"}, 3, "not-found", []string{`"mian"`}},
		{"no directory to list", []string{"ls", "./nowhere"}, 3, "not-found", []string{"src=./nowhere: there is nothing"}},
		{"removal of what is not there", []string{"rm", "type=local,src=cache,tag=mian"}, 3, "not-found", []string{`"mian"`}},

		{"no layout", []string{"ls", "./other"}, 1, "invalid", []string{"not an OCI image layout", "notes.txt"}},
		{"copy to no layout", []string{"copy", "--from", mainRef, "--to", "./other"}, 1, "invalid", []string{"not an OCI image layout"}},
		{"no cache", []string{"inspect", "type=local,src=cache,tag=thing"}, 1, "not-cache", []string{"not a build cache"}},
		{"copy onto no cache", []string{"copy", "--merge", "--from", mainRef, "--to", "type=local,dest=cache,tag=thing"}, 1, "not-cache", []string{"something else than a cache"}},
		{"removal of no cache", []string{"rm", "type=local,src=cache,tag=thing"}, 1, "not-cache", []string{"--force"}},
		{"broken source", []string{"copy", "--from", featureRef, "--to", "./new"}, 1, "corrupt", []string{"--skip-broken", "larder verify --repair type=local,src=cache,tag=feature-login"}},
		{"manifest not what its digest says", []string{"verify", "type=local,src=cache,tag=torn"}, 1, "corrupt", []string{"torn"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inLayout(t, "buildkit/local-max-two-tags")
			spoil(t)
			got := execute(t, test.args...)
			if got.status != test.status || got.out != "" {
				t.Errorf("larder %q: status %d, want %d; output %q, want none", test.args, got.status, test.status, got.out)
			}
			if strings.Contains(got.err, "warning: ") {
				t.Errorf("larder %q: %s\nwant no warning beside the error", test.args, got.err)
			}
			for _, part := range append(test.want, "larder: ") {
				if !strings.Contains(got.err, part) {
					t.Errorf("larder %q: %s\nwant %q in it", test.args, got.err, part)
				}
			}
			inJSON := execute(t, append([]string{"--json"}, test.args...)...)
			answer := decode[struct {
				Schema string
				Error  errorJSON
			}](t, inJSON.out)
			if inJSON.status != test.status || answer.Error.Kind != test.kind || answer.Schema != "larder/v1" {
				t.Errorf("larder --json %q: status %d, %+v, want %d %s", test.args, inJSON.status, answer, test.status, test.kind)
			}
			if answer.Error.Message == "" || !strings.Contains(inJSON.err, answer.Error.Message) {
				t.Errorf("larder --json %q says %q and %q, want the same", test.args, answer.Error.Message, inJSON.err)
			}
		})
	}
}

// spoil adds to the layout of a cache: a ref to something else, a blob of
// feature-login with other content, a ref whose manifest has other content. It
// also makes a directory that is no layout.
func spoil(t *testing.T) {
	t.Helper()
	index, err := os.ReadFile("cache/index.json")
	if err != nil {
		t.Fatal(err)
	}
	const entries = `{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"annotations":{"org.opencontainers.image.ref.name":"thing"}},
{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945","size":2,"annotations":{"org.opencontainers.image.ref.name":"torn"}},`
	overwrite(t, "cache/index.json", []byte(strings.Replace(string(index), `"manifests":[`, `"manifests":[`+entries, 1)))
	for file, content := range map[string]string{
		blobFile("cache", "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"): "{}",
		blobFile("cache", "sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"): "{}",
		"other/notes.txt": "mine",
	} {
		if err := os.MkdirAll("other", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The last one is only in feature-login.
	overwrite(t, blobFile("cache", "sha256:0b46d20f9ee870b37d811072f04e3b3a27d355b84641d9eaebe07db20a5b91e8"), []byte("broken"))
}

// TestFailingStore shows what is said of stores that fail.
func TestFailingStore(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault faulty.Fault
		args  []string
		want  []string
	}{
		{
			"no space left",
			faulty.Fault{Op: faulty.Put, Times: -1, Err: &backend.Error{Op: "put", Backend: "local", Kind: backend.ErrLimited, Err: syscall.ENOSPC}},
			[]string{"copy", "--from", mainRef, "--to", "./new"},
			[]string{"larder: copy: type=local,src=./new latest: local: put: limit reached: no space left on device"},
		},
		{
			"unreadable directory",
			faulty.Fault{Op: faulty.ListRefs, Times: -1, Err: &backend.Error{Op: "list refs", Backend: "local", Kind: backend.ErrDenied, Err: errors.New("open cache: permission denied")}},
			[]string{"ls", "./cache"},
			[]string{"larder: ls: local: list refs: denied: open cache: permission denied", "hint: check the permissions"},
		},
		{
			"no answer",
			faulty.Fault{Op: faulty.GetRef, Times: -1, Err: &backend.Error{Op: "get ref", Backend: "s3", Kind: backend.ErrUnavailable}},
			[]string{"rm", mainRef},
			[]string{"larder: rm: s3: get ref: unavailable", "hint: --verbose"},
		},
		{
			"corrupt on the way",
			faulty.Fault{Op: faulty.GetRef, Times: -1, Err: blob.ErrCorrupt},
			[]string{"inspect", mainRef},
			[]string{"larder: inspect: corrupt"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			inLayout(t, "buildkit/local-max-two-tags")
			s := shell{wrap: func(b backend.Backend) backend.Backend { return faulty.New(b, test.fault) }}
			got := s.run(t.Context(), test.args...)
			if got.status != statusFailed || got.out != "" {
				t.Errorf("larder %q: status %d, output %q; want status %d", test.args, got.status, got.out, statusFailed)
			}
			for _, part := range test.want {
				if !strings.Contains(got.err, part) {
					t.Errorf("larder %q: %s\nwant %q in it", test.args, got.err, part)
				}
			}
		})
	}
}
