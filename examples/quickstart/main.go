// Command quickstart does the main job of a build tool: it saves a directory
// under a key, changes one file in a hundred, saves it again, and restores it into
// an empty directory and into one that has the older state. It needs no server,
// and leaves nothing behind:
//
//	go run github.com/larder-build/larder/examples/quickstart@latest [DIR]
//
// Without an argument the directory is a copy of the Go distribution's sources.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend/local"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := start(ctx, os.Args[1:])
	stop()
	if err != nil {
		log.Fatalf("quickstart: %v", err)
	}
}

func start(ctx context.Context, args []string) error {
	if len(args) > 0 {
		return run(ctx, os.Stdout, args[0])
	}
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("find Go's sources; name a directory instead: %w", err)
	}
	return run(ctx, os.Stdout, filepath.Join(strings.TrimSpace(string(root)), "src"))
}

// run does the job with a copy of a directory.
func run(ctx context.Context, out io.Writer, source string) (err error) {
	dir, err := os.MkdirTemp("", "larder-quickstart-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if _, err := os.Stat(source); err != nil {
		return err
	}
	tree := filepath.Join(dir, "tree")
	if err := os.CopyFS(tree, os.DirFS(source)); err != nil {
		return err
	}

	// A backend is a place where caches live. Here it is a directory; a
	// registry or a bucket has the same methods.
	store, err := local.Open(filepath.Join(dir, "store"), local.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	j := &job{
		out: out, dir: dir, tree: tree,
		store: []larder.Target{{Backend: store, Ref: "main"}},
		// What larder remembers of directories, so as to read only what has
		// changed. The command uses the user's cache directory.
		snapshots: filepath.Join(dir, "snapshots"),
	}
	return j.run(ctx)
}

type job struct {
	out       io.Writer
	dir, tree string
	store     []larder.Target
	snapshots string
}

func (j *job) say(format string, args ...any) { fmt.Fprintf(j.out, format+"\n", args...) }

func (j *job) run(ctx context.Context) error {
	j.say("1. Save a directory under the key monday, and again:")
	for range 2 {
		if err := j.save(ctx, "monday"); err != nil {
			return err
		}
	}
	j.say("\n2. Restore it into an empty directory:")
	if err := j.restore(ctx, "monday"); err != nil {
		return err
	}
	changed, err := j.change(ctx)
	if err != nil {
		return err
	}
	j.say("\n3. Change %d files, one in a hundred, and save it under the key tuesday:", changed)
	if err := j.save(ctx, "tuesday"); err != nil {
		return err
	}
	j.say("\n4. Restore that over what was restored before:")
	if err := j.restore(ctx, "tuesday"); err != nil {
		return err
	}
	j.say("\n5. Look for a key that nobody has saved, then for any from a Tuesday:")
	found, err := larder.Lookup(ctx, "wednesday", j.store, larder.RestoreOptions{Prefixes: []string{"tues"}})
	if err != nil {
		return err
	}
	j.say("   exact: %t, found %s", found.Exact, found.Key)
	return nil
}

func (j *job) save(ctx context.Context, key string) error {
	began := time.Now()
	dirs := []larder.Directory{{Path: j.tree, Name: "tree"}}
	report, err := larder.Save(ctx, key, dirs, j.store, larder.SaveOptions{Snapshots: j.snapshots})
	if err != nil {
		return err
	}
	d := report.Directories[0]
	j.say("   %d names, %s: wrote %d of %d layers, %s, in %s", d.Files, size(d.Bytes), d.Written.Blobs, d.Layers, size(d.Written.Bytes), since(began))
	return nil
}

func (j *job) restore(ctx context.Context, key string) error {
	began := time.Now()
	opts := larder.RestoreOptions{Into: filepath.Join(j.dir, "restored"), Exact: true, Snapshots: j.snapshots}
	restored, err := larder.Restore(ctx, key, j.store, opts)
	if err != nil {
		return err
	}
	d := restored.Directories[0]
	j.say("   fetched %d of %d layers, %s, and wrote %d names in %s",
		d.Fetched.Blobs, d.Fetched.Blobs+d.Present.Blobs, size(d.Fetched.Bytes), d.Files, since(began))
	return nil
}

// change adds a line to one file in a hundred.
func (j *job) change(ctx context.Context) (changed int, err error) {
	files := 0
	err = filepath.WalkDir(j.tree, func(path string, entry fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil || !entry.Type().IsRegular() {
			return err
		}
		if files++; files%100 != 0 {
			return nil
		}
		changed++
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString("\n// Changed.\n")
		return errors.Join(err, f.Close())
	})
	return changed, err
}

func size(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

func since(began time.Time) string { return time.Since(began).Round(time.Millisecond).String() }
