package cli

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/internal/registrytest"
)

const (
	imageType    = "application/vnd.oci.image.manifest.v1+json"
	registryRepo = "team/app"
)

// seed puts the ref main of the layout cache into a registry, under the tags
// main and old, and an image as image.
func seed(t *testing.T, s *registrytest.Server) {
	t.Helper()
	index := decode[struct {
		Manifests []struct {
			Digest      string
			MediaType   string
			Annotations map[string]string
		}
	}](t, readFile(t, "cache/index.json"))
	for _, file := range fileNames(t, "cache/blobs") {
		s.PutBlob(registryRepo, []byte(readFile(t, file)))
	}
	for _, m := range index.Manifests {
		if m.Annotations["org.opencontainers.image.ref.name"] == "main" {
			for _, tag := range []string{"main", "old"} {
				s.PutManifest(registryRepo, tag, m.MediaType, []byte(readFile(t, blobFile("cache", m.Digest))))
			}
		}
	}
	config := s.PutBlob(registryRepo, []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`))
	s.PutManifest(registryRepo, "image", imageType, fmt.Appendf(nil,
		`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":78},"layers":[]}`, imageType, config))
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// loggedIn returns an environment in which docker login has left a password.
func loggedIn(t *testing.T, host, user, password string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	if err := os.WriteFile(filepath.Join(dir, "config.json"), fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, host, auth), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"DOCKER_CONFIG": dir}
}

// tagged returns the tags of a repository with the digests they point to.
func tagged(t *testing.T, s *registrytest.Server) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, tag := range s.Tags(registryRepo) {
		_, data, err := s.Manifest(registryRepo, tag)
		if err != nil {
			t.Fatal(err)
		}
		all[tag] = string(data)
	}
	return all
}

