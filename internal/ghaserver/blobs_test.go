package ghaserver_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder/internal/ghaserver"
)

func TestRanges(t *testing.T) {
	c := newClient(t, ghaserver.Options{})
	c.save("k", "0123456789")
	where := c.lookup("k").text("signed_download_url")
	for _, tt := range []struct {
		name, header, value string
		status              int
		body, contentRange  string
	}{
		{"all", "Accept", "*/*", http.StatusOK, "0123456789", ""},
		{"middle", "Range", "bytes=2-4", http.StatusPartialContent, "234", "bytes 2-4/10"},
		{"to the end", "Range", "bytes=8-", http.StatusPartialContent, "89", "bytes 8-9/10"},
		{"beyond the end", "Range", "bytes=8-100", http.StatusPartialContent, "89", "bytes 8-9/10"},
		{"Azure's header", "x-ms-range", "bytes=0-0", http.StatusPartialContent, "0", "bytes 0-0/10"},
		{"past the end", "Range", "bytes=10-", http.StatusRequestedRangeNotSatisfiable, "", "bytes */10"},
		{"malformed", "Range", "bytes=a-b", http.StatusRequestedRangeNotSatisfiable, "", "bytes */10"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := c.do(http.MethodGet, where, nil, tt.header, tt.value)
			if got.status != tt.status || got.header.Get("Content-Range") != tt.contentRange || tt.body != "" && string(got.body) != tt.body {
				t.Errorf("get(%s) = %d %s of %q, want %d %s of %q", tt.value, got.status, got.body, got.header.Get("Content-Range"), tt.status, tt.body, tt.contentRange)
			}
			if got.header.Get("X-Ms-Request-Id") == "" {
				t.Error("get() has no x-ms-request-id, want one in every answer")
			}
		})
	}
	head := c.do(http.MethodHead, where, nil)
	if head.header.Get("Content-Length") != "10" || head.header.Get("Etag") == "" || len(head.body) != 0 {
		t.Errorf("head() = %v, want a length of 10 and an ETag", head.header)
	}
}

func TestIgnoreRange(t *testing.T) {
	c := newClient(t, ghaserver.Options{Quirks: ghaserver.Quirks{IgnoreRange: true}})
	c.save("k", "0123456789")
	got := c.do(http.MethodGet, c.lookup("k").text("signed_download_url"), nil, "Range", "bytes=2-4")
	if got.status != http.StatusOK || string(got.body) != "0123456789" {
		t.Errorf("get(range) = %d %s, want everything", got.status, got.body)
	}
}

// blockID returns an id in the form of Azure's SDK for JavaScript.
func blockID(number int) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%036d%012d", 0, number))
}

func (c *client) putBlock(where, id, data string) response {
	c.t.Helper()
	return c.do(http.MethodPut, where+"&comp=block&blockid="+url.QueryEscape(id), []byte(data))
}

func (c *client) putList(where string, ids ...string) response {
	c.t.Helper()
	var list strings.Builder
	for _, id := range ids {
		list.WriteString("<Latest>" + id + "</Latest>")
	}
	return c.do(http.MethodPut, where+"&comp=blocklist", []byte("<BlockList>"+list.String()+"</BlockList>"))
}

func TestBlocks(t *testing.T) {
	c := newClient(t, ghaserver.Options{Quirks: ghaserver.Quirks{SDKBlocks: true}})
	where := c.create("k").text("signed_upload_url")
	for _, number := range []int{1, 0, 2} {
		if got := c.putBlock(where, blockID(number), fmt.Sprint("block ", number, ";")); got.status != http.StatusCreated {
			t.Fatalf("put block %d = %d %s, want 201", number, got.status, got.body)
		}
	}
	wantError(t, "finalize(blocks alone)", c.finalize("k", 24), http.StatusNotFound, "not_found")
	if got := c.putList(where, blockID(0), blockID(3)); got.header.Get("X-Ms-Error-Code") != "InvalidBlockList" {
		t.Errorf("put list with an unknown block = %d %s, want InvalidBlockList", got.status, got.body)
	}
	if got := c.putList(where, blockID(0), blockID(1), blockID(2)); got.status != http.StatusCreated {
		t.Fatalf("put list = %d %s, want 201", got.status, got.body)
	}
	if got := c.finalize("k", 24); got.field("ok") != true {
		t.Fatalf("finalize(k) = %d %s, want ok", got.status, got.body)
	}
	got := c.do(http.MethodGet, c.lookup("k").text("signed_download_url"), nil)
	if want := "block 0;block 1;block 2;"; string(got.body) != want {
		t.Errorf("get(k) = %s, want %s", got.body, want)
	}
}

