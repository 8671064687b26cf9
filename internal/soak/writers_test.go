package soak_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend/local"
	"github.com/larder-build/larder/blob"
)

// TestManyProcesses has processes export to the same ref of one directory at
// the same time. All of what was acknowledged is there in the end.
func TestManyProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	processes, exports := sized(3, 8), sized(4, 25)
	var running []*exporter
	var want []blob.Digest
	for i := range processes {
		series := fmt.Sprint("process ", i)
		running = append(running, start(t, job{dir: dir, ref: "main", series: series, count: exports}))
		want = append(want, keys(series, exports)...)
	}
	for i, e := range running {
		if n, err := e.acknowledged(); n != exports || err != nil {
			t.Errorf("process %d acknowledges %d exports, %v, want %d", i, n, err, exports)
		}
	}
	b, err := local.Open(dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if diff := sameDigests(want, records(t, larder.Target{Backend: b, Ref: "main"})); diff != "" {
		t.Errorf("records differ (-want +got):\n%s", diff)
	}
}
