package main

import "strings"

// refName is the tag of everything that is copied.
const refName = "main"

// place is where a cache is: an OCI layout, or a repository of a registry.
type place struct {
	layout string // a directory
	repo   string // host:port/repository
}

// parsePlace is the inverse of String.
func parsePlace(s string) place {
	if repo, ok := strings.CutPrefix(s, "registry:"); ok {
		return place{repo: repo}
	}
	return place{layout: s}
}

func (p place) String() string {
	if p.repo != "" {
		return "registry:" + p.repo
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
	return "type=local,dest=" + p.layout + ",tag=" + refName
}

// skopeo is the place as skopeo spells it.
func (p place) skopeo() string {
	if p.repo != "" {
		return "docker://" + p.image()
	}
	return "oci:" + p.layout + ":" + refName
}