// TestBadInputForRegistries gives the outcome of everything that can be wrong
// with a registry or with what is said about it. Each case is run twice, the
// second time with --json, and must leave all tags as they were and no upload
// unfinished. REPO stands for the repository.
func TestBadInputForRegistries(t *testing.T) {
	const wrong = "wrong-" + secret
	auth := &registrytest.Auth{Users: []registrytest.User{{Name: "writer", Password: "right"}, {Name: "reader", Password: "right", ReadOnly: true}}}
	tokens := &registrytest.Auth{Tokens: true, Users: auth.Users}
	refuse := func(op registrytest.Op, f registrytest.Failure) *registrytest.Fault {
		return &registrytest.Fault{Op: op, Times: -1, Failure: f}
	}
	toRepo := []string{"copy", "--from", featureRef, "--to", "REPO:main"}
	for _, test := range []struct {
		name           string
		is             registrytest.Options
		user, password string
		fault          *registrytest.Fault
		args           []string
		status         int
		kind           string
		want           []string
	}{
		{name: "a repository in capitals", args: []string{"ls", "type=registry,ref=HOST/Team/App"}, status: 2, kind: "usage", want: []string{"lower case"}},
		{name: "a URL as ref", args: []string{"ls", "type=registry,ref=http://HOST/team/app"}, status: 2, kind: "usage", want: []string{"without a scheme"}},
		{name: "no ref", args: []string{"ls", "type=registry"}, status: 2, kind: "usage", want: []string{"ref"}},
		{name: "a malformed tag", args: []string{"inspect", "type=registry,ref=REPO:-x"}, status: 2, kind: "usage", want: []string{"want a tag"}},
		{name: "a tag that is too long", args: []string{"inspect", "REPO:" + strings.Repeat("x", 129)}, status: 2, kind: "usage", want: []string{"at most 128"}},
		{name: "a malformed digest", args: []string{"inspect", "type=registry,ref=REPO@sha256:12"}, status: 2, kind: "usage", want: []string{"tag"}},
		{name: "a digest to write to", args: []string{"copy", "--from", mainRef, "--to", "REPO@sha256:" + strings.Repeat("0", 64)}, status: 2, kind: "usage", want: []string{"a digest can only be read"}},
		{name: "an attribute that is misspelled", args: []string{"ls", "type=registry,ref=REPO,insecure=true"}, status: 2, kind: "usage", want: []string{"registry.insecure"}},
		{name: "certificates that are none", args: []string{"ls", "type=registry,ref=REPO,ca=expected.json"}, status: 2, kind: "usage", want: []string{"no certificate in PEM in expected.json"}},

		{name: "a wrong password", is: registrytest.Options{Auth: auth}, user: "writer", password: wrong, args: []string{"inspect", "REPO:main"}, status: 1, kind: "denied", want: []string{"401", "credentials: CONFIG"}},
		{name: "a wrong password for tokens", is: registrytest.Options{Auth: tokens}, user: "writer", password: wrong, args: []string{"inspect", "REPO:main"}, status: 1, kind: "denied", want: []string{"401", "credentials: CONFIG"}},
		{name: "a wrong password to list", is: registrytest.Options{Auth: auth}, user: "writer", password: wrong, args: []string{"ls", "REPO"}, status: 1, kind: "denied", want: []string{"401", "credentials: CONFIG"}},
		{name: "a wrong password to write", is: registrytest.Options{Auth: tokens}, user: "writer", password: wrong, args: toRepo, status: 1, kind: "denied", want: []string{"401", "credentials: CONFIG"}},
		{name: "no password", is: registrytest.Options{Auth: auth}, args: []string{"inspect", "REPO:main"}, status: 1, kind: "denied", want: []string{"401", "credentials: no credentials"}},
		{name: "a password to read", is: registrytest.Options{Auth: auth}, user: "reader", password: "right", args: toRepo, status: 1, kind: "denied", want: []string{"credentials: CONFIG"}},
		{name: "a token to read", is: registrytest.Options{Auth: tokens}, user: "reader", password: "right", args: toRepo, status: 1, kind: "denied", want: []string{"credentials: CONFIG"}},
		{name: "no password to write", is: registrytest.Options{Auth: &registrytest.Auth{AnonymousPull: true, Tokens: true, Users: auth.Users}}, args: toRepo, status: 1, kind: "denied", want: []string{"credentials: no credentials"}},

		{name: "no such repository", args: []string{"inspect", "HOST/nobody/here:main"}, status: 3, kind: "not-found", want: []string{"HOST/nobody/here", `there is no ref "main"`}},
		{name: "no such repository to list", args: []string{"ls", "HOST/nobody/here"}, status: 3, kind: "not-found", want: []string{"there is nothing"}},
		{name: "no such repository to copy", args: []string{"copy", "--from", "HOST/nobody/here:main", "--to", "REPO:new"}, status: 3, kind: "not-found", want: []string{"HOST/nobody/here"}},
		{name: "no such tag", args: []string{"inspect", "REPO:mian"}, status: 3, kind: "not-found", want: []string{`there is no ref "mian"`, "the refs there are image, main, old"}},
		{name: "no such tag to list", args: []string{"ls", "REPO:mian"}, status: 3, kind: "not-found", want: []string{`there is no ref "mian"`}},
		{name: "a repository that a push does not create", is: registrytest.Options{Manifests: registrytest.Manifests{ECRNoCreate: true}}, args: []string{"copy", "--from", mainRef, "--to", "HOST/nobody/here:main"}, status: 1, kind: "not-found", want: []string{"NAME_UNKNOWN"}},

		{name: "a tag that cannot be moved", is: registrytest.Options{Manifests: registrytest.Manifests{ECRImmutable: true}}, args: toRepo, status: 1, kind: "already-exists", want: []string{"immutable", "exempt the cache's tags"}},
		{name: "a tag that cannot be merged into", is: registrytest.Options{Manifests: registrytest.Manifests{ECRImmutable: true}}, args: []string{"merge", "--from", featureRef, "--to", "REPO:main"}, status: 1, kind: "already-exists", want: []string{"immutable"}},
		{name: "a tag that cannot be written again", is: registrytest.Options{Manifests: registrytest.Manifests{NexusNoRepush: true}}, args: toRepo, status: 1, kind: "already-exists", want: []string{"allow redeploy"}},
		{name: "a manifest that is too large", fault: refuse(registrytest.OpManifestPut, registrytest.Failure{Status: http.StatusRequestEntityTooLarge}), args: toRepo, status: 1, kind: "too-large", want: []string{"413", "limits the size of requests"}},
		{name: "a blob that is too large", is: registrytest.Options{MaxBody: 10_000}, args: []string{"copy", "--from", featureRef, "--to", "HOST/team/other:main"}, status: 1, kind: "too-large", want: []string{"413", "upload in chunks"}},
		{name: "a quota", fault: refuse(registrytest.OpUploadStart, registrytest.Failure{Status: http.StatusForbidden, Code: "DENIED", Message: "adding 1.5 GiB of storage resource, which when updated to current usage will exceed the configured upper limit"}), args: []string{"copy", "--from", featureRef, "--to", "HOST/team/other:main"}, status: 1, kind: "limit-reached", want: []string{"quota of the Harbor project"}},
		{name: "a cache that is refused", is: registrytest.Options{Manifests: registrytest.Manifests{QuayNoCaches: true}}, args: []string{"copy", "--from", mainRef, "--to", "REPO:new"}, status: 1, kind: "denied", want: []string{"UNAUTHORIZED"}},

		{name: "an image", args: []string{"inspect", "REPO:image"}, status: 1, kind: "not-cache", want: []string{"not a build cache"}},
		{name: "an image to copy", args: []string{"copy", "--from", "REPO:image", "--to", "./new"}, status: 1, kind: "not-cache", want: []string{"not a build cache"}},
		{name: "an image to verify", args: []string{"verify", "REPO:image"}, status: 1, kind: "not-cache", want: []string{"not a build cache"}},
		{name: "an image to compare", args: []string{"diff", "REPO:main", "REPO:image"}, status: 1, kind: "not-cache", want: []string{"not a build cache"}},
		{name: "an image to merge", args: []string{"merge", "--from", mainRef, "--from", "REPO:image", "--to", "REPO:new"}, status: 1, kind: "not-cache", want: []string{"not a build cache"}},
		{name: "an image to overwrite", args: []string{"copy", "--merge", "--from", mainRef, "--to", "REPO:image"}, status: 1, kind: "not-cache", want: []string{"something else than a cache"}},
		{name: "an image to merge into", args: []string{"merge", "--from", mainRef, "--to", "REPO:image"}, status: 1, kind: "not-cache", want: []string{"something else than a cache"}},
		{name: "an image to remove", args: []string{"rm", "REPO:image"}, status: 1, kind: "not-cache", want: []string{"--force removes it all the same"}},

		{name: "tags that cannot be listed", fault: refuse(registrytest.OpTags, registrytest.Failure{Status: http.StatusMethodNotAllowed, Code: "UNSUPPORTED", Message: "The operation is unsupported."}), args: []string{"ls", "REPO"}, status: 1, kind: "not-supported", want: []string{"name those that you know of"}},
		{name: "tags that may not be listed", fault: refuse(registrytest.OpTags, registrytest.Failure{Status: http.StatusForbidden, Code: "DENIED", Message: "requested access to the resource is denied"}), args: []string{"ls", "REPO"}, status: 1, kind: "denied", want: []string{"requested access to the resource is denied"}},
		{name: "tags that cannot be deleted", is: registrytest.Options{Manifests: registrytest.Manifests{NoTagDelete: true}}, args: []string{"rm", "REPO:old"}, status: 1, kind: "not-supported", want: []string{"deletes by digest only"}},
		{name: "nothing can be deleted", is: registrytest.Options{Manifests: registrytest.Manifests{NoDelete: true}}, args: []string{"rm", "REPO:old"}, status: 1, kind: "not-supported", want: []string{"storage.delete.enabled"}},
		{name: "a certificate of nobody", is: registrytest.Options{TLS: true}, args: []string{"inspect", "REPO:main"}, status: 1, kind: "unavailable", want: []string{"certificate"}},
		{name: "a host that is not there", args: []string{"inspect", "no-such-host.invalid/team/app:main"}, status: 1, kind: "unavailable", want: []string{"no-such-host.invalid"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inLayout(t, "buildkit/local-max-two-tags")
			s := registrytest.New(t, test.is)
			seed(t, s)
			if test.fault != nil {
				s.Inject(*test.fault)
			}
			sh, config := shell{}, ""
			if test.user != "" {
				sh.env = loggedIn(t, s.Host, test.user, test.password)
				config = filepath.Join(sh.env["DOCKER_CONFIG"], "config.json")
			}
			fill := strings.NewReplacer("REPO", s.Host+"/"+registryRepo, "HOST", s.Host, "CONFIG", config).Replace
			var args []string
			for _, arg := range test.args {
				args = append(args, fill(arg))
			}
			before := tagged(t, s)
			for _, asJSON := range []bool{false, true} {
				if asJSON {
					args = append([]string{"--json"}, args...)
				}
				got := sh.run(t.Context(), args...)
				if got.status != test.status || !asJSON && got.out != "" {
					t.Errorf("larder %q: status %d, want %d; output %q", args, got.status, test.status, got.out)
				}
				for _, part := range append(test.want, "larder: "+test.args[0]+": ") {
					if !strings.Contains(got.err, fill(part)) {
						t.Errorf("larder %q: %s\nwant %q in it", args, got.err, fill(part))
					}
				}
				if lines := strings.Count(got.err, "\n"); lines > 2 {
					t.Errorf("larder %q: %d lines, want one and a hint:\n%s", args, lines, got.err)
				}
				if strings.Contains(got.out+got.err, secret) {
					t.Errorf("larder %q prints the password:\n%s%s", args, got.out, got.err)
				}
				if asJSON {
					answer := decode[struct{ Error errorJSON }](t, got.out)
					if answer.Error.Kind != test.kind {
						t.Errorf("larder %q: %+v, want kind %s", args, answer.Error, test.kind)
					}
				}
			}
			if diff := cmp.Diff(before, tagged(t, s)); diff != "" {
				t.Errorf("larder %q has changed tags (-before +after):\n%s", args, diff)
			}
			if n := s.Uploads(registryRepo); n > 0 {
				t.Errorf("larder %q has left %d uploads", args, n)
			}
			if _, err := os.Stat("new"); err == nil && slices.Contains(test.args, "./new") {
				t.Errorf("larder %q has written ./new", args)
			}
		})
	}
}

