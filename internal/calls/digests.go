package calls

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// Parallel is how many small requests one call has under way. With fewer the
// distance to the store decides how long they take.
const Parallel = 64

// Distinct returns the digests without repetition, or the first malformed one as
// [DigestKey] has it, and what is wrong with it.
func Distinct(digests []blob.Digest) (unique []blob.Digest, bad string, err error) {
	seen := make(map[blob.Digest]bool, len(digests))
	for _, d := range digests {
		if err := blob.CheckDigest(d); err != nil {
			return nil, DigestKey(d), err
		}
		if !seen[d] {
			seen[d] = true
			unique = append(unique, d)
		}
	}
	return unique, "", nil
}

// Each does something for each digest, [Parallel] at a time, until one fails. fail
// makes an error of the call out of a cause, for a digest or, if no call can be
// made at all, for "".
func (l Life) Each(ctx context.Context, digests []blob.Digest, do func(context.Context, blob.Digest) error, fail func(key string, err error) error) error {
	merged, end, err := l.Begin(ctx)
	if err != nil {
		return fail("", err)
	}
	defer end()
	group, merged := errgroup.WithContext(merged)
	group.SetLimit(Parallel)
	for _, d := range digests {
		group.Go(func() error {
			err := merged.Err()
			if err == nil {
				err = do(merged, d)
			}
			if err == nil {
				return nil
			}
			return fail(d.String(), l.Reason(ctx, err))
		})
	}
	return group.Wait()
}

// DigestKey returns a digest for an error. One that is malformed may hold
// anything.
func DigestKey(d blob.Digest) string {
	if blob.CheckDigest(d) != nil {
		return blob.Quote(d.String())
	}
	return d.String()
}

// RefKey returns the name of a ref for an error, likewise.
func RefKey(ref string) string {
	if backend.CheckRefName(ref) != nil {
		return blob.Quote(ref)
	}
	return ref
}
