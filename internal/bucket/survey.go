package bucket

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

// pageCost is how many single questions a page of a listing is worth: S3 takes
// the price of twelve for it, and needs about the time of five.
const pageCost = 12

// list answers for as many of the blobs as is cheaper by listing, and returns
// the others. The first page tells how many there are, because digests are
// spread evenly: a page that ends at 20... is an eighth of all.
func (s *survey) list(ctx context.Context, wanted []blob.Digest) (rest []blob.Digest, err error) {
	if v, ok := s.b.store.(Surveyor); ok {
		return s.ask(ctx, v, wanted)
	}
	f := s.b.features
	if len(wanted) < calls.Parallel || f.NoList || f.Unordered {
		return wanted, nil
	}
	slices.Sort(wanted)
	page, err := s.b.store.List(ctx, s.b.opts.Keys.Blobs+digestPrefix, "")
	if errors.Is(err, backend.ErrDenied) || errors.Is(err, backend.ErrUnsupported) {
		return wanted, nil // whoever may not list may still ask
	}
	if err != nil {
		return nil, err
	}
	last, ordered := s.take(page, wanted)
	switch {
	case page.Next == "":
		return nil, nil
	case !ordered:
		return wanted, nil
	}
	i, _ := slices.BinarySearch(wanted, last)
	rest = wanted[i:]
	if pages := 1/position(last) - 1; pages*pageCost > float64(len(rest)) {
		return rest, nil
	}
	return nil, s.sweep(ctx, rest)
}

// ask has the store answer for all, if it can.
func (s *survey) ask(ctx context.Context, v Surveyor, wanted []blob.Digest) (rest []blob.Digest, err error) {
	keys := make([]string, len(wanted))
	for i, d := range wanted {
		keys[i] = s.b.opts.Keys.blob(d)
	}
	found, others, err := v.Survey(ctx, keys)
	if err != nil {
		return nil, err
	}
	for i, d := range wanted {
		if o, ok := found[keys[i]]; ok {
			s.add(d, o)
		}
	}
	for _, key := range others {
		d, _ := s.b.opts.Keys.digest(key)
		rest = append(rest, d)
	}
	return rest, nil
}

// take notes the wanted blobs that a page has. It returns the last blob of the
// page, and whether they are in order.
func (s *survey) take(page Page, wanted []blob.Digest) (last blob.Digest, ordered bool) {
	ordered = true
	for _, o := range page.Objects {
		d, ok := s.b.opts.Keys.digest(o.Key)
		if !ok {
			continue
		}
		ordered = ordered && d > last
		last = max(last, d)
		if _, ok := slices.BinarySearch(wanted, d); ok {
			s.add(d, o)
		}
	}
	return last, ordered && last != ""
}

// position returns where among all digests one is, between 0 and 1.
func position(d blob.Digest) float64 {
	const digits = 8
	n, _ := strconv.ParseUint(string(d)[len(digestPrefix):][:digits], 16, 64) // the digest is well-formed
	return float64(n+1) / (1 << (4 * digits))
}

// sweep lists the blobs that begin as one of those wanted, in as many listings
// at a time as there are hexadecimal digits.
func (s *survey) sweep(ctx context.Context, wanted []blob.Digest) error {
	group, ctx := errgroup.WithContext(ctx)
	for digit := range 16 {
		start := fmt.Sprintf("%s%x", digestPrefix, digit)
		from, _ := slices.BinarySearch(wanted, blob.Digest(start))
		to, _ := slices.BinarySearch(wanted, blob.Digest(start+"g")) // after the last digit
		if from < to {
			group.Go(func() error { return s.sweepFrom(ctx, start, wanted[from:to]) })
		}
	}
	return group.Wait()
}

func (s *survey) sweepFrom(ctx context.Context, start string, wanted []blob.Digest) error {
	token := ""
	for {
		page, err := s.b.store.List(ctx, s.b.opts.Keys.Blobs+start, token)
		if err != nil {
			return err
		}
		s.take(page, wanted)
		if token = page.Next; token == "" {
			return nil
		}
	}
}
