package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/larder-build/larder/internal/bench/harness"
)

// tree is a directory to be saved.
type tree struct {
	title string
	// name is what the directory is called.
	name string
	// make makes the directory, whose parent exists.
	make func(ctx context.Context, dir string) error
	// version is what the content depends on.
	version string
	goals   goals
}

//go:embed node/package.json
var nodePackage []byte

// trees are those to be measured.
func (b *bench) trees() []tree {
	if !b.Full {
		return []tree{{title: "small files", name: "small", make: b.makeSmall, version: "1", goals: nodeGoals}}
	}
	return []tree{
		{title: "node_modules", name: "node_modules", make: makeNode, version: string(nodePackage), goals: nodeGoals},
		{title: "Go build cache", name: "go-build", make: b.makeGo, version: "1", goals: goGoals},
	}
}

// plant makes the tree if an earlier run has not, and copies it to where it is
// measured.
func (b *bench) plant(ctx context.Context, t tree) error {
	kept := filepath.Join(b.options.trees, fmt.Sprintf("%s-%x", t.name, sha256.Sum256([]byte(t.version))))
	b.original = filepath.Join(kept, t.name)
	if _, err := os.Stat(kept); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(b.log, "making %s\n", b.original)
		temp := kept + ".new"
		if err := errors.Join(os.RemoveAll(temp), os.MkdirAll(temp, 0o755)); err != nil {
			return err
		}
		if err := t.make(ctx, filepath.Join(temp, t.name)); err != nil {
			return err
		}
		if err := os.Rename(temp, kept); err != nil {
			return err
		}
	}
	if err := b.source.renew(ctx); err != nil {
		return err
	}
	b.tree = filepath.Join(b.source.dir, "tree", t.name)
	if err := copyTree(ctx, b.original, b.tree); err != nil {
		return err
	}
	var err error
	b.counted, err = count(b.tree)
	return err
}

// copyTree copies a directory with all that belongs to it.
func copyTree(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return do(ctx, command{args: []string{"cp", "-a", from, to}})
}

// counts say how large a tree is.
type counts struct {
	files int
	bytes int64
}

func (c counts) String() string { return fmt.Sprintf("%d files, %d MiB", c.files, c.bytes>>20) }

// count counts the regular files below a directory.
func count(dir string) (c counts, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		c.files++
		c.bytes += info.Size()
		return nil
	})
	return c, err
}

// read reads the regular files below a directory.
func read(dir string) error {
	return filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(at)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, f)
		return errors.Join(err, f.Close())
	})
}

// makeNode installs packages from the npm registry.
func makeNode(ctx context.Context, dir string) error {
	parent := filepath.Dir(dir)
	if err := os.WriteFile(filepath.Join(parent, "package.json"), nodePackage, 0o644); err != nil {
		return err
	}
	return npmInstall(ctx, parent)
}

func npmInstall(ctx context.Context, dir string) error {
	return do(ctx, command{dir: dir, args: []string{"npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"}})
}

// makeGo builds larder, this module and restic into an empty build cache.
func (b *bench) makeGo(ctx context.Context, dir string) error {
	for _, p := range []harness.Program{harness.LarderCommand, {Dir: ".", Package: "."}, resticCommand} {
		err := do(ctx, command{dir: p.Dir, env: []string{"GOCACHE=" + dir}, args: p.BuildArgs(os.DevNull)})
		if err != nil {
			return err
		}
	}
	// The command removes what it has not used for long, when it notices.
	return os.RemoveAll(filepath.Join(dir, "trim.txt"))
}

// makeSmall makes files that compress about as source code does.
func (b *bench) makeSmall(ctx context.Context, dir string) error {
	const dirs, files = 40, 75
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	for i := range dirs {
		below := filepath.Join(dir, fmt.Sprintf("package%02d", i), "lib")
		if err := os.MkdirAll(below, 0o755); err != nil {
			return err
		}
		for j := range files {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(below, fmt.Sprintf("module%02d.js", j)), text(random), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// text is up to 32 KiB of words.
func text(random *rand.Rand) []byte {
	var b []byte
	for size := random.IntN(32 << 10); len(b) < size; {
		b = fmt.Appendf(b, "const value%d = require('module%d');\n", random.IntN(1000), random.Uint32())
	}
	return b
}

// changed returns one in a hundred files of a tree, all from one place or from
// everywhere, and others for each turn.
func changed(dir string, scattered bool, turn int) ([]string, error) {
	const share = 100
	var files []string
	err := filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, at)
		}
		return err
	})
	n := len(files) / share
	if !scattered {
		return files[len(files)/2+turn*n:][:n], err
	}
	var some []string
	for chunk := range slices.Chunk(files, share) {
		if len(some) < n {
			some = append(some, chunk[turn])
		}
	}
	return some, err
}

// change appends a line to files.
func change(files []string, line string) error {
	for _, at := range files {
		f, err := os.OpenFile(at, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(line)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// installed returns the path of a program of the system, or "".
func installed(name string) string {
	at, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return at
}
