package azblob_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/azblob"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/azuretest"
)

// inAnHour is when the credentials of tests end.
func inAnHour() time.Time { return time.Now().Add(time.Hour) }

// use writes and reads what a cache needs, and lists it.
func use(ctx context.Context, b backend.Backend) error {
	data := content(1, 3000)
	if err := b.Put(ctx, describe(data), blob.Bytes(data)); err != nil {
		return err
	}
	if _, err := b.Stat(ctx, describe(data).Digest); err != nil {
		return err
	}
	if _, err := read(ctx, b, describe(data), 0, -1); err != nil {
		return err
	}
	v, err := b.PutRef(ctx, "main", backend.Document{Data: []byte("{}")}, backend.Absent)
	if err != nil {
		return err
	}
	for _, err := range b.ListRefs(ctx) {
		if err != nil {
			return err
		}
	}
	if err := b.DeleteRef(ctx, "main", backend.Match(v)); err != nil {
		return err
	}
	return b.Delete(ctx, describe(data).Digest)
}

func connectionString(s *azuretest.Server, credential string) string {
	return "DefaultEndpointsProtocol=http;AccountName=" + azuretest.Account + ";BlobEndpoint=" + s.URL + ";" + credential
}

// TestCredentials uses every kind of credentials for all that a cache needs, and
// shows that nothing is asked of the container with them, so that a SAS for the
// container is enough.
func TestCredentials(t *testing.T) {
	s, given := fake(t, azuretest.Options{})
	account := azuretest.SAS{Permissions: "rwdlac", Resources: "co", Expires: inAnHour()}.Sign()
	within := azuretest.SAS{Container: "cache", Permissions: "rwdl", Expires: inAnHour()}.Sign()
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	for _, tt := range []struct {
		name string
		opts azblob.Options
	}{
		{"account key", azblob.Options{AccountURL: s.URL, AccountKey: azuretest.Key}},
		{"account name", azblob.Options{AccountURL: s.URL + "/", AccountName: azuretest.Account, AccountKey: azuretest.Key}},
		{"SAS of the account", azblob.Options{AccountURL: s.URL, SAS: account}},
		{"SAS of the container", azblob.Options{AccountURL: s.URL, SAS: within}},
		{"SAS with question mark", azblob.Options{AccountURL: s.URL, SAS: "?" + within}},
		{"connection string with key", azblob.Options{ConnectionString: connectionString(s, "AccountKey="+azuretest.Key)}},
		{"connection string with SAS", azblob.Options{ConnectionString: connectionString(s, "SharedAccessSignature="+within)}},
		{"connection string and URL", azblob.Options{AccountURL: s.URL, ConnectionString: connectionString(s, "AccountKey="+azuretest.Key)}},
		{"environment: key", azblob.Options{AccountURL: s.URL, Getenv: env("AZURE_STORAGE_ACCOUNT", azuretest.Account, "AZURE_STORAGE_KEY", azuretest.Key)}},
		{"environment: SAS", azblob.Options{AccountURL: s.URL, Getenv: env("AZURE_STORAGE_ACCOUNT", azuretest.Account, "AZURE_STORAGE_SAS_TOKEN", within)}},
		{"environment: connection string", azblob.Options{Getenv: env("AZURE_STORAGE_CONNECTION_STRING", connectionString(s, "AccountKey="+azuretest.Key))}},
		{"environment: connection string of another account", azblob.Options{AccountURL: s.URL, Getenv: env(
			"AZURE_STORAGE_CONNECTION_STRING", "AccountName=acme;AccountKey=d3Jvbmc=", "AZURE_STORAGE_ACCOUNT", azuretest.Account, "AZURE_STORAGE_KEY", azuretest.Key,
		)}},
		{"environment after options", azblob.Options{AccountURL: s.URL, SAS: within, Getenv: env("AZURE_STORAGE_ACCOUNT", azuretest.Account, "AZURE_STORAGE_KEY", "d3Jvbmc=")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.Forget()
			tt.opts.Container = given.Container
			if err := use(t.Context(), open(t, tt.opts)); err != nil {
				t.Errorf("use of a container = %v, want nil", err)
			}
			for _, r := range s.Requests() {
				if r.Blob == "" && r.Op != "List Blobs" {
					t.Errorf("%s was asked of the container, want only a listing", r.Op)
				}
			}
		})
	}
}

// TestBlobSAS reads a manifest with a signature for it alone.
func TestBlobSAS(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	s.Put("cache", "manifests/main", []byte("{}"))
	s.Put("cache", "manifests/other", []byte("{}"))
	opts.AccountKey = ""
	opts.SAS = azuretest.SAS{Container: "cache", Blob: "manifests/main", Permissions: "r", Expires: inAnHour()}.Sign()
	b := open(t, opts)
	if r, err := b.GetRef(t.Context(), "main"); err != nil || string(r.Data) != "{}" {
		t.Errorf("GetRef(main) = %q, %v, want the manifest", r.Data, err)
	}
	if _, err := b.GetRef(t.Context(), "other"); !errors.Is(err, backend.ErrDenied) {
		t.Errorf("GetRef(other) = %v, want %v", err, backend.ErrDenied)
	}
}

// tokens is a credential whose tokens are used up one after the other.
type tokens struct {
	list  []string
	given atomic.Int32
	err   error
}

func (c *tokens) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if c.err != nil {
		return azcore.AccessToken{}, c.err
	}
	n := min(int(c.given.Add(1)), len(c.list))
	return azcore.AccessToken{Token: c.list[n-1], ExpiresOn: inAnHour()}, nil
}

// secure returns a service that takes tokens.
func secure(t *testing.T, accepted ...string) (*azuretest.Server, azblob.Options) {
	t.Helper()
	s, opts := fake(t, azuretest.Options{TLS: true, Tokens: accepted})
	opts.AccountKey, opts.Transport = "", trusting(t, s)
	return s, opts
}

