package compress

import (
	"errors"
	"hash"
	"io"
	"strconv"

	"github.com/containerd/stargz-snapshotter/estargz"
	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/blob"
)

// eStargz writes a layer that is a gzip stream with members for the files and
// an index at its end (https://github.com/containerd/stargz-snapshotter,
// docs/estargz.md). The index is a file of the tar too, so that the diffID is
// another one. The library reads a tar; a pipe turns that into writing.
type eStargz struct {
	*io.PipeWriter
	writer  *estargz.Writer
	content contentCounter
	// ended is closed when the library has read all or failed with err.
	ended chan struct{}
	err   error
	toc   blob.Digest
}

func newEStargz(dst io.Writer, opts WriterOptions) *eStargz {
	level := opts.Level
	if level == 0 {
		level = gzip.DefaultCompression
	}
	r, w := io.Pipe()
	e := &eStargz{PipeWriter: w, ended: make(chan struct{})}
	e.content.Compressor = estargz.NewGzipCompressorWithLevel(level)
	e.writer = estargz.NewWriterWithCompressor(dst, &e.content)
	go func() {
		defer close(e.ended)
		if e.err = e.writer.AppendTarLossLess(r); e.err == nil {
			// Archives are padded beyond their end.
			_, e.err = io.Copy(io.Discard, r)
		}
		_ = r.CloseWithError(e.err)
	}()
	return e
}

func (e *eStargz) finish() error {
	_ = e.CloseWithError(nil)
	<-e.ended
	if e.err != nil {
		return e.err
	}
	var err error
	e.toc, err = e.writer.Close()
	return err
}

// errAborted ends the library's reading.
var errAborted = errors.New("aborted")

func (e *eStargz) abort() {
	_ = e.CloseWithError(errAborted)
	<-e.ended
}

// IsEStargz reports whether the annotations of a gzip layer are those of one that
// is an eStargz layer too.
func IsEStargz(annotations map[string]string) bool {
	_, ok := annotations[estargz.TOCJSONDigestAnnotation]
	return ok
}

// DropAnnotations removes those annotations that are about a layer's being an
// eStargz layer.
func DropAnnotations(annotations map[string]string) {
	delete(annotations, estargz.TOCJSONDigestAnnotation)
	delete(annotations, estargz.StoreUncompressedSizeAnnotation)
}

// describe corrects what the index has changed and adds the annotations by
// which a reader finds the index and sizes the layer that it was made from.
func (e *eStargz) describe(layer *Layer) {
	layer.Annotations = map[string]string{
		estargz.TOCJSONDigestAnnotation:         e.toc.String(),
		estargz.StoreUncompressedSizeAnnotation: strconv.FormatInt(layer.UncompressedSize, 10),
	}
	layer.tar = layer.DiffID
	layer.DiffID = blob.Digest(e.writer.DiffID())
	layer.UncompressedSize = e.content.n
}

// contentCounter counts what is compressed, the index included.
type contentCounter struct {
	estargz.Compressor
	n int64
}

func (c *contentCounter) Writer(w io.Writer) (estargz.WriteFlushCloser, error) {
	z, err := c.Compressor.Writer(w)
	return countingCompressor{z, &c.n}, err
}

func (c *contentCounter) WriteTOCAndFooter(w io.Writer, off int64, toc *estargz.JTOC, diffHash hash.Hash) (digest.Digest, error) {
	return c.Compressor.WriteTOCAndFooter(w, off, toc, countingHash{diffHash, &c.n})
}

type countingCompressor struct {
	estargz.WriteFlushCloser
	n *int64
}

func (c countingCompressor) Write(p []byte) (int, error) {
	n, err := c.WriteFlushCloser.Write(p)
	*c.n += int64(n)
	return n, err
}

type countingHash struct {
	hash.Hash
	n *int64
}

func (c countingHash) Write(p []byte) (int, error) {
	*c.n += int64(len(p))
	return c.Hash.Write(p)
}
