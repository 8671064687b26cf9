package gha

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/calls"
)

var _ backend.Diagnoser = (*Backend)(nil)

// Diagnose looks at how the service is reached, what the runtime token and the
// workflow allow, and whether entries can be created and deleted.
func (b *Backend) Diagnose(ctx context.Context, o backend.DiagnoseOptions) iter.Seq[backend.Finding] {
	return func(yield func(backend.Finding) bool) {
		d := &diagnosis{Findings: calls.NewFindings(yield), store: b.store}
		if !d.lookAtEndpoint(ctx, append(o.Refs, "larder-doctor")[0]) {
			return
		}
		for _, look := range []func(context.Context){d.lookAtScopes, d.lookAtWriting, d.lookAtBudget, d.lookAtREST} {
			if d.Over() || ctx.Err() != nil {
				return
			}
			look(ctx)
		}
	}
}

// diagnosis finds out about a service.
type diagnosis struct {
	*calls.Findings
	*store
}

// greeting is what a service tells beside its answer.
type greeting struct {
	answered bool
	date     string
	at       time.Time
}

type greetingKey struct{}

// notice fills the greeting of a context.
func notice(ctx context.Context, resp *http.Response) {
	if g, ok := ctx.Value(greetingKey{}).(*greeting); ok && resp != nil {
		*g = greeting{answered: true, date: resp.Header.Get("Date"), at: time.Now()}
	}
}

// lookAtEndpoint looks whether the service answers and takes the token, by
// looking up a ref. It reports whether there is more to look at.
func (d *diagnosis) lookAtEndpoint(ctx context.Context, ref string) bool {
	if now := d.opts.Now(); !d.scopes.expires.IsZero() && now.After(d.scopes.expires) {
		d.Found(backend.FindingFailed, backend.CheckCredentials, "runtime tokens live as long as their job: take that of this one",
			"the runtime token has expired at %s", d.scopes.expires.UTC().Format(time.RFC3339))
		return false
	}
	var g greeting
	_, _, err := d.protocol.protocol.lookup(context.WithValue(ctx, greetingKey{}, &g), seriesOf(indexPrefix+ref, d.scopes.own))
	if !g.answered {
		d.Failed(backend.FindingFailed, backend.CheckEndpoint, "check "+d.urlAttribute()+", which has to be what runners have in "+urlVariable(d.opts.Version)+", the network and proxies", err)
		return false
	}
	var refused *ResponseError
	isRefused := errors.As(err, &refused)
	if isRefused && refused.Status != http.StatusUnauthorized && !errors.Is(err, backend.ErrDenied) || err != nil && !isRefused {
		d.Failed(backend.FindingFailed, backend.CheckEndpoint, "check the attributes version and "+d.urlAttribute()+": this does not answer as version "+fmt.Sprint(d.opts.Version)+" of the protocol does", err)
		return false
	}
	d.Found(backend.FindingOK, backend.CheckEndpoint, "", "%s, version %d of the protocol", d.opts.URL, d.opts.Version)
	if date, err := http.ParseTime(g.date); err == nil {
		d.Pass(backend.ClockFinding(date, g.at, 0))
	}
	return d.judge(err)
}

func (d *diagnosis) urlAttribute() string { return "attribute " + urlAttribute(d.opts.Version) }

// judge says whether the service takes the token.
func (d *diagnosis) judge(err error) bool {
	if err != nil && !strings.Contains(err.Error(), readDenied) {
		d.Failed(backend.FindingFailed, backend.CheckCredentials, remedyFor(envToken), err)
		return false
	}
	switch {
	case !d.scopes.known:
		d.Found(backend.FindingOK, backend.CheckCredentials, "", "the token does not tell its scopes; the service takes it")
	case d.scopes.expires.IsZero():
		d.Found(backend.FindingOK, backend.CheckCredentials, "", "the runtime token of a job")
	default:
		d.Found(backend.FindingOK, backend.CheckCredentials, "", "the runtime token of a job, valid until %s", d.scopes.expires.UTC().Format(time.RFC3339))
	}
	return !d.Over()
}

// lookAtScopes says what the token may read and write.
func (d *diagnosis) lookAtScopes(context.Context) {
	const check = "scopes"
	switch {
	case !d.scopes.known:
		d.Found(backend.FindingNote, check, "", "not known: the token does not tell them")
	case len(d.scopes.read) == 0:
		d.Found(backend.FindingFailed, check, "", "the token may read none")
	case d.scopes.readOnly:
		d.Found(backend.FindingNote, check, "", "reads %s; writes none", strings.Join(d.scopes.read, ", then "))
	default:
		d.Found(backend.FindingOK, check, "", "reads %s; writes %s alone", strings.Join(d.scopes.read, ", then "), d.scopes.own)
	}
	if mode := d.opts.Mode; slices.Contains([]string{"none", "read", "write", "write-only"}, mode) {
		status := backend.FindingOK
		if mode != "write" {
			status = backend.FindingNote
		}
		d.Found(status, "mode", "", "the workflow has set %s to %s", envMode, mode)
	}
}

// lookAtWriting says so if nothing can be written.
func (d *diagnosis) lookAtWriting(context.Context) {
	why := d.protocol.readOnly.Load()
	switch {
	case why == nil && d.protocol.read:
	case why == nil:
		d.Found(backend.FindingSkipped, backend.CheckWrite, "", "blobs can be written, and refs cannot, as %s forbids to read them", envMode)
	case d.scopes.readOnly:
		d.Found(backend.FindingSkipped, backend.CheckWrite, "tokens of pull_request_target, issue_comment and other triggers that are not trusted only read; push, schedule and workflow_dispatch may write",
			"%v; exports go on without, and say so", *why)
	default:
		d.Found(backend.FindingSkipped, backend.CheckWrite, "set cache-mode of the workflow or the job", "%v; exports go on without, and say so", *why)
	}
}

// lookAtBudget says how many entries can be created.
func (d *diagnosis) lookAtBudget(context.Context) {
	limit, left := d.budget.state()
	if left > 0 {
		d.Found(backend.FindingWarning, "budget", "wait, or export from fewer jobs at a time", "the service lets nobody create an entry for %s", left.Round(time.Second))
		return
	}
	d.Found(backend.FindingNote, "budget", "", "%d entries a minute for all jobs of a repository together; writes wait for their turn up to %s", limit, d.opts.Patience)
}

// lookAtREST says whether entries can be listed and deleted.
func (d *diagnosis) lookAtREST(ctx context.Context) {
	const check = "rest api"
	if d.rest == nil {
		d.Found(backend.FindingNote, check, "", "not used: entries can neither be listed nor deleted, and go when they are a week old; attribute ghtoken allows it")
		return
	}
	var u Usage
	if err := d.rest.call(ctx, http.MethodGet, "cache/usage", nil, &u); err != nil {
		d.Failed(backend.FindingWarning, check, "", err)
		return
	}
	const mebibyte = 1 << 20
	d.Found(backend.FindingOK, check, "", "%s keeps %d entries of %d MiB", d.opts.Repository, u.Entries, u.Bytes/mebibyte)
}
