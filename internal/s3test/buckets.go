package s3test

import (
	"encoding/xml"
	"io"
	"net/http"
	"strings"
)

func (s *Server) createBucket(c *call) *Failure {
	if !s.hasBucket(c.bucket) {
		s.AddBucket(c.bucket)
	}
	return nil
}

func (s *Server) headBucket(*call) *Failure { return nil }

// listing is the answer to ListObjectsV2.
type listing struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	IsTruncated           bool
	KeyCount              int
	NextContinuationToken string `xml:",omitempty"`
	Contents              []listed
}

type listed struct {
	Key, LastModified, ETag string
	Size                    int
}

func (s *Server) listObjects(c *call) *Failure {
	prefix, after := c.query.Get("prefix"), c.query.Get("continuation-token")
	var l listing
	for _, key := range s.Keys(c.bucket) {
		if !strings.HasPrefix(key, prefix) || key <= after {
			continue
		}
		if len(l.Contents) == s.options.PageSize {
			l.IsTruncated, l.NextContinuationToken = true, l.Contents[len(l.Contents)-1].Key
			break
		}
		if o, ok := s.find(&call{bucket: c.bucket, key: key}); ok {
			l.Contents = append(l.Contents, listed{key, o.modified.UTC().Format(listTime), o.etag, len(o.data)})
		}
	}
	l.KeyCount = len(l.Contents)
	return c.reply(l)
}

func (s *Server) getLifecycle(c *call) *Failure {
	if s.options.Lifecycle == "" {
		return fail(http.StatusNotFound, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
	}
	_, _ = io.WriteString(c.w, s.options.Lifecycle)
	return nil
}

func (s *Server) getVersioning(c *call) *Failure {
	return c.reply(struct {
		XMLName xml.Name `xml:"VersioningConfiguration"`
		Status  string   `xml:",omitempty"`
	}{Status: s.options.Versioning})
}
