package interop

import (
	"slices"
	"testing"
)

// place is somewhere that BuildKit and larder keep caches. It spells the refs
// there as both know them, and has a way of its own, which is neither's, to
// what is really there.
type place interface {
	source(ref string) string // to read
	target(ref string) string // to write
	everything() string       // all refs, for larder to list

	document(t *testing.T, ref string) []byte // what the ref points to
	blob(t *testing.T, digest string) []byte
	spoil(t *testing.T, digest string, d damage)
}

// damage is what happens to a blob behind everybody's back: it returns what is
// left of the content, or nil if nothing is.
type damage func(content []byte) []byte

func removed([]byte) []byte { return nil }

func truncated(content []byte) []byte { return content[:len(content)/2] }

func changed(content []byte) []byte {
	content[len(content)/2] ^= 1
	return content
}

// kind is a sort of place.
type kind struct {
	name     string                   // of the server, in the testbed
	encoding string                   // of what BuildKit writes there unless told otherwise
	old      bool                     // whether it is an old server, which may know fewer forms
	foreign  bool                     // whether BuildKit knows no such place
	open     func(t *testing.T) place // returns an empty place of the test's own
}

// Forms of a cache, by the names that larder has for them.
const (
	ociManifest = "oci-manifest"
	ociIndex    = "oci-index"
	dockerList  = "docker-list"
	flat        = "flat"
)

var local = kind{name: "local", encoding: ociManifest, open: func(t *testing.T) place { t.Helper(); return layout(t.TempDir()) }}

// principal are one kind of each backend: they are tried with all that there
// is, and the rest with what servers of one backend can differ in.
func principal() []kind { return []kind{local, openReg, minio, azurite, gha} }

// kinds are all that BuildKit knows too.
func kinds() []kind { return append(principal(), basicReg, tokenReg, debianReg, versitygw, ghaFirst) }

func (k kind) isPrincipal() bool {
	return k.foreign || slices.ContainsFunc(principal(), func(p kind) bool { return p.name == k.name })
}

// maximal spells the export of all steps to a ref for buildctl.
func maximal(p place, ref string) string { return p.target(ref) + ",mode=max" }

// mustCopy has larder copy a cache.
func mustCopy(t *testing.T, from, to string) {
	t.Helper()
	larder(t, "copy", "--quiet", "--from", from, "--to", to)
}
