package s3test

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// upload is a multipart upload.
type upload struct {
	id, bucket, key string
	header          http.Header
	parts           map[int]object
}

// minPart is the least size of a part but the last, in bytes.
const minPart = 5 << 20

func (s *Server) createUpload(c *call) *Failure {
	s.mu.Lock()
	s.next++
	u := &upload{id: fmt.Sprintf("upload-%d", s.next), bucket: c.bucket, key: c.key, header: metadata(c.r), parts: map[int]object{}}
	s.uploads[u.id] = u
	s.mu.Unlock()
	return c.reply(struct {
		XMLName     xml.Name `xml:"InitiateMultipartUploadResult"`
		Bucket, Key string
		ID          string `xml:"UploadId"`
	}{Bucket: c.bucket, Key: c.key, ID: u.id})
}

// upload returns the upload that a call is about. The caller holds the lock.
func (s *Server) upload(c *call) (*upload, *Failure) {
	u := s.uploads[c.query.Get("uploadId")]
	if u == nil || u.bucket != c.bucket || u.key != c.key {
		return nil, fail(http.StatusNotFound, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
	}
	return u, nil
}

func (s *Server) uploadPart(c *call) *Failure {
	number, err := strconv.Atoi(c.query.Get("partNumber"))
	if err != nil || number < 1 || number > 10_000 {
		return fail(http.StatusBadRequest, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u, f := s.upload(c)
	if f != nil {
		return f
	}
	u.parts[number] = s.newObject(c.body, nil)
	c.w.Header().Set("Etag", u.parts[number].etag)
	return nil
}

// completion is the body of CompleteMultipartUpload.
type completion struct {
	Part []struct {
		ETag       string
		PartNumber int
	}
}

func (s *Server) completeUpload(c *call) *Failure {
	var parts completion
	if err := xml.Unmarshal(c.body, &parts); err != nil || len(parts.Part) == 0 {
		return fail(http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u, f := s.upload(c)
	if f != nil {
		return f
	}
	data, f := s.assemble(u, parts)
	if f != nil {
		return f
	}
	if f := s.check(c); f != nil {
		return f
	}
	o := s.newObject(data, u.header)
	o.etag = fmt.Sprintf(`%s-%d"`, strings.TrimSuffix(o.etag, `"`), len(parts.Part))
	s.buckets[c.bucket][c.key] = o
	delete(s.uploads, u.id)
	return c.reply(struct {
		XMLName           xml.Name `xml:"CompleteMultipartUploadResult"`
		Bucket, Key, ETag string
	}{Bucket: c.bucket, Key: c.key, ETag: o.etag})
}

// assemble returns the content of the parts.
func (s *Server) assemble(u *upload, parts completion) ([]byte, *Failure) {
	var data []byte
	last := 0
	for i, part := range parts.Part {
		sent, ok := u.parts[part.PartNumber]
		switch final := i == len(parts.Part)-1; {
		case part.PartNumber <= last:
			return nil, fail(http.StatusBadRequest, "InvalidPartOrder", "The list of parts was not in ascending order.")
		case !ok || strings.Trim(part.ETag, `"`) != strings.Trim(sent.etag, `"`):
			return nil, fail(http.StatusBadRequest, "InvalidPart", "One or more of the specified parts could not be found.")
		case !final && int64(len(sent.data)) < cmp.Or(s.options.MinPart, minPart):
			return nil, fail(http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
		case s.options.EqualParts && !final && len(sent.data) != len(u.parts[parts.Part[0].PartNumber].data):
			return nil, fail(http.StatusBadRequest, "InvalidPart", "All non-trailing parts must have the same length.")
		}
		data, last = append(data, sent.data...), part.PartNumber
	}
	return data, nil
}

func (s *Server) abortUpload(c *call) *Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, f := s.upload(c)
	if f != nil {
		return f
	}
	delete(s.uploads, u.id)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// listedPart is a part in a listing.
type listedPart struct {
	PartNumber int
	ETag       string
	Size       int
}

func (s *Server) listParts(c *call) *Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, f := s.upload(c)
	if f != nil {
		return f
	}
	var parts []listedPart
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		parts = append(parts, listedPart{number, u.parts[number].etag, len(u.parts[number].data)})
	}
	return c.reply(struct {
		XMLName xml.Name `xml:"ListPartsResult"`
		Part    []listedPart
	}{Part: parts})
}

// listedUpload is an upload in a listing.
type listedUpload struct {
	Key      string
	UploadID string `xml:"UploadId"`
}

func (s *Server) listUploads(c *call) *Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []listedUpload
	for _, id := range slices.Sorted(maps.Keys(s.uploads)) {
		if u := s.uploads[id]; u.bucket == c.bucket && strings.HasPrefix(u.key, c.query.Get("prefix")) {
			found = append(found, listedUpload{u.key, u.id})
		}
	}
	return c.reply(struct {
		XMLName xml.Name `xml:"ListMultipartUploadsResult"`
		Upload  []listedUpload
	}{Upload: found})
}
