package wrap

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/larder-build/larder/backend"
)

// PutRef tries again; see [Retry] for how a lost answer is recognized.
func (r *retry) PutRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	e := r.effort(opPutRef)
	for {
		v, err := r.next.PutRef(ctx, name, doc, cond)
		if err == nil {
			return v, nil
		}
		// failures counts the earlier attempts whose outcome is not known.
		if e.failures > 0 && errors.Is(err, backend.ErrConflict) && !cond.IsAlways() {
			return r.explainPut(ctx, e, name, doc, err)
		}
		final := e.again(ctx, err)
		if final == nil {
			continue
		}
		if _, temporary := backend.Temporary(err); temporary && ctx.Err() == nil && !cond.IsAlways() {
			return r.explainPut(ctx, e, name, doc, final)
		}
		return "", final
	}
}

// explainPut returns the version of the ref if it has the document that was to
// be written, and otherwise failure.
func (r *retry) explainPut(ctx context.Context, e *effort, name string, doc backend.Document, failure error) (backend.Version, error) {
	ref, err := r.getRef(ctx, e, name)
	switch {
	case err == nil && bytes.Equal(ref.Data, doc.Data):
		return ref.Version, nil
	case err == nil, errors.Is(err, backend.ErrNotFound):
		return "", failure
	default:
		// Whether the ref was written cannot be told.
		return "", fmt.Errorf("%w; reading it back: %w", failure, err)
	}
}

// DeleteRef tries again; see [Retry] for how a lost answer is recognized.
func (r *retry) DeleteRef(ctx context.Context, name string, cond backend.Condition) error {
	e := r.effort(opDeleteRef)
	for {
		err := r.next.DeleteRef(ctx, name, cond)
		if err == nil {
			return nil
		}
		if e.failures > 0 && errors.Is(err, backend.ErrConflict) && !cond.IsAlways() {
			return r.explainDelete(ctx, e, name, err)
		}
		if err := e.again(ctx, err); err != nil {
			return err
		}
	}
}

// explainDelete returns nil if the ref is gone, and otherwise failure.
func (r *retry) explainDelete(ctx context.Context, e *effort, name string, failure error) error {
	if _, err := r.getRef(ctx, e, name); errors.Is(err, backend.ErrNotFound) {
		return nil
	}
	return failure
}

// getRef reads a ref with what is left of an effort, but at least once.
func (r *retry) getRef(ctx context.Context, e *effort, name string) (backend.Ref, error) {
	return attempt(ctx, e, func() (backend.Ref, error) { return r.next.GetRef(ctx, name) })
}
