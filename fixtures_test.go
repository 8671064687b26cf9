package larder_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/internal/fixtures"
)

// goodLayouts are the directories that BuildKit wrote, with their tags.
func goodLayouts() map[string][]string {
	tags := make(map[string][]string)
	for _, name := range fixtures.Names("buildkit/local-") {
		tags[name] = []string{"latest"}
	}
	tags["buildkit/local-max-two-tags"] = []string{"main", "feature-login"}
	return tags
}

// What BuildKit wrote is sound, and stays what it is through copies: to the byte
// into a directory, and through a flat store there and back.
func TestBuildKitsCachesAreSoundAndCopyExactly(t *testing.T) {
	for name, tags := range goodLayouts() {
		for _, tag := range tags {
			from := fixture(t, name, tag)
			if v := verify(t, from, larder.VerifyOptions{}); !v.OK || v.Blobs == 0 {
				t.Errorf("%s: Verify(%s) = %+v, want ok", name, tag, v)
			}
			to := larder.Target{Backend: directory(t, t.TempDir()), Ref: "copy"}
			copyTo(t, from, larder.CopyOptions{}, to)
			if diff := cmp.Diff(document(t, from), document(t, to)); diff != "" {
				t.Errorf("%s: the copy of %s differs (-source +copy):\n%s", name, tag, diff)
			}
			if v := verify(t, to, larder.VerifyOptions{}); !v.OK {
				t.Errorf("%s: Verify() of the copy of %s = %+v, want ok", name, tag, v)
			}
			flat := larder.Target{Backend: mem.New(), Ref: "flat"}
			copyTo(t, from, larder.CopyOptions{}, flat)
			if diff := cmp.Diff(inspect(t, from).Totals, inspect(t, flat).Totals); diff != "" {
				t.Errorf("%s: the flat copy of %s differs (-source +copy):\n%s", name, tag, diff)
			}
		}
	}
}

// verdict is what Verify says of a broken cache.
type verdict struct {
	err                    error  // it cannot be checked at all
	says                   string // part of the error or of the reason
	missing, corrupt, lost int    // what is wrong with it
}

// verdicts has larder's outcome for each broken cache whose defect is in the
// bytes of blobs, or is found on the way to the document. The others end in the
// codec, whose tests have their outcomes.
var verdicts = map[string]verdict{
	// BuildKit fails the build.
	"blob-missing":     {missing: 1, lost: 4, says: "not found"},
	"blob-truncated":   {corrupt: 1, lost: 4, says: "bytes, want"},
	"blob-bit-flipped": {corrupt: 1, lost: 4, says: "content has digest"},
	// BuildKit fails the build as well; the size is wrong in the document, so
	// there is no telling which blob was meant.
	"descriptor-size-wrong": {corrupt: 1, lost: 4, says: "bytes, want"},
	// BuildKit imports it, and its images have a wrong diffID from then on.
	"diffid-wrong": {corrupt: 1, lost: 4, says: "the manifest says diffID"},
	// BuildKit rebuilds what needs the layer.
	"diffid-missing": {lost: 4, says: "the layer has no diffID"},
	// All tools ignore what follows a gzip stream, and the digest covers it.
	"gzip-trailing-garbage": {},
	"parent-chain-deep":     {},
	// The ways to the document.
	"index-json-torn":       {err: backend.ErrCorrupt, says: "index.json"},
	"manifest-digest-wrong": {err: backend.ErrCorrupt, says: "content has digest"},
	"config-missing":        {err: backend.ErrCorrupt, says: "sha256:a26262d8ba71"},
}

func TestVerdictsOnBrokenCaches(t *testing.T) {
	for name, want := range verdicts {
		t.Run(name, func(t *testing.T) {
			to := fixture(t, "broken/buildkit/"+name, "latest")
			v, err := larder.Verify(t.Context(), to, larder.VerifyOptions{})
			if want.err != nil || err != nil {
				if !errors.Is(err, want.err) || !strings.Contains(err.Error(), want.says) {
					t.Errorf("Verify() = %v, want %v with %q", err, want.err, want.says)
				}
				return
			}
			if len(v.Missing) != want.missing || len(v.Corrupt) != want.corrupt || v.RecordsLost != want.lost {
				t.Errorf("Verify() = %d missing, %d corrupt, %d records lost, want %d, %d, %d",
					len(v.Missing), len(v.Corrupt), v.RecordsLost, want.missing, want.corrupt, want.lost)
			}
			if said := reasons(v); !strings.Contains(said, want.says) {
				t.Errorf("Verify() says %q, want %q in it", said, want.says)
			}
			if sound := want.missing+want.corrupt+want.lost == 0; v.OK != sound {
				t.Errorf("Verify() = ok %t, want %t", v.OK, sound)
			}
		})
	}
}

// reasons are all that a verification says is wrong.
func reasons(v *larder.Verification) string {
	said := v.Problems
	for _, d := range append(v.Missing, v.Corrupt...) {
		said = append(said, d.Reason)
	}
	return strings.Join(said, "; ")
}

// A repair leaves a cache that is sound, and never less than what was usable.
func TestBrokenCachesCanBeRepaired(t *testing.T) {
	for name, verdict := range verdicts {
		if verdict.err != nil || verdict.lost == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			to := fixture(t, "broken/buildkit/"+name, "latest")
			before := inspect(t, to).Totals.Results
			verify(t, to, larder.VerifyOptions{Repair: true})
			if v := verify(t, to, larder.VerifyOptions{}); !v.OK {
				t.Errorf("Verify() after a repair = %+v, want ok", v)
			}
			if got := inspect(t, to).Totals.Results; got < before-verdict.lost {
				t.Errorf("the repaired cache has %d results, want at least %d", got, before-verdict.lost)
			}
		})
	}
}
