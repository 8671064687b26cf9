package gha_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/ghaserver"
)

// openREST returns a backend that may use the REST API with a permission.
func openREST(t *testing.T, s *ghaserver.Server, permission int, scopes ...ghaserver.Scope) *gha.Backend {
	t.Helper()
	return open(t, s, func(o *gha.Options) {
		withREST(s, o)
		o.APIToken = s.RESTToken(permission)
	}, scopes...)
}

const readWrite = ghaserver.Read | ghaserver.Write

// names collects a listing.
func names[T any](t *testing.T, list func(func(T, error) bool), name func(T) string) []string {
	t.Helper()
	var all []string
	for item, err := range list {
		if err != nil {
			t.Fatalf("List() = %v, want items", err)
		}
		all = append(all, name(item))
	}
	slices.Sort(all)
	return all
}

// TestScopeIsListedAndDeleted leaves alone what is in other scopes.
func TestScopeIsListedAndDeleted(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	main := openREST(t, s, readWrite, writer)
	branch := openREST(t, s, readWrite, ghaserver.Scope{Ref: featureRef, Permission: 3}, ghaserver.Scope{Ref: mainRef, Permission: 1})
	put(t, main, content(1, 100))
	own := put(t, branch, content(2, 100))
	putRef(t, main, "demo", "of main", backend.Always)
	putRef(t, branch, "demo-1-2", "of branch", backend.Always)
	putRef(t, branch, "demo-1-2", "of branch again", backend.Always)
	blobs := names(t, branch.List(t.Context()), func(i backend.BlobInfo) string { return i.Digest.String() })
	refs := names(t, branch.ListRefs(t.Context()), func(i backend.RefInfo) string { return i.Name })
	if diff := cmp.Diff([]string{own.Digest.String(), "demo-1-2"}, append(blobs, refs...)); diff != "" {
		t.Errorf("List() and ListRefs() (-want +got):\n%s", diff)
	}
	if err := errors.Join(branch.Delete(t.Context(), own.Digest, describe(content(1, 100)).Digest), branch.DeleteRef(t.Context(), "demo-1-2", backend.Always)); err != nil {
		t.Errorf("Delete() and DeleteRef() = %v, want nil", err)
	}
	wantNoBlob(t, branch, own)
	wantRef(t, branch, "demo-1-2", "")
	wantBlob(t, branch, content(1, 100))
	wantRef(t, branch, "demo", "of main")
	if u, err := main.Usage(t.Context()); err != nil || u.Entries != 2 || u.Bytes != 107 {
		t.Errorf("Usage() = %+v, %v, want 107 bytes in 2 entries", u, err)
	}
}

// TestManyBlobsAreLookedForInAListing counts requests, of a repository with a few
// pages of entries, and of one with too many.
func TestManyBlobsAreLookedForInAListing(t *testing.T) {
	for _, tt := range []struct {
		name    string
		entries int
		lookups int // one of them of the catalog of packs
	}{{"a few pages", 250, 1}, {"many pages", 1500, 101}} {
		t.Run(tt.name, func(t *testing.T) {
			s := ghaserver.New(t, ghaserver.Options{})
			var asked []blob.Digest
			for i := range tt.entries {
				d := describe(content(i, 100))
				s.Plant(mainRef, "buildkit-blob-1-"+d.Digest.String(), cacheVersion, content(i, 100))
				if i%10 == 0 && len(asked) < 25 {
					asked = append(asked, d.Digest)
				}
			}
			foreign := describe(content(-1, 100))
			s.Plant("refs/heads/other", "buildkit-blob-1-"+foreign.Digest.String(), cacheVersion, content(-1, 100))
			asked = append(asked, foreign.Digest)
			for i := range 74 {
				asked = append(asked, describe(content(i, 50)).Digest)
			}
			found, err := openREST(t, s, ghaserver.Read, writer).Stat(t.Context(), asked...)
			if err != nil || len(found) != 25 || found[asked[0]].Size != 100 {
				t.Errorf("Stat(100 blobs) = %d, %v, want 25", len(found), err)
			}
			if n := s.Count("lookup"); n != tt.lookups {
				t.Errorf("Stat(100 blobs) takes %d lookups, want %d", n, tt.lookups)
			}
		})
	}
}

// TestListingWhileEntriesGo has one of the first page go before the second is
// read, which hides another.
func TestListingWhileEntriesGo(t *testing.T) {
	var s *ghaserver.Server
	s = ghaserver.New(t, ghaserver.Options{Intercept: func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("page") == "2" {
			s.Evict(mainRef, "buildkit-blob-1-"+describe(content(0, 8)).Digest.String(), cacheVersion)
		}
		return false
	}})
	for i := range 250 {
		s.Plant(mainRef, "buildkit-blob-1-"+describe(content(i, 8)).Digest.String(), cacheVersion, content(i, 8))
	}
	listed := names(t, openREST(t, s, ghaserver.Read, writer).List(t.Context()), func(i backend.BlobInfo) string { return i.Digest.String() })
	for i := 1; i < 250; i++ {
		if d := describe(content(i, 8)).Digest.String(); !slices.Contains(listed, d) {
			t.Errorf("List() lacks blob %d, which was there all the time", i)
		}
	}
}

