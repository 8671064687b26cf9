package backendtest_test

import (
	"context"
	"io"
	"iter"
	"sync"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
)

// mutated is a backend of which some methods are broken.
type mutated struct {
	*mem.Backend

	m mutation
}

// mutation has the methods that are broken, in terms of the sound backend. Nil
// ones are sound.
type mutation struct {
	info      func(b *mem.Backend) backend.Info
	close     func(b *mem.Backend) error
	stat      func(ctx context.Context, b *mem.Backend, digests []blob.Digest) (map[blob.Digest]backend.BlobInfo, error)
	open      func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error)
	put       func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error
	delete    func(ctx context.Context, b *mem.Backend, digests []blob.Digest) error
	list      func(ctx context.Context, b *mem.Backend) iter.Seq2[backend.BlobInfo, error]
	getRef    func(ctx context.Context, b *mem.Backend, name string) (backend.Ref, error)
	putRef    func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error)
	deleteRef func(ctx context.Context, b *mem.Backend, name string, c backend.Condition) error
	listRefs  func(ctx context.Context, b *mem.Backend) iter.Seq2[backend.RefInfo, error]
}

// state is what a mutant may remember, for one connection.
type state struct {
	mu    sync.Mutex
	puts  sync.WaitGroup
	calls int
	docs  map[string]backend.Ref
}

func (b *mutated) Info() backend.Info {
	if b.m.info != nil {
		return b.m.info(b.Backend)
	}
	return b.Backend.Info()
}

func (b *mutated) Close() error {
	if b.m.close != nil {
		return b.m.close(b.Backend)
	}
	return b.Backend.Close()
}

func (b *mutated) Stat(ctx context.Context, digests ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	if b.m.stat != nil {
		return b.m.stat(ctx, b.Backend, digests)
	}
	return b.Backend.Stat(ctx, digests...)
}

func (b *mutated) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	if b.m.open != nil {
		return b.m.open(ctx, b.Backend, d, off, n)
	}
	return b.Backend.Open(ctx, d, off, n)
}

func (b *mutated) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	if b.m.put != nil {
		return b.m.put(ctx, b.Backend, d, src)
	}
	return b.Backend.Put(ctx, d, src)
}

func (b *mutated) Delete(ctx context.Context, digests ...blob.Digest) error {
	if b.m.delete != nil {
		return b.m.delete(ctx, b.Backend, digests)
	}
	return b.Backend.Delete(ctx, digests...)
}

func (b *mutated) List(ctx context.Context) iter.Seq2[backend.BlobInfo, error] {
	if b.m.list != nil {
		return b.m.list(ctx, b.Backend)
	}
	return b.Backend.List(ctx)
}

func (b *mutated) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	if b.m.getRef != nil {
		return b.m.getRef(ctx, b.Backend, name)
	}
	return b.Backend.GetRef(ctx, name)
}

func (b *mutated) PutRef(ctx context.Context, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
	if b.m.putRef != nil {
		return b.m.putRef(ctx, b.Backend, name, doc, c)
	}
	return b.Backend.PutRef(ctx, name, doc, c)
}

func (b *mutated) DeleteRef(ctx context.Context, name string, c backend.Condition) error {
	if b.m.deleteRef != nil {
		return b.m.deleteRef(ctx, b.Backend, name, c)
	}
	return b.Backend.DeleteRef(ctx, name, c)
}

func (b *mutated) ListRefs(ctx context.Context) iter.Seq2[backend.RefInfo, error] {
	if b.m.listRefs != nil {
		return b.m.listRefs(ctx, b.Backend)
	}
	return b.Backend.ListRefs(ctx)
}

// smallLimit is the largest document of a mutant in bytes.
const smallLimit = 300_000

// sound returns the store in memory that is broken.
func (b *mutated) sound() *mem.Backend { return b.Backend }

// harness returns a harness of backends broken in this way. Documents are kept
// small, because the suite runs once for each mutant.
func (m mutant) harness() backendtest.Harness {
	mutate := func(b *mem.Backend) backend.Backend {
		broken := &mutated{Backend: b, m: m.mutate(&state{docs: map[string]backend.Ref{}})}
		if m.extend != nil {
			return m.extend(broken)
		}
		return broken
	}
	sound := func(b backend.Backend) *mem.Backend {
		broken, _ := backend.As[interface{ sound() *mem.Backend }](b)
		return broken.sound()
	}
	o := m.options
	o.MaxDocumentSize = smallLimit
	return backendtest.Harness{
		New:    func(testing.TB) backend.Backend { return mutate(mem.NewWith(o)) },
		Reopen: func(_ testing.TB, b backend.Backend) backend.Backend { return mutate(sound(b).Reopen()) },
		Plant: func(t testing.TB, b backend.Backend, d blob.Digest, data []byte) {
			t.Helper()
			if err := sound(b).Plant(d, data); err != nil {
				t.Fatal(err)
			}
		},
	}
}
