// Package mem is a backend in memory: for tests, for examples, and as the
// shortest complete reading of the contract of package backend.
//
// A store lives as long as something refers to it. Several connections to one
// store can be open at the same time, see [Backend.Reopen].
package mem

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// The encodings that [Options] can announce, as backend.Info has them.
const (
	EncodingFlat        = "flat"
	EncodingOCIManifest = "oci-manifest"
)

// Options change what a store is. The zero value is a store with every
// capability, the system's clock and flat manifests.
type Options struct {
	// Without lists the capabilities that the store lacks: those that are true.
	Without backend.Capabilities
	// Encoding is the form of manifests that the store announces; "" means
	// [EncodingFlat]. A store of [EncodingOCIManifest] keeps documents as blobs
	// too, as registries and image layouts do, so that they can be read by
	// digest.
	Encoding string
	// MaxDocumentSize is the largest document in bytes, or 0 for
	// [backend.MaxDocumentSize].
	MaxDocumentSize int64
	// Now is the clock that ages are taken from; nil means [time.Now]. It is
	// called from many goroutines.
	Now func() time.Time
}

// Backend is a connection to a store in memory.
type Backend struct {
	backend.Unimplemented

	store  *store
	info   backend.Info
	now    func() time.Time
	closed atomic.Bool
}

var _ backend.Backend = (*Backend)(nil)

// store is what several connections share.
type store struct {
	mu    sync.RWMutex
	blobs map[blob.Digest]stored
	refs  map[string]ref
	// documents has the media types of the blobs that were written as documents.
	documents map[blob.Digest]string
	// generation numbers the writes of refs: it makes their versions.
	generation uint64
}

// stored is a blob. Its data never changes, so that readers need no lock.
type stored struct {
	data    []byte
	modTime time.Time
}

type ref struct {
	version  backend.Version
	document backend.Document
	modTime  time.Time
}

// New returns a connection to a new, empty store that can do everything.
func New() *Backend { return NewWith(Options{}) }

// NewWith returns a connection to a new, empty store with the given options.
func NewWith(o Options) *Backend {
	b := &Backend{
		store: &store{
			blobs:     map[blob.Digest]stored{},
			refs:      map[string]ref{},
			documents: map[blob.Digest]string{},
		},
		info: backend.Info{
			Driver:          "mem",
			Location:        "type=mem",
			Capabilities:    allBut(o.Without),
			Encoding:        o.Encoding,
			CheapStat:       true,
			MaxDocumentSize: o.MaxDocumentSize,
		},
		now: o.Now,
	}
	if b.info.Encoding == "" {
		b.info.Encoding = EncodingFlat
	}
	if b.now == nil {
		b.now = time.Now
	}
	return b
}

// allBut returns every capability except the given ones.
func allBut(without backend.Capabilities) backend.Capabilities {
	return backend.Capabilities{
		CreateRef:            !without.CreateRef,
		ReplaceRef:           !without.ReplaceRef,
		DeleteRef:            !without.DeleteRef,
		ConditionalDeleteRef: !without.ConditionalDeleteRef,
		ListRefs:             !without.ListRefs,
		DeleteBlobs:          !without.DeleteBlobs,
		ListBlobs:            !without.ListBlobs,
		BlobAges:             !without.BlobAges,
	}
}

// Reopen returns another connection to the store of b, whether or not b is
// closed.
func (b *Backend) Reopen() *Backend {
	return &Backend{store: b.store, info: b.info, now: b.now}
}

// Info describes the store.
func (b *Backend) Info() backend.Info { return b.info }

// Close ends this connection. What the store holds remains for others.
func (b *Backend) Close() error {
	b.closed.Store(true)
	return nil
}

// begin returns why a call cannot be made, or nil.
func (b *Backend) begin(ctx context.Context, supported bool) error {
	switch {
	case b.closed.Load():
		return fs.ErrClosed
	case !supported:
		return backend.ErrUnsupported
	default:
		return ctx.Err()
	}
}

// fail returns err as the error of a call, or nil if there is none.
func (b *Backend) fail(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return &backend.Error{Op: op, Backend: b.info.Driver, Key: key, Kind: backend.Kind(err), Err: err}
}

// modTime returns what the store says about when a blob was put.
func (b *Backend) modTime(s stored) time.Time {
	if !b.info.Capabilities.BlobAges {
		return time.Time{}
	}
	return s.modTime
}

// nextVersion returns a version that was never used. The caller holds the lock.
func (s *store) nextVersion() backend.Version {
	s.generation++
	return backend.Version(strconv.FormatUint(s.generation, 10))
}

// Plant stores data under a digest that need not be its own, as a store that
// lost or changed bytes has it. It is for tests of what readers do about it.
func (b *Backend) Plant(d blob.Digest, data []byte) error {
	if err := blob.CheckDigest(d); err != nil {
		return fmt.Errorf("plant: %w", err)
	}
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	b.store.blobs[d] = stored{data: slices.Clone(data), modTime: b.now()}
	return nil
}
