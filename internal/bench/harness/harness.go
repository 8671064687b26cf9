// Package harness has what the programs that measure larder beside others have
// in common: their command line, the programs that they build, the servers that
// run beside, and how times are compared.
//
// All of it works in the directory of this module, as programs do that are run
// by "go run -C internal/bench".
package harness

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

// project is the directory of the module that is measured.
const project = "../.."

// Main is the function main of a program: it calls run with the arguments, and
// with a context that also ends when the program is interrupted. An error is
// printed after the name, and exits with 1.
func Main(ctx context.Context, name string, run func(ctx context.Context, args []string, out, log io.Writer) error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

// PrintMachine prints what a table's times depend on.
func PrintMachine(out io.Writer, rounds int) {
	fmt.Fprintf(out, "%d cores, %s/%s, %s, %d rounds\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), rounds)
}

// Program is one that is built from source: a package, and a directory of the
// module that knows it.
type Program struct{ Dir, Package string }

// The programs of this project.
var (
	LarderCommand       = Program{project, "./examples/larder"}
	CacheServiceCommand = Program{project, "./internal/ghaserver/serve"}
)

// BuildArgs are the command that builds the program, to be run in its Dir.
func (p Program) BuildArgs(out string) []string {
	return []string{"go", "build", "-trimpath", "-buildvcs=false", "-o", out, p.Package}
}

// Build builds the program into the file out.
func (p Program) Build(ctx context.Context, out string) error {
	args := p.BuildArgs(out)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = p.Dir
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", p.Package, err, text)
	}
	return nil
}
