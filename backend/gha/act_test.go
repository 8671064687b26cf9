package gha_test

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/internal/testserver"
)

// startAct starts the cache server of nektos/act, which ends with the test, and
// returns its URL.
func startAct(tb testing.TB) string {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), os.Getenv("LARDER_TEST_ACT"), tb.TempDir())
	in, err := cmd.StdinPipe() // it ends when this does
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // or it was killed at the end of the test
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatalf("act ended before it told its URL: %v", err)
	}
	return strings.TrimSpace(url)
}

// TestConformanceOnAct runs the suite on a server of others.
func TestConformanceOnAct(t *testing.T) {
	testserver.FromTestbed(t, "LARDER_TEST_ACT")
	var urls sync.Map // of backends
	connect := func(tb testing.TB, url string) backend.Backend {
		tb.Helper()
		b, err := gha.Open(tb.Context(), gha.Options{URL: url, Version: 1, Token: "act", BlockSize: 100_000, StuckAfter: time.Second, Budget: &gha.Budget{Creations: 1 << 30}})
		if err != nil {
			tb.Fatal(err)
		}
		urls.Store(b, url)
		return b
	}
	backendtest.Run(t, backendtest.Harness{
		New: func(tb testing.TB) backend.Backend {
			tb.Helper()
			return connect(tb, startAct(tb))
		},
		Reopen: func(tb testing.TB, b backend.Backend) backend.Backend {
			tb.Helper()
			found, _ := urls.Load(b)
			url, _ := found.(string)
			return connect(tb, url)
		},
		Refuses:  func(name string) bool { return strings.Contains(name, "#") },
		Skip:     actExceptions(),
		PartSize: 800_000,
		Rounds:   2,
	})
}

// actExceptions are the cases that act cannot pass, with its reason.
//
// Source: github.com/nektos/act v0.2.89, pkg/artifactcache/handler.go.
func actExceptions() map[string]string {
	const (
		overwrites = "act refuses no key that is there: whoever reserves it last has it"
		seconds    = "act tells entries apart by whole seconds, so that the newest of two in one second may be the older one"
		lowerCase  = "act keeps keys in lower case"
	)
	return map[string]string{
		"race/of creates has one winner":                     overwrites,
		"race/of replaces that read the same has one winner": overwrites,
		"race/of read-modify-write loses no update":          overwrites,
		"ref/is replaced without condition":                  seconds,
		"ref/is replaced as a whole":                         seconds,
		"ref/the same document may be put again":             seconds,
		"replace/succeeds on the version that was read":      seconds,
		"replace/conflicts on a version that is gone":        seconds,
		"replace/of a large document keeps its condition":    seconds,
		"capability/what is declared works":                  seconds,
		"connection/sees what another has written":           seconds,
		"concurrency/calls do not disturb each other":        seconds,
		"name/odd ones are kept as they are":                 lowerCase,
		"name/similar ones are different refs":               lowerCase,
	}
}
