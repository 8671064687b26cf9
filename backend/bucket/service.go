package bucket

import (
	"context"
	"iter"
	"time"

	"gocloud.dev/blob"

	"github.com/larder-build/larder/backend"
)

// Service is what is known of an object store beyond what gocloud.dev tells.
// Implementations embed [Unknown], so that they keep compiling when the
// interface grows. Their methods may be called at the same time from many
// goroutines.
type Service interface {
	// Can says what the service promises. The answer never changes.
	Can() Promises

	// CheckRef returns an error matching ErrInvalid if a name, which has passed
	// [backend.CheckRefName], cannot be that of an object.
	CheckRef(name string) error

	// Describe adds what only the service's own types tell, to what gocloud.dev
	// told of an object: its version above all. The function as converts to
	// these types; it is the method As of a [blob.Reader], a [blob.ListObject]
	// or [blob.Attributes].
	Describe(as func(any) bool, o *Object)

	// Write sets in opts how an object of size bytes is written if cond holds,
	// a condition that Can promises. It is called before [blob.Bucket.Upload]
	// and what it returns is asked after.
	Write(opts *blob.WriterOptions, size int64, cond backend.Condition) (Writing, error)

	// DeleteIf removes an object if it has the given version. It is called only
	// if Promises.ConditionalDelete is set.
	DeleteIf(ctx context.Context, b *blob.Bucket, key string, v backend.Version) error

	// Touch renews the age of an object without its content, as far as the
	// service can. An error matching ErrUnsupported has the content sent again.
	Touch(ctx context.Context, b *blob.Bucket, key string) error

	// Explain says what an error of the service means, as far as gocloud.dev
	// does not know better. The error holds the service's own.
	Explain(err error) Meaning

	// Diagnose yields what only the service's own client finds out, see
	// [backend.Diagnoser].
	Diagnose(ctx context.Context, b *blob.Bucket, o backend.DiagnoseOptions) iter.Seq[backend.Finding]

	// Close releases what the service holds. It is called once, with the
	// backend's.
	Close() error
}

// Promises say what a service does, beyond what all services do.
type Promises struct {
	// Create says that of several writers with WriterOptions.IfNotExist exactly
	// one succeeds.
	Create bool
	// Replace says that Write obeys backend.Match, and that of several writers
	// exactly one succeeds.
	Replace bool
	// ConditionalDelete says that DeleteIf obeys its version.
	ConditionalDelete bool
	// Counts says that the client of the service calls [backend.TraceRequest]
	// for each request. Otherwise every operation counts as one.
	Counts bool
}

// Object is what is known of an object.
type Object struct {
	// Size is the number of bytes.
	Size int64
	// Version is what conditions match, or "".
	Version backend.Version
	// ModTime is when its content was written.
	ModTime time.Time
}

// Writing is an object on its way.
type Writing struct {
	// Abort, unless nil, has the write fail with an error, before its last byte.
	Abort func(error)
	// Written, unless nil, describes the object after a success.
	Written func() Object
	// End, unless nil, is called when the write is over, however it ended.
	End func()
}

// Meaning is what an error means.
type Meaning struct {
	// Text is what the service said, on one line and without secrets; "" leaves
	// the text of the error.
	Text string
	// Kind is one of the kinds of package backend, or nil if that is not known.
	Kind error
	// Temporary says that the same request may succeed later.
	Temporary bool
	// RetryAfter is how long the service asked to wait before that, or 0.
	RetryAfter time.Duration
}

// Unknown is a [Service] of which nothing is known.
type Unknown struct{}

var _ Service = Unknown{}

// Can promises nothing.
func (Unknown) Can() Promises { return Promises{} }

// CheckRef accepts every name.
func (Unknown) CheckRef(string) error { return nil }

// Describe adds nothing.
func (Unknown) Describe(func(any) bool, *Object) {}

// Write leaves the options alone but for [blob.WriterOptions.IfNotExist].
func (Unknown) Write(opts *blob.WriterOptions, _ int64, cond backend.Condition) (Writing, error) {
	opts.IfNotExist = cond.IsAbsent()
	return Writing{}, nil
}

// DeleteIf returns ErrUnsupported.
func (Unknown) DeleteIf(context.Context, *blob.Bucket, string, backend.Version) error {
	return backend.ErrUnsupported
}

// Touch copies the object onto itself, which renews its age on some services.
func (Unknown) Touch(ctx context.Context, b *blob.Bucket, key string) error {
	return b.Copy(ctx, key, key, nil)
}

// Explain knows nothing.
func (Unknown) Explain(error) Meaning { return Meaning{} }

// Close does nothing.
func (Unknown) Close() error { return nil }
