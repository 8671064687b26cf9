package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/larder-build/larder/internal/fixtures"
)

func TestCopyCompression(t *testing.T) {
	var s shell
	from := "local:" + fixtures.Extract(t, "buildkit/local-min") + "/layout?tag=latest"
	to := "local:" + t.TempDir() + "/copy?tag=main"
	var doc struct {
		Recompressed *struct{ Blobs, Before, After int64 }
	}
	got := s.run(t.Context(), "copy", "--from", from, "--to", to, "--compression", "uncompressed", "--force-compression", "--json")
	if err := json.Unmarshal([]byte(got.out), &doc); err != nil || got.status != 0 {
		t.Fatalf("status %d, %v: %s", got.status, err, got.err)
	}
	if r := doc.Recompressed; r == nil || r.Blobs == 0 || r.After <= r.Before {
		t.Errorf("recompressed %+v, want larger layers", r)
	}
	if got := s.run(t.Context(), "copy", "--from", to, "--to", to+"2", "--compression", "zstd:9"); got.status != 0 || !strings.Contains(got.out, "recompressed") {
		t.Errorf("status %d: %s%s", got.status, got.out, got.err)
	}
	for _, bad := range [][]string{{"--compression", "lzma"}, {"--compression", "gzip:10"}, {"--force-compression"}} {
		args := append([]string{"copy", "--from", from, "--to", to}, bad...)
		if got := s.run(t.Context(), args...); got.status != statusUsage || !strings.Contains(got.err, "compression") {
			t.Errorf("%q: status %d, want %d: %s", bad, got.status, statusUsage, got.err)
		}
	}
}
