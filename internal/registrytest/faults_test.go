package registrytest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/internal/registrytest"
)

func TestFaultsStrikeInTurn(t *testing.T) {
	c := newClient(t, registrytest.Options{})
	c.s.Inject(registrytest.Fault{
		Op: registrytest.OpPing, Skip: 1, Times: 2,
		Failure: registrytest.Failure{Status: 503, Code: "UNAVAILABLE", Message: "service unavailable", RetryAfter: 7 * time.Second},
	})
	c.s.Inject(registrytest.Fault{
		Match: func(r registrytest.Request) bool { return r.Repository == "a" }, Times: -1,
		Failure: registrytest.Failure{Status: http.StatusBadGateway},
	})
	c.want("200", "GET", "/v2/", nil)
	a := c.want("503 UNAVAILABLE", "GET", "/v2/", nil)
	if got := a.Header.Get("Retry-After"); got != "7" {
		t.Errorf("Retry-After = %q, want 7", got)
	}
	c.want("502", "GET", "/v2/a/tags/list", nil)
	c.want("404 NAME_UNKNOWN", "GET", "/v2/b/tags/list", nil)
	c.want("503 UNAVAILABLE", "GET", "/v2/", nil)
	c.want("200", "GET", "/v2/", nil)
	c.want("502", "POST", "/v2/a/blobs/uploads/", nil)
	if n := c.s.Uploads("a"); n != 0 {
		t.Errorf("%d uploads after a refused POST, want 0", n)
	}
	c.s.Heal()
	c.want("202", "POST", "/v2/a/blobs/uploads/", nil)
}

func TestReset(t *testing.T) {
	blob := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	d := digest.FromBytes(blob)
	t.Run("without a body", func(t *testing.T) {
		c := newClient(t, registrytest.Options{})
		c.s.Inject(registrytest.Fault{Op: registrytest.OpUploadStart, Kind: registrytest.Reset})
		if _, err := c.try("POST", "/v2/a/blobs/uploads/", nil); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			t.Errorf("POST = %v, want a connection that was reset", err)
		}
		if n := c.s.Uploads("a"); n != 0 {
			t.Errorf("%d uploads, want none before the answer", n)
		}
	})
	t.Run("in the request", func(t *testing.T) {
		c := newClient(t, registrytest.Options{})
		at := c.upload("a")
		c.s.Inject(registrytest.Fault{Op: registrytest.OpUploadChunk, Kind: registrytest.Reset, After: 1000})
		if a, err := c.try("PATCH", at, blob, "Content-Range", "0-1048575"); err == nil {
			t.Fatalf("PATCH = %v, want an error", a)
		}
		status := c.want("204", "GET", at, nil)
		if got := status.Header.Get("Range"); got != "0-999" {
			t.Fatalf("Range = %q, want what had arrived, 0-999", got)
		}
		rest := c.want("202", "PATCH", status.Header.Get("Location"), blob[1000:], "Content-Range", "1000-1048575")
		c.want("201", "PUT", rest.Header.Get("Location")+"&digest="+d.String(), nil)
	})
	t.Run("in the answer", func(t *testing.T) {
		c := newClient(t, registrytest.Options{})
		c.s.PutBlob("a", blob)
		c.s.Inject(registrytest.Fault{Op: registrytest.OpBlobGet, Kind: registrytest.Reset, After: 1000})
		if a, err := c.try("GET", "/v2/a/blobs/"+d.String(), nil); err == nil || len(a.Body) > 1000 {
			t.Errorf("GET = %d bytes, %v, want an error after at most 1000", len(a.Body), err)
		}
	})
}

func TestTruncate(t *testing.T) {
	c := newClient(t, registrytest.Options{})
	blob := make([]byte, 100_000)
	c.s.PutBlob("a", blob)
	for _, after := range []int64{0, 1, 99_999} {
		c.s.Inject(registrytest.Fault{Op: registrytest.OpBlobGet, Kind: registrytest.Truncate, After: after})
		a, err := c.try("GET", "/v2/a/blobs/"+digest.FromBytes(blob).String(), nil)
		if a.Status != http.StatusOK || !errors.Is(err, io.ErrUnexpectedEOF) || int64(len(a.Body)) != after {
			t.Errorf("GET = %d, %d bytes, %v, want 200, %d and %v", a.Status, len(a.Body), err, after, io.ErrUnexpectedEOF)
		}
	}
}

func TestLost(t *testing.T) {
	c := newClient(t, registrytest.Options{})
	at := c.upload("a")
	c.s.Inject(registrytest.Fault{Op: registrytest.OpUploadFinish, Kind: registrytest.Lost})
	if a, err := c.try("PUT", at+"&digest="+digest.FromString("x").String(), []byte("x")); err == nil {
		t.Fatalf("PUT = %v, want an error", a)
	}
	if _, ok := c.s.Blob("a", digest.FromString("x")); !ok {
		t.Error("the blob is not there, though only the answer was lost")
	}
	all := c.s.Requests()
	if last := all[len(all)-1]; last.Status != 0 || last.Received != 1 {
		t.Errorf("request = %+v, want one of 1 byte without an answer", last)
	}
}

func TestStall(t *testing.T) {
	tests := []struct {
		name string
		body []byte
	}{
		{"at once", nil},
		{"in the request", make([]byte, 100_000)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, registrytest.Options{})
			at := c.upload("a")
			ctx, cancel := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, http.MethodPatch, at, bytes.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			struck := make(chan struct{})
			c.s.Inject(registrytest.Fault{
				Kind: registrytest.Stall, Op: registrytest.OpUploadChunk,
				Match: func(registrytest.Request) bool {
					close(struck)
					return true
				},
			})
			done := make(chan error, 1)
			go func() {
				resp, err := http.DefaultClient.Do(req)
				if err == nil {
					resp.Body.Close()
				}
				done <- err
			}()
			<-struck
			c.want("200", "GET", "/v2/", nil) // others are answered
			select {
			case err := <-done:
				t.Errorf("Do = %v before it was canceled", err)
			default:
			}
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("Do = %v, want %v", err, context.Canceled)
			}
		})
	}
}

// TestCloseEndsStalls does not return if it does not.
func TestCloseEndsStalls(t *testing.T) {
	s := registrytest.Start(registrytest.Options{})
	struck := make(chan struct{})
	s.Inject(registrytest.Fault{Kind: registrytest.Stall, Match: func(registrytest.Request) bool {
		close(struck)
		return true
	}})
	done := make(chan error, 1)
	go func() {
		c := client{t, s}
		_, err := c.try("GET", "/v2/", nil)
		done <- err
	}()
	<-struck
	s.Close()
	if err := <-done; err == nil {
		t.Error("GET succeeded on a server that was closed")
	}
}

func TestLatency(t *testing.T) {
	c := newClient(t, registrytest.Options{Latency: 20 * time.Millisecond})
	began := time.Now()
	c.want("200", "GET", "/v2/", nil)
	if took := time.Since(began); took < 20*time.Millisecond {
		t.Errorf("GET took %v, want at least the latency", took)
	}
}
