// Command mk is what the builds of these tests run. An image that starts from
// nothing has no other program, so mk does what they need of a shell:
//
//	mk random FILE SIZE     write random bytes, never the same twice
//	mk cat FILE SOURCE...   write the concatenation of files
//	mk link TARGET FILE     make a symbolic link
//	mk remove FILE...       remove files
package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mk:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("want a verb and its files")
	}
	verb, file, rest := args[0], args[1], args[2:]
	switch {
	case verb == "random" && len(rest) == 1:
		return random(file, rest[0])
	case verb == "cat":
		return cat(file, rest)
	case verb == "link" && len(rest) == 1:
		return os.Symlink(file, rest[0])
	case verb == "remove":
		return remove(args[1:])
	}
	return fmt.Errorf("no such verb, or wrong arguments: %q", args)
}

func random(file, size string) error {
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return err
	}
	return write(file, io.LimitReader(rand.Reader, n))
}

func cat(file string, sources []string) error {
	var readers []io.Reader
	for _, name := range sources {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		readers = append(readers, f)
	}
	return write(file, io.MultiReader(readers...))
}

func write(file string, content io.Reader) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

func remove(files []string) error {
	var errs []error
	for _, name := range files {
		errs = append(errs, os.Remove(name))
	}
	return errors.Join(errs...)
}
