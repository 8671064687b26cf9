package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// require makes sure that the machine has what a server needs. The superuser
// of a Debian gets missing packages installed; anybody else is told what to do.
func require(ctx context.Context, out io.Writer, s server) error {
	if s.root && os.Geteuid() != 0 {
		return errors.New("needs root: run the testbed as root, or leave this server out with -only")
	}
	var missing []string
	for _, tool := range s.tools {
		if _, err := exec.LookPath(tool.command); err != nil {
			missing = append(missing, tool.debian)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("needs the Debian packages %[1]s: run apt-get install %[1]s as root", strings.Join(missing, " "))
	}
	fmt.Fprintf(out, "testbed: installing %s for %s\n", strings.Join(missing, " "), s.name)
	return install(ctx, missing)
}

// install installs Debian packages. The lists are refreshed only if that is
// needed, because it takes longer than all the rest.
func install(ctx context.Context, packages []string) error {
	args := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
	if apt(ctx, args...) == nil {
		return nil
	}
	if err := apt(ctx, "update"); err != nil {
		return err
	}
	return apt(ctx, args...)
}

func apt(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	var messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &messages, &messages
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, messages.Bytes())
	}
	return nil
}
