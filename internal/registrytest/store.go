package registrytest

import (
	"cmp"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
)

// repository is what is under one name. Its maps are guarded by Server.mu; the
// content that they hold never changes.
type repository struct {
	blobs     map[digest.Digest][]byte
	manifests map[digest.Digest]manifest
	tags      map[string]digest.Digest
	order     []string // the tags in the order of their creation
	uploads   map[string]*upload
}

type manifest struct {
	mediaType string
	data      []byte
}

func newRepository() *repository {
	return &repository{
		blobs:     make(map[digest.Digest][]byte),
		manifests: make(map[digest.Digest]manifest),
		tags:      make(map[string]digest.Digest),
		uploads:   make(map[string]*upload),
	}
}

// repo returns a repository, which it creates if there is none.
func (s *Server) repo(name string) *repository {
	r, ok := s.repos[name]
	if !ok {
		r = newRepository()
		s.repos[name] = r
	}
	return r
}

// existing returns a repository to read from; that of an unknown name is empty.
func (s *Server) existing(name string) *repository {
	if r, ok := s.repos[name]; ok {
		return r
	}
	return newRepository()
}

// resolve returns the manifest with a tag or digest.
func (r *repository) resolve(ref string) (manifest, digest.Digest, bool) {
	d, ok := r.tags[ref]
	if !ok {
		d = digest.Digest(ref)
	}
	m, ok := r.manifests[d]
	return m, d, ok
}

func (r *repository) tag(name string, d digest.Digest) {
	if _, ok := r.tags[name]; !ok {
		r.order = append(r.order, name)
	}
	r.tags[name] = d
}

func (r *repository) untag(name string) {
	delete(r.tags, name)
	r.order = slices.DeleteFunc(r.order, func(t string) bool { return t == name })
}

// deleteManifest removes a manifest and the tags that point to it.
func (r *repository) deleteManifest(d digest.Digest) {
	delete(r.manifests, d)
	for tag, of := range maps.Clone(r.tags) {
		if of == d {
			r.untag(tag)
		}
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
