package gha

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// The bits of permissions in a token.
const (
	permissionRead  = 1
	permissionWrite = 2
)

// scopes are what a token says of itself. Tokens that are not GitHub's may say
// nothing: then the service knows.
type scopes struct {
	// own is the scope that is written.
	own string
	// read are the scopes of which refs are read: the own one first.
	read []string
	// known says that the token tells its scopes.
	known bool
	// readOnly says that the token knows its scopes and may write none.
	readOnly bool
	// expires is when the token does, or the zero time.
	expires time.Time
}

// parseScopes reads a token, whose signature is the service's business. Its
// scopes are JSON within JSON.
func parseScopes(token string) scopes {
	var claims struct {
		AC      string `json:"ac"`
		Expires int64  `json:"exp"`
	}
	var list []struct {
		Scope      string
		Permission int
	}
	s := scopes{read: []string{""}}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return s
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return s
	}
	if claims.Expires > 0 {
		s.expires = time.Unix(claims.Expires, 0)
	}
	if json.Unmarshal([]byte(claims.AC), &list) != nil || len(list) == 0 {
		return s
	}
	s.read = nil
	own := -1
	for i, scope := range list {
		if scope.Permission&permissionWrite != 0 { // the last one counts, as for BuildKit
			own = i
		}
	}
	s.known, s.readOnly = true, own < 0
	if own >= 0 {
		s.own = list[own].Scope
		s.read = append(s.read, s.own)
	}
	for i, scope := range list {
		if i != own && scope.Permission&permissionRead != 0 {
			s.read = append(s.read, scope.Scope)
		}
	}
	return s
}

// listed is the scope whose entries are listed.
func (s scopes) listed() string {
	if s.own == "" && len(s.read) > 0 {
		return s.read[0]
	}
	return s.own
}
