package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// modulePath is larder's own module, in whose source the pins are.
const modulePath = "github.com/larder-build/larder"

// moduleRoot is the directory of larder's source.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", modulePath).Output()
	if err != nil {
		return "", fmt.Errorf("find the source of %s (run this inside its checkout): %w", modulePath, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// cacheDir is where built servers are kept between runs.
func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "larder-testbed"), nil
}

// recipe says how programs are made from a directory with their pins.
type recipe struct {
	dir  string
	pins []string // the files of dir that decide the result
	more []string // what else decides it
	make func(ctx context.Context, dir, out string) error
}

// goPrograms builds main packages of the module in dir, which may be its own.
func goPrograms(dir string, packages []string) recipe {
	pins := []string{"go.mod", "go.sum"}
	sources, _ := filepath.Glob(filepath.Join(dir, "*.go")) // the pattern is well formed
	for _, source := range sources {
		pins = append(pins, filepath.Base(source))
	}
	return recipe{
		dir:  dir,
		pins: pins,
		more: packages,
		make: func(ctx context.Context, dir, out string) error {
			return goCommand(ctx, dir, "build", out, packages...)
		},
	}
}

// goTests builds the tests of a package that the module in dir pins.
func goTests(dir, pkg string) recipe {
	return recipe{
		dir:  dir,
		pins: []string{"go.mod", "go.sum"},
		more: []string{"tests of", pkg},
		make: func(ctx context.Context, dir, out string) error { return goCommand(ctx, dir, "test", out, "-c", pkg) },
	}
}

// npmPackages installs the packages that dir has locked.
func npmPackages(dir string) recipe {
	return recipe{dir: dir, pins: []string{"package.json", "package-lock.json"}, make: npmInstall}
}

// buildOnce follows the recipe, unless cache has its result, and returns the
// directory of the programs and whether they were there.
func buildOnce(ctx context.Context, r recipe, cache string) (bin string, cached bool, err error) {
	key, err := buildKey(r)
	if err != nil {
		return "", false, err
	}
	bin = filepath.Join(cache, key)
	if _, err := os.Stat(bin); err == nil {
		return bin, true, nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", false, err
	}
	temp, err := os.MkdirTemp(cache, "building-")
	if err != nil {
		return "", false, err
	}
	defer os.RemoveAll(temp)
	if err := r.make(ctx, r.dir, temp); err != nil {
		return "", false, err
	}
	// The rename shows the programs all at once. It fails if another testbed
	// was faster, whose programs are as good.
	if err := os.Rename(temp, bin); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", false, err
	}
	return bin, false, nil
}

// buildKey names the result of a build: the pins, the compiler and its target.
func buildKey(r recipe) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH, r.more)
	for _, name := range r.pins {
		f, err := os.Open(filepath.Join(r.dir, name))
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// goCommand builds packages, the first of which may be a flag, into the directory
// out, by "go build" or "go test".
func goCommand(ctx context.Context, dir, verb, out string, packages ...string) error {
	args := []string{verb, "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out + string(filepath.Separator)}
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	cmd.Dir = dir
	// A go.work would hide the nested module; -mod=mod would rewrite its pins.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	var messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &messages, &messages
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s in %s: %w\n%s", verb, dir, err, messages.Bytes())
	}
	return nil
}

// npmInstall installs into out what the lock file in dir says. Scripts of the
// packages are not run: a server needs none, and they may do anything.
func npmInstall(ctx context.Context, dir, out string) error {
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, name), text, 0o600); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = out
	var messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &messages, &messages
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("npm ci with the lock file of %s: %w\n%s", dir, err, messages.Bytes())
	}
	return nil
}
