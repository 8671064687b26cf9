package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestToken asks for a token and verifies it as a registry does: with nothing
// but the key set.
func TestToken(t *testing.T) {
	issuer, err := newTokenIssuer()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, user, password, query string
		status                      int
		want                        []access
	}{
		{"writer", "writer", "testbed", "scope=repository:a/b:pull,push,delete", 200, []access{{"repository", "a/b", []string{"pull", "push", "delete"}}}},
		{"reader", "reader", "testbed", "scope=repository:a/b:pull,push", 200, []access{{"repository", "a/b", []string{"pull"}}}},
		{"two scopes", "writer", "testbed", "scope=repository:a:push&scope=repository:b:pull", 200, []access{
			{"repository", "a", []string{"push"}}, {"repository", "b", []string{"pull"}},
		}},
		{"no scope", "writer", "testbed", "", 200, []access{}},
		{"wrong password", "writer", "guess", "", 401, nil},
		{"unknown user", "nobody", "testbed", "", 401, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/token?"+tt.query, http.NoBody)
			r.SetBasicAuth(tt.user, tt.password)
			w := httptest.NewRecorder()
			issuer.answer(w, r)
			if w.Code != tt.status {
				t.Fatalf("status = %d, want %d", w.Code, tt.status)
			}
			if tt.status != http.StatusOK {
				return
			}
			var answer struct{ Token string }
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatal(err)
			}
			if got := verified(t, issuer.jwks(), answer.Token); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("access = %v, want %v", got, tt.want)
			}
		})
	}
}

func verified(t *testing.T, jwks []byte, token string) []access {
	t.Helper()
	var set struct {
		Keys []struct{ X, Y string }
	}
	if err := json.Unmarshal(jwks, &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("key set = %s, %v, want one key", jwks, err)
	}
	point := slices.Concat([]byte{4}, decoded(t, set.Keys[0].X), decoded(t, set.Keys[0].Y))
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("token = %q, want three parts", token)
	}
	signature := decoded(t, parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		t.Fatal("the signature is not that of the key")
	}
	var claims struct{ Access []access }
	if err := json.Unmarshal(decoded(t, parts[1]), &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Access
}

func decoded(t *testing.T, text string) []byte {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
