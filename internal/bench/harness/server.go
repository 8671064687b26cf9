package harness

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// Server is a program that runs beside what is measured: it tells first where it
// is, and ends with its input.
type Server struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// start starts a command as a server and has told read what it tells. The
// command is not to end with a context, so that it can tidy up.
func start(cmd *exec.Cmd, log io.Writer, told func(io.Reader) error) (*Server, error) {
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
	s := &Server{cmd: cmd, stdin: stdin}
	if err := told(stdout); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close ends the server and removes its content.
func (s *Server) Close() error {
	return errors.Join(s.stdin.Close(), s.cmd.Wait())
}

// TestbedServer is one of the project's testbed.
type TestbedServer struct {
	*Server

	Addr string // host:port
}

// StartTestbed has the testbed start the server of a name, whose address it
// tells in a variable. The caller closes it.
func StartTestbed(ctx context.Context, log io.Writer, name, variable string) (*TestbedServer, error) {
	var addr string
	cmd := testbed(context.WithoutCancel(ctx), name, "echo $"+variable+"; cat >/dev/null")
	server, err := start(cmd, log, func(stdout io.Reader) error {
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if addr = host(strings.TrimSpace(line)); addr == "" {
			return fmt.Errorf("the testbed has started no %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &TestbedServer{server, addr}, nil
}

// host returns host:port of an address that may be a URL.
func host(address string) string {
	if _, after, isURL := strings.Cut(address, "://"); isURL {
		address = after
	}
	address, _, _ = strings.Cut(address, "/")
	return address
}

// TestbedVariable returns a variable that the testbed sets for what it installs
// and does not run.
func TestbedVariable(ctx context.Context, log io.Writer, name, variable string) (string, error) {
	cmd := testbed(ctx, name, "echo $"+variable)
	cmd.Stderr = log
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// testbed is the command that runs a shell's script beside a server.
func testbed(ctx context.Context, name, script string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", "run", "./internal/testbed", "-only", name, "--", "sh", "-c", script)
	cmd.Dir = project
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	return cmd
}

// CacheService is the cache service of GitHub Actions that the project's tests
// have.
type CacheService struct {
	*Server

	// URL is what ACTIONS_RESULTS_URL is to be, and Token one that reads and
	// writes the scope refs/heads/main.
	URL, Token string
}

// StartCacheService starts the program CacheServiceCommand with options. The
// caller closes it.
func StartCacheService(ctx context.Context, log io.Writer, program string, options ...string) (*CacheService, error) {
	var told struct {
		URL    string
		Tokens [1]string
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, append(options, "refs/heads/main=rw")...)
	server, err := start(cmd, log, func(stdout io.Reader) error {
		if err := json.NewDecoder(stdout).Decode(&told); err != nil {
			return fmt.Errorf("the cache service has not started: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &CacheService{server, told.URL + "/", told.Tokens[0]}, nil
}
