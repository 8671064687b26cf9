package archive

import (
	"slices"
	"strings"

	"github.com/larder-build/larder/blob"
)

// Snapshot is a tree and the stack of layers that it is in. Kept beside the
// tree, it tells later what has changed without a look at the content.
type Snapshot struct {
	// Layers are the stack, lowest first.
	Layers []StackLayer
	// Entries are the tree, sorted, and Of has for each the position of its
	// layer.
	Entries []Entry
	Of      []int
}

// StackLayer is what a snapshot knows of a layer.
type StackLayer struct {
	// Digest, MediaType, Size and Annotations describe the blob, DiffID is the
	// digest of its tar.
	Digest      blob.Digest
	DiffID      blob.Digest
	MediaType   string
	Size        int64
	Annotations map[string]string
	// Entries is how many names the layer has, those included that a layer
	// above it replaces.
	Entries int
	// Delta says that the layer lies above those that are cut by [Split], and
	// replaces or removes some of what they have. Layers that are no deltas have
	// nothing in common with each other, and come first.
	Delta bool
	// Removed are the paths that a delta removes.
	Removed []string
}

// Pack is a layer of a [Plan].
type Pack struct {
	// Reuse is the position of the layer of the earlier snapshot that this one
	// is, or -1 if it is to be written.
	Reuse int
	// Entries are what to write: those of the tree, and for a delta what it
	// removes.
	Entries []Entry
	// Delta says that the pack is one, see [StackLayer].
	Delta bool
}

// When changes become a delta: if fewer than one in deltaShare files of the
// packs that they are in have changed, and all deltas together take less than a
// quarter of the stack.
const (
	deltaShare  = 10
	repackShare = 4
)

// Plan returns the stack of layers for a tree of which an earlier state is known,
// or nothing (nil). What has not changed is taken over. Where few of many files
// have changed, they come in a delta on top of the earlier stack; else the packs
// that they are in are written anew. A size of 0 means DefaultPackSize.
func Plan(before *Snapshot, now []Entry, size int64) []Pack {
	p := planner{now: now, size: size}
	if before != nil {
		p.before = before
		p.compare()
	}
	packs := p.packs()
	if delta := p.delta(packs); delta != nil {
		return delta
	}
	return packs
}

type planner struct {
	before *Snapshot
	now    []Entry
	size   int64
	// was has for each entry its layer in the earlier snapshot, or -1 if it is
	// new or has changed.
	was []int
	// removed are the paths that are no more, without those below them.
	removed []string
}

// compare finds out what has changed.
func (p *planner) compare() {
	p.was = make([]int, len(p.now))
	i := 0
	for j := range p.now {
		for i < len(p.before.Entries) && comparePaths(p.before.Entries[i].Path, p.now[j].Path) < 0 {
			p.gone(p.before.Entries[i].Path)
			i++
		}
		p.was[j] = -1
		if i < len(p.before.Entries) && p.before.Entries[i].Path == p.now[j].Path {
			if p.before.Entries[i].Same(&p.now[j]) {
				p.was[j] = p.before.Of[i]
			}
			i++
		}
	}
	for ; i < len(p.before.Entries); i++ {
		p.gone(p.before.Entries[i].Path)
	}
}

func (p *planner) gone(at string) {
	if n := len(p.removed); n == 0 || !strings.HasPrefix(at, p.removed[n-1]+"/") {
		p.removed = append(p.removed, at)
	}
}

// packs cuts the tree, and finds the packs that are there already.
func (p *planner) packs() []Pack {
	var packs []Pack
	start := 0
	for _, end := range Split(p.now, p.size) {
		pack := Pack{Reuse: -1, Entries: p.now[start:end]}
		if p.before != nil {
			pack.Reuse = p.same(start, end)
		}
		packs = append(packs, pack)
		start = end
	}
	return packs
}

// same returns the earlier layer that has just these entries, or -1.
func (p *planner) same(start, end int) int {
	l := p.was[start]
	if l < 0 || p.before.Layers[l].Delta || p.before.Layers[l].Entries != end-start {
		return -1
	}
	for _, was := range p.was[start+1 : end] {
		if was != l {
			return -1
		}
	}
	return l
}

// delta returns the earlier stack with what has changed on top, or nil if the
// packs are better written anew.
func (p *planner) delta(packs []Pack) []Pack {
	if p.before == nil || len(p.before.Layers) == 0 {
		return nil
	}
	var changed []Entry
	var files, bytes int64
	for i := range p.now {
		if p.was[i] >= 0 {
			continue
		}
		changed = append(changed, p.now[i])
		bytes += p.now[i].Size + overhead
		if !p.now[i].Mode.IsDir() {
			files++
		}
	}
	changed = append(changed, removals(p.removed)...)
	if len(changed) > 0 && ((files+int64(len(p.removed)))*deltaShare >= touched(packs) || p.deltaBytes()+bytes > p.stackBytes()/repackShare) {
		return nil
	}
	stack := p.alive()
	if len(changed) == 0 {
		return stack
	}
	slices.SortFunc(changed, func(a, b Entry) int { return comparePaths(a.Path, b.Path) })
	return append(stack, Pack{Reuse: -1, Entries: changed, Delta: true})
}

// alive returns the layers of the earlier stack that the tree needs: those of
// which something is left, and those that remove something.
func (p *planner) alive() []Pack {
	live := make([]int, len(p.before.Layers))
	for _, was := range p.was {
		if was >= 0 {
			live[was]++
		}
	}
	stack := make([]Pack, 0, len(live)+1)
	for i, l := range p.before.Layers {
		if live[i] > 0 || len(l.Removed) > 0 {
			stack = append(stack, Pack{Reuse: i, Delta: l.Delta})
		}
	}
	return stack
}

