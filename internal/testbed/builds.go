package main

import (
	"context"
	"strings"
	"sync"
)

// builds are the programs of a testbed in the making: those of all servers at
// the same time, each once. Compilers leave processors idle while they wait for
// downloads and for linkers, most of all when nothing is cached.
type builds struct {
	group sync.WaitGroup
	once  map[string]func() (bin string, err error)
}

// start begins to build what go can build. What needs other programs waits
// until its server's turn, when they have been installed.
func (a *builds) start(ctx context.Context, b *bed, chosen []server) {
	a.once = map[string]func() (string, error){}
	for _, s := range chosen {
		key := s.sources()
		if !s.isGo() || a.once[key] != nil {
			continue
		}
		build := sync.OnceValues(func() (string, error) { return b.build(ctx, s) })
		a.once[key] = build
		a.group.Go(func() { _, _ = build() }) // an error is for the server's turn
	}
}

// of returns the directory with the programs of a server, "" if it has none.
func (a *builds) of(ctx context.Context, b *bed, s server) (string, error) {
	if build := a.once[s.sources()]; build != nil {
		return build()
	}
	if s.module == "" {
		return "", nil
	}
	return b.build(ctx, s)
}

// wait returns once nothing is being built any more.
func (a *builds) wait() { a.group.Wait() }

// sources names what the server's programs are built from.
func (s server) sources() string {
	return s.module + " " + strings.Join(append(s.packages, s.tests), " ")
}
