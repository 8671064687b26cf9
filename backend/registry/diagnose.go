package registry

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

var (
	_ backend.Diagnoser = (*Backend)(nil)
	_ backend.Remedier  = (*ResponseError)(nil)
)

// Remedy returns the hint.
func (e *ResponseError) Remedy() string { return e.Hint }

// Diagnose looks at how the registry is reached, with whose credentials, and
// which of the protocol's finer points it knows: ranges, uploads in chunks,
// mounts. For the latter it writes a blob of a few bytes.
func (b *Backend) Diagnose(ctx context.Context, o backend.DiagnoseOptions) iter.Seq[backend.Finding] {
	return func(yield func(backend.Finding) bool) {
		merged, end, err := b.life.Begin(ctx)
		if err != nil {
			calls.NewFindings(yield).Failed(backend.FindingFailed, backend.CheckEndpoint, "", err)
			return
		}
		defer end()
		d := &diagnosis{Findings: calls.NewFindings(yield), Backend: b}
		if d.lookAtEndpoint(merged) && d.lookAtCredentials(merged, o.ReadOnly) {
			d.lookAtBlobs(merged, o)
		}
	}
}

// diagnosis finds out about a registry.
type diagnosis struct {
	*calls.Findings
	*Backend
}

// answer is what a registry says to everybody.
type answer struct {
	status int
	header http.Header
	tls    *tls.ConnectionState
	at     time.Time
}

// lookAtEndpoint looks how the registry is reached. It reports whether it is.
func (d *diagnosis) lookAtEndpoint(ctx context.Context) bool {
	const check = backend.CheckEndpoint
	a, where, err := d.greet(ctx)
	if err != nil {
		d.Failed(backend.FindingFailed, check, reachRemedy(err), fail("reach", "", err))
		return false
	}
	wants := "lets everybody in"
	if c := parseChallenge(a.header); c != nil {
		wants = "wants " + c.Scheme + " authentication"
		if realm := c.Parameters["realm"]; c.Scheme == "bearer" {
			wants = "wants tokens of " + withoutQuery(realm)
		}
	}
	switch {
	case a.tls == nil && !isLocal(d.repo.RegistryStr()):
		d.Found(backend.FindingWarning, check, "serve the registry by HTTPS", "%s by plain HTTP, where others on the way can read and change everything; it %s", where, wants)
	case a.tls != nil && d.opts.Insecure:
		d.Found(backend.FindingWarning, check, "name the authority of the certificate by the attribute ca instead of registry.insecure", "%s, whose certificate is not verified; it %s", where, wants)
	case a.tls != nil:
		d.Found(backend.FindingOK, check, "", "%s, %s; it %s", where, tls.VersionName(a.tls.Version), wants)
	default:
		d.Found(backend.FindingOK, check, "", "%s; it %s", where, wants)
	}
	if date, err := http.ParseTime(a.header.Get("Date")); err == nil {
		d.Pass(backend.ClockFinding(date, a.at, 0))
	}
	return !d.Over()
}

// greet asks for the root of the protocol, as nobody in particular.
func (d *diagnosis) greet(ctx context.Context) (answer, string, error) {
	scheme, err := d.session.scheme(ctx)
	if err != nil {
		return answer{}, "", err
	}
	u := &url.URL{Scheme: scheme, Host: d.repo.RegistryStr(), Path: "/v2/"}
	resp, err := d.send(ctx, request{op: "ping", method: http.MethodGet, url: u}, grant{})
	if err != nil {
		return answer{}, "", err
	}
	defer discard(resp)
	return answer{resp.StatusCode, resp.Header, resp.TLS, d.opts.Now()}, scheme + "://" + u.Host, nil
}

// reachRemedy returns what to do about a registry that is not reached.
func reachRemedy(err error) string {
	if _, is := errors.AsType[*tls.CertificateVerificationError](err); is {
		return "name the file of the authority's certificate by the attribute ca; registry.insecure=true does without verification"
	}
	if strings.Contains(err.Error(), "registry.insecure") {
		return "serve the registry by HTTPS, or allow plain HTTP by registry.insecure=true"
	}
	return "check the host's name, the network, proxies (HTTPS_PROXY, NO_PROXY) and firewalls"
}

