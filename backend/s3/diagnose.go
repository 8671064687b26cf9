package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/calls"
)

var (
	_ backend.Diagnoser = (*Backend)(nil)
	_ backend.Remedier  = (*ResponseError)(nil)
)

// Diagnose looks at how the bucket is reached, with whose credentials, what
// kind of store it is on, and which rules of its own work against caches.
func (b *Backend) Diagnose(ctx context.Context, o backend.DiagnoseOptions) iter.Seq[backend.Finding] {
	return func(yield func(backend.Finding) bool) {
		d := &diagnosis{store: b.store, Findings: calls.NewFindings(yield), refreshAge: b.refreshAge, now: b.now}
		if !d.lookAtEndpoint(ctx, o.Refs) {
			return
		}
		looks := []func(context.Context){d.lookAtQuirks, d.lookAtListing}
		if !o.ReadOnly {
			looks = append(looks, d.lookAtConditions)
		}
		for _, look := range append(looks, d.lookAtLifecycle, d.lookAtVersioning, d.lookAtUploads) {
			if d.Over() || ctx.Err() != nil {
				return
			}
			look(ctx)
		}
	}
}

// diagnosis finds out about a store.
type diagnosis struct {
	*calls.Findings
	*store

	refreshAge time.Duration
	now        func() time.Time
	server     string // what the store calls itself
}

// greeting is what a store tells beside its answer.
type greeting struct {
	answered bool
	header   http.Header
	tls      *tls.ConnectionState
	at       time.Time
}

type greetingKey struct{}

// notice fills the greeting of a context.
func notice(ctx context.Context, resp *http.Response) {
	if g, ok := ctx.Value(greetingKey{}).(*greeting); ok && resp != nil {
		*g = greeting{answered: true, header: resp.Header, tls: resp.TLS, at: time.Now()}
	}
}

// lookAtEndpoint looks whether the store answers and takes the credentials, by
// asking for a ref. It reports whether there is more to look at.
func (d *diagnosis) lookAtEndpoint(ctx context.Context, refs []string) bool {
	var g greeting
	r, _, err := d.Get(context.WithValue(ctx, greetingKey{}, &g), d.keys.Manifests+append(refs, "larder-doctor")[0], 0, -1)
	if err == nil {
		_ = r.Close()
	}
	if !g.answered {
		check, remedy := backend.CheckEndpoint, "check attribute endpoint_url, the network, proxies (HTTPS_PROXY, NO_PROXY) and firewalls"
		if errors.Is(err, backend.ErrDenied) { // there was nothing to ask with
			check, remedy = backend.CheckCredentials, "set access_key_id and secret_access_key, profile, or anonymous=true"
		}
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			remedy = "name the file of the authority's certificate by the attribute ca"
		}
		d.Failed(backend.FindingFailed, check, remedy, err)
		return false
	}
	d.describe(g)
	if date, parseErr := http.ParseTime(g.header.Get("Date")); parseErr == nil && !d.Over() {
		d.Pass(backend.ClockFinding(date, d.now(), clockSkew))
	}
	return d.judge(ctx, err)
}

// clockSkew is how far a clock may be off before signatures are refused.
//
// Source: Amazon S3 API Reference, RequestTimeTooSkewed.
const clockSkew = 15 * time.Minute

// describe says how the store is reached.
func (d *diagnosis) describe(g greeting) {
	d.server = calls.OneLine(g.header.Get("Server"))
	style := "the bucket in the path"
	if d.quirks.host {
		style = "the bucket in the host"
	}
	where := fmt.Sprintf("%s, region %s, %s", d.endpoint, d.region, style)
	switch {
	case g.tls != nil:
		d.Found(backend.FindingOK, backend.CheckEndpoint, "", "%s, %s", where, tls.VersionName(g.tls.Version))
	case isLocal(d.endpoint):
		d.Found(backend.FindingOK, backend.CheckEndpoint, "", "%s, plain HTTP on this machine", where)
	default:
		d.Found(backend.FindingWarning, backend.CheckEndpoint, "use an endpoint_url of https",
			"%s, by plain HTTP, where others on the way can read and change everything", where)
	}
}

