package gha_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/ghaserver"
)

func TestRefusals(t *testing.T) {
	blind := ghaserver.Scope{Ref: mainRef, Permission: ghaserver.Write}
	for _, tt := range []struct {
		name   string
		limits ghaserver.Limits
		scope  ghaserver.Scope
		read   error
		write  error
		hint   string
	}{
		{"write-only token", ghaserver.Limits{}, blind, backend.ErrDenied, nil, ""},
		{"nobody pays", ghaserver.Limits{BudgetExhausted: true}, writer, backend.ErrNotFound, backend.ErrLimited, "used up"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := open(t, ghaserver.New(t, ghaserver.Options{Limits: tt.limits}), nil, tt.scope)
			data := content(1, 100)
			if _, err := read(t.Context(), b, describe(data), 0, -1); !errors.Is(err, tt.read) {
				t.Errorf("Open() = %v, want %v", err, tt.read)
			}
			err := b.Put(t.Context(), describe(data), blob.Bytes(data))
			if !errors.Is(err, tt.write) {
				t.Errorf("Put() = %v, want %v", err, tt.write)
			}
			if _, temporary := backend.Temporary(err); temporary || backend.Omittable(err) != (tt.write != nil) {
				t.Errorf("Put() = %v, Omittable %t, temporary %t, want an error to be omitted", err, backend.Omittable(err), temporary)
			}
			if r, ok := errors.AsType[backend.Remedier](err); tt.hint != "" && (!ok || !strings.Contains(r.Remedy(), tt.hint)) {
				t.Errorf("Put() = %v, want a remedy that says %q", err, tt.hint)
			}
		})
	}
}

func TestRateLimit(t *testing.T) {
	o := ghaserver.Options{}
	o.Creations, o.Per = 1, time.Minute
	s := ghaserver.New(t, o)
	b := open(t, s, func(o *gha.Options) { o.Patience = 10 * time.Second }, writer)
	put(t, b, content(1, 100))
	for range 2 {
		err := b.Put(t.Context(), describe(content(2, 100)), blob.Bytes(content(2, 100)))
		after, temporary := backend.Temporary(err)
		if temporary || after < 50*time.Second {
			t.Errorf("Put(second) = %v, want to wait for a minute, not %s", err, after)
		}
		wantOmitted(t, "Put(second)", err, backend.ErrLimited, "no more entries")
	}
	if n := s.Count("create"); n != 2 {
		t.Errorf("%d entries were asked for, want no more after the refusal", n)
	}
	wantBlob(t, b, content(1, 100)) // what only reads goes on
}

func TestExpiredToken(t *testing.T) {
	c := newClock()
	s := ghaserver.New(t, ghaserver.Options{Now: c.Now})
	b := open(t, s, nil, writer)
	c.add(7 * time.Hour)
	_, err := b.Stat(t.Context(), describe(nil).Digest)
	if !errors.Is(err, backend.ErrDenied) || !strings.Contains(err.Error(), "valid until 20") {
		t.Errorf("Stat(7 hours later) = %v, want %v and until when the token was valid", err, backend.ErrDenied)
	}
}

