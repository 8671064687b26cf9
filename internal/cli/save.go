package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob/archive"
	"github.com/larder-build/larder/blob/compress"
)

const saveHelp = `Store directories under a key, so that "larder restore" brings them back.

What has not changed since the directories were last saved or restored here is not
read again, and of a change only a few layers are sent. If nothing has changed,
nothing is sent. Other keys of the same ref stay, unless --max-age or --keep says
that there are too many. A key that is saved again is as young as a new one.

Directories have the names that the PATHs are, relative ones to be restored below
any directory, absolute ones and those with ".." only when they are named again.
They are kept in the location's refs with ".dirs" added to their names, which
BuildKit does not write to: save, restore and lookup add that by themselves, while
"larder copy" and the like are given it, as in "local:cache?tag=main.dirs".

For example:
  key=$(larder key 'deps-{{os}}-{{hash "package-lock.json"}}')
  larder save --to ghcr.io/org/cache:main --key "$key" --max-age 30d node_modules`

// saveCommand returns "larder save".
func (a *app) saveCommand() *cobra.Command {
	var to, exclude []string
	var key, compression, maxAge string
	var opts larder.SaveOptions
	s := &scoping{}
	cmd := a.command("save --to LOCATION [--to LOCATION]... --key KEY [flags] PATH...", "Store directories under a key", saveHelp, cobra.MinimumNArgs(1),
		func(ctx context.Context, paths []string) error {
			var err error
			if opts.Compression, opts.Level, err = parseCompression(compression); err != nil {
				return err
			}
			if opts.MaxAge, err = parseAge(maxAge); err != nil {
				return err
			}
			if opts.MaxKeys < 0 {
				return usagef("--keep: %d: want a number of keys", opts.MaxKeys)
			}
			opts.Skip = excluding(exclude)
			return a.save(ctx, s, key, paths, to, opts)
		})
	cmd.ValidArgsFunction = nil
	flags := cmd.Flags()
	flags.StringArrayVar(&to, "to", nil, "`LOCATION` to save to; may be repeated")
	flags.StringVar(&key, "key", "", "`KEY` to save under, see \"larder key\"")
	flags.StringArrayVar(&exclude, "exclude", nil, "`PATTERN` of names to leave out, as in a .gitignore; may be repeated")
	flags.StringVar(&compression, "compression", "", "`TYPE[:LEVEL]` of the layers: zstd (the default), gzip, estargz or uncompressed")
	flags.BoolVar(&opts.Keep.Deterministic, "deterministic", false, "leave out times, so that equal trees give equal layers")
	flags.BoolVar(&opts.Keep.Owners, "owners", false, "keep who owns the files")
	flags.BoolVar(&opts.Keep.Xattrs, "xattrs", false, "keep extended attributes")
	flags.StringVar(&maxAge, "max-age", "", "`AGE`, such as 30d or 12h, after which other keys leave the ref unless they are saved again")
	flags.IntVar(&opts.MaxKeys, "keep", 0, "`NUMBER` of keys that the ref keeps, the newest")
	flags.BoolVar(&opts.SkipUnreadable, "skip-unreadable", false, "leave out what cannot be read or kept, or changes all the time, with a warning")
	s.addScopeFlags(cmd)
	a.requireLocations(cmd, "to")
	_ = cmd.MarkFlagRequired("key")
	return cmd
}

// parseCompression reads "zstd:3".
func parseCompression(text string) (c compress.Compression, level int, err error) {
	if text == "" {
		return "", 0, nil
	}
	name, number, leveled := strings.Cut(text, ":")
	if leveled {
		if level, err = strconv.Atoi(number); err != nil {
			return "", 0, usagef("--compression: %q: want TYPE:LEVEL, such as zstd:3", text)
		}
	}
	if err := compress.CheckLevel(compress.Compression(name), level); err != nil {
		return "", 0, usagef("--compression: %w", err)
	}
	return compress.Compression(name), level, nil
}

// parseAge reads "30d", "2w" or what Go has for durations; "" is no bound.
func parseAge(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	const day = 24 * time.Hour
	for suffix, unit := range map[string]time.Duration{"d": day, "w": 7 * day} {
		if number, ok := strings.CutSuffix(text, suffix); ok {
			n, err := strconv.ParseUint(number, 10, 16)
			if err != nil || n == 0 {
				return 0, usagef("--max-age: %q: want a number of days or weeks, such as 30d", text)
			}
			return time.Duration(n) * unit, nil //nolint:gosec // of 16 bits
		}
	}
	age, err := time.ParseDuration(text)
	if err != nil || age <= 0 {
		return 0, usagef("--max-age: %q: want an age such as 30d, 2w or 12h", text)
	}
	return age, nil
}

