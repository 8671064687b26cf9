package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/template"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
)

const keyHelp = `Print a key made from a template (Go's text/template) with these functions:

  {{os}} {{arch}}          the system and processor, such as linux and amd64
  {{hash "FILE"...}}       a digest of the content of files; names may be patterns,
                           with ** for any number of directories
  {{env "NAME"}}           an environment variable, empty if it is not set
  {{date "2006-01"}}       the date in UTC, in Go's layout

For example:
  larder key 'deps-{{os}}-{{arch}}-{{hash "go.sum" "**/go.sum"}}'`

// keyCommand returns "larder key".
func (a *app) keyCommand() *cobra.Command {
	cmd := a.command("key TEMPLATE", "Print a key made from a template", keyHelp, cobra.ExactArgs(1),
		func(_ context.Context, args []string) error {
			key, err := a.key(args[0])
			if err != nil {
				return err
			}
			return a.answer(struct {
				Schema string `json:"schema"`
				Key    string `json:"key"`
			}{larder.Schema, key}, func(w io.Writer) { _, _ = fmt.Fprintln(w, key) })
		})
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

func (a *app) key(text string) (string, error) {
	functions := template.FuncMap{
		"os":   func() string { return runtime.GOOS },
		"arch": func() string { return runtime.GOARCH },
		"hash": hashFiles,
		"env":  a.Getenv,
		"date": func(layout string) string { return a.Now().UTC().Format(layout) },
	}
	t, err := template.New("key").Funcs(functions).Option("missingkey=error").Parse(text)
	if err != nil {
		return "", usagef("%w", err)
	}
	var key strings.Builder
	if err := t.Execute(&key, nil); err != nil {
		if failed, ok := errors.AsType[*hashError](err); ok {
			return "", failed // without the template's view of it
		}
		return "", err
	}
	if key.Len() == 0 {
		return "", usagef("the template %q makes an empty key", text)
	}
	return key.String(), nil
}

// hashDigits is how many digits of the digest of files go into a key. With 64
// bits, keys that differ by chance only are not met.
const hashDigits = 16

// hashError is an error of "hash" in a template.
type hashError struct {
	pattern string
	err     error
}

func (e *hashError) Error() string { return fmt.Sprintf("hash %q: %v", e.pattern, e.err) }
func (e *hashError) Unwrap() error { return e.err }

// hashFiles returns a digest of the content of files, whatever their names. A
// pattern that matches nothing is an error: a key that leaves out what it was
// to depend on would be found when it should not.
func hashFiles(patterns ...string) (string, error) {
	var names []string
	for _, pattern := range patterns {
		matches, err := doublestar.FilepathGlob(pattern, doublestar.WithFilesOnly(), doublestar.WithFailOnIOErrors())
		if err == nil && len(matches) == 0 {
			err = fmt.Errorf("there is no such file: %w", os.ErrNotExist)
		}
		if err != nil {
			return "", &hashError{pattern, err}
		}
		names = append(names, matches...)
	}
	slices.Sort(names)
	all := sha256.New()
	for _, name := range slices.Compact(names) {
		sum, err := hashFile(name)
		if err != nil {
			return "", &hashError{name, err}
		}
		all.Write(sum)
	}
	return hex.EncodeToString(all.Sum(nil))[:hashDigits], nil
}

func hashFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}
