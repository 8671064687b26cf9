package s3_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/s3"
	"github.com/larder-build/larder/internal/s3test"
)

func TestOpenRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		bucket string
		o      s3.Options
		want   string
	}{
		{"no bucket", "", s3.Options{Region: "x", Anonymous: true}, "attribute bucket is missing"},
		{"no region at AWS", "b", s3.Options{AccessKeyID: "a", SecretAccessKey: "s"}, "attribute region is missing"},
		{"no scheme", "b", s3.Options{Endpoint: "minio:9000", Anonymous: true}, "attribute endpoint_url: want a URL such as https://"},
		{"half a key", "b", s3.Options{Region: "x", AccessKeyID: "a"}, "secret_access_key"},
		{"a token without keys", "b", s3.Options{Region: "x", SessionToken: "t"}, "access_key_id"},
		{"nobody", "b", s3.Options{Region: "x"}, "no credentials: set access_key_id"},
		{"nobody with keys", "b", s3.Options{Region: "x", Anonymous: true, AccessKeyID: "a", SecretAccessKey: "s"}, "attribute anonymous contradicts"},
		{"keys and a profile", "b", s3.Options{Region: "x", Profile: "p", AccessKeyID: "a", SecretAccessKey: "s"}, "contradict each other"},
		{"a token without a role", "b", s3.Options{Region: "x", WebIdentityTokenFile: "f"}, "need role_arn"},
		{"an unknown profile", "b", s3.Options{Region: "x", Profile: "larder-has-none"}, `there is no profile "larder-has-none"`},
		{"unknown quirks", "b", s3.Options{Region: "x", Anonymous: true, Quirks: "wasabi"}, "want one of [aws minio"},
		{"small parts", "b", s3.Options{Region: "x", Anonymous: true, PartSize: 1 << 20}, "want at least 5242880"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := s3.Open(t.Context(), tt.bucket, tt.o)
			if err == nil {
				_ = b.Close()
			}
			if !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open() = %v, want %v that says %q", err, backend.ErrInvalid, tt.want)
			}
		})
	}
}

// TestGuesses shows what is made of endpoints, by what is then said of the
// store.
func TestGuesses(t *testing.T) {
	for _, tt := range []struct{ endpoint, quirks, host, region string }{
		{"", "aws", "cache.s3.eu-west-1.amazonaws.com", "eu-west-1"},
		{"https://s3.eu-central-1.amazonaws.com", "aws", "cache.s3.eu-central-1.amazonaws.com", ""},
		{"https://storage.googleapis.com", "gcs", "storage.googleapis.com", ""},
		{"https://0123.r2.cloudflarestorage.com", "r2", "0123.r2.cloudflarestorage.com", ""},
		{"https://minio.example:9000", "minio", "minio.example:9000", ""},
		{"https://ceph.example", "ceph", "ceph.example", ""},
		{"https://objects.example", "generic", "objects.example", ""},
		{"https://amazonaws.com.evil.example", "generic", "amazonaws.com.evil.example", ""},
	} {
		t.Run(tt.quirks+" "+tt.endpoint, func(t *testing.T) {
			var host, auth string
			b, err := s3.Open(t.Context(), cache, s3.Options{
				Endpoint: tt.endpoint, Region: tt.region, AccessKeyID: accessKey, SecretAccessKey: secretKey,
				Transport: sending(func(r *http.Request) (*http.Response, error) {
					host, auth = r.URL.Host, r.Header.Get("Authorization")
					return nil, errors.New("sent")
				}),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = b.Close() }()
			if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrUnavailable) {
				t.Errorf("GetRef() = %v, want %v", err, backend.ErrUnavailable)
			}
			if host != tt.host {
				t.Errorf("a request went to %s, want %s", host, tt.host)
			}
			if signed := strings.Contains(auth, "accept-encoding"); signed == (tt.quirks == "gcs") {
				t.Errorf("Accept-Encoding signed = %t at %s", signed, tt.quirks)
			}
			caps := b.Info().Capabilities
			if got, want := caps.CreateRef, tt.quirks != "gcs"; got != want || caps.ReplaceRef != want {
				t.Errorf("CreateRef = %t at %s, want %t", got, tt.quirks, want)
			}
			if got, want := caps.ConditionalDeleteRef, tt.quirks == "aws"; got != want {
				t.Errorf("ConditionalDeleteRef = %t at %s, want %t", got, tt.quirks, want)
			}
		})
	}
}

