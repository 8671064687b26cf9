package azblob

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"

	"github.com/larder-build/larder/backend"
)

var _ backend.Diagnoser = (*Backend)(nil)

// maxSkew is how far clocks may differ before the service refuses what a key
// has signed.
//
// Source: learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key.
const maxSkew = 15 * time.Minute

// soon is how long before its end a SAS is worth a warning.
const soon = 7 * 24 * time.Hour

// Diagnose looks at how the account is reached, with whose credentials and how
// long they last, whether the clocks agree, and at what the service tells of the
// container and the account. It writes nothing.
func (b *Backend) Diagnose(ctx context.Context, o backend.DiagnoseOptions) iter.Seq[backend.Finding] {
	return func(yield func(backend.Finding) bool) {
		d := &diagnosis{store: b.store, yield: yield}
		if _, err := b.Stat(ctx); err != nil { // of nothing: closed, or ended
			d.failed(backend.CheckEndpoint, err, "open the backend once more")
			return
		}
		if !d.reach(ctx, b.someKey(o.Refs)) {
			return
		}
		for _, look := range []func(context.Context) bool{d.sas, d.container, d.account, d.lifecycle} {
			if ctx.Err() != nil || !look(ctx) {
				return
			}
		}
	}
}

// someKey is the key of an object that there may be.
func (b *Backend) someKey(refs []string) string {
	name := "buildkit"
	if len(refs) > 0 {
		name = refs[0]
	}
	return b.store.keys().Manifests + name
}

// diagnosis yields findings.
type diagnosis struct {
	store *store
	yield func(backend.Finding) bool
}

func (d *diagnosis) found(check string, status backend.FindingStatus, detail, remedy string) bool {
	return d.yield(backend.Finding{Check: check, Status: status, Detail: detail, Remedy: remedy})
}

// failed yields an error, whose own remedy comes before the given one.
func (d *diagnosis) failed(check string, err error, remedy string) {
	detail := err.Error()
	if e, ok := errors.AsType[*ResponseError](err); ok {
		plain := *e
		plain.Hint, plain.Credentials = "", ""
		detail, remedy = plain.Error(), cmp.Or(e.Hint, remedy)
	}
	d.found(check, backend.FindingFailed, detail, remedy)
}

// reach asks for a byte of an object, because a refusal to GET has words and one
// to HEAD has none. From the answer it tells whether the account is reached,
// whether the credentials are good, and whether the clocks agree.
func (d *diagnosis) reach(ctx context.Context, key string) bool {
	resp, err := d.store.container.NewBlobClient(key).DownloadStream(ctx, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Count: 1}})
	if err == nil {
		defer resp.Body.Close()
	}
	now, date := d.store.opts.Now(), value(resp.Date, time.Time{})
	refused, answered := errors.AsType[*azcore.ResponseError](err)
	if answered && refused.RawResponse != nil {
		date, _ = http.ParseTime(refused.RawResponse.Header.Get("Date")) // the zero time says nothing
	}
	err = d.store.failure(ctx, err)
	if !d.endpoint(err, answered || err == nil) {
		return false
	}
	clock := backend.Finding{Status: backend.FindingOK}
	if !date.IsZero() {
		clock = backend.ClockFinding(date, now, d.skewLimit())
	}
	if !d.credentials(err, clock) {
		return false
	}
	if !date.IsZero() && !d.yield(clock) {
		return false
	}
	if !answered || refused.ErrorCode != codeNoContainer {
		return true
	}
	if d.store.opts.CreateContainer {
		d.found("container", backend.FindingNote, d.store.opts.Container+" does not exist yet", "")
	} else {
		d.failed("container", err, "")
	}
	return false
}

// skewLimit is how far clocks may differ: tokens and SAS have no such bound.
func (d *diagnosis) skewLimit() time.Duration {
	if d.store.account.key != nil {
		return maxSkew
	}
	return 0
}

// endpoint says whether anybody has answered.
func (d *diagnosis) endpoint(err error, answered bool) bool {
	u := d.store.account.url
	if !answered && !isTokenError(err) {
		d.failed(backend.CheckEndpoint, err, "see that account_url is right and that this machine may connect to "+u.Host)
		return false
	}
	detail := u.String() + ", container " + d.store.opts.Container
	if u.Scheme == "https" {
		return d.found(backend.CheckEndpoint, backend.FindingOK, detail, "")
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return d.found(backend.CheckEndpoint, backend.FindingNote, detail+", without TLS on this machine", "")
	}
	return d.found(backend.CheckEndpoint, backend.FindingWarning, detail+", without TLS: who listens can read the caches and a SAS", "set account_url to one with https")
}

func isTokenError(err error) bool {
	_, ok := errors.AsType[*tokenError](err)
	return ok
}

// credentials says whether the service has taken the credentials, if not for
// this then for something else.
func (d *diagnosis) credentials(err error, clock backend.Finding) bool {
	e, refused := errors.AsType[*ResponseError](err)
	lacking := refused && slices.Contains([]string{"AuthorizationPermissionMismatch", "AuthorizationResourceTypeMismatch"}, e.Code)
	if !errors.Is(err, backend.ErrDenied) || lacking {
		return d.found(backend.CheckCredentials, backend.FindingOK, d.store.account.source, "")
	}
	remedy := ""
	if isTokenError(err) {
		remedy = "log in by the Azure command line, or give " + attrKey + ", " + attrSAS + " or " + attrConnectionString
	}
	f := backend.Finding{Check: backend.CheckCredentials, Status: backend.FindingFailed, Detail: err.Error(), Remedy: remedy}
	if refused {
		plain := *e
		plain.Hint = ""
		f.Detail, f.Remedy = plain.Error(), e.Hint
	}
	if clock.Status == backend.FindingFailed {
		f.Detail, f.Remedy = f.Detail+"; the clock "+clock.Detail, clock.Remedy
	}
	d.yield(f)
	return false
}