// TestLsOfARegistry lists more tags than a page has.
func TestLsOfARegistry(t *testing.T) {
	inLayout(t, "buildkit/local-max-two-tags")
	s := registrytest.New(t, registrytest.Options{PageSize: 2})
	seed(t, s)
	repo := s.Host + "/" + registryRepo
	out := mustExecute(t, "ls", repo)
	const want = `REF    KIND                  DIGEST        RECORDS  BLOBS      SIZE  MODIFIED
image  image                 09ade42fe3e6  -        1          78 B  -
main   cache (oci-manifest)  dec4ee88ba10  25       15      162 KiB  2026-11-21 03:22:45 (2 hours ago)
old    cache (oci-manifest)  dec4ee88ba10  25       15      162 KiB  2026-11-21 03:22:45 (2 hours ago)
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("ls (-want +got):\n%s", diff)
	}
	list := decode[listing](t, mustExecute(t, "ls", "--json", repo+":main;image"))
	var kinds []string
	for _, r := range list.Refs {
		kinds = append(kinds, r.Ref+" "+string(r.Kind))
	}
	if want := []string{"image image", "main cache"}; !slices.Equal(kinds, want) {
		t.Errorf("ls --json of two refs = %q, want %q", kinds, want)
	}
	if n := s.Count(registrytest.OpTags); n != 2 {
		t.Errorf("the lists took %d requests for pages, want 2 for all tags and none for those named", n)
	}
}

func TestDoctorOfARegistry(t *testing.T) {
	inLayout(t, "buildkit/local-max-two-tags")
	s := registrytest.New(t, registrytest.Options{})
	seed(t, s)
	repo := s.Host + "/" + registryRepo
	before, blobs := tagged(t, s), s.Blobs(registryRepo)
	out := mustExecute(t, "doctor", repo+":main")
	for _, part := range []string{"credentials", "no credentials", "a cache of 25 records", "digests", "mounts", "conditions"} {
		if !strings.Contains(out, part) {
			t.Errorf("doctor says\n%s\nwant %q in it", out, part)
		}
	}
	if diff := cmp.Diff(before, tagged(t, s)); diff != "" || !slices.Equal(blobs, s.Blobs(registryRepo)) || s.Uploads(registryRepo) > 0 {
		t.Errorf("doctor has left something behind:\n%s%v", diff, s.Blobs(registryRepo))
	}
	for location, want := range map[string]string{
		repo + ":image":                      "warning  ref image          it is no cache",
		"type=inline,ref=" + repo + ":image": "ok       ref image          an image, which has no cache yet",
		"type=inline,ref=" + repo + ":main":  "warning  ref main           it is a cache that stands for itself",
	} {
		if out := mustExecute(t, "doctor", location); !strings.Contains(out, want) {
			t.Errorf("doctor %s says\n%s\nwant %q in it", location, out, want)
		}
	}
	s.Forget()
	mustExecute(t, "doctor", "--read-only", repo+":main")
	for _, r := range s.Requests() {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			t.Errorf("doctor --read-only has sent %s %s", r.Method, r.Path)
		}
	}
}
