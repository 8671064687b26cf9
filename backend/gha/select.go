package gha

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// The variables of the runner.
const (
	envToken  = "ACTIONS_RUNTIME_TOKEN" //nolint:gosec // the name of a variable
	envFirst  = "ACTIONS_CACHE_URL"
	envSecond = "ACTIONS_RESULTS_URL"
	// envSwitch says that the second version of the protocol is to be spoken.
	envSwitch = "ACTIONS_CACHE_SERVICE_V2"
	// envForce has v1 or v2. It is that of tonistiigi/go-actions-cache.
	envForce  = "ACTIONS_CACHE_API_FORCE_VERSION"
	envServer = "GITHUB_SERVER_URL"
	envMode   = "ACTIONS_CACHE_MODE"

	envRepository = "GITHUB_REPOSITORY"
	envAPI        = "GITHUB_API_URL"
)

// The versions of the protocol.
const (
	firstVersion  = 1
	secondVersion = 2
)

// FromEnv returns options with the URL, the version of the protocol, the token
// and the mode of the runner, as getenv, usually [os.Getenv], finds them.
//
// The second version is that of github.com and GHE.com, the first one that of
// GitHub Enterprise Server, act, Gitea and Forgejo, which is known by
// GITHUB_SERVER_URL. ACTIONS_CACHE_SERVICE_V2 decides between two URLs
// elsewhere, and ACTIONS_CACHE_API_FORCE_VERSION everywhere.
//
// The address of the REST API and the repository are those of the runner too. A
// token for it is not taken from the environment: whoever wants entries to be
// deleted gives it as [Options.APIToken].
func FromEnv(getenv func(name string) string) Options {
	o := Options{Version: versionFrom(getenv), Token: getenv(envToken)}
	o.URL = getenv(urlVariable(o.Version))
	o.Mode = getenv(envMode)
	o.Repository, o.API = getenv(envRepository), getenv(envAPI)
	return o
}

// urlVariable names the variable with the URL of a version.
func urlVariable(version int) string {
	if version == firstVersion {
		return envFirst
	}
	return envSecond
}

// urlAttribute names the attribute with it.
func urlAttribute(version int) string {
	if version == firstVersion {
		return "url"
	}
	return "url_v2"
}

// versionFrom chooses a version of the protocol.
func versionFrom(getenv func(string) string) int {
	switch {
	case getenv(envForce) == "v1":
		return firstVersion
	case getenv(envForce) == "v2":
		return secondVersion
	case isEnterpriseServer(getenv(envServer)) && getenv(envFirst) != "":
		return firstVersion
	case getenv(envSecond) == "" && getenv(envFirst) != "":
		return firstVersion
	case getenv(envFirst) != "" && isOff(getenv(envSwitch)):
		return firstVersion
	default:
		return secondVersion
	}
}

// isEnterpriseServer reports whether a server has a host of its own.
//
// Source: github.com/actions/toolkit, packages/cache/src/internal/config.ts.
func isEnterpriseServer(server string) bool {
	u, err := url.Parse(server)
	if err != nil || server == "" {
		return false
	}
	host := strings.ToLower(u.Hostname())
	return host != "github.com" && !strings.HasSuffix(host, ".ghe.com") && !strings.HasSuffix(host, ".localhost")
}

// isOff reports whether a switch says no.
func isOff(value string) bool {
	on, err := strconv.ParseBool(value)
	return err == nil && !on
}

// githubHost is by what BuildKit tells a URL of the second version.
const githubHost = "results-receiver.actions.githubusercontent.com"

// address returns the version and the URL that the attributes of a location
// say, as BuildKit understands them, or else the environment, or else what opts
// had.
func (o Options) address(l backend.Location, getenv func(string) string) (version int, address string, err error) {
	version, _ = strconv.Atoi(l.Value("version")) // it was checked, or is not there
	first, second := l.Value("url"), l.Value("url_v2")
	if u, err := url.Parse(first); err == nil && second == "" && (version == secondVersion || strings.HasSuffix(u.Hostname(), githubHost)) {
		second = first
	}
	switch {
	case second != "" && version != firstVersion:
		return secondVersion, second, nil
	case first != "" && version != secondVersion:
		return firstVersion, first, nil
	case second != "", first != "":
		return 0, "", fmt.Errorf("%w: attribute version is %d, and the URL that is given is of the other one", backend.ErrInvalid, version)
	case o.URL != "" || getenv == nil:
		return cmp.Or(version, o.Version), o.URL, nil
	}
	found := FromEnv(getenv)
	version = cmp.Or(version, o.Version, found.Version)
	return version, getenv(urlVariable(version)), nil
}

func checkURL(value string) error {
	_, err := parseURL(value)
	return err
}

func checkVersion(value string) error {
	if value != "1" && value != "2" {
		return errors.New("want 1, which GitHub Enterprise Server, act, Gitea and Forgejo speak, or 2, which github.com speaks")
	}
	return nil
}

// parsePack reads a size up to which blobs are packed, such as 64KiB or 4096.
func parsePack(value string) (int64, error) {
	n, err := humanize.ParseBytes(value)
	if err != nil || n > maxPack {
		return 0, fmt.Errorf("pack %s: want a size such as 64KiB, of 1MiB at most", blob.Quote(value))
	}
	return int64(n), nil
}

func checkPack(value string) error {
	_, err := parsePack(value)
	return err
}

func checkRepository(value string) error {
	owner, name, ok := strings.Cut(value, "/")
	if !ok || owner == "" || name == "" || url.PathEscape(name) != name || url.PathEscape(owner) != owner || strings.Trim(name, ".") == "" {
		return errors.New("want OWNER/NAME")
	}
	return nil
}
