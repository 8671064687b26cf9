package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	// stopLimit is how long a server or the command has to end after SIGTERM. It
	// is more than servers give their clients: versitygw waits 10 s for one that
	// has connected and asked nothing yet, as net/http's clients do in advance.
	stopLimit = 20 * time.Second
	// startLimit is how long a server has to answer after its start. They
	// take well under a second on an idle machine.
	startLimit = time.Minute
)

// bed is a directory, the servers that run in it, and what tests are told.
type bed struct {
	dir     string
	saying  sync.Mutex
	out     io.Writer
	verbose bool
	grace   time.Duration // stopLimit, except in tests
	builds  builds
	running []*process
	beside  []io.Closer
	environ []string
}

func newBed(out io.Writer, verbose bool) (*bed, error) {
	dir, err := os.MkdirTemp("", "larder-testbed-")
	if err != nil {
		return nil, err
	}
	return &bed{dir: dir, out: out, verbose: verbose, grace: stopLimit}, nil
}

// bring makes one server run: installs what it needs, builds it, starts it,
// and waits until it answers.
func (b *bed) bring(ctx context.Context, s server) error {
	if err := require(ctx, b.out, s); err != nil {
		return err
	}
	bin, err := b.builds.of(ctx, b, s)
	if err != nil {
		return err
	}
	where := site{dir: filepath.Join(b.dir, s.name), bin: bin}
	if err := os.Mkdir(where.dir, 0o700); err != nil {
		return err
	}
	if where.addr, err = freeAddr(ctx); err != nil {
		return err
	}
	l, err := s.launch(where)
	if err != nil {
		return err
	}
	if len(l.argv) > 0 {
		err = b.run(ctx, s, l, where)
	}
	if err == nil {
		b.environ = append(b.environ, l.environ...)
	}
	return err
}

// run starts a server and waits until it answers.
func (b *bed) run(ctx context.Context, s server, l launch, where site) error {
	began := time.Now()
	if l.beside != nil {
		b.beside = append(b.beside, l.beside)
	}
	p, err := start(l, where.path("server.log"), b.echo())
	if err != nil {
		return err
	}
	b.running = append(b.running, p)
	if err := p.await(ctx, l.ready, startLimit); err != nil {
		return err
	}
	b.say("%s started in %s", s.name, seconds(began))
	return nil
}

// build makes the server's programs and returns their directory.
func (b *bed) build(ctx context.Context, s server) (string, error) {
	began := time.Now()
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	bin, cached, err := buildOnce(ctx, s.recipe(root), cache)
	if err != nil {
		return "", err
	}
	if !cached {
		b.say("%s built in %s", s.name, seconds(began))
	}
	return bin, nil
}

// close stops the servers, last started first, and removes the directory.
func (b *bed) close() error {
	var errs []error
	for _, p := range slices.Backward(b.running) {
		if !p.stop(b.grace) {
			b.say("%s did not stop within %v and was killed", filepath.Base(p.cmd.Path), b.grace)
		}
	}
	for _, c := range b.beside {
		errs = append(errs, c.Close())
	}
	errs = append(errs, os.RemoveAll(b.dir))
	return errors.Join(errs...)
}

func (b *bed) say(format string, args ...any) {
	b.saying.Lock()
	defer b.saying.Unlock()
	fmt.Fprintf(b.out, "testbed: "+format+"\n", args...)
}

// echo is where the servers' logs go besides their files.
func (b *bed) echo() io.Writer {
	if b.verbose {
		return b.out
	}
	return io.Discard
}

// freeAddr finds a port that nobody listens on. Another process can take it
// before the server does; then the server ends, and the testbed says so.
func freeAddr(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func seconds(began time.Time) string {
	return fmt.Sprintf("%.1f s", time.Since(began).Seconds())
}
