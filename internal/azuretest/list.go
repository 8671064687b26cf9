package azuretest

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const maxPage = 5000

// page is a page of a listing in the service's form.
type page struct {
	XMLName    xml.Name `xml:"EnumerationResults"`
	Container  string   `xml:"ContainerName,attr"`
	Prefix     string   `xml:"Prefix,omitempty"`
	Marker     string   `xml:"Marker,omitempty"`
	Blobs      items    `xml:"Blobs"`
	NextMarker string   `xml:"NextMarker"`
}

type items struct {
	Blobs []item `xml:"Blob"`
}

type item struct {
	Name         string `xml:"Name"`
	LastModified string `xml:"Properties>Last-Modified"`
	ETag         string `xml:"Properties>Etag"`
	Length       int    `xml:"Properties>Content-Length"`
	ContentType  string `xml:"Properties>Content-Type"`
	BlobType     string `xml:"Properties>BlobType"`
	ResourceType string `xml:"Properties>ResourceType,omitempty"`
}

func (s *Server) listBlobs(c *call) *Failure {
	limit := maxPage
	if s.options.PageSize > 0 {
		limit = s.options.PageSize
	}
	if text := c.query.Get("maxresults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fail(http.StatusBadRequest, "OutOfRangeQueryParameterValue", "One of the query parameters specified in the request URI is outside the permissible range.")
		}
		limit = min(limit, n)
	}
	after, empty, f := decodeMarker(c.query.Get("marker"))
	if f != nil {
		return f
	}
	s.mu.Lock()
	p, f := s.page(c, after, limit, empty)
	s.mu.Unlock()
	if f != nil {
		return f
	}
	return s.replyXML(c, p)
}

// page returns the blobs whose names come after one. s.mu is held.
func (s *Server) page(c *call, after string, limit int, empty bool) (*page, *Failure) {
	in, f := s.within(c.container)
	if f != nil {
		return nil, f
	}
	prefix := c.query.Get("prefix")
	p := &page{Container: c.container, Prefix: prefix, Marker: c.query.Get("marker")}
	names := slices.DeleteFunc(in.names(), func(name string) bool { return !strings.HasPrefix(name, prefix) || name <= after })
	if s.options.EmptyPages && empty && len(names) > 0 {
		p.NextMarker = encodeMarker(after, false)
		return p, nil
	}
	more := len(names) > limit
	names = names[:min(limit, len(names))]
	for _, name := range names {
		b := in.blobs[name]
		kind := ""
		if b.isDirectory() {
			kind = "directory"
		}
		p.Blobs.Blobs = append(p.Blobs.Blobs, item{
			ResourceType: kind, Name: name, LastModified: b.modified.UTC().Format(http.TimeFormat), ETag: strings.Trim(b.etag, `"`),
			Length: len(b.data), ContentType: b.mimeType, BlobType: "BlockBlob",
		})
	}
	if more {
		p.NextMarker = encodeMarker(names[len(names)-1], true)
	}
	return p, nil
}

// encodeMarker makes a marker, which clients must not understand, of the last
// name and whether the next page may be empty.
func encodeMarker(after string, empty bool) string {
	return "2!" + base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatBool(empty)+"/"+after))
}

func decodeMarker(marker string) (after string, empty bool, f *Failure) {
	if marker == "" {
		return "", true, nil
	}
	text, ok := strings.CutPrefix(marker, "2!")
	raw, err := base64.RawURLEncoding.DecodeString(text)
	flag, after, cut := strings.Cut(string(raw), "/")
	if !ok || err != nil || !cut {
		return "", false, fail(http.StatusBadRequest, "OutOfRangeInput", "One of the request inputs is out of range.")
	}
	return after, flag == "true", nil
}

// replyXML answers with a document.
func (s *Server) replyXML(c *call, document any) *Failure {
	var body bytes.Buffer
	body.WriteString(xml.Header)
	if err := xml.NewEncoder(&body).Encode(document); err != nil {
		return fail(http.StatusInternalServerError, "InternalError", err.Error())
	}
	c.w.Header().Set("Content-Type", "application/xml")
	s.reply(c, http.StatusOK, body.Bytes())
	return nil
}

// escape writes a text for XML.
func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	return b.String()
}
