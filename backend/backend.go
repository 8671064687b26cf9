// Package backend defines what a store of build caches is: immutable blobs and
// small mutable refs. Formats and verbs live above it, drivers below it (one
// package each), wrappers around it (package wrap). Package backendtest holds
// the suite that every driver passes: one case for each sentence of the
// comments in this file.
//
// Applications name stores by strings: a [Mux] holds the drivers that an
// application wants, parses strings into locations and opens them. Nothing is
// registered by itself.
package backend

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/larder-build/larder/blob"
)

// Backend is one place where caches live. All methods may be called at the
// same time from many goroutines.
//
// A method that the store cannot perform returns an error matching
// [ErrUnsupported] and has no effect; [Info] says so beforehand. Malformed
// arguments give an error matching [ErrInvalid] and have no effect. A context
// that has ended makes every method return its error and, where the method has
// not succeeded, leaves nothing visible behind. Errors name the blob or ref that
// they are about. Memory is not shared: what was passed to a method that has
// returned, and what it has returned, is the caller's to change.
//
// New methods may be added. Drivers therefore embed [Unimplemented].
type Backend interface {
	Blobs
	Refs

	// Info describes the backend. It asks nothing of the store and its answer
	// never changes.
	Info() Info

	// Close releases what the backend holds: idle connections and readers that
	// are still open, whose next Read fails. It waits for nothing else. Later
	// calls of any method but Info and Close return an error matching
	// [fs.ErrClosed]; closing again does nothing and returns nil.
	Close() error
}

// Blobs is the store of immutable content.
type Blobs interface {
	// Stat asks which of the blobs are there. Absent ones are absent from the
	// answer; an error means that the question could not be answered. Any
	// number of digests may be asked at once, and repeated ones count once.
	Stat(ctx context.Context, digests ...blob.Digest) (map[blob.Digest]BlobInfo, error)

	// Open returns a reader of the n bytes of a blob that start at off; n < 0
	// means to the end. A range that passes the end is cut there. Offsets below
	// zero or beyond the size give ErrInvalid, a blob that is not there
	// ErrNotFound. Of the descriptor the store uses the digest and, where it
	// keeps manifests apart from other blobs, the media type; the size need not
	// be known and is then -1. The caller closes the reader; ctx governs it
	// until then. Content is not verified: package wrap does that.
	Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error)

	// Put stores the content of src as the blob d. Content of another size or
	// digest gives ErrCorrupt. Unless Put succeeds nothing becomes visible, and
	// what was there remains. A blob that is already there with that size is a
	// success whose content need not be read again, and its age, where the
	// store has BlobAges, starts anew, unless the driver was told up to which age
	// that can wait; one of another size is replaced. Put opens src as often as it needs and closes every reader it opened, once and
	// before it returns; an error of src is found in its own by errors.Is.
	Put(ctx context.Context, d blob.Descriptor, src blob.Source) error

	// Delete removes blobs. Removing what is not there is a success. After an
	// error some of the blobs may be gone.
	Delete(ctx context.Context, digests ...blob.Digest) error

	// List yields each blob once, in no particular order. An error is yielded
	// once, with a zero BlobInfo, and is the end; that of a context which ends
	// meanwhile comes in place of the next blob. Blobs that come or go meanwhile
	// may or may not be seen, at most once. Every range over it starts anew.
	List(ctx context.Context) iter.Seq2[BlobInfo, error]
}

// Refs is the store of mutable names for small documents, the manifests.
type Refs interface {
	// GetRef returns a ref with its document, or ErrNotFound. Where the store
	// keeps documents by digest too, a digest serves as the name of one; such a
	// name cannot be written or deleted (ErrInvalid).
	GetRef(ctx context.Context, name string) (Ref, error)

	// PutRef makes the name point to doc, if cond holds; otherwise it returns
	// ErrConflict and changes nothing. It is atomic: a reader sees the old
	// document or the new one, whole. The blobs that doc refers to are stored
	// beforehand; some stores check that. A document that is larger than Info
	// allows gives ErrTooLarge. PutRef returns the new version.
	//
	// Conditions other than Always need the capability CreateRef or ReplaceRef:
	// then of any number of concurrent calls whose conditions exclude each
	// other exactly one succeeds.
	PutRef(ctx context.Context, name string, doc Document, cond Condition) (Version, error)

	// DeleteRef removes a ref, if cond holds; Absent is ErrInvalid. Removing
	// what is not there is a success with Always and ErrConflict with Match. A
	// condition other than Always needs the capability ConditionalDeleteRef.
	// Blobs are left alone.
	DeleteRef(ctx context.Context, name string, cond Condition) error

	// ListRefs yields each ref once, in no particular order, with the rules of
	// Blobs.List.
	ListRefs(ctx context.Context) iter.Seq2[RefInfo, error]
}

