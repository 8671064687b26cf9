package interop

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
)

// gha is the cache service of GitHub Actions, which no server of the testbed is:
// each place is a service of its own, run from larder's source. It is spoken to in
// the second version of its protocol, and in the first, that of GitHub Enterprise
// Server.
var (
	gha      = kind{name: "gha", encoding: flat, open: func(t *testing.T) place { t.Helper(); return newCacheService(t) }}
	ghaFirst = kind{name: "gha-v1", encoding: flat, open: func(t *testing.T) place {
		t.Helper()
		s := newCacheService(t)
		s.address = ",version=1,url="
		return s
	}}
)

// The branches of a project, how the address of the service is spelled, and the
// version of all entries of BuildKit.
const (
	mainBranch    = "refs/heads/main"
	featureBranch = "refs/heads/feature"
	second        = ",version=2,url_v2="
	entryVersion  = "693bb7016429d80366022f036f84856888c9f13e00145f5f6f4dce303a38d6f2"
)

// cacheService is a service as the jobs of a branch reach it.
type cacheService struct {
	url, token string
	branch     string // which the token writes
	address    string // what comes before the URL in a location
}

// newCacheService starts a service, which ends with the test, for main.
func newCacheService(t *testing.T) cacheService {
	t.Helper()
	services := startCacheService(t)
	return services[0]
}

// startCacheService starts a service and returns it as main reaches it, and as a
// feature branch does.
func startCacheService(t *testing.T) []cacheService {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), built(t).gha, mainBranch+"=rw", featureBranch+"=rw,"+mainBranch+"=r")
	in, err := cmd.StdinPipe() // it ends when this does
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // or it was killed at the end of the test
	})
	var started struct {
		URL    string
		Tokens []string
	}
	if err := json.NewDecoder(out).Decode(&started); err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, started.Tokens...)
	return []cacheService{
		{started.URL + "/", started.Tokens[0], mainBranch, second},
		{started.URL + "/", started.Tokens[1], featureBranch, second},
	}
}

func (s cacheService) everything() string {
	return "type=gha" + s.address + s.url + ",token=" + s.token
}

func (s cacheService) source(ref string) string { return s.everything() + ",scope=" + ref }

func (s cacheService) target(ref string) string { return s.source(ref) }

func (s cacheService) document(t *testing.T, ref string) []byte {
	t.Helper()
	return s.newest(t, "index-"+ref+"-1-"+s.hash()+"#")
}

// hash stands for the branch in keys of refs.
func (s cacheService) hash() string {
	sum := sha256.Sum256([]byte(s.branch))
	return hex.EncodeToString(sum[:])[:8]
}

func blobKey(digest string) string { return "buildkit-blob-1-" + digest }

func (s cacheService) blob(t *testing.T, digest string) []byte {
	t.Helper()
	return s.newest(t, blobKey(digest))
}

// newest returns the content of the newest entry whose key begins with one.
func (s cacheService) newest(t *testing.T, key string) []byte {
	t.Helper()
	query, err := json.Marshal(map[string]string{"key": key, "version": entryVersion})
	if err != nil {
		t.Fatal(err)
	}
	reply := parse[struct {
		Where string `json:"signed_download_url"`
	}](t, s.send(t, http.MethodPost, s.url+"twirp/github.actions.results.api.v1.CacheService/GetCacheEntryDownloadURL", query))
	if reply.Where == "" {
		t.Fatalf("there is no entry of %s", key)
	}
	return s.send(t, http.MethodGet, reply.Where, nil)
}

func (s cacheService) spoil(t *testing.T, digest string, d damage) {
	t.Helper()
	s.send(t, http.MethodPost, s.control(digest), d(s.blob(t, digest)))
}

// evict removes the entry of a blob, as the service does when there are too many.
func (s cacheService) evict(t *testing.T, digest string) {
	t.Helper()
	s.send(t, http.MethodDelete, s.control(digest), nil)
}

// control is where the entry of a blob is changed.
func (s cacheService) control(digest string) string {
	return s.url + "content?" + url.Values{"scope": {s.branch}, "key": {blobKey(digest)}, "version": {entryVersion}}.Encode()
}

// send sends a request, which must succeed. Only methods need the token.
func (s cacheService) send(t *testing.T, method, where string, body []byte) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, where, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(where, "/twirp/") {
		req.Header.Set("Authorization", "Bearer "+s.token)
		req.Header.Set("Content-Type", "application/json")
	}
	got, err := ask(req)
	if err == nil && got.status >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %d: %s", method, req.URL.Path, got.status, got.body)
	}
	if err != nil {
		t.Fatal(err)
	}
	return got.body
}

