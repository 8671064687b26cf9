package azuretest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Put stores a blob, in a container that it creates, without any check.
func (s *Server) Put(container, name string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.containers[container]
	if !ok {
		c = newContainer()
		s.containers[container] = c
	}
	s.write(c.blob(name), data, nil, "application/octet-stream")
	s.makeDirectories(c, name)
}

// Get returns the content of a blob, or false.
func (s *Server) Get(container, name string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, f := s.find(container, name)
	if f != nil {
		return nil, false
	}
	return slices.Clone(b.data), true
}

// Age makes a blob look as if it had last been written some time before.
func (s *Server) Age(container, name string, by time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, f := s.find(container, name)
	if f != nil {
		return fmt.Errorf("no blob %q in container %q", name, container)
	}
	b.modified = b.modified.Add(-by)
	return nil
}

// Names returns the names of the blobs of a container, sorted.
func (s *Server) Names(container string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.containers[container]
	if !ok {
		return nil
	}
	return c.names()
}

// Metadata returns the metadata of a blob, by names in lower case.
func (s *Server) Metadata(container, name string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, f := s.find(container, name)
	if f != nil {
		return nil
	}
	found := make(map[string]string)
	for key := range b.metadata {
		found[strings.ToLower(key)] = b.metadata.Get(key)
	}
	return found
}

// Staged returns how many blocks of a container wait to be committed.
func (s *Server) Staged(container string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.containers[container]
	if !ok {
		return 0
	}
	n := 0
	for _, b := range c.blobs {
		n += len(b.staged)
	}
	return n
}

// HasContainer reports whether a container exists.
func (s *Server) HasContainer(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.containers[name]
	return ok
}
