package azuretest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// clockSkew is how far a request's date may be from the service's clock.
const clockSkew = 15 * time.Minute

// notAuthenticated is the answer to a signature that is wrong. Detail says
// why, but in the real service never what would be right.
func notAuthenticated(detail string) *Failure {
	f := fail(http.StatusForbidden, "AuthenticationFailed",
		"Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.")
	f.Detail = detail
	return f
}

func mismatch(code, of string) *Failure {
	return fail(http.StatusForbidden, code, "This request is not authorized to perform this operation using this "+of+".")
}

// challenge is the answer to a request without a valid token.
func challenge(code, message string) *Failure {
	return fail(http.StatusUnauthorized, code, message).with("Www-Authenticate",
		"Bearer authorization_uri=https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/oauth2/authorize resource_id=https://storage.azure.com")
}

// authorize finds out whether a request is allowed.
func (s *Server) authorize(c *call) *Failure {
	header := c.r.Header.Get("Authorization")
	scheme, rest, _ := strings.Cut(header, " ")
	switch {
	case scheme == "SharedKey":
		return s.checkKey(c, rest)
	case scheme == "Bearer":
		return s.checkToken(c, rest)
	case header != "":
		return fail(http.StatusBadRequest, "InvalidAuthenticationInfo", "Authentication information is not given in the correct format. Check the value of Authorization header.")
	case c.query.Has("sig"):
		return s.checkSAS(c)
	default:
		return challenge("NoAuthenticationInformation", "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.")
	}
}

func (s *Server) checkToken(c *call, token string) *Failure {
	if c.r.TLS == nil {
		return fail(http.StatusBadRequest, "AuthenticationFailed", "Bearer tokens are only accepted over TLS.")
	}
	s.mu.Lock()
	accepted := slices.Contains(s.options.Tokens, token)
	s.mu.Unlock()
	if !accepted {
		return challenge("InvalidAuthenticationInfo", "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.")
	}
	return nil
}

// checkKey checks a request that was signed with the account's key.
func (s *Server) checkKey(c *call, credential string) *Failure {
	if s.options.NoKeys {
		return fail(http.StatusForbidden, "KeyBasedAuthenticationNotPermitted", "Key based authentication is not permitted on this storage account.")
	}
	account, signature, _ := strings.Cut(credential, ":")
	if account != Account {
		return notAuthenticated("The account being accessed is not " + account + ".")
	}
	date, err := http.ParseTime(c.r.Header.Get("X-Ms-Date"))
	if skew := s.options.Now().Sub(date); err != nil || skew > clockSkew || skew < -clockSkew {
		return notAuthenticated("The date header in the request is incorrect.")
	}
	if !hmac.Equal([]byte(signature), []byte(sign(stringToSign(c.r)))) {
		return notAuthenticated("The MAC signature found in the HTTP request is not the same as any computed signature.")
	}
	return nil
}

// sign computes what the account's key makes of a text.
func sign(text string) string {
	key, err := base64.StdEncoding.DecodeString(Key)
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// stringToSign is what a key signs of a request.
//
// Source: learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key.
func stringToSign(r *http.Request) string {
	length := ""
	if r.ContentLength > 0 {
		length = strconv.FormatInt(r.ContentLength, 10)
	}
	lines := []string{r.Method, r.Header.Get("Content-Encoding"), r.Header.Get("Content-Language"), length}
	for _, key := range []string{"Content-MD5", "Content-Type", "Date", "If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range"} {
		if key == "Date" { // X-Ms-Date is there instead
			lines = append(lines, "")
			continue
		}
		lines = append(lines, r.Header.Get(key))
	}
	lines = append(lines, canonicalHeaders(r.Header)...)
	return strings.Join(append(lines, canonicalResource(r.URL)), "\n")
}

func canonicalHeaders(h http.Header) []string {
	var lines []string
	for key, values := range h {
		if key = strings.ToLower(key); strings.HasPrefix(key, "x-ms-") {
			lines = append(lines, key+":"+strings.Join(values, ","))
		}
	}
	// The service compares without hyphens first.
	slices.SortFunc(lines, func(a, b string) int {
		a, _, _ = strings.Cut(a, ":")
		b, _, _ = strings.Cut(b, ":")
		return strings.Compare(strings.ReplaceAll(a, "-", ""), strings.ReplaceAll(b, "-", ""))
	})
	return lines
}

func canonicalResource(u *url.URL) string {
	lines := []string{"/" + Account + u.EscapedPath()}
	query := u.Query()
	keys := make([]string, 0, len(query))
	for key := range query {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		values := slices.Sorted(slices.Values(query[key]))
		lines = append(lines, strings.ToLower(key)+":"+strings.Join(values, ","))
	}
	return strings.Join(lines, "\n")
}
