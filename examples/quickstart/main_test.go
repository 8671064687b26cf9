package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The times and the compressed sizes are not for a test to know.
const jobText = `1. Save a directory under the key monday, and again:
   421 names, 1.6 MB: wrote 1 of 1 layers, N MB, in T
   421 names, 1.6 MB: wrote 0 of 1 layers, N MB, in T

2. Restore it into an empty directory:
   fetched 1 of 1 layers, N MB, and wrote 421 names in T

3. Change 4 files, one in a hundred, and save it under the key tuesday:
   421 names, 1.6 MB: wrote 1 of 2 layers, N MB, in T

4. Restore that over what was restored before:
   fetched 1 of 2 layers, N MB, and wrote 4 names in T

5. Look for a key that nobody has saved, then for any from a Tuesday:
   exact: false, found tuesday
`

// source makes a directory of 400 files in 20 directories.
func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	random := rand.NewChaCha8([32]byte{})
	for i := range 400 {
		content := make([]byte, 4000)
		_, _ = random.Read(content) // never fails
		path := filepath.Join(dir, fmt.Sprintf("package%02d", i/20), fmt.Sprintf("file%03d", i))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func inTemp(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir) // Windows.
	return dir
}

func TestJob(t *testing.T) {
	from, temp := source(t), inTemp(t)
	var out bytes.Buffer
	if err := run(t.Context(), &out, from); err != nil {
		t.Fatalf("run() = %v", err)
	}
	got := regexp.MustCompile(`in [0-9.]+m?s`).ReplaceAllString(out.String(), "in T")
	got = regexp.MustCompile(`layers, [0-9.]+ MB`).ReplaceAllString(got, "layers, N MB")
	if diff := cmp.Diff(jobText, got); diff != "" {
		t.Errorf("run() prints (-want +got):\n%s", diff)
	}
	checkEmpty(t, temp)
}

func TestJobCanceled(t *testing.T) {
	from, temp := source(t), inTemp(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, &bytes.Buffer{}, from); !errors.Is(err, context.Canceled) {
		t.Errorf("run(canceled) = %v, want context.Canceled", err)
	}
	checkEmpty(t, temp)
}

func TestJobWithoutSource(t *testing.T) {
	inTemp(t)
	if err := run(t.Context(), &bytes.Buffer{}, "none"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "none") {
		t.Errorf("run(none) = %v, want %v", err, os.ErrNotExist)
	}
}

// checkEmpty fails the test if the job left something behind.
func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range left {
		t.Errorf("left behind: %s", filepath.Join(dir, file.Name()))
	}
}
