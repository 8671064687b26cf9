package registrytest

import (
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
)

// upload is a blob on its way.
type upload struct {
	id, repo string

	mu     sync.Mutex // held while a request adds to it
	data   []byte
	hash   hash.Hash
	spoilt bool
}

func (u *upload) Write(p []byte) (int, error) {
	u.data = append(u.data, p...)
	return u.hash.Write(p)
}

// startUpload answers POST: it mounts a blob, or begins to receive one.
func (s *Server) startUpload(w http.ResponseWriter, r *http.Request, at route) *Failure {
	if f := s.mayCreate(at.repo); f != nil {
		return f
	}
	q := r.URL.Query()
	if at.op == OpMount && !s.options.NoMount {
		mounted := s.mount(at.repo, q.Get("from"), digest.Digest(q.Get("mount")))
		switch {
		case mounted:
			return s.created(w, r, at.repo, q.Get("mount"))
		case s.options.HarborMountError:
			project, _, _ := strings.Cut(q.Get("from"), "/")
			return &Failure{
				Status: http.StatusUnauthorized, Code: "UNAUTHORIZED",
				Message: fmt.Sprintf("project %[1]s not found: project %[1]s not found", project),
			}
		}
	}
	u := s.newUpload(at.repo)
	if s.options.SinglePost && q.Has("digest") {
		u.mu.Lock()
		defer u.mu.Unlock()
		return s.finish(w, r, u)
	}
	s.describe(w, r, u)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// mayCreate says whether a repository exists or comes to be by being written to.
func (s *Server) mayCreate(repo string) *Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.repos[repo]; ok || !s.options.ECRNoCreate {
		return nil
	}
	f := errNameUnknown(repo)
	f.Message = fmt.Sprintf("The repository with name '%s' does not exist in the registry with id '123456789012'", repo)
	return f
}

func (s *Server) mount(repo, from string, d digest.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.existing(from).blobs[d]
	if ok {
		s.repo(repo).blobs[d] = data
	}
	return ok
}

func (s *Server) newUpload(repo string) *upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	u := &upload{id: fmt.Sprintf("upload-%d", s.serial), repo: repo, hash: digest.Canonical.Hash()}
	s.repo(repo).uploads[u.id] = u
	return u
}

func (s *Server) lookupUpload(at route) *upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.existing(at.repo).uploads[at.ref]
}

func (s *Server) endUpload(u *upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.existing(u.repo).uploads, u.id)
}

// continueUpload answers all requests to the location of an upload.
func (s *Server) continueUpload(w http.ResponseWriter, r *http.Request, at route) *Failure {
	u := s.lookupUpload(at)
	if u == nil {
		return errUploadUnknown()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case s.options.ACRNoResume && (u.spoilt || at.op == OpUploadStatus):
		return errUploadInvalid()
	case at.op == OpUploadStatus:
		s.describe(w, r, u)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if f := s.checkState(r, u); f != nil {
		u.spoilt = true
		return f
	}
	switch {
	case at.op == OpUploadCancel:
		s.endUpload(u)
		w.WriteHeader(http.StatusNoContent)
		return nil
	case at.op == OpUploadFinish:
		return s.finish(w, r, u)
	case s.options.MonolithicOnly:
		return errUnsupported()
	}
	if f := s.receive(r, u); f != nil {
		return f
	}
	s.describe(w, r, u)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// describe tells where and how far an upload is. The location changes with each
// chunk, so that a client which does not follow it is noticed.
func (s *Server) describe(w http.ResponseWriter, r *http.Request, u *upload) {
	query := url.Values{"_state": {fmt.Sprintf("%s.%d", u.id, len(u.data))}}
	h := w.Header()
	h.Set("Docker-Upload-UUID", u.id)
	h.Set("Location", s.absolute(r, fmt.Sprintf("/v2/%s/blobs/uploads/%s?%s", u.repo, u.id, query.Encode())))
	h.Set("Range", fmt.Sprintf("0-%d", max(len(u.data)-1, 0)))
	h.Set("Content-Length", "0")
}

// checkState refuses a location that is not the upload's newest.
func (s *Server) checkState(r *http.Request, u *upload) *Failure {
	id, offset, ok := strings.Cut(r.URL.Query().Get("_state"), ".")
	switch {
	case !ok || id != u.id:
		return errUploadInvalid()
	case offset == strconv.Itoa(len(u.data)) || s.options.OutOfOrderChunks:
		return nil
	case s.options.ACRNoResume:
		return errUploadInvalid()
	}
	return errRangeInvalid()
}

var contentRangeRE = regexp.MustCompile(`^([0-9]+)-([0-9]+)$`)

// receive adds a request's body to an upload. What arrived before the body
// broke off stays.
func (s *Server) receive(r *http.Request, u *upload) *Failure {
	if ct := r.Header.Get("Content-Type"); ct != "" && ct != "application/octet-stream" && r.Method == http.MethodPatch {
		return errUnknown("bad Content-Type")
	}
	if f := s.checkRange(r, int64(len(u.data))); f != nil {
		u.spoilt = true
		return f
	}
	u.spoilt = true // until the body is here; a fault in it panics
	if _, err := io.Copy(u, r.Body); err != nil {
		gone()
	}
	u.spoilt = false
	return nil
}

func (s *Server) checkRange(r *http.Request, size int64) *Failure {
	text := r.Header.Get("Content-Range")
	if text == "" || s.options.OutOfOrderChunks {
		return nil
	}
	m := contentRangeRE.FindStringSubmatch(text)
	if m == nil {
		return errUnknown("invalid content range format: " + text)
	}
	start, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return errUnknown(err.Error())
	}
	end, err := strconv.ParseInt(m[2], 10, 64)
	switch {
	case err != nil:
		return errUnknown(err.Error())
	case start > end, start != size:
		return errRangeInvalid()
	case r.ContentLength >= 0 && r.ContentLength != end-start+1:
		return errSizeInvalid()
	}
	return nil
}

// finish answers the request that names the digest. A digest that does not fit
// ends the upload, as in distribution.
func (s *Server) finish(w http.ResponseWriter, r *http.Request, u *upload) *Failure {
	want, err := digest.Parse(r.URL.Query().Get("digest"))
	if err != nil {
		return errDigestInvalid("digest parsing failed")
	}
	if f := s.receive(r, u); f != nil {
		return f
	}
	s.endUpload(u)
	if !s.matches(u, want) {
		return errDigestInvalid(fmt.Sprintf("invalid digest for referenced layer: %v, content does not match digest", want))
	}
	s.mu.Lock()
	s.repo(u.repo).blobs[want] = u.data
	s.mu.Unlock()
	return s.created(w, r, u.repo, want.String())
}

func (s *Server) matches(u *upload, want digest.Digest) bool {
	if want.Algorithm() == digest.Canonical {
		return digest.NewDigest(digest.Canonical, u.hash) == want
	}
	return want.Algorithm().FromBytes(u.data) == want
}

// created says where a blob is.
func (s *Server) created(w http.ResponseWriter, r *http.Request, repo, d string) *Failure {
	h := w.Header()
	h.Set("Location", s.absolute(r, "/v2/"+repo+"/blobs/"+d))
	h.Set("Docker-Content-Digest", d)
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
	return nil
}
