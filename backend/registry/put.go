package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/calls"
)

// askFirst is the size from which on it pays to ask whether a blob is there
// before it is sent.
const askFirst = 1 << 20

// Put sends a blob, and leaves it to the registry to check the digest. Content
// that is a file, an [os.File] or what has the method File of package local's
// readers, is left to the kernel to send. Blobs of a megabyte or more that are
// there already are not sent.
func (b *Backend) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	err := blob.CheckDescriptor(d)
	if err == nil {
		err = b.life.Call(ctx, func(ctx context.Context) error { return b.put(ctx, d, src) })
	}
	return fail("put", calls.DigestKey(d.Digest), err)
}

func (b *Backend) put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	if isManifest(d.MediaType) {
		return b.putChild(ctx, d, src)
	}
	if d.Size >= askFirst && !backend.IsAbsent(ctx) {
		size, err := b.head(ctx, pathOf(d))
		if err == nil && (size == d.Size || size < 0) {
			return nil
		}
		if err != nil && !errors.Is(err, backend.ErrNotFound) {
			return err
		}
	}
	for tries := 1; ; tries++ {
		err := b.upload(ctx, d, src)
		if tries == maxGrants || !errors.Is(err, errUnsent) && !errors.Is(err, errSpoilt) {
			return err
		}
	}
}

// putChild stores a manifest that another one refers to.
func (b *Backend) putChild(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	data, err := blob.ReadAll(ctx, d, src, maxDocument)
	if err != nil {
		return err
	}
	return b.putManifest(ctx, "put manifest", d.Digest.String(), backend.Document{MediaType: d.MediaType, Data: data})
}

// upload sends a blob in one upload, which takes a request to begin with and
// another for the content, or several.
func (b *Backend) upload(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	u := &upload{b: b, d: d, src: src, chunk: d.Size}
	if b.opts.ChunkSize > 0 {
		u.chunk = min(d.Size, b.opts.ChunkSize)
	}
	if err := u.begin(ctx); err != nil {
		return err
	}
	err := u.run(ctx)
	if _, broken := errors.AsType[*sourceError](err); broken {
		b.abandon(ctx, u.session)
	}
	if err != nil && ctx.Err() != nil {
		b.remember(u)
	}
	return err
}

// startUpload returns where the content is to be sent.
func (b *Backend) startUpload(ctx context.Context) (*url.URL, error) {
	resp, err := b.ask(ctx, "start upload", http.MethodPost, "blobs/uploads/", b.session.push(), nil, http.StatusAccepted)
	if err != nil {
		return nil, err
	}
	defer discard(resp)
	return location(resp)
}

// location returns where a response sends the caller, which may be relative.
func location(resp *http.Response) (*url.URL, error) {
	value := resp.Header.Get("Location")
	u, err := resp.Request.URL.Parse(value)
	if err != nil || value == "" {
		return nil, fmt.Errorf("%w: %s has begun an upload without saying where", backend.ErrUnavailable, resp.Request.URL.Host)
	}
	if u.Host == resp.Request.URL.Host {
		// A registry behind a proxy may not know that it is reached by TLS.
		u.Scheme = resp.Request.URL.Scheme
	}
	return u, nil
}

// abandon tells the registry that an upload will not be completed. It would
// find out by itself some day.
func (b *Backend) abandon(ctx context.Context, session *url.URL) {
	if ctx.Err() != nil {
		return
	}
	resp, err := b.do(ctx, request{op: "cancel upload", method: http.MethodDelete, url: session, scopes: b.session.push()},
		http.StatusNoContent, http.StatusOK, http.StatusAccepted, http.StatusNotFound)
	if err == nil {
		discard(resp)
	}
}

// completed returns the URL that completes an upload. Its query is added to,
// not written anew, because it may be signed.
func completed(session *url.URL, d blob.Digest) *url.URL {
	u := *session
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += url.Values{"digest": {d.String()}}.Encode()
	return &u
}

// sendWhole sends the content in one request.
func (b *Backend) sendWhole(ctx context.Context, d blob.Descriptor, src blob.Source, session *url.URL) error {
	ctx, cancel := context.WithCancel(ctx)
	r, err := src.Open(ctx)
	if err != nil {
		cancel()
		return &sourceError{fmt.Errorf("open the content: %w", err)}
	}
	p := newPart(newContent(ctx, r, d), d.Size)
	// The source is not read any more, and closed, when Put returns, whatever
	// net/http still does with the body.
	defer func() { cancel(); p.end(); _ = r.Close() }()
	body, err := bodyOf(r, d, p)
	if err != nil {
		return err
	}
	return b.complete(ctx, d, session, request{body: body, length: d.Size}, p)
}

// complete sends the request that ends an upload.
func (b *Backend) complete(ctx context.Context, d blob.Descriptor, session *url.URL, r request, p *part) error {
	if d.Size == 0 { // there is no body to find an error
		if _, err := p.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			return p.failure(err)
		}
	}
	r.op, r.method, r.url, r.scopes = "upload", http.MethodPut, completed(session, d.Digest), b.session.push()
	r.header = http.Header{"Content-Type": {"application/octet-stream"}}
	resp, err := b.do(ctx, r, http.StatusCreated)
	if err != nil {
		return p.failure(err)
	}
	discard(resp)
	return nil
}

// filer is a reader of a local file, as package local's: the n bytes from the
// file's present offset on.
type filer interface {
	File() (f *os.File, n int64)
}

// bodyOf returns the body of a request for the content that r yields: the file
// behind it, if there is one of the right length, for net/http to hand to the
// kernel; else p.
func bodyOf(r io.Reader, d blob.Descriptor, p *part) (io.ReadCloser, error) {
	f, left := fileOf(r)
	if f == nil {
		return p, nil
	}
	if left != d.Size {
		return nil, &sourceError{sizeError(d, left)}
	}
	return fileBody{f}, nil
}

func fileOf(r io.Reader) (f *os.File, left int64) {
	switch r := r.(type) {
	case filer:
		return r.File()
	case *os.File:
		info, err := r.Stat()
		if err != nil || !info.Mode().IsRegular() {
			return nil, 0
		}
		offset, err := r.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, 0
		}
		return r, info.Size() - offset
	default:
		return nil, 0
	}
}

// fileBody is a file that net/http does not close. It has what package net
// looks for before it has the kernel copy a file.
type fileBody struct{ *os.File }

// Close leaves the file to the source's reader.
func (fileBody) Close() error { return nil }
