// Command act runs the cache server of nektos/act, with which people run
// workflows of GitHub on their own machines, for tests to hold larder against:
//
//	act DIRECTORY
//
// It keeps its entries below the directory, prints its URL, and ends when its
// standard input does. A module of its own, so that what act needs reaches
// nobody's go.sum.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/nektos/act/pkg/artifactcache"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "act:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want a directory, got %q", args)
	}
	h, err := artifactcache.StartHandler(args[0], "", "127.0.0.1", 0, nil)
	if err != nil {
		return err
	}
	fmt.Println(h.ExternalURL() + "/")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return h.Close()
}
