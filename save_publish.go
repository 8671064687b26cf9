package larder

import (
	"context"
	"errors"
	"slices"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/archive"
)

// read reads what the targets have.
func (s *save) read(ctx context.Context) error {
	s.publishing.each(func(p *publisher) error { return p.read(ctx) })
	return s.publishing.outcome(nil)
}

// distrust has all targets asked for the layers that are to be used again. It
// returns false if they were.
func (s *save) distrust() bool {
	trusted := false
	for _, p := range s.publishing.dests {
		trusted = trusted || p.named != nil
		p.named, p.err = nil, nil
		p.report.Outcome, p.report.Err = "", nil
	}
	return trusted
}

// remembered returns the snapshot of a directory, if all targets still have its
// layers.
func (s *save) remembered(ctx context.Context, d Directory) (*archive.Snapshot, error) {
	snapshot := s.memory(d).load()
	if snapshot == nil {
		return nil, nil
	}
	layers := make([]blob.Descriptor, len(snapshot.Layers))
	for i, l := range snapshot.Layers {
		layers[i] = blob.Descriptor{MediaType: l.MediaType, Digest: l.Digest, Size: l.Size}
	}
	for _, p := range s.publishing.dests {
		has, err := p.has(ctx, layers)
		if err != nil {
			return nil, &targetError{p, err}
		}
		if !has {
			return nil, nil
		}
	}
	return snapshot, nil
}

// has reports whether a target has all of the blobs, and renews the age of those
// that are getting old.
func (p *publisher) has(ctx context.Context, blobs []blob.Descriptor) (bool, error) {
	_, unknown := split(blobs, func(b blob.Descriptor) bool {
		size, ok := p.named[b.Digest]
		return ok && size == b.Size
	})
	there, err := present(p.traced(ctx), p.Backend, unknown)
	if errors.Is(err, backend.ErrDenied) {
		return false, nil // who may not ask may still write
	}
	if err != nil {
		return false, err
	}
	for _, b := range unknown {
		info, ok := there[b.Digest]
		if !ok {
			return false, nil
		}
		if p.stale(info) {
			if err := p.Backend.Put(p.traced(ctx), b, backend.RawSourceOf(p.Backend, b)); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// publish adds the directories to the refs of all targets. Their layers are
// there.
func (s *save) publish(ctx context.Context, dirs []savedDirectory) error {
	m, err := manifestOf(s.key, dirs)
	if err != nil {
		s.report.fail(err)
		return err
	}
	s.publishing.manifest = m
	stored := newTransfer(ContentOf(s.publishing.dests[0].Backend), nil)
	s.publishing.each(func(p *publisher) error {
		if s.unchanged(p, dirs) {
			p.report.Outcome, p.report.Digest = Unchanged, p.previous.digest()
			return nil
		}
		p.reduce = s.bound
		return p.publish(ctx, m, stored)
	})
	return s.publishing.outcome(nil)
}

// unchanged reports whether a target has the directories under the key, and need
// not be written for any other reason.
func (s *save) unchanged(p *publisher, dirs []savedDirectory) bool {
	if p.previous == nil || p.aging(p.previous.Ref) {
		return false
	}
	had := directoriesOf(p.previous.Manifest, s.key)
	for _, d := range dirs {
		same := func(other savedDirectory) bool {
			return other.name == d.name && slices.Equal(other.digests(), d.digests()) && !s.fading(other)
		}
		if !slices.ContainsFunc(had, same) {
			return false
		}
	}
	_, left := s.bound(p.previous.Manifest)
	return len(left) == 0
}
