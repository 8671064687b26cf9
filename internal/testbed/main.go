// Command testbed runs a command beside real servers:
//
//	go run ./internal/testbed [-only name,name] [-v] -- command [argument...]
//
// It builds the servers from the nested modules below this directory, starts
// them on free ports of 127.0.0.1 in a private directory, waits until they
// answer, and runs the command with their addresses in LARDER_TEST_* variables.
// When the command ends, or the testbed is interrupted, it stops every server,
// removes the directory, and exits with the command's own status (which
// "go run" turns into 1; build the testbed to see the number).
//
// LARDER_TEST_REQUIRE=1 tells tests that every server is there, so that a
// missing one is a failure and no reason to skip. It is not set with -only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// Exit statuses of the testbed itself; everything else is the command's.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status, err := run(ctx, os.Args[1:], servers(), os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
	}
	os.Exit(status)
}

// run is the whole program: it returns the exit status and, where the testbed
// itself failed, the reason.
func run(ctx context.Context, args []string, all []server, out io.Writer) (int, error) {
	flags := flag.NewFlagSet("testbed", flag.ContinueOnError)
	flags.SetOutput(out)
	only := flags.String("only", "", "start only these servers, `name,name`")
	list := flags.Bool("list", false, "list the servers and exit")
	verbose := flags.Bool("v", false, "print what the servers log")
	if err := flags.Parse(args); err != nil {
		return exitUsage, nil // flag has printed it
	}
	if *list {
		for _, s := range all {
			fmt.Fprintf(out, "%-18s %s\n", s.name, s.purpose)
		}
		return 0, nil
	}
	chosen, err := choose(all, *only)
	if err != nil {
		return exitUsage, err
	}
	if flags.NArg() == 0 {
		return exitUsage, errors.New("no command given: go run ./internal/testbed -- command [argument...]")
	}
	b, err := newBed(out, *verbose)
	if err != nil {
		return exitFailed, err
	}
	require := "LARDER_TEST_REQUIRE=" // also against a testbed around this one
	if *only == "" {
		require += "1"
	}
	b.environ = append(b.environ, require)
	status, err := b.runBeside(ctx, chosen, flags.Args())
	return status, errors.Join(err, b.close())
}

// choose returns the servers named in only, all of them if it is empty.
func choose(all []server, only string) ([]server, error) {
	if only == "" {
		return all, nil
	}
	var chosen []server
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(s server) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-only: no server is named %q; -list shows them", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// runBeside starts the servers and then runs the command.
func (b *bed) runBeside(ctx context.Context, chosen []server, command []string) (int, error) {
	building, stop := context.WithCancel(ctx)
	defer b.builds.wait()
	defer stop()
	b.builds.start(building, b, chosen)
	for _, s := range chosen {
		if err := b.bring(ctx, s); err != nil {
			return exitFailed, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), b.environ...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	leadGroup(cmd)
	dieWithParent(cmd, false)
	cmd.Cancel = func() error { return signalGroup(cmd.Process, syscall.SIGTERM) }
	cmd.WaitDelay = b.grace
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return exitFailed, err
	}
	if ctx.Err() != nil {
		// What the command had started, and what did not follow SIGTERM.
		_ = signalGroup(cmd.Process, syscall.SIGKILL)
	}
	return exitStatus(cmd.ProcessState), nil
}

// exitStatus follows the shells: 128 and the signal for a killed command.
func exitStatus(state *os.ProcessState) int {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return state.ExitCode()
}
