package backend_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
)

func TestCheckRefName(t *testing.T) {
	for _, tt := range []struct {
		name, ref string
		want      error
	}{
		{"plain", "main", nil},
		{"slashes", "feature/a/b", nil},
		{"space inside", "a b", nil},
		{"not ASCII", "grüße/日本", nil},
		{"dots inside", "v1.2..3", nil},
		{"leading dot", ".x", nil},
		{"three dots", "...", nil},
		{"punctuation", `!"#$%&'()*+-.:<=>?@[\]^_{|}~`, nil},
		{"longest", strings.Repeat("n", backend.MaxRefName), nil},
		{"digest", "sha256:" + strings.Repeat("0", 64), nil},
		{"empty", "", backend.ErrInvalid},
		{"too long", strings.Repeat("n", backend.MaxRefName+1), backend.ErrInvalid},
		{"too long in bytes", strings.Repeat("ü", 128), backend.ErrInvalid},
		{"not UTF-8", "a\xff", backend.ErrInvalid},
		{"control character", "a\x01b", backend.ErrInvalid},
		{"C1 control character", "a\u0085b", backend.ErrInvalid},
		{"comma", "a,b", backend.ErrInvalid},
		{"semicolon", "a;b", backend.ErrInvalid},
		{"leading space", " a", backend.ErrInvalid},
		{"trailing wide space", "a\u3000", backend.ErrInvalid},
		{"leading slash", "/a", backend.ErrInvalid},
		{"trailing slash", "a/", backend.ErrInvalid},
		{"empty part", "a//b", backend.ErrInvalid},
		{"dot", "a/./b", backend.ErrInvalid},
		{"dot dot", "a/../b", backend.ErrInvalid},
		{"nothing but dots", "..", backend.ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := backend.CheckRefName(tt.ref); !errors.Is(err, tt.want) {
				t.Errorf("CheckRefName(%q) = %v, want %v", tt.ref, err, tt.want)
			}
		})
	}
}

func TestIsDigest(t *testing.T) {
	good := "sha256:" + strings.Repeat("0a", 32)
	for name, want := range map[string]bool{
		good: true, "main": false, "": false, good + "0": false, good[1:]: false,
		strings.ToUpper(good): false, "sha512:" + strings.Repeat("0", 128): false,
	} {
		if got := backend.IsDigest(name); got != want {
			t.Errorf("IsDigest(%q) = %t, want %t", name, got, want)
		}
	}
}

func FuzzCheckRefName(f *testing.F) {
	f.Add("main")
	f.Add("a/../b")
	f.Fuzz(func(t *testing.T, name string) {
		if backend.CheckRefName(name) != nil {
			return
		}
		if name == "" || len(name) > backend.MaxRefName || strings.ContainsAny(name, "\x00\n,;") || strings.TrimSpace(name) != name {
			t.Errorf("CheckRefName(%q) = nil, want an error", name)
		}
		if strings.Contains("/"+name+"/", "/../") || strings.Contains("/"+name+"/", "//") {
			t.Errorf("CheckRefName(%q) = nil, want an error for its path", name)
		}
	})
}
