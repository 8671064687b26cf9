package larder

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest/buildkit"
)

// DefaultDiagnoseTimeout is how long [Diagnose] waits for one check.
const DefaultDiagnoseTimeout = 20 * time.Second

// DiagnoseOptions are the options of [Diagnose].
type DiagnoseOptions struct {
	// ReadOnly writes nothing, not for a moment either.
	ReadOnly bool
	// Refs are looked at, in addition to the store itself. There need not be
	// such refs; they are only read.
	Refs []string
	// Images says that the refs are images that caches are to be put into.
	Images bool
	// Timeout bounds each check; 0 means DefaultDiagnoseTimeout.
	Timeout time.Duration
	// Found, unless nil, is called with each finding as soon as there is one.
	Found func(backend.Finding)
	// Now is the clock; nil means [time.Now].
	Now func() time.Time
}

// Diagnosis says what works at a store and what does not. Its JSON form is
// stable under [Schema].
type Diagnosis struct {
	Schema string `json:"schema"`
	// Location is where the store is, without secrets, and Driver what kind.
	Location string `json:"location"`
	Driver   string `json:"driver"`
	// OK says that no check has failed.
	OK bool `json:"ok"`
	// Findings are in the order in which the checks were made.
	Findings []backend.Finding `json:"findings"`
	// Left is what was written by way of trial and could not be removed.
	Left []Leftover `json:"left,omitempty"`
}

// Leftover is something that [Diagnose] has written and could not remove.
type Leftover struct {
	// Kind is "ref", "document" or "blob".
	Kind string `json:"kind"`
	// Name is the ref's name, or the digest of the others.
	Name string `json:"name"`
}

// Diagnose finds out what a store can be used for, by asking it: whether it is
// reached and how fast, with whose credentials, whether it can be read, listed,
// written, read in ranges and deleted from, whether it checks digests, and
// whether of several writers at the same time one wins where the capabilities
// say so. What only the driver knows comes from its [backend.Diagnoser].
//
// It writes a blob of a few kilobytes and refs whose names begin with
// larder-doctor, and removes them, also when ctx ends; no other ref or blob is
// written to. What cannot be removed is in the result.
//
// Whatever is wrong with the store is a finding. An error means that ctx has
// ended; the result then has what was found before.
func Diagnose(ctx context.Context, b backend.Backend, opts DiagnoseOptions) (*Diagnosis, error) {
	d := newDoctor(b, opts)
	d.look(ctx)
	d.report.OK = !slices.ContainsFunc(d.report.Findings, func(f backend.Finding) bool {
		return f.Status == backend.FindingFailed
	})
	return d.report, ctx.Err()
}

// doctor is one diagnosis under way.
type doctor struct {
	backend backend.Backend
	info    backend.Info
	opts    DiagnoseOptions
	report  *Diagnosis
	// blobs are those of the caches that were found under the refs.
	blobs []blob.Descriptor
}

func newDoctor(b backend.Backend, opts DiagnoseOptions) *doctor {
	if opts.Timeout <= 0 {
		opts.Timeout = DefaultDiagnoseTimeout
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	info := b.Info()
	return &doctor{
		backend: b, info: info, opts: opts,
		report: &Diagnosis{Schema: Schema, Location: info.Location, Driver: info.Driver, Findings: []backend.Finding{}},
	}
}

// look makes all checks, from those that everything depends on to those that
// write.
func (d *doctor) look(ctx context.Context) {
	d.found(passed("location", "%s, driver %s, caches in the form %s", d.info.Location, d.info.Driver, d.info.Encoding))
	if !d.askDriver(ctx) || !d.check(ctx, "read", d.read) {
		return
	}
	for _, ref := range d.opts.Refs {
		d.check(ctx, "ref "+ref, func(ctx context.Context) backend.Finding { return d.readRef(ctx, ref) })
	}
	d.check(ctx, "list refs", d.listRefs)
	d.check(ctx, "list blobs", d.listBlobs)
	if d.opts.ReadOnly {
		d.check(ctx, "range reads", d.readRange)
		d.check(ctx, backend.CheckWrite, func(context.Context) backend.Finding { return skipped("", "nothing is written, as was asked for") })
		d.check(ctx, checkConditions, func(context.Context) backend.Finding { return d.conditions() })
	} else if !d.knows(backend.CheckWrite) {
		d.tryWriting(ctx)
	}
	d.check(ctx, "document size", func(context.Context) backend.Finding { return d.documentSize() })
}

// askDriver has the driver look into what only it knows. It reports whether
// there is any point in going on.
func (d *doctor) askDriver(ctx context.Context) bool {
	driver, is := backend.As[backend.Diagnoser](d.backend)
	if !is {
		return true
	}
	limited, cancel := context.WithTimeout(ctx, d.opts.Timeout)
	defer cancel()
	opts := backend.DiagnoseOptions{ReadOnly: d.opts.ReadOnly, Refs: slices.Clone(d.opts.Refs)}
	usable := true
	for f := range driver.Diagnose(limited, opts) {
		if ctx.Err() != nil {
			return false
		}
		d.found(f)
		if f.Status == backend.FindingFailed && (f.Check == backend.CheckEndpoint || f.Check == backend.CheckCredentials) {
			usable = false
		}
	}
	return usable
}

// knows reports whether the driver has dealt with a matter and settled it to
// the negative.
func (d *doctor) knows(check string) bool {
	return slices.ContainsFunc(d.report.Findings, func(f backend.Finding) bool {
		return f.Check == check && (f.Status == backend.FindingSkipped || f.Status == backend.FindingFailed)
	})
}

// check makes one check within its time. It reports whether that has not
// failed; the end of ctx is no finding.
func (d *doctor) check(ctx context.Context, name string, do func(context.Context) backend.Finding) bool {
	if ctx.Err() != nil {
		return false
	}
	limited, cancel := context.WithTimeout(ctx, d.opts.Timeout)
	defer cancel()
	f := do(limited)
	if f.Status == backend.FindingFailed && ctx.Err() != nil {
		return false
	}
	f.Check = name
	d.found(f)
	return f.Status != backend.FindingFailed
}

func (d *doctor) found(f backend.Finding) {
	d.report.Findings = append(d.report.Findings, f)
	if d.opts.Found != nil {
		d.opts.Found(f)
	}
}

// documentSize says how large a manifest the store takes.
func (d *doctor) documentSize() backend.Finding {
	limit := d.info.MaxDocumentSize
	if limit == 0 {
		limit = backend.MaxDocumentSize
	}
	return passed("", "manifests of up to %s; BuildKit reads up to %s", mebibytes(limit), mebibytes(buildkit.ImportLimit))
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }
