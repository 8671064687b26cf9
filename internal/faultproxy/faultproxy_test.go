package faultproxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/larder-build/larder/internal/faultproxy"
)

// server answers with the bytes it was sent, or with what its Host header and
// query were, and counts what it has done.
type server struct{ done atomic.Int32 }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.done.Add(1)
	if len(body) == 0 {
		body = fmt.Appendf(nil, "%s %s", r.Host, r.URL.RawQuery)
	}
	_, _ = w.Write(body)
}

func newProxy(t *testing.T) (*faultproxy.Proxy, *server) {
	t.Helper()
	s := &server{}
	back := httptest.NewServer(s)
	t.Cleanup(back.Close)
	return faultproxy.New(t, back.URL), s
}

// send returns the status and body of the answer to a POST, as far as it came.
func send(t *testing.T, ctx context.Context, url, body string) (status int, answer string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	// Each its own connection: on one that was used before, net/http would
	// send a request again by itself.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

func TestPassesOn(t *testing.T) {
	p, _ := newProxy(t)
	big := strings.Repeat("0123456789", 100_000)
	if status, got, err := send(t, t.Context(), p.URL+"/a%2Fb?x=1", big); err != nil || status != http.StatusOK || got != big {
		t.Errorf("POST = %d, %d bytes, %v, want 200 and the %d bytes sent", status, len(got), err, len(big))
	}
	if _, got, err := send(t, t.Context(), p.URL+"/?x=%2f;y", ""); err != nil || got != p.Host+" x=%2f;y" {
		t.Errorf("POST = %q, %v, want the Host and the query as they were: %s x=%%2f;y", got, err, p.Host)
	}
	all := p.Requests()
	if len(all) != 2 || all[0].String() != "POST /a%2Fb" || all[0].Query.Get("x") != "1" {
		t.Errorf("Requests() = %v, want two, first POST /a%%2Fb with x=1", all)
	}
	p.Forget()
	if got := p.Requests(); len(got) != 0 {
		t.Errorf("Requests() after Forget = %v, want none", got)
	}
}

func TestFaults(t *testing.T) {
	const body = "0123456789"
	for _, tt := range []struct {
		name   string
		fault  faultproxy.Fault
		status int
		answer string
		err    error
		done   int32 // what the server has done by then
	}{
		{"answer", faultproxy.Fault{Answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "slow down", http.StatusTooManyRequests)
		}}, 429, "slow down\n", nil, 0},
		{"reset", faultproxy.Fault{Kind: faultproxy.Reset}, 0, "", syscall.ECONNRESET, 0},
		{"reset in the request", faultproxy.Fault{Kind: faultproxy.Reset, After: 4}, 0, "", syscall.ECONNRESET, 0},
		{"reset before the answer", faultproxy.Fault{Kind: faultproxy.Reset, After: 100}, 0, "", syscall.ECONNRESET, 1},
		{"truncated", faultproxy.Fault{Kind: faultproxy.Truncate, After: 4}, 200, "0123", io.ErrUnexpectedEOF, 1},
		{"lost", faultproxy.Fault{Kind: faultproxy.Lost}, 0, "", syscall.ECONNRESET, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, s := newProxy(t)
			p.Inject(tt.fault)
			status, answer, err := send(t, t.Context(), p.URL, body)
			if status != tt.status || answer != tt.answer || !errors.Is(err, tt.err) {
				t.Errorf("POST = %d, %q, %v, want %d, %q, %v", status, answer, err, tt.status, tt.answer, tt.err)
			}
			if status, answer, err := send(t, t.Context(), p.URL, body); status != http.StatusOK || answer != body || err != nil {
				t.Errorf("the next POST = %d, %q, %v, want 200, %q, nil", status, answer, err, body)
			}
			if got := s.done.Load(); got != tt.done+1 {
				t.Errorf("the server has done %d requests, want %d and the next", got, tt.done)
			}
		})
	}
}

func TestFaultsStrikeInTurn(t *testing.T) {
	p, _ := newProxy(t)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	p.Inject(faultproxy.Fault{Skip: 1, Times: 2, Answer: status(503), Match: func(r *http.Request) bool { return r.URL.Path == "/a" }})
	p.Inject(faultproxy.Fault{Times: -1, Answer: status(502), Match: func(r *http.Request) bool { return r.URL.Path == "/b" }})
	for _, want := range []struct {
		path   string
		status int
	}{{"/a", 200}, {"/b", 502}, {"/a", 503}, {"/c", 200}, {"/a", 503}, {"/a", 200}, {"/b", 502}} {
		if got, _, err := send(t, t.Context(), p.URL+want.path, ""); got != want.status {
			t.Errorf("POST %s = %d, %v, want %d", want.path, got, err, want.status)
		}
	}
	p.Heal()
	if got, _, err := send(t, t.Context(), p.URL+"/b", ""); got != http.StatusOK {
		t.Errorf("POST /b after Heal = %d, %v, want 200", got, err)
	}
}

// TestStall holds up a request before, in and after its body until its client
// has gone.
func TestStall(t *testing.T) {
	for after, done := range map[int64]int32{0: 0, 4: 0, 100: 1} {
		t.Run(fmt.Sprint("after ", after), func(t *testing.T) {
			p, s := newProxy(t)
			ctx, cancel := context.WithCancel(t.Context())
			struck := make(chan struct{})
			p.Inject(faultproxy.Fault{Kind: faultproxy.Stall, After: after, Match: func(*http.Request) bool { close(struck); return true }})
			ended := make(chan error, 1)
			go func() {
				_, _, err := send(t, ctx, p.URL, "0123456789")
				ended <- err
			}()
			<-struck
			if _, _, err := send(t, t.Context(), p.URL, "x"); err != nil {
				t.Errorf("another POST = %v, want nil", err)
			}
			for s.done.Load() != done+1 {
				runtime.Gosched()
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("POST = %v, want %v", err, context.Canceled)
			}
		})
	}
}

// TestCloseEndsStalls does not return if it does not.
func TestCloseEndsStalls(t *testing.T) {
	p, _ := newProxy(t)
	struck := make(chan struct{})
	p.Inject(faultproxy.Fault{Kind: faultproxy.Stall, Match: func(*http.Request) bool { close(struck); return true }})
	done := make(chan error, 1)
	go func() {
		_, _, err := send(t, t.Context(), p.URL, "")
		done <- err
	}()
	<-struck
	p.Close()
	if err := <-done; err == nil {
		t.Error("POST = nil through a proxy that was closed, want an error")
	}
}
