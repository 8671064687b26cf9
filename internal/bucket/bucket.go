package bucket

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/calls"
)

// The defaults of [Options].
const (
	// DefaultRefreshAge is that of BuildKit's S3 exporter.
	DefaultRefreshAge = 24 * time.Hour
	// DefaultPartSize is large enough for a stream to reach the speed of a
	// usual link, and small enough to hold several in memory.
	DefaultPartSize = 8 << 20
	// DefaultConcurrency is how many parts of one blob are on the way.
	DefaultConcurrency = 4
)

// wholeParts is how many parts a blob must be larger than to be moved in parts.
// Several blobs are on the way at a time, so that splitting those of a usual
// size adds requests and no speed.
const wholeParts = 8

// Options say what a backend is. Driver and Keys are required.
type Options struct {
	// Driver is the name of the driver, for Info and errors.
	Driver string
	// Location is where the store is, without secrets, for Info.
	Location string
	// Keys says where objects lie.
	Keys Keys
	// CheckRef returns an error matching ErrInvalid if a name, which has passed
	// [backend.CheckRefName], cannot be a ref's here; nil accepts every name.
	CheckRef func(name string) error
	// RefreshAge bounds how old content gets that is in use: Put renews what is
	// there if it is older than half of it. 0 means [DefaultRefreshAge], and
	// less that every Put renews.
	RefreshAge time.Duration
	// PartSize is the size of parts in bytes; 0 means [DefaultPartSize].
	PartSize int64
	// Concurrency is how many parts of one blob are sent or fetched at the same
	// time; 0 means [DefaultConcurrency].
	Concurrency int
	// Now is the clock; nil means [time.Now].
	Now func() time.Time
}

// Backend is a backend on a [Store].
type Backend struct {
	backend.Unimplemented

	store    Store
	features Features
	opts     Options
	info     backend.Info
	buffers  *buffers
	// careless says that the store has refused a blob's condition. Content that
	// is verified may be written without.
	careless atomic.Bool

	life calls.Life // ends with Close
	once sync.Once
}

var _ backend.Backend = (*Backend)(nil)

// New returns a backend on a store, which is closed with it. The context has no
// part in the life of the backend.
func New(ctx context.Context, store Store, opts Options) *Backend {
	opts.RefreshAge = cmp.Or(opts.RefreshAge, DefaultRefreshAge)
	opts.PartSize = cmp.Or(opts.PartSize, DefaultPartSize)
	opts.Concurrency = cmp.Or(opts.Concurrency, DefaultConcurrency)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	f := store.Features()
	f.DeleteBatch = max(f.DeleteBatch, 1)
	f.MaxParts = cmp.Or(f.MaxParts, 10_000)
	b := &Backend{
		store: store, features: f, opts: opts, life: calls.NewLife(ctx),
		buffers: newBuffers(max(opts.PartSize, f.MinPart), spareBuffers),
		info: backend.Info{
			Driver: opts.Driver, Location: opts.Location, Encoding: "flat",
			Capabilities: capabilities(f), VerifiesPut: f.VerifiesDigest,
		},
	}
	return b
}

func capabilities(f Features) backend.Capabilities {
	return backend.Capabilities{
		CreateRef: f.Create, ReplaceRef: f.Replace,
		DeleteRef: !f.NoDelete, ConditionalDeleteRef: f.ConditionalDelete, DeleteBlobs: !f.NoDelete,
		ListRefs: !f.NoList, ListBlobs: !f.NoList, BlobAges: !f.NoAges,
	}
}

// partsFrom is the size above which blobs are moved in parts.
func (b *Backend) partsFrom() int64 { return wholeParts * b.buffers.size }

// Info describes the backend.
func (b *Backend) Info() backend.Info { return b.info }

// Store returns the store.
func (b *Backend) Store() Store { return b.store }

// Close ends what is under way, requests and readers, and closes the store.
func (b *Backend) Close() error {
	var err error
	b.once.Do(func() {
		b.life.End()
		err = b.store.Close()
	})
	return err
}

// Fail returns err as the error of a call, as the methods of b do, for drivers
// that have methods of their own.
func (b *Backend) Fail(op, key string, err error) error { return b.fail(op, key, err) }

// fail returns err as the error of a call, or nil if there is none.
func (b *Backend) fail(op, key string, err error) error {
	if err == nil {
		return nil
	}
	e := &backend.Error{Op: op, Backend: b.opts.Driver, Key: key, Err: err}
	if isEnd(err) {
		return e
	}
	e.Kind = backend.Kind(err)
	e.RetryAfter, e.Temporary = backend.Temporary(err)
	if f, ok := errors.AsType[*Failure](err); ok {
		e.RetryAfter, e.Temporary, e.Omittable = f.RetryAfter, f.Temporary, f.Omittable
	}
	return e
}
