package s3

import (
	"errors"
	"fmt"
	"net/http"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/calls"
)

// v4Error is the error of making a signature.
type v4Error = v4.SigningError

// explain adds to a refusal what to do about it.
func (s *store) explain(e *ResponseError, h http.Header) {
	if errors.Is(e, backend.ErrDenied) {
		e.Credentials = s.identity.source
	}
	region := h.Get("X-Amz-Bucket-Region")
	switch {
	case e.Code == codeNoBucket:
		e.Hint = fmt.Sprintf("create the bucket %s, or correct attribute bucket or endpoint_url", s.bucket)
	case region != "" && region != s.region:
		e.Hint = fmt.Sprintf("set region=%s, where the bucket %s is", calls.OneLine(region), s.bucket)
	case e.Status == http.StatusMovedPermanently, e.Status == http.StatusTemporaryRedirect,
		e.Code == "AuthorizationHeaderMalformed", e.Code == "PermanentRedirect":
		e.Hint = fmt.Sprintf("set region to that of the bucket %s, it is %s now", s.bucket, s.region)
	case e.Code == "InvalidAccessKeyId":
		e.Hint = "correct attribute access_key_id"
	case e.Code == "SignatureDoesNotMatch" && s.quirks.name == "generic":
		e.Hint = "correct attribute secret_access_key, or set quirks to the kind of the store if a proxy in front of it changes requests"
	case e.Code == "SignatureDoesNotMatch":
		e.Hint = "correct attribute secret_access_key"
	case e.Code == "RequestTimeTooSkewed":
		e.Hint = "set the clock of this machine"
	case e.Status == http.StatusForbidden && (e.Op == "HeadObject" || e.Op == "GetObject"):
		e.Hint = fmt.Sprintf("allow s3:GetObject on the objects and s3:ListBucket on the bucket %s: without the latter it cannot be told whether an object is there", s.bucket)
	case e.Status == http.StatusForbidden && permissions[e.Op] != "":
		e.Hint = fmt.Sprintf("allow %s on the bucket %s and what is in it", permissions[e.Op], s.bucket)
	}
}

// permissions are the actions that operations need.
var permissions = map[string]string{
	"PutObject":               "s3:PutObject",
	"CopyObject":              "s3:GetObject and s3:PutObject",
	"DeleteObject":            "s3:DeleteObject",
	"DeleteObjects":           "s3:DeleteObject",
	"ListObjectsV2":           "s3:ListBucket",
	"CreateMultipartUpload":   "s3:PutObject",
	"UploadPart":              "s3:PutObject",
	"CompleteMultipartUpload": "s3:PutObject",
	"AbortMultipartUpload":    "s3:AbortMultipartUpload",
}