type sending func(*http.Request) (*http.Response, error)

func (f sending) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestBadCredentials shows that the message names the setting and has the
// store's words.
func TestBadCredentials(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server s3test.Options
		change func(*s3.Options)
		kind   error
		want   []string
	}{
		{"a wrong key", s3test.Options{}, func(o *s3.Options) { o.AccessKeyID = "AKIANOBODY" }, backend.ErrDenied, []string{"InvalidAccessKeyId", "does not exist in our records", "attribute access_key_id"}},
		{"a wrong secret", s3test.Options{}, func(o *s3.Options) { o.SecretAccessKey = "wrong" }, backend.ErrDenied, []string{"SignatureDoesNotMatch", "attribute secret_access_key"}},
		{"a wrong region", s3test.Options{Region: "eu-west-3"}, nil, backend.ErrInvalid, []string{"AuthorizationHeaderMalformed", "set region=eu-west-3"}},
		{"nobody", s3test.Options{}, func(o *s3.Options) { o.Anonymous, o.AccessKeyID, o.SecretAccessKey = true, "", "" }, backend.ErrDenied, []string{"AccessDenied", "attribute anonymous"}},
		{"a clock that is wrong", s3test.Options{Now: func() time.Time { return time.Now().Add(time.Hour) }}, nil, backend.ErrDenied, []string{"RequestTimeTooSkewed", "set the clock"}},
		{"static keys that have expired", s3test.Options{Check: func(string, string) string { return "ExpiredToken" }}, nil, backend.ErrDenied, []string{"ExpiredToken", "attributes access_key_id and secret_access_key"}},
		{"no bucket", s3test.Options{}, nil, backend.ErrNotFound, []string{"NoSuchBucket", "The specified bucket does not exist", "create the bucket elsewhere, or correct attribute bucket"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newFake(t, tt.server)
			o := s3.Options{Endpoint: s.URL, Quirks: "aws", AccessKeyID: accessKey, SecretAccessKey: secretKey}
			if tt.change != nil {
				tt.change(&o)
			}
			name := cache
			if tt.name == "no bucket" {
				name = "elsewhere"
			}
			b, err := s3.Open(t.Context(), name, o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = b.Close() }()
			_, err = b.GetRef(t.Context(), "main")
			if !errors.Is(err, tt.kind) {
				t.Errorf("GetRef() = %v, want %v", err, tt.kind)
			}
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("GetRef() = %v, want it to say %q", err, want)
				}
			}
			if _, temporary := backend.Temporary(err); temporary {
				t.Errorf("Temporary(%v) = true, want false", err)
			}
		})
	}
}

// TestNoPermission shows which right is missing if it is one alone.
func TestNoPermission(t *testing.T) {
	for _, tt := range []struct {
		op, want string
		call     func(context.Context, backend.Backend) error
	}{
		{"GetObject", "allow s3:GetObject on the objects and s3:ListBucket on the bucket cache", func(ctx context.Context, b backend.Backend) error {
			_, err := b.GetRef(ctx, "main")
			return err
		}},
		{"PutObject", "allow s3:PutObject on the bucket cache", func(ctx context.Context, b backend.Backend) error {
			_, err := b.PutRef(ctx, "main", backend.Document{}, backend.Always)
			return err
		}},
		{"DeleteObjects", "allow s3:DeleteObject on the bucket cache", func(ctx context.Context, b backend.Backend) error {
			return b.DeleteRef(ctx, "main", backend.Always)
		}},
		{"ListObjectsV2", "allow s3:ListBucket on the bucket cache", func(ctx context.Context, b backend.Backend) error {
			for _, err := range b.ListRefs(ctx) {
				return err
			}
			return nil
		}},
		{"HeadObject", "allow s3:GetObject on the objects and s3:ListBucket on the bucket cache", func(ctx context.Context, b backend.Backend) error {
			_, err := b.Stat(ctx, digestOf("x"))
			return err
		}},
	} {
		t.Run(tt.op, func(t *testing.T) {
			s := newFake(t, s3test.Options{Deny: func(op string) bool { return op == tt.op }})
			err := tt.call(t.Context(), openFake(t, s, nil))
			if !errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %v that says %q", err, backend.ErrDenied, tt.want)
			}
		})
	}
}

