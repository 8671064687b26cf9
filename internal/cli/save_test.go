package cli

import (
	"fmt"
	"io/fs"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob/archive"
)

func TestCanSkip(t *testing.T) {
	denied := func(path string) error { return &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission} }
	tests := []struct {
		name string
		err  error
		want bool
	}{
		{"nothing", nil, false},
		{"a file", fmt.Errorf("directory d: %w", &archive.FileError{Path: "f", Err: denied("d/f")}), true},
		{"a directory in it", denied("d/sub"), true},
		{"the directory itself", denied("d"), false},
		{"a file that is gone", &fs.PathError{Op: "open", Path: "d/f", Err: fs.ErrNotExist}, false},
		{"a file that changes", &archive.FileError{Path: "f", Err: archive.ErrChanged}, true},
		{"a name that layers cannot hold", &archive.FileError{Path: ".wh.f", Err: backend.ErrInvalid}, true},
		{"the store", &backend.Error{Op: "put", Backend: "local", Kind: backend.ErrDenied, Err: denied("store/blobs")}, false},
	}
	for _, tt := range tests {
		if got := canSkip(tt.err, []string{"d"}); got != tt.want {
			t.Errorf("%s: canSkip(%v) = %t, want %t", tt.name, tt.err, got, tt.want)
		}
	}
}
