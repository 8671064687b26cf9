package azblob_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/azblob"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/azuretest"
	"github.com/larder-build/larder/internal/testserver"
)

// TestBadOptions shows that Open names the setting that is wrong, and does not
// repeat secrets.
func TestBadOptions(t *testing.T) {
	const secret = "not-base64-s3cret"
	good := azblob.Options{AccountURL: "https://acme.blob.core.windows.net", AccountKey: azuretest.Key}
	for _, tt := range []struct {
		name   string
		change func(*azblob.Options)
		want   string
	}{
		{"no account_url", func(o *azblob.Options) { o.AccountURL = "" }, "account_url is missing"},
		{"account_url without scheme", func(o *azblob.Options) { o.AccountURL = "acme.blob.core.windows.net" }, "account_url: want a URL such as https://ACCOUNT"},
		{"account_url with a query", func(o *azblob.Options) { o.AccountURL += "?sig=" + secret }, "account_url: want a URL"},
		{"no account_name", func(o *azblob.Options) { o.AccountURL = "http://127.0.0.1:10000" }, "account_name is missing"},
		{"key not in base64", func(o *azblob.Options) { o.AccountKey = secret }, "secret_access_key: want an account key in base64"},
		{"SAS without signature", func(o *azblob.Options) { o.AccountKey, o.SAS = "", "sv=2022-11-02&sp="+secret }, "sas_token: want the query of a shared access signature"},
		{"malformed connection string", func(o *azblob.Options) { o.AccountKey, o.ConnectionString = "", secret }, "connection_string: invalid: want KEY=VALUE"},
		{"connection string without key", func(o *azblob.Options) { o.AccountKey, o.ConnectionString = "", "AccountName="+secret }, "want an AccountKey or a SharedAccessSignature"},
		{"connection string without account", func(o *azblob.Options) { o.AccountKey, o.ConnectionString = "", "AccountKey="+secret }, "want an AccountName or a BlobEndpoint"},
		{"development storage", func(o *azblob.Options) { o.AccountKey, o.ConnectionString = "", "UseDevelopmentStorage=true" }, "UseDevelopmentStorage is not supported"},
		{"two credentials", func(o *azblob.Options) { o.SAS = "sv=1&sig=" + secret }, "given twice, as secret_access_key and sas_token"},
		{"tokens over plain http", func(o *azblob.Options) {
			o.AccountURL, o.AccountKey, o.Credential = "http://acme.example", "", &tokens{}
		}, "account_url: want https"},
		{"container in capitals", func(o *azblob.Options) { o.Container = "Cache" }, "container: want 3 to 63 lower-case letters"},
		{"container too short", func(o *azblob.Options) { o.Container = "ab" }, "container: want 3 to 63"},
		{"container with two hyphens", func(o *azblob.Options) { o.Container = "a--b" }, "container: want 3 to 63"},
		{"prefix with backslash", func(o *azblob.Options) { o.Prefix = `a\b` }, "prefix: want / in place of"},
		{"prefix too long", func(o *azblob.Options) { o.BlobsPrefix = new(strings.Repeat("b", 300)) }, "blobs_prefix: want at most 256 bytes"},
		{"environment", func(o *azblob.Options) {
			o.AccountKey, o.Getenv = "", func(string) string { return secret }
		}, "environment variable AZURE_STORAGE_CONNECTION_STRING: invalid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := good
			tt.change(&opts)
			_, err := azblob.Open(t.Context(), opts)
			if !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open() = %v, want %v and %q", err, backend.ErrInvalid, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("Open() = %v, want no secret in it", err)
			}
		})
	}
}

