package registrytest

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	tokenPath   = "/token"
	serviceName = "registrytest"
	tokenLife   = 5 * time.Minute
)

// token is what a client was given.
type token struct {
	granted []access
	expires time.Time
	uses    int
}

func (t *token) grants(need access) bool {
	return slices.ContainsFunc(t.granted, func(g access) bool {
		return g.kind == need.kind && g.name == need.name && (g.action == need.action || g.action == "*")
	})
}

// issueToken answers GET with scopes in the query, and OAuth 2.0's POST with a
// form (https://distribution.github.io/distribution/spec/auth/oauth/).
func (s *Server) issueToken(w http.ResponseWriter, r *http.Request) *Failure {
	a := s.options.Auth
	if a == nil || !a.Tokens {
		return &Failure{Status: http.StatusNotFound}
	}
	if err := r.ParseForm(); err != nil {
		return &Failure{Status: http.StatusBadRequest}
	}
	user, ok := a.identify(r)
	if !ok {
		return errUnauthorized()
	}
	life := a.TokenLife
	if life == 0 {
		life = tokenLife
	}
	name := rand.Text()
	now := time.Now()
	s.mu.Lock()
	s.tokens[name] = &token{granted: a.grant(user, parseScopes(r.Form["scope"])), expires: now.Add(life)}
	s.mu.Unlock()
	answer := map[string]any{
		"token": name, "access_token": name,
		"expires_in": int(life / time.Second), "issued_at": now.UTC().Format(time.RFC3339),
	}
	if user != nil && user.IdentityToken != "" && r.Form.Get("access_type") == "offline" {
		answer["refresh_token"] = user.IdentityToken
	}
	return writeJSON(w, answer)
}

// identify returns who asks for a token, nil for somebody without a name, or
// false if the credentials are wrong.
func (a *Auth) identify(r *http.Request) (*User, bool) {
	if r.Method == http.MethodPost {
		form := r.PostForm
		var user *User
		switch form.Get("grant_type") {
		case "password":
			user = a.user(func(u User) bool {
				return u.Name == form.Get("username") && u.Password == form.Get("password")
			})
		case "refresh_token":
			user = a.user(func(u User) bool {
				return u.IdentityToken != "" && u.IdentityToken == form.Get("refresh_token")
			})
		}
		return user, user != nil
	}
	if r.Header.Get("Authorization") == "" {
		return nil, a.AnonymousPull || a.ChallengeOnWrite
	}
	user := a.userOf(r)
	return user, user != nil
}

// grant returns those of the wanted permissions that somebody has. A token for
// fewer than were asked for is no error.
func (a *Auth) grant(user *User, wanted []access) []access {
	return slices.DeleteFunc(wanted, func(want access) bool {
		if want.action == "pull" {
			return false
		}
		return user == nil || user.ReadOnly
	})
}

// parseScopes reads "repository:name:pull,push", several in one text separated
// by spaces.
func parseScopes(texts []string) []access {
	var all []access
	for scope := range strings.FieldsSeq(strings.Join(texts, " ")) {
		kind, rest, _ := strings.Cut(scope, ":")
		i := strings.LastIndexByte(rest, ':')
		if i < 0 {
			continue
		}
		for action := range strings.SplitSeq(rest[i+1:], ",") {
			all = append(all, access{kind, rest[:i], action})
		}
	}
	return all
}

// formatScopes is the inverse of parseScopes.
func formatScopes(needs []access) string {
	var scopes []string
	for i, n := range needs {
		if i > 0 && needs[i-1].kind == n.kind && needs[i-1].name == n.name {
			scopes[len(scopes)-1] += "," + n.action
			continue
		}
		scopes = append(scopes, n.kind+":"+n.name+":"+n.action)
	}
	return strings.Join(scopes, " ")
}
