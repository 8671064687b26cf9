package bucket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

// abortTime bounds how long an upload that has failed is cleared away, and
// abortTimeEnded the same after its context has ended: the caller, who does not
// want to wait any more, has to.
const (
	abortTime      = 10 * time.Second
	abortTimeEnded = 800 * time.Millisecond
)

// partAttempts is how often a part is sent. Without, a blob of a thousand parts
// would start from the beginning for every request that is lost.
const partAttempts = 3

// partWait is the wait before a part is sent again, which doubles. A service
// that asks for more than partPatience is left to the caller.
const (
	partWait     = 200 * time.Millisecond
	partPatience = 5 * time.Second
)

// parts is a blob on its way in parts.
type parts struct {
	b      *Backend
	upload Upload
	want   blob.Descriptor
	size   int64 // of every part but the last
}

// sendParts stores the content in parts, several at a time. It becomes visible
// when all have arrived and the digest of the whole is known to be right.
func (b *Backend) sendParts(ctx context.Context, u Uploader, d blob.Descriptor, r io.ReadCloser, cond backend.Condition) error {
	file := fileOf(r)
	if file != nil && file.Size() != d.Size {
		return sizeError(d, file.Size())
	}
	upload, err := u.StartUpload(ctx, b.opts.Keys.blob(d.Digest), d.Size)
	if err != nil {
		return err
	}
	p := &parts{b: b, upload: upload, want: d, size: b.partSize(d.Size)}
	if file != nil {
		err = p.sendFile(ctx, file)
	} else {
		err = p.sendStream(ctx, r)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = upload.Complete(ctx, cond)
	}
	if err != nil {
		p.abort(ctx)
	}
	return err
}

// partSize returns the size of the parts of a blob, of which there is a largest
// number.
func (b *Backend) partSize(size int64) int64 {
	const unit = 1 << 20
	least := (size + int64(b.features.MaxParts) - 1) / int64(b.features.MaxParts)
	if least <= b.buffers.size {
		return b.buffers.size
	}
	return (least + unit - 1) / unit * unit
}

// abort discards what has been sent. What cannot be discarded now is found
// when the store is pruned.
func (p *parts) abort(ctx context.Context) {
	patience := abortTime
	if ctx.Err() != nil {
		patience = abortTimeEnded
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_ = p.upload.Abort(ctx)
}

// sendFile sends parts of what can be read anywhere, while the whole is
// verified beside.
func (p *parts) sendFile(ctx context.Context, file *io.SectionReader) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		whole := io.NewSectionReader(file, 0, p.want.Size)
		_, err := io.Copy(io.Discard, &untilEnd{ctx, blob.NewReader(io.NopCloser(whole), p.want)})
		return err
	})
	slots := make(chan struct{}, p.b.opts.Concurrency)
	for number := 0; int64(number)*p.size < p.want.Size; number++ {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return group.Wait()
		}
		group.Go(func() error {
			defer func() { <-slots }()
			off := int64(number) * p.size
			n := min(p.size, p.want.Size-off)
			return p.send(ctx, number, Body{Reader: io.NewSectionReader(file, off, n), Size: n, Offset: off})
		})
	}
	return group.Wait()
}

// untilEnd is a reader that ends with a context.
type untilEnd struct {
	ctx context.Context
	io.Reader
}

// Read implements [io.Reader].
func (u *untilEnd) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.Reader.Read(p)
}

// sendStream sends parts of what can be read once, and verifies it on the way.
func (p *parts) sendStream(ctx context.Context, r io.ReadCloser) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, partCtx := errgroup.WithContext(ctx)
	verified := &untilEnd{partCtx, blob.NewReader(r, p.want)}
	own := make(chan *buffer, 1)
	own <- p.b.buffers.get(min(p.size, p.want.Size))
	err := func() error {
		for number := 0; int64(number)*p.size < p.want.Size; number++ {
			n := min(p.size, p.want.Size-int64(number)*p.size)
			buf, err := p.buffer(partCtx, own, n)
			if err != nil {
				return nil // the group knows why
			}
			release := func() {
				if buf.borrowed {
					buf.free()
				} else {
					own <- buf
				}
			}
			if _, err := io.ReadFull(verified, buf.data[:n]); err != nil {
				release()
				return err
			}
			group.Go(func() error {
				defer release()
				return p.send(partCtx, number, Body{Reader: bytes.NewReader(buf.data[:n]), Size: n, Offset: int64(number) * p.size})
			})
		}
		return nil
	}()
	if err != nil {
		cancel()
	}
	sent := group.Wait()
	(<-own).free()
	if err != nil && !errors.Is(err, context.Canceled) || sent == nil {
		return err
	}
	return sent
}

// buffer returns a spare buffer, or else the upload's own as soon as the part
// in it is sent.
func (p *parts) buffer(ctx context.Context, own chan *buffer, n int64) (*buffer, error) {
	select {
	case buf := <-own:
		return buf, nil
	default:
	}
	if buf := p.b.buffers.try(n); buf != nil {
		return buf, nil
	}
	select {
	case buf := <-own:
		return buf, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// send sends one part, again if that may help.
func (p *parts) send(ctx context.Context, number int, body Body) error {
	wait := partWait
	for attempt := 1; ; attempt++ {
		err := p.upload.Part(ctx, number, body)
		f, known := errors.AsType[*Failure](err)
		if !known || !f.Temporary || f.RetryAfter > partPatience || attempt == partAttempts {
			return err
		}
		wait = max(wait, f.RetryAfter)
		backend.TraceRetry(ctx, "put", err, wait)
		if calls.Pause(ctx, wait) != nil {
			return err
		}
		wait *= 2
		if err := rewind(body.Reader); err != nil {
			return err
		}
	}
}

// rewind starts the body of a part from the beginning.
func rewind(r io.Reader) error {
	s, ok := r.(io.Seeker)
	if !ok {
		return errors.New("the content of a part cannot be read again")
	}
	_, err := s.Seek(0, io.SeekStart)
	return err
}
