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
// millisecond, and as BuildKit never waits, a meeting cannot be ruled out on a
// busy machine; that one build meets it time and again can.
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
	for i := range exporters {
		dir := contexts[i]
		all.Go(func() {
			for range builds {
				turn.Lock()
				err := d.exportPastLock(t, build{context: dir, exports: []string{maximal(shared, tag("buildkit", i))}})
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
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("refs = %q, want %q", got, want)
	}
}

// exportPastLock builds, again if the index was locked, but not for ever.
func (d daemon) exportPastLock(t *testing.T, b build) (err error) {
	t.Helper()
	for range 3 {
		if _, err = d.build(t.Context(), b); err == nil || !strings.Contains(err.Error(), "could not lock") {
			return err
		}
		t.Logf("BuildKit met larder's lock: %v", err)
	}
	return err
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

// TestConcurrentMerges lets several larders add to one ref at the same time. No
// update may be lost where the store can compare and swap. No registry can:
// there an update may be lost, which larder's report must own up to, and is there
// once it has been merged again. The ref has a whole cache whenever one looks,
// and in the end one that somebody wrote.
func TestConcurrentMerges(t *testing.T) {
	d := newDaemon(t)
	for _, tt := range []struct {
		kind    kind
		guarded bool
	}{{openReg, false}, {minio, true}, {azurite, true}} {
		t.Run(tt.kind.name, func(t *testing.T) { testMerges(t, d, tt.kind.open(t), tt.guarded) })
	}
}

func testMerges(t *testing.T, d daemon, shared place, guarded bool) {
	t.Helper()
	const exporters = 6
	seed, from := newSeed(), layout(t.TempDir())
	dirs, golden := make([]string, exporters), make([]result, exporters)
	for i := range exporters {
		dirs[i] = newContext(t, seed, fmt.Sprint("larder ", i))
		golden[i] = d.mustBuild(t, build{context: dirs[i], exports: []string{maximal(from, tag("source", i))}})
	}
	mustCopy(t, from.source(tag("source", 0)), shared.target("main"))

	var all sync.WaitGroup
	written := make([]string, exporters)
	for i := range exporters {
		all.Go(func() {
			var err error
			if written[i], err = merge(t, guarded, from.source(tag("source", i)), shared.target("main")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Go(func() {
		for range exporters {
			if _, err := runLarder(t.Context(), nil, "verify", "--quick", shared.source("main")); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()

	if last := mustDescribe(t, shared, "main"); !slices.Contains(written, last.Digest) {
		t.Errorf("the ref has %s, which nobody has written: %v", last.Digest, written)
	}
	for i := range exporters {
		if !guarded {
			larder(t, "merge", "--from", from.source(tag("source", i)), "--to", shared.target("main"))
		}
	}
	last := read(t, shared, "main")
	for i := range exporters {
		for _, l := range read(t, from, tag("source", i)).Layers {
			if !slices.ContainsFunc(last.Layers, func(have inspectedLayer) bool { return have.Digest == l.Digest }) {
				t.Errorf("layer %s of exporter %d was lost", l.Digest, i)
			}
		}
	}
	for _, i := range []int{0, exporters - 1} {
		d.mustReuse(t, dirs[i], shared.source("main"), golden[i])
	}
}

// merge has larder add to a ref, and returns the digest that was published. The
// report must say so if nothing guarded the update.
func merge(t *testing.T, guarded bool, from, to string) (string, error) {
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
	warned := slices.ContainsFunc(target.Degradations, func(d struct{ Kind string }) bool { return d.Kind == "unguarded-publish" })
	if warned == guarded && target.Outcome == "published" {
		return "", fmt.Errorf("the report warns of an unguarded publish: %t, want %t:\n%s", warned, !guarded, out)
	}
	return target.Digest, nil
}

// TestConcurrentWriters lets larder and BuildKit replace one ref at the same
// time. Each of them writes the whole cache; whose comes last is left to chance,
// but it is one of theirs and BuildKit can use it.
func TestConcurrentWriters(t *testing.T) {
	const rounds = 6
	d := newDaemon(t)
	for _, k := range []kind{openReg, minio, azurite} {
		t.Run(k.name, func(t *testing.T) {
			dirs, golden := make([]string, 2), make([]result, 2)
			from, shared := layout(t.TempDir()), k.open(t)
			seed := newSeed()
			for i := range dirs {
				dirs[i] = newContext(t, seed, fmt.Sprint("writer ", i))
				golden[i] = d.mustBuild(t, build{context: dirs[i], exports: []string{maximal(from, tag("source", i))}})
			}
			ofLarder := layerWith(t, from, tag("source", 0), "app.bin")
			var all sync.WaitGroup
			all.Go(func() { exportInTurn(t, rounds, []string{from.source(tag("source", 0))}, shared.target("main")) })
			all.Go(func() {
				for range rounds {
					if _, err := d.build(t.Context(), build{context: dirs[1], exports: []string{maximal(shared, "main")}}); err != nil {
						t.Error(err)
					}
				}
			})
			all.Wait()

			last, winner := mustDescribe(t, shared, "main"), 0
			if !slices.ContainsFunc(last.Layers, func(l inspectedLayer) bool { return l.Digest == ofLarder }) {
				winner = 1
			}
			d.mustReuse(t, dirs[winner], shared.source("main"), golden[winner])
		})
	}
}
