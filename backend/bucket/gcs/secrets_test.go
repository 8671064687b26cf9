package gcs_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/gcstest"
)

// serviceAccount writes a file of credentials with a key of its own, whose
// tokens are asked for at a URL, and returns the file and its secret.
func serviceAccount(t *testing.T, tokens string) (file, secret string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	data, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "ci@project.iam.gserviceaccount.com", "private_key": private,
		"private_key_id": "1", "project_id": "project", "token_uri": tokens,
	})
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, strings.Split(private, "\n")[1]
}

// TestNoSecrets looks for secrets in all that is said when things go wrong: the
// key of an account, its token, and the right to write that is in the URL of an
// upload.
func TestNoSecrets(t *testing.T) {
	const token = "canary-t0ken"
	tokens := gcstest.New(t, gcstest.Options{Before: func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token":"` + token + `","token_type":"Bearer","expires_in":3600}`))
		return true
	}})
	file, secret := serviceAccount(t, tokens.URL)
	broken := false
	s, opts := fake(t, gcstest.Options{Token: token, Before: func(w http.ResponseWriter, r *http.Request) bool {
		if broken && !strings.HasPrefix(r.URL.Path, "/upload/") {
			panic(http.ErrAbortHandler) // the connection ends
		}
		return false
	}})
	opts.Anonymous, opts.CredentialsFile = false, file
	l, err := mux().Parse("gs://caches?credentials_file=" + filepath.ToSlash(file))
	if err != nil {
		t.Fatal(err)
	}
	opts.Location = l.String()
	b := open(t, opts)
	if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("{}")}, backend.Absent); err != nil {
		t.Fatalf("PutRef() = %v, want nil with the account's token", err)
	}
	broken = true
	data := make([]byte, 33<<20)
	texts := []string{b.Info().Location}
	for _, err := range []error{
		b.Put(t.Context(), blob.Describe("", data), blob.Bytes(data)),
		second(b.GetRef(t.Context(), "main")),
		second(b.Stat(t.Context(), blob.Describe("", data).Digest)),
		b.DeleteRef(t.Context(), "main", backend.Match("1")),
	} {
		if err == nil {
			t.Error("no error, want one")
			continue
		}
		texts = append(texts, err.Error())
	}
	for f := range b.Diagnose(t.Context(), backend.DiagnoseOptions{}) {
		texts = append(texts, f.Detail, f.Remedy)
	}
	for _, text := range texts {
		for _, hidden := range []string{token, secret, s.URL + "/session/", "/session/"} {
			if strings.Contains(text, hidden) {
				t.Errorf("%q has the secret %q", text, hidden)
			}
		}
	}
}
