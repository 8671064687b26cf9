// Package bucket is the half that backends on object stores have in common: it
// turns a [Store], which a driver makes of its service's own SDK, into a
// backend. Blobs and the documents of refs are objects; where they lie is up to
// the [Keys]. The layout is BuildKit's.
//
// The package knows no service. What services differ in, a Store says in its
// [Features], or shows by implementing [Uploader] or [Toucher].
package bucket

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// Store is an object store. Its methods may be called at the same time from many
// goroutines. A method sends as few requests as it can, calls
// [backend.TraceRequest] for each, and does not repeat failed ones: wrappers and
// this package do.
//
// Errors match the kinds of package backend: an object or bucket that is not
// there is ErrNotFound, a condition that did not hold ErrConflict, missing
// rights ErrDenied, content that the service found not to match its checksum
// ErrCorrupt. A [Failure] says more. An error of the context or of a body is
// returned as it is, perhaps wrapped. No error holds a secret.
type Store interface {
	// Features says what the store can do. The answer never changes.
	Features() Features

	// Head describes an object. A store that refuses to say whether there is
	// one gives ErrDenied, not ErrNotFound.
	Head(ctx context.Context, key string) (Object, error)

	// Get returns a reader of the n bytes of an object that start at off; n < 0
	// means to the end, and n is never 0. A range that passes the end is cut
	// there. An offset at the end or beyond gives [ErrRange], or the whole empty
	// object if off is 0. The Object's fields may be those that the response
	// tells without another request; Size is the object's, not the range's, or
	// -1. ctx governs the reader until its Close.
	Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, Object, error)

	// Put writes an object in one request or one atomic step, if cond holds.
	// Unless it succeeds nothing of it becomes visible; in particular, an error
	// of the body's Reader, or one that comes in place of its last byte, leaves
	// what was there. The returned Object has its Version.
	Put(ctx context.Context, key string, body Body, cond backend.Condition) (Object, error)

	// Delete removes at most Features.DeleteBatch objects. What is not there is
	// a success.
	Delete(ctx context.Context, keys []string) error

	// DeleteIf removes an object if it has the given version, else it returns
	// ErrConflict, also if there is none. It is called only if
	// Features.ConditionalDelete is set.
	DeleteIf(ctx context.Context, key string, v backend.Version) error

	// List returns a page of the objects whose keys begin with prefix. The
	// token is "" for the first page and then the Next of the page before.
	List(ctx context.Context, prefix, token string) (Page, error)

	// Close releases idle connections.
	Close() error
}

// Object describes an object.
type Object struct {
	// Key is its name in the bucket; only List needs to set it.
	Key string
	// Size is in bytes, or -1 if not known.
	Size int64
	// Version is what conditions match: an ETag, a generation. A listing may
	// leave it out, and so does a store without conditions that match.
	Version backend.Version
	// ModTime is when the object was written last, or the zero time.
	ModTime time.Time
	// Native is what else Head has to tell Touch, in a form of the store's own.
	Native any
}

// Page is a part of a listing.
type Page struct {
	Objects []Object
	// Next continues the listing; "" is the end.
	Next string
}

// Body is the content of an object on its way to a store. It is not the
// store's to close.
type Body struct {
	// Reader yields exactly Size bytes, or an error before the last of them. It
	// is an [io.Seeker] where the content can be read again, and [*os.File] or
	// an [io.SectionReader] where the operating system may send it.
	Reader io.Reader
	// Size is the number of bytes.
	Size int64
	// Offset is where in its object a part begins, in bytes.
	Offset int64
	// Digest is that of the content, or "" if it is not known. A store with
	// Features.VerifiesDigest relies on it: the Reader is then not verified.
	Digest blob.Digest
}

// Features says what a store can do beyond reading and writing. They are
// separate because services that look alike keep some promises and break
// others.
type Features struct {
	Create            bool // Put obeys backend.Absent, atomically
	Replace           bool // Put obeys backend.Match, atomically
	ConditionalDelete bool // DeleteIf is there, and atomic
	// VerifiesDigest says that a Put whose content does not have Body.Digest
	// fails with ErrCorrupt and leaves what was there.
	VerifiesDigest bool
	NoDelete       bool // Delete is refused
	NoList         bool // List is refused
	// NoAges says that Object.ModTime means nothing.
	NoAges bool
	// Unordered says that List does not yield keys in the order of their bytes.
	Unordered bool
	// DeleteBatch is how many objects one Delete removes; 0 means 1.
	DeleteBatch int
	// MaxParts is how many parts an [Upload] may have; 0 means 10,000.
	MaxParts int
	// MinPart is the smallest part of an upload but the last, in bytes.
	MinPart int64
}

// Uploader is a Store that takes large objects in parts. Those of other stores
// go into one Put, whatever their size.
type Uploader interface {
	// StartUpload begins an upload of size bytes, of which nothing is visible
	// before it is completed.
	StartUpload(ctx context.Context, key string, size int64) (Upload, error)
}

// Upload is an object on its way in parts.
type Upload interface {
	// Part sends a part. Parts are numbered from 0 and sent in any order, some
	// at the same time, perhaps again after an error. All but the last have the
	// same size. The body's Reader is an [io.ReadSeeker].
	Part(ctx context.Context, number int, body Body) error
	// Complete makes the object visible, of the parts from 0 on, if cond holds
	// and the store can tell.
	Complete(ctx context.Context, cond backend.Condition) error
	// Abort discards what has been sent. It is called once, unless Complete
	// has succeeded; an upload that is not there any more is a success.
	Abort(ctx context.Context) error
}

// Toucher is a Store that can renew the age of an object without its content.
// On other stores, content that has to be renewed is sent again.
type Toucher interface {
	// Touch renews the age of the object o, as Head has described it, and
	// returns what it is afterwards. If the ModTime is still the same, the store
	// could not. An object that changed meanwhile may be left as it is.
	Touch(ctx context.Context, key string, o Object) (Object, error)
}

// Surveyor is a Store that can say of many objects at a time whether they are
// there.
type Surveyor interface {
	// Survey returns those of the objects that are there, and perhaps others, by
	// their keys. Head is to be asked of the rest, because that is cheaper or the
	// only way.
	Survey(ctx context.Context, keys []string) (found map[string]Object, rest []string, err error)
}

// ErrRange is the error of a Get whose offset is not inside of the object.
var ErrRange = errors.New("offset is at the end of the object or beyond")

// Failure is an error of a Store with what a caller needs to know about it.
type Failure struct {
	// Kind is one of the kinds of package backend, or nil.
	Kind error
	// Err is the cause in the service's own words, without secrets.
	Err error
	// Temporary says that the same request may succeed later.
	Temporary bool
	// RetryAfter is how long the service asked to wait before that, or 0.
	RetryAfter time.Duration
	// Omittable is that of [backend.Error].
	Omittable bool
}

// Error describes the failure.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the kind and the cause.
func (f *Failure) Unwrap() []error {
	if f.Kind == nil {
		return []error{f.Err}
	}
	return []error{f.Kind, f.Err}
}
