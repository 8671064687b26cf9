package faultsuite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faultproxy"
	"github.com/larder-build/larder/manifest"
)

const (
	tag       = "main"
	layerType = "application/vnd.oci.image.layer.v1.tar+gzip"

	oldLayers, newLayers = 1, 3
)

// verb is what is disturbed.
type verb struct {
	name string
	// writes tells that the verb replaces the cache of the destination.
	writes bool
	run    func(ctx context.Context, s *scene) error
}

func verbs() []verb {
	return []verb{{"Export", true, export}, {"Import", false, load}, {"Copy", true, replicate}}
}

// stage is what the scenes of one verb share: the source, which no verb
// changes, and what is exported.
type stage struct {
	h       Harness
	verb    verb
	source  string
	content larder.Content
	old     *manifest.Manifest // of one layer
	new     *manifest.Manifest // of three, of which it is the first
}

// serial numbers stores.
var serial atomic.Int64

// storeName is unique among all runs over one server.
func storeName(role string) string {
	return fmt.Sprintf("%s-%d-%d", role, time.Now().UnixNano(), serial.Add(1))
}

func (h Harness) newStage(t *testing.T, v verb) *stage {
	t.Helper()
	st := &stage{h: h, verb: v, source: storeName("source")}
	store := mem.New()
	st.content = larder.ContentOf(store)
	st.old, st.new = h.cache(t, store, oldLayers), h.cache(t, store, newLayers)
	st.prepare(t, st.past(t, st.source), st.new)
	return st
}

// prepare exports a cache.
func (st *stage) prepare(t *testing.T, to larder.Target, m *manifest.Manifest) {
	t.Helper()
	if _, err := larder.Export(t.Context(), m, st.content, []larder.Target{to}, larder.ExportOptions{}); err != nil {
		t.Fatalf("Export(past the proxy) = %v, want nil", err)
	}
}

// past is a store without a proxy.
func (st *stage) past(t *testing.T, store string) larder.Target {
	t.Helper()
	return target(t, st.h.Open(t, st.h.Server, store), wrap.Options{})
}

func target(t *testing.T, b backend.Backend, o wrap.Options) larder.Target {
	t.Helper()
	b = wrap.Recommended(b, o)
	t.Cleanup(func() { _ = b.Close() })
	return larder.Target{Ref: tag, Backend: b}
}

// scene is a service with two stores, behind a proxy of its own. The
// destination has the old cache, the source the new one.
type scene struct {
	*stage

	proxy               *faultproxy.Proxy
	source, destination larder.Target // through the proxy
	past                larder.Target // the destination without it
	document            string        // of the old cache
	seen                atomic.Int64  // requests that a fault might strike
}

func (st *stage) newScene(t *testing.T, o wrap.Options) *scene {
	t.Helper()
	s := &scene{stage: st, proxy: faultproxy.New(t, st.h.Server)}
	destination := storeName("destination")
	if st.verb.writes {
		s.past = st.past(t, destination)
		st.prepare(t, s.past, st.old)
		s.document = s.current(t)
	}
	s.source = target(t, st.h.Open(t, s.proxy.URL, st.source), o)
	s.destination = target(t, st.h.Open(t, s.proxy.URL, destination), o)
	return s
}

// inject has a fault strike requests from the n-th on that it might strike.
func (s *scene) inject(fault faultproxy.Fault, n int) {
	match := fault.Match
	fault.Skip = n
	fault.Match = func(r *http.Request) bool {
		if match != nil && !match(r) {
			return false
		}
		s.seen.Add(1)
		return true
	}
	s.proxy.Inject(fault)
}

// struck reports whether a fault from the n-th request on has struck. It may
// not, as requests at a time share others, those for tokens for example.
func (s *scene) struck(n int) bool { return s.seen.Load() > int64(n) }

