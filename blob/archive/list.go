package archive

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/larder-build/larder/blob"
)

// A list is entries in a compact form: each path without what it shares with
// the one before, numbers in as few bytes as they need, all of it compressed. It
// is larder's own form, and begins with its version.
const (
	listVersion      = 1
	listWithStats    = 1 << 0
	maxListExpansion = 1 << 30 // bytes
	listWindow       = 1 << 20 // bytes
	// removedBit marks what is removed, among the bits of a mode: package fs uses
	// the lower nine and the upper ones.
	removedBit = 1 << 9
)

// AppendList appends a list of entries to buf, with what identifies the state of
// the files only if stats is set: that means nothing on another machine.
func AppendList(buf []byte, entries []Entry, stats bool) ([]byte, error) {
	plain := []byte{listVersion, 0}
	if stats {
		plain[1] |= listWithStats
	}
	return pack(buf, appendEntries(plain, entries, stats))
}

// pack appends data in its compressed form, which has a checksum.
func pack(buf, data []byte) ([]byte, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(listWindow), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return z.EncodeAll(data, buf), nil
}

// unpack undoes pack.
func unpack(data []byte) ([]byte, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxListExpansion))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return z.DecodeAll(data, nil)
}

func appendEntries(b []byte, entries []Entry, stats bool) []byte {
	b = binary.AppendUvarint(b, uint64(len(entries)))
	last := ""
	for i := range entries {
		b = appendEntry(b, &entries[i], last, stats)
		last = entries[i].Path
	}
	return b
}

func appendEntry(b []byte, e *Entry, last string, stats bool) []byte {
	shared := 0
	for shared < min(len(last), len(e.Path)) && last[shared] == e.Path[shared] {
		shared++
	}
	b = binary.AppendUvarint(b, uint64(shared))
	b = appendText(b, e.Path[shared:])
	mode := uint64(e.Mode)
	if e.Removed {
		mode |= removedBit
	}
	b = binary.AppendUvarint(b, mode)
	b = binary.AppendUvarint(b, uint64(e.Size))
	b = binary.AppendVarint(b, e.ModTime.Unix())
	b = binary.AppendUvarint(b, uint64(e.ModTime.Nanosecond()))
	b = appendText(b, e.Link)
	for _, n := range []uint64{uint64(e.UID), uint64(e.GID), uint64(e.Major), uint64(e.Minor)} {
		b = binary.AppendUvarint(b, n)
	}
	if !stats {
		return b
	}
	b = binary.AppendVarint(b, e.Stat.ChangeTime)
	for _, n := range []uint64{e.Stat.Inode, e.Stat.Device, e.Stat.Links, uint64(e.Stat.Blocks)} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// ParseList returns the entries of a list. Anything else, and a list with paths
// that leave the directory or are not sorted, is an error matching
// [blob.ErrCorrupt].
func ParseList(data []byte) ([]Entry, error) {
	plain, err := unpack(data)
	if err != nil {
		return nil, fmt.Errorf("%w: list of files: %w", blob.ErrCorrupt, err)
	}
	if len(plain) < 2 || plain[0] != listVersion {
		return nil, fmt.Errorf("%w: list of files: unknown version", blob.ErrCorrupt)
	}
	p := parser{rest: plain[2:]}
	entries := p.entries(plain[1]&listWithStats != 0)
	if p.failed || len(p.rest) > 0 {
		return nil, fmt.Errorf("%w: list of files: malformed", blob.ErrCorrupt)
	}
	return entries, checkSorted(entries)
}

func checkSorted(entries []Entry) error {
	for i := range entries {
		if err := checkPath(entries[i].Path); err != nil || i > 0 && comparePaths(entries[i-1].Path, entries[i].Path) >= 0 {
			return fmt.Errorf("%w: list of files: path %s is out of place", blob.ErrCorrupt, blob.Quote(entries[i].Path))
		}
	}
	return nil
}

// parser takes values off the front of its input, until that is malformed.
type parser struct {
	rest   []byte
	failed bool
}

// minEntry is the least that an entry takes, in bytes. It bounds what a count
// can make the parser allocate.
const minEntry = 11

func (p *parser) entries(stats bool) []Entry {
	n := p.uint()
	if n > uint64(len(p.rest))/minEntry {
		p.failed = true
		return nil
	}
	entries := make([]Entry, n)
	last := ""
	for i := range entries {
		if p.failed {
			return nil
		}
		p.entry(&entries[i], last, stats)
		last = entries[i].Path
	}
	return entries
}

func (p *parser) entry(e *Entry, last string, stats bool) {
	shared := p.uint()
	if shared > uint64(len(last)) {
		p.failed = true
		return
	}
	e.Path = last[:shared] + string(p.bytes())
	mode := p.uint()
	e.Mode, e.Removed = fs.FileMode(mode&^removedBit), mode&removedBit != 0 //nolint:gosec // was one
	e.Size = p.size()
	sec, nsec := p.int(), p.uint()
	e.ModTime = time.Unix(sec, int64(nsec%1e9)) //nolint:gosec // below 1e9
	e.Link = p.text()
	e.UID, e.GID = int(p.size()), int(p.size())
	e.Major, e.Minor = uint32(p.uint()), uint32(p.uint()) //nolint:gosec // were ones
	if stats {
		e.Stat = Stat{ChangeTime: p.int(), Inode: p.uint(), Device: p.uint(), Links: p.uint(), Blocks: p.size()}
	}
}

func (p *parser) uint() uint64 {
	n, size := binary.Uvarint(p.rest)
	if size <= 0 {
		p.failed, p.rest = true, nil
		return 0
	}
	p.rest = p.rest[size:]
	return n
}

func (p *parser) int() int64 {
	n, size := binary.Varint(p.rest)
	if size <= 0 {
		p.failed, p.rest = true, nil
		return 0
	}
	p.rest = p.rest[size:]
	return n
}

// size takes a number that is not negative as a signed one.
func (p *parser) size() int64 {
	n := int64(p.uint()) //nolint:gosec // checked at once
	if n < 0 {
		p.failed = true
		return 0
	}
	return n
}

func (p *parser) text() string { return string(p.bytes()) }

// bytes takes a text as it lies in the input.
func (p *parser) bytes() []byte {
	n := p.uint()
	if n > uint64(len(p.rest)) {
		p.failed, p.rest = true, nil
		return nil
	}
	b := p.rest[:n]
	p.rest = p.rest[n:]
	return b
}
