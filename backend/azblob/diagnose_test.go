package azblob_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/azblob"
	"github.com/larder-build/larder/internal/azuretest"
)

// findings returns what a diagnosis finds, "check: status".
func findings(t *testing.T, b *azblob.Backend) (short []string, all []backend.Finding) {
	t.Helper()
	for f := range b.Diagnose(t.Context(), backend.DiagnoseOptions{Refs: []string{"main"}}) {
		short = append(short, fmt.Sprintf("%s: %s", f.Check, f.Status))
		all = append(all, f)
		if f.Detail == "" || strings.Contains(f.Detail+f.Remedy, "\n") {
			t.Errorf("finding %+v, want one line of detail", f)
		}
		if f.Status == backend.FindingFailed && f.Remedy == "" {
			t.Errorf("finding %+v, want a remedy", f)
		}
	}
	return short, all
}

func TestDiagnose(t *testing.T) {
	within := func(permissions string, expires time.Time) func(*azblob.Options) {
		return func(o *azblob.Options) {
			o.AccountKey, o.SAS = "", azuretest.SAS{Container: "cache", Permissions: permissions, Expires: expires}.Sign()
		}
	}
	late := time.Now().Add(365 * 24 * time.Hour)
	for _, tt := range []struct {
		name    string
		service azuretest.Options
		change  func(*azblob.Options)
		want    []string
		says    string // in a detail or remedy
	}{
		{"key", azuretest.Options{}, nil, []string{"endpoint: note", "credentials: ok", "clock: ok", "container: ok", "account: note", "lifecycle rules: skipped"}, "account key of attribute secret_access_key"},
		{"SAS", azuretest.Options{}, within("rwdl", late), []string{"endpoint: note", "credentials: ok", "clock: ok", "SAS: ok", "container: skipped", "account: note", "lifecycle rules: skipped"}, "SAS of attribute sas_token"},
		{"SAS that ends soon", azuretest.Options{}, within("rwdl", inAnHour()), []string{"endpoint: note", "credentials: ok", "clock: ok", "SAS: warning", "container: skipped", "account: note", "lifecycle rules: skipped"}, "make a new one for sas_token"},
		{"SAS for reading", azuretest.Options{}, within("rl", late), []string{"endpoint: note", "credentials: ok", "clock: ok", "SAS: note", "SAS: ok", "container: skipped", "account: note", "lifecycle rules: skipped"}, "permits rl, and lacks w, d"},
		{"SAS for listing", azuretest.Options{}, within("l", late), []string{"endpoint: note", "credentials: ok", "clock: ok", "SAS: note", "SAS: ok", "container: skipped", "account: note", "lifecycle rules: skipped"}, "lacks r, w, d"},
		{"SAS that has ended", azuretest.Options{}, within("rwdl", time.Now().Add(-time.Hour)), []string{"endpoint: note", "credentials: failed"}, "make a new SAS"},
		{"wrong key", azuretest.Options{}, func(o *azblob.Options) { o.AccountKey = "d3Jvbmc=" }, []string{"endpoint: note", "credentials: failed"}, "secret_access_key is a key of the account"},
		{"no keys", azuretest.Options{NoKeys: true}, nil, []string{"endpoint: note", "credentials: failed"}, "leave out secret_access_key"},
		{"no container", azuretest.Options{}, func(o *azblob.Options) { o.Container = "else" }, []string{"endpoint: note", "credentials: ok", "clock: ok", "container: failed"}, "set create_container=true"},
		{"no container yet", azuretest.Options{}, func(o *azblob.Options) { o.Container, o.CreateContainer = "else", true }, []string{"endpoint: note", "credentials: ok", "clock: ok", "container: note"}, "else does not exist yet"},
		{"public", azuretest.Options{PublicAccess: true}, nil, []string{"endpoint: note", "credentials: ok", "clock: ok", "container: warning", "account: note", "lifecycle rules: skipped"}, "lets everybody read"},
		{"immutable", azuretest.Options{Immutable: true}, nil, []string{"endpoint: note", "credentials: ok", "clock: ok", "container: warning", "account: note", "lifecycle rules: skipped"}, "policy of immutability"},
		{"hierarchical", azuretest.Options{Hierarchical: true}, nil, []string{"endpoint: note", "credentials: ok", "clock: ok", "container: ok", "account: note", "lifecycle rules: skipped"}, "hierarchical namespace"},
		{"our clock is behind", azuretest.Options{}, func(o *azblob.Options) { o.Now = func() time.Time { return time.Now().Add(-10 * time.Minute) } }, []string{"endpoint: note", "credentials: ok", "clock: warning", "container: ok", "account: note", "lifecycle rules: skipped"}, "behind the store's"},
		{"our clock is wrong", azuretest.Options{Now: func() time.Time { return time.Now().Add(time.Hour) }}, nil, []string{"endpoint: note", "credentials: failed"}, "set the clock of this machine"},
		{"nobody there", azuretest.Options{}, func(o *azblob.Options) { o.AccountURL = "http://127.0.0.1:1/devstoreaccount1" }, []string{"endpoint: failed"}, "see that account_url is right"},
		{"without TLS elsewhere", azuretest.Options{}, func(o *azblob.Options) {
			where := o.AccountURL
			o.AccountURL = strings.Replace(where, "127.0.0.1", "acme.example", 1)
			o.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				r.URL.Host = strings.Replace(r.URL.Host, "acme.example", "127.0.0.1", 1)
				return http.DefaultTransport.RoundTrip(r)
			})
		}, []string{"endpoint: warning", "credentials: ok", "clock: ok", "container: ok", "account: note", "lifecycle rules: skipped"}, "set account_url to one with https"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, opts := fake(t, tt.service)
			if tt.change != nil {
				tt.change(&opts)
			}
			short, all := findings(t, open(t, opts))
			if diff := cmp.Diff(tt.want, short); diff != "" {
				t.Errorf("Diagnose() differs (-want +got):\n%s", diff)
			}
			if text := fmt.Sprintf("%+v", all); !strings.Contains(text, tt.says) {
				t.Errorf("Diagnose() = %s, want %q in it", text, tt.says)
			}
			if got := s.Count("Put Blob", "Delete Blob", "Set Blob Metadata", "Create Container"); got != 0 {
				t.Errorf("Diagnose() has written %d times, want it to write nothing", got)
			}
		})
	}
}

