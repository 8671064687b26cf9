package ecr_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/backend/registry/ecr"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/registrytest"
)

// api is the one that grants tokens, in each of its two kinds.
// Source: docs.aws.amazon.com, ECR and ECR Public API reference.
type api struct {
	t       *testing.T
	granted int
	hosts   []string
	regions []string
	targets []string
	refuses bool
	life    time.Duration
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The scope of a signature is key, date, region and service, in this order.
	scope := strings.Split(r.Header.Get("Authorization"), "/")
	if len(scope) < 3 {
		a.t.Errorf("Authorization = %q, want a signature", r.Header.Get("Authorization"))
		return
	}
	target := r.Header.Get("X-Amz-Target")
	a.regions, a.targets = append(a.regions, scope[2]), append(a.targets, target)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if a.refuses {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"AccessDeniedException","message":"not authorized to perform: ecr:GetAuthorizationToken"}`)
		return
	}
	a.granted++
	password := fmt.Sprintf("AWS:password-%d", a.granted)
	data := map[string]any{
		"authorizationToken": base64.StdEncoding.EncodeToString([]byte(password)),
		"expiresAt":          float64(time.Now().Add(a.life).Unix()),
	}
	var answer any = map[string]any{"authorizationData": []any{data}}
	if strings.HasPrefix(target, "SpencerFrontendService") { // the public one
		answer = map[string]any{"authorizationData": data}
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		a.t.Error(err)
	}
}

// RoundTrip has the api at every host.
func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	a.hosts = append(a.hosts, r.URL.Host)
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Result(), nil
}

// keychain returns one whose tokens an api grants.
func keychain(t *testing.T, a *api, now func() time.Time) authn.Keychain {
	t.Helper()
	a.t, a.life = t, 12*time.Hour
	return ecr.Keychain(ecr.Options{
		Config: &aws.Config{
			Region: "nowhere-1", HTTPClient: &http.Client{Transport: a},
			Credentials:      credentials.NewStaticCredentialsProvider("KEY", "s3cret", ""),
			RetryMaxAttempts: 1,
		},
		Now: now,
	})
}

func resolve(t *testing.T, k authn.Keychain, host string) (authn.Authenticator, error) {
	t.Helper()
	r, err := name.NewRegistry(host)
	if err != nil {
		t.Fatal(err)
	}
	return authn.Resolve(t.Context(), k, r)
}

func TestHosts(t *testing.T) {
	for _, test := range []struct{ host, region, api string }{
		{"123456789012.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1", "api.ecr.eu-west-1.amazonaws.com"},
		{"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", "api.ecr.cn-north-1.amazonaws.com.cn"},
		{"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1", "api.ecr-fips.us-gov-west-1.amazonaws.com"},
		{"123456789012.dkr-ecr.us-west-2.on.aws", "us-west-2", "api.ecr.us-west-2.amazonaws.com"},
		{"public.ecr.aws", "us-east-1", "api.ecr-public.us-east-1.amazonaws.com"},
	} {
		a := &api{}
		_, err := resolve(t, keychain(t, a, nil), test.host)
		if err != nil || len(a.hosts) != 1 || a.hosts[0] != test.api || a.regions[0] != test.region || !strings.HasSuffix(a.targets[0], ".GetAuthorizationToken") {
			t.Errorf("Resolve(%s) = %v, asked %q for %q in %q, want GetAuthorizationToken of %s in %s",
				test.host, err, a.hosts, a.targets, a.regions, test.api, test.region)
		}
	}
	for _, host := range []string{
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.test", "evil.test.dkr.ecr.eu-west-1.amazonaws.com",
		"123456789012.dkr.ecr.eu-west-1.evil.test", "ghcr.io",
	} {
		a := &api{}
		if auth, err := resolve(t, keychain(t, a, nil), host); err != nil || auth != authn.Anonymous || len(a.hosts) > 0 {
			t.Errorf("Resolve(%s) = %v, %v after asking %q, want anonymous", host, auth, err, a.hosts)
		}
	}
}

// TestTokenIsKept shows that one is asked for again only shortly before its end.
func TestTokenIsKept(t *testing.T) {
	now := time.Now()
	k := keychain(t, &api{}, func() time.Time { return now })
	for _, step := range []struct {
		after time.Duration
		want  string
	}{{0, "password-1"}, {11 * time.Hour, "password-1"}, {58 * time.Minute, "password-2"}} {
		now = now.Add(step.after)
		auth, err := resolve(t, k, "123456789012.dkr.ecr.eu-west-1.amazonaws.com")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := authn.Authorization(t.Context(), auth); err != nil || got.Username != "AWS" || got.Password != step.want {
			t.Errorf("after %v: %+v, %v, want AWS with %s", step.after, got, err, step.want)
		}
	}
}

func TestRefusal(t *testing.T) {
	_, err := resolve(t, keychain(t, &api{refuses: true}, nil), "123456789012.dkr.ecr.eu-west-1.amazonaws.com")
	if err == nil || !strings.Contains(err.Error(), "not authorized to perform") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Resolve() = %v, want AWS's words and no secret", err)
	}
}

// TestWithoutCredentials shows that only the public registry is for everybody.
func TestWithoutCredentials(t *testing.T) {
	k := ecr.Keychain(ecr.Options{Config: &aws.Config{RetryMaxAttempts: 1}})
	auth, err := resolve(t, k, "public.ecr.aws")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := authn.Authorization(t.Context(), auth); err != nil || *got != (authn.AuthConfig{}) {
		t.Errorf("public.ecr.aws: %+v, %v, want nobody", got, err)
	}
	if _, err := resolve(t, k, "123456789012.dkr.ecr.eu-west-1.amazonaws.com"); err == nil {
		t.Error("a private registry: Resolve() = nil, want an error")
	}
}

// TestDefaults shows that credentials come from the environment.
func TestDefaults(t *testing.T) {
	a := &api{t: t, life: time.Hour}
	s := httptest.NewServer(a)
	defer s.Close()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "KEY", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_ENDPOINT_URL": s.URL,
		"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere", "AWS_PROFILE": "",
	} {
		t.Setenv(name, value)
	}
	if _, err := resolve(t, ecr.Keychain(ecr.Options{}), "123456789012.dkr.ecr.eu-west-1.amazonaws.com"); err != nil || a.granted != 1 {
		t.Errorf("Resolve() = %v with %d tokens, want one", err, a.granted)
	}
}

// TestRegistry stores in a registry that takes what ECR grants.
func TestRegistry(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{TLS: true, Auth: &registrytest.Auth{
		Users: []registrytest.User{{Name: "AWS", Password: "password-1"}},
	}})
	everywhere := s.Everywhere()
	defer everywhere.CloseIdleConnections()
	b, err := registry.Open(t.Context(), "123456789012.dkr.ecr.eu-west-1.amazonaws.com/cache", registry.Options{
		Keychain: keychain(t, &api{}, nil), Transport: everywhere,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	data := []byte("layer")
	d := blob.Describe("application/octet-stream", data)
	if err := b.Put(t.Context(), d, blob.Bytes(data)); err != nil {
		t.Errorf("Put() = %v, want nil", err)
	}
	if source, err := b.Authenticate(t.Context(), true); err != nil || source != "the credentials for Amazon ECR" {
		t.Errorf("Authenticate() = %q, %v, want the credentials for Amazon ECR", source, err)
	}
}
