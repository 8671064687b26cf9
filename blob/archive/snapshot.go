package archive

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/larder-build/larder/blob"
)

// snapshotVersion begins the stored form of a snapshot, which is larder's own.
const snapshotVersion = 2

// encodedEntry is about what an entry takes, in bytes.
const encodedEntry = 64

// Encode returns the stored form of a snapshot. It means something on the
// machine that the tree is on only.
func (s *Snapshot) Encode() ([]byte, error) {
	plain := append(make([]byte, 0, encodedEntry*len(s.Entries)), snapshotVersion)
	plain = binary.AppendUvarint(plain, uint64(len(s.Layers)))
	for i := range s.Layers {
		plain = s.Layers[i].append(plain)
	}
	plain = appendEntries(plain, s.Entries, true)
	for _, of := range s.Of {
		plain = binary.AppendUvarint(plain, uint64(of)) //nolint:gosec // a position
	}
	return pack(nil, plain)
}

func (l *StackLayer) append(b []byte) []byte {
	for _, s := range []string{l.Digest.String(), l.DiffID.String(), l.MediaType} {
		b = appendText(b, s)
	}
	b = binary.AppendUvarint(b, uint64(l.Size))    //nolint:gosec // not negative
	b = binary.AppendUvarint(b, uint64(l.Entries)) //nolint:gosec // not negative
	b = binary.AppendUvarint(b, uint64(len(l.Annotations)))
	for _, name := range slices.Sorted(maps.Keys(l.Annotations)) {
		b = appendText(appendText(b, name), l.Annotations[name])
	}
	delta := uint64(0)
	if l.Delta {
		delta = 1
	}
	b = binary.AppendUvarint(b, delta)
	b = binary.AppendUvarint(b, uint64(len(l.Removed)))
	for _, at := range l.Removed {
		b = appendText(b, at)
	}
	return b
}

// DecodeSnapshot returns the snapshot with the given stored form. Anything else
// is an error matching [blob.ErrCorrupt].
func DecodeSnapshot(data []byte) (*Snapshot, error) {
	plain, err := unpack(data)
	if err != nil {
		return nil, fmt.Errorf("%w: snapshot: %w", blob.ErrCorrupt, err)
	}
	if len(plain) == 0 || plain[0] != snapshotVersion {
		return nil, fmt.Errorf("%w: snapshot: unknown version", blob.ErrCorrupt)
	}
	p := parser{rest: plain[1:]}
	s := &Snapshot{}
	for n := p.uint(); n > 0 && !p.failed; n-- {
		s.Layers = append(s.Layers, p.layer())
	}
	s.Entries = p.entries(true)
	s.Of = make([]int, len(s.Entries))
	for i := range s.Of {
		of := p.uint()
		p.failed = p.failed || of >= uint64(len(s.Layers))
		s.Of[i] = int(of) //nolint:gosec // checked at once
	}
	if p.failed || len(p.rest) > 0 {
		return nil, fmt.Errorf("%w: snapshot: malformed", blob.ErrCorrupt)
	}
	return s, checkSorted(s.Entries)
}

func (p *parser) layer() StackLayer {
	l := StackLayer{Digest: blob.Digest(p.text()), DiffID: blob.Digest(p.text()), MediaType: p.text(), Size: p.size(), Entries: int(p.size())}
	for n := p.uint(); n > 0 && !p.failed; n-- {
		if l.Annotations == nil {
			l.Annotations = make(map[string]string)
		}
		name := p.text()
		l.Annotations[name] = p.text()
	}
	l.Delta = p.uint() == 1
	for n := p.uint(); n > 0 && !p.failed; n-- {
		l.Removed = append(l.Removed, p.text())
	}
	return l
}
