package larder_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/compress"
	"github.com/larder-build/larder/internal/faulty"
)

// sources are caches of the same build that BuildKit wrote, by their
// compression.
var sources = map[string]compress.Compression{
	"buildkit/local-oci-manifest": compress.Gzip,
	"buildkit/local-docker-list":  compress.Gzip,
	"buildkit/local-zstd":         compress.Zstd,
	"buildkit/local-estargz":      compress.EStargz,
	"buildkit/local-uncompressed": compress.Uncompressed,
}

// TestCopyRecompresses changes every compression into every other. Records and,
// but for those of eStargz layers, diffIDs stay; the result is sound.
func TestCopyRecompresses(t *testing.T) {
	for name, is := range sources {
		for _, want := range []compress.Compression{compress.Uncompressed, compress.Gzip, compress.Zstd, compress.EStargz} {
			from := fixture(t, name, "latest")
			to := []larder.Target{{Backend: mem.New(), Ref: "a"}, {Backend: directory(t, t.TempDir()), Ref: "b"}}
			report := copyTo(t, from, larder.CopyOptions{Recompress: larder.Recompression{Compression: want, Force: true}}, to...)
			before := inspect(t, from)
			for i, target := range to {
				after := inspect(t, target)
				if diff := cmp.Diff(recordDigests(before), recordDigests(after)); diff != "" {
					t.Errorf("%s to %s: records (-before +after)\n%s", name, want, diff)
				}
				if diff := cmp.Diff(diffIDs(before), diffIDs(after)); diff != "" && want != compress.EStargz {
					t.Errorf("%s to %s: diffIDs (-before +after)\n%s", name, want, diff)
				}
				for _, l := range after.Layers {
					mediaType := want.MediaType()
					if i == 1 && name == "buildkit/local-docker-list" {
						mediaType = want.DockerMediaType()
					}
					if l.MediaType != mediaType && i == 1 {
						t.Errorf("%s to %s: layer %s has the type %s, want %s", name, want, l.Digest, l.MediaType, mediaType)
					}
				}
				if v := verify(t, target, larder.VerifyOptions{}); !v.OK {
					t.Errorf("%s to %s: Verify() = %+v", name, want, v)
				}
			}
			changed := is != want
			if got := report.Recompressed != nil && report.Recompressed.Blobs == before.Totals.Blobs; got != changed {
				t.Errorf("%s to %s: recompressed %+v of %d blobs", name, want, report.Recompressed, before.Totals.Blobs)
			}
			if same := string(document(t, from).Data) == string(document(t, to[1]).Data); same == changed {
				t.Errorf("%s to %s: the document is the same: %t", name, want, same)
			}
		}
	}
}

func recordDigests(i *larder.Inspection) map[blob.Digest]int {
	digests := make(map[blob.Digest]int)
	for _, r := range i.Records {
		digests[r.Digest] += 1 + len(r.Layers)
	}
	return digests
}

func diffIDs(i *larder.Inspection) map[blob.Digest]int {
	digests := make(map[blob.Digest]int)
	for _, l := range i.Layers {
		digests[l.DiffID]++
	}
	return digests
}

// Without force only layers that are not compressed change.
func TestCopyCompressesWhatIsNot(t *testing.T) {
	for name, is := range sources {
		from, to := fixture(t, name, "latest"), larder.Target{Backend: directory(t, t.TempDir()), Ref: "copy"}
		report := copyTo(t, from, larder.CopyOptions{Recompress: larder.Recompression{Compression: compress.Zstd, Level: 9}}, to)
		if changed := report.Recompressed != nil; changed != (is == compress.Uncompressed) {
			t.Errorf("%s: recompressed %+v", name, report.Recompressed)
		}
	}
}

// TestCopyRecompressesDirectories restores directories from a recompressed copy,
// and over a tree that nothing is remembered of, for which a zstd layer has a
// list of what it holds.
func TestCopyRecompressesDirectories(t *testing.T) {
	b, dir := newBed(t), project(t)
	b.save(t, "deps", dir)
	from := larder.Target{Backend: b.target.Backend, Ref: "main.dirs"}
	for _, r := range []larder.Recompression{{Compression: compress.Zstd, Level: 19, Force: true}, {Compression: compress.Gzip, Level: 1, Force: true}, {Compression: compress.EStargz, Force: true}} {
		to, into := larder.Target{Backend: mem.New(), Ref: "copy.dirs"}, t.TempDir()
		copyTo(t, from, larder.CopyOptions{Recompress: r}, to)
		for range 2 {
			restored, err := larder.Restore(t.Context(), "deps", []larder.Target{to}, larder.RestoreOptions{Into: into, Exact: true})
			if err != nil || !restored.Hit {
				t.Fatalf("%s: Restore() = %+v, %v", r.Compression, restored.Found, err)
			}
			trees(t, dir, filepath.Join(into, "node_modules"))
			if d := restored.Directories[0]; r.Compression == compress.Zstd && d.Fetched.Blobs > 0 && d.Present.Blobs > 0 {
				t.Errorf("fetched %+v over the same tree", d.Fetched)
			}
		}
	}
}

func TestCopyRecompressesWhatIsWhole(t *testing.T) {
	c := cacheOf(t, "base", "deps", "build")
	from := larder.Target{Backend: mem.New(), Ref: "main"}
	export(t, c, from)
	to := larder.Target{Backend: mem.New(), Ref: "copy"}
	broken := faulty.New(from.Backend, faulty.Fault{Op: faulty.Open, Key: string(c.layer(2)), FlipAt: 50, Times: -1})
	opts := larder.CopyOptions{Recompress: larder.Recompression{Compression: compress.Zstd, Force: true, TempDir: t.TempDir()}}
	if _, err := larder.Copy(t.Context(), larder.Target{Backend: broken, Ref: "main"}, []larder.Target{to}, opts); !errors.Is(err, blob.ErrCorrupt) {
		t.Errorf("Copy() = %v, want %v", err, blob.ErrCorrupt)
	}
	opts.SkipBroken = true
	report, err := larder.Copy(t.Context(), larder.Target{Backend: broken, Ref: "main"}, []larder.Target{to}, opts)
	if err != nil || report.Recompressed.Blobs != 2 {
		t.Fatalf("Copy(skip broken) = %+v, %v, want two layers", report.Recompressed, err)
	}
	if v := verify(t, to, larder.VerifyOptions{}); !v.OK || len(inspect(t, to).Layers) != 2 {
		t.Errorf("the copy has %d layers, and is sound: %t", len(inspect(t, to).Layers), v.OK)
	}
	if left := filesIn(t, opts.Recompress.TempDir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCopyRefusesCompressions(t *testing.T) {
	from := fixture(t, "buildkit/local-min", "latest")
	for _, r := range []larder.Recompression{{Compression: "lzma"}, {Compression: compress.Gzip, Level: 10}, {Level: 3}, {Force: true}} {
		if _, err := larder.Copy(t.Context(), from, []larder.Target{{Backend: mem.New(), Ref: "x"}}, larder.CopyOptions{Recompress: r}); !errors.Is(err, backend.ErrInvalid) {
			t.Errorf("Copy(%+v) = %v, want %v", r, err, backend.ErrInvalid)
		}
	}
	_, err := larder.Copy(t.Context(), from, []larder.Target{{Backend: mem.New(), Ref: "x", Encoding: "inline"}}, larder.CopyOptions{Recompress: larder.Recompression{Compression: compress.Zstd, Force: true}})
	if !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), "compression") {
		t.Errorf("Copy(to an image) = %v, want %v", err, backend.ErrInvalid)
	}
}
