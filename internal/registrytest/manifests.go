package registrytest

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go/v1"
)

// The media types of manifests. Docker's are from its image manifest version 2,
// schema 2.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	cacheConfig    = "application/vnd.buildkit.cacheconfig.v0"
)

// maxManifest is the largest manifest in bytes that distribution accepts
// (maxManifestBodySize).
const maxManifest = 4 << 20

// document is what a registry looks at in a manifest or index.
type document struct {
	SchemaVersion int                `json:"schemaVersion"`
	MediaType     string             `json:"mediaType"`
	Config        *specs.Descriptor  `json:"config"`
	Layers        []specs.Descriptor `json:"layers"`
	Manifests     []specs.Descriptor `json:"manifests"`
}

func isIndex(mediaType string) bool {
	return mediaType == specs.MediaTypeImageIndex || mediaType == dockerList
}

func isManifest(mediaType string) bool {
	return mediaType == specs.MediaTypeImageManifest || mediaType == dockerManifest
}

// isCache tells a cache from an image, in any of BuildKit's forms.
func (d document) isCache() bool {
	return d.Config != nil && d.Config.MediaType == cacheConfig || d.isCacheIndex()
}

func (d document) isCacheIndex() bool {
	return slices.ContainsFunc(d.Manifests, func(m specs.Descriptor) bool {
		return !isManifest(m.MediaType) && !isIndex(m.MediaType)
	})
}

func (s *Server) getManifest(w http.ResponseWriter, r *http.Request, at route) *Failure {
	if f := s.countPull(r); f != nil {
		return f
	}
	m, d, ok := s.lookupManifest(at)
	if !ok {
		return errManifestUnknown("manifest unknown", at.ref)
	}
	// Nothing is converted: who does not accept it does not see it.
	if strings.HasPrefix(m.mediaType, "application/vnd.oci.") && !accepts(r, m.mediaType) {
		return errManifestUnknown("OCI manifest found, but accept header does not support OCI manifests", at.ref)
	}
	h := w.Header()
	etag := strconv.Quote(d.String())
	h.Set("ETag", etag)
	if match := r.Header.Get("If-None-Match"); match == etag || match == d.String() {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", m.mediaType)
	h.Set("Content-Length", strconv.Itoa(len(m.data)))
	if r.Method != http.MethodHead || !s.options.NoDigestHeader {
		h.Set("Docker-Content-Digest", d.String())
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write(m.data) // a client that has gone is none of ours
	}
	return nil
}

func (s *Server) lookupManifest(at route) (manifest, digest.Digest, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.existing(at.repo).resolve(at.ref)
}

func accepts(r *http.Request, want string) bool {
	for _, header := range r.Header.Values("Accept") {
		for text := range strings.SplitSeq(header, ",") {
			if mediaType, _, err := mime.ParseMediaType(text); err == nil && mediaType == want {
				return true
			}
		}
	}
	return false
}

func (s *Server) putManifest(w http.ResponseWriter, r *http.Request, at route) *Failure {
	if f := s.mayCreate(at.repo); f != nil {
		return f
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, maxManifest+1))
	if err != nil {
		gone()
	}
	if len(data) > maxManifest {
		return errManifestInvalid("http: request body too large")
	}
	m := manifest{mediaType: r.Header.Get("Content-Type"), data: data}
	doc, f := m.parse()
	if f != nil {
		return f
	}
	d := digest.FromBytes(data)
	if strings.Contains(at.ref, ":") && at.ref != d.String() {
		return errDigestInvalid(at.ref)
	}
	if f := s.storeManifest(at, m, doc, d); f != nil {
		return f
	}
	w.Header().Set("Location", s.absolute(r, fmt.Sprintf("/v2/%s/manifests/%s", at.repo, d)))
	w.Header().Set("Docker-Content-Digest", d.String())
	w.WriteHeader(http.StatusCreated)
	return nil
}

// parse checks the form of a manifest.
func (m manifest) parse() (document, *Failure) {
	var doc document
	if !isManifest(m.mediaType) && !isIndex(m.mediaType) {
		return doc, errManifestInvalid("unsupported manifest media type and no default available: " + m.mediaType)
	}
	if err := json.Unmarshal(m.data, &doc); err != nil {
		return doc, errManifestInvalid(err.Error())
	}
	switch {
	case doc.SchemaVersion != 2:
		return doc, errManifestInvalid(fmt.Sprintf("unrecognized manifest schema version %d", doc.SchemaVersion))
	case doc.MediaType != m.mediaType && (doc.MediaType != "" || strings.Contains(m.mediaType, "docker")):
		return doc, errManifestInvalid(fmt.Sprintf("mediaType in manifest should be '%s' not '%s'", m.mediaType, doc.MediaType))
	case isIndex(m.mediaType) && (doc.Config != nil || len(doc.Layers) > 0):
		return doc, errManifestInvalid("index has config or layers")
	case isManifest(m.mediaType) && (doc.Config == nil || len(doc.Manifests) > 0):
		return doc, errManifestInvalid("manifest has manifests or no config")
	}
	return doc, nil
}

// storeManifest stores and tags a manifest, all or nothing.
func (s *Server) storeManifest(at route, m manifest, doc document, d digest.Digest) *Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo := s.existing(at.repo)
	for _, check := range []*Failure{s.refuse(doc), s.refuseTag(repo, at, d), s.missing(repo, doc)} {
		if check != nil {
			return check
		}
	}
	repo = s.repo(at.repo)
	repo.manifests[d] = m
	if !strings.Contains(at.ref, ":") {
		repo.tag(at.ref, d)
	}
	return nil
}

// missing refuses a manifest of which something is not there.
func (s *Server) missing(repo *repository, doc document) *Failure {
	parts := doc.Layers
	if doc.Config != nil {
		parts = append(slices.Clone(parts), *doc.Config)
	}
	for _, part := range parts {
		if _, ok := repo.blobs[part.Digest]; !ok {
			return errManifestBlobUnknown(part.Digest)
		}
	}
	for _, child := range doc.Manifests {
		_, ok := repo.manifests[child.Digest]
		_, isBlob := repo.blobs[child.Digest]
		if !ok && (!isBlob || !s.options.AnyChildren) {
			return errManifestBlobUnknown(child.Digest)
		}
	}
	return nil
}

func (s *Server) deleteManifest(w http.ResponseWriter, at route) *Failure {
	byTag := !strings.Contains(at.ref, ":")
	if s.options.NoDelete {
		return errUnsupported()
	}
	if byTag && s.options.NoTagDelete {
		return errDigestInvalid("")
	}
	if !s.removeManifest(at, byTag && !s.options.DeleteAllTags) {
		return errManifestUnknown("manifest unknown", at.ref)
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (s *Server) removeManifest(at route, onlyTag bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo := s.existing(at.repo)
	_, d, ok := repo.resolve(at.ref)
	switch {
	case !ok:
		return false
	case onlyTag:
		repo.untag(at.ref)
	default:
		repo.deleteManifest(d)
	}
	return true
}
