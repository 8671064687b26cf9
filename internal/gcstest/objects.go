package gcstest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// set stores an object and returns it. The caller holds the lock.
func (s *Server) set(key string, data []byte) object {
	s.generation++
	o := object{data: data, generation: s.generation, created: time.Now()}
	s.objects[key] = o
	return o
}

// names returns the names in a bucket that begin with a prefix, in order. The
// caller holds the lock.
func (s *Server) names(bucket, prefix string) []string {
	var names []string
	for key := range s.objects {
		if name, ok := strings.CutPrefix(key, bucket+"/"); ok && strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// store stores an object if the request's condition holds, and answers.
func (s *Server) store(w http.ResponseWriter, condition, bucket, name string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := bucket + "/" + name
	if !s.holds(condition, key) {
		refuse(w, http.StatusPreconditionFailed, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
		return
	}
	answer(w, resource(bucket, name, s.set(key, data)))
}

// holds tells whether an object has the generation that a condition wants, 0
// for none. The caller holds the lock.
func (s *Server) holds(condition, key string) bool {
	return condition == "" || condition == strconv.FormatInt(s.objects[key].generation, 10)
}

// resource is the metadata of an object in the JSON API.
func resource(bucket, name string, o object) map[string]any {
	at := o.created.UTC().Format(time.RFC3339Nano)
	return map[string]any{
		"kind": "storage#object", "bucket": bucket, "name": name, "size": strconv.Itoa(len(o.data)),
		"generation": strconv.FormatInt(o.generation, 10), "metageneration": "1",
		"timeCreated": at, "updated": at, "crc32c": checksum(o.data), "storageClass": "STANDARD",
	}
}

// checksum is the CRC32C of data as the service writes it.
func checksum(data []byte) string {
	sum := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

// bucketAttrs answers with the metadata of a bucket.
func (s *Server) bucketAttrs(w http.ResponseWriter, bucket string) {
	attrs := map[string]any{"kind": "storage#bucket", "name": bucket, "storageClass": "STANDARD", "location": "EU"}
	maps.Copy(attrs, s.opts.Attrs)
	answer(w, attrs)
}

// list answers with a page of a bucket's objects.
func (s *Server) list(w http.ResponseWriter, r *http.Request, bucket string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	query := r.URL.Query()
	size := s.opts.PageSize
	if asked, err := strconv.Atoi(query.Get("maxResults")); err == nil && (size == 0 || asked < size) {
		size = asked
	}
	page := map[string]any{"kind": "storage#objects"}
	var items []map[string]any
	for _, name := range s.names(bucket, query.Get("prefix")) {
		if name <= query.Get("pageToken") {
			continue
		}
		if len(items) == max(size, 1) {
			page["nextPageToken"] = items[len(items)-1]["name"]
			break
		}
		items = append(items, resource(bucket, name, s.objects[bucket+"/"+name]))
	}
	page["items"] = items
	answer(w, page)
}

// metadata answers for an object's metadata, or deletes it.
func (s *Server) metadata(w http.ResponseWriter, r *http.Request, bucket, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := bucket + "/" + name
	o, ok := s.objects[key]
	switch {
	case !ok:
		refuse(w, http.StatusNotFound, "notFound", "No such object: "+key)
	case !s.holds(r.URL.Query().Get("ifGenerationMatch"), key):
		refuse(w, http.StatusPreconditionFailed, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		answer(w, resource(bucket, name, o))
	}
}

// rewrite copies an object.
func (s *Server) rewrite(w http.ResponseWriter, from, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[from]
	if !ok {
		refuse(w, http.StatusNotFound, "notFound", "No such object: "+from)
		return
	}
	bucket, name, _ := strings.Cut(to, "/")
	size := strconv.Itoa(len(o.data))
	answer(w, map[string]any{
		"kind": "storage#rewriteResponse", "done": true, "totalBytesRewritten": size, "objectSize": size,
		"resource": resource(bucket, name, s.set(to, o.data)),
	})
}

// read answers with an object's content.
func (s *Server) read(w http.ResponseWriter, r *http.Request, bucket, name string) {
	s.mu.Lock()
	o, ok := s.objects[bucket+"/"+name]
	s.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, "notFound", "No such object: "+bucket+"/"+name)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("X-Goog-Generation", strconv.FormatInt(o.generation, 10))
	h.Set("X-Goog-Metageneration", "1")
	h.Set("X-Goog-Stored-Content-Encoding", "identity")
	h.Set("X-Goog-Stored-Content-Length", strconv.Itoa(len(o.data)))
	h.Set("X-Goog-Hash", "crc32c="+checksum(o.data))
	h.Set("Etag", fmt.Sprintf("%q", strconv.FormatInt(o.generation, 16)))
	http.ServeContent(w, r, "", o.created, bytes.NewReader(o.data))
}