// TestOpenEnds shows that Open obeys its context.
func TestOpenEnds(t *testing.T) {
	_, opts := fake(t, azuretest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := azblob.Open(ctx, opts); !errors.Is(err, context.Canceled) {
		t.Errorf("Open(canceled) = %v, want %v", err, context.Canceled)
	}
}

// refusal is a call that the service refuses.
type refusal struct {
	name   string
	change func(*azblob.Options)
	call   func(ctx context.Context, b backend.Backend) error
	kind   error
	// words are the service's, setting is what the message names and remedy what
	// it proposes.
	words, setting, remedy string
}

func putRef(ctx context.Context, b backend.Backend) error {
	_, err := b.PutRef(ctx, "main", backend.Document{Data: []byte("{}")}, backend.Always)
	return err
}

func getRef(ctx context.Context, b backend.Backend) error {
	_, err := b.GetRef(ctx, "main")
	return err
}

func putBlob(ctx context.Context, b backend.Backend) error {
	return b.Put(ctx, describe(content(1, 10)), blob.Bytes(content(1, 10)))
}

func listRefs(ctx context.Context, b backend.Backend) error {
	for _, err := range b.ListRefs(ctx) {
		if err != nil {
			return err
		}
	}
	return nil
}

func deleteBlob(ctx context.Context, b backend.Backend) error {
	return b.Delete(ctx, describe(content(1, 10)).Digest)
}

func refusals() []refusal {
	withSAS := func(s azuretest.SAS) func(*azblob.Options) {
		return func(o *azblob.Options) { o.AccountKey, o.SAS = "", s.Sign() }
	}
	limited := func(permissions string) func(*azblob.Options) {
		return withSAS(azuretest.SAS{Container: "cache", Permissions: permissions, Expires: inAnHour()})
	}
	wrongKey := func(o *azblob.Options) { o.AccountKey = "d3JvbmctczNjcmV0" }
	other := func(o *azblob.Options) { o.Container = "other" }
	const mismatch = "AuthorizationPermissionMismatch"
	return []refusal{
		{"container missing, ref written", other, putRef, backend.ErrNotFound, "ContainerNotFound: The specified container does not exist.", "container other", "create_container=true"},
		{"container missing, blob written", other, putBlob, backend.ErrNotFound, "ContainerNotFound", "attribute container", "create_container=true"},
		{"container missing, ref read", other, getRef, backend.ErrNotFound, "ContainerNotFound", "attribute container", "create the container other"},
		{"container missing, listed", other, listRefs, backend.ErrNotFound, "ContainerNotFound", "attribute container", "create the container other"},
		{"wrong key", wrongKey, putRef, backend.ErrDenied, "Server failed to authenticate the request.", "secret_access_key", "a key of the account devstoreaccount1"},
		{"wrong account", func(o *azblob.Options) { o.AccountName = "acme" }, putRef, backend.ErrDenied, "Server failed to authenticate", "account_name", "the account acme"},
		{"SAS without write", limited("rld"), putRef, backend.ErrDenied, mismatch, "sas_token", "with the permissions rwdl: it has rld"},
		{"SAS without write, blob", limited("rld"), putBlob, backend.ErrDenied, mismatch, "sas_token", "it has rld"},
		{"SAS without read", limited("wld"), getRef, backend.ErrDenied, mismatch, "sas_token", "it has wld"},
		{"SAS without list", limited("rwd"), listRefs, backend.ErrDenied, mismatch, "sas_token", "it has rwd"},
		{"SAS without delete", limited("rwl"), deleteBlob, backend.ErrDenied, mismatch, "sas_token", "it has rwl"},
		{"SAS that creates only", limited("rcl"), putRef, backend.ErrDenied, "This request is not authorized to perform", "sas_token", "it has rcl"},
		{"SAS that has ended", withSAS(azuretest.SAS{Container: "cache", Permissions: "rwdl", Expires: time.Now().Add(-time.Hour)}), putRef, backend.ErrDenied, "Server failed to authenticate", "sas_token", "make a new SAS"},
		{"SAS of another container", withSAS(azuretest.SAS{Container: "else", Permissions: "rwdl", Expires: inAnHour()}), putRef, backend.ErrDenied, "Server failed to authenticate", "sas_token", "for this container"},
	}
}

// TestRefusals shows that an error has the service's own words, and names the
// setting and what to do about it.
func TestRefusals(t *testing.T) {
	for _, tt := range refusals() {
		t.Run(tt.name, func(t *testing.T) {
			s, opts := fake(t, azuretest.Options{})
			refused(t, s.URL, opts, tt, func(name string, data []byte) { s.Put("cache", name, data) })
		})
	}
}

// TestRefusalsOfAzurite shows the same of Azurite, which knows fewer words.
func TestRefusalsOfAzurite(t *testing.T) {
	accountURL := testserver.FromTestbed(t, azurite)
	for _, tt := range refusals() {
		t.Run(tt.name, func(t *testing.T) {
			opts := azblob.Options{AccountURL: accountURL, AccountKey: azuretest.Key, Container: "cache"}
			owner := open(t, opts)
			if _, err := owner.Container().Create(t.Context(), nil); err != nil && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
				t.Fatal(err)
			}
			refused(t, accountURL, opts, tt, func(name string, data []byte) {
				if _, err := owner.Container().NewBlockBlobClient(name).UploadBuffer(t.Context(), data, nil); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func refused(t *testing.T, accountURL string, opts azblob.Options, tt refusal, prepare func(name string, data []byte)) {
	t.Helper()
	prepare("manifests/main", []byte("{}"))
	prepare("blobs/"+describe(content(1, 10)).Digest.String(), content(1, 10))
	opts.AccountURL = accountURL
	tt.change(&opts)
	err := tt.call(t.Context(), open(t, opts))
	if !errors.Is(err, tt.kind) {
		t.Fatalf("%s = %v, want %v", tt.name, err, tt.kind)
	}
	for _, want := range []string{tt.words, tt.setting, tt.remedy, "azblob: ", "(request "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s = %v, want %q in it", tt.name, err, want)
		}
	}
	r, ok := errors.AsType[backend.Remedier](err)
	if !ok || !strings.Contains(r.Remedy(), tt.remedy) {
		t.Errorf("Remedy() of %v = %v, want %q", err, r, tt.remedy)
	}
}

// TestNoSecretsInErrors makes everything fail that can, with every kind of
// secret, and looks for them in the texts.
func TestNoSecretsInErrors(t *testing.T) {
	s, given := fake(t, azuretest.Options{})
	sas := azuretest.SAS{Container: "else", Permissions: "rwdl", Expires: inAnHour()}.Sign()
	_, signature, _ := strings.Cut(sas, "sig=")
	signature, _, _ = strings.Cut(signature, "&")
	const key = "Y2FuYXJ5LWtleS1jYW5hcnkta2V5"
	kinds := map[string]func(*azblob.Options){
		"key":                        func(o *azblob.Options) { o.AccountKey = key },
		"SAS":                        func(o *azblob.Options) { o.SAS = sas },
		"connection string with key": func(o *azblob.Options) { o.ConnectionString = connectionString(s, "AccountKey="+key) },
		"connection string with SAS": func(o *azblob.Options) { o.ConnectionString = connectionString(s, "SharedAccessSignature="+sas) },
	}
	// What becomes of the requests.
	fates := map[string]http.RoundTripper{
		"refused": nil,
		"broken": roundTrip(func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("broken")
		}),
		"echoed": roundTrip(func(r *http.Request) (*http.Response, error) { // an unfriendly proxy
			return answer(r, http.StatusBadGateway, r.URL.String()+r.Header.Get("Authorization")), nil
		}),
		"redirected": roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != s.Host {
				t.Errorf("a request went to %s, with a signature in it", r.URL.Host)
			}
			resp := answer(r, http.StatusFound, "")
			resp.Header.Set("Location", "http://127.0.0.1:1/?"+r.URL.RawQuery)
			return resp, nil
		}),
	}
	calls := map[string]func(context.Context, backend.Backend) error{
		"PutRef": putRef, "GetRef": getRef, "Put": putBlob, "ListRefs": listRefs, "Delete": deleteBlob,
	}
	for kind, credentials := range kinds {
		for fate, transport := range fates {
			opts := azblob.Options{AccountURL: given.AccountURL, Container: given.Container, Transport: transport}
			credentials(&opts)
			b := open(t, opts)
			texts := []string{b.Info().Location}
			for name, call := range calls {
				err := call(t.Context(), b)
				if err == nil {
					t.Errorf("%s with a wrong %s, %s = nil, want an error", name, kind, fate)
					continue
				}
				texts = append(texts, err.Error(), fmt.Sprintf("%+v", err))
			}
			for f := range b.Diagnose(t.Context(), backend.DiagnoseOptions{}) {
				texts = append(texts, fmt.Sprintf("%+v", f))
			}
			for _, text := range texts {
				for _, secret := range []string{key, signature, "sig=", "SharedKey"} {
					if strings.Contains(text, secret) {
						t.Errorf("%s, %s: %q has a secret in it", kind, fate, text)
					}
				}
			}
		}
	}
}

// TestEndedSASSaysWhen shows the service's detail on times, and no other: those
// on signatures repeat them.
func TestEndedSASSaysWhen(t *testing.T) {
	_, opts := fake(t, azuretest.Options{})
	opts.AccountKey = ""
	for expires, want := range map[time.Time]bool{time.Now().Add(-time.Hour): true, inAnHour(): false} {
		opts.SAS = azuretest.SAS{Container: "cache", Permissions: "l", Expires: expires}.Sign()
		if !want {
			opts.SAS += "AA"
		}
		err := getRef(t.Context(), open(t, opts))
		if err == nil || strings.Contains(err.Error(), "Signature not valid in the specified time frame: Start") != want {
			t.Errorf("GetRef(SAS that ends at %v) = %v, want the detail %t", expires, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "String to sign") {
			t.Errorf("GetRef() = %v, want no detail on the signature", err)
		}
	}
}
