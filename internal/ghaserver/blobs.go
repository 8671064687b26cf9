package ghaserver

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// blobsPath is the container of the blobs.
const blobsPath = "/actions-cache/"

// blobPath returns the path of the blob of an entry, which nobody can guess.
func (s *Server) blobPath(id int64) string {
	return blobsPath + hex.EncodeToString(s.sign("blob " + strconv.FormatInt(id, 10))[:16])
}

// signedURL returns where the content of an entry is put or got, valid for life:
// at the host that the client has asked, which may be that of a proxy.
func (s *Server) signedURL(host string, e *entry, permission string, life time.Duration) string {
	expiry := s.options.Now().Add(life).UTC()
	if s.options.Contents != nil {
		return s.options.Contents.URL(e.name(), permission, expiry)
	}
	if s.options.ContentHost != nil {
		host = s.options.ContentHost()
	}
	base := "http://" + host + e.path
	if s.options.PlainURLs {
		return base + "/" + permission
	}
	end := expiry.Format(time.RFC3339)
	q := url.Values{
		"sp": {permission}, "se": {end}, "sr": {"b"}, "spr": {"https"}, "sv": {"2025-01-05"},
		"sig": {base64.StdEncoding.EncodeToString(s.sign(e.path + permission + end))},
	}
	return base + "?" + q.Encode()
}

// refusal is an error in the form of Azure's blob service.
type refusal struct {
	XMLName xml.Name `xml:"Error"`
	status  int
	Code    string
	Message string
}

func refuse(status int, code, message string) *refusal {
	return &refusal{status: status, Code: code, Message: message}
}

func (f *refusal) write(w http.ResponseWriter, q Quirks) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Ms-Error-Code", f.Code)
	writeError(w, q, f.status, f.Message, func() { _ = xml.NewEncoder(w).Encode(f) }) // or the client has gone
}

