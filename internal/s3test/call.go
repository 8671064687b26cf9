package s3test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// call is a request on its way through the server.
type call struct {
	w           http.ResponseWriter
	r           *http.Request
	op          string
	bucket, key string
	query       url.Values
	body        []byte
}

// Failure is an answer that refuses.
type Failure struct {
	XMLName xml.Name `xml:"Error"`
	Status  int      `xml:"-"`
	Code    string
	Message string
	// What AWS adds to a signature that does not match.
	AWSAccessKeyID    string `xml:"AWSAccessKeyId,omitempty"`
	StringToSign      string `xml:",omitempty"`
	SignatureProvided string `xml:",omitempty"`
	CanonicalRequest  string `xml:",omitempty"`
	BucketName        string `xml:",omitempty"`
	Key               string `xml:",omitempty"`
	RequestID         string `xml:"RequestId"`
}

func fail(status int, code, message string) *Failure {
	return &Failure{Status: status, Code: code, Message: message}
}

// operation is how one is recognized and done.
type operation struct {
	name   string
	method string
	// object says whether the path has a key.
	object bool
	// query is a parameter that is there, and header a header; "" is none.
	query, header string
	do            func(*Server, *call) *Failure
}

// operations are looked through in order.
func operations() []operation {
	return []operation{
		{"HeadObject", http.MethodHead, true, "", "", (*Server).getObject},
		{"ListParts", http.MethodGet, true, "uploadId", "", (*Server).listParts},
		{"GetObject", http.MethodGet, true, "", "", (*Server).getObject},
		{"UploadPart", http.MethodPut, true, "uploadId", "", (*Server).uploadPart},
		{"CopyObject", http.MethodPut, true, "", "X-Amz-Copy-Source", (*Server).copyObject},
		{"PutObject", http.MethodPut, true, "", "", (*Server).putObject},
		{"AbortMultipartUpload", http.MethodDelete, true, "uploadId", "", (*Server).abortUpload},
		{"DeleteObject", http.MethodDelete, true, "", "", (*Server).deleteObject},
		{"CreateMultipartUpload", http.MethodPost, true, "uploads", "", (*Server).createUpload},
		{"CompleteMultipartUpload", http.MethodPost, true, "uploadId", "", (*Server).completeUpload},
		{"HeadBucket", http.MethodHead, false, "", "", (*Server).headBucket},
		{"ListObjectsV2", http.MethodGet, false, "list-type", "", (*Server).listObjects},
		{"ListMultipartUploads", http.MethodGet, false, "uploads", "", (*Server).listUploads},
		{"GetBucketLifecycleConfiguration", http.MethodGet, false, "lifecycle", "", (*Server).getLifecycle},
		{"GetBucketVersioning", http.MethodGet, false, "versioning", "", (*Server).getVersioning},
		{"DeleteObjects", http.MethodPost, false, "delete", "", (*Server).deleteObjects},
		{"CreateBucket", http.MethodPut, false, "", "", (*Server).createBucket},
	}
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, r: r, query: r.URL.Query()}
	c.bucket, c.key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	id := s.requestID()
	w.Header().Set("X-Amz-Request-Id", id)
	w.Header().Set("Date", s.options.Now().UTC().Format(http.TimeFormat))
	if f := s.serve(c); f != nil {
		f.RequestID = id
		f.write(c)
	}
}

func (f *Failure) write(c *call) {
	c.w.Header().Set("Content-Type", "application/xml")
	c.w.WriteHeader(f.Status)
	if c.r.Method != http.MethodHead {
		_ = xml.NewEncoder(c.w).Encode(f)
	}
}

func (s *Server) serve(c *call) *Failure {
	op, ok := find(c)
	if !ok {
		return fail(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	}
	c.op = op.name
	s.mu.Lock()
	s.requests = append(s.requests, op.name)
	s.mu.Unlock()
	if f := s.authorize(c); f != nil {
		return f
	}
	if f := s.receive(c); f != nil {
		return f
	}
	if s.options.Deny != nil && s.options.Deny(op.name) {
		return denied()
	}
	if op.name != "CreateBucket" && !s.hasBucket(c.bucket) {
		f := fail(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
		f.BucketName = c.bucket
		return f
	}
	return op.do(s, c)
}

func denied() *Failure { return fail(http.StatusForbidden, "AccessDenied", "Access Denied") }

func find(c *call) (operation, bool) {
	for _, op := range operations() {
		switch {
		case op.method != c.r.Method, op.object != (c.key != ""):
		case op.query != "" && !c.query.Has(op.query), op.header != "" && c.r.Header.Get(op.header) == "":
		default:
			return op, true
		}
	}
	return operation{}, false
}

func (s *Server) hasBucket(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.buckets[name]
	return ok
}

// receive reads the body and checks it against the hash that was signed.
func (s *Server) receive(c *call) *Failure {
	if c.r.ContentLength < 0 {
		return fail(http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	if c.r.Header.Get("X-Amz-Trailer") != "" {
		return fail(http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented.")
	}
	body, err := io.ReadAll(c.r.Body)
	if err != nil || int64(len(body)) != c.r.ContentLength {
		return fail(http.StatusBadRequest, "IncompleteBody", "The request body terminated unexpectedly")
	}
	c.body = body
	want := c.r.Header.Get("X-Amz-Content-Sha256")
	sum := sha256.Sum256(body)
	if checksum := c.r.Header.Get("X-Amz-Checksum-Sha256"); checksum != "" && checksum != base64.StdEncoding.EncodeToString(sum[:]) {
		return fail(http.StatusBadRequest, "BadDigest", "The SHA256 you specified did not match the calculated checksum.")
	}
	if got := hex.EncodeToString(sum[:]); want != "" && want != "UNSIGNED-PAYLOAD" && want != got && !s.options.IgnorePayloadHash {
		return fail(http.StatusBadRequest, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	return nil
}

// reply answers with a document.
func (c *call) reply(document any) *Failure {
	c.w.Header().Set("Content-Type", "application/xml")
	_, _ = io.WriteString(c.w, xml.Header)
	_ = xml.NewEncoder(c.w).Encode(document)
	return nil
}