func removals(paths []string) []Entry {
	entries := make([]Entry, len(paths))
	for i, at := range paths {
		entries[i] = Entry{Path: at, Removed: true}
	}
	return entries
}

// touched counts the files of the packs that would have to be written.
func touched(packs []Pack) int64 {
	var files int64
	for _, pack := range packs {
		if pack.Reuse >= 0 {
			continue
		}
		for i := range pack.Entries {
			if !pack.Entries[i].Mode.IsDir() {
				files++
			}
		}
	}
	return files
}

func (p *planner) stackBytes() int64 {
	var total int64
	for _, l := range p.before.Layers {
		total += l.Size
	}
	return total
}

func (p *planner) deltaBytes() int64 {
	var total int64
	for _, l := range p.before.Layers {
		if l.Delta {
			total += l.Size
		}
	}
	return total
}

// Intact says of each layer whether the tree, as it is listed now, still has what
// the layer has in the snapshot, unchanged. Of a layer of which a part was replaced
// by those above it, what is left is enough for a stack that is extended, which has
// the same layers below its further ones; elsewhere the part would be missing.
func (s *Snapshot) Intact(now []Entry, extended bool) []bool {
	p := planner{before: s, now: now}
	p.compare()
	same, left := make([]int, len(s.Layers)), make([]int, len(s.Layers))
	for _, l := range p.was {
		if l >= 0 {
			same[l]++
		}
	}
	for _, l := range s.Of {
		left[l]++
	}
	intact := make([]bool, len(s.Layers))
	for i := range intact {
		intact[i] = same[i] == left[i] && (extended || left[i] == s.Layers[i].Entries)
	}
	return intact
}

// Names returns what a layer has and removes, sorted, as far as no layer above
// replaces it.
func (s *Snapshot) Names(layer int) []Entry {
	names := removals(s.Layers[layer].Removed)
	for i, of := range s.Of {
		if of == layer {
			names = append(names, s.Entries[i])
		}
	}
	slices.SortFunc(names, func(a, b Entry) int { return comparePaths(a.Path, b.Path) })
	return names
}

// Merge fills in the entries of a snapshot whose layers are known: those that
// were extracted, and those of an earlier snapshot whose layers are, as from
// says, layers of this one too. Either may be nil.
func (s *Snapshot) Merge(before *Snapshot, from map[int]int, out *Extracted) {
	var extracted, kept owned
	if out != nil {
		extracted = owned{entries: out.Entries, of: out.Of}
	}
	if before != nil {
		kept = owned{entries: before.Entries, of: before.Of, moved: true, to: from}
	}
	over := s.over(extracted, kept)
	if len(over) == 0 && len(kept.entries) == 0 {
		s.Entries, s.Of = extracted.entries, extracted.of // as many as there are files
		return
	}
	most := len(extracted.entries) + len(kept.entries)
	s.Entries, s.Of = make([]Entry, 0, most), make([]int, 0, most)
	for {
		e, of := extracted.or(&kept)
		if e == nil {
			return
		}
		if n := len(s.Entries); n > 0 && s.Entries[n-1].Path == e.Path || coveredBy(over, e.Path, of) {
			continue // extracted over what was there, or removed
		}
		s.Entries, s.Of = append(s.Entries, *e), append(s.Of, of)
	}
}

// owned are sorted entries with the positions of their layers. If those have
// moved, to says where; the entries of others do not count.
type owned struct {
	entries []Entry
	of      []int
	moved   bool
	to      map[int]int
}

// layer returns the layer of an entry.
func (o *owned) layer(i int) (layer int, ok bool) {
	if !o.moved {
		return o.of[i], true
	}
	layer, ok = o.to[o.of[i]]
	return layer, ok
}

// first returns the first entry that counts, or nil if there is none.
func (o *owned) first() (*Entry, int) {
	for ; len(o.entries) > 0; o.drop() {
		if layer, ok := o.layer(0); ok {
			return &o.entries[0], layer
		}
	}
	return nil, 0
}

func (o *owned) drop() { o.entries, o.of = o.entries[1:], o.of[1:] }

// or takes the first of the entries of two, that of o if they have the same path.
// In the end it is nil.
func (o *owned) or(other *owned) (*Entry, int) {
	e, of := o.first()
	f, otherOf := other.first()
	if e == nil || f != nil && comparePaths(f.Path, e.Path) < 0 {
		o, e, of = other, f, otherOf
	}
	if e != nil {
		o.drop()
	}
	return e, of
}

// over returns the uppermost layers that remove or replace all below a path: only
// deltas lie over anything.
func (s *Snapshot) over(all ...owned) map[string]int {
	over := make(map[string]int)
	for i, l := range s.Layers {
		for _, at := range l.Removed {
			over[at] = i
		}
	}
	for _, o := range all {
		for i := range o.entries {
			of, ok := o.layer(i)
			if e := &o.entries[i]; ok && s.Layers[of].Delta && !e.Mode.IsDir() {
				over[e.Path] = max(over[e.Path], of)
			}
		}
	}
	return over
}

// coveredBy reports whether a layer above the given one removes or replaces a
// path or a directory that it is in.
func coveredBy(over map[string]int, at string, layer int) bool {
	for ; at != ""; at, _ = split(at) {
		if over[at] > layer {
			return true
		}
	}
	return false
}