// withoutQuery returns a URL without what might be a secret.
func withoutQuery(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return "an address that is none"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// lookAtCredentials looks whose credentials are taken, and for what. It reports
// whether they are good for reading.
func (d *diagnosis) lookAtCredentials(ctx context.Context, readOnly bool) bool {
	const login = "log in, for example by docker login, or correct the credentials"
	source, err := d.Authenticate(ctx, false)
	if err == nil {
		// What is no exchange for a token has not been looked at by anybody.
		_, err = d.GetRef(ctx, "larder-doctor")
	}
	if errors.Is(err, backend.ErrNotFound) {
		err = nil
	}
	if err != nil {
		d.Failed(backend.FindingFailed, backend.CheckCredentials, login, err)
		return false
	}
	if !d.Found(backend.FindingOK, backend.CheckCredentials, "", "%s", source) || readOnly {
		return !d.Over()
	}
	if _, err := d.Authenticate(ctx, true); err != nil {
		return d.Failed(backend.FindingFailed, "write credentials", login+"; to import only, nothing need be written", err)
	}
	return true
}

// lookAtBlobs looks at what can be done with blobs: by means of one that it
// writes, or of one that a cache has.
func (d *diagnosis) lookAtBlobs(ctx context.Context, o backend.DiagnoseOptions) {
	if o.ReadOnly {
		if there, ok := d.smallest(ctx, o.Refs); ok {
			d.lookAtRanges(ctx, there)
		}
		return
	}
	content := []byte("larder doctor " + rand.Text())
	probe := blob.Describe("", content)
	defer d.clear(ctx, probe)
	if !d.lookAtChunks(ctx, probe, content) {
		return // writing is looked at by whoever has called
	}
	d.lookAtRanges(ctx, probe)
	d.lookAtMounts(ctx, probe)
}

// lookAtChunks looks whether the registry takes an upload in chunks. It reports
// whether there is a blob afterwards.
func (d *diagnosis) lookAtChunks(ctx context.Context, probe blob.Descriptor, content []byte) bool {
	const check = "chunked uploads"
	half := &Backend{repo: d.repo, opts: d.opts, client: d.client, session: d.session} // all that an upload takes
	half.opts.ChunkSize = probe.Size/2 + 1
	session, err := d.startUpload(ctx)
	if err != nil {
		return false
	}
	if err = half.sendChunks(ctx, probe, blob.Bytes(content), session); err == nil {
		d.Found(backend.FindingOK, check, "", "possible: see chunk-size, for proxies that limit requests")
		return true
	}
	d.abandon(ctx, session)
	if d.putWhole(ctx, probe, content) != nil {
		return false
	}
	if d.opts.ChunkSize > 0 {
		d.Found(backend.FindingFailed, check, "leave out chunk-size", "not possible: %v", err)
	} else {
		d.Found(backend.FindingNote, check, "", "not possible: %v", err)
	}
	return true
}

// putWhole stores a blob in one request.
func (d *diagnosis) putWhole(ctx context.Context, probe blob.Descriptor, content []byte) error {
	session, err := d.startUpload(ctx)
	if err != nil {
		return err
	}
	return d.sendWhole(ctx, probe, blob.Bytes(content), session)
}

// lookAtRanges looks whether the registry, or the store that it sends us to,
// sends parts of blobs. Reading works without, by passing over the rest.
func (d *diagnosis) lookAtRanges(ctx context.Context, there blob.Descriptor) {
	const check = "ranges"
	resp, err := d.ask(ctx, "get", http.MethodGet, pathOf(there), d.session.pull(), http.Header{"Range": {"bytes=1-2"}},
		http.StatusOK, http.StatusPartialContent)
	if err != nil {
		d.Failed(backend.FindingFailed, check, "", err)
		return
	}
	defer func() { _ = resp.Body.Close() }() // it may be long: the connection is given up
	from := "the registry"
	if !d.ours(resp.Request.URL) {
		from = resp.Request.URL.Host + ", where the registry keeps blobs,"
	}
	if resp.StatusCode == http.StatusOK {
		d.Found(backend.FindingWarning, check, "look for a proxy that removes the header Range", "%s ignores them: an interrupted download begins anew", from)
		return
	}
	d.Found(backend.FindingOK, check, "", "%s sends parts of blobs", from)
}

// lookAtMounts looks whether the registry takes a blob over from a repository,
// for want of another one from the same.
func (d *diagnosis) lookAtMounts(ctx context.Context, there blob.Descriptor) {
	const check = "mounts"
	switch err := d.mount(ctx, d.Backend, there); {
	case err == nil:
		d.Found(backend.FindingOK, check, "", "a copy from another repository of this registry moves no bytes")
	case ctx.Err() == nil:
		d.Found(backend.FindingNote, check, "", "not possible, so that copies within this registry move all bytes: %v", err)
	}
}

// smallest returns the smallest layer or config of the manifests under refs.
func (d *diagnosis) smallest(ctx context.Context, refs []string) (best blob.Descriptor, ok bool) {
	for _, ref := range refs {
		found, err := d.getRef(ctx, ref)
		if err != nil {
			continue // it is looked at by whoever has called
		}
		for _, layer := range childrenOf(found.Data) {
			if layer.Size > 2 && !isManifest(layer.MediaType) && (!ok || layer.Size < best.Size) {
				best, ok = layer, true
			}
		}
	}
	return best, ok
}

// childrenOf returns the config and the layers of a manifest, or what an index
// lists, which may be the layers of a cache.
func childrenOf(manifest []byte) []blob.Descriptor {
	var doc struct {
		Config            blob.Descriptor
		Layers, Manifests []blob.Descriptor
	}
	if json.Unmarshal(manifest, &doc) != nil {
		return nil
	}
	all := slices.Concat([]blob.Descriptor{doc.Config}, doc.Layers, doc.Manifests)
	return slices.DeleteFunc(all, func(d blob.Descriptor) bool { return blob.CheckDescriptor(d) != nil })
}

// clearTime is how long the removal of what was written may take.
const clearTime = 10 * time.Second

// clear removes the blob, also after ctx has ended.
func (d *diagnosis) clear(ctx context.Context, probe blob.Descriptor) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearTime)
	defer cancel()
	if !d.Info().Capabilities.DeleteBlobs {
		d.Found(backend.FindingNote, "deletion", "", "%v; the blob %s may stay", d.undeletable(), probe.Digest)
		return
	}
	_, err := d.remove(ctx, "delete blob", "blobs/"+probe.Digest.String())
	if err == nil {
		return
	}
	if _, gone := d.head(ctx, pathOf(probe)); gone == nil {
		d.Found(backend.FindingNote, "deletion", "", "the blob %s stays, which nothing refers to: %v", probe.Digest, err)
	}
}
