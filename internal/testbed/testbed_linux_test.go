package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// mustBeEmpty checks that nothing stayed behind in the temporary directory.
func mustBeEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name   string
		args   []string
		status int
	}{
		{"succeeds", []string{"--", "true"}, 0},
		{"status of the command", []string{"--", "sh", "-c", "exit 7"}, 7},
		{"killed command", []string{"--", "sh", "-c", "kill -KILL $$"}, 128 + 9},
		{"addresses", []string{"--", "sh", "-c", `test -n "$LARDER_TEST_ONE" && test -n "$LARDER_TEST_TWO"`}, 0},
		{"program of tests", []string{"--", "sh", "-c", `test "$LARDER_TEST_TOOL" = tool`}, 0},
		{"all are required", []string{"--", "sh", "-c", `test "$LARDER_TEST_REQUIRE" = 1`}, 0},
		{"some are not required", []string{"-only", "two", "--", "sh", "-c", `test -z "$LARDER_TEST_REQUIRE$LARDER_TEST_ONE"`}, 0},
		{"list", []string{"-list"}, 0},
		{"unknown server", []string{"-only", "one,three", "--", "true"}, exitUsage},
		{"unknown flag", []string{"-x"}, exitUsage},
		{"no command", []string{"-v"}, exitUsage},
		{"no such command", []string{"--", "/no/such/command"}, exitFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("TMPDIR", dir)
			h := newHome(t)
			all := []server{played(self(t), "one", "server", h.Addr().String()), played(self(t), "two", "server", h.Addr().String()), tool()}
			var out bytes.Buffer
			status, err := run(t.Context(), tt.args, all, &out)
			if status != tt.status {
				t.Errorf("run(%q) = %d, %v, want %d\n%s", tt.args, status, err, tt.status, &out)
			}
			mustBeEmpty(t, dir)
		})
	}
}

// tool is a program that tests start themselves.
func tool() server {
	return server{name: "tool", launch: func(site) (launch, error) {
		return launch{environ: []string{"LARDER_TEST_TOOL=tool"}}, nil
	}}
}

func TestDeadServerIsReported(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	h := newHome(t)
	broken := played(self(t), "broken", "broken", "")
	launchBroken := broken.launch
	broken.launch = func(s site) (launch, error) {
		l, err := launchBroken(s)
		l.ready = answers("http://" + s.addr)
		return l, err
	}
	good := played(self(t), "good", "server", h.Addr().String())
	started := make(chan guest, 1)
	good.launch = wait(t, good.launch, h, started)

	ran := filepath.Join(dir, "ran")
	status, err := run(t.Context(), []string{"--", "touch", ran}, []server{good, broken}, new(bytes.Buffer))
	if status != exitFailed || err == nil {
		t.Fatalf("run = %d, %v, want %d and an error", status, err, exitFailed)
	}
	for _, want := range []string{"broken", "exit status 3", "the port is haunted"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("run = %q, want it to tell %q", err, want)
		}
	}
	(<-started).mustEnd(t)
	mustBeEmpty(t, dir) // nor has the command run
}

// wait makes a server ready only after its process has reported.
func wait(t *testing.T, inner func(site) (launch, error), h home, started chan<- guest) func(site) (launch, error) {
	t.Helper()
	return func(s site) (launch, error) {
		l, err := inner(s)
		l.ready = func(context.Context) error {
			started <- h.next(t)
			return nil
		}
		return l, err
	}
}

func TestServerThatIgnoresSIGTERMIsKilled(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	h := newHome(t)
	var out bytes.Buffer
	b, err := newBed(&out, false)
	if err != nil {
		t.Fatal(err)
	}
	b.grace = 50 * time.Millisecond
	started := make(chan guest, 1)
	s := played(self(t), "stubborn", "stubborn", h.Addr().String())
	s.launch = wait(t, s.launch, h, started)
	if err := b.bring(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	g := <-started
	if err := b.close(); err != nil {
		t.Error(err)
	}
	g.mustEnd(t)
	if !strings.Contains(out.String(), "was killed") {
		t.Errorf("the testbed does not tell that it had to kill:\n%s", &out)
	}
	// No zombie either: the number is free once the process was reaped.
	if err := syscall.Kill(g.pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("kill(%d, 0) = %v, want %v", g.pid, err, syscall.ESRCH)
	}
}

func TestServerThatNeverAnswers(t *testing.T) {
	h := newHome(t)
	l, err := played(self(t), "mute", "server", h.Addr().String()).launch(site{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := start(l, filepath.Join(t.TempDir(), "log"), new(bytes.Buffer))
	if err != nil {
		t.Fatal(err)
	}
	h.next(t)
	mute := errors.New("no answer")
	err = p.await(t.Context(), func(context.Context) error { return mute }, 50*time.Millisecond)
	if !errors.Is(err, mute) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("await = %v, want %v and %v", err, mute, context.DeadlineExceeded)
	}
	if !p.stop(time.Minute) {
		t.Error("stop had to kill a server that follows SIGTERM")
	}
}

// TestEndOfTheTestbed starts a whole testbed as a process and ends it.
func TestEndOfTheTestbed(t *testing.T) {
	tests := []struct {
		name   string
		signal syscall.Signal
		clean  bool // whether it can still clean up
	}{
		{"interrupted", syscall.SIGINT, true},
		{"terminated", syscall.SIGTERM, true},
		{"killed", syscall.SIGKILL, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, h := t.TempDir(), newHome(t)
			cmd := exec.CommandContext(t.Context(), self(t))
			cmd.Env = append(os.Environ(), roleVar+"=testbed", homeVar+"="+h.Addr().String(), "TMPDIR="+dir)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			// The server and the command, in no certain order.
			guests := []guest{h.next(t), h.next(t)}
			if err := cmd.Process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			err := cmd.Wait()
			for _, g := range guests {
				g.mustEnd(t)
			}
			if tt.clean {
				mustBeEmpty(t, dir)
				if got, want := cmd.ProcessState.ExitCode(), 128+int(syscall.SIGTERM); got != want {
					t.Errorf("the testbed ended with %v (%v), want the command's status %d", got, err, want)
				}
			}
		})
	}
}