func TestRefusedUploads(t *testing.T) {
	c := newClient(t, ghaserver.Options{Quirks: ghaserver.Quirks{SDKBlocks: true}})
	where := c.create("k").text("signed_upload_url")
	c.putBlock(where, blockID(0), "x")
	for _, tt := range []struct {
		name string
		got  response
		code string
	}{
		{"no type", c.do(http.MethodPut, where, []byte("x")), "MissingRequiredHeader"},
		{"other length of ids", c.putBlock(where, base64.StdEncoding.EncodeToString([]byte("short")), "x"), "InvalidBlobOrBlock"},
		{"no base64", c.putBlock(where, "???", "x"), "InvalidQueryParameterValue"},
		{"empty block", c.putBlock(where, blockID(1), ""), "InvalidQueryParameterValue"},
		{"no number", c.putBlock(where, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("x"), 48)), "x"), "InvalidBlockId"},
		{"list that is no XML", c.do(http.MethodPut, where+"&comp=blocklist", []byte("<")), "InvalidXmlDocument"},
		{"other operation", c.do(http.MethodPut, where+"&comp=lease", nil), "InvalidQueryParameterValue"},
		{"reading", c.do(http.MethodGet, where, nil), "AuthorizationPermissionMismatch"},
		{"other signature", c.put(strings.Replace(where, "sig=", "sig=AAAA", 1), "x"), "AuthenticationFailed"},
		{"with a token", c.do(http.MethodPut, where, []byte("x"), "Authorization", "Bearer x"), "InvalidAuthenticationInfo"},
	} {
		if got := tt.got.header.Get("X-Ms-Error-Code"); got != tt.code || tt.got.status < 400 || !strings.Contains(string(tt.got.body), tt.code) {
			t.Errorf("put(%s) = %d %s, want %s", tt.name, tt.got.status, tt.got.body, tt.code)
		}
	}
}

func TestURLsExpire(t *testing.T) {
	clock := newClock()
	c := newClient(t, ghaserver.Options{Now: clock.Now})
	upload := c.create("late").text("signed_upload_url")
	c.save("k", "x")
	download := c.lookup("k").text("signed_download_url")
	clock.now = clock.now.Add(11 * time.Minute)
	if got := c.do(http.MethodGet, download, nil); got.status != http.StatusForbidden {
		t.Errorf("get(after 11 minutes) = %d, want 403", got.status)
	}
	if got := c.put(upload, "x"); got.status != http.StatusCreated {
		t.Errorf("put(after 11 minutes) = %d, want 201", got.status)
	}
	clock.now = clock.now.Add(time.Hour)
	if got := c.put(upload, "x"); got.status != http.StatusForbidden {
		t.Errorf("put(after an hour) = %d, want 403", got.status)
	}
}

func TestPlainURLs(t *testing.T) {
	c := newClient(t, ghaserver.Options{Quirks: ghaserver.Quirks{PlainURLs: true}})
	where := c.create("k").text("signed_upload_url")
	if u, err := url.Parse(where); err != nil || u.RawQuery != "" || strings.Count(u.Path, "/") < 2 {
		t.Errorf("create(k) = %s, want a path of two segments or more and no query", where)
	}
}

func TestIntercept(t *testing.T) {
	c := newClient(t, ghaserver.Options{Intercept: func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}})
	if got := c.put(c.create("k").text("signed_upload_url"), "x"); got.status != http.StatusServiceUnavailable {
		t.Errorf("put(k) = %d, want the 503 of the test", got.status)
	}
}

func TestLatency(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{Latency: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("get() = %v, want no answer in time", err)
	}
}
