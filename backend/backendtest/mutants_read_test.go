package backendtest_test

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
)

// openMutant is a mutant that opens blobs in another way.
func openMutant(name, caughtBy string, open func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error)) mutant {
	return mutant{name: name, caughtBy: caughtBy, mutate: func(*state) mutation { return mutation{open: open} }}
}

func readMutants() []mutant {
	const returns, ranges = "open/returns what was put", "open/returns the range asked for"
	return []mutant{
		openMutant("truncates reads", returns, func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
			if n < 0 && d.Size > 0 {
				n = d.Size - 1 - off
			}
			return b.Open(ctx, d, off, n)
		}),
		openMutant("ignores the offset", ranges, func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
			return b.Open(ctx, d, min(off, 0), n)
		}),
		openMutant("reads one byte more", ranges, func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
			if n > 0 && n < math.MaxInt64 {
				n++
			}
			return b.Open(ctx, d, off, n)
		}),
		openMutant("takes length 0 for the end", ranges, func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
			if n == 0 {
				n = -1
			}
			return b.Open(ctx, d, off, n)
		}),
		openMutant("overflows", ranges, func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
			if n >= 0 && off >= 0 && off+n < off {
				return nil, backend.ErrInvalid
			}
			return b.Open(ctx, d, off, n)
		}),
		openMutant("relies on the size", ranges, func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
			if n < 0 {
				n = max(d.Size-off, 0)
			}
			return b.Open(ctx, d, off, n)
		}),
		openMutant("refuses a range that passes the end", ranges, func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
			if n > math.MaxInt64/2 || d.Size >= 0 && off+n > d.Size {
				return nil, backend.ErrInvalid
			}
			return b.Open(ctx, d, off, n)
		}),
		openMutant("cuts the offset", "open/refuses offsets outside the blob", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
			found, err := b.Stat(ctx, d.Digest)
			if info, ok := found[d.Digest]; err == nil && ok {
				off = min(max(off, 0), info.Size)
			}
			return b.Open(ctx, d, off, n)
		}),
		openMutant("gives missing blobs no kind", "open/a missing blob is not found", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
			r, err := b.Open(ctx, d, off, n)
			if errors.Is(err, backend.ErrNotFound) {
				err = errors.New("NoSuchKey")
			}
			return r, err
		}),
		openMutant("has no error for missing blobs of which nothing is read", "open/a missing blob is not found", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
			r, err := b.Open(ctx, d, off, n)
			if n == 0 && errors.Is(err, backend.ErrNotFound) {
				return io.NopCloser(new(eofReader)), nil
			}
			return r, err
		}),
		openMutant("does not say which blob", "error/names what it is about", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
			r, err := b.Open(ctx, d, off, n)
			if kind := backend.Kind(err); kind != nil {
				err = kind
			}
			return r, err
		}),
		openMutant("has readers that outlive their context", "open/its context governs the reader", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return b.Open(context.WithoutCancel(ctx), d, off, n)
		}),
		openMutant("ends blobs with an error", "open/readers keep the rules of io.Reader", func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
			r, err := b.Open(ctx, d, off, n)
			return &endless{r}, err
		}),
		{name: "shares one reader", caughtBy: "open/readers are independent", mutate: func(s *state) mutation {
			return mutation{open: shareReader(s)}
		}},
		{name: "says that everything is there", caughtBy: "stat/absent blobs are absent from the answer", mutate: func(*state) mutation {
			return mutation{stat: func(ctx context.Context, b *mem.Backend, digests []blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
				found, err := b.Stat(ctx, digests...)
				for _, d := range digests {
					if _, ok := found[d]; !ok && err == nil {
						found[d] = backend.BlobInfo{Digest: d, Size: -1}
					}
				}
				return found, err
			}}
		}},
		{name: "asks for a thousand blobs at most", caughtBy: "stat/takes any number of digests", mutate: func(*state) mutation {
			return mutation{stat: func(ctx context.Context, b *mem.Backend, digests []blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
				return b.Stat(ctx, digests[:min(1000, len(digests))]...)
			}}
		}},
		{name: "fails when asked twice", caughtBy: "stat/repeated digests count once", mutate: func(*state) mutation {
			return mutation{stat: func(ctx context.Context, b *mem.Backend, digests []blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
				if len(digests) > 1 && len(slices.Compact(slices.Sorted(slices.Values(digests)))) < len(digests) {
					return nil, backend.ErrInvalid
				}
				return b.Stat(ctx, digests...)
			}}
		}},
		{name: "fails when nothing is asked", caughtBy: "stat/of nothing is empty", mutate: func(*state) mutation {
			return mutation{stat: func(ctx context.Context, b *mem.Backend, digests []blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
				if len(digests) == 0 {
					return nil, backend.ErrInvalid
				}
				return b.Stat(ctx, digests...)
			}}
		}},
		{name: "skips malformed digests", caughtBy: "argument/malformed digests are invalid and have no effect", mutate: func(*state) mutation {
			return mutation{stat: func(ctx context.Context, b *mem.Backend, digests []blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
				digests = slices.DeleteFunc(slices.Clone(digests), func(d blob.Digest) bool { return blob.CheckDigest(d) != nil })
				return b.Stat(ctx, digests...)
			}}
		}},
	}
}

type eofReader struct{}

func (*eofReader) Read([]byte) (int, error) { return 0, io.EOF }

// endless ends in an error of its own instead of io.EOF.
type endless struct{ io.ReadCloser }

func (r *endless) Read(p []byte) (int, error) {
	if len(p) > 1000 {
		p = p[:1000]
	}
	n, err := r.ReadCloser.Read(p)
	if n == 0 && errors.Is(err, io.EOF) {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// shareReader has all readers of a blob go on where the last has stopped.
func shareReader(s *state) func(context.Context, *mem.Backend, blob.Descriptor, int64, int64) (io.ReadCloser, error) {
	readers := map[blob.Digest]io.ReadCloser{}
	return func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r, ok := readers[d.Digest]; ok && off == 0 {
			return r, nil
		}
		r, err := b.Open(ctx, d, off, n)
		if err == nil {
			readers[d.Digest] = r
		}
		return r, err
	}
}
