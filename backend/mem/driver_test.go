package mem_test

import (
	"errors"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
)

func newMux() *backend.Mux {
	m := &backend.Mux{}
	m.Register(mem.Driver())
	return m
}

func open(t *testing.T, m *backend.Mux, location string) backend.Backend {
	t.Helper()
	l, err := m.Parse(location)
	if err != nil {
		t.Fatalf("Parse(%s) = %v, want nil", location, err)
	}
	b, err := m.Open(t.Context(), l)
	if err != nil {
		t.Fatalf("Open(%s) = %v, want nil", location, err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestDriverSharesStoresByName(t *testing.T) {
	m := newMux()
	writer := open(t, m, "type=mem,store=a")
	if _, err := writer.PutRef(t.Context(), "main", backend.Document{Data: []byte("x")}, backend.Always); err != nil {
		t.Fatalf("PutRef(main) = %v, want nil", err)
	}
	for _, tt := range []struct {
		name string
		b    backend.Backend
		want error
	}{
		{"same store", open(t, m, "type=mem,store=a"), nil},
		{"same store as a URL", open(t, m, "mem://a?name=other"), nil},
		{"other store", open(t, m, "mem://b"), backend.ErrNotFound},
		{"default store", open(t, m, "type=mem"), backend.ErrNotFound},
		{"same name of another driver", open(t, newMux(), "mem://a"), backend.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.b.GetRef(t.Context(), "main"); !errors.Is(err, tt.want) {
				t.Errorf("GetRef(main) = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestDriverLocations(t *testing.T) {
	m := newMux()
	for _, tt := range []struct {
		name, in, want, url string
	}{
		{"default", "type=mem", "type=mem", "mem://"},
		{"host", "mem://a-1?name=main", "type=mem,store=a-1,name=main", "mem://a-1?name=main"},
		{"store that is no host", "type=mem,store=A b", "type=mem,store=A b", "mem://?store=A%20b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := m.Parse(tt.in)
			if err != nil {
				t.Fatalf("Parse(%s) = %v, want nil", tt.in, err)
			}
			if got := l.String(); got != tt.want {
				t.Errorf("Parse(%s).String() = %s, want %s", tt.in, got, tt.want)
			}
			if got := l.URL(); got != tt.url {
				t.Errorf("Parse(%s).URL() = %s, want %s", tt.in, got, tt.url)
			}
			if again, err := m.Parse(l.URL()); err != nil || !again.Equal(l) {
				t.Errorf("Parse(%s) = %v, %v, want %v", l.URL(), again, err, l)
			}
		})
	}
}

func TestDriverRefusesAnotherEncoding(t *testing.T) {
	m := newMux()
	b := open(t, m, "type=mem,store=a,encoding=oci-manifest")
	if got := b.Info().Encoding; got != mem.EncodingOCIManifest {
		t.Errorf("Info().Encoding = %s, want %s", got, mem.EncodingOCIManifest)
	}
	l, err := m.Parse("type=mem,store=a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Open(t.Context(), l); !errors.Is(err, backend.ErrInvalid) {
		t.Errorf("Open(%s) = %v, want %v", l, err, backend.ErrInvalid)
	}
}