// BlobInfo is what a store knows about a blob.
type BlobInfo struct {
	Digest blob.Digest
	// Size is the number of bytes stored, or -1 if the store does not say.
	Size int64
	// ModTime is when the blob was last put, or the zero time if the store has
	// no BlobAges.
	ModTime time.Time
}

// Document is the content of a ref: a manifest in one of its encodings.
type Document struct {
	// MediaType names the encoding. Stores that keep none return "".
	MediaType string
	// Data is at most MaxDocumentSize bytes.
	Data []byte
}

// MaxDocumentSize is the largest document that a driver must be able to store
// and to return, in bytes. A store with a lower limit says so in
// Info.MaxDocumentSize.
const MaxDocumentSize = 64 << 20

// Ref is a name with the document it points to.
type Ref struct {
	Name    string
	Version Version
	// ModTime is when the ref was last written, or the zero time.
	ModTime time.Time
	Document
}

// RefInfo is what a listing says of a ref.
type RefInfo struct {
	Name string
	// Version is the ref's present version, or "" if the listing does not say.
	Version Version
	// ModTime is when the ref was last written, or the zero time.
	ModTime time.Time
}

// Version identifies a state of a ref, for [Match]. It is opaque: an ETag, a
// digest, a generation number. Equal documents may have equal versions, even
// if another one was there in between.
type Version string

// Info describes a backend.
type Info struct {
	// Driver is the name of the driver: "local", "registry", "s3", ...
	Driver string
	// Location is where the store is, as a location string without secrets.
	// It is the only form that may be logged.
	Location string
	// Directory is the absolute path of the directory that the store is, if it is
	// one of this machine, so that nobody takes it for something to be cached or
	// removed.
	Directory string
	// Capabilities says which of the methods the store supports.
	Capabilities Capabilities
	// Encoding names the form of manifests that others expect on this kind of
	// store: "oci-manifest" or "flat".
	Encoding string
	// Scopes are the places in which GetRef looks for a ref, in this order, where
	// the store keeps several apart and a ref may be in more than one: git refs in
	// GitHub's cache. It returns what the first of them has; [WithScope] has it
	// look in one alone. Elsewhere there are none.
	Scopes []string
	// VerifiesPut says that the far end checks the digest of what arrives, so
	// that Put passes bytes on without looking at them, and is fastest if it is
	// given files. Put keeps its promises either way.
	VerifiesPut bool
	// CheapStat says that Stat costs no request, so that there is no point in
	// avoiding it.
	CheapStat bool
	// Gathers is the size in bytes up to which blobs that are put at the same time
	// are stored together, so that more of them at a time take fewer steps; 0 where
	// each is stored by itself.
	Gathers int64
	// MaxDocumentSize is the largest document of a ref in bytes, or 0 for
	// [MaxDocumentSize].
	MaxDocumentSize int64
	// Isolation is the rule, for people, by which the store keeps the refs of
	// scopes apart, so that nobody can read those of one and write those of
	// another; "" if it is up to credentials who can. Promotions are denied there.
	Isolation string
}

// Capabilities says what a store can do beyond Stat, Open, Put, GetRef and an
// unconditional PutRef. They are separate because stores that look alike keep
// some of these promises and break others.
type Capabilities struct {
	CreateRef            bool // PutRef with Absent
	ReplaceRef           bool // PutRef with Match
	DeleteRef            bool // DeleteRef with Always
	ConditionalDeleteRef bool // DeleteRef with Match
	ListRefs             bool // ListRefs
	DeleteBlobs          bool // Delete
	ListBlobs            bool // List
	BlobAges             bool // BlobInfo.ModTime is meaningful and Put renews it
}
