package larder_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// around is what a snippet of the README is a part of.
const around = `package readme

import (
	"context"
	"fmt"
	"log"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend/all"
	"github.com/larder-build/larder/manifest"
)

func readme(ctx context.Context) error {
SNIPPET
	return nil
}
`

// TestReadme compiles the README's Go.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	snippets := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(snippets) == 0 {
		t.Fatal("README.md has no snippet in Go")
	}
	for _, snippet := range snippets {
		file := filepath.Join(t.TempDir(), "readme.go")
		if err := os.WriteFile(file, []byte(strings.Replace(around, "SNIPPET", string(snippet[1]), 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
			t.Errorf("go vet: %v\n%s\nof the snippet\n%s", err, out, snippet[1])
		}
	}
}
