package azblob_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/azblob"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/azuretest"
)

// lazy opens a container that is not there and is to be created.
func lazy(t *testing.T) (*azuretest.Server, *azblob.Backend) {
	t.Helper()
	s, opts := fake(t, azuretest.Options{})
	opts.Container, opts.CreateContainer, opts.BlockSize = "made", true, 1<<19
	return s, open(t, opts)
}

// TestReadingCreatesNoContainer shows that one which is to be created is an
// empty one as long as nothing is written, and stays uncreated.
func TestReadingCreatesNoContainer(t *testing.T) {
	s, b := lazy(t)
	d := describe(content(1, 100))
	if _, err := b.GetRef(t.Context(), "main"); !errors.Is(err, backend.ErrNotFound) || !strings.Contains(err.Error(), "the first write creates it") {
		t.Errorf("GetRef() = %v, want %v and what will create it", err, backend.ErrNotFound)
	}
	if _, err := b.Open(t.Context(), d, 0, -1); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("Open() = %v, want %v", err, backend.ErrNotFound)
	}
	if found, err := b.Stat(t.Context(), d.Digest); err != nil || len(found) != 0 {
		t.Errorf("Stat() = %v, %v, want nothing", found, err)
	}
	for _, err := range b.List(t.Context()) {
		t.Errorf("List() yields %v, want nothing", err)
	}
	if err := listRefs(t.Context(), b); err != nil {
		t.Errorf("ListRefs() yields %v, want nothing", err)
	}
	if err := b.Delete(t.Context(), d.Digest); err != nil {
		t.Errorf("Delete() = %v, want nil", err)
	}
	if err := b.DeleteRef(t.Context(), "main", backend.Always); err != nil {
		t.Errorf("DeleteRef() = %v, want nil", err)
	}
	if err := b.DeleteRef(t.Context(), "main", backend.Match(`"0x1"`)); !errors.Is(err, backend.ErrConflict) {
		t.Errorf("DeleteRef(if) = %v, want %v", err, backend.ErrConflict)
	}
	if got := s.Count("Create Container"); got != 0 {
		t.Errorf("reading has created the container %d times, want 0", got)
	}
}

// TestWritingCreatesTheContainer shows that whatever is written first creates
// it, once.
func TestWritingCreatesTheContainer(t *testing.T) {
	stream := func(data []byte) blob.Source {
		return blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(string(data)))), nil
		})
	}
	small, large, blocks := content(1, 100), content(2, 2<<20), content(3, 5<<20)
	for _, tt := range []struct {
		name  string
		write func(ctx context.Context, b backend.Backend) error
	}{
		{"ref", putRef},
		{"ref that must be new", func(ctx context.Context, b backend.Backend) error {
			_, err := b.PutRef(ctx, "main", backend.Document{Data: []byte("{}")}, backend.Absent)
			return err
		}},
		{"small blob", func(ctx context.Context, b backend.Backend) error {
			return b.Put(ctx, describe(small), blob.Bytes(small))
		}},
		{"large blob", func(ctx context.Context, b backend.Backend) error { return b.Put(ctx, describe(large), stream(large)) }},
		{"blob in blocks", func(ctx context.Context, b backend.Backend) error {
			return b.Put(ctx, describe(blocks), stream(blocks))
		}},
		{"many at a time", func(ctx context.Context, b backend.Backend) error {
			errs := make([]error, 20)
			var all sync.WaitGroup
			for i := range errs {
				data := content(i, 500)
				all.Go(func() { errs[i] = b.Put(ctx, describe(data), blob.Bytes(data)) })
			}
			all.Wait()
			return errors.Join(errs...)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, b := lazy(t)
			if err := tt.write(t.Context(), b); err != nil {
				t.Fatalf("%s = %v, want nil", tt.name, err)
			}
			if got := s.Count("Create Container"); got != 1 {
				t.Errorf("%s has created the container %d times, want once", tt.name, got)
			}
			if len(s.Names("made")) == 0 {
				t.Error("the container is empty, want what was written in it")
			}
		})
	}
}

// TestStreamIntoNoContainer has content that can be read once only meet the
// container's absence: the next attempt succeeds.
func TestStreamIntoNoContainer(t *testing.T) {
	_, b := lazy(t)
	data := content(1, 2<<20)
	src := blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader(string(data)))), nil
	})
	err := b.Put(backend.WithAbsent(t.Context()), describe(data), src)
	if _, again := backend.Temporary(err); !again || !strings.Contains(err.Error(), "made") {
		t.Errorf("Put() = %v, want a temporary error about the container made", err)
	}
	if err := b.Put(t.Context(), describe(data), src); err != nil {
		t.Errorf("second Put() = %v, want nil", err)
	}
}

// TestExportCreatesTheContainer is the whole of it: an import finds nothing and
// makes nothing, an export makes what it needs.
func TestExportCreatesTheContainer(t *testing.T) {
	s, b := lazy(t)
	at := larder.Target{Backend: b, Ref: "main"}
	_, report, err := larder.Import(t.Context(), []larder.Target{at}, larder.ImportOptions{})
	if err != nil || !errors.Is(report.Sources[0].Err, backend.ErrNotFound) {
		t.Errorf("Import() = %v, source %v, want a miss", err, report.Sources[0].Err)
	}
	if got := s.Count("Create Container"); got != 0 {
		t.Fatalf("Import() has created the container %d times, want 0", got)
	}
	m, blobs := cacheOf(t, 100)
	if _, err := larder.Export(t.Context(), m, blobs, []larder.Target{at}, larder.ExportOptions{}); err != nil {
		t.Fatalf("Export() = %v, want nil", err)
	}
	if names := s.Names("made"); !slices.Contains(names, "manifests/main") || len(names) != 101 {
		t.Errorf("the container has %d objects, want 100 blobs and manifests/main", len(names))
	}
}
