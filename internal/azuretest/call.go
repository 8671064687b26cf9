package azuretest

import (
	"bytes"
	"crypto/md5" //nolint:gosec // what the service uses
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The operations in the words of their documentation.
const (
	opCreateContainer = "Create Container"
	opContainerProps  = "Get Container Properties"
	opDeleteContainer = "Delete Container"
	opAccountInfo     = "Get Account Information"
	opListBlobs       = "List Blobs"
	opPutBlob         = "Put Blob"
	opGetBlob         = "Get Blob"
	opBlobProps       = "Get Blob Properties"
	opDeleteBlob      = "Delete Blob"
	opSetMetadata     = "Set Blob Metadata"
	opPutBlock        = "Put Block"
	opPutBlockList    = "Put Block List"
	opGetBlockList    = "Get Block List"
)

// call is a request that is being answered.
type call struct {
	w         http.ResponseWriter
	r         *http.Request
	query     url.Values
	id        string // of the request, for its operators
	op        string
	container string
	blob      string
	received  int64
}

// newCall finds out what a request is about.
func (s *Server) newCall(w http.ResponseWriter, r *http.Request) (*call, *Failure) {
	s.mu.Lock()
	s.serial++
	c := &call{w: w, r: r, query: r.URL.Query(), id: fmt.Sprintf("00000000-0000-0000-0000-%012d", s.serial)}
	s.mu.Unlock()
	path, ok := strings.CutPrefix(r.URL.Path, "/"+Account)
	if !ok || path != "" && path[0] != '/' {
		return c, fail(http.StatusBadRequest, "InvalidUri", "The requested URI does not represent any resource on the server.")
	}
	c.container, c.blob, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	c.op = c.operation()
	if c.op == "" {
		return c, fail(http.StatusBadRequest, "InvalidQueryParameterValue", "Value for one of the query parameters specified in the request URI is invalid.")
	}
	// A SAS says the version itself.
	if r.Header.Get("X-Ms-Version") == "" && c.query.Get("sv") == "" {
		return c, fail(http.StatusBadRequest, "MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified.")
	}
	return c, nil
}

// operation returns what is asked for, or "".
func (c *call) operation() string {
	at := strings.Join([]string{c.r.Method, c.query.Get("restype"), c.query.Get("comp")}, " ")
	if c.blob == "" {
		return map[string]string{
			"PUT container ":         opCreateContainer,
			"GET container ":         opContainerProps,
			"HEAD container ":        opContainerProps,
			"DELETE container ":      opDeleteContainer,
			"GET container list":     opListBlobs,
			"GET account properties": opAccountInfo,
		}[at]
	}
	return map[string]string{
		"PUT  ":          opPutBlob,
		"GET  ":          opGetBlob,
		"HEAD  ":         opBlobProps,
		"DELETE  ":       opDeleteBlob,
		"PUT  metadata":  opSetMetadata,
		"PUT  block":     opPutBlock,
		"PUT  blocklist": opPutBlockList,
		"GET  blocklist": opGetBlockList,
	}[at]
}

// body reads the body of a request and checks it against its checksums.
func (c *call) body() ([]byte, *Failure) {
	if c.r.ContentLength < 0 {
		return nil, fail(http.StatusLengthRequired, "MissingContentLengthHeader", "The Content-Length header was not specified.")
	}
	var arrived bytes.Buffer // only what arrives takes memory, whatever was announced
	arrived.Grow(int(min(c.r.ContentLength, 1<<20)))
	n, err := io.CopyN(&arrived, c.r.Body, c.r.ContentLength)
	c.received = n
	if err != nil {
		// The client has gone in the middle.
		panic(http.ErrAbortHandler)
	}
	data := arrived.Bytes()
	if want := c.r.Header.Get("Content-MD5"); want != "" && want != md5Of(data) {
		return nil, fail(http.StatusBadRequest, "Md5Mismatch", "The MD5 value specified in the request did not match with the MD5 value calculated by the server.")
	}
	if want := c.r.Header.Get("X-Ms-Content-Crc64"); want != "" && want != crc64Of(data) {
		return nil, fail(http.StatusBadRequest, "Crc64Mismatch", "The CRC64 value specified in the request did not match with the CRC64 value calculated by the server.")
	}
	return data, nil
}

func md5Of(data []byte) string {
	sum := md5.Sum(data) //nolint:gosec // what the service uses
	return base64.StdEncoding.EncodeToString(sum[:])
}

// crc64Of is the checksum of the service's own polynomial, in its form.
func crc64Of(data []byte) string {
	const polynomial = 0x9A6C9329AC4BC9B5
	sum := crc64.Checksum(data, crc64.MakeTable(polynomial))
	return base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, sum))
}

// reply answers a request that has succeeded.
func (s *Server) reply(c *call, status int, body []byte) {
	h := c.w.Header()
	h.Set("X-Ms-Request-Id", c.id)
	h.Set("X-Ms-Version", c.r.Header.Get("X-Ms-Version"))
	h.Set("Date", s.options.Now().UTC().Format(http.TimeFormat))
	if status != http.StatusNotModified && c.r.Method != http.MethodHead {
		h.Set("Content-Length", fmt.Sprint(len(body)))
	}
	s.note(c, status, "")
	if s.After != nil {
		s.After(c.op)
	}
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(body) // or the client has gone
	}
}

// Failure is an error of the service.
type Failure struct {
	Status  int
	Code    string
	Message string
	// Detail is what some errors add.
	Detail string
	header http.Header
}

func fail(status int, code, message string) *Failure {
	return &Failure{Status: status, Code: code, Message: message}
}

// with adds a header to a failure.
func (f *Failure) with(key, value string) *Failure {
	f.header = http.Header{key: {value}}
	return f
}

// Error implements error.
func (f *Failure) Error() string { return f.Code + ": " + f.Message }

// write answers with the failure in the service's form.
func (f *Failure) write(w http.ResponseWriter, r *http.Request, id string, now time.Time) {
	h := w.Header()
	maps.Copy(h, f.header)
	h.Del("Content-Length") // of the blob
	h.Set("X-Ms-Request-Id", id)
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	if f.Status != http.StatusNotModified {
		h.Set("X-Ms-Error-Code", f.Code)
		h.Set("Content-Type", "application/xml")
	}
	w.WriteHeader(f.Status)
	if r.Method != http.MethodHead && f.Status != http.StatusNotModified {
		_, _ = io.WriteString(w, f.xml(id, now)) // or the client has gone
	}
}

func (f *Failure) xml(id string, now time.Time) string {
	text := `<?xml version="1.0" encoding="utf-8"?><Error><Code>` + f.Code + `</Code><Message>` + escape(f.Message) +
		"\nRequestId:" + id + "\nTime:" + now.UTC().Format("2006-01-02T15:04:05.0000000Z") + `</Message>`
	if f.Detail != "" {
		text += `<AuthenticationErrorDetail>` + escape(f.Detail) + `</AuthenticationErrorDetail>`
	}
	return text + `</Error>`
}
