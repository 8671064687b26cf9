package ghaserver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// The bits of Scope.Permission.
const (
	Read  = 1
	Write = 2
)

// tokenLife is how long a job's token is valid: GitHub documents about 6 hours.
const tokenLife = 6 * time.Hour

// Scope is a git ref with what a token may do there. A branch's token has
// Read|Write on its own ref and Read on the default branch.
type Scope struct {
	Ref        string `json:"Scope"`
	Permission int    `json:"Permission"`
}

// claims are what a runtime token says. The scopes are JSON within JSON.
type claims struct {
	AC         string `json:"ac"`
	Expires    int64  `json:"exp"`
	NotBefore  int64  `json:"nbf"`
	Repository string `json:"repository_id"`
}

// Token returns a runtime token, an HS256 JWT, for scopes in the order in which
// they are searched.
func (s *Server) Token(scopes ...Scope) string {
	ac, err := json.Marshal(scopes)
	if err != nil {
		panic(err) // strings and numbers can be marshaled
	}
	now := s.options.Now()
	c := claims{AC: string(ac), Expires: now.Add(tokenLife).Unix(), NotBefore: now.Add(-time.Minute).Unix(), Repository: "1"}
	body, err := json.Marshal(c)
	if err != nil {
		panic(err) // as above
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(body)
	return text + "." + encode(s.sign(text))
}

// sign returns the server's signature of a text.
func (s *Server) sign(text string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// scopes returns what a token allows.
func (s *Server) scopes(token string) ([]Scope, error) {
	signed, signature := cutLast(token, ".")
	sum, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !hmac.Equal(sum, s.sign(signed)) {
		return nil, errors.New("token is malformed or not of this service")
	}
	_, payload, _ := strings.Cut(signed, ".")
	body, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return nil, err
	}
	var c claims
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, err
	}
	if now := s.options.Now().Unix(); now >= c.Expires || now < c.NotBefore {
		return nil, errors.New("token is expired or not valid yet")
	}
	var scopes []Scope
	err = json.Unmarshal([]byte(c.AC), &scopes)
	return scopes, err
}

// cutLast returns what is before and after the last separator.
func cutLast(s, sep string) (before, after string) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i+len(sep):]
}

// readable returns the refs that may be read, in order.
func readable(scopes []Scope) []string {
	var refs []string
	for _, scope := range scopes {
		if scope.Permission&Read != 0 {
			refs = append(refs, scope.Ref)
		}
	}
	return refs
}

// writable returns the ref that may be written: the last one, as BuildKit has it.
func writable(scopes []Scope) (ref string, ok bool) {
	for _, scope := range scopes {
		if scope.Permission&Write != 0 {
			ref, ok = scope.Ref, true
		}
	}
	return ref, ok
}
