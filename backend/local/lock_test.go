package local

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/larder-build/larder/backend"
)

// envHold makes the test binary lock a file until its standard input ends.
const envHold = "LARDER_TEST_HOLD_LOCK"

func TestMain(m *testing.M) {
	if path := os.Getenv(envHold); path != "" {
		os.Exit(hold(path))
	}
	os.Exit(m.Run())
}

func hold(path string) int {
	if locked, err := flock.New(path).TryLock(); err != nil || !locked {
		return 1
	}
	_, _ = os.Stdout.WriteString("locked\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// holdElsewhere has another process lock a file until the returned function is
// called.
func holdElsewhere(t *testing.T, path string) (release func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), envHold+"="+path)
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the other process says %q, %v, want that it has the lock", line, err)
	}
	return func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			t.Error(err)
		}
	}
}

func TestPutRefWaitsForOtherProcesses(t *testing.T) {
	for _, test := range []struct {
		name string
		lock []string
	}{
		{"larder's lock", []string{privateDir, lockFile}},
		{"BuildKit's lock", []string{buildkitLock}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := testLayout(t, "{}")
			if err := b.prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			release := holdElsewhere(t, b.path(test.lock...))

			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			_, err := b.PutRef(ctx, "main", backend.Document{Data: []byte("1")}, backend.Always)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("PutRef(held) = %v, want %v", err, context.DeadlineExceeded)
			}
			if got := readFile(t, b.indexPath()); got != "{}" {
				t.Errorf("index.json = %s, want it unchanged", got)
			}
			wantNoTemps(t, b)

			done := make(chan error, 1)
			go func() {
				_, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("1")}, backend.Always)
				done <- err
			}()
			// Reading never waits.
			if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrNotFound) {
				t.Errorf("GetRef(held) = %v, want %v", err, backend.ErrNotFound)
			}
			release()
			if err := <-done; err != nil {
				t.Errorf("PutRef(released) = %v, want nil", err)
			}
		})
	}
}

func TestBuildKitsLockIsFreeAfterwards(t *testing.T) {
	b := testLayout(t, "{}")
	if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("1")}, backend.Always); err != nil {
		t.Fatal(err)
	}
	if err := buildKitPut(b, doc("2"), "other"); err != nil {
		t.Errorf("BuildKit's export = %v, want nil", err)
	}
	if _, err := b.GetRef(t.Context(), "main"); err != nil {
		t.Errorf("GetRef(main) = %v, want nil", err)
	}
}

// TestLockOfRemovedFileDoesNotCount has BuildKit remove its lock file as it
// does, after unlocking it, when somebody else has just locked it.
func TestLockOfRemovedFileDoesNotCount(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.json.lock")
	l, err := acquire(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer release(l)
	if !isAt(l, path) {
		t.Error("isAt(fresh) = false, want true")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if isAt(l, path) {
		t.Error("isAt(removed) = true, want false")
	}
	other, err := acquire(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer release(other)
	if isAt(l, path) || !isAt(other, path) {
		t.Errorf("isAt(replaced) = %v, %v, want false, true", isAt(l, path), isAt(other, path))
	}
}

// TestLockExcludesAlthoughItsFileIsRemoved has everybody remove the file at the
// end, while the lock is still theirs: whoever opened it before must notice.
func TestLockExcludesAlthoughItsFileIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	const goroutines, times = 4, 2000
	var inside atomic.Int32
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range times {
				l, err := acquire(t.Context(), path)
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d have the lock, want 1", n)
				}
				runtime.Gosched()
				inside.Add(-1)
				_ = os.Remove(path)
				release(l)
			}
		})
	}
	all.Wait()
}

// TestSwapGivesUpALostLock removes the lock file when the swap has it: the
// index must not be replaced then, but the write has to succeed all the same.
func TestSwapGivesUpALostLock(t *testing.T) {
	b := testLayout(t, "{}")
	const times = 5
	removed := 0
	ctx := &watchedContext{Context: t.Context(), called: func() {
		if _, err := os.Stat(b.path(buildkitLock)); err == nil && removed < times {
			removed++
			_ = os.Remove(b.path(buildkitLock))
		}
	}}
	if _, err := b.PutRef(ctx, "main", backend.Document{Data: []byte("1")}, backend.Always); err != nil {
		t.Fatal(err)
	}
	if removed != times {
		t.Errorf("the index was swapped after %d lost locks, want %d", removed, times)
	}
	if _, err := b.GetRef(t.Context(), "main"); err != nil {
		t.Errorf("GetRef(main) = %v, want nil", err)
	}
}
