package registrytest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/opencontainers/go-digest"
)

// Failure is an answer that reports an error, in the specification's form:
//
//	{"errors":[{"code":"NAME_UNKNOWN","message":"…","detail":…}]}
//
// Without a code it has an empty body, as proxies and storage services answer.
type Failure struct {
	Status        int
	Code, Message string
	Detail        any
	// RetryAfter becomes the header of that name, in whole seconds.
	RetryAfter time.Duration
}

// write answers with the failure.
func (f *Failure) write(w http.ResponseWriter) {
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
	}
	if f.Code == "" {
		http.Error(w, http.StatusText(f.Status), f.Status)
		return
	}
	type item struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Detail  any    `json:"detail,omitempty"`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Status)
	// A client that has gone needs no answer.
	_ = json.NewEncoder(w).Encode(map[string][]item{"errors": {{f.Code, f.Message, f.Detail}}})
}

// writeJSON answers with a document. It returns nil, as a convenience.
func writeJSON(w http.ResponseWriter, v any) *Failure {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // as above
	return nil
}

// The errors as distribution 3 gives them (registry/api/errcode/register.go).

func errNameInvalid(name string) *Failure {
	return &Failure{Status: http.StatusBadRequest, Code: "NAME_INVALID", Message: "invalid repository name", Detail: name}
}

func errNameUnknown(name string) *Failure {
	return &Failure{
		Status: http.StatusNotFound, Code: "NAME_UNKNOWN", Message: "repository name not known to registry",
		Detail: map[string]string{"name": name},
	}
}

func errTagInvalid(message string) *Failure {
	return &Failure{Status: http.StatusBadRequest, Code: "TAG_INVALID", Message: message}
}

func errDigestInvalid(detail string) *Failure {
	return &Failure{
		Status: http.StatusBadRequest, Code: "DIGEST_INVALID",
		Message: "provided digest did not match uploaded content", Detail: detail,
	}
}

func errSizeInvalid() *Failure {
	return &Failure{Status: http.StatusBadRequest, Code: "SIZE_INVALID", Message: "provided length did not match content length"}
}

func errRangeInvalid() *Failure {
	return &Failure{Status: http.StatusRequestedRangeNotSatisfiable, Code: "RANGE_INVALID", Message: "invalid content range"}
}

func errManifestUnknown(message, ref string) *Failure {
	return &Failure{Status: http.StatusNotFound, Code: "MANIFEST_UNKNOWN", Message: message, Detail: map[string]string{"Reference": ref}}
}

func errManifestInvalid(detail string) *Failure {
	return &Failure{Status: http.StatusBadRequest, Code: "MANIFEST_INVALID", Message: "manifest invalid", Detail: detail}
}

func errManifestBlobUnknown(d digest.Digest) *Failure {
	return &Failure{Status: http.StatusBadRequest, Code: "MANIFEST_BLOB_UNKNOWN", Message: "blob unknown to registry", Detail: d}
}

func errBlobUnknown(d string) *Failure {
	return &Failure{Status: http.StatusNotFound, Code: "BLOB_UNKNOWN", Message: "blob unknown to registry", Detail: d}
}

func errUploadUnknown() *Failure {
	return &Failure{Status: http.StatusNotFound, Code: "BLOB_UPLOAD_UNKNOWN", Message: "blob upload unknown to registry"}
}

func errUploadInvalid() *Failure {
	return &Failure{Status: http.StatusNotFound, Code: "BLOB_UPLOAD_INVALID", Message: "blob upload invalid"}
}

func errUnsupported() *Failure {
	return &Failure{Status: http.StatusMethodNotAllowed, Code: "UNSUPPORTED", Message: "The operation is unsupported."}
}

func errUnknown(detail string) *Failure {
	return &Failure{Status: http.StatusInternalServerError, Code: "UNKNOWN", Message: "unknown error", Detail: detail}
}

func errUnauthorized() *Failure {
	return &Failure{Status: http.StatusUnauthorized, Code: "UNAUTHORIZED", Message: "authentication required"}
}

func errDenied() *Failure {
	return &Failure{Status: http.StatusForbidden, Code: "DENIED", Message: "requested access to the resource is denied"}
}

func errTooManyRequests(message string, retryAfter time.Duration) *Failure {
	return &Failure{Status: http.StatusTooManyRequests, Code: "TOOMANYREQUESTS", Message: message, RetryAfter: retryAfter}
}

func errPaginationNumber(n string) *Failure {
	return &Failure{
		Status: http.StatusBadRequest, Code: "PAGINATION_NUMBER_INVALID",
		Message: "invalid number of results requested", Detail: map[string]string{"n": n},
	}
}
