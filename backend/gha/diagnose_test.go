package gha_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/internal/ghaserver"
)

// TestDiagnose has what the driver knows of itself: the check and its status, in
// order, and what is said.
func TestDiagnose(t *testing.T) {
	reader := ghaserver.Scope{Ref: mainRef, Permission: ghaserver.Read}
	page := func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = w.Write([]byte("<html>"))
		return true
	}
	for _, tt := range []struct {
		name   string
		server ghaserver.Options
		change func(*ghaserver.Server, *gha.Options)
		scopes []ghaserver.Scope
		want   []string
		says   string
	}{
		{
			"a branch",
			ghaserver.Options{},
			nil,
			[]ghaserver.Scope{{Ref: featureRef, Permission: readWrite}, reader},
			[]string{"endpoint ok", "clock ok", "credentials ok", "scopes ok", "budget note", "rest api note"},
			"reads refs/heads/feature, then refs/heads/main; writes refs/heads/feature alone",
		},
		{
			"with the REST API, of the first version",
			ghaserver.Options{},
			func(s *ghaserver.Server, o *gha.Options) { withREST(s, o); o.Version = 1 },
			[]ghaserver.Scope{writer},
			[]string{"endpoint ok", "clock ok", "credentials ok", "scopes ok", "budget note", "rest api ok"},
			"octo/cache keeps 0 entries",
		},
		{
			"a token that only reads",
			ghaserver.Options{},
			nil,
			[]ghaserver.Scope{reader},
			[]string{"endpoint ok", "clock ok", "credentials ok", "scopes note", "write skipped", "budget note", "rest api note"},
			"triggers that are not trusted",
		},
		{
			"a mode",
			ghaserver.Options{},
			func(_ *ghaserver.Server, o *gha.Options) { o.Mode = "read" },
			[]ghaserver.Scope{writer},
			[]string{"endpoint ok", "clock ok", "credentials ok", "scopes ok", "mode note", "write skipped", "budget note", "rest api note"},
			"ACTIONS_CACHE_MODE to read",
		},
		{
			"a token of another service",
			ghaserver.Options{},
			func(_ *ghaserver.Server, o *gha.Options) { o.Token = "CANARY" }, nil,
			[]string{"endpoint ok", "clock ok", "credentials failed"},
			"core.exportVariable('ACTIONS_RUNTIME_TOKEN'",
		},
		{
			"a token that has expired",
			ghaserver.Options{},
			func(_ *ghaserver.Server, o *gha.Options) {
				o.Now = func() time.Time { return time.Now().Add(7 * time.Hour) }
			},
			[]ghaserver.Scope{writer},
			[]string{"credentials failed"},
			"has expired at",
		},
		{
			"no such service",
			ghaserver.Options{Intercept: page},
			nil,
			[]ghaserver.Scope{writer},
			[]string{"endpoint failed"},
			"check the attributes version and attribute url_v2",
		},
		{
			"nobody there",
			ghaserver.Options{},
			func(_ *ghaserver.Server, o *gha.Options) { o.URL = "http://127.0.0.1:1/" },
			[]ghaserver.Scope{writer},
			[]string{"endpoint failed"},
			"what runners have in ACTIONS_RESULTS_URL",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := ghaserver.New(t, tt.server)
			b := open(t, s, func(o *gha.Options) {
				if tt.change != nil {
					tt.change(s, o)
				}
			}, tt.scopes...)
			var got []string
			var text strings.Builder
			for f := range b.Diagnose(t.Context(), backend.DiagnoseOptions{}) {
				got = append(got, f.Check+" "+string(f.Status))
				fmt.Fprintln(&text, f.Detail, f.Remedy)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Diagnose() (-want +got):\n%s\n%s", diff, text.String())
			}
			if said := text.String(); !strings.Contains(said, tt.says) || strings.Contains(said, "CANARY") {
				t.Errorf("Diagnose() says\n%s\nwant %q in it", said, tt.says)
			}
		})
	}
}

// TestDoctor goes on where the driver has found nothing to be wrong.
func TestDoctor(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	b := open(t, s, func(o *gha.Options) { withREST(s, o) }, writer)
	found, err := larder.Diagnose(t.Context(), b, larder.DiagnoseOptions{})
	if err != nil || !found.OK || len(found.Left) > 0 {
		t.Errorf("Diagnose() = %+v, %v, want all to be well and nothing left", found, err)
	}
	if left := s.Entries(); len(left) > 0 {
		t.Errorf("the doctor has left %v, want nothing", left)
	}
}
