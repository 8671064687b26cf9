package azblob_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/azblob"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/azuretest"
	"github.com/larder-build/larder/internal/faultproxy"
	"github.com/larder-build/larder/internal/faultsuite"
	"github.com/larder-build/larder/internal/testserver"
)

// disturbed is the suite of faults over an account. Layers go up whole: blocks
// are disturbed by TestFaultsAtBlocks.
func disturbed(t *testing.T, accountURL, container string) {
	t.Helper()
	u, err := url.Parse(accountURL)
	if err != nil {
		t.Fatal(err)
	}
	faultsuite.Run(t, faultsuite.Harness{
		Server: "http://" + u.Host,
		Open: func(tb testing.TB, server, store string) backend.Backend {
			tb.Helper()
			return open(tb, azblob.Options{
				AccountURL: server + u.Path, AccountKey: azuretest.Key, Container: container, Prefix: store,
			})
		},
	})
}

func TestFaults(t *testing.T) {
	s, _ := fake(t, azuretest.Options{})
	disturbed(t, s.URL, "cache")
}

func TestFaultsOnAzurite(t *testing.T) {
	accountURL, container := testserver.FromTestbed(t, azurite), newContainer()
	create(t, open(t, azblob.Options{AccountURL: accountURL, AccountKey: azuretest.Key, Container: container}))
	disturbed(t, accountURL, container)
}

