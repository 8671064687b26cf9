package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

// askFirst is the size from which on it pays to ask whether a blob is there
// before it is sent, unless the caller has just done so. Smaller ones are read
// whole and sent on the condition that they are not there. The larger ones must
// not be: MinIO locks an object as long as it receives it on a condition, and
// lets everybody wait who asks for it.
const askFirst = 1 << 20

// maxRaces is how often a blob may come or go while it is being put.
const maxRaces = 3

// Put stores a blob. What is there with the right size is left, and its age
// renewed if it is older than half of Options.RefreshAge.
func (b *Backend) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	err := blob.CheckDescriptor(d)
	if err == nil {
		err = b.life.Call(ctx, func(ctx context.Context) error { return b.put(ctx, d, src) })
	}
	return b.fail("put", calls.DigestKey(d.Digest), err)
}

func (b *Backend) put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	ask := d.Size >= askFirst && !backend.IsAbsent(ctx)
	for race := 1; ; race++ {
		cond, done, err := b.prepare(ctx, d, src, ask)
		if err != nil || done {
			return err
		}
		err = b.send(ctx, d, src, cond)
		switch {
		case race == maxRaces:
			return err
		case errors.Is(err, backend.ErrConflict):
			ask = true // somebody else has put it
		case errors.Is(err, backend.ErrUnsupported) && cond.IsAbsent():
			b.careless.Store(true)
		default:
			return err
		}
	}
}

// prepare returns the condition to put a blob on, unless it is there.
func (b *Backend) prepare(ctx context.Context, d blob.Descriptor, src blob.Source, ask bool) (cond backend.Condition, done bool, err error) {
	create := backend.Always
	if b.features.Create && !b.careless.Load() {
		create = backend.Absent
	}
	if !ask {
		return create, false, nil
	}
	switch o, err := b.store.Head(ctx, b.opts.Keys.blob(d.Digest)); {
	case err == nil && o.Size == d.Size:
		return cond, true, b.renew(ctx, d, src, o)
	case err == nil:
		return backend.Always, false, nil
	case errors.Is(err, backend.ErrNotFound), errors.Is(err, backend.ErrDenied): // who may not ask may still write
		return create, false, nil
	default:
		return cond, false, err
	}
}

// ageResolution is how exact the times are that stores tell: some answers have
// whole seconds where others have fractions.
const ageResolution = time.Second

// renew starts the age of a blob anew, if it is old. A store that cannot do so
// by itself is given the content once more.
func (b *Backend) renew(ctx context.Context, d blob.Descriptor, src blob.Source, o Object) error {
	if b.features.NoAges || b.opts.RefreshAge > 0 && b.opts.Now().Sub(o.ModTime) <= b.opts.RefreshAge/2 {
		return nil
	}
	if t, ok := b.store.(Toucher); ok {
		touched, err := t.Touch(ctx, b.opts.Keys.blob(d.Digest), o)
		switch {
		case errors.Is(err, backend.ErrNotFound), errors.Is(err, backend.ErrUnsupported): // send it
		case err != nil:
			return err
		case touched.ModTime.Sub(o.ModTime) >= ageResolution:
			return nil
		}
	}
	return b.send(ctx, d, src, backend.Always)
}

// send stores the content of a blob.
func (b *Backend) send(ctx context.Context, d blob.Descriptor, src blob.Source, cond backend.Condition) error {
	r, err := src.Open(ctx)
	if err != nil {
		return fmt.Errorf("open the content: %w", err)
	}
	leave := sync.OnceFunc(func() { _ = r.Close() })
	defer leave()
	if u, ok := b.store.(Uploader); ok && d.Size > b.partsFrom() {
		return b.sendParts(ctx, u, d, r, cond)
	}
	return b.sendWhole(ctx, d, r, leave, cond)
}

// sendWhole stores the content in one step. It leaves the reader as soon as it has
// read a small content, which may wait for others.
func (b *Backend) sendWhole(ctx context.Context, d blob.Descriptor, r io.ReadCloser, leave func(), cond backend.Condition) error {
	if d.Size >= askFirst {
		cond = backend.Always
	}
	body := Body{Size: d.Size, Digest: d.Digest}
	file := fileOf(r)
	switch {
	case file != nil && file.Size() != d.Size:
		return sizeError(d, file.Size())
	case file != nil && b.features.VerifiesDigest && d.Size > 0:
		body.Reader = file
		_, err := b.store.Put(ctx, b.opts.Keys.blob(d.Digest), body, cond)
		return err
	}
	c := b.newContent(ctx, r, d)
	defer c.end()
	body.Reader = c
	if d.Size < askFirst {
		data := make([]byte, d.Size)
		if err := c.readAll(data); err != nil {
			return err
		}
		c.end()
		leave()
		body.Reader = bytes.NewReader(data)
	}
	_, err := b.store.Put(ctx, b.opts.Keys.blob(d.Digest), body, cond)
	return c.failure(err)
}
