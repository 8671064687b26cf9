package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
)

// The names of the peers.
const (
	larder  = "larder"
	tarZstd = "tar and zstd"
	actions = "@actions/cache"
	restic  = "restic"
	borg    = "borg"
	rsync   = "rsync -a"
	find    = "find -printf"
)

// peer is one of those that are compared. Each runs as a process of its own.
type peer struct {
	name string
	// absent says why the peer cannot run, or is empty.
	absent string
	// init makes an empty store; nil leaves it to save.
	init func(site) command
	// save stores the tree under a key, and restore brings it back into a
	// directory. What a peer cannot do is nil.
	save    func(s site, key string) command
	restore func(s site, key, into string) command
	// moved reads from what restore prints how many bytes it has fetched.
	moved func(output []byte) (int64, error)
}

// programs are the commands that are compared, "" where they are absent.
type programs struct {
	larder, restic, actions string
	service                 *service
}

// goProgram is a program that is built from source.
type goProgram struct{ dir, pkg string }

func (b *bench) goPrograms() []goProgram {
	return []goProgram{
		{"../..", "./examples/larder"},
		{".", "."},
		{"restic", "github.com/restic/restic/cmd/restic"},
	}
}

// build makes what is pinned in this directory, unless it is left out.
func (b *bench) build(ctx context.Context) (p programs, err error) {
	for _, c := range []struct {
		name string
		to   *string
		from goProgram
	}{
		{larder, &p.larder, goProgram{"../..", "./examples/larder"}},
		{restic, &p.restic, goProgram{"restic", "github.com/restic/restic/cmd/restic"}},
	} {
		if c.name != larder && b.without.MatchString(c.name) {
			continue
		}
		*c.to = filepath.Join(b.dir, c.name)
		if err := do(ctx, command{dir: c.from.dir, args: []string{"go", "build", "-trimpath", "-buildvcs=false", "-o", *c.to, c.from.pkg}}); err != nil {
			return p, err
		}
	}
	if b.without.MatchString(actions) || installed("npm") == "" {
		return p, nil
	}
	p.actions = filepath.Join(b.dir, "actions")
	if err := copyTree(ctx, "directories/actions", p.actions); err != nil {
		return p, err
	}
	if err := npmInstall(ctx, p.actions); err != nil {
		return p, err
	}
	p.service, err = startService(ctx, b.dir, b.log)
	return p, err
}

// service is the cache service of GitHub Actions that the project's tests have.
type service struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	URL    string
	Tokens []string
}

func startService(ctx context.Context, dir string, log io.Writer) (*service, error) {
	program := filepath.Join(dir, "ghaserver")
	if err := do(ctx, command{dir: "../..", args: []string{"go", "build", "-o", program, "./internal/ghaserver/serve"}}); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, "refs/heads/main=rw")
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &service{cmd: cmd, stdin: stdin}
	if err := json.NewDecoder(stdout).Decode(s); err != nil || len(s.Tokens) != 1 {
		return nil, errors.Join(fmt.Errorf("the cache service has not started: %w", err), s.close())
	}
	return s, nil
}

// close ends the service; nil is none.
func (s *service) close() error {
	if s == nil {
		return nil
	}
	return errors.Join(s.stdin.Close(), s.cmd.Wait())
}
