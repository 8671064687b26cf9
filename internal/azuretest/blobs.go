package azuretest

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// container is a container. Blobs that have only staged blocks do not exist for
// readers.
type container struct {
	blobs map[string]*blob
	etag  string
}

// blob is a block blob.
type blob struct {
	exists   bool
	data     []byte
	etag     string
	modified time.Time
	mimeType string
	metadata http.Header
	blocks   []block           // those of its list, if it has one
	staged   map[string][]byte // those that wait, by their IDs
}

// block is a piece of a blob.
type block struct {
	id   string
	data []byte
}

func newContainer() *container { return &container{blobs: make(map[string]*blob), etag: `"0x1"`} }

// blob returns a blob, new if there is none. s.mu is held.
func (c *container) blob(name string) *blob {
	b, ok := c.blobs[name]
	if !ok {
		b = &blob{staged: make(map[string][]byte)}
		c.blobs[name] = b
	}
	return b
}

// names returns the names of the blobs that exist, sorted. s.mu is held.
func (c *container) names() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.blobs)) {
		if c.blobs[name].exists {
			names = append(names, name)
		}
	}
	return names
}

// within returns a container. s.mu is held.
func (s *Server) within(name string) (*container, *Failure) {
	c, ok := s.containers[name]
	if !ok {
		return nil, fail(http.StatusNotFound, "ContainerNotFound", "The specified container does not exist.")
	}
	return c, nil
}

// find returns a blob that exists. s.mu is held.
func (s *Server) find(container, name string) (*blob, *Failure) {
	c, f := s.within(container)
	if f != nil {
		return nil, f
	}
	b, ok := c.blobs[name]
	if !ok || !b.exists {
		return nil, fail(http.StatusNotFound, "BlobNotFound", "The specified blob does not exist.")
	}
	return b, nil
}

// write gives a blob new content, and drops what was staged. s.mu is held.
func (s *Server) write(b *blob, data []byte, metadata http.Header, mimeType string) {
	b.exists, b.data, b.metadata, b.mimeType = true, bytes.Clone(data), metadata, mimeType
	b.blocks, b.staged = nil, make(map[string][]byte)
	s.change(b)
}

// change gives a blob a new version. s.mu is held.
func (s *Server) change(b *blob) {
	s.serial++
	b.etag = fmt.Sprintf(`"0x8D%013X"`, s.serial)
	b.modified = s.options.Now()
}

func (s *Server) putBlob(c *call) *Failure {
	if c.r.Header.Get("X-Ms-Copy-Source") != "" {
		return fail(http.StatusNotImplemented, "NotImplemented", "The requested operation is not implemented on the specified resource.")
	}
	if kind := c.r.Header.Get("X-Ms-Blob-Type"); kind != "BlockBlob" {
		return fail(http.StatusBadRequest, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format.")
	}
	data, f := c.body()
	if f != nil {
		return f
	}
	s.mu.Lock()
	f = s.replace(c, data)
	s.mu.Unlock()
	if f != nil {
		return f
	}
	s.reply(c, http.StatusCreated, nil)
	return nil
}

// replace writes a blob whole, if the conditions hold. s.mu is held.
func (s *Server) replace(c *call, data []byte) *Failure {
	in, f := s.within(c.container)
	if f != nil {
		return f
	}
	b := in.blob(c.blob)
	if f := writable(c, b); f != nil {
		return f
	}
	s.write(b, data, metadataOf(c.r), mimeTypeOf(c.r))
	s.makeDirectories(in, c.blob)
	showVersion(c.w, b)
	return nil
}

// metadataOf returns the metadata in the headers of a request.
func metadataOf(r *http.Request) http.Header {
	found := make(http.Header)
	for key, values := range r.Header {
		if name, ok := strings.CutPrefix(key, "X-Ms-Meta-"); ok {
			found[name] = slices.Clone(values)
		}
	}
	return found
}

func mimeTypeOf(r *http.Request) string {
	for _, key := range []string{"X-Ms-Blob-Content-Type", "Content-Type"} {
		if value := r.Header.Get(key); value != "" {
			return value
		}
	}
	return "application/octet-stream"
}

func showVersion(w http.ResponseWriter, b *blob) {
	w.Header().Set("ETag", b.etag)
	w.Header().Set("Last-Modified", b.modified.UTC().Format(http.TimeFormat))
}

func (s *Server) deleteBlob(c *call) *Failure {
	s.mu.Lock()
	b, f := s.find(c.container, c.blob)
	if f == nil {
		f = unchanged(c.r, b)
	}
	if f == nil {
		delete(s.containers[c.container].blobs, c.blob)
	}
	s.mu.Unlock()
	if f != nil {
		return f
	}
	s.reply(c, http.StatusAccepted, nil)
	return nil
}

func (s *Server) setMetadata(c *call) *Failure {
	s.mu.Lock()
	b, f := s.find(c.container, c.blob)
	if f == nil {
		f = unchanged(c.r, b)
	}
	if f == nil {
		b.metadata = metadataOf(c.r)
		s.change(b)
		showVersion(c.w, b)
	}
	s.mu.Unlock()
	if f != nil {
		return f
	}
	s.reply(c, http.StatusOK, nil)
	return nil
}
