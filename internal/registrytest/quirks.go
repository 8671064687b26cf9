package registrytest

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// refuse has the services that refuse documents for what they are.
func (s *Server) refuse(doc document) *Failure {
	o := s.options.Manifests
	switch {
	case o.QuayNoCaches && doc.isCache():
		return &Failure{Status: http.StatusUnauthorized, Code: "UNAUTHORIZED", Message: "access to the requested resource is not authorized"}
	case o.ArtifactoryNoCaches && doc.isCache():
		return errManifestInvalid("manifest invalid")
	case o.ECRNoIndexes && doc.isCacheIndex():
		return &Failure{
			Status: http.StatusBadRequest, Code: "MANIFEST_INVALID",
			Message: "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'",
		}
	case o.HarborNoIndexes && doc.isCacheIndex():
		return &Failure{Status: http.StatusNotFound, Code: "NOT_FOUND", Message: "artifact not found"}
	case o.ECRNoEmpty && doc.Config != nil && len(doc.Layers) == 0:
		f := errUnsupported()
		f.Message = "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Image has to have at least 1 layer'"
		return f
	}
	return nil
}

// refuseTag has the services where tags, once written, stay.
func (s *Server) refuseTag(repo *repository, at route, d digest.Digest) *Failure {
	old, ok := repo.tags[at.ref]
	if !ok {
		return nil
	}
	if s.options.ECRImmutable && old != d {
		return errTagInvalid(fmt.Sprintf(
			"The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the repository is immutable.",
			at.ref, at.repo))
	}
	if s.options.NexusNoRepush {
		name, _, _ := strings.Cut(at.repo, "/")
		return &Failure{
			Status: http.StatusBadRequest, Code: "BLOB_UPLOAD_INVALID", Message: "blob upload invalid",
			Detail: "Repository does not allow updating assets: " + name,
		}
	}
	return nil
}

// countPull is Docker Hub's limit on reading manifests.
func (s *Server) countPull(r *http.Request) *Failure {
	if s.options.DockerHubPulls == 0 || r.Method != http.MethodGet {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pulls++; s.pulls <= s.options.DockerHubPulls {
		return nil
	}
	return errTooManyRequests("You have reached your pull rate limit. You may increase the limit by authenticating and "+
		"upgrading: https://www.docker.com/increase-rate-limit", time.Hour)
}

// window is the period of a rate limit that is under way.
type window struct {
	began    time.Time
	requests int
}

// limit is Options.RateLimit.
func (s *Server) limit() *Failure {
	limit := s.options.RateLimit
	if limit.Requests == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.window.began) >= limit.Per {
		s.window = window{began: now}
	}
	if s.window.requests++; s.window.requests <= limit.Requests {
		return nil
	}
	left := limit.Per - now.Sub(s.window.began)
	return errTooManyRequests("too many requests", max(left.Round(time.Second), time.Second))
}
