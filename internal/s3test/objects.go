package s3test

import (
	"bytes"
	"crypto/md5" //nolint:gosec // It is what ETags are.
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// etagOf returns the version of an object that was written in one request.
func etagOf(data []byte) string {
	sum := md5.Sum(data) //nolint:gosec // It is what ETags are.
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// kept are the headers that an object keeps beside its metadata.
func kept() []string {
	return []string{"Content-Type", "Content-Encoding", "Cache-Control", "Content-Disposition", "Content-Language"}
}

// metadata returns the headers of a request that are kept with an object.
func metadata(r *http.Request) http.Header {
	header := http.Header{}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			header[name] = values
		}
	}
	for _, name := range kept() {
		if value := r.Header.Get(name); value != "" {
			header.Set(name, value)
		}
	}
	return header
}

func noSuchKey(key string) *Failure {
	f := fail(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	f.Key = key
	return f
}

// missing is the answer about what is not there. Whoever may not list is not
// told.
func (s *Server) missing(key string) *Failure {
	if s.options.Deny != nil && s.options.Deny("ListObjectsV2") {
		return denied()
	}
	return noSuchKey(key)
}

// find returns the object that a call is about.
func (s *Server) find(c *call) (object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.buckets[c.bucket][c.key]
	return o, ok
}

func (s *Server) getObject(c *call) *Failure {
	o, ok := s.find(c)
	if !ok {
		return s.missing(c.key)
	}
	maps.Copy(c.w.Header(), o.header)
	if o.header.Get("Content-Type") == "" {
		c.w.Header().Set("Content-Type", "binary/octet-stream")
	}
	c.w.Header().Set("Etag", o.etag)
	if outOfRange(c.r, len(o.data)) {
		return fail(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable")
	}
	http.ServeContent(c.w, c.r, "", o.modified, bytes.NewReader(o.data))
	return nil
}

// outOfRange reports whether a request asks for a range behind the end, which
// of an empty object every range is.
func outOfRange(r *http.Request, size int) bool {
	first, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !ok {
		return false
	}
	first, _, _ = strings.Cut(first, "-")
	off := 0
	for _, digit := range first {
		off = min(off*10+int(digit-'0'), size)
	}
	return off >= size
}

// check returns why a write must not happen. The caller holds the lock.
func (s *Server) check(c *call) *Failure {
	none, match := c.r.Header.Get("If-None-Match"), c.r.Header.Get("If-Match")
	o, exists := s.buckets[c.bucket][c.key]
	failed := fail(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	switch {
	case none == "" && match == "", s.options.IgnoreConditions:
		return nil
	case s.options.RefuseConditions, none != "" && none != "*", match == "*":
		return fail(http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented")
	case none == "*" && exists:
		return failed
	case match != "" && !exists:
		return noSuchKey(c.key)
	case match != "" && o.etag != match:
		return failed
	default:
		return nil
	}
}

// store stores an object unless its condition does not hold.
func (s *Server) store(c *call, o object) *Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.check(c); f != nil {
		return f
	}
	s.buckets[c.bucket][c.key] = o
	c.w.Header().Set("Etag", o.etag)
	return nil
}

func (s *Server) putObject(c *call) *Failure {
	return s.store(c, s.newObject(c.body, metadata(c.r)))
}

// CopyObjectResult answers a copy.
type CopyObjectResult struct {
	ETag, LastModified string
}

const listTime = "2006-01-02T15:04:05.000Z"

func (s *Server) copyObject(c *call) *Failure {
	source, err := url.PathUnescape(c.r.Header.Get("X-Amz-Copy-Source"))
	if err != nil {
		return fail(http.StatusBadRequest, "InvalidArgument", "Invalid copy source encoding.")
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(source, "/"), "/")
	s.mu.Lock()
	from, ok := s.buckets[bucket][key]
	s.mu.Unlock()
	replace := c.r.Header.Get("X-Amz-Metadata-Directive") == "REPLACE"
	switch match := c.r.Header.Get("X-Amz-Copy-Source-If-Match"); {
	case !ok:
		return noSuchKey(key)
	case match != "" && match != from.etag:
		return fail(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	case bucket == c.bucket && key == c.key && !replace:
		return fail(http.StatusBadRequest, "InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	to := s.newObject(from.data, from.header)
	if replace {
		to.header = metadata(c.r)
	}
	if s.options.StaleTouch {
		to.modified = from.modified
	}
	s.mu.Lock()
	s.buckets[c.bucket][c.key] = to
	s.mu.Unlock()
	return c.reply(CopyObjectResult{to.etag, to.modified.UTC().Format(listTime)})
}

func (s *Server) deleteObject(c *call) *Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.options.IgnoreConditionalDelete {
		if f := s.check(c); f != nil {
			return f
		}
	}
	delete(s.buckets[c.bucket], c.key)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// deletion is the body of DeleteObjects.
type deletion struct {
	Object []struct{ Key string }
}

// maxDeleted is how many objects one request deletes.
const maxDeleted = 1000

func (s *Server) deleteObjects(c *call) *Failure {
	if s.options.NoBatchDelete {
		return fail(http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented.")
	}
	sum := md5.Sum(c.body) //nolint:gosec // It is what the header holds.
	if c.r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(sum[:]) {
		return fail(http.StatusBadRequest, "InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	var d deletion
	if err := xml.Unmarshal(c.body, &d); err != nil || len(d.Object) == 0 || len(d.Object) > maxDeleted {
		return fail(http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	s.mu.Lock()
	for _, o := range d.Object {
		delete(s.buckets[c.bucket], o.Key)
	}
	s.mu.Unlock()
	return c.reply(struct {
		XMLName xml.Name `xml:"DeleteResult"`
	}{})
}
