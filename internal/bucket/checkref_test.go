package bucket_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/bucket/buckettest"
)

// TestCheckRef shows that names which a service would change are refused, and
// objects of such names are no refs.
func TestCheckRef(t *testing.T) {
	m := buckettest.NewMemory()
	opts := options()
	opts.CheckRef = func(name string) error {
		if strings.Contains(name, "!") {
			return fmt.Errorf("%w: no exclamation marks", backend.ErrInvalid)
		}
		return nil
	}
	b := bucket.New(t.Context(), m, opts)
	m.Set("p/manifests/a!", []byte("{}"))
	m.Set("p/manifests/b", []byte("{}"))
	_, getErr := b.GetRef(t.Context(), "a!")
	_, putErr := b.PutRef(t.Context(), "a!", backend.Document{}, backend.Always)
	for call, err := range map[string]error{
		"GetRef": getErr, "PutRef": putErr, "DeleteRef": b.DeleteRef(t.Context(), "a!", backend.Always),
	} {
		if !errors.Is(err, backend.ErrInvalid) {
			t.Errorf("%s(refused name) = %v, want %v", call, err, backend.ErrInvalid)
		}
	}
	var names []string
	for r, err := range b.ListRefs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, r.Name)
	}
	if len(names) != 1 || names[0] != "b" {
		t.Errorf("ListRefs() = %q, want b alone", names)
	}
}
