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

// registry is a CNCF distribution of the project's testbed.
type registry struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer
}

// startRegistry has the testbed start a registry beside a command that tells
// its address and waits for the end of its input.
func startRegistry(ctx context.Context, log io.Writer) (*registry, error) {
	// Not ended with the context: the testbed tidies up when its command ends.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "go", "run", "./internal/testbed", "-only", "registry", "--",
		"sh", "-c", "echo $"+registryVariable+"; cat >/dev/null")
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
	r := &registry{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if r.addr = strings.TrimSpace(line); r.addr == "" {
		return nil, errors.Join(fmt.Errorf("the testbed has started no registry: %w", err), r.close())
	}
	return r, nil
}

// close ends the registry and removes its content.
func (r *registry) close() error {
	return errors.Join(r.stdin.Close(), r.cmd.Wait())
}
