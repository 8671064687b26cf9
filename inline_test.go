package larder_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/all"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/manifest/buildkit"
)

func attach(tb testing.TB, m *manifest.Manifest, to larder.Target, opts larder.ExportOptions) *larder.TargetReport {
	tb.Helper()
	report, err := larder.AttachInline(tb.Context(), m, []larder.Target{to}, opts)
	if err != nil {
		tb.Fatalf("AttachInline(%s) = %v", to, err)
	}
	return report.Targets[0]
}

// TestAttachInlineAsBuildKitDoes puts the cache of a build into the image of
// that build, by each verb that can. BuildKit did the same: the result is its
// image, byte for byte.
func TestAttachInlineAsBuildKitDoes(t *testing.T) {
	source := fixture(t, plainCache, "latest")
	cache := inspect(t, source).Manifest
	inline := func(t larder.Target) []larder.Target {
		t.Encoding = buildkit.Inline
		return []larder.Target{t}
	}
	verbs := map[string]func(image larder.Target) (*larder.Report, error){
		"attach": func(image larder.Target) (*larder.Report, error) {
			return larder.AttachInline(t.Context(), cache, []larder.Target{image}, larder.ExportOptions{})
		},
		"export": func(image larder.Target) (*larder.Report, error) {
			return larder.Export(t.Context(), cache, larder.ContentOf(source.Backend), inline(image), larder.ExportOptions{})
		},
		"export with the option": func(image larder.Target) (*larder.Report, error) {
			return larder.Export(t.Context(), cache, larder.ContentOf(source.Backend), []larder.Target{image}, larder.ExportOptions{Encoding: buildkit.Inline})
		},
		"copy": func(image larder.Target) (*larder.Report, error) {
			return larder.Copy(t.Context(), source, inline(image), larder.CopyOptions{})
		},
		"copy of an image": func(image larder.Target) (*larder.Report, error) {
			return larder.Copy(t.Context(), fixture(t, inlineImage, "1.0"), inline(image), larder.CopyOptions{})
		},
		"merge": func(image larder.Target) (*larder.Report, error) {
			return larder.Merge(t.Context(), []larder.Target{source}, inline(image), larder.ExportOptions{})
		},
	}
	for name, verb := range verbs {
		t.Run(name, func(t *testing.T) {
			want := fixture(t, inlineImage, "1.0")
			image := strip(t, want, "bare")
			before := describe(t, image)
			report, err := verb(image)
			if err != nil {
				t.Fatalf("%s = %v", name, err)
			}
			if diff := cmp.Diff(string(document(t, want).Data), string(document(t, image).Data)); diff != "" {
				t.Errorf("the image differs from BuildKit's (-want +got):\n%s", diff)
			}
			after := describe(t, image)
			reachable(t, image.Backend, after)
			got := report.Targets[0]
			if got.Outcome != larder.Published || got.Attached != 8 || got.Replaced != before.Digest || got.Digest != after.Digest || got.Sent.Blobs != 0 {
				t.Errorf("%s reports %s, %d records attached to %s which became %s, %d blobs sent, want published, 8, %s, %s, 0",
					name, got.Outcome, got.Attached, got.Replaced, got.Digest, got.Sent.Blobs, before.Digest, after.Digest)
			}
			if got := degradations(report); len(got) > 0 {
				t.Errorf("%s reports %v, want no degradation", name, got)
			}
		})
	}
}

