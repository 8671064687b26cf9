package azuretest

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

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

// errNoRange says that a request is about the whole blob.
var errNoRange = errors.New("no range")

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
