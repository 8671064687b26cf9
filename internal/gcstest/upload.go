package gcstest

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
)

// session is an upload in chunks.
type session struct {
	bucket, name, condition string
	data                    []byte
}

// upload takes an object, or begins a session for one.
//
// Source: cloud.google.com/storage/docs/uploads-downloads.
func (s *Server) upload(w http.ResponseWriter, r *http.Request, bucket string) {
	query := r.URL.Query()
	condition := query.Get("ifGenerationMatch")
	if !s.exists(bucket) {
		refuse(w, http.StatusNotFound, "notFound", "The specified bucket does not exist.")
		return
	}
	if query.Get("uploadType") == "resumable" {
		s.begin(w, &session{bucket: bucket, name: query.Get("name"), condition: condition})
		return
	}
	name, data, err := related(r)
	if err != nil { // the client has broken off, or sends what is no upload
		refuse(w, http.StatusBadRequest, "badContent", err.Error())
		return
	}
	s.store(w, condition, bucket, name, data)
}

// related reads an upload in one request: metadata and then the content.
func related(r *http.Request) (name string, data []byte, err error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/related" {
		return "", nil, fmt.Errorf("content type %q, want multipart/related", kind)
	}
	parts := multipart.NewReader(r.Body, params["boundary"])
	part, err := parts.NextPart()
	if err != nil {
		return "", nil, err
	}
	var metadata struct{ Name, Crc32c string }
	if err := json.NewDecoder(part).Decode(&metadata); err != nil {
		return "", nil, err
	}
	if part, err = parts.NextPart(); err != nil {
		return "", nil, err
	}
	if data, err = io.ReadAll(part); err != nil {
		return "", nil, err
	}
	if _, err := parts.NextPart(); !errors.Is(err, io.EOF) {
		return "", nil, fmt.Errorf("the upload is cut off: %w", err)
	}
	if metadata.Crc32c != "" && metadata.Crc32c != checksum(data) {
		return "", nil, fmt.Errorf("provided CRC32C %q doesn't match calculated CRC32C %q", metadata.Crc32c, checksum(data))
	}
	return metadata.Name, data, nil
}

// begin begins a session.
func (s *Server) begin(w http.ResponseWriter, one *session) {
	id := rand.Text()
	s.mu.Lock()
	s.sessions[id] = one
	s.mu.Unlock()
	w.Header().Set("Location", s.URL+"/session/"+id)
}

// chunk takes a chunk: "bytes 0-9/*" or, with the last one, "bytes 10-14/15".
// That there is more to come is said in a header, because the client asks for
// no status 308.
func (s *Server) chunk(w http.ResponseWriter, r *http.Request, id string) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	s.mu.Lock()
	one, ok := s.sessions[id]
	s.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, "notFound", "there is no such upload")
		return
	}
	span, total, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Content-Range"), "bytes "), "/")
	if first := strings.HasPrefix(span, fmt.Sprintf("%d-", len(one.data))); len(data) > 0 && !first {
		refuse(w, http.StatusBadRequest, "badContent", fmt.Sprintf("range %s, want it to begin at %d", span, len(one.data)))
		return
	}
	one.data = append(one.data, data...)
	if total == "*" {
		w.Header().Set("X-Http-Status-Code-Override", "308")
		w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", len(one.data)-1))
		return
	}
	s.mu.Lock()
	delete(s.sessions, id)
	s.mu.Unlock()
	s.store(w, one.condition, one.bucket, one.name, one.data)
}