// TestAttachInlineToIndex gives each image of an index what BuildKit gave it.
func TestAttachInlineToIndex(t *testing.T) {
	for name, store := range map[string]func(larder.Target) larder.Target{
		"local": func(image larder.Target) larder.Target { return image },
		"mem": func(image larder.Target) larder.Target {
			to := larder.Target{Backend: imageStore(), Ref: "image"}
			copyTo(t, image, larder.CopyOptions{}, to)
			return to
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := store(fixture(t, inlineIndex, "1.0-multi"))
			plain := larder.Target{Backend: mem.New(), Ref: "cache"}
			copyTo(t, want, larder.CopyOptions{}, plain)
			image := strip(t, want, "bare")
			copyTo(t, plain, larder.CopyOptions{Encoding: buildkit.Inline}, image)
			reachable(t, image.Backend, describe(t, image))
			if diff := cmp.Diff(manifest.Merge(inspect(t, want).Manifest), manifest.Merge(inspect(t, image).Manifest)); diff != "" {
				t.Errorf("the index has another cache than BuildKit's (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAttachInlineToTheImagesThatMatch leaves the others, and attestations, as
// they are.
func TestAttachInlineToTheImagesThatMatch(t *testing.T) {
	b := imageStore()
	c := cacheOf(t, "base", "deps")
	mine, other := putImage(t, b, c), putImage(t, b, cacheOf(t, "windows"))
	index := putIndex(t, b, mine, other)
	image := point(t, larder.Target{Backend: b, Ref: "image"}, index)
	report := attach(t, c.Manifest, image, larder.ExportOptions{})
	if report.Outcome != larder.Published || report.Attached != 2 || report.Replaced != index.Digest {
		t.Errorf("AttachInline() = %s with %d records in place of %s, want published, 2, %s", report.Outcome, report.Attached, report.Replaced, index.Digest)
	}
	if len(report.Degradations) != 1 || report.Degradations[0].Kind != larder.AttestationsStale {
		t.Errorf("AttachInline() reports %v, want one %s", report.Degradations, larder.AttestationsStale)
	}
	reachable(t, b, describe(t, image))
	before := fromJSON[ocispec.Index](t, content(t, b, index))
	after := fromJSON[ocispec.Index](t, document(t, image).Data)
	if before.Manifests[0].Digest == after.Manifests[0].Digest {
		t.Errorf("the index still lists %s, want the image with the cache", after.Manifests[0].Digest)
	}
	after.Manifests[0].Digest, after.Manifests[0].Size = mine.Digest, mine.Size
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the rest of the index differs (-before +after):\n%s", diff)
	}
	if got := steps(inspect(t, image).Manifest, "base", "deps"); len(got) != 2 {
		t.Errorf("the index has %v, want both steps", got)
	}
}

// TestAttachInlineAgainIsUnchanged shows that nothing is written for nothing.
func TestAttachInlineAgainIsUnchanged(t *testing.T) {
	mems := imageStore()
	c := cacheOf(t, "base", "deps")
	point(t, larder.Target{Backend: mems, Ref: "image"}, putIndex(t, mems, putImage(t, mems, c)))
	buildKits := fixture(t, inlineImage, "1.0")
	for _, test := range []struct {
		name  string
		cache *manifest.Manifest
		image larder.Target
	}{
		{"index", c.Manifest, larder.Target{Backend: mems, Ref: "image"}},
		{"BuildKit's image, its own cache", inspect(t, buildKits).Manifest, buildKits},
		{"BuildKit's image, the plain cache", inspect(t, fixture(t, plainCache, "latest")).Manifest, buildKits},
	} {
		for _, overwrite := range []bool{false, true} {
			first := attach(t, test.cache, test.image, larder.ExportOptions{Overwrite: overwrite})
			b := faulty.New(test.image.Backend)
			again := attach(t, test.cache, larder.Target{Backend: b, Ref: test.image.Ref}, larder.ExportOptions{Overwrite: overwrite})
			if again.Outcome != larder.Unchanged || again.Digest != first.Digest || again.Replaced != "" || again.Attached != first.Attached || again.Attached == 0 {
				t.Errorf("%s: AttachInline() again = %s %s with %d attached, want unchanged %s with %d", test.name, again.Outcome, again.Digest, again.Attached, first.Digest, first.Attached)
			}
			if writes := b.Calls(faulty.Put) + b.Calls(faulty.PutRef); writes != 0 {
				t.Errorf("%s: AttachInline() again wrote %d times, want never", test.name, writes)
			}
			if strings.HasPrefix(test.name, "BuildKit") && first.Outcome != larder.Unchanged {
				t.Errorf("%s: AttachInline() = %s, want unchanged", test.name, first.Outcome)
			}
		}
	}
}

func TestAttachInlineNeedsTheImagesLayers(t *testing.T) {
	b := faulty.New(imageStore())
	single, index := larder.Target{Backend: b, Ref: "single"}, larder.Target{Backend: b, Ref: "index"}
	point(t, single, putImage(t, b, cacheOf(t, "base", "deps")))
	point(t, index, putIndex(t, b, describe(t, single)))
	for _, image := range []larder.Target{single, index} {
		puts, refs, before := b.Calls(faulty.Put), b.Calls(faulty.PutRef), describe(t, image)
		report := attach(t, cacheOf(t, "another", "build").Manifest, image, larder.ExportOptions{})
		if report.Outcome != larder.Skipped || report.Attached != 0 {
			t.Errorf("%s: AttachInline() = %s with %d records, want skipped, none", image.Ref, report.Outcome, report.Attached)
		}
		if len(report.Degradations) != 1 || report.Degradations[0].Kind != larder.NothingToPublish {
			t.Errorf("%s: AttachInline() reports %v, want one %s", image.Ref, report.Degradations, larder.NothingToPublish)
		}
		if b.Calls(faulty.Put) != puts || b.Calls(faulty.PutRef) != refs || describe(t, image).Digest != before.Digest {
			t.Errorf("%s: AttachInline() wrote something, want nothing", image.Ref)
		}
	}
}

// TestAttachInlineKeepsWhatIsThere adds to an image's records, unless told to
// replace them.
func TestAttachInlineKeepsWhatIsThere(t *testing.T) {
	for _, test := range []struct {
		overwrite bool
		want      []string
	}{
		{false, []string{"base", "deps", "again"}},
		{true, []string{"base", "again"}},
	} {
		c := cacheOf(t, "base", "deps")
		image := larder.Target{Backend: imageStore(), Ref: "image"}
		point(t, image, putImage(t, image.Backend, c))
		attach(t, c.Manifest, image, larder.ExportOptions{})
		// Of a step that the image has, a newer result that it has not; and
		// another step with the result of the first one.
		more := cacheOf(t, "base", "other")
		more.Records[1].Digest = c.Records[1].Digest
		more.Records[1].Results[0].CreatedAt = epoch.AddDate(1, 0, 0)
		more.Records = append(more.Records, manifest.Record{Digest: digest.FromString("again"), Results: more.Records[0].Results})
		report := attach(t, more.Manifest, image, larder.ExportOptions{Overwrite: test.overwrite})
		if report.Attached != 2 {
			t.Errorf("overwrite %t: AttachInline() attached %d records, want 2", test.overwrite, report.Attached)
		}
		if got := steps(inspect(t, image).Manifest, "base", "deps", "again", "other"); !slices.Equal(got, test.want) {
			t.Errorf("overwrite %t: the image has %v, want %v", test.overwrite, got, test.want)
		}
	}
}

// TestAttachInlineDoesNotOverwriteAnotherImage shows the race with a push, at the
// last moment that the store lets it be noticed.
func TestAttachInlineDoesNotOverwriteAnotherImage(t *testing.T) {
	for _, test := range []struct {
		name    string
		without backend.Capabilities
		moment  faulty.Fault
	}{
		{"compare and swap", backend.Capabilities{}, faulty.Fault{Op: faulty.PutRef}},
		{"compare, then swap", backend.Capabilities{ReplaceRef: true}, faulty.Fault{Op: faulty.GetRef, Skip: 1}},
	} {
		b := faulty.New(mem.NewWith(mem.Options{Encoding: mem.EncodingOCIManifest, Without: test.without}))
		c := cacheOf(t, "base", "deps")
		image := point(t, larder.Target{Backend: b, Ref: "image"}, putImage(t, b, c))
		pushed := putImage(t, b, cacheOf(t, "base", "deps", "release"))
		unfaulty := larder.Target{Backend: b.Backend, Ref: image.Ref}
		test.moment.Before = func() { point(t, unfaulty, pushed) }
		b.Inject(test.moment)
		report, err := larder.AttachInline(t.Context(), c.Manifest, []larder.Target{image}, larder.ExportOptions{})
		if !errors.Is(err, backend.ErrConflict) || report.Targets[0].Outcome != larder.Failed {
			t.Errorf("%s: AttachInline() = %s, %v, want failed, %v", test.name, report.Targets[0].Outcome, err, backend.ErrConflict)
		}
		if got := describe(t, unfaulty); got.Digest != pushed.Digest {
			t.Errorf("%s: the ref points to %s, want the image that was pushed, %s", test.name, got.Digest, pushed.Digest)
		}
	}
}

func TestAttachInlineWithoutCompareAndSwap(t *testing.T) {
	b := mem.NewWith(mem.Options{Encoding: mem.EncodingOCIManifest, Without: backend.Capabilities{ReplaceRef: true}})
	c := cacheOf(t, "base")
	image := point(t, larder.Target{Backend: b, Ref: "image"}, putImage(t, b, c))
	report := attach(t, c.Manifest, image, larder.ExportOptions{})
	if report.Outcome != larder.Published || len(report.Degradations) != 1 || report.Degradations[0].Kind != larder.UnguardedPublish {
		t.Errorf("AttachInline() = %s, %v, want published, one %s", report.Outcome, report.Degradations, larder.UnguardedPublish)
	}
}

// TestAttachInlineStoresChildrenFirst fails each write in turn: what comes before
// it in the order of references is there, and the ref is as it was.
func TestAttachInlineStoresChildrenFirst(t *testing.T) {
	c := cacheOf(t, "base", "deps")
	indexed := func(b backend.Backend) larder.Target {
		return point(t, larder.Target{Backend: b, Ref: "image"}, putIndex(t, b, putImage(t, b, c)))
	}
	done := indexed(imageStore())
	attach(t, c.Manifest, done, larder.ExportOptions{})
	listed := fromJSON[ocispec.Index](t, document(t, done).Data).Manifests[0]
	image, config := listed.Digest, fromJSON[ocispec.Manifest](t, content(t, done.Backend, listed)).Config.Digest
	for _, test := range []struct {
		name  string
		fault faulty.Fault
		there []blob.Digest
	}{
		{"config", faulty.Fault{Op: faulty.Put, Key: string(config)}, nil},
		{"manifest", faulty.Fault{Op: faulty.Put, Key: string(image)}, []blob.Digest{config}},
		{"ref", faulty.Fault{Op: faulty.PutRef}, []blob.Digest{config, image}},
	} {
		b := faulty.New(imageStore())
		to := indexed(b)
		before := describe(t, to)
		test.fault.Err = backend.ErrDenied
		b.Inject(test.fault)
		if _, err := larder.AttachInline(t.Context(), c.Manifest, []larder.Target{to}, larder.ExportOptions{}); !errors.Is(err, backend.ErrDenied) {
			t.Errorf("%s denied: AttachInline() = %v, want %v", test.name, err, backend.ErrDenied)
		}
		found, err := b.Stat(t.Context(), config, image)
		if err != nil || len(found) != len(test.there) {
			t.Errorf("%s denied: %d of config and manifest are there, %v, want %d", test.name, len(found), err, len(test.there))
		}
		for _, d := range test.there {
			if _, ok := found[d]; !ok {
				t.Errorf("%s denied: %s is not there, want it stored before", test.name, d)
			}
		}
		if got := describe(t, to); got.Digest != before.Digest {
			t.Errorf("%s denied: the ref points to %s, want %s as before", test.name, got.Digest, before.Digest)
		}
	}
}

func TestAttachInlineRefuses(t *testing.T) {
	c := cacheOf(t, "base")
	b := imageStore()
	cached := larder.Target{Backend: b, Ref: "cache"}
	export(t, c, cached)
	listed := larder.Target{Backend: b, Ref: "cache-index"}
	copyTo(t, cached, larder.CopyOptions{Encoding: buildkit.OCIIndex}, listed)
	text := larder.Target{Backend: b, Ref: "text"}
	point(t, text, put(t, b, "text/plain", []byte(`"text"`)))
	flat := larder.Target{Backend: mem.New(), Ref: "main"}
	export(t, c, flat)
	damaged := larder.Target{Backend: b, Ref: "damaged"}
	point(t, damaged, putImage(t, b, cacheOf(t, "damaged")))
	drop(t, b, fromJSON[ocispec.Manifest](t, document(t, damaged).Data).Config.Digest)
	for _, test := range []struct {
		name  string
		image larder.Target
		want  error
	}{
		{"no image there", larder.Target{Backend: b, Ref: "absent"}, backend.ErrNotFound},
		{"no config there", damaged, backend.ErrNotFound},
		{"a cache", cached, backend.ErrInvalid},
		{"a cache as index", listed, backend.ErrInvalid},
		{"text", text, backend.ErrInvalid},
		{"a digest", larder.Target{Backend: b, Ref: string(describe(t, cached).Digest)}, backend.ErrInvalid},
		{"a store without images", flat, backend.ErrUnsupported},
		{"no backend", larder.Target{Ref: "main"}, backend.ErrInvalid},
	} {
		_, err := larder.AttachInline(t.Context(), c.Manifest, []larder.Target{test.image}, larder.ExportOptions{})
		if !errors.Is(err, test.want) {
			t.Errorf("%s: AttachInline() = %v, want %v", test.name, err, test.want)
		}
	}
}

// TestAttachInlineToWhatIsLeft passes over an image of an index that is not
// there, as in a layout with one platform of several.
func TestAttachInlineToWhatIsLeft(t *testing.T) {
	b := imageStore()
	c := cacheOf(t, "base")
	lost := putImage(t, b, cacheOf(t, "lost"))
	image := point(t, larder.Target{Backend: b, Ref: "image"}, putIndex(t, b, lost, putImage(t, b, c)))
	drop(t, b, lost.Digest)
	report := attach(t, c.Manifest, image, larder.ExportOptions{})
	if report.Outcome != larder.Published || report.Attached != 1 {
		t.Errorf("AttachInline() = %s with %d records, want published, 1", report.Outcome, report.Attached)
	}
	if len(report.Degradations) == 0 || report.Degradations[0].Kind != larder.DocumentDamaged || report.Degradations[0].Blob != lost.Digest {
		t.Errorf("AttachInline() reports %v, want %s of %s first", report.Degradations, larder.DocumentDamaged, lost.Digest)
	}
}

// nested stores an index in an index, and so on.
func nested(tb testing.TB, b backend.Backend, d blob.Descriptor, levels int) blob.Descriptor {
	tb.Helper()
	for range levels {
		d = putJSON(tb, b, ocispec.MediaTypeImageIndex, ocispec.Index{Manifests: []blob.Descriptor{d}})
	}
	return d
}

func TestAttachInlineIsBounded(t *testing.T) {
	b := imageStore()
	c := cacheOf(t, "base")
	single := putImage(t, b, c)
	crowd := make([]blob.Descriptor, 2001)
	for i := range crowd {
		crowd[i] = single
	}
	for _, test := range []struct {
		name  string
		image blob.Descriptor
		limit int64
		want  error
	}{
		{"four levels", nested(t, b, single, 4), 0, nil},
		{"five levels", nested(t, b, single, 5), 0, backend.ErrTooLarge},
		{"crowd", putJSON(t, b, ocispec.MediaTypeImageIndex, ocispec.Index{Manifests: crowd}), 0, backend.ErrTooLarge},
		{"more bytes than are to be read", nested(t, b, single, 1), single.Size - 1, backend.ErrTooLarge},
		{"more bytes in the config", single, 1, backend.ErrTooLarge},
	} {
		image := point(t, larder.Target{Backend: b, Ref: "image"}, test.image)
		_, err := larder.AttachInline(t.Context(), c.Manifest, []larder.Target{image}, larder.ExportOptions{ReadLimit: test.limit})
		if !errors.Is(err, test.want) {
			t.Errorf("%s: AttachInline() = %v, want %v", test.name, err, test.want)
		}
		if err == nil {
			reachable(t, b, describe(t, image))
		}
	}
}

// TestExportRefusesAnImageUnlessAsked shows that an image is never replaced by a
// cache.
func TestExportRefusesAnImageUnlessAsked(t *testing.T) {
	image := fixture(t, inlineImage, "1.0")
	c := cacheOf(t, "base")
	if _, err := larder.Export(t.Context(), c.Manifest, c, []larder.Target{image}, larder.ExportOptions{}); !errors.Is(err, backend.ErrExists) {
		t.Errorf("Export() onto an image = %v, want %v", err, backend.ErrExists)
	}
}

// TestImportOfImages reads inline caches alone and beside other sources.
func TestImportOfImages(t *testing.T) {
	image, index := fixture(t, inlineImage, "1.0"), fixture(t, inlineIndex, "1.0-multi")
	plain := larder.Target{Backend: mem.New(), Ref: "main"}
	export(t, cacheOf(t, "base"), plain)
	for _, test := range []struct {
		name    string
		from    []larder.Target
		sources int
	}{
		{"image", []larder.Target{image}, 1},
		{"index", []larder.Target{index}, 1},
		{"all, one of them absent", []larder.Target{index, {Backend: plain.Backend, Ref: "absent"}, plain, image}, 3},
	} {
		found, report := importFrom(t, test.from...)
		given := 0
		for _, s := range report.Sources {
			if s.Err == nil && s.Records > 0 {
				given++
			}
		}
		if given != test.sources {
			t.Errorf("%s: Import() found something in %d sources, want %d", test.name, given, test.sources)
		}
		for _, l := range found.Manifest.Layers {
			readImported(t, found, l.Descriptor())
		}
	}
}

// TestCopyOfImages shows that an image is copied whole, and becomes a plain
// cache where no images are kept.
func TestCopyOfImages(t *testing.T) {
	synthetic := larder.Target{Backend: imageStore(), Ref: "image"}
	c := cacheOf(t, "base", "deps")
	point(t, synthetic, putIndex(t, synthetic.Backend, putImage(t, synthetic.Backend, c), putImage(t, synthetic.Backend, cacheOf(t, "uncached"))))
	attach(t, c.Manifest, synthetic, larder.ExportOptions{})
	for name, image := range map[string]larder.Target{
		"image":                              fixture(t, inlineImage, "1.0"),
		"index":                              fixture(t, inlineIndex, "1.0-multi"),
		"index with more than cached images": synthetic,
	} {
		t.Run(name, func(t *testing.T) {
			same := larder.Target{Backend: imageStore(), Ref: "copy"}
			flat := larder.Target{Backend: mem.New(), Ref: "cache"}
			copyTo(t, image, larder.CopyOptions{}, same, flat)
			if diff := cmp.Diff(document(t, image), document(t, same)); diff != "" {
				t.Errorf("the copy differs (-source +copy):\n%s", diff)
			}
			reachable(t, same.Backend, describe(t, same))
			got := inspect(t, flat)
			if got.Encoding != buildkit.Flat {
				t.Errorf("the copy on a flat store has encoding %s, want %s", got.Encoding, buildkit.Flat)
			}
			if diff := cmp.Diff(manifest.Merge(inspect(t, image).Manifest), manifest.Merge(got.Manifest)); diff != "" {
				t.Errorf("the plain cache differs (-image +cache):\n%s", diff)
			}
		})
	}
}

// TestCopyOfAnIndexReadsEachDocumentOnce counts requests.
func TestCopyOfAnIndexReadsEachDocumentOnce(t *testing.T) {
	from := fixture(t, inlineIndex, "1.0-multi")
	layers := len(inspect(t, from).Manifest.Blobs())
	b := faulty.New(from.Backend)
	copyTo(t, larder.Target{Backend: b, Ref: from.Ref}, larder.CopyOptions{}, larder.Target{Backend: imageStore(), Ref: "copy"})
	if got, want := b.Calls(faulty.Open), 4+layers; got != want {
		t.Errorf("Copy() of 2 manifests, 2 configs and %d layers opened %d blobs, want %d", layers, got, want)
	}
}

// TestCopyOfAnImageThatLostItsAttestation ends in a plain cache: the index
// cannot be had as it was.
func TestCopyOfAnImageThatLostItsAttestation(t *testing.T) {
	from, to := larder.Target{Backend: imageStore(), Ref: "image"}, larder.Target{Backend: imageStore(), Ref: "copy"}
	c := cacheOf(t, "base")
	point(t, from, putIndex(t, from.Backend, putImage(t, from.Backend, c)))
	attach(t, c.Manifest, from, larder.ExportOptions{})
	index := fromJSON[ocispec.Index](t, document(t, from).Data)
	drop(t, from.Backend, index.Manifests[len(index.Manifests)-1].Digest)
	report := copyTo(t, from, larder.CopyOptions{}, to)
	if got := degradations(report); !slices.Contains(got, larder.DocumentDamaged) {
		t.Errorf("Copy() reports %v, want %s", got, larder.DocumentDamaged)
	}
	if got := inspect(t, to).Encoding; got != buildkit.OCIManifest {
		t.Errorf("the copy has encoding %s, want %s", got, buildkit.OCIManifest)
	}
}

func TestTargetsOfLocations(t *testing.T) {
	b := mem.New()
	for text, want := range map[string][]larder.Target{
		"type=local,src=/c,tag=a;b": {{Backend: b, Ref: "a"}, {Backend: b, Ref: "b"}},
		"type=inline,src=/c":        {{Backend: b, Ref: "latest", Encoding: buildkit.Inline}},
	} {
		l, err := all.Mux(all.Options{}).Parse(text)
		if err != nil {
			t.Fatalf("Parse(%s) = %v", text, err)
		}
		if got := larder.TargetsOf(b, l); !slices.Equal(got, want) {
			t.Errorf("TargetsOf(%s) = %v, want %v", text, got, want)
		}
	}
}
