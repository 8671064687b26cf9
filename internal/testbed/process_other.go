//go:build !linux

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// The servers run on Linux; elsewhere the testbed does what is portable.

func leadGroup(*exec.Cmd) {}

func dieWithParent(*exec.Cmd, bool) {}

func signalGroup(p *os.Process, sig syscall.Signal) error {
	if sig == syscall.SIGKILL {
		return p.Kill()
	}
	return p.Signal(sig)
}
