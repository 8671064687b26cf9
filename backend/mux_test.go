package backend_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
)

// wrapped is a wrapper that remembers for which location it was made.
type wrapped struct {
	backend.Backend
	location string
}

func (w wrapped) Unwrap() backend.Backend { return w.Backend }

func TestMuxOpen(t *testing.T) {
	m := locationMux()
	m.Wrap = func(b backend.Backend, l backend.Location) backend.Backend {
		return wrapped{b, l.String()}
	}
	b, err := m.Open(t.Context(), parse(t, m, "type=local,dest=/c,tag=main"))
	if err != nil {
		t.Fatalf("Open() = %v, want a backend", err)
	}
	w, ok := b.(wrapped)
	if want := "type=local,dest=/c,tag=main"; !ok || w.location != want {
		t.Errorf("Open() = %#v, want the wrapper of %s", b, want)
	}
	o, ok := backend.As[*opened](b)
	if !ok || o.location.Value("src") != "/c" {
		t.Errorf("the driver opened %v, want /c", o)
	}
}

// TestMuxOpenOptions shows that drivers get what the application set, and a
// logger and clock in any case.
func TestMuxOpenOptions(t *testing.T) {
	m := locationMux()
	open := func() backend.OpenOptions {
		b, err := m.Open(t.Context(), parse(t, m, "/c"))
		if err != nil {
			t.Fatalf("Open() = %v, want a backend", err)
		}
		o, ok := b.(*opened)
		if !ok {
			t.Fatalf("Open() = %T, want the driver's own backend", b)
		}
		return o.options
	}
	got := open()
	if got.Getenv != nil || got.Transport != nil || got.TempDir != "" {
		t.Errorf("options = %+v, want no environment, transport and directory", got)
	}
	if got.Logger.Enabled(t.Context(), slog.LevelError) || got.Now().IsZero() {
		t.Errorf("options = %+v, want a silent logger and a clock", got)
	}

	then := time.Unix(7, 0)
	m.Options = backend.OpenOptions{
		Getenv: func(string) string { return "set" }, Logger: slog.Default(), Transport: http.DefaultTransport,
		Now: func() time.Time { return then }, TempDir: "/t",
	}
	got = open()
	if got.Getenv("x") != "set" || got.Logger != slog.Default() || got.Transport != http.DefaultTransport || got.TempDir != "/t" || !got.Now().Equal(then) {
		t.Errorf("options = %+v, want those of the Mux", got)
	}
}

func TestMuxOpenFails(t *testing.T) {
	broken := layoutDriver()
	cause := errors.New("no such disk")
	broken.Open = func(context.Context, backend.Location, backend.OpenOptions) (backend.Backend, error) {
		return nil, cause
	}
	m := new(backend.Mux)
	m.Register(broken)
	m.Wrap = func(b backend.Backend, _ backend.Location) backend.Backend {
		t.Errorf("Wrap(%v) was called after a failure", b)
		return b
	}
	l := parse(t, m, "/c")
	if _, err := m.Open(t.Context(), l); !errors.Is(err, cause) {
		t.Errorf("Open() = %v, want %v", err, cause)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Open(ctx, l); !errors.Is(err, context.Canceled) {
		t.Errorf("Open() = %v with an ended context, want %v", err, context.Canceled)
	}
}

// TestMuxOpenForeignLocation shows that a location is judged by the Mux that
// opens it, whichever parsed it.
func TestMuxOpenForeignLocation(t *testing.T) {
	l := parse(t, locationMux(), "s3://b?region=r")
	_, err := new(backend.Mux).Open(t.Context(), l)
	wantInvalid(t, "Open()", err)

	narrow := bucketDriver()
	narrow.Attrs[1].Check = backend.OneOf("eu-west-1")
	m := new(backend.Mux)
	m.Register(narrow)
	_, err = m.Open(t.Context(), l)
	wantInvalid(t, "Open()", err)
}

func TestMuxEnvironment(t *testing.T) {
	for _, test := range []struct {
		name, text string
		env        map[string]string
		want       string // what is opened, or what the error says
	}{
		{"fills in", "s3://b", map[string]string{"AWS_REGION": "eu"}, "type=s3,bucket=b,region=eu"},
		{"first variable first", "s3://b", map[string]string{"AWS_REGION": "eu", "AWS_DEFAULT_REGION": "us"}, "type=s3,bucket=b,region=eu"},
		{"second variable second", "s3://b", map[string]string{"AWS_DEFAULT_REGION": "us"}, "type=s3,bucket=b,region=us"},
		{"attribute first", "s3://b?region=r", map[string]string{"AWS_REGION": "eu"}, "type=s3,bucket=b,region=r"},
		{"everything", "type=s3", map[string]string{"AWS_REGION": "eu", "AWS_BUCKET": "e"}, "type=s3,bucket=e,region=eu"},
		{"nothing", "s3://b", nil, "attribute region is missing for type=s3, nor in the environment as AWS_REGION or AWS_DEFAULT_REGION"},
		{"checked", "s3://b", map[string]string{"AWS_REGION": "eu "}, "environment variable AWS_REGION: invalid location: attribute region has a space"},
		{"other variables", "s3://b?region=r", map[string]string{"REGION": "x", "AWS_SECRET_ACCESS_KEY": "x"}, "type=s3,bucket=b,region=r"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := locationMux()
			consulted := false
			m.Options.Getenv = func(name string) string { consulted = true; return test.env[name] }
			l := parse(t, m, test.text)
			if consulted {
				t.Error("Parse consulted the environment, want it to wait for Open")
			}
			b, err := m.Open(t.Context(), l)
			if err != nil {
				wantInvalid(t, "Open()", err)
				if !strings.Contains(err.Error(), test.want) {
					t.Errorf("Open() = %v, want %s", err, test.want)
				}
				return
			}
			if got := b.Info().Location; got != test.want {
				t.Errorf("Open(%s) opened %s, want %s", test.text, got, test.want)
			}
		})
	}
}