// TestCacheServiceBranches has the jobs of a feature branch start from main's
// cache, and go on with one of their own, of which main sees nothing.
func TestCacheServiceBranches(t *testing.T) {
	d := newDaemon(t)
	services := startCacheService(t)
	onMain, onFeature := services[0], services[1]
	seed := newSeed()
	mainDir, featureDir := newContext(t, seed, "main"), newContext(t, seed, "feature")
	d.prune(t)
	golden := d.mustBuild(t, build{context: mainDir, exports: []string{maximal(onMain, "app")}})
	if got, want := inspect(t, onFeature.source("app")).Digest, digestOf(onMain.document(t, "app")); got != want {
		t.Errorf("the branch sees %s, want main's %s", got, want)
	}
	d.mustReuse(t, mainDir, onFeature.source("app"), golden)

	// BuildKit writes what it read with what it built.
	d.prune(t)
	feature := d.mustBuild(t, build{
		context: featureDir, imports: []string{onFeature.source("app")}, exports: []string{maximal(onFeature, "app")},
	})
	if feature.files[depsFile] != golden.files[depsFile] || feature.files[appFile] == golden.files[appFile] {
		t.Fatal("the branches must share the dependencies and differ in the application")
	}
	if got, want := inspect(t, onFeature.source("app")).Digest, digestOf(onFeature.document(t, "app")); got != want {
		t.Errorf("the branch sees %s, want its own %s", got, want)
	}
	mustVerify(t, onFeature.source("app")) // with layers of main
	mustDescribe(t, onMain, "app")
	golden.mustEqual(t, d.mustBuild(t, build{context: mainDir, imports: []string{onMain.source("app")}}))

	// What larder puts into the branch's scope BuildKit finds there.
	saved := layout(t.TempDir())
	mustCopy(t, onFeature.source("app"), saved.target("feature"))
	mustCopy(t, saved.source("feature"), onFeature.target("copied"))
	if got, want := onFeature.document(t, "copied"), onFeature.document(t, "app"); !bytes.Equal(got, want) {
		t.Errorf("the copy is\n%s\nwant what BuildKit wrote:\n%s", got, want)
	}
	d.mustReuse(t, featureDir, onFeature.source("copied"), feature)
	if _, err := runLarder(t.Context(), nil, "inspect", onMain.source("copied")); err == nil {
		t.Error("main sees the cache of a branch")
	}
}

// TestEvictedLayer loses a layer of a cache: BuildKit complains of it and builds
// if the entry has gone, and fails if only its content has. After the repair it
// is a miss.
func TestEvictedLayer(t *testing.T) {
	d := newDaemon(t)
	for _, tt := range []struct {
		name   string
		lose   func(s cacheService, digest string)
		blames string // how the error of a build begins
	}{
		{"entry", func(s cacheService, digest string) { s.evict(t, digest) }, "step "},
		{"content", func(s cacheService, digest string) { s.spoil(t, digest, removed) }, "buildctl "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d.prune(t)
			dir, cache, saved := newContext(t, newSeed(), "main"), newCacheService(t), layout(t.TempDir())
			golden := d.mustBuild(t, build{context: dir, exports: []string{maximal(cache, "main")}})
			mustCopy(t, cache.source("main"), saved.target("main"))
			tt.lose(cache, layerWith(t, cache, "main", appFile))
			if v := mustFail(t, cache.source("main")); len(v.Missing) != 1 || len(v.Corrupt) != 0 {
				t.Errorf("verify = %+v, want one missing", v)
			}
			d.prune(t)
			_, err := d.build(t.Context(), build{context: dir, imports: []string{cache.source("main")}})
			if err == nil || !strings.HasPrefix(err.Error(), tt.blames) {
				t.Errorf("BuildKit with the broken cache: %v, want an error of %s", err, tt.blames)
			}
			larder(t, "verify", "--repair", cache.source("main"))
			mustDescribe(t, cache, "main")
			d.prune(t)
			got := d.mustBuild(t, build{context: dir, imports: []string{cache.source("main")}})
			for _, name := range []string{depsFile, toolsFile, appFile, lastFile} {
				if rebuilt := got.files[name] != golden.files[name]; rebuilt != (name == lastFile) {
					t.Errorf("%s rebuilt = %t, want %t; cached: %v", name, rebuilt, !rebuilt, got.cached)
				}
			}
			if tt.name == "content" {
				return // BuildKit finds the entry without content before any other
			}
			mustCopy(t, saved.source("main"), cache.target("main"))
			mustDescribe(t, cache, "main")
			d.mustReuse(t, dir, cache.source("main"), golden)
		})
	}
}
