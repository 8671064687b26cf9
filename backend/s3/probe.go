package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/bucket"
)

// probe is what is known of a store's conditions.
type probe struct {
	mu   sync.Mutex // held while the question is put
	done bool
	err  error // why conditions must not be relied on
}

// askConditions returns an error matching ErrUnsupported if the store does not
// obey conditions. The question is put once, with an object of its own unless a
// blob has answered it.
func (s *store) askConditions(ctx context.Context) error {
	s.probing.mu.Lock()
	defer s.probing.mu.Unlock()
	if s.probing.done {
		return s.probing.err
	}
	key := s.keys.Manifests + ".larder-probe-" + rand.Text()
	body := bucket.Body{Reader: bytes.NewReader(nil), Digest: blob.Describe("", nil).Digest}
	defer s.removeProbe(ctx, key)
	_, err := s.put(ctx, key, body, backend.Absent)
	if err == nil {
		err = s.tryConditions(ctx, key, body)
	}
	return s.probing.note(s.unobeyed(err))
}

// askWith puts the question with a blob that has just been created: to write it
// again, on conditions that do not hold, changes nothing either way.
func (s *store) askWith(ctx context.Context, key string, body bucket.Body) {
	if !s.probing.mu.TryLock() {
		return
	}
	defer s.probing.mu.Unlock()
	if !s.probing.done {
		_ = s.probing.note(s.unobeyed(s.tryConditions(ctx, key, body)))
	}
}

// note remembers an answer, unless it is none.
func (p *probe) note(err error) error {
	if err == nil || errors.Is(err, backend.ErrUnsupported) {
		p.done, p.err = true, err
	}
	return err
}

// tryConditions writes an object that exists on conditions that do not hold.
func (s *store) tryConditions(ctx context.Context, key string, body bucket.Body) error {
	content, ok := body.Reader.(io.ReaderAt)
	if !ok {
		return errUnasked
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, cond := range []backend.Condition{backend.Absent, backend.Match(`"00000000000000000000000000000000"`)} {
		again := bucket.Body{Reader: io.NewSectionReader(content, 0, body.Size), Size: body.Size, Digest: body.Digest}
		group.Go(func() error {
			_, err := s.put(ctx, key, again, cond)
			switch {
			case err == nil:
				return fmt.Errorf("%w: it has written on the condition %s, which did not hold", errDisobeyed, cond)
			case errors.Is(err, backend.ErrConflict):
				return nil
			default:
				return err
			}
		})
	}
	return group.Wait()
}

var (
	// errDisobeyed says that a store has written what it must not have.
	errDisobeyed = errors.New("the store disobeys")
	// errUnasked says that a question could not be put.
	errUnasked = errors.New("the content cannot be sent again")
)

// unobeyed returns the error of a store that does not obey conditions, unless
// err says something else.
func (s *store) unobeyed(err error) error {
	if err == nil || !errors.Is(err, errDisobeyed) && !errors.Is(err, backend.ErrUnsupported) {
		return err
	}
	return fmt.Errorf("%w: %s does not obey If-None-Match and If-Match: %w; set conditions=false to write without", backend.ErrUnsupported, s.endpoint, err)
}

// removeProbe removes what was written, whatever has happened.
func (s *store) removeProbe(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepTime)
	defer cancel()
	_ = s.delete(ctx, key, nil)
}
