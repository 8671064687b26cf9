package s3test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sources: "Authenticating Requests (AWS Signature Version 4)" in the Amazon S3
// API Reference.
const (
	algorithm = "AWS4-HMAC-SHA256"
	timestamp = "20060102T150405Z"
	// clockSkew is how far a request's date may be from the service's clock.
	clockSkew = 15 * time.Minute
)

// signature is a parsed header Authorization.
type signature struct {
	key, date, region string
	headers           []string
	value             string
}

// parse reads a header Authorization.
func parseSignature(header string) (sig signature, ok bool) {
	fields, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return sig, false
	}
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			scope := strings.Split(value, "/")
			if len(scope) != 5 || scope[3] != "s3" || scope[4] != "aws4_request" {
				return sig, false
			}
			sig.key, sig.date, sig.region = scope[0], scope[1], scope[2]
		case "SignedHeaders":
			sig.headers = strings.Split(value, ";")
		case "Signature":
			sig.value = value
		}
	}
	return sig, sig.key != "" && sig.value != "" && slices.Contains(sig.headers, "host")
}

// authorize finds out whether a request is allowed.
func (s *Server) authorize(c *call) *Failure {
	header := c.r.Header.Get("Authorization")
	if header == "" {
		if s.options.Anonymous {
			return nil
		}
		return denied()
	}
	sig, ok := parseSignature(header)
	if !ok {
		return fail(http.StatusBadRequest, "AuthorizationHeaderMalformed", "The authorization header that you provided is not valid.")
	}
	secret, ok := s.options.Keys[sig.key]
	if !ok {
		f := fail(http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
		f.AWSAccessKeyID = sig.key
		return f
	}
	if sig.region != s.options.Region {
		c.w.Header().Set("X-Amz-Bucket-Region", s.options.Region)
		return fail(http.StatusBadRequest, "AuthorizationHeaderMalformed",
			"The authorization header is malformed; the region '"+sig.region+"' is wrong; expecting '"+s.options.Region+"'")
	}
	date, err := time.Parse(timestamp, c.r.Header.Get("X-Amz-Date"))
	if skew := s.options.Now().Sub(date); err != nil || skew.Abs() > clockSkew {
		return fail(http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
	}
	if f := s.checkSignature(c, sig, secret); f != nil {
		return f
	}
	if s.options.Check != nil {
		if code := s.options.Check(sig.key, c.r.Header.Get("X-Amz-Security-Token")); code != "" {
			return fail(http.StatusBadRequest, code, "The provided token has expired.")
		}
	}
	return nil
}

func (s *Server) checkSignature(c *call, sig signature, secret string) *Failure {
	for name := range c.r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !slices.Contains(sig.headers, name) {
			return fail(http.StatusForbidden, "AccessDenied", "There were headers present in the request which were not signed: "+name)
		}
	}
	canonical := canonicalRequest(c.r, sig.headers)
	sum := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{sig.date, sig.region, "s3", "aws4_request"}, "/")
	text := strings.Join([]string{algorithm, c.r.Header.Get("X-Amz-Date"), scope, hex.EncodeToString(sum[:])}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{sig.date, sig.region, "s3", "aws4_request"} {
		key = mac(key, part)
	}
	changed := s.options.UnsignedEncoding && slices.Contains(sig.headers, "accept-encoding")
	if !changed && hmac.Equal([]byte(sig.value), []byte(hex.EncodeToString(mac(key, text)))) {
		return nil
	}
	f := fail(http.StatusForbidden, "SignatureDoesNotMatch",
		"The request signature we calculated does not match the signature you provided. Check your key and signing method.")
	f.AWSAccessKeyID, f.StringToSign, f.SignatureProvided, f.CanonicalRequest = sig.key, text, sig.value, canonical
	return f
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// canonicalRequest is what is signed of a request.
func canonicalRequest(r *http.Request, signed []string) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	lines := []string{r.Method, path, canonicalQuery(r.URL.Query())}
	for _, name := range signed {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		lines = append(lines, name+":"+strings.Join(strings.Fields(value), " "))
	}
	return strings.Join(append(lines, "", strings.Join(signed, ";"), r.Header.Get("X-Amz-Content-Sha256")), "\n")
}

func canonicalQuery(query url.Values) string {
	var pairs []string
	encode := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	for name, values := range query {
		for _, value := range values {
			pairs = append(pairs, encode(name)+"="+encode(value))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}
