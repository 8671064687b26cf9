package azuretest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
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

// getBlob answers GET and HEAD of a blob.
func (s *Server) getBlob(c *call) *Failure {
	s.mu.Lock()
	b, f := s.find(c.container, c.blob)
	if f == nil {
		f = readable(c.r, b)
	}
	if f != nil {
		s.mu.Unlock()
		return f
	}
	data := b.data // never changed, only replaced
	s.show(c.w, b)
	s.mu.Unlock()
	off, n, err := rangeOf(c.r, int64(len(data)))
	switch {
	case errors.Is(err, errNoRange):
		s.reply(c, http.StatusOK, data)
	case err != nil:
		return fail(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The range specified is invalid for the current size of the resource.").
			with("Content-Range", fmt.Sprintf("bytes */%d", len(data)))
	default:
		c.w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, off+n-1, len(data)))
		s.reply(c, http.StatusPartialContent, data[off:off+n])
	}
	return nil
}

// show sets the headers that describe a blob. s.mu is held.
func (s *Server) show(w http.ResponseWriter, b *blob) {
	showVersion(w, b)
	h := w.Header()
	for name, values := range b.metadata {
		h["X-Ms-Meta-"+name] = values
	}
	h.Set("Content-Type", b.mimeType)
	h.Set("Content-Length", strconv.Itoa(len(b.data)))
	h.Set("Accept-Ranges", "bytes")
	h.Set("X-Ms-Blob-Type", "BlockBlob")
}

// rangeOf returns the range that a request is about.
func rangeOf(r *http.Request, size int64) (off, n int64, err error) {
	value := r.Header.Get("X-Ms-Range")
	if value == "" {
		value = r.Header.Get("Range")
	}
	span, ok := strings.CutPrefix(value, "bytes=")
	if !ok || r.Method == http.MethodHead {
		return 0, 0, errNoRange
	}
	first, last, _ := strings.Cut(span, "-")
	off, err = strconv.ParseInt(first, 10, 64)
	if err != nil || off >= size {
		return 0, 0, fmt.Errorf("range %q of %d bytes", value, size)
	}
	end := size - 1
	if last != "" {
		given, err := strconv.ParseInt(last, 10, 64)
		if err != nil || given < off {
			return 0, 0, fmt.Errorf("range %q", value)
		}
		end = min(end, given)
	}
	return off, end - off + 1, nil
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