// isLocal reports whether an endpoint is on this machine.
func isLocal(host string) bool {
	u := &url.URL{Host: host}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// judge says whether the answer to the first question means that the
// credentials are good and the bucket is there.
func (d *diagnosis) judge(ctx context.Context, err error) bool {
	refused, ok := errors.AsType[*ResponseError](err)
	bad := ok && errors.Is(err, backend.ErrDenied) && refused.Code != "AccessDenied"
	switch {
	case bad, ok && errors.Is(err, backend.ErrInvalid):
		d.Failed(backend.FindingFailed, backend.CheckCredentials, "correct the credentials", err)
		return false
	default:
		d.Found(backend.FindingOK, backend.CheckCredentials, "", "%s", d.credentialSource(ctx))
	}
	switch {
	case ok && refused.Code == codeNoBucket:
		d.Failed(backend.FindingFailed, "bucket", "", err)
		d.Found(backend.FindingSkipped, backend.CheckWrite, "", "there is no bucket")
		return false
	case err != nil && !errors.Is(err, backend.ErrNotFound) && !errors.Is(err, backend.ErrDenied):
		d.Failed(backend.FindingFailed, "bucket", "", err)
		return false
	}
	return !d.Over()
}

// credentialSource says where the credentials come from.
func (d *diagnosis) credentialSource(ctx context.Context) string {
	if !d.identity.signs() {
		return d.identity.source
	}
	c, err := d.identity.provider.Retrieve(ctx)
	text := d.identity.source
	if err == nil && c.Source != "" && c.Source != "StaticCredentials" {
		text += " (" + calls.OneLine(c.Source) + ")"
	}
	if err == nil && c.CanExpire {
		text += ", renewed before " + c.Expires.UTC().Format(time.RFC3339)
	}
	return text
}

// lookAtQuirks compares what the store calls itself with what it is taken for.
func (d *diagnosis) lookAtQuirks(context.Context) {
	known := map[string]string{"amazons3": "aws", "minio": "minio", "uploadserver": "gcs", "cloudflare": "r2"}
	name, ok := known[strings.ToLower(d.server)]
	switch {
	case ok && name != d.quirks.name:
		d.Found(backend.FindingWarning, "quirks", "set quirks="+name, "taken for %s, but it calls itself %s", d.quirks.name, d.server)
	case d.server != "":
		d.Found(backend.FindingNote, "quirks", "", "taken for %s; it calls itself %s", d.quirks.name, d.server)
	default:
		d.Found(backend.FindingNote, "quirks", "", "taken for %s", d.quirks.name)
	}
}

// lookAtListing looks for the right that tells absent objects from forbidden ones.
func (d *diagnosis) lookAtListing(ctx context.Context) {
	const check = "right to list"
	_, err := d.List(ctx, d.keys.Manifests+"larder-doctor", "")
	switch {
	case err == nil:
		d.Found(backend.FindingOK, check, "", "s3:ListBucket is allowed, so that absent objects are told from forbidden ones")
	case errors.Is(err, backend.ErrDenied):
		d.Failed(backend.FindingFailed, check, "", err)
	default:
		d.Failed(backend.FindingWarning, check, "", err)
	}
}

// lookAtConditions looks whether the store obeys conditions.
func (d *diagnosis) lookAtConditions(ctx context.Context) {
	const check = "conditions"
	if !d.quirks.conditions {
		d.Found(backend.FindingWarning, check, "", "conditional writes are not used here, so that the last of several exporters at a time wins")
		return
	}
	switch err := d.askConditions(ctx); {
	case err == nil:
		d.Found(backend.FindingOK, check, "", "If-None-Match and If-Match are obeyed")
	case errors.Is(err, backend.ErrUnsupported):
		d.Failed(backend.FindingFailed, check, "set conditions=false", err)
	default:
		d.Failed(backend.FindingFailed, check, "", err)
	}
}

// describedAge says how long something is.
func describedAge(age time.Duration) string {
	const day = 24 * time.Hour
	if age > 0 && age%day == 0 {
		return fmt.Sprintf("%d days", age/day)
	}
	return age.String()
}
