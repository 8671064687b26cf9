package azuretest

import (
	"net/http"
	"regexp"
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
