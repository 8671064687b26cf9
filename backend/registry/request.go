package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/calls"
)

// userAgent is what requests call themselves: registries ask for a name that
// they can turn to.
const userAgent = "larder (+https://github.com/larder-build/larder)"

// adapt sets up connections as the options want them.
func (o Options) adapt(t *http.Transport) {
	if o.Proxy != nil {
		t.Proxy = http.ProxyURL(o.Proxy)
	}
	t.TLSClientConfig = &tls.Config{
		RootCAs:            o.RootCAs,
		InsecureSkipVerify: o.Insecure, //nolint:gosec // that is what Options.Insecure asks for
	}
}

// maxRedirects is how many are followed, as by net/http.
const maxRedirects = 10

// checkRedirect keeps the authorization from hosts it is not meant for: stores
// of objects refuse requests that are signed in two ways.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	if req.URL.Host != via[0].URL.Host {
		req.Header.Del("Authorization")
	}
	return nil
}

// request is what is asked of a registry.
type request struct {
	op     string
	method string
	url    *url.URL
	header http.Header
	scopes []string
	// The body is data, or what body yields, which can be sent only once.
	data   []byte
	body   io.ReadCloser
	length int64 // of body
}

// errUnsent says that the registry refused the token of a request whose body
// cannot be sent again.
var errUnsent = fmt.Errorf("%w: the registry has refused the token", backend.ErrDenied)

// maxGrants is how many tokens a request is tried with. The first may have
// expired, and so may its successor, if others have used it up meanwhile.
const maxGrants = 4

// do sends a request and returns the response if its status is one of those
// wanted. A refused token is replaced. The caller closes the body.
func (b *Backend) do(ctx context.Context, r request, wanted ...int) (*http.Response, error) {
	resp, err := b.granted(ctx, r)
	if err != nil {
		return nil, err
	}
	if slices.Contains(wanted, resp.StatusCode) {
		return resp, nil
	}
	defer discard(resp)
	return nil, b.responseError(resp)
}

// granted sends a request with one grant after the other.
func (b *Backend) granted(ctx context.Context, r request) (*http.Response, error) {
	for tries := 1; ; tries++ {
		g, err := b.session.grant(ctx, r.scopes)
		if err != nil {
			return nil, err
		}
		resp, err := b.send(ctx, r, g)
		if err != nil || !b.ours(resp.Request.URL) || !b.session.expired(g, resp, tries) {
			return resp, err
		}
		discard(resp)
		if r.body != nil {
			return nil, errUnsent
		}
	}
}

func (b *Backend) send(ctx context.Context, r request, g grant) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, r.header)
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept-Encoding", "identity")
	if g.header != "" && b.ours(req.URL) {
		req.Header.Set("Authorization", g.header)
	}
	switch {
	case r.body != nil && r.length > 0:
		req.Body, req.ContentLength = r.body, r.length
	case len(r.data) > 0:
		req.ContentLength = int64(len(r.data))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.data)), nil }
		req.Body, _ = req.GetBody()
	}
	backend.TraceRequest(ctx, r.op)
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, calls.NetworkError(err)
	}
	return resp, nil
}

// ours reports whether a URL is one of the registry itself, rather than of a
// store that it sends us to.
func (b *Backend) ours(u *url.URL) bool { return u.Host == b.repo.RegistryStr() }

// maxDrained is how much of a body is read for the sake of the connection.
const maxDrained = 64 << 10

// discard closes a response such that its connection can be used again.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrained) // whatever is left belongs to nobody
	_ = resp.Body.Close()
}

// url returns the URL of something in the repository, once it is known how the
// registry is reached.
func (b *Backend) url(ctx context.Context, path string) (*url.URL, error) {
	scheme, err := b.session.scheme(ctx)
	if err != nil {
		return nil, err
	}
	return &url.URL{Scheme: scheme, Host: b.repo.RegistryStr(), Path: "/v2/" + b.repo.RepositoryStr() + "/" + path}, nil
}

// ask sends a request without a body.
func (b *Backend) ask(ctx context.Context, op, method, path string, scopes []string, header http.Header, wanted ...int) (*http.Response, error) {
	u, err := b.url(ctx, path)
	if err != nil {
		return nil, err
	}
	return b.do(ctx, request{op: op, method: method, url: u, header: header, scopes: scopes}, wanted...)
}
