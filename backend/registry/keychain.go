package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// helperTimeout bounds a credential helper. Helpers of clouds are known to wait
// for a metadata service that is not there for as long as they are let
// (awslabs/amazon-ecr-credential-helper#137).
const helperTimeout = 5 * time.Second

// DockerKeychain returns a keychain of what docker login and podman login have
// left, which is looked for in this order:
//
//	$DOCKER_CONFIG/config.json, or .docker/config.json in the home directory
//	$REGISTRY_AUTH_FILE
//	$XDG_RUNTIME_DIR/containers/auth.json
//	$XDG_CONFIG_HOME/containers/auth.json, or .config/containers/auth.json
//
// The first file that exists counts. A credential helper that it names is given
// five seconds. For ghcr.io, GITHUB_TOKEN serves if the file has nothing. A nil
// getenv consults no environment, and the home directory alone.
func DockerKeychain(getenv func(name string) string) authn.Keychain {
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	return dockerKeychain{getenv}
}

type dockerKeychain struct{ getenv func(string) string }

// named are credentials that know where they come from.
type named struct {
	authn.Authenticator

	source string
}

// Source says where they come from.
func (n named) Source() string { return n.source }

// sourceOf says where credentials come from.
func sourceOf(auth authn.Authenticator, k authn.Keychain) string {
	if n, ok := auth.(interface{ Source() string }); ok {
		return n.Source()
	}
	if auth == authn.Anonymous {
		return "no credentials"
	}
	if _, ok := k.(dockerKeychain); ok {
		return "Docker's configuration"
	}
	return "the application's keychain"
}

// Resolve implements [authn.Keychain].
func (k dockerKeychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), r) //nolint:forbidigo // the interface has no context
}

// ResolveContext implements [authn.ContextKeychain].
func (k dockerKeychain) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) {
	auth, err := k.fromFile(ctx, r)
	if err != nil || auth != authn.Anonymous {
		return auth, err
	}
	if token := k.getenv("GITHUB_TOKEN"); token != "" && r.RegistryStr() == "ghcr.io" {
		// GitHub looks at the token alone, but wants some name.
		user := &authn.Basic{Username: "larder", Password: token}
		return named{user, "the environment's GITHUB_TOKEN"}, nil
	}
	return authn.Anonymous, nil
}

// fromFile looks into the first file that exists.
func (k dockerKeychain) fromFile(ctx context.Context, r authn.Resource) (authn.Authenticator, error) {
	for _, path := range k.files() {
		data, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		parsed, err := config.LoadFromReader(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return k.lookUp(ctx, parsed, path, r)
	}
	return authn.Anonymous, nil
}

// files returns where credentials may be, in order.
func (k dockerKeychain) files() []string {
	home, err := os.UserHomeDir()
	var files []string
	add := func(base string, elements ...string) {
		if base != "" {
			files = append(files, filepath.Join(append([]string{base}, elements...)...))
		}
	}
	if dir := k.getenv("DOCKER_CONFIG"); dir != "" {
		add(dir, "config.json")
	} else if err == nil {
		add(home, ".docker", "config.json")
	}
	add(k.getenv("REGISTRY_AUTH_FILE"))
	add(k.getenv("XDG_RUNTIME_DIR"), "containers", "auth.json")
	if dir := k.getenv("XDG_CONFIG_HOME"); dir != "" {
		add(dir, "containers", "auth.json")
	} else if err == nil {
		add(home, ".config", "containers", "auth.json")
	}
	return files
}

// lookUp asks for the repository first, as podman allows, and then the host.
func (k dockerKeychain) lookUp(ctx context.Context, c *configfile.ConfigFile, path string, r authn.Resource) (authn.Authenticator, error) {
	for _, key := range []string{r.String(), r.RegistryStr()} {
		if key == name.DefaultRegistry {
			key = authn.DefaultAuthKey
		}
		if helper := helperFor(c, key); helper != "" {
			auth, err := askHelper(ctx, helper, key)
			if err != nil || auth != authn.Anonymous {
				return auth, err
			}
			continue
		}
		// Without a helper this reads the file's own entries.
		found, err := c.GetAuthConfig(key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		found.ServerAddress = "" // set in any case
		if found != (types.AuthConfig{}) {
			return named{authn.FromConfig(authn.AuthConfig{
				Username: found.Username, Password: found.Password, Auth: found.Auth,
				IdentityToken: found.IdentityToken, RegistryToken: found.RegistryToken,
			}), path}, nil
		}
	}
	return authn.Anonymous, nil
}

func helperFor(c *configfile.ConfigFile, key string) string {
	if helper := c.CredentialHelpers[strings.TrimSuffix(key, "/")]; helper != "" {
		return helper
	}
	return c.CredentialsStore
}

// askHelper runs docker-credential-NAME.
// Source: github.com/docker/docker-credential-helpers.
func askHelper(ctx context.Context, helper, key string) (authn.Authenticator, error) {
	ctx, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	program := "docker-credential-" + helper
	found, err := client.Get(func(args ...string) client.Program {
		cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the user's configuration names it
		cmd.WaitDelay = time.Second                       // for what the helper has started itself
		return helperProcess{cmd}
	}, key)
	switch {
	case credentials.IsErrCredentialsNotFound(err):
		return authn.Anonymous, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("credential helper %s has not answered within %s", program, helperTimeout)
	case err != nil:
		return nil, fmt.Errorf("credential helper %s: %w", program, err)
	}
	login := authn.AuthConfig{Username: found.Username, Password: found.Secret}
	if found.Username == "<token>" { // the protocol's word for an identity token
		login = authn.AuthConfig{IdentityToken: found.Secret}
	}
	return named{authn.FromConfig(login), "credential helper " + program}, nil
}

// helperProcess is a helper that ends with its context.
type helperProcess struct{ *exec.Cmd }

// Input implements [client.Program].
func (p helperProcess) Input(in io.Reader) { p.Stdin = in }
