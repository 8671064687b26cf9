package azuretest

import (
	"crypto/hmac"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// SAS is a shared access signature to be made: for the account, or for a
// container or blob if one is named.
type SAS struct {
	// Container is what a service SAS is for; "" makes one for the account.
	Container string
	// Blob narrows it down to one blob.
	Blob string
	// Permissions are letters in the service's order, "racwdl".
	Permissions string
	// Resources are those of an account SAS, "sco".
	Resources string
	// Expires is when it ends.
	Expires time.Time
	// Version is that of the signature's form; "" is a recent one.
	Version string
}

// Sign returns the signature as the query of a URL, without a question mark.
func (a SAS) Sign() string {
	q := url.Values{
		"sp": {a.Permissions},
		"se": {a.Expires.UTC().Format(time.RFC3339)},
		"sv": {a.Version},
	}
	if a.Version == "" {
		q.Set("sv", "2022-11-02")
	}
	text := ""
	if a.Container == "" {
		q.Set("ss", "b")
		q.Set("srt", a.Resources)
		text = accountText(q)
	} else {
		q.Set("sr", "c")
		if a.Blob != "" {
			q.Set("sr", "b")
		}
		text = serviceText(q, a.Container, a.Blob)
	}
	q.Set("sig", sign(text))
	return q.Encode()
}

// accountText is what the key signs for a SAS of the account.
//
// Source: learn.microsoft.com/rest/api/storageservices/create-account-sas.
func accountText(q url.Values) string {
	lines := []string{Account}
	for _, key := range []string{"sp", "ss", "srt", "st", "se", "sip", "spr", "sv", "ses"} {
		lines = append(lines, q.Get(key))
	}
	return strings.Join(lines, "\n") + "\n"
}

// serviceText is what the key signs for a SAS of a container or blob.
//
// Source: learn.microsoft.com/rest/api/storageservices/create-service-sas, for
// versions from 2020-12-06 on.
func serviceText(q url.Values, container, blob string) string {
	resource := "/blob/" + Account + "/" + container
	if q.Get("sr") == "b" {
		resource += "/" + blob
	}
	lines := []string{q.Get("sp"), q.Get("st"), q.Get("se"), resource}
	for _, key := range []string{"si", "sip", "spr", "sv", "sr", "snapshot", "ses", "rscc", "rscd", "rsce", "rscl", "rsct"} {
		lines = append(lines, q.Get(key))
	}
	return strings.Join(lines, "\n")
}

// checkSAS checks a request whose URL holds a signature.
func (s *Server) checkSAS(c *call) *Failure {
	q, text := c.query, ""
	if isAccount := q.Get("ss") != ""; isAccount {
		text = accountText(q)
	} else {
		text = serviceText(q, c.container, c.blob)
	}
	if !hmac.Equal([]byte(q.Get("sig")), []byte(sign(text))) {
		return notAuthenticated("Signature did not match. String to sign used was " + text)
	}
	if f := s.checkTimes(q); f != nil {
		return f
	}
	if q.Get("spr") == "https" && c.r.TLS == nil {
		return mismatch("AuthorizationProtocolMismatch", "protocol")
	}
	if q.Get("ss") != "" {
		return checkAccountSAS(c)
	}
	return checkServiceSAS(c)
}

func (s *Server) checkTimes(q url.Values) *Failure {
	now := s.options.Now()
	end, err := time.Parse(time.RFC3339, q.Get("se"))
	start, startErr := time.Parse(time.RFC3339, q.Get("st"))
	if err != nil || now.After(end) || q.Get("st") != "" && (startErr != nil || now.Before(start)) {
		return notAuthenticated("Signature not valid in the specified time frame: Start [" + q.Get("st") + "] - Expiry [" + q.Get("se") + "] - Current [" + now.UTC().Format(http.TimeFormat) + "]")
	}
	return nil
}

// checkAccountSAS checks the resources and permissions of an account's SAS.
func checkAccountSAS(c *call) *Failure {
	resource := "o"
	if c.blob == "" {
		resource = "c"
	}
	if !strings.Contains(c.query.Get("srt"), resource) {
		return mismatch("AuthorizationResourceTypeMismatch", "resource type")
	}
	return checkPermission(c)
}

// checkServiceSAS checks what a container's or blob's SAS is for.
func checkServiceSAS(c *call) *Failure {
	switch c.op {
	case opCreateContainer, opContainerProps, opDeleteContainer:
		return fail(http.StatusForbidden, "AuthorizationFailure", "This request is not authorized to perform this operation.")
	case opListBlobs:
		if c.query.Get("sr") != "c" {
			return fail(http.StatusForbidden, "AuthorizationFailure", "This request is not authorized to perform this operation.")
		}
	}
	return checkPermission(c)
}

// permissions are those of which each operation needs one.
func permissions(op string) string {
	switch op {
	case opGetBlob, opBlobProps, opContainerProps, opGetBlockList:
		return "r"
	case opPutBlob, opPutBlockList, opPutBlock:
		return "wc"
	case opSetMetadata:
		return "w"
	case opDeleteBlob, opDeleteContainer:
		return "d"
	case opListBlobs:
		return "l"
	case opAccountInfo:
		return "racwdl"
	default:
		return "cw"
	}
}

func checkPermission(c *call) *Failure {
	if !strings.ContainsAny(c.query.Get("sp"), permissions(c.op)) {
		return mismatch("AuthorizationPermissionMismatch", "permission")
	}
	return nil
}
