package buildkit_test

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/fixtures"
	"github.com/larder-build/larder/manifest/buildkit"
)

// outcome is what larder makes of a broken cache.
type outcome struct {
	// err and says are what an error matches and what its text contains.
	err  error
	says string
	// problem is in the only problem told.
	problem string
	// left to others: the document is in order, what it refers to is not, and
	// reading the blobs, or the layout around it, finds that.
	others bool
}

// outcomes has one entry for each broken fixture. BuildKit's own outcome, as
// observed, is in the comments where it differs in kind.
var outcomes = map[string]outcome{
	// The layers' bytes are not the codec's. BuildKit fails the build on the
	// first four, and uses the last two as if nothing was wrong.
	"blob-bit-flipped":      {others: true},
	"blob-missing":          {others: true},
	"blob-truncated":        {others: true},
	"descriptor-size-wrong": {others: true},
	"diffid-wrong":          {others: true},
	"gzip-trailing-garbage": {others: true},

	// BuildKit ignores the cache, silently in the first case.
	"config-media-type-wrong": {err: buildkit.ErrNotCache, says: `has media type "application/vnd.oci.empty.v1+json"`},
	"config-missing":          {err: fs.ErrNotExist, says: "cache config sha256:a26262d8ba71"},
	"config-not-json":         {err: blob.ErrInvalid, says: "is not JSON: invalid character 'h' in literal true"},
	"config-truncated-json":   {err: blob.ErrInvalid, says: "unexpected end of JSON input at byte 4744 of 4744"},

	// BuildKit ignores these; larder reads them and says so.
	"config-over-1mib":   {problem: "the cache config has 1048577 bytes; BuildKit ignores"},
	"manifest-over-1mib": {problem: "the document has 1048577 bytes; BuildKit ignores"},

	// BuildKit ignores the cache.
	"parent-out-of-range":       {err: blob.ErrInvalid, says: "layers[4].parent is 999, want -1 to 7"},
	"parent-negative":           {err: blob.ErrInvalid, says: "layers[4].parent is -2, want -1 to 7"},
	"parent-self":               {err: blob.ErrInvalid, says: "layers[4].parent leads back to layers[4]"},
	"parent-loop":               {err: blob.ErrInvalid, says: "parent leads back to layers["},
	"parent-loop-huge":          {err: blob.ErrInvalid, says: "parent leads back to layers["},
	"record-layer-out-of-range": {err: blob.ErrInvalid, says: "records[8].results[0].layer is 999, want 0 to 7"},
	"record-layer-negative":     {err: blob.ErrInvalid, says: "records[8].results[0].layer is -1, want 0 to 7"},
	"record-chain-negative":     {err: blob.ErrInvalid, says: "records[8].results[0].chain[1] is -3, want 0 to 7"},
	"link-out-of-range":         {err: blob.ErrInvalid, says: "records[0].inputs[0][0].record is 999, want 0 to 24"},
	"link-negative":             {err: blob.ErrInvalid, says: "records[0].inputs[0][0].record is -1, want 0 to 24"},
	"link-self":                 {err: blob.ErrInvalid, says: "records[0].inputs lead back to records[0]"},
	"input-empty":               {err: blob.ErrInvalid, says: "records[0].inputs[0] has no alternative"},

	// In order as a document. BuildKit fails the build after a minute or two,
	// on an overlay of 4000 directories.
	"parent-chain-deep": {others: true},

	// BuildKit builds again what needs the layer; here the manifest keeps it,
	// and what is written next leaves it out.
	"diffid-missing": {problem: "the layer has no diffID"},

	// What a digest names becomes a path or a key. BuildKit accepts these first
	// and stumbles over them later.
	"digest-bad-hex":             {err: blob.ErrInvalid, says: `layers[5].digest is "sha256:zz7ce2ff`},
	"digest-upper-case":          {err: blob.ErrInvalid, says: `layers[5].digest is "sha256:9C7CE2FF`},
	"digest-short":               {err: blob.ErrInvalid, says: `layers[5].digest is "sha256:9c7ce2ff653f6bc75171"`},
	"digest-unknown-algorithm":   {err: blob.ErrInvalid, says: `layers[5].digest is "blake3:`},
	"digest-path":                {err: blob.ErrInvalid, says: `layers[5].digest is "../../etc/passwd", want sha256: and 64`},
	"digest-path-with-algorithm": {err: blob.ErrInvalid, says: `layers[5].digest is "sha256:../../../../etc/passwd", want`},

	// BuildKit reads these, too: the fields tell what the document is.
	"manifest-media-type-wrong":   {},
	"manifest-media-types-differ": {},

	// The layout's: its index, and the digest of what a ref points to.
	"index-json-torn":       {others: true},
	"manifest-digest-wrong": {others: true},
}

