package registrytest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Auth is how a registry knows its clients: by name and password (RFC 7617),
// or by tokens that it hands out for them
// (https://distribution.github.io/distribution/spec/auth/token/).
type Auth struct {
	Users []User
	// Tokens asks for bearer tokens; the server that issues them is the
	// registry itself.
	Tokens bool
	// AnonymousPull lets everybody read.
	AnonymousPull bool
	// ChallengeOnWrite does not even ask readers who they are, so that clients
	// learn of the authentication by their first upload
	// (oras-project/oras#147). It implies AnonymousPull.
	ChallengeOnWrite bool
	// TokenUses is how many requests a token is good for, which no client can
	// know beforehand; 0 means any number.
	TokenUses int
	// TokenLife is how long a token is valid, as it says itself; 0 means five
	// minutes.
	TokenLife time.Duration
}

// User is an account.
type User struct {
	Name, Password string
	// IdentityToken can be exchanged for access tokens in place of a password
	// (OAuth 2.0's refresh token, as Azure's registry hands them out).
	IdentityToken string
	// ReadOnly accounts only pull.
	ReadOnly bool
}

// access is a permission: what may be done with which resource.
type access struct{ kind, name, action string }

// accesses are what a request needs. Mounting also reads the source, with the
// same token.
func (at route) accesses(r *http.Request) []access {
	repo := func(actions ...string) []access {
		var all []access
		for _, action := range actions {
			all = append(all, access{"repository", at.repo, action})
		}
		return all
	}
	switch {
	case at.op == OpCatalog:
		return []access{{"registry", "catalog", "*"}}
	case at.repo == "":
		return nil
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return repo("pull")
	case r.Method == http.MethodDelete && at.op != OpUploadCancel:
		return repo("delete")
	case at.op == OpMount:
		return append(repo("pull", "push"), access{"repository", r.URL.Query().Get("from"), "pull"})
	}
	return repo("pull", "push")
}

// authorize refuses a request that its sender may not make.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request, at route) *Failure {
	a := s.options.Auth
	if a == nil {
		return nil
	}
	needs := at.accesses(r)
	reads := !slices.ContainsFunc(needs, func(n access) bool { return n.action != "pull" })
	if a.ChallengeOnWrite && reads && r.Header.Get("Authorization") == "" {
		return nil
	}
	if a.Tokens {
		return s.authorizeToken(w, r, needs)
	}
	if a.AnonymousPull && reads && len(needs) > 0 && r.Header.Get("Authorization") == "" {
		return nil
	}
	user := a.userOf(r)
	if user == nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="registrytest"`)
		return errUnauthorized()
	}
	if user.ReadOnly && !reads {
		return errDenied()
	}
	return nil
}

// userOf returns the account of a request with a name and password, or nil.
func (a *Auth) userOf(r *http.Request) *User {
	name, password, ok := r.BasicAuth()
	if !ok {
		return nil
	}
	return a.user(func(u User) bool { return u.Name == name && u.Password == password })
}

func (a *Auth) user(is func(User) bool) *User {
	if i := slices.IndexFunc(a.Users, is); i >= 0 {
		return &a.Users[i]
	}
	return nil
}

// authorizeToken checks a bearer token, and says which one it wants instead.
func (s *Server) authorizeToken(w http.ResponseWriter, r *http.Request, needs []access) *Failure {
	reason := ""
	if name, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		if reason = s.useToken(name, needs); reason == "" {
			return nil
		}
	}
	w.Header().Set("WWW-Authenticate", s.challenge(r, needs, reason))
	return errUnauthorized()
}

// useToken uses a token once, or says why it cannot be: in the words of RFC
// 6750, section 3.1.
func (s *Server) useToken(name string, needs []access) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tokens[name]
	if !ok || time.Now().After(t.expires) {
		return "invalid_token"
	}
	for _, need := range needs {
		if !t.grants(need) {
			return "insufficient_scope"
		}
	}
	if limit := s.options.Auth.TokenUses; limit > 0 && t.uses >= limit {
		return "invalid_token"
	}
	t.uses++
	return ""
}

func (s *Server) challenge(r *http.Request, needs []access, reason string) string {
	text := fmt.Sprintf("Bearer realm=%q,service=%q", s.origin(r)+tokenPath, serviceName)
	if scopes := formatScopes(needs); scopes != "" {
		text += fmt.Sprintf(",scope=%q", scopes)
	}
	if reason != "" {
		text += fmt.Sprintf(",error=%q", reason)
	}
	return text
}
