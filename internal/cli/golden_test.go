package cli

import (
	"os"
	"testing"
)

const (
	mainRef    = "type=local,src=cache,tag=main"
	featureRef = "type=local,src=cache,tag=feature-login"
	// bigLayer is the largest blob of main, which feature-login has too.
	bigLayer = "sha256:a68a9492edb9254cae7585124309ecb34c375e142a0cfaa92f1ab9d4179ad6de"
)

// TestGolden shows every form of output for people. Each case has its own copy
// of two caches; setup is what happens to it before.
func TestGolden(t *testing.T) {
	for _, test := range []struct {
		name   string
		setup  func(t *testing.T)
		args   []string
		status int
	}{
		{name: "help", args: []string{"help"}},
		{name: "help-copy", args: []string{"copy", "--help"}},
		{name: "ls", args: []string{"ls", "./cache"}},
		{name: "ls-odd", setup: addOddRefs, args: []string{"ls", "./cache"}},
		{name: "inspect", args: []string{"inspect", mainRef}},
		{name: "inspect-no-trunc", args: []string{"inspect", "--no-trunc", mainRef}},
		{name: "inspect-two", args: []string{"inspect", mainRef + ";feature-login"}},
		{name: "verify", args: []string{"verify", mainRef}},
		{name: "verify-quick", args: []string{"verify", "--quick", mainRef}},
		{name: "verify-broken", setup: breakBig, args: []string{"verify", mainRef}, status: statusFailed},
		{name: "verify-repair", setup: breakBig, args: []string{"verify", "--repair", mainRef}},
		{name: "verify-repair-nothing-left", setup: breakAll, args: []string{"verify", "--repair", mainRef}},
		{name: "diff", args: []string{"diff", mainRef, featureRef}, status: statusFailed},
		{name: "diff-equal", args: []string{"diff", mainRef, mainRef}},
		{name: "copy", args: []string{"copy", "--from", mainRef, "--to", "type=local,dest=new,tag=x", "--to", "local:other?tag=y"}},
		{name: "copy-same", args: []string{"copy", "--from", mainRef, "--to", mainRef}},
		{name: "merge", args: []string{"merge", "--from", mainRef, "--from", featureRef, "--to", "type=local,dest=cache,tag=all"}},
		{name: "doctor", args: []string{"doctor", "mem://store?name=main"}},
		{name: "doctor-read-only", args: []string{"doctor", "--read-only", "mem://store"}},
		{name: "help-doctor", args: []string{"doctor", "--help"}},
		{name: "rm", args: []string{"rm", mainRef + ";feature-login"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			golden := goldenFile(t, test.name)
			inLayout(t, "buildkit/local-max-two-tags")
			if test.setup != nil {
				test.setup(t)
			}
			got := execute(t, test.args...)
			if got.status != test.status || got.err != "" {
				t.Errorf("larder %q: status %d, want %d; %s", test.args, got.status, test.status, got.err)
			}
			checkGolden(t, golden, got.out)
		})
	}
}

// breakBig overwrites a blob of main and removes another.
func breakBig(t *testing.T) {
	t.Helper()
	overwrite(t, blobFile("cache", bigLayer), make([]byte, 46436))
	if err := os.Remove(blobFile("cache", "sha256:f70eab216575ed461662ac65d9a8d7dee43bd3eed5b315989f47d3b5e437e05b")); err != nil {
		t.Fatal(err)
	}
}

// breakAll removes the blobs below all others.
func breakAll(t *testing.T) {
	t.Helper()
	for _, d := range []string{
		"sha256:cb6b771202f139ee1ad55518302191f7d9a5682e1e71c63622b0aacb7418b8fb",
		"sha256:55a9aa6308acb8603a23b938c5d0e9d7f16ff7b40ed6c3df9ce8899f68371bd6",
		"sha256:5ca35d674b0ca2d101f619553bc879156542063b610e46b55be81e3f76e759f1",
	} {
		if err := os.Remove(blobFile("cache", d)); err != nil {
			t.Fatal(err)
		}
	}
}

// overwrite replaces a file, which may be read-only.
func overwrite(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// addOddRefs adds a ref to something that is no cache, one to a document that is
// gone, and one whose name would move the cursor.
func addOddRefs(t *testing.T) {
	t.Helper()
	const index = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[
{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"annotations":{"org.opencontainers.image.ref.name":"thing"}},
{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","size":2,"annotations":{"org.opencontainers.image.ref.name":"gone"}},
{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:dec4ee88ba10d8c3daa10cf7012e24d4e2bd3278a6fdd12c769b8d7a2e644dce","size":5820,"annotations":{"org.opencontainers.image.ref.name":"\u001b[2J\u202emain"}}]}`
	overwrite(t, "cache/index.json", []byte(index))
	if err := os.WriteFile(blobFile("cache", "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	setTimes(t, "cache")
}