// TestReplacedDocumentsAreRemoved a day later.
func TestReplacedDocumentsAreRemoved(t *testing.T) {
	c := newClock()
	s := ghaserver.New(t, ghaserver.Options{Now: c.Now})
	job := func() *gha.Backend {
		b := open(t, s, func(o *gha.Options) { withREST(s, o); o.Now = c.Now }, writer)
		return b
	}
	for i := range 3 {
		putRef(t, job(), "demo", fmt.Sprint(i), backend.Always)
	}
	c.add(25 * time.Hour)
	putRef(t, job(), "demo", "a day later", backend.Always)
	if diff := cmp.Diff([]string{indexOfMain + "4"}, keys(s)); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	putRef(t, job(), "demo", "at once", backend.Always)
	if diff := cmp.Diff([]string{indexOfMain + "4", indexOfMain + "5"}, keys(s)); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func TestRESTRefusals(t *testing.T) {
	limited := ghaserver.Options{}
	limited.RESTRequests = 1
	for _, tt := range []struct {
		name    string
		options ghaserver.Options
		change  func(*gha.Options)
		want    error
		says    string
	}{
		{"token that reads", ghaserver.Options{}, nil, backend.ErrDenied, "actions: write"},
		{"wrong token", ghaserver.Options{}, func(o *gha.Options) { o.APIToken = "CANARY" }, backend.ErrDenied, "Bad credentials"},
		{"another repository", ghaserver.Options{}, func(o *gha.Options) { o.Repository = "octo/other" }, backend.ErrDenied, "attribute repository"},
		{"rate limit", limited, nil, backend.ErrLimited, "rate limit"},
		{"no token", ghaserver.Options{}, func(o *gha.Options) { o.APIToken = "" }, backend.ErrUnsupported, "does not delete"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := ghaserver.New(t, tt.options)
			b := open(t, s, func(o *gha.Options) {
				withREST(s, o)
				o.APIToken = s.RESTToken(ghaserver.Read)
				if tt.change != nil {
					tt.change(o)
				}
			}, writer)
			d := put(t, b, content(1, 100))
			err := b.Delete(t.Context(), d.Digest)
			if !errors.Is(err, tt.want) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("Delete() = %v, want %v", err, tt.want)
			}
			if !strings.Contains(fmt.Sprint(err), tt.says) {
				t.Errorf("Delete() = %v, want to hear of %q", err, tt.says)
			}
			after, temporary := backend.Temporary(err)
			if isLimit := errors.Is(err, backend.ErrLimited); temporary != isLimit || isLimit && after < 50*time.Minute {
				t.Errorf("Delete() = %v, temporary %t, for %s, want to come back in an hour if it is a limit", err, temporary, after)
			}
			wantBlob(t, b, content(1, 100))
		})
	}
}

func TestRESTOptions(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"no repository", "type=gha,ghtoken=CANARY,token=CANARY,url_v2=http://h/", "GITHUB_REPOSITORY"},
		{"repository that is none", "type=gha,ghtoken=CANARY,token=CANARY,url_v2=http://h/,repository=a", "want OWNER/NAME"},
		{"url that is none", "type=gha,ghtoken=CANARY,token=CANARY,url_v2=http://h/,repository=a/b,api_url=h", "want http://HOST/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := openAt(t, tt.text, nil)
			if !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("Open(%s) = %v, want %v that says %q", tt.text, err, backend.ErrInvalid, tt.want)
			}
		})
	}
	s := ghaserver.New(t, ghaserver.Options{})
	env := map[string]string{
		"ACTIONS_RESULTS_URL": s.URL, "ACTIONS_RUNTIME_TOKEN": s.Token(writer),
		"GITHUB_API_URL": s.URL, "GITHUB_REPOSITORY": ghaserver.Repository, "GITHUB_TOKEN": s.RESTToken(readWrite),
	}
	plain, err := openAt(t, "type=gha", env)
	if err != nil || plain.Info().Capabilities.DeleteBlobs {
		t.Errorf("Open(GITHUB_TOKEN in the environment) = %+v, %v, want it to be left alone", plain, err)
	}
	given, err := openAt(t, "type=gha,ghtoken="+s.RESTToken(readWrite), env)
	if err != nil || !given.Info().Capabilities.DeleteBlobs {
		t.Fatalf("Open(ghtoken) = %v, want to be able to delete", err)
	}
	d := put(t, given, content(1, 100))
	if err := given.Delete(t.Context(), d.Digest); err != nil {
		t.Errorf("Delete() = %v, want nil", err)
	}
}
