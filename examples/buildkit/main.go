// Command buildkit shows what larder does with build caches, on one that BuildKit
// exported and that is embedded in the program. It needs no server, and leaves
// nothing behind:
//
//	go run github.com/larder-build/larder/examples/buildkit@latest
package main

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/local"
)

// embedded is a directory as BuildKit's "--cache-to type=local" leaves it.
//
//go:embed cache/index.json cache/oci-layout cache/blobs
var embedded embed.FS

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		log.Fatalf("buildkit: %v", err)
	}
}

// run unpacks the cache into a directory of its own and gives the tour.
func run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "larder-example-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cache, err := fs.Sub(embedded, "cache")
	if err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(dir, "buildkit"), cache); err != nil {
		return err
	}

	// A backend is a place where caches live. Here it is a directory; a
	// registry or a bucket has the same methods.
	from, err := local.Open(filepath.Join(dir, "buildkit"), local.Options{})
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := local.Open(filepath.Join(dir, "larder"), local.Options{})
	if err != nil {
		return err
	}
	defer to.Close()

	t := tour{out: out, from: from, to: to}
	for _, show := range []func(context.Context) error{t.inspect, t.copy, t.merge, t.verify, t.repair, t.use} {
		if err := show(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tour goes through the verbs of package larder, one after the other.
type tour struct {
	out io.Writer
	// from has what BuildKit exported, to is empty in the beginning.
	from, to *local.Backend
}

func (t *tour) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

// inspect shows what is in a cache without reading any layer.
func (t *tour) inspect(ctx context.Context) error {
	t.say("1. Two builds have exported their caches to a directory:")
	for _, ref := range []string{"main", "feature-login"} {
		found, err := larder.Inspect(ctx, larder.Target{Backend: t.from, Ref: ref}, larder.InspectOptions{})
		if err != nil {
			return err
		}
		t.say("   %-14s results of %d build steps in %d blobs of %d bytes, as %s",
			ref, found.Totals.Results, found.Totals.Blobs, found.Totals.Bytes, found.Encoding)
	}
	return nil
}

// copy mirrors a cache. The digest of its manifest stays the same.
func (t *tour) copy(ctx context.Context) error {
	t.say("\n2. Copy main to another place, and once more:")
	for range 2 {
		report, err := larder.Copy(ctx, larder.Target{Backend: t.from, Ref: "main"},
			[]larder.Target{{Backend: t.to, Ref: "main"}}, larder.CopyOptions{})
		if err != nil {
			return err
		}
		done := report.Targets[0]
		t.say("   %s: sent %d blobs, reused %d", done.Outcome, done.Sent.Blobs, done.Reused.Blobs)
	}
	return nil
}

// merge makes one cache of two, so that one import serves both builds.
func (t *tour) merge(ctx context.Context) error {
	both := []larder.Target{{Backend: t.from, Ref: "main"}, {Backend: t.from, Ref: "feature-login"}}
	report, err := larder.Merge(ctx, both, []larder.Target{{Backend: t.to, Ref: "all"}}, larder.ExportOptions{})
	if err != nil {
		return err
	}
	done := report.Targets[0]
	t.say("\n3. Merge both into the tag all:")
	t.say("   %s: sent %d blobs, reused %d that came with main", done.Outcome, done.Sent.Blobs, done.Reused.Blobs)
	return nil
}

// verify reads every blob and checks digests and diffIDs.
func (t *tour) verify(ctx context.Context) error {
	found, err := larder.Verify(ctx, t.all(), larder.VerifyOptions{})
	if err != nil {
		return err
	}
	t.say("\n4. Verify it:\n   ok: %t, %d blobs, %d bytes", found.OK, found.Blobs, found.Bytes)
	return nil
}

// repair breaks a blob, as a bad disk would, and keeps what does not need it.
func (t *tour) repair(ctx context.Context) error {
	if err := t.damage(ctx); err != nil {
		return err
	}
	found, err := larder.Verify(ctx, t.all(), larder.VerifyOptions{Repair: true})
	if err != nil {
		return err
	}
	t.say("\n5. Overwrite the largest layer with zeros, then verify and repair:")
	t.say("   ok: %t, %d corrupt: %.19s…", found.OK, len(found.Corrupt), found.Corrupt[0].Digest)
	kept, err := larder.Inspect(ctx, t.all(), larder.InspectOptions{})
	if err != nil {
		return err
	}
	t.say("   %s again: the results of %d steps needed it, those of %d are kept",
		found.Repaired.Outcome, found.RecordsLost, kept.Totals.Results)
	return nil
}

// use imports the repaired cache, as a build tool does before a build. A cache
// that is not there, or does not answer, is no reason for it to fail.
func (t *tour) use(ctx context.Context) error {
	chain := []larder.Target{{Backend: t.to, Ref: "my-branch"}, t.all()}
	imported, report, err := larder.Import(ctx, chain, larder.ImportOptions{})
	if err != nil {
		return err
	}
	t.say("\n6. Import it, with a branch before it that has no cache yet:")
	for _, s := range report.Sources {
		t.say("   %-14s found: %t", s.Ref, !errors.Is(s.Err, backend.ErrNotFound))
	}
	t.say("   %d blobs are ready for the next build, which makes anew only what was lost.", len(imported.Manifest.Blobs()))
	return nil
}

func (t *tour) all() larder.Target { return larder.Target{Backend: t.to, Ref: "all"} }

// damage overwrites the largest layer of the merged cache.
func (t *tour) damage(ctx context.Context) error {
	found, err := larder.Inspect(ctx, t.all(), larder.InspectOptions{})
	if err != nil {
		return err
	}
	layer := slices.MaxFunc(found.Layers, func(a, b larder.InspectedLayer) int { return cmp.Compare(a.Size, b.Size) })
	file := filepath.Join(t.to.Dir(), "blobs", "sha256", layer.Digest.Encoded())
	if err := os.Remove(file); err != nil { // Blobs are read-only files.
		return err
	}
	return os.WriteFile(file, make([]byte, layer.Size), 0o600)
}