// saved is the JSON document of save.
type saved struct {
	Schema string `json:"schema"`
	*larder.SaveReport
	Nanoseconds time.Duration `json:"nanoseconds"`
	Error       *errorJSON    `json:"error,omitempty"`
}

func (a *app) save(ctx context.Context, s *scoping, key string, paths, to []string, opts larder.SaveOptions) error {
	targets, closeTargets, err := a.openTargets(ctx, s, to)
	if err != nil {
		return err
	}
	defer closeTargets()
	dirs := make([]larder.Directory, len(paths))
	for i, path := range paths {
		dirs[i].Path = path
	}
	start := a.Now()
	progress, stop := a.watchNamed("save", printableAll(paths))
	opts.Snapshots, opts.Tool = a.snapshots(), "larder "+thisBuild(debug.ReadBuildInfo()).Version
	opts.Export.Now, opts.Export.Progress = a.Now, progress
	defer a.spareMemory()()
	report, err := larder.Save(ctx, key, dirs, targets, opts)
	stop()
	took := a.Now().Sub(start)
	if !opts.SkipUnreadable && canSkip(err, paths) {
		err = &hinted{err, "--skip-unreadable leaves out what cannot be read or kept, or changes all the time"}
	}
	for _, d := range report.Directories {
		a.warnSkipped(d)
	}
	a.warnAll(report.Degradations)
	for _, t := range report.Targets {
		a.warnAll(t.Degradations)
	}
	if a.quiet && !a.json {
		return err
	}
	return errors.Join(err, a.answer(saved{larder.Schema, report, took, failed(err)}, func(w io.Writer) {
		if err == nil {
			a.savedSummary(w, report, took)
		}
	}))
}

// canSkip reports whether an error is about something in a directory that a save
// can go without.
func canSkip(err error, dirs []string) bool {
	if _, ok := errors.AsType[*archive.FileError](err); ok {
		return true
	}
	about, ok := errors.AsType[*fs.PathError](err)
	return ok && errors.Is(about, fs.ErrPermission) && !slices.Contains(dirs, about.Path) && backend.Kind(err) == nil
}

func printableAll(texts []string) []string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = printable(text)
	}
	return all
}

// warnSkipped says what was left out of a directory.
func (a *app) warnSkipped(d *larder.SavedDirectory) {
	for _, f := range d.Skipped {
		a.warn(fmt.Sprintf("left out: %s in %s: %s", f.Path, d.Name, f.Reason))
	}
}

func (a *app) savedSummary(w io.Writer, r *larder.SaveReport, took time.Duration) {
	for _, d := range r.Directories {
		_, _ = fmt.Fprintf(w, "%s: %s in %s (%s), made %s\n", printable(d.Name), count(d.Files, "name"), count(d.Layers, "layer"), bytesText(d.Bytes), blobs(d.Written))
	}
	for _, t := range r.Targets {
		_, _ = fmt.Fprintf(w, "%s: %s at %s in %s\n", printable(r.Key), a.out.green(string(t.Outcome)), printable(t.Target+" "+t.Ref), elapsed(took))
	}
}

// snapshots returns the directory in which the state of saved and restored
// directories is remembered: in that for caches which the XDG Base Directory
// Specification and Windows give to users.
func (a *app) snapshots() string {
	for _, place := range [][]string{{a.Getenv("XDG_CACHE_HOME")}, {a.Getenv("LocalAppData")}, {a.Getenv("HOME"), ".cache"}} {
		if filepath.IsAbs(place[0]) {
			return filepath.Join(append(place, "larder", "directories")...)
		}
	}
	return ""
}

// saveGarbage is how much garbage may gather while directories are saved, in
// percent of what is in use: that is mostly buffers, in which the collector has
// nothing to look for, so that it is cheap to have little.
const saveGarbage = 25

// spareMemory has garbage collected earlier than is the default, unless the
// environment says when, and returns what undoes that.
func (a *app) spareMemory() (undo func()) {
	if a.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(saveGarbage)
	return func() { debug.SetGCPercent(before) }
}
