package registry

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// parameter matches a part of a challenge: key="value" or key=value.
var parameter = regexp.MustCompile(`([A-Za-z_]+)=(?:"([^"]*)"|([^\s,"]+))`)

// parseChallenge reads what a registry wants, in the header of a response. It
// returns nil if that is neither a name with a password nor a token.
// Source: RFC 9110, section 11.6.1.
func parseChallenge(h http.Header) *transport.Challenge {
	for _, value := range h.Values("WWW-Authenticate") {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
		if !strings.EqualFold(scheme, "bearer") && !strings.EqualFold(scheme, "basic") {
			continue
		}
		c := &transport.Challenge{Scheme: strings.ToLower(scheme), Parameters: make(map[string]string)}
		for _, m := range parameter.FindAllStringSubmatch(rest, -1) {
			c.Parameters[strings.ToLower(m[1])] = m[2] + m[3]
		}
		return c
	}
	return nil
}

// adopt takes over what a response asks for, if the registry has not said so
// when it was asked first: some let everybody in there, and want to know who
// writes (oras-project/oras#147). It reports whether that is news. The caller
// holds the lock.
func (s *session) adopt(c *transport.Challenge) bool {
	if c == nil || s.challenge == nil || s.challenge.Scheme != "" || c.Scheme == "" {
		return false
	}
	c.Insecure = s.challenge.Insecure
	s.challenge = c
	clear(s.grants)
	return true
}
