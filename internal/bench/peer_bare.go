package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// bare copies by the fewest requests that do it, and with nothing around them:
// no retries, no timeouts, no questions whether something is there already.
type bare struct {
	from, to place
	streams  int
	hash     bool // what is sent to a registry too, as clients do that do not leave it to the registry
	previous bool // send only what the manifest at the destination does not name
}

func runBare(ctx context.Context, from, to place, options []string) error {
	b := bare{from: from, to: to}
	flags := flag.NewFlagSet(peerBare, flag.ContinueOnError)
	flags.IntVar(&b.streams, "streams", 4, "how many blobs at a time")
	flags.BoolVar(&b.hash, "hash", false, "hash what is sent to a registry")
	flags.BoolVar(&b.previous, "previous", false, "send only what the previous manifest does not name")
	if err := flags.Parse(options); err != nil {
		return err
	}
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = b.streams //nolint:errcheck // net/http says what it is
	return b.run(ctx)
}

func (b bare) run(ctx context.Context) error {
	data, document, err := b.manifest(ctx, b.from)
	if err != nil {
		return err
	}
	there := map[digest.Digest]bool{}
	if b.previous {
		old, m, err := b.manifest(ctx, b.to)
		if err != nil {
			return err
		}
		if string(old) == string(data) {
			return nil
		}
		for _, d := range append(m.Layers, m.Config) {
			there[d.Digest] = true
		}
	}
	blobs := slices.DeleteFunc(append(slices.Clone(document.Layers), document.Config), func(d ocispec.Descriptor) bool { return there[d.Digest] })
	slices.SortFunc(blobs, func(a, b ocispec.Descriptor) int { return cmp.Compare(b.Size, a.Size) })
	group, ctx2 := errgroup.WithContext(ctx)
	group.SetLimit(b.streams)
	for _, d := range blobs {
		group.Go(func() error { return b.copy(ctx2, d) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return b.putManifest(ctx, data)
}

// manifest reads the document at a place.
func (b bare) manifest(ctx context.Context, at place) ([]byte, ocispec.Manifest, error) {
	if at.layout != "" {
		return readLayout(at.layout)
	}
	resp, err := send(ctx, http.MethodGet, registryURL(at, "manifests/"+refName), nil, 0, http.Header{"Accept": {ocispec.MediaTypeImageManifest}}, http.StatusOK)
	if err != nil {
		return nil, ocispec.Manifest{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, ocispec.Manifest{}, err
	}
	m, err := decodeManifest(data)
	return data, m, err
}

func (b bare) copy(ctx context.Context, d ocispec.Descriptor) error {
	r, err := b.open(ctx, d)
	if err != nil {
		return err
	}
	defer r.Close()
	if b.to.layout != "" {
		return b.write(r, d)
	}
	return b.upload(ctx, r, d)
}

func (b bare) open(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	if b.from.layout != "" {
		return os.Open(blobPath(b.from.layout, d.Digest))
	}
	resp, err := send(ctx, http.MethodGet, registryURL(b.from, "blobs/"+d.Digest.String()), nil, 0, nil, http.StatusOK)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// write hashes and writes a blob, and gives it its name.
func (b bare) write(r io.Reader, d ocispec.Descriptor) error {
	path := blobPath(b.to.layout, d.Digest)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path + ".part")
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.CopyBuffer(io.MultiWriter(hash, f), r, make([]byte, min(256<<10, d.Size+1))); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != d.Digest.Encoded() {
		return fmt.Errorf("blob %s has digest %s", d.Digest, got)
	}
	return os.Rename(path+".part", path)
}

// upload sends a blob in two requests.
func (b bare) upload(ctx context.Context, r io.Reader, d ocispec.Descriptor) error {
	resp, err := send(ctx, http.MethodPost, registryURL(b.to, "blobs/uploads/"), nil, 0, nil, http.StatusAccepted)
	if err != nil {
		return err
	}
	where, err := resp.Location()
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	query := where.Query()
	query.Set("digest", d.Digest.String())
	where.RawQuery = query.Encode()
	if b.hash {
		r = io.TeeReader(r, sha256.New())
	}
	resp, err = send(ctx, http.MethodPut, where.String(), r, d.Size, nil, http.StatusCreated)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (b bare) putManifest(ctx context.Context, data []byte) error {
	if b.to.layout != "" {
		return writeLayout(b.to.layout, data)
	}
	return putManifest(ctx, b.to, data)
}
