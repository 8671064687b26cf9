package larder_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend/mem"
)

// workspace makes a directory for an example, with a file in a directory deps
// below it. The caller removes it.
func workspace(content string) string {
	dir, err := os.MkdirTemp("", "larder-example-")
	if err != nil {
		panic(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "deps"), 0o755); err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "deps", "library"), []byte(content), 0o644); err != nil {
		panic(err)
	}
	return dir
}

// A job saves what it has installed, under a key that names what that depends
// on. If nothing has changed, nothing is sent.
func ExampleSave() {
	ctx := context.Background()
	dir := workspace("version 1")
	defer os.RemoveAll(dir)
	deps := []larder.Directory{{Path: filepath.Join(dir, "deps"), Name: "deps"}}
	cache := []larder.Target{{Backend: mem.New(), Ref: "main"}}

	for range 2 {
		saved, err := larder.Save(ctx, "deps-1111", deps, cache, larder.SaveOptions{})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(saved.Key, saved.Targets[0].Outcome)
	}
	// Output:
	// deps-1111 published
	// deps-1111 unchanged
}

// A restore takes the key itself, or the newest that begins with a prefix.
func ExampleRestore() {
	ctx := context.Background()
	dir := workspace("version 1")
	defer os.RemoveAll(dir)
	cache := []larder.Target{{Backend: mem.New(), Ref: "main"}}
	deps := []larder.Directory{{Path: filepath.Join(dir, "deps"), Name: "deps"}}
	if _, err := larder.Save(ctx, "deps-1111", deps, cache, larder.SaveOptions{}); err != nil {
		fmt.Println(err)
		return
	}

	into := filepath.Join(dir, "elsewhere")
	restored, err := larder.Restore(ctx, "deps-2222", cache, larder.RestoreOptions{Prefixes: []string{"deps-"}, Into: into})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(restored.Hit, restored.Exact, restored.Key)
	content, err := os.ReadFile(filepath.Join(into, "deps", "library"))
	fmt.Println(string(content), err)
	// Output:
	// true false deps-1111
	// version 1 <nil>
}

// Whether there is anything to restore can be found out without restoring it.
func ExampleLookup() {
	ctx := context.Background()
	cache := []larder.Target{{Backend: mem.New(), Ref: "main"}}
	found, err := larder.Lookup(ctx, "deps-2222", cache, larder.RestoreOptions{Prefixes: []string{"deps-"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(found.Hit)
	// Output: false
}
