package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// probe is what is known of a store's conditions.
type probe struct {
	mu   sync.Mutex
	done bool
	err  error // why conditions must not be relied on
}

// askConditions returns an error matching ErrUnsupported if the store does not
// obey conditions. The question is put once.
func (s *store) askConditions(ctx context.Context) error {
	s.probing.mu.Lock()
	defer s.probing.mu.Unlock()
	if s.probing.done {
		return s.probing.err
	}
	err := s.tryConditions(ctx)
	if err == nil || errors.Is(err, backend.ErrUnsupported) {
		s.probing.done, s.probing.err = true, err
	}
	return err
}

// tryConditions writes an object of its own twice, on conditions of which
// those of the second time do not hold.
func (s *store) tryConditions(ctx context.Context) error {
	key := s.keys.Manifests + ".larder-probe-" + rand.Text()
	put := func(cond backend.Condition) error {
		_, err := s.Put(ctx, key, bucket.Body{Reader: bytes.NewReader(nil), Digest: emptyDigest}, cond)
		return err
	}
	defer s.removeProbe(ctx, key)
	if err := put(backend.Absent); err != nil {
		return s.unobeyed(err)
	}
	for _, cond := range []backend.Condition{backend.Absent, backend.Match(`"00000000000000000000000000000000"`)} {
		switch err := put(cond); {
		case err == nil:
			return s.unobeyed(fmt.Errorf("it has written an object on the condition %s, which did not hold", cond))
		case !errors.Is(err, backend.ErrConflict):
			return s.unobeyed(err)
		}
	}
	return nil
}

// emptyDigest is the digest of no bytes.
const emptyDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// unobeyed returns the error of a store that does not obey conditions, unless
// err says something else.
func (s *store) unobeyed(err error) error {
	if f, ok := errors.AsType[*bucket.Failure](err); ok && !errors.Is(f.Kind, backend.ErrUnsupported) {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %s does not obey If-None-Match and If-Match (%w); conditions=false writes without", backend.ErrUnsupported, s.endpoint, err)
}

// removeProbe removes what was written, whatever has happened.
func (s *store) removeProbe(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = s.delete(ctx, key, nil)
}
