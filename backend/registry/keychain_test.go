package registry_test

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/internal/registrytest"
)

// write makes a file with its directories.
func write(t *testing.T, mode os.FileMode, text string, path ...string) string {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return file
}

// configFor is a configuration with one user for a key.
func configFor(key, user string) string {
	return `{"auths":{"` + key + `":{"auth":"` + base64.StdEncoding.EncodeToString([]byte(user+":secret")) + `"}}}`
}

// lookup is an environment.
func lookup(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

func TestDockerKeychain(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	docker := write(t, 0o600, configFor("h.io", "docker"), dir, "docker", "config.json")
	both := strings.TrimSuffix(configFor("h.io/team/app", "podman"), "}}") + "," + strings.TrimPrefix(configFor("h.io", "of-host"), `{"auths":{`)
	podman := write(t, 0o600, both, dir, "podman", "containers", "auth.json")
	file := write(t, 0o600, configFor("h.io", "file"), dir, "auth.json")
	hub := write(t, 0o600, configFor("https://index.docker.io/v1/", "hub"), dir, "hub", "config.json")
	for _, test := range []struct {
		name       string
		env        map[string]string
		repository string
		want       string // the user, or "" for nobody
	}{
		{"nothing", nil, "h.io/a", ""},
		{"docker", map[string]string{"DOCKER_CONFIG": filepath.Dir(docker)}, "h.io/a", "docker"},
		{"another host", map[string]string{"DOCKER_CONFIG": filepath.Dir(docker)}, "other.io/a", ""},
		{"docker hub", map[string]string{"DOCKER_CONFIG": filepath.Dir(hub)}, "user/app", "hub"},
		{"a file", map[string]string{"REGISTRY_AUTH_FILE": file}, "h.io/a", "file"},
		{"docker before a file", map[string]string{"DOCKER_CONFIG": filepath.Dir(docker), "REGISTRY_AUTH_FILE": file}, "h.io/a", "docker"},
		{"podman, by repository", map[string]string{"XDG_RUNTIME_DIR": filepath.Join(dir, "podman")}, "h.io/team/app", "podman"},
		{"podman, of a host", map[string]string{"XDG_CONFIG_HOME": filepath.Dir(filepath.Dir(podman))}, "h.io/team/other", "of-host"},
		{"GitHub", map[string]string{"GITHUB_TOKEN": "secret"}, "ghcr.io/a/b", "larder"},
		{"GitHub elsewhere", map[string]string{"GITHUB_TOKEN": "secret"}, "h.io/a/b", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := userOf(t, registry.DockerKeychain(lookup(test.env)), test.repository); got != test.want {
				t.Errorf("Resolve(%s) = %q, want %q", test.repository, got, test.want)
			}
		})
	}
	t.Run("home", func(t *testing.T) {
		write(t, 0o600, configFor("h.io", "home"), home, ".docker", "config.json")
		if got := userOf(t, registry.DockerKeychain(nil), "h.io/a"); got != "home" {
			t.Errorf("Resolve(h.io/a) = %q, want home", got)
		}
	})
	t.Run("malformed", func(t *testing.T) {
		broken := write(t, 0o600, `{"auths":`, dir, "broken", "config.json")
		repo, err := name.NewRepository("h.io/a")
		if err != nil {
			t.Fatal(err)
		}
		env := lookup(map[string]string{"DOCKER_CONFIG": filepath.Dir(broken)})
		if _, err := registry.DockerKeychain(env).Resolve(repo); err == nil || !strings.Contains(err.Error(), broken) {
			t.Errorf("Resolve() = %v, want an error that names %s", err, broken)
		}
	})
}

// userOf returns the user whom a keychain finds.
func userOf(t *testing.T, k authn.Keychain, repository string) string {
	t.Helper()
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := k.Resolve(repo)
	if err != nil {
		t.Fatalf("Resolve(%s) = %v, want credentials", repository, err)
	}
	config, err := authn.Authorization(t.Context(), auth)
	if err != nil {
		t.Fatal(err)
	}
	if config.Username != "" && config.Password != "secret" {
		t.Errorf("Resolve(%s) = %s with another password than the file's", repository, config.Username)
	}
	return config.Username
}

// helper installs a credential helper and returns a configuration that names
// it.
func helper(t *testing.T, script string) (getenv func(string) string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the helpers of this test are shell scripts")
	}
	dir := t.TempDir()
	write(t, 0o700, "#!/bin/sh\n"+script, dir, "docker-credential-test")
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	config := write(t, 0o600, `{"credsStore":"test"}`, dir, "config.json")
	return lookup(map[string]string{"DOCKER_CONFIG": filepath.Dir(config)})
}

func TestCredentialHelper(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"found", `read host; echo '{"Username":"'$host'","Secret":"secret"}'`, "h.io"},
		{"not found", `echo credentials not found in native keychain; exit 1`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := userOf(t, registry.DockerKeychain(helper(t, `test "$1" = get || exit 9; read host; if [ "$host" != h.io ]; then echo credentials not found in native keychain; exit 1; fi; echo "$host" | { `+test.script+`; }`)), "h.io/a"); got != test.want {
				t.Errorf("Resolve(h.io/a) = %q, want %q", got, test.want)
			}
		})
	}
}

// TestCredentialHelperFails shows that a helper that breaks is not taken for
// one that knows nothing, and is named.
func TestCredentialHelperFails(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{Auth: &registrytest.Auth{Users: accounts}})
	b, err := registry.Open(t.Context(), s.Host+"/a/b", registry.Options{Getenv: helper(t, "echo the keychain is locked; exit 1")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	_, err = b.GetRef(t.Context(), "main")
	if !errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), "docker-credential-test") || !strings.Contains(err.Error(), "the keychain is locked") {
		t.Errorf("GetRef() = %v, want %v, the helper and its words", err, backend.ErrDenied)
	}
}

// TestCredentialHelperHangs cancels a call whose helper never answers.
func TestCredentialHelperHangs(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{Auth: &registrytest.Auth{Users: accounts}})
	started := filepath.Join(t.TempDir(), "started")
	b, err := registry.Open(t.Context(), s.Host+"/a/b", registry.Options{Getenv: helper(t, "touch "+started+"; exec sleep 600")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(started); err == nil {
				cancel()
			}
			<-time.After(time.Millisecond)
		}
	}()
	if _, err := b.GetRef(ctx, "main"); !errors.Is(err, context.Canceled) {
		t.Errorf("GetRef(canceled while the helper hangs) = %v, want %v", err, context.Canceled)
	}
}

func TestCredentialHelperTimesOut(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the five seconds that a helper has")
	}
	s := registrytest.New(t, registrytest.Options{Auth: &registrytest.Auth{Users: accounts}})
	b, err := registry.Open(t.Context(), s.Host+"/a/b", registry.Options{Getenv: helper(t, "exec sleep 600")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), "docker-credential-test has not answered within 5s") {
		t.Errorf("GetRef(helper hangs) = %v, want %v and who has not answered", err, backend.ErrDenied)
	}
}
