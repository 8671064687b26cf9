package interop

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
)

// dockerfile has what caches differ by: stages that do not depend on each
// other, a step that removes a file, links, and a layer that is copied onto any
// base and therefore listed with several parents. Whether a step was reused
// shows in the random file that it makes.
const dockerfile = `FROM scratch AS base
COPY mk /mk
COPY seed.txt /seed.txt

FROM base AS deps
RUN ["/mk", "random", "/deps.bin", "65536"]

FROM base AS tools
RUN ["/mk", "random", "/tools.bin", "32768"]
RUN ["/mk", "link", "tools.bin", "/tools"]

FROM deps AS app
COPY src.txt /src.txt
RUN ["/mk", "random", "/app.bin", "16384"]
RUN ["/mk", "cat", "/all.bin", "/deps.bin", "/app.bin", "/src.txt"]
RUN ["/mk", "remove", "/src.txt"]

FROM base
COPY --from=app /deps.bin /app.bin /all.bin /out/
COPY --link --from=tools /tools.bin /out/
RUN ["/mk", "random", "/last.bin", "64"]
`

// The random files of an image, each made by a step of its own.
const (
	depsFile  = "out/deps.bin"
	toolsFile = "out/tools.bin"
	appFile   = "out/app.bin"
	lastFile  = "last.bin"
)

// newSeed is for the contexts of one test: it keeps what other tests have left
// in the daemon from being reused.
func newSeed() string { return rand.Text() }

// newContext makes a build context. Contexts of one seed share all steps but
// those that need the source text.
func newContext(t *testing.T, seed, src string) string {
	t.Helper()
	return newContextFor(t, dockerfile, seed, src)
}

func newContextFor(t *testing.T, dockerfile, seed, src string) string {
	t.Helper()
	mk, err := os.ReadFile(built(t).mk)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, file := range []struct {
		name    string
		content []byte
		mode    os.FileMode
	}{
		{"Dockerfile", []byte(dockerfile), 0o644},
		{"seed.txt", []byte(seed), 0o644},
		{"src.txt", []byte(src), 0o644},
		{"mk", mk, 0o755},
	} {
		path := filepath.Join(dir, file.name)
		if err := os.WriteFile(path, file.content, file.mode); err != nil {
			t.Fatal(err)
		}
		// The mode is part of the cache key, whatever the umask says.
		if err := os.Chmod(path, file.mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
