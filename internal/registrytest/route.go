package registrytest

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Op is the kind of a request.
type Op string

// The kinds of request.
const (
	OpPing           Op = "ping"
	OpToken          Op = "token"
	OpCatalog        Op = "catalog"
	OpTags           Op = "tags"
	OpManifestHead   Op = "manifest head"
	OpManifestGet    Op = "manifest get"
	OpManifestPut    Op = "manifest put"
	OpManifestDelete Op = "manifest delete"
	OpBlobHead       Op = "blob head"
	OpBlobGet        Op = "blob get"
	OpBlobDelete     Op = "blob delete"
	OpUploadStart    Op = "upload start" // POST
	OpMount          Op = "mount"        // POST with ?mount=
	OpUploadStatus   Op = "upload status"
	OpUploadChunk    Op = "upload chunk"  // PATCH
	OpUploadFinish   Op = "upload finish" // PUT
	OpUploadCancel   Op = "upload cancel"
	OpStorage        Op = "storage" // what a redirected GET of a blob leads to
	OpOther          Op = "other"   // nothing that the registry knows
)

// Request is a request that the server has received.
type Request struct {
	Op     Op
	Method string
	Path   string
	Query  url.Values
	Header http.Header
	// Repository and Reference are from the path; the reference is a tag, a
	// digest or the id of an upload.
	Repository, Reference string
	// Received is the number of bytes of its body that were read.
	Received int64
	// Status is that of the answer, or 0 if none has been given (yet).
	Status int
	// Sent is the number of bytes of the answer's body.
	Sent int64
}

// route is what the path and method of a request mean.
type route struct {
	op        Op
	repo, ref string
}

const (
	namePattern = `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`
	tagPattern  = `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
)

// The grammar is the distribution specification's.
var (
	nameRE = regexp.MustCompile(`^` + namePattern + `$`)
	tagRE  = regexp.MustCompile(`^` + tagPattern + `$`)
	pathRE = regexp.MustCompile(`^/v2/(.+)/(blobs/uploads|blobs|manifests|tags)/([^/]*)$`)
)

// maxName is the longest name of a repository that distribution accepts.
const maxName = 255

var operations = map[string]map[string]Op{
	"manifests": {
		http.MethodGet: OpManifestGet, http.MethodHead: OpManifestHead,
		http.MethodPut: OpManifestPut, http.MethodDelete: OpManifestDelete,
	},
	"blobs": {http.MethodGet: OpBlobGet, http.MethodHead: OpBlobHead, http.MethodDelete: OpBlobDelete},
	"blobs/uploads": {
		http.MethodGet: OpUploadStatus, http.MethodHead: OpUploadStatus, http.MethodPatch: OpUploadChunk,
		http.MethodPut: OpUploadFinish, http.MethodDelete: OpUploadCancel,
	},
	"tags": {http.MethodGet: OpTags},
}

func parseRoute(r *http.Request) route {
	switch r.URL.Path {
	case tokenPath:
		return route{op: OpToken}
	case "/v2/", "/v2":
		return route{op: OpPing}
	case "/v2/_catalog":
		return route{op: OpCatalog}
	}
	m := pathRE.FindStringSubmatch(r.URL.Path)
	if len(m) == 0 || m[2] == "tags" && m[3] != "list" {
		return route{op: OpOther}
	}
	at := route{repo: m[1], ref: m[3], op: operations[m[2]][r.Method]}
	if m[2] == "blobs/uploads" && r.Method == http.MethodPost && at.ref == "" {
		at.op = OpUploadStart
		if q := r.URL.Query(); q.Get("mount") != "" && q.Get("from") != "" {
			at.op = OpMount
		}
	}
	if at.op == "" {
		at.op = OpOther
	}
	return at
}

// check refuses malformed names.
func (at route) check() *Failure {
	if at.repo != "" && (!nameRE.MatchString(at.repo) || len(at.repo) > maxName) {
		return errNameInvalid(at.repo)
	}
	switch at.op {
	case OpBlobGet, OpBlobHead, OpBlobDelete:
		if err := digest.Digest(at.ref).Validate(); err != nil {
			return errDigestInvalid(err.Error())
		}
	case OpManifestGet, OpManifestHead, OpManifestPut, OpManifestDelete:
		if strings.Contains(at.ref, ":") {
			if err := digest.Digest(at.ref).Validate(); err != nil {
				return errDigestInvalid(err.Error())
			}
		} else if !tagRE.MatchString(at.ref) {
			return errTagInvalid("manifest tag did not match URI")
		}
	default:
	}
	return nil
}
