package soak_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/local"
	"github.com/larder-build/larder/blob"
)

// killWithin is how long an exporter may run until it is killed at the latest:
// several exports.
const killWithin = 100 * time.Millisecond

// TestKilledExporters kills processes at random moments of their exports. The
// ref is then the one that was acknowledged last or the one after it, and all
// of what it names is there and right.
func TestKilledExporters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	kills := sized(5, 100)
	var between int
	for i := range kills {
		j := job{dir: dir, ref: fmt.Sprint("killed-", i), series: fmt.Sprint("series ", i), count: 1 << 30}
		acknowledged := kill(t, j)
		builds := survivors(t, j, acknowledged)
		if builds > acknowledged {
			between++
		}
	}
	t.Logf("%d exporters killed, %d of them between publishing and acknowledging", kills, between)

	// What was left behind is in nobody's way.
	last := job{dir: dir, ref: "killed-0", series: "afterwards", count: 1}
	if n, err := start(t, last).acknowledged(); n != 1 || err != nil {
		t.Errorf("an export after all that is acknowledged %d times, %v, want once", n, err)
	}
}

// kill starts an exporter, kills it at a random moment after its start, and
// returns how many builds it acknowledged before.
func kill(t *testing.T, j job) (acknowledged int) {
	t.Helper()
	e := start(t, j)
	// Some are killed in their first export, most later.
	if rand.N(4) > 0 && e.acks.Scan() {
		acknowledged++
	}
	timer := time.AfterFunc(rand.N(killWithin), func() { _ = e.cmd.Process.Kill() })
	defer timer.Stop()
	more, err := e.acknowledged()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("the exporter ends with %v, want it to be killed", err)
	}
	return acknowledged + more
}

// survivors returns how many builds are in the ref of a job that was killed: as
// many as were acknowledged, or one more.
func survivors(t *testing.T, j job, acknowledged int) int {
	t.Helper()
	b, err := local.Open(j.dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	_, err = b.GetRef(t.Context(), j.ref)
	if acknowledged == 0 && errors.Is(err, backend.ErrNotFound) {
		return 0
	}
	if err != nil {
		t.Fatalf("GetRef(%s) after %d exports = %v, want nil", j.ref, acknowledged, err)
	}
	got := records(t, larder.Target{Backend: b, Ref: j.ref})
	return matching(t, j, acknowledged, got)
}

func matching(t *testing.T, j job, acknowledged int, got []blob.Digest) int {
	t.Helper()
	diff := sameDigests(keys(j.series, acknowledged), got)
	if diff == "" {
		return acknowledged
	}
	if sameDigests(keys(j.series, acknowledged+1), got) != "" {
		t.Errorf("%s has not the records of %d builds, nor of one more (-want +got):\n%s", j.ref, acknowledged, diff)
	}
	return acknowledged + 1
}
