package main

import "strings"

// refName is the tag of everything that is copied.
const refName = "main"

// place is where a cache is: an OCI layout, a repository of a registry, in an
// object store or in GitHub's cache.
type place struct {
	layout  string // a directory
	repo    string // host:port/repository
	objects objects
	actions string // the URL of GitHub's cache service, and a token after a space
}

// parsePlace is the inverse of String.
func parsePlace(s string) place {
	if repo, ok := strings.CutPrefix(s, "registry:"); ok {
		return place{repo: repo}
	}
	if service, ok := strings.CutPrefix(s, "actions:"); ok {
		return place{actions: service}
	}
	if o, ok := parseObjects(s); ok {
		return place{objects: o}
	}
	return place{layout: s}
}

func (p place) String() string {
	if p.repo != "" {
		return "registry:" + p.repo
	}
	if p.objects.kind != "" {
		return p.objects.String()
	}
	if p.actions != "" {
		return "actions:" + p.actions
	}
	return p.layout
}

// image is the place as crane, oras-go and BuildKit spell it.
func (p place) image() string {
	if p.repo != "" {
		return p.repo + ":" + refName
	}
	return p.layout
}

// split returns the registry and the repository.
func (p place) split() (host, repository string) {
	host, repository, _ = strings.Cut(p.repo, "/")
	return host, repository
}

// larder is the place as larder spells it.
func (p place) larder() string {
	if p.repo != "" {
		return "type=registry,ref=" + p.image()
	}
	if p.objects.kind != "" {
		return p.objects.larder()
	}
	if url, token, ok := strings.Cut(p.actions, " "); ok {
		return "type=gha,version=2,url_v2=" + url + ",token=" + token + ",scope=" + refName
	}
	return "type=local,dest=" + p.layout + ",tag=" + refName
}

// skopeo is the place as skopeo spells it.
func (p place) skopeo() string {
	if p.repo != "" {
		return "docker://" + p.image()
	}
	return "oci:" + p.layout + ":" + refName
}