// TestUnknownIsNotAbsent asks for blobs without the right to list: S3 then does
// not say whether one is there, and what cannot be known is not said. Blobs can
// be put all the same.
func TestUnknownIsNotAbsent(t *testing.T) {
	s := newFake(t, s3test.Options{Deny: func(op string) bool { return op == "ListObjectsV2" }})
	b := openFake(t, s, nil)
	if found, err := b.Stat(t.Context(), digestOf("x")); !errors.Is(err, backend.ErrDenied) {
		t.Errorf("Stat(absent, without ListBucket) = %v, %v, want %v", found, err, backend.ErrDenied)
	}
	for _, size := range []int{10, 2 << 20} {
		d := put(t, b, random(size))
		if found, err := b.Stat(t.Context(), d.Digest); err != nil || found[d.Digest].Size != int64(size) {
			t.Errorf("Stat(present, without ListBucket) = %v, %v, want %d bytes", found, err, size)
		}
	}
}

// TestCredentialsAreRenewed shows that credentials are asked for again before
// they expire, and after the store has refused them.
func TestCredentialsAreRenewed(t *testing.T) {
	for _, tt := range []struct {
		name    string
		expires bool
		// good says which tokens the store takes.
		good func(token string) bool
	}{
		{"before they expire", true, func(string) bool { return true }},
		{"after they were refused", false, func(token string) bool { return token != "token 1" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newFake(t, s3test.Options{Check: func(_, token string) string {
				if tt.good(token) {
					return ""
				}
				return "ExpiredToken"
			}})
			p := &provider{expires: tt.expires}
			b := openFake(t, s, func(o *s3.Options) { o.AccessKeyID, o.SecretAccessKey, o.Credentials = "", "", p })
			_, err := b.GetRef(t.Context(), "main")
			if _, temporary := backend.Temporary(err); temporary != !tt.expires {
				t.Errorf("Temporary(GetRef() = %v) = %t, want %t", err, temporary, !tt.expires)
			}
			if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrNotFound) {
				t.Errorf("GetRef(again) = %v, want %v", err, backend.ErrNotFound)
			}
			if p.asked < 2 {
				t.Errorf("credentials were asked for %d times, want at least 2", p.asked)
			}
		})
	}
}

// provider gives another token each time.
type provider struct {
	expires bool
	asked   int
}

func (p *provider) Retrieve(context.Context) (aws.Credentials, error) {
	p.asked++
	c := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey, SessionToken: "token " + string(rune('0'+p.asked))}
	if p.expires {
		c.CanExpire, c.Expires = true, time.Now()
	}
	return c, nil
}

// TestCredentialsFail shows that a failure to find credentials is told, with
// where they were looked for.
func TestCredentialsFail(t *testing.T) {
	s := newFake(t, s3test.Options{})
	b := openFake(t, s, func(o *s3.Options) {
		o.AccessKeyID, o.SecretAccessKey, o.Credentials = "", "", failing{}
	})
	_, err := b.GetRef(t.Context(), "main")
	if !errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), "the vault is sealed") || !strings.Contains(err.Error(), "the application") {
		t.Errorf("GetRef(no credentials) = %v, want %v that says why and whose they are", err, backend.ErrDenied)
	}
	if got := s.Requests(); len(got) > 0 {
		t.Errorf("GetRef(no credentials) sent %q, want nothing", got)
	}
}

type failing struct{}

func (failing) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{}, errors.New("the vault is sealed")
}
