package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// pollEvery is how often a starting server is asked whether it is ready.
const pollEvery = 20 * time.Millisecond

// process is a server that was started. It is always waited for, so that none
// stays behind as a zombie and its death is noticed at once.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed once the process was reaped
}

// start starts a server that logs to the file log, and to echo.
func start(l launch, log string, echo io.Writer) (*process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	// Not CommandContext: an interrupt must not kill the server under the
	// command, which may still want to end its own work.
	cmd := exec.Command(l.argv[0], l.argv[1:]...) //nolint:noctx // stopped by stop
	cmd.Env = append(os.Environ(), l.env...)
	cmd.Stdout = output(file, echo)
	cmd.Stderr = cmd.Stdout
	// Children that outlive a killed server keep its pipe open.
	cmd.WaitDelay = time.Second
	leadGroup(cmd)
	dieWithParent(cmd, l.privateMounts)
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		defer file.Close()
		_ = cmd.Wait() // how a server ended is told by ProcessState
	}()
	return p, nil
}

// output avoids a pipe and its copying goroutine where nobody listens.
func output(file *os.File, echo io.Writer) io.Writer {
	if echo == io.Discard {
		return file
	}
	return io.MultiWriter(file, echo)
}

// await returns once ready does without error, or says why it never will.
func (p *process) await(ctx context.Context, ready func(context.Context) error, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("ended before it was ready: %v\n%s", p.cmd.ProcessState, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w: %w\n%s", ctx.Err(), err, p.tail())
		case <-tick.C:
		}
	}
}

// stop ends the server, with force after the grace period, and returns once it
// is gone: true if it went by itself.
func (p *process) stop(grace time.Duration) bool {
	// An error means that it is gone already, which done tells as well.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		_ = signalGroup(p.cmd.Process, syscall.SIGKILL)
		<-p.done
		return false
	}
}

// tail is the end of the server's log, for error messages.
func (p *process) tail() string {
	const lines = 15
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
