package interop

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestConcurrentExporters lets larder and BuildKit write to one directory at
// the same time. BuildKit fails a build whenever it finds the lock of the
// index taken, by another BuildKit too; so its exports take turns, and any that
// fails has been failed by larder. larder holds the lock for a fraction of a
// millisecond, and as BuildKit never waits, a meeting cannot be ruled out: one
// in all the builds is put down to that, a second is not.
func TestConcurrentExporters(t *testing.T) {
	const exporters, builds = 4, 3
	d := newDaemon(t)
	seed, from, shared := newSeed(), t.TempDir(), t.TempDir()
	contexts := make([]string, exporters)
	for i := range contexts {
		contexts[i] = newContext(t, seed, fmt.Sprint("larder ", i))
		d.mustBuild(t, build{context: contexts[i], exports: []string{target(from, tag("source", i))}})
	}

	var all sync.WaitGroup
	var turn sync.Mutex
	met := 0 // how often BuildKit found the lock taken
	for i := range exporters {
		dir := contexts[i]
		all.Go(func() {
			for range builds {
				turn.Lock()
				again := build{context: dir, exports: []string{target(shared, tag("buildkit", i))}}
				_, err := d.build(t.Context(), again)
				if err != nil && strings.Contains(err.Error(), "could not lock") && met == 0 {
					met++
					t.Logf("BuildKit met larder's lock once: %v", err)
					_, err = d.build(t.Context(), again)
				}
				turn.Unlock()
				if err != nil {
					t.Error(err)
				}
			}
		})
		caches := []string{source(from, tag("source", (i+1)%exporters)), source(from, tag("source", i))}
		all.Go(func() { exportInTurn(t, builds, caches, target(shared, tag("larder", i))) })
	}
	all.Wait()

	var want []string
	for i := range exporters {
		want = append(want, tag("buildkit", i), tag("larder", i))
		if got, want := layout(shared).mustDigest(t, tag("larder", i)), layout(from).mustDigest(t, tag("source", i)); got != want {
			t.Errorf("%s is %s, want %s", tag("larder", i), got, want)
		}
		mustVerify(t, source(shared, tag("larder", i)))
		mustVerify(t, source(shared, tag("buildkit", i)))
	}
	got := refs(t, shared)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("refs = %q, want %q", got, want)
	}
}

// exportInTurn has larder write each of the caches to one tag, in turn and as
// often as rounds says, so that each run changes the index. The last one stays.
func exportInTurn(t *testing.T, rounds int, sources []string, to string) {
	t.Helper()
	program := built(t).larder
	for range rounds {
		for _, from := range sources {
			if _, err := runLarder(t.Context(), program, "copy", "--quiet", "--from", from, "--to", to); err != nil {
				t.Error(err)
				return
			}
		}
	}
}

func tag(kind string, i int) string { return fmt.Sprintf("%s-%d", kind, i) }
