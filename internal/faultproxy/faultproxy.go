// Package faultproxy stands between a client and a server that speak HTTP and
// has requests go wrong on demand: for tests of what drivers make of it, with
// servers as they are. Its faults serve as well in a server of one's own, by
// [Fault.Around].
package faultproxy

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"

	"github.com/larder-build/larder/internal/strikes"
	"github.com/larder-build/larder/internal/testserver"
)

// TB is what New needs of a testing.TB.
type TB interface {
	testserver.TB
	Fatalf(format string, args ...any)
}

// Proxy passes requests on to a server, except where faults intervene. The Host
// header remains the client's, so that signatures stay valid and the server
// names the proxy where it refers to itself. Its methods may be called at any
// time from many goroutines.
type Proxy struct {
	*testserver.Log[Request, string]

	// Host is the address, "127.0.0.1:port", and URL the same with its scheme,
	// "http".
	Host, URL string

	front   *httptest.Server
	back    *http.Transport
	forward *httputil.ReverseProxy
	life    testserver.Life
	faults  strikes.List[Fault]
}

// Request is a request that the proxy has received.
type Request struct {
	Method string
	// Path is as the client has spelled it.
	Path  string
	Query url.Values
}

// String names the request, without its query.
func (r Request) String() string { return r.Method + " " + r.Path }

// New starts a proxy before the server at a URL, http://host:port, and stops it
// when the test ends.
func New(tb TB, server string) *Proxy {
	tb.Helper()
	target, err := url.Parse(server)
	if err != nil || target.Host == "" {
		tb.Fatalf("the server's URL is %q, %v, want http://host:port", server, err)
	}
	p := &Proxy{
		Log:  testserver.NewLog(Request.String),
		life: testserver.NewLife(), back: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
	}
	p.forward = &httputil.ReverseProxy{
		Transport: p.back,
		ErrorLog:  log.New(io.Discard, "", 0), // faults look like bugs to it
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			r.Out.URL.RawQuery, r.Out.Host = r.In.URL.RawQuery, r.In.Host
		},
		FlushInterval: -1,
	}
	p.front = testserver.New(http.HandlerFunc(p.serve))
	p.front.Config.ConnContext = ConnContext
	p.front.Start()
	p.Host, p.URL = p.front.Listener.Addr().String(), p.front.URL
	tb.Cleanup(p.Close)
	return p
}

// Close stops the proxy and ends the requests that a fault holds up.
func (p *Proxy) Close() {
	p.life.End()
	p.front.Close()
	p.back.CloseIdleConnections()
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	p.note(r).Around(p.life.Over(), w, r, p.forward.ServeHTTP)
}

// note records a request and finds the fault that strikes it.
func (p *Proxy) note(r *http.Request) *Fault {
	p.Note(Request{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.Query()})
	return p.faults.Next(func(f *Fault) bool { return f.Match == nil || f.Match(r) })
}

// Inject adds a fault. Of several that fit a request the first added strikes.
func (p *Proxy) Inject(f Fault) { p.faults.Add(f, f.Skip, f.Times) }

// Heal removes all faults. Requests that one holds up remain so.
func (p *Proxy) Heal() { p.faults.Clear() }

// connKey is the key of a request's connection in its context.
type connKey struct{}

// ConnContext is what [http.Server] needs under this name for [Fault.Around].
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}
