package ghaserver

import (
	"slices"
	"strings"
	"time"
)

// identity is what no two entries share.
type identity struct{ scope, key, version string }

// entry is a cache entry from its reservation on.
type entry struct {
	identity

	id       int64
	path     string // of its blob
	reserved time.Time
	created  time.Time // when it was finalized, or zero
	used     time.Time
	settled  bool // it is found however short ago it was finalized
	order    int  // of finalization: times tie
	size     int64
	data     []byte
	uploaded bool
	blocks   map[string][]byte
	chunks   map[int64][]byte // of the first version, by where they begin
}

func (e *entry) finalized() bool { return !e.created.IsZero() }

// name is what the content is called outside the service.
func (e *entry) name() string { return strings.TrimPrefix(e.path, blobsPath) }

// sizeOf returns how much was uploaded for an entry, or -1.
func (s *Server) sizeOf(e *entry) int64 {
	switch {
	case s.options.Contents != nil:
		return s.options.Contents.Size(e.name())
	case e.uploaded:
		return int64(len(e.data))
	default:
		return -1
	}
}

// find returns the entry that a lookup of keys finds in the scopes, or nil. In
// each scope in turn, each key is looked for as it is, and then as the beginning
// of the newest entry's. The first key is the primary one.
func (s *Server) find(scopes, keys []string, version string) *entry {
	for _, scope := range scopes {
		for i, key := range keys {
			if e := s.visible(s.entries[identity{scope, key, version}]); e != nil {
				return e
			}
			if i == 0 && s.options.ExactKey {
				continue
			}
			if e := s.newest(scope, key, version); e != nil {
				return e
			}
		}
	}
	return nil
}

// visible returns e if it can be found yet, else nil.
func (s *Server) visible(e *entry) *entry {
	if e == nil || !e.finalized() || !e.settled && s.options.Now().Before(e.created.Add(s.options.VisibleAfter)) {
		return nil
	}
	return e
}

func (s *Server) newest(scope, prefix, version string) *entry {
	var best *entry
	for id, e := range s.entries {
		if id.scope != scope || id.version != version || !strings.HasPrefix(id.key, prefix) || s.visible(e) == nil {
			continue
		}
		if best == nil || s.isNewer(e, best) {
			best = e
		}
	}
	return best
}

// isNewer reports whether a was finalized after b.
func (s *Server) isNewer(a, b *entry) bool {
	if s.options.CoarseTimes && a.created.Unix() == b.created.Unix() {
		return a.order < b.order
	}
	return a.order > b.order
}

// folded returns keys as the service compares them.
func (s *Server) folded(keys []string) []string {
	folded := slices.Clone(keys)
	for i, key := range keys {
		if s.options.LowerCase {
			folded[i] = strings.ToLower(key)
		}
	}
	return folded
}

// reserve returns a new entry, or nil if there is one or a reservation of one.
func (s *Server) reserve(id identity) *entry {
	now := s.options.Now()
	if old := s.entries[id]; old != nil {
		life := s.options.ReservationLife
		if !s.options.Overwrites && (old.finalized() || life == 0 || now.Before(old.reserved.Add(life))) {
			return nil
		}
		s.remove(old)
	}
	s.serial++
	e := &entry{identity: id, id: s.serial, path: s.blobPath(s.serial), reserved: now, blocks: map[string][]byte{}, chunks: map[int64][]byte{}}
	s.entries[id] = e
	s.blobs[e.path] = e
	return e
}

// finalize makes an entry visible.
func (s *Server) finalize(e *entry) {
	s.finalizations++
	e.order, e.created = s.finalizations, s.options.Now()
	e.used = e.created
	e.size = s.sizeOf(e)
	s.enforceQuota()
}

// enforceQuota evicts what was used least recently.
func (s *Server) enforceQuota() {
	var total int64
	var all []*entry
	for _, e := range s.entries {
		if e.finalized() {
			all = append(all, e)
			total += e.size
		}
	}
	slices.SortFunc(all, func(a, b *entry) int { return a.used.Compare(b.used) })
	for _, e := range all {
		if s.options.Quota == 0 || total <= s.options.Quota {
			return
		}
		total -= e.size
		s.remove(e)
	}
}

func (s *Server) remove(e *entry) {
	delete(s.entries, e.identity)
	delete(s.blobs, e.path)
}

// Entry is what is told of a finalized entry.
type Entry struct {
	Scope, Key, Version string
	Size                int64
	Created             time.Time
}

// Entries returns the finalized entries in the order of their creation.
func (s *Server) Entries() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.sorted()
	all := make([]Entry, len(found))
	for i, e := range found {
		all[i] = Entry{Scope: e.scope, Key: e.key, Version: e.version, Size: e.size, Created: e.created}
	}
	return all
}

// sorted returns the finalized entries in the order of their creation.
func (s *Server) sorted() []*entry {
	var found []*entry
	for _, e := range s.entries {
		if e.finalized() {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b *entry) int { return a.order - b.order })
	return found
}

// Settle has all that was finalized be found, as if time had passed.
func (s *Server) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		e.settled = e.finalized()
	}
}

// Plant puts an entry there, to be found at once, whatever is there already.
func (s *Server) Plant(scope, key, version string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := identity{scope, key, version}
	if old := s.entries[id]; old != nil {
		s.remove(old)
	}
	e := s.reserve(id)
	e.data, e.uploaded, e.settled = slices.Clone(data), true, true
	if s.options.Contents != nil {
		s.options.Contents.Put(e.name(), data)
	}
	s.finalize(e)
}

// Reserve reserves an entry that nobody will finalize, as a client does that
// crashes.
func (s *Server) Reserve(scope, key, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserve(identity{scope, key, version})
}

// Evict removes an entry, as the service does when there are too many, and
// reports whether it was there.
func (s *Server) Evict(scope, key, version string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[identity{scope, key, version}]
	if e != nil {
		s.remove(e)
	}
	return e != nil
}

// DropBlob removes the content of an entry that is still found, which has been
// seen (moby/buildkit#2332), and reports whether it was there.
func (s *Server) DropBlob(scope, key, version string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[identity{scope, key, version}]
	if e != nil {
		delete(s.blobs, e.path)
	}
	if e != nil && s.options.Contents != nil {
		s.options.Contents.Remove(e.name())
	}
	return e != nil
}
