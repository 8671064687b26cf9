package gha

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// allow returns a protocol without what the token and the mode of the workflow
// do not allow. It asks nothing in vain: what the service has refused once, as
// it knows more of the token, it refuses by itself from then on.
//
// Source of the modes: github.com/actions/toolkit, packages/cache, 6.2.0.
func allow(p protocol, s scopes, mode string) *allowed {
	a := &allowed{protocol: p, read: mode != "none" && mode != "write-only"}
	switch {
	case mode == "none" || mode == "read":
		a.forbid(fmt.Errorf("the workflow has set %s to %s", envMode, mode))
	case s.readOnly:
		a.forbid(errors.New("the token of this trigger may only read"))
	}
	return a
}

// allowed is a protocol of which a part is not used.
type allowed struct {
	protocol

	read     bool
	readOnly atomic.Pointer[error] // why nothing can be written, or nil
}

func (a *allowed) forbid(why error) {
	var err error = &bucket.Failure{Kind: backend.ErrReadOnly, Err: why, Omittable: true}
	a.readOnly.Store(&err)
}

// create implements [protocol].
func (a *allowed) create(ctx context.Context, key string) (slot, error) {
	if why := a.readOnly.Load(); why != nil {
		return slot{}, *why
	}
	to, err := a.protocol.create(ctx, key)
	if errors.Is(err, backend.ErrReadOnly) {
		a.readOnly.Store(&err)
	}
	return to, err
}

// lookup implements [protocol].
func (a *allowed) lookup(ctx context.Context, keys ...string) (key string, content *url.URL, err error) {
	if !a.read {
		return "", nil, ctx.Err()
	}
	return a.protocol.lookup(ctx, keys...)
}
