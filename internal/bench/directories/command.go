package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// command is a program to be run.
type command struct {
	args []string
	dir  string   // "" is the present one
	env  []string // added to that of this process
	// discard says that what it prints is too much to be kept.
	discard bool
}

// sample is what one run of a peer took.
type sample struct {
	wall, cpu time.Duration
	memory    int64 // of its largest process, in bytes
	bytes     int64 // stored or fetched; below zero if that is not known
}

// do runs a command that is not measured.
func do(ctx context.Context, c command) error {
	_, _, err := c.run(ctx)
	return err
}

// run runs the command and returns what it took and printed.
func (c command) run(ctx context.Context) (sample, []byte, error) {
	var output, messages bytes.Buffer
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = &output, &messages
	if c.discard {
		cmd.Stdout = io.Discard
	}
	began := time.Now()
	err := cmd.Run()
	s := sample{wall: time.Since(began), bytes: -1}
	if err != nil {
		return s, nil, fmt.Errorf("%s: %w\n%s", strings.Join(c.args, " "), err, strings.TrimSpace(messages.String()+output.String()))
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	s.memory = peakMemory(cmd.ProcessState)
	return s, output.Bytes(), nil
}
