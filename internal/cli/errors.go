package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest/buildkit"
)

// The exit statuses.
const (
	statusDone    = 0
	statusFailed  = 1
	statusUsage   = 2
	statusNothing = 3
)

// usageError says that the command line is wrong.
type usageError struct {
	err     error
	command string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}

// nothingError says that what was asked for does not exist.
type nothingError struct {
	text, hint string
}

func (e *nothingError) Error() string        { return e.text }
func (e *nothingError) Is(target error) bool { return target == backend.ErrNotFound }

// hinted is an error with advice.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }

// errFound is the status of a command that did its work and found what is a
// failure for scripts: it has said so already.
var errFound = errors.New("problems found")

// errorJSON is an error in a JSON document.
type errorJSON struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// failed returns err for a JSON document; nil if there is none.
func failed(err error) *errorJSON {
	if err == nil || errors.Is(err, errFound) {
		return nil
	}
	return &errorJSON{Kind: kind(err), Message: oneLine(err), Hint: hint(err)}
}

// kind names the kind of an error.
func kind(err error) string {
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		return "usage"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "interrupted"
	case errors.Is(err, buildkit.ErrNotCache):
		return "not-cache"
	}
	if k := backend.Kind(err); k != nil {
		return strings.ReplaceAll(k.Error(), " ", "-")
	}
	return "failed"
}

// hint returns advice about an error, or "".
func hint(err error) string {
	var h *hinted
	var nothing *nothingError
	var usage *usageError
	switch {
	case errors.As(err, &h):
		return h.hint
	case errors.As(err, &nothing):
		return nothing.hint
	case errors.As(err, &usage) && usage.command != "":
		return `"` + usage.command + ` --help" shows how it is used`
	case errors.As(err, &usage):
		return ""
	case remedy(err) != "":
		return remedy(err)
	case errors.Is(err, backend.ErrDenied):
		return "check the permissions, or the credentials; larder doctor tells whose they are"
	case errors.Is(err, backend.ErrUnavailable):
		return "--verbose shows what was asked and tried again, larder doctor what works"
	case errors.Is(err, backend.ErrUnsupported):
		return "larder doctor tells what this store can do, and what it offers instead"
	}
	return ""
}

// remedy returns what an error of a store knows to do about itself, or "".
func remedy(err error) string {
	if r, ok := errors.AsType[backend.Remedier](err); ok {
		return r.Remedy()
	}
	return ""
}

// maxLines is how many of several errors are shown.
const maxLines = 5

// oneLine returns the text of an error in one line, for the first few of many
// that were joined. What it says to do about itself is left to the hint.
func oneLine(err error) string {
	text := err.Error()
	if r := remedy(err); r != "" && hint(err) == r {
		text = strings.ReplaceAll(text, "; "+r, "")
	}
	lines := strings.Split(text, "\n")
	if rest := len(lines) - maxLines; rest > 0 {
		lines = append(lines[:maxLines], fmt.Sprintf("and %d more", rest))
	}
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "; ")
}

// finish says what went wrong, if anything, and returns the exit status.
func (a *app) finish(ctx context.Context, cmd *cobra.Command, err error) int {
	if err == nil {
		return statusDone
	}
	if errors.Is(err, errFound) {
		return statusFailed
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("interrupted: %w", ctx.Err())
	}
	if a.json && !a.answered {
		// There is nothing to be done about a second failure.
		_ = a.answer(failure{Schema: larder.Schema, Error: failed(err)}, nil)
	}
	a.complain(cmd, err)
	return status(err)
}

// failure is the JSON document of a command that has nothing else to say.
type failure struct {
	Schema string     `json:"schema"`
	Ref    string     `json:"ref,omitempty"`
	Error  *errorJSON `json:"error"`
}

// complain prints an error with its hint to standard error.
func (a *app) complain(cmd *cobra.Command, err error) {
	name := ""
	if cmd.HasParent() {
		name = cmd.Name() + ": "
	}
	a.note(name + a.err.red(oneLine(err)))
	if h := hint(err); h != "" {
		_, _ = io.WriteString(a.lines, "  hint: "+printable(h)+"\n")
	}
}

// status returns the exit status for an error.
func status(err error) int {
	var usage *usageError
	var nothing *nothingError
	switch {
	case errors.As(err, &usage):
		return statusUsage
	case errors.As(err, &nothing):
		return statusNothing
	default:
		return statusFailed
	}
}

// longestCommand bounds the words that commands are compared with, in bytes.
const longestCommand = 20

// unknownCommand refuses what is no command, with the nearest that are.
func (a *app) unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := "unknown command " + blob.Quote(args[0])
	if near := cmd.SuggestionsFor(args[0][:min(len(args[0]), longestCommand)]); len(near) > 0 {
		text += ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(text)
}
