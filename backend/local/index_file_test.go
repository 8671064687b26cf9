package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder/backend"
)

// testLayout returns a backend on a layout with the given index.json.
func testLayout(tb testing.TB, indexJSON string) *Backend {
	tb.Helper()
	b, err := Open(tb.TempDir(), Options{NoSync: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.Close() })
	writeFile(tb, b.path(ocispec.ImageLayoutFile), string(layoutContent))
	writeFile(tb, b.indexPath(), indexJSON)
	return b
}

func writeFile(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		tb.Fatal(err)
	}
}

func readFile(tb testing.TB, path string) string {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// plant stores a document without a ref.
func plant(tb testing.TB, b *Backend, content string) {
	tb.Helper()
	writeFile(tb, b.blobPath(doc(content).Digest), content)
}

func TestTornIndexIsReadAgain(t *testing.T) {
	whole := indexJSON(entryJSON("1", "main", ""))
	for _, test := range []struct {
		name, torn string
	}{
		{"cut", whole[:len(whole)/2]},
		{"longer before", whole + `"}}]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := testLayout(t, test.torn)
				plant(t, b, "1")
				time.AfterFunc(100*time.Millisecond, func() { writeFile(t, b.indexPath(), whole) })
				if r, err := b.GetRef(t.Context(), "main"); err != nil || string(r.Data) != "1" {
					t.Errorf("GetRef(main) = %q, %v, want 1", r.Data, err)
				}
			})
		})
	}
}

func TestTornIndexThatStaysIsCorrupt(t *testing.T) {
	const torn = `{"manifests":[`
	synctest.Test(t, func(t *testing.T) {
		b := testLayout(t, torn)
		if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrCorrupt) {
			t.Errorf("GetRef(main) = %v, want %v", err, backend.ErrCorrupt)
		}
		if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("1")}, backend.Always); !errors.Is(err, backend.ErrCorrupt) {
			t.Errorf("PutRef(main) = %v, want %v", err, backend.ErrCorrupt)
		}
		for _, err := range b.ListRefs(t.Context()) {
			if !errors.Is(err, backend.ErrCorrupt) {
				t.Errorf("ListRefs() yields %v, want %v", err, backend.ErrCorrupt)
			}
		}
		if got := readFile(t, b.indexPath()); got != torn {
			t.Errorf("index.json = %s, want it unchanged", got)
		}
	})
}

func TestTornIndexIsReadUntilTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testLayout(t, "{")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := b.GetRef(ctx, "main"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("GetRef(main) = %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

// TestGetRefSurvivesReplacement has the index name a document that is gone, as a
// reader sees it that was overtaken by a writer and a cleaner, or that read a
// digest half written.
func TestGetRefSurvivesReplacement(t *testing.T) {
	b := testLayout(t, indexJSON(entryJSON("old", "main", "")))
	plant(t, b, "new")
	x := mustParse(t, readFile(t, b.indexPath()))
	e, _ := x.find("main")
	if _, _, err := b.readDocument(t.Context(), e.Digest); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("readDocument(old) = %v, want %v", err, os.ErrNotExist)
	}
	// A corrupt document of the old digest makes the reader look again; the
	// index is replaced while it is being read.
	reads := 0
	ctx := &watchedContext{Context: t.Context(), called: func() {
		if reads++; reads == 3 {
			writeFile(t, b.indexPath(), indexJSON(entryJSON("new", "main", "")))
		}
	}}
	if r, err := b.GetRef(ctx, "main"); err != nil || string(r.Data) != "new" {
		t.Errorf("GetRef(main) = %q, %v, want new", r.Data, err)
	}
}

// watchedContext tells when it is asked whether it has ended.
type watchedContext struct {
	context.Context

	called func()
}

func (c *watchedContext) Err() error {
	c.called()
	return c.Context.Err()
}

func TestSwapIndexNeedsTheSameBytes(t *testing.T) {
	b := testLayout(t, "{}")
	if err := b.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if swapped, err := b.swapIndex(t.Context(), []byte(`{"other":1}`), []byte("new")); swapped || err != nil {
		t.Errorf("swapIndex(other) = %v, %v, want false", swapped, err)
	}
	if got := readFile(t, b.indexPath()); got != "{}" {
		t.Errorf("index.json = %s, want it unchanged", got)
	}
	if swapped, err := b.swapIndex(t.Context(), []byte("{}"), []byte("new")); !swapped || err != nil {
		t.Errorf("swapIndex(same) = %v, %v, want true", swapped, err)
	}
	if got := readFile(t, b.indexPath()); got != "new" {
		t.Errorf("index.json = %s, want new", got)
	}
	wantNoTemps(t, b)
}

func wantNoTemps(tb testing.TB, b *Backend) {
	tb.Helper()
	left, err := filepath.Glob(b.path(privateDir, tempPrefix+"*"))
	if err != nil || len(left) > 0 {
		tb.Errorf("unfinished files %v, %v, want none", left, err)
	}
}

func TestIndexKeepsItsMode(t *testing.T) {
	b := testLayout(t, "{}")
	if err := os.Chmod(b.indexPath(), 0o664); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PutRef(t.Context(), "main", backend.Document{Data: []byte("1")}, backend.Always); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(b.indexPath())
	if err != nil || info.Mode().Perm() != 0o664 {
		t.Errorf("mode of index.json = %v, %v, want 0664", info.Mode(), err)
	}
}

// errLocked is how an export of BuildKit fails while somebody has its lock.
var errLocked = errors.New("could not lock index.json.lock")

// buildKitPut is how BuildKit's client writes a ref: StoreIndex.Put in
// moby/buildkit, client/ociindex/ociindex.go, with its lock that does not wait,
// its writing in place and its removal of the lock file.
func buildKitPut(b *Backend, d ocispec.Descriptor, tag string) error {
	lock := flock.New(b.path(buildkitLock))
	locked, err := lock.TryLock()
	if err != nil {
		return err
	}
	if !locked {
		return errLocked
	}
	defer func() {
		_ = lock.Unlock()
		_ = os.RemoveAll(b.path(buildkitLock))
	}()
	f, err := os.OpenFile(b.indexPath(), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	x := ocispec.Index{}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &x); err != nil {
			return fmt.Errorf("could not unmarshal index.json (%q): %w", data, err)
		}
	}
	var kept []ocispec.Descriptor
	for _, m := range x.Manifests {
		if m.Annotations[ocispec.AnnotationRefName] != tag || m.Annotations[annotationImageName] != "" {
			kept = append(kept, m)
		}
	}
	d.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
	kept = append(kept, d)
	x.Manifests = kept
	data, err = json.Marshal(x)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(data)))
}

// TestWritersBesideBuildKit has BuildKit's client and this package write refs
// to one directory at the same time, while others read it. Nothing that was
// acknowledged here is lost, and no reader sees a broken index.
func TestWritersBesideBuildKit(t *testing.T) {
	b := testLayout(t, "{}")
	const writers, writes = 3, 40
	stop := make(chan struct{})
	var others, ours sync.WaitGroup
	others.Go(func() {
		for i := range 10 * writes {
			// A name of varying length makes the file grow and shrink.
			d := doc(fmt.Sprint("buildkit", i))
			d.URLs = make([]string, i%5)
			if err := buildKitPut(b, d, "buildkit"); err != nil && !errors.Is(err, errLocked) {
				t.Errorf("BuildKit's export fails: %v", err)
			}
		}
	})
	others.Go(func() {
		for ended := false; !ended; {
			select {
			case <-stop:
				ended = true
			default:
			}
			for _, err := range b.ListRefs(t.Context()) {
				if err != nil {
					t.Errorf("ListRefs() yields %v", err)
				}
			}
		}
	})
	for w := range writers {
		ours.Go(func() {
			for i := range writes {
				name := fmt.Sprintf("larder-%d-%d", w, i)
				if _, err := b.PutRef(t.Context(), name, backend.Document{Data: []byte(name)}, backend.Absent); err != nil {
					t.Errorf("PutRef(%s) = %v", name, err)
				}
			}
		})
	}
	ours.Wait()
	close(stop)
	others.Wait()
	for w := range writers {
		for i := range writes {
			name := fmt.Sprintf("larder-%d-%d", w, i)
			if r, err := b.GetRef(t.Context(), name); err != nil || string(r.Data) != name {
				t.Errorf("GetRef(%s) = %q, %v, want its document", name, r.Data, err)
			}
		}
	}
}