func TestMuxMake(t *testing.T) {
	m := locationMux()
	for _, test := range []struct {
		name, typ string
		attrs     map[string]string
	}{
		{"unknown type", "x", nil},
		{"unknown key", "gha", map[string]string{"mod": "max"}},
		{"key in upper case", "gha", map[string]string{"Scope": "x"}},
		{"malformed key", "gha", map[string]string{"": "x"}},
		{"type among the attributes", "gha", map[string]string{"type": "gha"}},
		{"missing", "local", nil},
		{"empty", "gha", map[string]string{"scope": ""}},
	} {
		l, err := m.Make(test.typ, test.attrs)
		wantInvalid(t, "Make("+test.name+")", err)
		if !l.IsZero() {
			t.Errorf("Make(%s) = %v with an error, want the zero Location", test.name, l)
		}
	}
}

func TestMuxDrivers(t *testing.T) {
	m := locationMux()
	var types []string
	for _, d := range m.Drivers() {
		types = append(types, d.Type)
	}
	if diff := cmp.Diff([]string{"local", "s3", "registry", "gha"}, types); diff != "" {
		t.Errorf("Drivers() differ (-want +got):\n%s", diff)
	}
	m.Drivers()[0].Type = "changed"
	if m.Drivers()[0].Type != "local" {
		t.Error("Drivers() gives the Mux's own slice, want a copy")
	}
}

func TestMuxRegisterPanics(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(d *backend.Driver)
	}{
		{"type is taken", func(d *backend.Driver) { d.Type = "local" }},
		{"no type", func(d *backend.Driver) { d.Type = "" }},
		{"type of one letter", func(d *backend.Driver) { d.Type = "x" }},
		{"type in upper case", func(d *backend.Driver) { d.Type = "X" }},
		{"no Open", func(d *backend.Driver) { d.Open = nil }},
		{"attribute twice", func(d *backend.Driver) { d.Attrs = append(d.Attrs, backend.Attr{Name: "mode"}) }},
		{"alias twice", func(d *backend.Driver) { d.Attrs = append(d.Attrs, backend.Attr{Name: "x", Aliases: []string{"mode"}}) }},
		{"attribute type", func(d *backend.Driver) { d.Attrs = append(d.Attrs, backend.Attr{Name: "type"}) }},
		{"attribute in upper case", func(d *backend.Driver) { d.Attrs = append(d.Attrs, backend.Attr{Name: "Key"}) }},
		{"attribute without name", func(d *backend.Driver) { d.Attrs = append(d.Attrs, backend.Attr{}) }},
		{"unknown ref attribute", func(d *backend.Driver) { d.Refs.Attr = "x" }},
		{"unknown digest attribute", func(d *backend.Driver) { d.Refs.Digest = "x" }},
		{"ref attribute with alias", func(d *backend.Driver) { d.Attrs[1].Aliases = []string{"x"} }},
		{"Split without Join", func(d *backend.Driver) { d.Refs.Split = func(string) ([]string, error) { return nil, nil } }},
		{"half a URL", func(d *backend.Driver) {
			d.URL.Format = func(map[string]string) *url.URL { return nil }
			d.URL.Parse = nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := locationMux()
			d := layoutDriver()
			d.Type = "other"
			test.change(&d)
			defer func() {
				if recover() == nil {
					t.Errorf("Register(%s) returned, want a panic", d.Type)
				}
				if got := len(m.Drivers()); got != 4 {
					t.Errorf("the Mux has %d drivers, want the 4 from before", got)
				}
			}()
			m.Register(d)
		})
	}
}

func TestAttributeChecks(t *testing.T) {
	for _, test := range []struct {
		name      string
		check     func(string) error
		good, bad string
	}{
		{"Bool", backend.Bool, "true false 1 0 t f TRUE", "yes on 2 tRUE"},
		{"OneOf", backend.OneOf("min", "max"), "min max", "MIN mi"},
		{"IntBetween", backend.IntBetween(-1, 3), "-1 0 3", "-2 4 x 1.5 0x1 99999999999999999999"},
		{"Duration", backend.Duration, "0 0s 24h 1h30m", "1d -1s 24"},
		{"Digest", backend.Digest, someDigest, "sha256:12 main " + strings.ToUpper(someDigest)},
		{"HTTPURL", backend.HTTPURL, "http://h https://h:1/p http://[::1]:9000", "h h:1 //h ftp://h http:// http://u@h http://u:p@h http://h?a=b http://h? http://h# http://h:x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for value := range strings.FieldsSeq(test.good) {
				if err := test.check(value); err != nil {
					t.Errorf("%s(%q) = %v, want nil", test.name, value, err)
				}
			}
			for value := range strings.FieldsSeq(test.bad) {
				if err := test.check(value); err == nil {
					t.Errorf("%s(%q) = nil, want an error", test.name, value)
				}
			}
		})
	}
}