// TestErrorsHoldNoSecrets has a service repeat what it has received, in every
// form, and looks for it in every error.
func TestErrorsHoldNoSecrets(t *testing.T) {
	const canary = "CANARY"
	for _, tt := range []struct{ name, body string }{
		{"twirp", `{"code":"internal","msg":"bad token %s at %s"}`},
		{"byte order mark", "\ufeff" + `{"code":"internal","msg":"bad token %s at %s"}`},
		{"azure", `<Error><Code>Bad</Code><Message>token %s, url %s</Message></Error>`},
		{"page", `<html>%s %s`},
		{"single quotes", `{'code': '%s', 'msg': '%s'}`},
		{"success without sense", `%s %s`},
	} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodGet, http.MethodHead} {
			for _, status := range []int{http.StatusOK, http.StatusForbidden, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusFound} {
				t.Run(fmt.Sprint(tt.name, " ", method, " ", status), func(t *testing.T) {
					token := "ey" + canary + "." + canary + "." + canary
					s := ghaserver.New(t, ghaserver.Options{Intercept: func(w http.ResponseWriter, r *http.Request) bool {
						_, _ = io.Copy(io.Discard, r.Body)
						if r.Method == method {
							w.Header().Set("Location", "http://127.0.0.1:1/?sig="+canary)
							w.WriteHeader(status)
							_, _ = fmt.Fprintf(w, tt.body, r.Header.Get("Authorization"), "https://host/c/b?sp=r&sig="+canary)
						} else {
							_, _ = fmt.Fprintf(w, `{"ok":true,"signed_upload_url":"http://%[1]s/c/b?sig=%[2]s","signed_download_url":"http://%[1]s/c/b?sig=%[2]s","matched_key":"%[3]s"}`,
								r.Host, canary, "buildkit-blob-1-"+describe(content(1, 100)).Digest.String())
						}
						return true
					}})
					b := open(t, s, func(o *gha.Options) { o.Token, o.StuckAfter, o.Patience = token, time.Millisecond, time.Millisecond })
					for _, err := range failures(t, b) {
						if text := fmt.Sprintf("%v %+v %#v", err, err, err); err != nil && strings.Contains(text, canary) {
							t.Errorf("error = %v, want no secret in it", err)
						}
					}
				})
			}
		}
	}
}

// failures calls methods, which may fail.
func failures(t *testing.T, b backend.Backend) []error {
	t.Helper()
	d := describe(content(1, 100))
	_, stat := b.Stat(t.Context(), d.Digest)
	_, open := read(t.Context(), b, d, 10, 20)
	_, get := b.GetRef(t.Context(), "demo")
	_, put := b.PutRef(t.Context(), "demo", backend.Document{Data: []byte("x")}, backend.Always)
	return []error{stat, open, get, put, b.Put(t.Context(), d, blob.Bytes(content(1, 100)))}
}

func TestUnreachable(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	b := open(t, s, nil, writer)
	s.Close()
	for _, err := range failures(t, b) {
		if _, temporary := backend.Temporary(err); !errors.Is(err, backend.ErrUnavailable) || !temporary {
			t.Errorf("error = %v, want %v, temporary", err, backend.ErrUnavailable)
		}
	}
}

// TestBudget creates entries for a service that is never reached.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := &gha.Budget{Creations: 2}
		var at []time.Duration
		began := time.Now()
		b, err := gha.Open(t.Context(), gha.Options{URL: "http://gha.invalid/", Token: "t", Budget: budget, Transport: answer(func(*http.Request) {
			at = append(at, time.Since(began).Round(time.Second))
		})})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			if err := b.Put(t.Context(), describe(content(i, 8)), blob.Bytes(content(i, 8))); !errors.Is(err, backend.ErrUnavailable) {
				t.Fatalf("Put(%d) = %v, want %v", i, err, backend.ErrUnavailable)
			}
		}
		want := []time.Duration{0, 0, time.Minute, time.Minute, 2 * time.Minute}
		if !slices.Equal(at, want) {
			t.Errorf("entries were created after %v, want %v", at, want)
		}
	})
}

// answer is a transport that refuses every request.
type answer func(*http.Request)

// RoundTrip implements [http.RoundTripper].
func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	a(r)
	return &http.Response{
		StatusCode: http.StatusOK, Request: r, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(`{"ok":false,"message":"not for the test"}`)),
	}, nil
}

// TestNetworkErrorsHoldNoSecrets has connections end, of which net/http tells
// with the URL.
func TestNetworkErrorsHoldNoSecrets(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{Intercept: func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			panic(http.ErrAbortHandler)
		}
		return false
	}})
	b := open(t, s, impatient, writer)
	d := describe(content(1, 100))
	s.Plant(mainRef, "buildkit-blob-1-"+d.Digest.String(), cacheVersion, content(1, 100))
	failed := 0
	for _, err := range failures(t, b) {
		if err != nil {
			failed++
		}
		if text := fmt.Sprintf("%v %#v", err, err); strings.Contains(text, "sig=") || strings.Contains(text, "actions-cache/") {
			t.Errorf("error = %v, want no signed URL in it", err)
		}
	}
	if failed == 0 {
		t.Error("nothing has failed, want errors to look at")
	}
}
