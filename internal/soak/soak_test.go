package soak_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend/local"
)

var full = flag.Bool("soak.full", os.Getenv("LARDER_SOAK") == "full", "run the proofs in their full size")

// sized returns how often to do something.
func sized(small, large int) int {
	if *full {
		return large
	}
	return small
}

// envJob makes the test binary an exporter. Its value is the job.
const envJob = "LARDER_SOAK_JOB"

func TestMain(m *testing.M) {
	if text := os.Getenv(envJob); text != "" {
		if err := work(context.Background(), text, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// job is what an exporter does: count builds of a series, one after the other,
// each exported to the same ref.
type job struct {
	dir, ref, series string
	count            int
}

func (j job) String() string {
	return strings.Join([]string{j.dir, j.ref, j.series, strconv.Itoa(j.count)}, "\n")
}

func parseJob(text string) (j job, err error) {
	parts := strings.Split(text, "\n")
	if len(parts) != 4 {
		return job{}, fmt.Errorf("job %q has %d lines, want 4", text, len(parts))
	}
	j = job{dir: parts[0], ref: parts[1], series: parts[2]}
	j.count, err = strconv.Atoi(parts[3])
	return j, err
}

// work exports the builds of a job and acknowledges each by a line.
func work(ctx context.Context, text string, acknowledge io.Writer) error {
	j, err := parseJob(text)
	if err != nil {
		return err
	}
	b, err := local.Open(j.dir, local.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	to := []larder.Target{{Backend: b, Ref: j.ref}}
	for i := range j.count {
		c, err := buildOf(j.series, i)
		if err != nil {
			return err
		}
		if _, err := larder.Export(ctx, c.manifest, c, to, larder.ExportOptions{}); err != nil {
			return fmt.Errorf("export %s %d: %w", j.series, i, err)
		}
		if _, err := fmt.Fprintln(acknowledge, i); err != nil {
			return err
		}
	}
	return nil
}

// exporter is a running process.
type exporter struct {
	cmd  *exec.Cmd
	acks *bufio.Scanner
	errs *strings.Builder
}

func start(t *testing.T, j job) *exporter {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	e := &exporter{cmd: exec.CommandContext(t.Context(), self), errs: &strings.Builder{}}
	e.cmd.Env = append(os.Environ(), envJob+"="+j.String())
	e.cmd.Stderr = e.errs
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	e.acks = bufio.NewScanner(out)
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return e
}

// acknowledged waits for the end of the process and returns how many builds it
// has acknowledged that had not been read before.
func (e *exporter) acknowledged() (count int, err error) {
	for e.acks.Scan() {
		count++
	}
	if err := e.cmd.Wait(); err != nil {
		return count, fmt.Errorf("%w: %s", err, e.errs)
	}
	return count, e.acks.Err()
}