// TestDiagnoseTokens looks at an account that is reached with tokens.
func TestDiagnoseTokens(t *testing.T) {
	_, opts := secure(t, "good")
	opts.Credential = &tokens{list: []string{"good"}}
	short, _ := findings(t, open(t, opts))
	if diff := cmp.Diff([]string{"endpoint: ok", "credentials: ok", "clock: ok", "container: ok", "account: note", "lifecycle rules: skipped"}, short); diff != "" {
		t.Errorf("Diagnose() differs (-want +got):\n%s", diff)
	}
	opts.Credential = &tokens{err: fmt.Errorf("the vault is closed")}
	short, all := findings(t, open(t, opts))
	if diff := cmp.Diff([]string{"endpoint: ok", "credentials: failed"}, short); diff != "" {
		t.Errorf("Diagnose(no token) differs (-want +got):\n%s", diff)
	}
	if text := fmt.Sprintf("%+v", all); !strings.Contains(text, "the vault is closed") {
		t.Errorf("Diagnose(no token) = %s, want the reason", text)
	}
}

// TestDiagnoseStops shows that nothing is found after the caller has enough, nor
// after Close.
func TestDiagnoseStops(t *testing.T) {
	_, opts := fake(t, azuretest.Options{})
	b := open(t, opts)
	for stop := 1; stop <= 6; stop++ {
		n := 0
		for range b.Diagnose(t.Context(), backend.DiagnoseOptions{}) {
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			t.Errorf("Diagnose() has found %d things, want %d", n, stop)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	for f := range b.Diagnose(ctx, backend.DiagnoseOptions{}) {
		if f.Check == "clock" {
			cancel()
		}
		if f.Check == "container" {
			t.Errorf("Diagnose(canceled) has found %+v, want it to end", f)
		}
	}
	cancel()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if short, _ := findings(t, b); len(short) != 1 || short[0] != "endpoint: failed" {
		t.Errorf("Diagnose(closed) = %q, want a failed endpoint", short)
	}
}
