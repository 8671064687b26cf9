package blob_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/larder-build/larder/blob"
)

// hexOf is the sha256 sum of data in hexadecimal.
func hexOf(data string) string {
	sum := sha256.Sum256([]byte(data))
	return hex.EncodeToString(sum[:])
}

func TestCheckDigest(t *testing.T) {
	zeros := strings.Repeat("0", 64)
	tests := []struct {
		name   string
		digest string
		ok     bool
	}{
		{"good", "sha256:" + hexOf("x"), true},
		{"all digits", "sha256:0123456789abcdef" + zeros[16:], true},
		{"empty", "", false},
		{"algorithm only", "sha256:", false},
		{"no algorithm", zeros, false},
		{"no colon", "sha256" + zeros, false},
		{"upper-case algorithm", "SHA256:" + zeros, false},
		{"upper-case digits", "sha256:" + strings.Repeat("A", 64), false},
		{"short", "sha256:" + zeros[1:], false},
		{"long", "sha256:" + zeros + "0", false},
		{"no hexadecimal at the start", "sha256:g" + zeros[1:], false},
		{"no hexadecimal inside", "sha256:" + zeros[:30] + "g" + zeros[31:], false},
		{"slash inside", "sha256:" + zeros[:30] + "/" + zeros[31:], false},
		{"space around", " sha256:" + zeros, false},
		{"newline at the end", "sha256:" + zeros[1:] + "\n", false},
		{"zero byte", "sha256:" + zeros[1:] + "\x00", false},
		{"digits of two bytes", "sha256:" + strings.Repeat("é", 32), false},
		{"two algorithms", "sha256:sha256:" + zeros[7:], false},
		{"sha512", "sha512:" + zeros + zeros, false},
		{"path", "sha256:../../../../etc/passwd", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := blob.CheckDigest(blob.Digest(test.digest))
			if test.ok && err != nil {
				t.Errorf("CheckDigest(%q) = %v, want nil", test.digest, err)
			}
			if !test.ok && (!errors.Is(err, blob.ErrInvalid) || !errors.Is(err, fs.ErrInvalid)) {
				t.Errorf("CheckDigest(%q) = %v, want ErrInvalid", test.digest, err)
			}
		})
	}
}

func FuzzCheckDigest(f *testing.F) {
	f.Add("sha256:" + hexOf("x"))
	f.Add("sha256:")
	f.Add("sha512:" + strings.Repeat("0", 128))
	f.Add("sha256:" + strings.Repeat("0", 63) + "\n")
	f.Fuzz(func(t *testing.T, s string) {
		accepted := blob.CheckDigest(blob.Digest(s)) == nil
		sum, err := hex.DecodeString(strings.TrimPrefix(s, "sha256:"))
		want := err == nil && len(sum) == sha256.Size && s == "sha256:"+hex.EncodeToString(sum)
		if accepted != want {
			t.Errorf("CheckDigest(%q) accepts = %v, want %v", s, accepted, want)
		}
		// Every digest accepted is one to the library that others use.
		if accepted && blob.Digest(s).Validate() != nil {
			t.Errorf("CheckDigest(%q) = nil, but go-digest refuses it", s)
		}
	})
}

func TestCheckDescriptor(t *testing.T) {
	good := blob.Describe("text/plain", []byte("x"))
	tests := []struct {
		name   string
		change func(*blob.Descriptor)
		ok     bool
	}{
		{"good", func(*blob.Descriptor) {}, true},
		{"no media type", func(d *blob.Descriptor) { d.MediaType = "" }, true},
		{"empty blob", func(d *blob.Descriptor) { d.Size = 0 }, true},
		{"negative size", func(d *blob.Descriptor) { d.Size = -1 }, false},
		{"no digest", func(d *blob.Descriptor) { d.Digest = "" }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := good
			test.change(&d)
			if err := blob.CheckDescriptor(d); (err == nil) != test.ok || (!test.ok && !errors.Is(err, blob.ErrInvalid)) {
				t.Errorf("CheckDescriptor(%+v) = %v, want ok %v", d, err, test.ok)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	d := blob.Describe("text/plain", []byte("hello"))
	if want := blob.Digest("sha256:" + hexOf("hello")); d.Digest != want || d.Size != 5 || d.MediaType != "text/plain" {
		t.Errorf("Describe(hello) = %+v, want digest %s, size 5 and the media type", d, want)
	}
}

func TestQuote(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "a", `"a"`},
		{"control characters", "a\x1b[2J\n", `"a\x1b[2J\n"`},
		{"as long as may be", strings.Repeat("a", 100), `"` + strings.Repeat("a", 100) + `"`},
		{"too long", strings.Repeat("a", 101), `"` + strings.Repeat("a", 100) + `"…`},
		{"cut inside a character", strings.Repeat("a", 99) + "é", `"` + strings.Repeat("a", 99) + `\xc3"…`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := blob.Quote(test.in); got != test.want {
				t.Errorf("Quote(%q) = %s, want %s", test.in, got, test.want)
			}
		})
	}
}

func TestSentinels(t *testing.T) {
	if errors.Is(blob.ErrCorrupt, blob.ErrInvalid) || errors.Is(blob.ErrTooLarge, fs.ErrInvalid) {
		t.Error("the sentinels match each other, want them apart")
	}
	other := blob.NewSentinel("corrupt", nil)
	if errors.Is(other, blob.ErrCorrupt) {
		t.Error("a sentinel of the same text matches ErrCorrupt, want identity")
	}
	if own := blob.NewSentinel("gone", context.Canceled); !errors.Is(own, context.Canceled) || own.Error() != "gone" {
		t.Errorf("NewSentinel(gone, canceled) = %v, want gone matching canceled", own)
	}
}
