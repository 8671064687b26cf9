package calls_test

import (
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder/internal/calls"
)

// get asks for a URL and returns the status of the answer, which it reads.
func get(t *testing.T, client *http.Client, url string) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func TestTransportAfterClose(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for name, given := range map[string]http.RoundTripper{"own": nil, "given": server.Client().Transport} {
		transport := calls.NewTransport(given, nil)
		if status, err := get(t, transport.Client(), server.URL); err != nil || status != http.StatusNotFound {
			t.Errorf("%s: Get() = %d, %v, want 404", name, status, err)
		}
		transport.Close()
		transport.Close()
		if _, err := get(t, transport.Client(), server.URL); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: Get() after Close = %v, want fs.ErrClosed", name, err)
		}
		body := &closed{Reader: strings.NewReader("body")}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, body)
		if _, err := transport.RoundTrip(req); !errors.Is(err, fs.ErrClosed) || !body.closed { //nolint:bodyclose // there is none
			t.Errorf("%s: RoundTrip() after Close = %v, body closed: %t, want fs.ErrClosed, true", name, err, body.closed)
		}
	}
}

type closed struct {
	io.Reader
	closed bool
}

func (c *closed) Close() error {
	c.closed = true
	return nil
}

// TestTransportKeepsNoConnection closes a transport while a request begins, which
// has net/http keep connections again.
func TestTransportKeepsNoConnection(t *testing.T) {
	gone := make(chan bool)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(gone)
		}
	}
	server.Start()
	defer server.Close()
	transport := calls.NewTransport(nil, nil)
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GetConn: func(string) { transport.Close() }})
	req := httptest.NewRequestWithContext(ctx, http.MethodHead, server.URL, nil)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatalf("RoundTrip() = %v, want nil for what was under way", err)
	}
	resp.Body.Close()
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Error("the connection is kept after Close")
	}
}

func TestTransportIsAdapted(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the client that does not trust it
	server.StartTLS()
	defer server.Close()
	own, ok := server.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatalf("the server's transport is a %T", server.Client().Transport)
	}
	transport := calls.NewTransport(nil, func(t *http.Transport) { t.TLSClientConfig = &tls.Config{RootCAs: own.TLSClientConfig.RootCAs} })
	defer transport.Close()
	if status, err := get(t, transport.Client(), server.URL); err != nil || status != http.StatusNotFound {
		t.Errorf("Get() = %d, %v, want 404", status, err)
	}
	plain := calls.NewTransport(nil, nil)
	defer plain.Close()
	if _, err := get(t, plain.Client(), server.URL); err == nil {
		t.Error("Get() = nil, want an error about the certificate that only the adapted transport knows")
	}
}

func TestTransportFollowsNoRedirect(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("/elsewhere", http.StatusFound))
	defer server.Close()
	transport := calls.NewTransport(nil, nil)
	defer transport.Close()
	if status, err := get(t, transport.Client(), server.URL); err != nil || status != http.StatusFound {
		t.Errorf("Get() = %d, %v, want the redirect itself, 302", status, err)
	}
}
