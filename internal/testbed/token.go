package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	tokenPassword = "testbed"
	tokenLife     = time.Minute // the least that clients have to expect
	tokenKeyID    = "testbed"
	// coordinateSize is the number of bytes of a number in P-256.
	coordinateSize = 32
)

// tokenIssuer hands out tokens that say what somebody may do, signed with
// ES256 (RFC 7518, section 3.4), for a registry that knows the public key.
// Source: "Token Authentication Specification" of CNCF distribution.
type tokenIssuer struct{ key *ecdsa.PrivateKey }

func newTokenIssuer() (*tokenIssuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return &tokenIssuer{key}, nil
}

// jwks is the public key as a JSON Web Key Set (RFC 7517).
func (i *tokenIssuer) jwks() []byte {
	point, err := i.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err) // a key on P-256 has an encoding
	}
	x, y := point[1:1+coordinateSize], point[1+coordinateSize:]
	return mustJSON(map[string]any{"keys": []map[string]string{{
		"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": tokenKeyID,
		"x": encode(x), "y": encode(y),
	}}})
}

// serve answers at l until it is closed.
func (i *tokenIssuer) serve(l net.Listener) io.Closer {
	s := &http.Server{Handler: http.HandlerFunc(i.answer), ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }() // ends with Close
	return s
}

// access is a permission in a token.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

func (i *tokenIssuer) answer(w http.ResponseWriter, r *http.Request) {
	user, password, ok := r.BasicAuth()
	if !ok || password != tokenPassword || user != "writer" && user != "reader" {
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"wrong user or password"}]}`, http.StatusUnauthorized)
		return
	}
	token, err := i.sign(user, grant(user, r.URL.Query()["scope"]), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// A client that has gone needs no answer.
	_, _ = w.Write(mustJSON(map[string]any{"token": token, "expires_in": int(tokenLife / time.Second)}))
}

// grant returns what a user gets of the scopes asked for, which are like
// "repository:name:pull,push".
func grant(user string, scopes []string) []access {
	granted := []access{} // null is not what registries expect
	for scope := range strings.FieldsSeq(strings.Join(scopes, " ")) {
		kind, rest, _ := strings.Cut(scope, ":")
		colon := strings.LastIndexByte(rest, ':')
		if colon < 0 {
			continue
		}
		actions := strings.Split(rest[colon+1:], ",")
		if user != "writer" {
			actions = slices.DeleteFunc(actions, func(a string) bool { return a != "pull" })
		}
		granted = append(granted, access{kind, rest[:colon], actions})
	}
	return granted
}

// sign makes a JSON Web Token (RFC 7519).
func (i *tokenIssuer) sign(user string, granted []access, now time.Time) (string, error) {
	header := mustJSON(map[string]string{"typ": "JWT", "alg": "ES256", "kid": tokenKeyID})
	claims := mustJSON(map[string]any{
		"iss": tokenIssuerName, "sub": user, "aud": tokenService, "jti": rand.Text(), "access": granted,
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(tokenLife).Unix(),
	})
	text := encode(header) + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 2*coordinateSize)
	r.FillBytes(signature[:coordinateSize])
	s.FillBytes(signature[coordinateSize:])
	return text + "." + encode(signature), nil
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// mustJSON encodes values of types that always can be.
func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
