package larder

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/archive"
)

// Restore brings back the directories that were saved under a key, or one with
// the best of the prefixes, see [Lookup]. That there is none is no error: Found
// says so.
//
// A directory is written when all of its layers have been read and verified. If
// a layer is missing, damaged, larger than it may be, or no layer at all, the
// next best key or source is taken, and if a source fails, the next best other
// source; a [BlobLost] or [SourceFailed] in the report names the layer and says
// why. Directories of the key that were written before that are written again. A
// layer that is whole and would have something done outside of its directory, or
// device nodes made that were not asked for, is no accident: Restore ends with an
// error matching backend.ErrInvalid. So it does if files cannot be written.
//
// What is in a directory and was not saved stays there, unless Exact is set.
func Restore(ctx context.Context, key string, from []Target, opts RestoreOptions) (*Restored, error) {
	found, all, err := lookup(ctx, key, from, opts)
	if err != nil {
		return &Restored{Found: found}, err
	}
	for len(all) > 0 {
		restored := &Restored{Found: all[0]}
		err := restored.run(ctx, opts)
		lost := lossOf(ctx, err)
		if lost == nil {
			return restored, err
		}
		lost.Target = restored.target.String()
		lost.Detail = fmt.Sprintf("key %s is passed over: %v", blob.Quote(restored.Key), err)
		found.Degradations = append(found.Degradations, *lost)
		all = slices.DeleteFunc(all[1:], func(other *Found) bool {
			return lost.Kind == SourceFailed && other.source == restored.source
		})
	}
	return &Restored{Found: &Found{Report: found.Report}}, nil
}

// errFetch marks errors of a store, apart from those of writing files.
var errFetch = errors.New("fetch")

// layerError says which layer an error is about.
type layerError struct {
	digest blob.Digest
	err    error
}

// Error implements error.
func (e *layerError) Error() string { return fmt.Sprintf("layer %s: %v", e.digest, e.err) }

// Unwrap returns the error.
func (e *layerError) Unwrap() error { return e.err }

// ofLayer names the layer that an error of unpacking is about.
func (u *unpacking) ofLayer(err error) error {
	var about *archive.LayerError
	if !errors.As(err, &about) {
		return err
	}
	return &layerError{u.dir.layers[about.Layer].Digest, about.Err}
}

// lossOf returns what an error means to a caller who can do without this key of
// this source, or nil if that is no way out.
func lossOf(ctx context.Context, err error) *Degradation {
	var layer *layerError
	if ctx.Err() != nil || !errors.As(err, &layer) {
		return nil
	}
	d := &Degradation{Kind: BlobLost, Blob: layer.digest}
	switch fetched := errors.Is(err, errFetch); {
	case errors.Is(err, backend.ErrCorrupt), errors.Is(err, backend.ErrTooLarge), fetched && errors.Is(err, backend.ErrNotFound):
		return d
	case fetched:
		d.Kind = SourceFailed
		return d
	default:
		return nil
	}
}