// trusting is a transport that reaches the service, and nothing else.
func trusting(t *testing.T, s *azuretest.Server) *http.Transport {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	own := s.Client().Transport.(*http.Transport) //nolint:errcheck // net/http/httptest has no other
	tr.TLSClientConfig = own.TLSClientConfig.Clone()
	if tr.TLSClientConfig.RootCAs == nil {
		tr.TLSClientConfig.RootCAs = x509.NewCertPool()
	}
	return tr
}

// TestTokens uses a token of the application's.
func TestTokens(t *testing.T) {
	_, opts := secure(t, "good")
	opts.Credential = &tokens{list: []string{"good"}}
	if err := use(t.Context(), open(t, opts)); err != nil {
		t.Errorf("use of a container = %v, want nil", err)
	}
}

// TestTokenExpires has the service refuse a token that was good before: the next
// one is got.
func TestTokenExpires(t *testing.T) {
	s, opts := secure(t, "first")
	opts.Credential = &tokens{list: []string{"first", "second"}}
	b := open(t, opts)
	if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("{}")}, backend.Always); err != nil {
		t.Fatal(err)
	}
	s.SetTokens("second")
	if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("[]")}, backend.Always); err != nil {
		t.Errorf("PutRef(expired token) = %v, want nil", err)
	}
}

// TestTokenExpiresInTheMiddle has the service refuse a token when content is on
// its way that cannot be read again: that may be tried again.
func TestTokenExpiresInTheMiddle(t *testing.T) {
	_, opts := secure(t, "good")
	opts.Credential = &tokens{list: []string{"good"}}
	next, refused := opts.Transport, false
	opts.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodPut || refused {
			return next.RoundTrip(r)
		}
		refused = true
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
		resp := answer(r, http.StatusUnauthorized, "")
		resp.Header.Set("Www-Authenticate", `Bearer authorization_uri=https://login.microsoftonline.com/t/oauth2/authorize resource_id=https://storage.azure.com`)
		return resp, nil
	})
	b := open(t, opts)
	data := content(1, 2<<20) // too large to be kept
	err := b.Put(t.Context(), describe(data), stream(data))
	if _, temporary := backend.Temporary(err); !temporary {
		t.Errorf("Put(expired token) = %v, want a temporary error", err)
	}
	if err := b.Put(t.Context(), describe(data), stream(data)); err != nil {
		t.Errorf("Put(expired token, again) = %v, want nil", err)
	}
}

// TestNoToken shows what is said if there is no token.
func TestNoToken(t *testing.T) {
	_, opts := secure(t, "good")
	cause := errors.New("the vault is closed\nand locked")
	opts.Credential = &tokens{err: cause}
	_, err := open(t, opts).GetRef(t.Context(), "main")
	if _, temporary := backend.Temporary(err); !errors.Is(err, backend.ErrDenied) || !errors.Is(err, cause) || temporary {
		t.Errorf("GetRef(no token) = %v, want %v for good", err, backend.ErrDenied)
	}
	if want := "the application's token credential: no token: the vault is closed and locked"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("GetRef(no token) = %v, want %q", err, want)
	}
}

// TestDefaultChain gets a token by Azure's own chain from the environment.
func TestDefaultChain(t *testing.T) {
	s, opts := secure(t, "chained")
	azure := trusting(t, s)
	var asked atomic.Int32
	opts.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != s.Host {
			asked.Add(1)
			return issue(r)
		}
		return azure.RoundTrip(r)
	})
	for name, value := range map[string]string{"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_CLIENT_SECRET": "s3cret-of-client"} {
		t.Setenv(name, value)
	}
	b := open(t, opts)
	if err := use(t.Context(), b); err != nil {
		t.Errorf("use of a container = %v, want nil", err)
	}
	if asked.Load() == 0 {
		t.Error("Azure's chain has asked for no token")
	}
}

// TestDefaultChainOfClouds asks those for tokens who issue them for the account.
func TestDefaultChainOfClouds(t *testing.T) {
	for name, value := range map[string]string{"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_CLIENT_SECRET": "s3cret-of-client"} {
		t.Setenv(name, value)
	}
	for accountURL, want := range map[string]string{
		"https://acme.blob.core.windows.net":       "login.microsoftonline.com",
		"https://acme.blob.core.usgovcloudapi.net": "login.microsoftonline.us",
		"https://acme.blob.core.chinacloudapi.cn":  "login.chinacloudapi.cn",
	} {
		var asked atomic.Value
		ctx, cancel := context.WithCancel(t.Context())
		b := open(t, azblob.Options{AccountURL: accountURL, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			asked.CompareAndSwap(nil, r.URL.Host)
			cancel() // or the chain would try again
			return nil, errors.New("enough")
		})})
		_, err := b.GetRef(ctx, "main")
		if got := asked.Load(); err == nil || got != want {
			t.Errorf("GetRef() at %s = %v, asked %v for a token, want %s", accountURL, err, got, want)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// issue answers in place of login.microsoftonline.com.
func issue(r *http.Request) (*http.Response, error) {
	body := `{"token_type":"Bearer","expires_in":3600,"access_token":"chained"}`
	if r.Method == http.MethodGet { // what the authority is
		base := "https://" + r.URL.Host + "/tenant"
		body = fmt.Sprintf(`{"token_endpoint":"%[1]s/token","authorization_endpoint":"%[1]s/authorize","issuer":"%[1]s","tenant_discovery_endpoint":"%[1]s/v2.0/.well-known/openid-configuration","metadata":[]}`, base)
	}
	return answer(r, http.StatusOK, body), nil
}
