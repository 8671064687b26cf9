package larder_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/internal/registrytest"
)

// numbered returns the names of n steps, the last of which are fresh.
func numbered(n, fresh int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("step ", i)
		if i >= n-fresh {
			names[i] += " fresh"
		}
	}
	return names
}

// asked returns the requests that a registry has got since the last call, but
// for those by which a client finds out how to talk to it.
func asked(s *registrytest.Server) map[registrytest.Op]int {
	counts := make(map[registrytest.Op]int)
	for _, r := range s.Requests() {
		if r.Op != registrytest.OpPing {
			counts[r.Op]++
		}
	}
	s.Forget()
	return counts
}

// TestTransfersTakeFewRequests counts what larder asks of a store where a
// question costs a request. An export, which adds to what is there, also reads
// the config of that.
func TestTransfersTakeFewRequests(t *testing.T) {
	const all, few, sample = 100, 3, 64
	for _, test := range []struct {
		name   string
		before []string // what the ref has
		beside []string // what another ref of the repository has
		steps  []string
		heads  int
		sent   int // blobs, of two requests each
	}{
		{name: "nothing is there", steps: numbered(all, 0), heads: sample, sent: all},
		{name: "all is there", before: numbered(all, 0), steps: numbered(all, 0)},
		{name: "a little is new", before: numbered(all, 0), steps: numbered(all, few), sent: few},
		{name: "most is new", before: numbered(all, 0), steps: numbered(all, all-few), heads: sample, sent: all - few},
		{name: "another ref has the half", beside: numbered(all, 0), steps: numbered(all, all/2), heads: all, sent: all / 2},
	} {
		want := map[registrytest.Op]int{registrytest.OpManifestGet: 1}
		if test.heads > 0 {
			want[registrytest.OpBlobHead] = test.heads
		}
		if test.sent > 0 {
			want[registrytest.OpUploadStart], want[registrytest.OpUploadFinish] = test.sent+1, test.sent+1 // with the config
			want[registrytest.OpManifestPut] = 1
		}
		t.Run("copy: "+test.name, func(t *testing.T) {
			s, to := repositoryWith(t, test.before, test.beside)
			from := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: "oci-manifest"}), Ref: "main"}
			export(t, cacheOf(t, test.steps...), from)
			copyTo(t, from, larder.CopyOptions{}, to)
			if diff := cmp.Diff(want, asked(s)); diff != "" {
				t.Errorf("Copy() takes other requests (-want +got):\n%s", diff)
			}
		})
		t.Run("export: "+test.name, func(t *testing.T) {
			s, to := repositoryWith(t, test.before, test.beside)
			export(t, cacheOf(t, test.steps...), to)
			if test.before != nil {
				want[registrytest.OpBlobGet] = 1
			}
			if diff := cmp.Diff(want, asked(s)); diff != "" {
				t.Errorf("Export() takes other requests (-want +got):\n%s", diff)
			}
		})
	}
}

// repositoryWith returns a ref that has the cache of some steps, in a repository
// with another one that has others.
func repositoryWith(t *testing.T, steps, beside []string) (*registrytest.Server, larder.Target) {
	t.Helper()
	s := registrytest.New(t, registrytest.Options{})
	to := registryTargets(t, "type=registry,ref="+s.Host+"/cache:main")[0]
	if steps != nil {
		export(t, cacheOf(t, steps...), to)
	}
	if beside != nil {
		export(t, cacheOf(t, beside...), larder.Target{Backend: to.Backend, Ref: "beside"})
	}
	s.Forget()
	return s, to
}

// TestTransfersFindOutWhatAManifestPromisesInVain has a registry lose a blob that
// a ref still names. It says so when it gets another manifest that names it.
func TestTransfersFindOutWhatAManifestPromisesInVain(t *testing.T) {
	s := registrytest.New(t, registrytest.Options{})
	for i, transfer := range []func(c *cache, from, to larder.Target) *larder.Report{
		func(c *cache, _, to larder.Target) *larder.Report { return export(t, c, to) },
		func(_ *cache, from, to larder.Target) *larder.Report {
			return copyTo(t, from, larder.CopyOptions{}, to)
		},
	} {
		repository := fmt.Sprint("cache", i)
		to := registryTargets(t, "type=registry,ref="+s.Host+"/"+repository+":main")[0]
		old, c := cacheOf(t, "base", "deps"), cacheOf(t, "base", "deps", "build")
		export(t, old, to)
		s.DropBlob(repository, c.layer(0))
		from := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: "oci-manifest"}), Ref: "main"}
		export(t, c, from)
		got := transfer(c, from, to).Targets[0]
		if got.Sent.Blobs != 2 || got.Reused.Blobs != 1 {
			t.Errorf("%s: %d blobs sent and %d reused, want 2 and 1", repository, got.Sent.Blobs, got.Reused.Blobs)
		}
		result, err := larder.Verify(t.Context(), to, larder.VerifyOptions{})
		if err != nil || !result.OK || result.Blobs != 3 {
			t.Errorf("%s: Verify() = %+v, %v, want 3 blobs and all well", repository, result, err)
		}
	}
}
