package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The processes that these tests start, stop and kill are this test binary
// itself, told by an environment variable which part to play.
const (
	roleVar = "TESTBED_ROLE"
	homeVar = "TESTBED_HOME" // where a part reports that it lives
)

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVar); role {
	case "":
		os.Exit(m.Run())
	case "server":
		phoneHome("server")
		select {}
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		phoneHome("stubborn")
		select {}
	case "broken":
		fmt.Fprintln(os.Stderr, "cannot bind: the port is haunted")
		os.Exit(3)
	case "command":
		phoneHome("command")
		select {}
	case "testbed":
		os.Exit(playTestbed())
	default:
		panic("no such role: " + role)
	}
}

// phoneHome tells the test that this process lives. The connection stays open
// until the process ends, however it ends, and so tells the test that as well.
func phoneHome(role string) {
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", os.Getenv(homeVar))
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(conn, "%s %d\n", role, os.Getpid())
	go func() { // keeps conn reachable, and notices the end of the test
		_, _ = io.Copy(io.Discard, conn)
		os.Exit(1)
	}()
}

// playTestbed is the testbed's main with helper processes for servers.
func playTestbed() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	all := []server{played(self, "server", "server", os.Getenv(homeVar))}
	status, err := run(ctx, []string{"--", "/usr/bin/env", roleVar + "=command", self}, all, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return status
}

// played is a server whose process plays a role.
func played(self, name, role, home string) server {
	return server{name: name, launch: func(s site) (launch, error) {
		return launch{
			argv:    []string{self},
			env:     []string{roleVar + "=" + role, homeVar + "=" + home},
			ready:   func(context.Context) error { return nil },
			environ: []string{"LARDER_TEST_" + strings.ToUpper(name) + "=" + s.addr},
		}, nil
	}}
}

// home is where the processes of one test report.
type home struct{ net.Listener }

func newHome(t *testing.T) home {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return home{l}
}

// guest is a process that reported.
type guest struct {
	role string
	pid  int
	conn io.ReadCloser
}

// next waits for the next process to report.
func (h home) next(t *testing.T) guest {
	t.Helper()
	conn, err := h.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(io.LimitReader(conn, 64)).ReadString('\n')
	if err != nil {
		t.Fatalf("a process ended before it reported: %v", err)
	}
	role, number, _ := strings.Cut(strings.TrimSpace(line), " ")
	pid, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	return guest{role, pid, conn}
}

// mustEnd waits until the process is gone.
func (g guest) mustEnd(t *testing.T) {
	t.Helper()
	// A killed process may reset the connection: that is an end as well.
	if _, err := io.Copy(io.Discard, g.conn); os.IsTimeout(err) {
		t.Errorf("%s (process %d) still runs after a minute", g.role, g.pid)
	}
}
