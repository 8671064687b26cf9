package azuretest

import (
	"net/http"
	"regexp"
	"strconv"
)

// containerLike is what a container may be called.
var containerLike = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])*$`)

func (s *Server) createContainer(c *call) *Failure {
	if n := len(c.container); n < 3 || n > 63 || !containerLike.MatchString(c.container) {
		return fail(http.StatusBadRequest, "InvalidResourceName", "The specified resource name contains invalid characters.")
	}
	s.mu.Lock()
	_, exists := s.containers[c.container]
	if !exists {
		s.containers[c.container] = newContainer()
	}
	s.mu.Unlock()
	if exists {
		return fail(http.StatusConflict, "ContainerAlreadyExists", "The specified container already exists.")
	}
	s.reply(c, http.StatusCreated, nil)
	return nil
}

func (s *Server) containerProperties(c *call) *Failure {
	s.mu.Lock()
	in, f := s.within(c.container)
	if f == nil {
		c.w.Header().Set("ETag", in.etag)
		c.w.Header().Set("X-Ms-Has-Immutability-Policy", strconv.FormatBool(s.options.Immutable))
		if s.options.PublicAccess {
			c.w.Header().Set("X-Ms-Blob-Public-Access", "container")
		}
		c.w.Header().Set("Last-Modified", s.options.Now().UTC().Format(http.TimeFormat))
	}
	s.mu.Unlock()
	if f != nil {
		return f
	}
	s.reply(c, http.StatusOK, nil)
	return nil
}

func (s *Server) deleteContainer(c *call) *Failure {
	s.mu.Lock()
	_, f := s.within(c.container)
	delete(s.containers, c.container)
	s.mu.Unlock()
	if f != nil {
		return f
	}
	s.reply(c, http.StatusAccepted, nil)
	return nil
}

func (s *Server) accountInfo(c *call) *Failure {
	h := c.w.Header()
	h.Set("X-Ms-Sku-Name", "Standard_LRS")
	h.Set("X-Ms-Account-Kind", "StorageV2")
	h.Set("X-Ms-Is-Hns-Enabled", strconv.FormatBool(s.options.Hierarchical))
	s.reply(c, http.StatusOK, nil)
	return nil
}

// makeDirectories makes those above a blob, if the namespace is hierarchical.
// s.mu is held.
func (s *Server) makeDirectories(c *container, name string) {
	if !s.options.Hierarchical {
		return
	}
	for i, r := range name {
		if r != '/' {
			continue
		}
		if d := c.blob(name[:i]); !d.exists {
			s.write(d, nil, http.Header{"Hdi_isfolder": {"true"}}, "")
		}
	}
}

func (b *blob) isDirectory() bool { return b.metadata.Get("Hdi_isfolder") == "true" }
