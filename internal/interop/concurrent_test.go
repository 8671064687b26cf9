package interop

import (
	"encoding/json"
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
	seed, from, shared := newSeed(), layout(t.TempDir()), layout(t.TempDir())
	contexts := make([]string, exporters)
	for i := range contexts {
		contexts[i] = newContext(t, seed, fmt.Sprint("larder ", i))
		d.mustBuild(t, build{context: contexts[i], exports: []string{maximal(from, tag("source", i))}})
	}

	var all sync.WaitGroup
	var turn sync.Mutex
	met := 0 // how often BuildKit found the lock taken
	for i := range exporters {
		dir := contexts[i]
		all.Go(func() {
			for range builds {
				turn.Lock()
				again := build{context: dir, exports: []string{maximal(shared, tag("buildkit", i))}}
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
		caches := []string{from.source(tag("source", (i+1)%exporters)), from.source(tag("source", i))}
		all.Go(func() { exportInTurn(t, builds, caches, shared.target(tag("larder", i))) })
	}
	all.Wait()

	var want []string
	for i := range exporters {
		want = append(want, tag("buildkit", i), tag("larder", i))
		if got, want := shared.mustDigest(t, tag("larder", i)), from.mustDigest(t, tag("source", i)); got != want {
			t.Errorf("%s is %s, want %s", tag("larder", i), got, want)
		}
		mustVerify(t, shared.source(tag("larder", i)))
		mustVerify(t, shared.source(tag("buildkit", i)))
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
	for range rounds {
		for _, from := range sources {
			if _, err := runLarder(t.Context(), nil, "copy", "--quiet", "--from", from, "--to", to); err != nil {
				t.Error(err)
				return
			}
		}
	}
}

func tag(kind string, i int) string { return fmt.Sprintf("%s-%d", kind, i) }

// TestConcurrentRegistryExporters lets several larders, and BuildKit, write one
// tag of a registry at the same time. No registry compares and swaps, so an
// update may be lost, which larder's report must own up to; but the tag has a
// whole cache whenever one looks, and in the end one that somebody wrote. What
// was lost is there once it has been merged again.
func TestConcurrentRegistryExporters(t *testing.T) {
	const exporters, rounds = 4, 3
	d := newDaemon(t)
	seed, from := newSeed(), layout(t.TempDir())
	shared := openReg.open(t)
	dirs, golden := make([]string, exporters), make([]result, exporters)
	for i := range exporters {
		dirs[i] = newContext(t, seed, fmt.Sprint("larder ", i))
		golden[i] = d.mustBuild(t, build{context: dirs[i], exports: []string{maximal(from, tag("source", i))}})
	}
	mustCopy(t, from.source(tag("source", 0)), shared.target("main"))

	var all sync.WaitGroup
	var mu sync.Mutex
	written := map[string]bool{}
	for i := range exporters {
		all.Go(func() {
			for range rounds {
				digest, err := mergeUnguarded(t, from.source(tag("source", i)), shared.target("main"))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				written[digest] = true
				mu.Unlock()
			}
		})
	}
	all.Go(func() {
		for range rounds {
			if _, err := d.build(t.Context(), build{context: dirs[0], exports: []string{maximal(shared, "main")}}); err != nil {
				t.Error(err)
			}
		}
	})
	all.Go(func() {
		for range exporters * rounds {
			if _, err := runLarder(t.Context(), nil, "verify", "--quick", shared.source("main")); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()

	last := mustDescribe(t, shared, "main")
	written[digestOf(from.document(t, tag("source", 0)))] = true // BuildKit's own
	if !written[last.Digest] {
		t.Errorf("the tag has %s, which nobody has written: %v", last.Digest, written)
	}
	for i := range exporters {
		larder(t, "merge", "--from", from.source(tag("source", i)), "--to", shared.target("main"))
	}
	for i := range exporters {
		d.mustReuse(t, dirs[i], shared.source("main"), golden[i])
	}
}

// mergeUnguarded has larder add to a ref of a store that cannot compare and
// swap, and returns the digest that was published.
func mergeUnguarded(t *testing.T, from, to string) (string, error) {
	t.Helper()
	out, err := runLarder(t.Context(), nil, "merge", "--json", "--from", from, "--to", to)
	if err != nil {
		return "", err
	}
	var report struct {
		Targets []struct {
			Digest, Outcome string
			Degradations    []struct{ Kind string }
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return "", fmt.Errorf("%w in:\n%s", err, out)
	}
	target := report.Targets[0]
	if target.Outcome == "published" && !slices.ContainsFunc(target.Degradations, func(d struct{ Kind string }) bool { return d.Kind == "unguarded-publish" }) {
		return "", fmt.Errorf("the report does not own up to an unguarded publish:\n%s", out)
	}
	return target.Digest, nil
}
