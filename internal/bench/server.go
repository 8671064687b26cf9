package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// registryVariable is where the testbed tells the address of its registry.
const registryVariable = "LARDER_TEST_REGISTRY"

// server is one of the project's testbed.
type server struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer
}

// startRegistry starts a CNCF distribution.
func startRegistry(ctx context.Context, log io.Writer) (*server, error) {
	return startServer(ctx, log, "registry", registryVariable)
}

// startServer has the testbed start a server beside a command that tells its
// address, which is in a variable, and waits for the end of its input.
func startServer(ctx context.Context, log io.Writer, name, variable string) (*server, error) {
	// Not ended with the context: the testbed tidies up when its command ends.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "go", "run", "./internal/testbed", "-only", name, "--",
		"sh", "-c", "echo $"+variable+"; cat >/dev/null")
	cmd.Dir = "../.." // the module with the testbed
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
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
	r := &server{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_, address, isURL := strings.Cut(strings.TrimSpace(line), "://")
	if !isURL {
		address = strings.TrimSpace(line)
	}
	if r.addr, _, _ = strings.Cut(address, "/"); r.addr == "" {
		return nil, errors.Join(fmt.Errorf("the testbed has started no %s: %w", name, err), r.close())
	}
	return r, nil
}

// close ends the server and removes its content.
func (r *server) close() error {
	return errors.Join(r.stdin.Close(), r.cmd.Wait())
}
