package main

import (
	"context"
	"io"
	"path/filepath"
)

// server is a program that tests run against. To add one, write a file with a
// function that returns it, and name that function in servers.
type server struct {
	name     string    // as in -only
	purpose  string    // one line for -list
	module   string    // the directory beside this file that pins it; empty for a program of the system
	packages []string  // main packages of its go.mod, each a program named after its last element; none if it has a package-lock.json
	tests    string    // a package that its go.mod pins, whose tests are the program, named after its last element with .test
	tools    []program // programs from the system that it runs
	root     bool      // whether only the superuser can run it

	// launch decides how to start the server at a site. Programs that tests start
	// themselves have nothing to launch: they are only built.
	launch func(site) (launch, error)
}

// recipe says how the server's programs are made, in the source below root.
func (s server) recipe(root string) recipe {
	dir := filepath.Join(root, "internal", "testbed", filepath.FromSlash(s.module))
	switch {
	case s.tests != "":
		return goTests(dir, s.tests)
	case s.isGo():
		return goPrograms(dir, s.packages)
	default:
		return npmPackages(dir)
	}
}

// isGo reports whether go builds the server.
func (s server) isGo() bool { return len(s.packages) > 0 || s.tests != "" }

// program is a command of the system and the Debian package that has it.
type program struct{ command, debian string }

// site is the place one server is given.
type site struct {
	dir  string // private, removed in the end
	bin  string // where the programs built from server.packages are
	addr string // a free port, 127.0.0.1:port
}

// program is the path of a program that was built for the server.
func (s site) program(name string) string { return filepath.Join(s.bin, name) }

// path is a path in the private directory.
func (s site) path(name string) string { return filepath.Join(s.dir, name) }

// launch is how one server is started, and what tests are told of it.
type launch struct {
	argv          []string                    // the program by its path, and its arguments; none if tests start it
	env           []string                    // NAME=value, added to the server's environment
	privateMounts bool                        // the server mounts file systems; they are to end with it
	ready         func(context.Context) error // nil as soon as the server answers
	environ       []string                    // LARDER_TEST_NAME=value, for the command
	beside        io.Closer                   // what runs in this process for the server; nil, or closed after it
}

// servers are all there are, in the order in which they are started. BuildKit
// is the last, and so the first to be stopped: it keeps connections to the
// others, some of which wait for that to end.
func servers() []server {
	return []server{registry(), registryHtpasswd(), registryToken(), registryDebian(), azurite(), versitygw(), minio(), fakegcs(), act(), actionsCache(), goActionsCache(), archivers(), buildkit()}
}
