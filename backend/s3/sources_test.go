package s3_test

import (
	"crypto/sha1" //nolint:gosec // The names of the SDK's cached tokens.
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/s3"
	"github.com/larder-build/larder/internal/s3test"
)

// temporary are credentials that a token service gives, in its own two forms.
const (
	assumed = `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials>
		<AccessKeyId>` + accessKey + `</AccessKeyId><SecretAccessKey>` + secretKey + `</SecretAccessKey>
		<SessionToken>assumed</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></%[1]sResult></%[1]sResponse>`
	signedOn = `{"roleCredentials":{"accessKeyId":"` + accessKey + `","secretAccessKey":"` + secretKey + `","sessionToken":"signed-on","expiration":4070908800000}}`
)

// services answers for AWS's services in place of the network, and passes on
// what is for the store.
type services struct {
	store string
	asked []string
}

func (s *services) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := func(contentType, body string) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {contentType}},
			Body: io.NopCloser(strings.NewReader(body)), Request: r,
		}, nil
	}
	switch {
	case r.URL.Host == s.store:
		return http.DefaultTransport.RoundTrip(r)
	case strings.HasPrefix(r.URL.Host, "sts."):
		form, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		action := "AssumeRole"
		if strings.Contains(string(form), "AssumeRoleWithWebIdentity") {
			action = "AssumeRoleWithWebIdentity"
		}
		s.asked = append(s.asked, string(form))
		return answer("text/xml", strings.ReplaceAll(assumed, "%[1]s", action))
	case strings.HasPrefix(r.URL.Host, "portal.sso."):
		s.asked = append(s.asked, r.URL.RawQuery+" "+r.Header.Get("X-Amz-Sso_bearer_token"))
		return answer("application/json", signedOn)
	default:
		return nil, errors.New("nobody is at " + r.URL.Host)
	}
}

// TestCredentialSources finds credentials in every place where they may be.
func TestCredentialSources(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	keys := "aws_access_key_id=" + accessKey + "\naws_secret_access_key=" + secretKey + "\n"
	sso := "[profile single]\nsso_start_url=https://x.awsapps.com/start\nsso_region=us-east-1\nsso_account_id=1\nsso_role_name=cache\nregion=us-east-1\n"
	sum := sha1.Sum([]byte("https://x.awsapps.com/start")) //nolint:gosec // As above.
	write(".aws/sso/cache/"+hex.EncodeToString(sum[:])+".json", `{"accessToken":"bearer","expiresAt":"2099-01-01T00:00:00Z"}`)
	write(".aws/config", sso)
	write(".aws/credentials", "[ci]\n"+keys)
	identity := write("identity", "the.web.token")
	getenv := func(string) string { return "" }
	for _, tt := range []struct {
		name   string
		env    map[string]string
		change func(*s3.Options)
		token  string // that the store is shown
		asked  string // a part of what a service was asked
	}{
		{"environment", map[string]string{"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_SESSION_TOKEN": "of the environment"}, func(o *s3.Options) { o.Getenv = getenv }, "of the environment", ""},
		{"profile", nil, func(o *s3.Options) { o.Profile = "ci" }, "", ""},
		{"profile before the environment", map[string]string{"AWS_ACCESS_KEY_ID": "AKIAWRONG", "AWS_SECRET_ACCESS_KEY": "wrong"}, func(o *s3.Options) { o.Profile, o.Getenv = "ci", getenv }, "", ""},
		{"single sign-on", nil, func(o *s3.Options) { o.Profile = "single" }, "signed-on", "role_name=cache"},
		{"role by keys", nil, func(o *s3.Options) {
			o.AccessKeyID, o.SecretAccessKey, o.RoleARN, o.ExternalID = accessKey, secretKey, "arn:aws:iam::1:role/x", "outside"
		}, "assumed", "ExternalId=outside"},
		{"role by a profile", nil, func(o *s3.Options) { o.Profile, o.RoleARN = "ci", "arn:aws:iam::1:role/x" }, "assumed", "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx"},
		{"role by injected credentials", nil, func(o *s3.Options) { o.Credentials, o.RoleARN = renewable{}, "arn:aws:iam::1:role/x" }, "assumed", "RoleArn="},
		{"web identity", nil, func(o *s3.Options) { o.RoleARN, o.WebIdentityTokenFile = "arn:aws:iam::1:role/x", identity }, "assumed", "WebIdentityToken=the.web.token"},
		{"web identity of the environment, as in a pod", map[string]string{"AWS_ROLE_ARN": "arn:aws:iam::1:role/x", "AWS_WEB_IDENTITY_TOKEN_FILE": identity}, func(o *s3.Options) { o.Getenv = getenv }, "assumed", "WebIdentityToken=the.web.token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("HOME", dir)
			t.Setenv("USERPROFILE", dir)
			t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			t.Setenv("AWS_CA_BUNDLE", "")
			t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, ".aws", "config"))
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, ".aws", "credentials"))
			for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
				t.Setenv(name, tt.env[name])
			}
			var token string
			s := newFake(t, s3test.Options{Check: func(_, shown string) string { token = shown; return "" }})
			net := &services{store: s.Host}
			o := s3.Options{Endpoint: s.URL, Region: "us-east-1", Transport: net}
			tt.change(&o)
			b, err := s3.Open(t.Context(), cache, o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = b.Close() }()
			for range 3 {
				if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrNotFound) {
					t.Fatalf("GetRef() = %v, want %v", err, backend.ErrNotFound)
				}
			}
			if token != tt.token {
				t.Errorf("the store was shown the token %q, want %q", token, tt.token)
			}
			if got := strings.Join(net.asked, " "); len(net.asked) > 1 || !strings.Contains(got, tt.asked) {
				t.Errorf("services were asked %q, want once for %q", net.asked, tt.asked)
			}
		})
	}
}

// TestAnonymous sends no signature, on request alone.
func TestAnonymous(t *testing.T) {
	s := newFake(t, s3test.Options{Anonymous: true})
	b := openFake(t, s, func(o *s3.Options) { o.AccessKeyID, o.SecretAccessKey, o.Anonymous = "", "", true })
	put(t, b, []byte("x"))
	if b.Info().VerifiesPut {
		t.Error("VerifiesPut = true without signatures, want false")
	}
}

// TestCredentialsAreKept shows that credentials are asked for once as long as
// they are good.
func TestCredentialsAreKept(t *testing.T) {
	s := newFake(t, s3test.Options{})
	p := &provider{}
	b := openFake(t, s, func(o *s3.Options) { o.AccessKeyID, o.SecretAccessKey, o.Credentials = "", "", p })
	for range 5 {
		_, _ = b.GetRef(t.Context(), "main")
	}
	if p.asked != 1 {
		t.Errorf("credentials without expiry were asked for %d times, want once", p.asked)
	}
}