// serveBlob answers a request to a signed URL.
func (s *Server) serveBlob(w http.ResponseWriter, r *http.Request) {
	// Without it, Azure's SDK for Go crashes (cirruslabs/cirrus-cli#918).
	w.Header().Set("X-Ms-Request-Id", fmt.Sprintf("%08x-0000-0000-0000-000000000000", time.Now().UnixNano()&0xffffffff))
	w.Header().Set("X-Ms-Version", "2025-01-05")
	path, permission, f := s.admit(r)
	if f == nil {
		switch {
		case r.Method == http.MethodPut && permission == "cw":
			f = s.putBlob(w, r, path)
		case r.Method == http.MethodHead && s.options.NoHead:
			f = refuse(http.StatusForbidden, "SignatureDoesNotMatch", "The request signature does not match: the URL was signed for GET.")
		case (r.Method == http.MethodGet || r.Method == http.MethodHead) && permission == "r":
			f = s.getBlob(w, r, path)
		default:
			f = refuse(http.StatusForbidden, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this permission.")
		}
	}
	if f != nil {
		drain(r)
		f.write(w, s.options.Quirks)
	}
}

// admit checks the signature of a URL.
func (s *Server) admit(r *http.Request) (path, permission string, f *refusal) {
	if s.options.PlainURLs {
		path, permission = cutLast(r.URL.Path, "/")
		return path, permission, nil
	}
	q := r.URL.Query()
	path, permission = r.URL.Path, q.Get("sp")
	signature, err := base64.StdEncoding.DecodeString(q.Get("sig"))
	end, endErr := time.Parse(time.RFC3339, q.Get("se"))
	switch {
	case err != nil, endErr != nil, !hmac.Equal(signature, s.sign(path+permission+q.Get("se"))):
		return "", "", refuse(http.StatusForbidden, "AuthenticationFailed", "Server failed to authenticate the request. Signature did not match.")
	case s.options.Now().After(end):
		return "", "", refuse(http.StatusForbidden, "AuthenticationFailed", "Server failed to authenticate the request. Signature not valid in the specified time frame.")
	case r.Header.Get("Authorization") != "":
		return "", "", refuse(http.StatusBadRequest, "InvalidAuthenticationInfo", "Authentication information is not given in the correct format.")
	}
	return path, permission, nil
}

// putBlob stores a blob as a whole, a block, or the list of the blocks.
func (s *Server) putBlob(w http.ResponseWriter, r *http.Request, path string) *refusal {
	if r.ContentLength < 0 {
		return refuse(http.StatusLengthRequired, "MissingContentLengthHeader", "Content-Length HTTP header is missing.")
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.blobs[path]
	if e == nil {
		return refuse(http.StatusNotFound, "BlobNotFound", "The specified blob does not exist.")
	}
	var f *refusal
	switch comp := r.URL.Query().Get("comp"); comp {
	case "":
		f = s.putWhole(r, e, data)
	case "block":
		f = s.putBlock(r, e, data)
	case "blocklist":
		f = putList(e, data)
	default:
		f = refuse(http.StatusBadRequest, "InvalidQueryParameterValue", "Value for one of the query parameters specified in the request URI is invalid.")
	}
	if f == nil {
		w.Header().Set("Etag", etag(e))
		w.WriteHeader(http.StatusCreated)
	}
	return f
}

func (s *Server) putWhole(r *http.Request, e *entry, data []byte) *refusal {
	if r.Header.Get("X-Ms-Blob-Type") != "BlockBlob" {
		return refuse(http.StatusBadRequest, "MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified: x-ms-blob-type.")
	}
	e.data, e.uploaded = data, true
	clear(e.blocks)
	return nil
}

func (s *Server) putBlock(r *http.Request, e *entry, data []byte) *refusal {
	id := r.URL.Query().Get("blockid")
	raw, err := base64.StdEncoding.DecodeString(id)
	if err != nil || len(raw) == 0 || len(raw) > 64 || len(data) == 0 {
		return refuse(http.StatusBadRequest, "InvalidQueryParameterValue", "The block or its id is invalid.")
	}
	for other := range e.blocks {
		if len(other) != len(id) {
			return refuse(http.StatusBadRequest, "InvalidBlobOrBlock", "The specified blob or block content is invalid.")
		}
	}
	if _, ok := blockNumber(raw); s.options.SDKBlocks && !ok {
		return refuse(http.StatusBadRequest, "InvalidBlockId", "The id of the block has no number.")
	}
	e.blocks[id] = data
	return nil
}

// blockNumber returns the number of a block, from an id in the form of Azure's
// SDK for Go, 64 bytes with the number at the 16th, or for JavaScript, 36
// characters and then the number in 12 digits.
func blockNumber(id []byte) (number int, ok bool) {
	switch len(id) {
	case 64:
		return int(binary.BigEndian.Uint32(id[16:])), true
	case 48:
		number, err := strconv.Atoi(string(id[36:]))
		return number, err == nil
	default:
		return 0, false
	}
}

// putList puts the blob together.
func putList(e *entry, data []byte) *refusal {
	var list struct {
		IDs []string `xml:",any"`
	}
	if err := xml.Unmarshal(data, &list); err != nil {
		return refuse(http.StatusBadRequest, "InvalidXmlDocument", "The specified XML is not syntactically valid.")
	}
	var parts [][]byte
	for _, id := range list.IDs {
		block, ok := e.blocks[strings.TrimSpace(id)]
		if !ok {
			return refuse(http.StatusBadRequest, "InvalidBlockList", "The specified block list is invalid.")
		}
		parts = append(parts, block)
	}
	e.data, e.uploaded = slices.Concat(parts...), true
	clear(e.blocks)
	return nil
}

func etag(e *entry) string { return fmt.Sprintf(`"0x%X"`, e.id) }

// getBlob answers with a blob or a part of it.
func (s *Server) getBlob(w http.ResponseWriter, r *http.Request, path string) *refusal {
	s.mu.Lock()
	e := s.blobs[path]
	if e == nil || !e.uploaded {
		s.mu.Unlock()
		return refuse(http.StatusNotFound, "BlobNotFound", "The specified blob does not exist.")
	}
	data, tag := e.data, etag(e)
	s.mu.Unlock()
	size := int64(len(data))
	from, to, ranged, err := byteRange(r.Header, size)
	switch {
	case s.options.IgnoreRange:
		from, to, ranged = 0, size, false
	case err != nil:
		w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		return refuse(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The range specified is invalid for the current size of the resource.")
	}
	w.Header().Set("Etag", tag)
	w.Header().Set("Accept-Ranges", "bytes")
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("X-Ms-Blob-Type", "BlockBlob")
	w.Header().Set("Content-Length", strconv.FormatInt(to-from, 10))
	if ranged {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, size))
		w.WriteHeader(http.StatusPartialContent)
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write(data[from:to]) // or the client has gone
	}
	return nil
}

// byteRange returns which bytes a request asks for. Of the two headers Azure's
// own counts.
func byteRange(h http.Header, size int64) (from, to int64, ranged bool, err error) {
	text := h.Get("X-Ms-Range")
	if text == "" {
		text = h.Get("Range")
	}
	if text == "" {
		return 0, size, false, nil
	}
	first, last, found := strings.Cut(strings.TrimPrefix(text, "bytes="), "-")
	from, err = strconv.ParseInt(first, 10, 64)
	if err != nil || !found || from >= size {
		return 0, 0, false, errors.New("invalid range")
	}
	to = size
	if last != "" {
		end, err := strconv.ParseInt(last, 10, 64)
		if err != nil || end < from {
			return 0, 0, false, errors.New("invalid range")
		}
		to = min(size, end+1)
	}
	return from, to, true, nil
}