// TestFaultsAtBlocks lets each request of an upload in blocks go wrong in turn,
// in every way: it succeeds all the same.
func TestFaultsAtBlocks(t *testing.T) {
	const requests = 11
	s, opts := fake(t, azuretest.Options{})
	opts.BlockSize = 1000
	data := content(1, 10_000)
	unavailable := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for name, fault := range map[string]faultproxy.Fault{
		"reset":             {Kind: faultproxy.Reset},
		"reset in the body": {Kind: faultproxy.Reset, After: 100},
		"lost answer":       {Kind: faultproxy.Lost},
		"stall":             {Kind: faultproxy.Stall, After: 100},
		"503":               {Kind: faultproxy.Answer, Answer: unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			var group errgroup.Group
			for n := range requests {
				p, own := faultproxy.New(t, "http://"+s.Host), opts
				own.AccountURL, own.Prefix = p.URL+"/"+azuretest.Account, fmt.Sprint(name, n)
				b := wrap.Recommended(open(t, own), wrap.Options{
					Retry: wrap.RetryOptions{First: 1}, Timeout: wrap.TimeoutOptions{Stall: time.Second},
				})
				fault.Skip = n
				p.Inject(fault)
				group.Go(func() error {
					if err := b.Put(t.Context(), describe(data), stream(data)); err != nil {
						return fmt.Errorf("Put(%s at request %d) = %w, want nil", name, n+1, err)
					}
					if got, _ := s.Get("cache", own.Prefix+"/blobs/"+describe(data).Digest.String()); string(got) != string(data) {
						return fmt.Errorf("Put(%s at request %d) has stored %d bytes, want what was put", name, n+1, len(got))
					}
					if got := len(p.Requests()); got < requests {
						return fmt.Errorf("Put(%s at request %d) took %d requests, want at least %d", name, n+1, got, requests)
					}
					return nil
				})
			}
			if err := group.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBrokenUploadsShowNothing breaks an upload in blocks at each request in
// turn, for good: no blob becomes visible, and what was staged waits for nobody.
func TestBrokenUploadsShowNothing(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	opts.BlockSize = 1000
	data := content(1, 10_000)
	var group errgroup.Group
	for n := range 11 {
		p, own := faultproxy.New(t, "http://"+s.Host), opts
		own.AccountURL, own.Prefix = p.URL+"/"+azuretest.Account, fmt.Sprint(n)
		b := open(t, own)
		p.Inject(faultproxy.Fault{Kind: faultproxy.Reset, Skip: n, Times: -1})
		group.Go(func() error {
			err := b.Put(t.Context(), describe(data), stream(data))
			if _, temporary := backend.Temporary(err); !errors.Is(err, backend.ErrUnavailable) || !temporary {
				return fmt.Errorf("Put(broken at request %d) = %w, want a temporary %w", n+1, err, backend.ErrUnavailable)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if names := s.Names("cache"); len(names) > 0 {
		t.Fatalf("broken uploads leave %q, want nothing to be seen", names)
	}
	if s.Staged("cache") == 0 {
		t.Error("no block was staged: the uploads were not disturbed in their middle")
	}
	for n := range 11 {
		opts.Prefix = fmt.Sprint(n)
		put(t, open(t, opts), data)
		if got, ok := s.Get("cache", opts.Prefix+"/blobs/"+describe(data).Digest.String()); !ok || string(got) != string(data) {
			t.Errorf("Put(after all) has stored %d bytes, want what was put", len(got))
		}
	}
	if n := s.Staged("cache"); n > 0 {
		t.Errorf("%d blocks are staged after the blobs were written, want none", n)
	}
}

// TestLostAnswers loses the answer to a write that was done: it is no lost race.
func TestLostAnswers(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	p := faultproxy.New(t, "http://"+s.Host)
	opts.AccountURL, opts.BlockSize = p.URL+"/"+azuretest.Account, 1000
	b := wrap.Recommended(open(t, opts), wrap.Options{Retry: wrap.RetryOptions{First: 1}})
	lose := func(method string) {
		p.Heal()
		p.Inject(faultproxy.Fault{Kind: faultproxy.Lost, Match: func(r *http.Request) bool {
			return r.Method == method && r.URL.Query().Get("comp") != "block"
		}})
	}
	for name, write := range map[string]func(context.Context) error{
		"blob": func(ctx context.Context) error {
			return b.Put(ctx, describe(content(1, 500)), blob.Bytes(content(1, 500)))
		},
		"blob in parts": func(ctx context.Context) error {
			return b.Put(ctx, describe(content(2, 9000)), stream(content(2, 9000)))
		},
		"ref": func(ctx context.Context) error {
			_, err := b.PutRef(ctx, "created", backend.Document{Data: []byte("{}")}, backend.Absent)
			return err
		},
	} {
		lose(http.MethodPut)
		if err := write(t.Context()); err != nil {
			t.Errorf("write of a %s whose answer is lost = %v, want nil", name, err)
		}
	}
	r, err := b.GetRef(t.Context(), "created")
	if err != nil {
		t.Fatal(err)
	}
	lose(http.MethodPut)
	v, err := b.PutRef(t.Context(), "created", backend.Document{Data: []byte("[]")}, backend.Match(r.Version))
	if err != nil {
		t.Fatalf("PutRef(replace, lost answer) = %v, want nil", err)
	}
	lose(http.MethodDelete)
	if err := b.DeleteRef(t.Context(), "created", backend.Match(v)); err != nil && !errors.Is(err, backend.ErrConflict) {
		t.Errorf("DeleteRef(lost answer) = %v, want nil or %v", err, backend.ErrConflict)
	}
	if _, err := b.GetRef(t.Context(), "created"); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("GetRef() after its deletion = %v, want %v", err, backend.ErrNotFound)
	}
}

// TestThrottling waits as long as the service asks.
func TestThrottling(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	p := faultproxy.New(t, "http://"+s.Host)
	opts.AccountURL = p.URL + "/" + azuretest.Account
	p.Inject(faultproxy.Fault{Answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Ms-Error-Code", "ServerBusy")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, "<Error><Code>ServerBusy</Code><Message>Ingress is over the account limit.</Message></Error>")
	}})
	_, err := open(t, opts).GetRef(t.Context(), "main")
	after, temporary := backend.Temporary(err)
	if !errors.Is(err, backend.ErrLimited) || !temporary || after.Seconds() != 7 {
		t.Errorf("GetRef(503 ServerBusy) = %v after %v, want a temporary %v after 7s", err, after, backend.ErrLimited)
	}
}
