package gcs

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/storage"
	"gocloud.dev/blob"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/bucket"
)

// How objects are sent. The client copies what it can send again into memory.
const (
	// small is up to which size that is the whole object, in bytes.
	small = 512 << 10
	// large is from which size on an object goes in chunks, so that not all of
	// it has to be sent again. Sizes in between go in one request and no memory.
	large = 32 << 20
	// chunk is the size of these chunks, and chunked how many objects at a time
	// have one. The others go in one request.
	chunk   = 8 << 20
	chunked = 4
	// unit is what chunks have to be multiples of.
	unit = 256 << 10
	// chunkRetry bounds for how long a chunk is sent again.
	chunkRetry = 10 * time.Second
)

// service is what is known of Google Cloud Storage.
type service struct {
	bucket.Unknown

	name       string
	endpoint   *url.URL
	source     string // where the credentials have come from
	client     *storage.Client
	transport  *transport // nil if the client was given
	refreshAge time.Duration
	chunks     slots
}

var _ bucket.Service = (*service)(nil)

// Can implements [bucket.Service]. Emulators ignore the condition of a deletion.
func (s *service) Can() bucket.Promises {
	return bucket.Promises{
		Create: true, Replace: true, Counts: s.transport != nil,
		ConditionalDelete: s.endpoint.Scheme == "https" && strings.HasSuffix(s.endpoint.Hostname(), ".googleapis.com"),
	}
}

// CheckRef implements [bucket.Service].
//
// Source: cloud.google.com/storage/docs/objects#naming.
func (s *service) CheckRef(name string) error {
	if strings.HasPrefix(name, ".well-known/acme-challenge/") {
		return fmt.Errorf("%w: ref name %s, which the service reserves", backend.ErrInvalid, name)
	}
	return nil
}

// Describe implements [bucket.Service]. Lifecycle rules count from the creation
// of an object, not from its last update.
func (s *service) Describe(as func(any) bool, o *bucket.Object) {
	var attrs storage.ObjectAttrs
	var r *storage.Reader
	switch {
	case as(&attrs):
		*o = describe(&attrs)
	case as(&r):
		o.Version = version(r.Attrs.Generation)
	}
}

func describe(attrs *storage.ObjectAttrs) bucket.Object {
	return bucket.Object{Size: attrs.Size, Version: version(attrs.Generation), ModTime: attrs.Created}
}

func version(generation int64) backend.Version {
	return backend.Version(strconv.FormatInt(generation, 10))
}

// matching returns the precondition that an object has a version. One that is
// no generation is none of this service's, and so no object has it.
func matching(v backend.Version) (storage.Conditions, error) {
	generation, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || generation <= 0 {
		return storage.Conditions{}, fmt.Errorf("%w: no object has the version %q, which is no generation", backend.ErrConflict, v)
	}
	return storage.Conditions{GenerationMatch: generation}, nil
}

// errTypes says that gocloud.dev does not hand over what it is documented to.
var errTypes = errors.New("this version of gocloud.dev has other types for Google Cloud Storage")

// Write implements [bucket.Service].
func (s *service) Write(opts *blob.WriterOptions, size int64, cond backend.Condition) (bucket.Writing, error) {
	var conds storage.Conditions
	if v, ok := cond.Version(); ok {
		var err error
		if conds, err = matching(v); err != nil {
			return bucket.Writing{}, err
		}
	}
	opts.IfNotExist = cond.IsAbsent()
	w := &writing{}
	opts.BufferSize, w.release = s.bufferSize(size)
	opts.BeforeWrite = func(as func(any) bool) error { return w.prepare(as, conds) }
	return bucket.Writing{Abort: w.abort, Written: w.written, End: w.release}, nil
}

// bufferSize returns how much of an object the client copies, and what to do
// when it is sent.
func (s *service) bufferSize(size int64) (buffer int, release func()) {
	none := func() {}
	switch {
	case size < small:
		// One more byte, or the client asks for a session to send chunks in.
		return int(size/unit+1) * unit, none
	case size >= large && s.chunks.take():
		return chunk, s.chunks.give
	default:
		return -1, none
	}
}

// writing is an object on its way.
type writing struct {
	w       *storage.Writer
	release func()
}

// prepare puts the condition on the object and keeps its writer.
func (w *writing) prepare(as func(any) bool, conds storage.Conditions) error {
	if conds != (storage.Conditions{}) {
		var handle **storage.ObjectHandle
		if !as(&handle) {
			return errTypes
		}
		*handle = (*handle).If(conds)
	}
	if !as(&w.w) {
		return errTypes
	}
	w.w.ChunkRetryDeadline = chunkRetry
	return nil
}

func (w *writing) abort(err error) {
	if w.w != nil {
		// Unlike the end of a context, this cannot come too late: what is on the
		// way in one request must not look complete.
		//lint:ignore SA1019 see above
		_ = w.w.CloseWithError(err) //nolint:staticcheck // see above
	}
}

func (w *writing) written() bucket.Object { return describe(w.w.Attrs()) }

// DeleteIf implements [bucket.Service].
func (s *service) DeleteIf(ctx context.Context, _ *blob.Bucket, key string, v backend.Version) error {
	conds, err := matching(v)
	if err != nil {
		return err
	}
	return s.client.Bucket(s.name).Object(key).If(conds).Delete(ctx)
}

// Close implements [bucket.Service].
func (s *service) Close() error {
	if s.transport == nil { // the client was given
		return nil
	}
	err := s.client.Close()
	s.transport.own.Close()
	return err
}

// slots bound how many there are of something.
type slots chan struct{}

// take takes one, if there is one left.
func (s slots) take() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

// give gives one back.
func (s slots) give() { <-s }
