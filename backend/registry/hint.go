package registry

import (
	"net/http"
	"slices"
	"strings"
)

// hint returns one sentence on what to do about a failure that is known, or "".
// The host is the registry's, as in a reference; the message is all that the
// registry said, details included, in any case.
//
// Hosted registries are told by their hosts. Those that people run themselves
// have any host and are told by their words.
func hint(host, code string, status int, message string) string {
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	message = strings.ToLower(message)
	for _, k := range slices.Concat(servicesHints(host), runHints(), everyHint()) {
		if k.matches(status, code, message) {
			return k.hint
		}
	}
	return ""
}

// known is a failure that is known. Fields that are zero match everything.
type known struct {
	status int
	code   string
	text   string // in lower case, part of the message
	hint   string
}

func (k known) matches(status int, code, message string) bool {
	return (k.status == 0 || k.status == status) &&
		(k.code == "" || k.code == code) &&
		strings.Contains(message, k.text)
}

// hosted is a registry that is known by its host.
type hosted struct {
	is    func(host string) bool
	hints func() []known
}

// servicesHints returns what is known of the service at a host.
func servicesHints(host string) []known {
	for _, s := range []hosted{
		{isECR, ecrHints},
		{among("ghcr.io"), ghcrHints},
		{among("docker.io", "index.docker.io", "registry-1.docker.io"), hubHints},
		{below(".azurecr.io", ".azurecr.cn", ".azurecr.us"), acrHints},
		{func(h string) bool { return h == "gcr.io" || below(".gcr.io", ".pkg.dev")(h) }, googleHints},
		{among("quay.io"), quayHints},
		{among("registry.gitlab.com"), gitlabHints},
	} {
		if s.is(host) {
			return s.hints()
		}
	}
	return nil
}

func among(hosts ...string) func(string) bool {
	return func(host string) bool { return slices.Contains(hosts, host) }
}

func below(suffixes ...string) func(string) bool {
	return func(host string) bool {
		return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(host, s) })
	}
}

// isECR knows ECR's private registries, ACCOUNT.dkr.ecr.REGION.amazonaws.com
// with variants for FIPS and for China, and its public one.
func isECR(host string) bool {
	return host == "public.ecr.aws" ||
		(strings.Contains(host, ".dkr.ecr.") || strings.Contains(host, ".dkr.ecr-fips.")) &&
			below(".amazonaws.com", ".amazonaws.com.cn")(host)
}

// everyHint has what may come from any registry, or from a proxy before it.
func everyHint() []known {
	return []known{
		{status: http.StatusRequestEntityTooLarge, hint: "a proxy in front of the registry limits the size of requests: " +
			"raise its limit (client_max_body_size of nginx), or upload in chunks below it"},
		{text: "immutable", hint: "tags that were written are protected: exempt the cache's tags from that, or use a repository of its own for caches"},
		{code: "MANIFEST_BLOB_UNKNOWN", hint: "a blob of the cache has gone, or the registry wants image manifests: " +
			"export again, and without image-manifest=false"},
		{status: http.StatusMethodNotAllowed, code: "UNSUPPORTED", hint: "the registry does not allow this: " +
			"for deletion, distribution needs storage.delete.enabled in its configuration"},
		{status: http.StatusMethodNotAllowed, text: "method not allowed", hint: "the registry is in read-only mode, as during garbage collection: try again later"},
	}
}