func export(ctx context.Context, s *scene) error {
	report, err := larder.Export(ctx, s.new, s.content, []larder.Target{s.destination}, larder.ExportOptions{Overwrite: true})
	for _, d := range report.Targets[0].Degradations {
		if err == nil && d.Kind == larder.WriteOmitted { // which is how an export says it
			err = fmt.Errorf("%w: %s", backend.ErrLimited, d.Detail)
		}
	}
	return err
}

func replicate(ctx context.Context, s *scene) error {
	_, err := larder.Copy(ctx, s.source, []larder.Target{s.destination}, larder.CopyOptions{})
	return err
}

// load imports a cache and reads all of it. Import itself takes a source that
// fails for one that has nothing, and says so in its report.
func load(ctx context.Context, s *scene) error {
	found, report, err := larder.Import(ctx, []larder.Target{s.source}, larder.ImportOptions{})
	if err := errors.Join(err, report.Sources[0].Err); err != nil {
		return err
	}
	if len(found.Manifest.Layers) != newLayers {
		return fmt.Errorf("the cache has %d layers, want %d: %+v", len(found.Manifest.Layers), newLayers, report)
	}
	for _, l := range found.Manifest.Layers {
		if err := read(ctx, found, l.Descriptor()); err != nil {
			return err
		}
	}
	return nil
}

// read reads a blob, which is verified on the way.
func read(ctx context.Context, from *larder.Imported, d blob.Descriptor) error {
	r, err := from.Open(ctx, d)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}

// layer is the content of a layer.
func (h Harness) layer(n int) []byte {
	size := h.LayerSize >> n
	return bytes.Repeat(fmt.Appendf(nil, "%08x", n), size/8+1)[:size]
}

// cache is one of so many layers, each the result of a step.
func (h Harness) cache(t *testing.T, store backend.Backend, layers int) *manifest.Manifest {
	t.Helper()
	b := manifest.NewBuilder()
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range layers {
		data := h.layer(i)
		d := blob.Describe(layerType, data)
		if err := store.Put(t.Context(), d, blob.Bytes(data)); err != nil {
			t.Fatal(err)
		}
		layer := b.Layer(d, d.Digest, created, manifest.LayerHandle{})
		b.Result(b.Record(fmt.Sprint("step ", i)), created, layer)
	}
	m, err := b.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// current is the document that the destination has.
func (s *scene) current(t *testing.T) string {
	t.Helper()
	ref, err := s.past.Backend.GetRef(t.Context(), tag)
	if err != nil {
		t.Fatalf("GetRef(%s) past the proxy = %v, want the cache", tag, err)
	}
	return string(ref.Data)
}

// mustHaveSucceeded checks that the destination has the new cache, if the verb
// writes one.
func (s *scene) mustHaveSucceeded(t *testing.T) {
	t.Helper()
	if !s.verb.writes {
		return
	}
	if s.current(t) == s.document {
		t.Error("the tag has the old cache, want the new one")
	}
	s.mustBeWhole(t, newLayers)
}

// mustBeIntact checks that the destination has the old cache, or if the verb
// may have been done the new one.
func (s *scene) mustBeIntact(t *testing.T, done bool) {
	t.Helper()
	if !s.verb.writes {
		return
	}
	layers := oldLayers
	if s.current(t) != s.document {
		if !done {
			t.Error("the tag has another cache, want the old one")
		}
		layers = newLayers
	}
	s.mustBeWhole(t, layers)
}

// mustBeWhole checks that all of the destination's cache is there.
func (s *scene) mustBeWhole(t *testing.T, layers int) {
	t.Helper()
	cache, report, err := larder.Import(t.Context(), []larder.Target{s.past}, larder.ImportOptions{SkipStat: true})
	if err != nil || len(cache.Manifest.Layers) != layers {
		t.Errorf("Import = %+v, %v, want a cache of %d layers", report, err, layers)
		return
	}
	for _, l := range cache.Manifest.Layers {
		if err := read(t.Context(), cache, l.Descriptor()); err != nil {
			t.Errorf("a layer of the cache: %v", err)
		}
	}
}
