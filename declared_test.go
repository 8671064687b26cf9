package larder

import (
	"strconv"
	"testing"

	"github.com/larder-build/larder/blob/archive"
	"github.com/larder-build/larder/blob/compress"
	"github.com/larder-build/larder/manifest"
)

func TestSizeBound(t *testing.T) {
	declaring := func(text string) manifest.Layer {
		return manifest.Layer{Annotations: map[string]string{AnnotationTarSize: text}}
	}
	huge := int64(compress.DefaultMaxSize + 5000)
	tests := []struct {
		name   string
		layers []manifest.Layer
		want   int64
	}{
		{"none", nil, compress.DefaultMaxSize},
		{"undeclared", []manifest.Layer{{}}, compress.DefaultMaxSize},
		{"small", []manifest.Layer{declaring("4096")}, compress.DefaultMaxSize},
		{"malformed", []manifest.Layer{declaring("1e30"), declaring("-1"), declaring("99999999999999999999")}, compress.DefaultMaxSize},
		{"larger", []manifest.Layer{declaring("4096"), declaring(strconv.FormatInt(huge, 10)), {}}, huge},
	}
	for _, tt := range tests {
		if got := sizeBound(tt.layers); got != tt.want {
			t.Errorf("%s: sizeBound() = %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestBoundsOfARestoreHoldItsTars has a file so large that its tar, with a header,
// is larger than both the files and the default bound.
func TestBoundsOfARestoreHoldItsTars(t *testing.T) {
	const file, overhead = int64(compress.DefaultMaxSize) + 1, 1536
	layer := manifest.Layer{Annotations: map[string]string{AnnotationTarSize: strconv.FormatInt(file+overhead, 10)}}
	u := &unpacking{dir: savedDirectory{bytes: file, layers: []manifest.Layer{layer}}}
	if got := u.extractOptions().Bounds.MaxSize; got < file+overhead {
		t.Errorf("the bound is %d, want at least the %d of the tar", got, file+overhead)
	}
	u.opts.Extract = archive.ExtractOptions{Bounds: compress.Options{MaxSize: 1000}}
	if got := u.extractOptions().Bounds.MaxSize; got != 1000 {
		t.Errorf("the bound is %d, want the caller's 1000", got)
	}
}
