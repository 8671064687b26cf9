package soak_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// memoryLimit is how much memory the command may take at most, in bytes, whatever
// it saves or restores.
const memoryLimit = 128 << 20

// TestPeakMemory saves and restores a tree of many files, a large one and one of
// many holes by the command, and asks the system how much memory that took.
func TestPeakMemory(t *testing.T) {
	command := filepath.Join(t.TempDir(), "larder")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", command, "../../examples/larder").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	work := t.TempDir()
	plant(t, filepath.Join(work, "tree"))
	for _, args := range [][]string{
		{"save", "--to", "local:store?tag=main", "--key", "k", "tree"},
		{"save", "--to", "local:store?tag=main", "--key", "k", "tree"},
		{"restore", "--from", "local:store?tag=main", "--key", "k", "--into", "copy"},
		{"restore", "--from", "local:store?tag=main", "--key", "k", "--into", "copy", "--check", "--exact"},
	} {
		cmd := exec.CommandContext(t.Context(), command, append(args, "--quiet")...)
		cmd.Dir, cmd.Env = work, append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(work, "remembered"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("larder %q: %v\n%s", args, err, out)
		}
		usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok {
			t.Fatal("the system does not tell how much memory a process took")
		}
		took := usage.Maxrss << 10 // given in KiB
		if took > memoryLimit {
			t.Errorf("larder %q took %d MiB of memory, want at most %d", args, took>>20, memoryLimit>>20)
		}
		t.Logf("larder %s: %d MiB", args[0], took>>20)
	}
}

// plant makes the tree.
func plant(t *testing.T, dir string) {
	t.Helper()
	small := make([]byte, 2000)
	for i := range sized(2_000, 30_000) {
		name := filepath.Join(dir, fmt.Sprintf("d%03d", i/100), fmt.Sprintf("f%02d", i%100))
		_, _ = rand.Read(small[:1000]) // it never fails
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, small, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	large, err := os.Create(filepath.Join(dir, "large"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.CopyN(large, rand.Reader, int64(sized(48, 512))<<20)
	sparse, createErr := os.Create(filepath.Join(dir, "sparse"))
	if err := errors.Join(err, large.Close(), createErr); err != nil {
		t.Fatal(err)
	}
	gigabytes := int64(sized(1, 20))
	err = sparse.Truncate(gigabytes << 30)
	for i := range gigabytes {
		_, writeErr := sparse.WriteAt(small, i<<30)
		err = errors.Join(err, writeErr)
	}
	if err := errors.Join(err, sparse.Close()); err != nil {
		t.Fatal(err)
	}
}
