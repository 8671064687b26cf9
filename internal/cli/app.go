package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/all"
	"github.com/larder-build/larder/backend/wrap"
)

// app is one run of the command.
type app struct {
	Streams
	stores func(all.Options) *backend.Mux

	json, quiet, verbose bool

	// out and err are the looks of what goes to the two streams.
	out, err style
	// lines takes whole lines for Err, from several goroutines.
	lines io.Writer
	// once says that the stores are asked only once what fails.
	once bool
	// muxed is what mux has made.
	muxed *backend.Mux
	// running says that the command line was understood.
	running bool
	// warned are the warnings that are printed once.
	warned []string
	// answered says that the JSON document was printed.
	answered bool
}

func newApp(s Streams, stores func(all.Options) *backend.Mux) *app {
	if s.Getenv == nil {
		s.Getenv = func(string) string { return "" }
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	a := &app{Streams: s, stores: stores, lines: &lockedWriter{to: s.Err}}
	plain := s.Getenv("NO_COLOR") != "" || a.dumb()
	a.out = style{color: s.OutTerminal && !plain, now: s.Now()}
	a.err = style{color: s.ErrTerminal && !plain}
	return a
}

// dumb reports whether the terminal understands no control sequences.
func (a *app) dumb() bool { return a.Getenv("TERM") == "dumb" }

// command returns a command that calls do with its arguments, which are
// locations, once the command line is known to be well-formed.
func (a *app) command(use, short, long string, args cobra.PositionalArgs, do func(ctx context.Context, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long, Args: args,
		ValidArgsFunction:     a.completeLocation,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.running = true
			return do(cmd.Context(), args)
		},
	}
}

// mux returns what parses and opens locations, always the same. What happens in
// the stores goes to the log of --verbose.
func (a *app) mux() *backend.Mux {
	if a.muxed != nil {
		return a.muxed
	}
	opts := all.Options{Getenv: a.Getenv, Now: a.Now, Wrap: wrap.Options{NoRetry: a.once}}
	if a.verbose {
		opts.Logger = slog.New(slog.NewTextHandler(a.lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
		observer := wrap.LogTo(opts.Logger)
		opts.Wrap.Observer = &observer
	}
	a.muxed = a.stores(opts)
	return a.muxed
}

// locations returns a check that a command has n arguments.
func locations(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("want %s, got %s", count(n, "location"), count(len(args), "argument"))
		}
		return nil
	}
}

// answer prints the result of a command: v as JSON, or what text writes for
// people. Output that cannot be written is an error, lest a full disk passes
// for a short list.
func (a *app) answer(v any, text func(w io.Writer)) error {
	var buf bytes.Buffer
	if a.json {
		a.answered = true
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(v); err != nil {
			return err
		}
	} else {
		text(&buf)
	}
	if _, err := a.Out.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// warn prints a warning.
func (a *app) warn(text string) {
	a.note(a.err.yellow("warning:") + " " + printable(text))
}

// note prints a line to standard error. A failure to do so has nowhere to go.
func (a *app) note(line string) {
	_, _ = io.WriteString(a.lines, "larder: "+strings.TrimRight(line, "\n")+"\n")
}

// lockedWriter makes one write of many at a time.
type lockedWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}
