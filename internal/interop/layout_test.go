package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// layout is a directory of type=local.
type layout string

func (l layout) source(tag string) string { return "type=local,src=" + string(l) + ",tag=" + tag }

func (l layout) target(tag string) string { return "type=local,dest=" + string(l) + ",tag=" + tag }

func (l layout) everything() string { return "type=local,src=" + string(l) }

func (l layout) path(digest string) string {
	return filepath.Join(string(l), "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

// digest returns what a tag points to.
func (l layout) digest(tag string) (string, error) {
	text, err := os.ReadFile(filepath.Join(string(l), "index.json"))
	if err != nil {
		return "", err
	}
	var index struct{ Manifests []descriptor }
	if err := json.Unmarshal(text, &index); err != nil {
		return "", err
	}
	for _, d := range index.Manifests {
		if d.Annotations["org.opencontainers.image.ref.name"] == tag {
			return d.Digest, nil
		}
	}
	return "", fmt.Errorf("%s: no tag %q in index.json", l, tag)
}

func (l layout) mustDigest(t *testing.T, tag string) string {
	t.Helper()
	digest, err := l.digest(tag)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func (l layout) document(t *testing.T, tag string) []byte {
	t.Helper()
	return l.blob(t, l.mustDigest(t, tag))
}

func (l layout) blob(t *testing.T, digest string) []byte {
	t.Helper()
	content, err := os.ReadFile(l.path(digest))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// spoil puts a file in the place of a blob, as BuildKit stores blobs read-only.
func (l layout) spoil(t *testing.T, digest string, d damage) {
	t.Helper()
	content := d(l.blob(t, digest))
	err := os.Remove(l.path(digest))
	if content != nil {
		err = errors.Join(err, os.WriteFile(l.path(digest), content, 0o444))
	}
	if err != nil {
		t.Fatal(err)
	}
}
