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
)

const doctorHelp = `Find out what works at a location, and what to do about what does not.

Each line is one check: ok, a note on what kind of store it is, a warning, or
failed. By way of trial a small blob is written, and refs whose names begin with
larder-doctor, by several writers at the same time where the store can tell them
apart. All of it is removed again, also after Ctrl-C; what cannot be removed is
said. Other refs and blobs are left alone.

The status is 0 if nothing has failed, otherwise 1. With --quiet only warnings
and failures are printed.`

// doctorCommand returns "larder doctor".
func (a *app) doctorCommand() *cobra.Command {
	var opts larder.DiagnoseOptions
	cmd := a.command("doctor LOCATION [flags]", "Find out what works at a location", doctorHelp, locations(1),
		func(ctx context.Context, args []string) error { return a.doctor(ctx, args[0], opts) })
	cmd.Flags().BoolVar(&opts.ReadOnly, "read-only", false, "write nothing")
	cmd.Flags().DurationVar(&opts.Timeout, "timeout", larder.DefaultDiagnoseTimeout, "how long each check may take")
	return cmd
}

// diagnosis is the JSON document of doctor.
type diagnosis struct {
	*larder.Diagnosis

	Error *errorJSON `json:"error,omitempty"`
}

func (a *app) doctor(ctx context.Context, text string, opts larder.DiagnoseOptions) error {
	if opts.Timeout <= 0 {
		return usagef("--timeout: want a duration above 0, such as 20s")
	}
	a.once = true // what fails now and then should be seen to
	places, err := a.open(ctx, use{}, text)
	if err != nil {
		return err
	}
	defer closeAll(places)
	opts.Refs, opts.Now = places[0].loc.Refs(), a.Now
	opts.Images = places[0].loc.Type() == backend.TypeInline
	printer := &findingPrinter{app: a}
	if !a.json {
		opts.Found = printer.print
	}
	found, err := larder.Diagnose(ctx, places[0].Backend, opts)
	err = errors.Join(err, printer.err)
	if a.json {
		err = errors.Join(err, a.answer(diagnosis{found, failed(err)}, nil))
	}
	if err == nil && !found.OK {
		return errFound
	}
	return err
}

// checkWidth is the width of the column of the checks.
const checkWidth = 17

// findingPrinter prints findings for people, as they come.
type findingPrinter struct {
	app *app
	err error
}

func (p *findingPrinter) print(f backend.Finding) {
	fine := f.Status != backend.FindingWarning && f.Status != backend.FindingFailed
	if p.err != nil || fine && p.app.quiet {
		return
	}
	s := p.app.out
	line := fmt.Sprintf("%s  %-*s  %s\n", s.status(f.Status), checkWidth, printable(f.Check), printable(f.Detail))
	if f.Remedy != "" {
		indent := strings.Repeat(" ", len(backend.FindingWarning)+2+checkWidth+2)
		line += indent + s.bold("remedy:") + " " + printable(f.Remedy) + "\n"
	}
	if _, err := io.WriteString(p.app.Out, line); err != nil {
		p.err = fmt.Errorf("write the result: %w", err)
	}
}

// status shows the status of a finding in a fixed width.
func (s style) status(status backend.FindingStatus) string {
	text := fmt.Sprintf("%-*s", len(backend.FindingWarning), string(status))
	switch status {
	case backend.FindingOK:
		return s.green(text)
	case backend.FindingWarning:
		return s.yellow(text)
	case backend.FindingFailed:
		return s.red(text)
	default:
		return text
	}
}