func TestDecodeBroken(t *testing.T) {
	for _, fixture := range fixtures.Names("broken/buildkit/") {
		name := path.Base(fixture)
		if strings.HasPrefix(name, "tar-") {
			continue // what is in a layer concerns those who unpack it
		}
		want, ok := outcomes[name]
		if !ok {
			t.Errorf("no outcome is written down for %s", fixture)
		}
		if name == "index-json-torn" {
			continue // there is no document to decode
		}
		t.Run(name, func(t *testing.T) {
			checkOutcome(t, layoutDocument(t, fixture, "latest"), want)
		})
	}
}

func checkOutcome(t *testing.T, d document, want outcome) {
	t.Helper()
	found, err := d.decode(t.Context())
	if !errors.Is(err, want.err) || err != nil && !strings.Contains(err.Error(), want.says) {
		t.Fatalf("Decode() = %v, want %v with %s", err, want.err, want.says)
	}
	if err != nil {
		return
	}
	if got := factsOf(found.Manifest); got.RecordsWithResult != 8 || got.Records != 25 {
		t.Errorf("%d records, %d of them with a result, want 25 and 8", got.Records, got.RecordsWithResult)
	}
	told := slices.ContainsFunc(found.Problems, func(p buildkit.Problem) bool { return strings.Contains(p.Detail, want.problem) })
	if (want.problem != "") != told || len(found.Problems) > 1 {
		t.Errorf("Problems = %v, want one with %q", found.Problems, want.problem)
	}
}

// TestLimitsOfBuildKitHold writes again what exceeds BuildKit's limit: white
// space goes, real content does not fit.
func TestLimitsOfBuildKitHold(t *testing.T) {
	padded := mustDecode(t, layoutDocument(t, "broken/buildkit/config-over-1mib", "latest"))
	if encoded := mustEncode(t, padded.Manifest, buildkit.OCIManifest); encoded.Config.Size > 5000 {
		t.Errorf("config has %d bytes, want the padding gone", encoded.Config.Size)
	}
	large := mustDecode(t, layoutDocument(t, "broken/buildkit/parent-chain-deep", "latest")).Manifest
	for _, tc := range []struct {
		name  string
		enc   buildkit.Encoding
		limit int64
		want  error
	}{
		{"default", buildkit.OCIManifest, 0, blob.ErrTooLarge},
		{"index", buildkit.OCIIndex, 0, blob.ErrTooLarge},
		{"config within, document beyond", buildkit.OCIManifest, 1_000_000, blob.ErrTooLarge},
		{"higher", buildkit.OCIManifest, 2 << 20, nil},
		{"none", buildkit.OCIManifest, -1, nil},
		{"flat", buildkit.Flat, 0, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := buildkit.Encode(large, tc.enc, buildkit.EncodeOptions{Limit: tc.limit})
			if !errors.Is(err, tc.want) {
				t.Fatalf("Encode() = %v, want %v", err, tc.want)
			}
			if err != nil && !strings.Contains(err.Error(), "the cache config has 391859 bytes") {
				t.Errorf("Encode() = %v, want the sizes in it", err)
			}
		})
	}
}
