package cli

import (
	"os"
	"strings"
	"testing"
)

func TestSaveBounds(t *testing.T) {
	s := inProject(t)
	to := []string{"save", "--to", "local:store?tag=main", "modules", "--keep", "2"}
	// Of keys that are equally old the first in order stay.
	for _, key := range []string{"three", "one", "two"} {
		if err := os.WriteFile("modules/key", []byte(key), 0o644); err != nil {
			t.Fatal(err)
		}
		s.must(t, append(to, "--key", key)...)
	}
	for key, want := range map[string]int{"one": 0, "two": 0, "three": statusNothing} {
		if got := s.run(t.Context(), "lookup", "--from", "local:store?tag=main", "--key", key); got.status != want {
			t.Errorf("lookup of %s: status %d, want %d", key, got.status, want)
		}
	}
	for _, age := range []string{"30d", "2w", "36h"} {
		s.must(t, "save", "--to", "local:store?tag=main", "modules", "--key", "three", "--max-age", age)
	}
	for _, bad := range [][]string{{"--max-age", "0d"}, {"--max-age", "month"}, {"--max-age", "-3h"}, {"--max-age", "1.5d"}, {"--keep", "-1"}, {"--keep", "all"}} {
		if got := s.run(t.Context(), append(to, append(bad, "--key", "k")...)...); got.status != statusUsage || !strings.Contains(got.err, strings.TrimPrefix(bad[0], "--")) {
			t.Errorf("%q: status %d, want %d: %s", bad, got.status, statusUsage, got.err)
		}
	}
}
