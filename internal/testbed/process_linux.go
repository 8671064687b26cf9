package main

import (
	"os"
	"os/exec"
	"syscall"
)

// leadGroup gives cmd a process group of its own, so that a Ctrl-C meant for
// the testbed does not stop the servers under the command, and so that all its
// children can be signaled. A command that reads a terminal gets the terminal.
func leadGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if file, ok := cmd.Stdin.(*os.File); ok && isTerminal(file) {
		cmd.SysProcAttr.Foreground = true
		cmd.SysProcAttr.Ctty = int(file.Fd())
	}
}

// isTerminal tells a terminal from the other character device that standard
// input often is, /dev/null.
func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err == nil && !os.SameFile(info, null)
}

// dieWithParent makes the kernel kill cmd when the testbed dies without having
// stopped it, and, with privateMounts, forget its mounts when it ends.
func dieWithParent(cmd *exec.Cmd, privateMounts bool) {
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if privateMounts {
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
}

// signalGroup signals a process that leadGroup set up, and its children.
func signalGroup(p *os.Process, sig syscall.Signal) error {
	return syscall.Kill(-p.Pid, sig)
}
