package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

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
	defer s.removeProbe(ctx, key)
	t := s.tryConditions(ctx, key, bytes.NewReader(nil), bucket.Body{Digest: blob.Describe("", nil).Digest})
	return s.probing.note(s.unobeyed(t.verdict))
}

// maxProbe bounds what is sent more than once only to find out what the store
// does.
const maxProbe = 64 << 10

// putAsking creates a blob and puts the question with it, which takes two
// requests more and no more time. If there is nothing to be asked, or somebody
// else asks, asked is false and nothing is done.
func (s *store) putAsking(ctx context.Context, key string, body bucket.Body, cond backend.Condition) (o bucket.Object, asked bool, err error) {
	content, ok := body.Reader.(io.ReaderAt)
	if !ok || !s.quirks.probe || !cond.IsAbsent() || body.Size >= maxProbe || !s.probing.mu.TryLock() {
		return bucket.Object{}, false, nil
	}
	defer s.probing.mu.Unlock()
	if s.probing.done {
		return bucket.Object{}, false, nil
	}
	t := s.tryConditions(ctx, key, content, body)
	_ = s.probing.note(s.unobeyed(t.verdict))
	return t.object, true, t.err
}

// note remembers an answer, unless it is none.
func (p *probe) note(err error) error {
	if err == nil || errors.Is(err, backend.ErrUnsupported) {
		p.done, p.err = true, err
	}
	return err
}

// trial is what has come of a question.
type trial struct {
	object  bucket.Object
	err     error // why it was not created
	verdict error // what is wrong with the store's conditions
}

// tryConditions has three requests at the same time write the same content: two
// that create the object, of which one may succeed, and one that replaces a
// version which it never had. Whatever the store makes of that, the content is
// right.
func (s *store) tryConditions(ctx context.Context, key string, content io.ReaderAt, body bucket.Body) trial {
	conditions := []backend.Condition{backend.Absent, backend.Absent, backend.Match(`"00000000000000000000000000000000"`)}
	objects, errs := make([]bucket.Object, len(conditions)), make([]error, len(conditions))
	var all sync.WaitGroup
	for i, cond := range conditions {
		once := bucket.Body{Reader: io.NewSectionReader(content, 0, body.Size), Size: body.Size, Digest: body.Digest}
		all.Go(func() { objects[i], errs[i] = s.put(ctx, key, once, cond) })
	}
	all.Wait()
	t := trial{object: objects[0], err: errs[0]}
	if errs[1] == nil {
		t = trial{object: objects[1]}
	}
	switch {
	case errs[0] == nil && errs[1] == nil:
		t.verdict = fmt.Errorf("%w: it has created the same object twice", errDisobeyed)
	case errs[2] == nil:
		t.verdict = fmt.Errorf("%w: it has written on the condition %s, which did not hold", errDisobeyed, conditions[2])
	default:
		refused := func(err error) bool { return err == nil || errors.Is(err, backend.ErrConflict) }
		if i := slices.IndexFunc(errs, func(err error) bool { return !refused(err) }); i >= 0 {
			t.verdict = errs[i]
		}
	}
	return t
}

// errDisobeyed says that a store has written what it must not have.
var errDisobeyed = errors.New("the store disobeys")

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
