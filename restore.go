package larder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/archive"
	"github.com/larder-build/larder/manifest"
)

// RestoreOptions are the options of [Restore].
type RestoreOptions struct {
	// Prefixes are what keys may begin with if there is none like the one asked
	// for, the best first. Of several keys the newest counts.
	Prefixes []string
	// Into is the directory that relative names are in. The default is the
	// working directory.
	Into string
	// Directories are the names of the directories that are wanted; a key that
	// lacks one of them is passed over. By default all directories of a key are
	// restored, none of which may be outside of Into, or below a symbolic link that
	// leads there: the cache says what they are called, and only what is named here
	// is restored to wherever that is.
	Directories []string
	// Exact removes what is in a directory and was not saved.
	Exact bool
	// Check does not rely on what is remembered of a directory, but reads its
	// files to find out which layers it has.
	Check bool
	// Extract are the options of writing the files.
	Extract archive.ExtractOptions
	// Snapshots is the directory in which larder remembers what it has saved
	// and restored where, so that it need not read the files of a directory to
	// know which layers it has. Without it ("") it reads them.
	Snapshots string
	// Progress, if not nil, receives the steps of fetching layers.
	Progress Progress
	// ReadLimit is the largest document to be read, in bytes. The default is
	// buildkit.DefaultReadLimit.
	ReadLimit int64
}

// Found says what [Lookup] found.
type Found struct {
	// Hit says that a key was found, and Exact that it is the one asked for.
	Hit   bool `json:"hit"`
	Exact bool `json:"exact"`
	// Key is the key that was found.
	Key string `json:"key,omitempty"`
	// SavedAt is when it was last saved, and Tool what saved it.
	SavedAt time.Time `json:"savedAt,omitzero"`
	Tool    string    `json:"tool,omitempty"`
	// Source and Ref say where it was found.
	Source string `json:"source,omitempty"`
	Ref    string `json:"ref,omitempty"`
	// Report has an entry for each source.
	*Report

	source int // its position
	target Target
	dirs   []savedDirectory
}

// Restored says what [Restore] did.
type Restored struct {
	*Found
	// Directories has an entry for each directory of the key.
	Directories []*RestoredDirectory `json:"directories,omitempty"`
}

// RestoredDirectory says what was restored of a directory.
type RestoredDirectory struct {
	Name string `json:"name"`
	// Path is where it was restored to.
	Path string `json:"path"`
	// Files and Bytes count what was written.
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	// Fetched counts the layers that were read, and Present those that were not,
	// because the directory has what they hold.
	Fetched Count `json:"fetched"`
	Present Count `json:"present"`
	// Removed are the paths that were removed, because they were not saved.
	Removed []string `json:"removed,omitempty"`
}

// Lookup looks for a key, and then for keys with the given prefixes, in an
// ordered chain of sources: the first that has the key itself serves it, else the
// first that has one with the first prefix, and so on. All sources are read at
// the same time. A source that has nothing or fails is noted in the report; the
// error is nil unless an argument is malformed or the context ends.
func Lookup(ctx context.Context, key string, from []Target, opts RestoreOptions) (*Found, error) {
	found, _, err := lookup(ctx, key, from, opts)
	return found, err
}

// candidate is a key in a source.
type candidate struct {
	source int
	key    string
}

func lookup(ctx context.Context, key string, from []Target, opts RestoreOptions) (*Found, []*Found, error) {
	report := &Report{Schema: Schema}
	none := &Found{Report: report}
	if err := checkKey(key); err != nil {
		return none, nil, err
	}
	sources := make([]Target, len(from))
	for i, t := range from {
		sources[i] = directoryTarget(t)
		if err := sources[i].check(); err != nil {
			return none, nil, err
		}
		report.Sources = append(report.Sources, &SourceReport{Source: t.Backend.Info().Location, Ref: sources[i].Ref})
	}
	names, err := namesOf(opts.Directories)
	if err != nil {
		return none, nil, err
	}
	manifests := readDirectories(ctx, sources, report, opts)
	if err := ctx.Err(); err != nil {
		return none, nil, err
	}
	var all []*Found
	for _, c := range candidates(key, opts.Prefixes, manifests) {
		t := sources[c.source]
		found := &Found{
			Hit: true, Exact: c.key == key, Key: c.key, Source: t.Backend.Info().Location, Ref: t.Ref, Report: report,
			source: c.source, target: t, dirs: directoriesOf(manifests[c.source], c.key),
		}
		if found.choose(names) {
			all = append(all, found)
		}
	}
	if len(all) == 0 {
		return none, nil, nil
	}
	return all[0], all, nil
}

// choose keeps the directories with some names, or all if there are none, and
// reports whether the key has them all.
func (f *Found) choose(names []string) bool {
	if len(names) > 0 {
		f.dirs = slices.DeleteFunc(f.dirs, func(d savedDirectory) bool { return !slices.Contains(names, d.name) })
	}
	if len(f.dirs) < len(names) {
		if f.Exact {
			f.Degradations = append(f.Degradations, Degradation{Kind: DirectoryMissing, Target: f.target.String(), Detail: fmt.Sprintf("key %s is passed over: of the directories asked for it has %d of %d", blob.Quote(f.Key), len(f.dirs), len(names))})
		}
		return false
	}
	for _, d := range f.dirs {
		if d.createdAt.After(f.SavedAt) {
			f.SavedAt, f.Tool = d.createdAt, d.tool
		}
	}
	return true
}

// readDirectories reads the manifests of all sources at the same time.
func readDirectories(ctx context.Context, sources []Target, report *Report, opts RestoreOptions) []*manifest.Manifest {
	manifests := make([]*manifest.Manifest, len(sources))
	problems := make([][]Degradation, len(sources))
	var running sync.WaitGroup
	for i, t := range sources {
		running.Go(func() {
			s := readSource(ctx, t, report.Sources[i], nil, ImportOptions{SkipStat: true, ReadLimit: opts.ReadLimit})
			manifests[i], problems[i] = s.manifest, s.degradations(report.Sources[i])
		})
	}
	running.Wait()
	report.Degradations = slices.Concat(problems...)
	return manifests
}

// candidates returns what may serve a key, the best first.
func candidates(key string, prefixes []string, manifests []*manifest.Manifest) []candidate {
	var all []candidate
	add := func(matches func(string) bool) {
		for i, m := range manifests {
			if m == nil {
				continue
			}
			for _, k := range datedKeys(m) {
				if c := (candidate{i, k.key}); matches(k.key) && !slices.Contains(all, c) {
					all = append(all, c)
				}
			}
		}
	}
	add(func(k string) bool { return k == key })
	for _, prefix := range prefixes {
		add(func(k string) bool { return strings.HasPrefix(k, prefix) })
	}
	return all
}

func (r *Restored) run(ctx context.Context, opts RestoreOptions) error {
	places, err := r.places(opts)
	if err != nil {
		return err
	}
	for i, d := range r.dirs {
		report := &RestoredDirectory{Name: d.name, Path: places[i]}
		r.Directories = append(r.Directories, report)
		u := &unpacking{RestoredDirectory: report, found: r.Found, target: r.target, dir: d, opts: opts, memory: memoryOf(opts.Snapshots, r.Source, places[i])}
		err := u.run(ctx)
		u.giveUp()
		if err != nil {
			return fmt.Errorf("directory %s: %w", places[i], err)
		}
	}
	return nil
}

// unpacking is the restoring of one directory.
type unpacking struct {
	*RestoredDirectory
	found  *Found
	target Target
	dir    savedDirectory
	opts   RestoreOptions
	memory memory
	// before is what is remembered of the directory, and position where a layer
	// stands in it.
	before   *archive.Snapshot
	position map[blob.Digest]int

	mu sync.Mutex
	// awaited are the layers that are to be fetched.
	awaited map[blob.Digest]int64
}

func (u *unpacking) run(ctx context.Context) error {
	if err := u.recall(ctx); err != nil {
		return err
	}
	layers := u.layers()
	var out *archive.Extracted
	if u.Fetched.Blobs > 0 || u.before == nil {
		var err error
		if out, err = archive.Extract(ctx, u.Path, layers, u.extractOptions()); err != nil {
			return u.ofLayer(err)
		}
		u.Files, u.Bytes = len(out.Entries), out.Bytes
	}
	now := u.snapshot(out)
	if u.opts.Exact {
		var err error
		if u.Removed, err = archive.Prune(ctx, u.Path, now.Entries, u.spared()...); err != nil {
			return err
		}
	}
	// Directories that were only moved into by others, or lost something, have
	// changed without having been written.
	if u.Present.Blobs > 0 || len(u.Removed) > 0 {
		if err := archive.Settle(u.Path, now.Entries); err != nil {
			return err
		}
	}
	if err := u.memory.store(now); err != nil {
		u.found.forgot(u.Path, err)
	}
	return nil
}

// spared returns what is not removed though it was not saved.
func (u *unpacking) spared() []string {
	if at := storeIn(u.Path, u.target); at != "" {
		return []string{at}
	}
	return nil
}

// extractOptions lets the files take what was noted when they were saved, which
// may be more than the default bound.
func (u *unpacking) extractOptions() archive.ExtractOptions {
	opts := u.opts.Extract
	if opts.Bounds.MaxSize == 0 {
		opts.Bounds.MaxSize = max(u.dir.bytes, sizeBound(u.dir.layers))
	}
	return opts
}

// isDelta reports whether a layer replaces parts of those below it.
func (u *unpacking) isDelta(i int) bool { return i >= len(u.dir.layers)-u.dir.deltas }

// layers returns the stack, with those layers left out that are there.
func (u *unpacking) layers() []archive.Layer {
	stack := make([]archive.Layer, len(u.dir.layers))
	links := u.links()
	for i, l := range u.dir.layers {
		stack[i].Disjoint = !u.isDelta(i)
		if at, ok := u.position[l.Digest]; ok {
			u.Present.add(l.Size)
			stack[i].Links = links[at]
			u.opts.Progress.step(StepReused, 0, l.Digest, l.Size)
			if !stack[i].Disjoint {
				stack[i].Has = u.before.Names(at)
			}
			continue
		}
		u.Fetched.add(l.Size)
		u.await(l.Descriptor())
		stack[i].TarSize = tarSize(l)
		stack[i].Open = func(ctx context.Context) (io.ReadCloser, error) { return u.open(ctx, l.Descriptor()) }
	}
	return stack
}

// links returns the hard links in what is remembered, by the positions of their
// layers.
func (u *unpacking) links() map[int][]archive.Entry {
	links := make(map[int][]archive.Entry)
	if u.before != nil {
		for i, layer := range u.before.Of {
			if e := &u.before.Entries[i]; e.IsHardLink() {
				links[layer] = append(links[layer], *e)
			}
		}
	}
	return links
}

// open returns a verified reader of a layer.
func (u *unpacking) open(ctx context.Context, d blob.Descriptor) (io.ReadCloser, error) {
	r, err := backend.RawSourceOf(u.target.Backend, d).Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFetch, err)
	}
	return &layerReader{blob.NewReader(r, d), u, d}, nil
}

// layerReader reads a layer and reports it.
type layerReader struct {
	io.ReadCloser
	of *unpacking
	blob.Descriptor
}

func (r *layerReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if n > 0 {
		r.of.opts.Progress.step(StepMoved, 0, r.Digest, int64(n))
	}
	switch {
	case errors.Is(err, io.EOF):
		r.of.settle(StepFetched, r.Digest)
	case err != nil:
		err = fmt.Errorf("%w: %w", errFetch, err)
	}
	return n, err
}

// await announces a layer that is to be fetched.
func (u *unpacking) await(d blob.Descriptor) {
	if u.awaited == nil {
		u.awaited = make(map[blob.Digest]int64)
	}
	u.awaited[d.Digest] = d.Size
	u.opts.Progress.step(StepPlanned, 0, d.Digest, d.Size)
}

// settle reports how it ended with a layer that was awaited.
func (u *unpacking) settle(kind StepKind, d blob.Digest) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if size, ok := u.awaited[d]; ok {
		delete(u.awaited, d)
		u.opts.Progress.step(kind, 0, d, size)
	}
}

// giveUp reports the layers that were not fetched after all.
func (u *unpacking) giveUp() {
	for d := range u.awaited {
		u.settle(StepFailed, d)
	}
}

// snapshot returns what to remember: what was extracted, and of the layers that
// were not read what was known before.
func (u *unpacking) snapshot(out *archive.Extracted) *archive.Snapshot {
	s := &archive.Snapshot{}
	from := make(map[int]int) // positions in the earlier snapshot
	for i, l := range u.dir.layers {
		layer := archive.StackLayer{Digest: l.Digest, DiffID: l.DiffID, MediaType: l.MediaType, Size: l.Size, Annotations: l.Annotations, Delta: u.isDelta(i)}
		if at, ok := u.position[l.Digest]; ok {
			from[at] = i
			layer.Entries, layer.Removed = u.before.Layers[at].Entries, u.before.Layers[at].Removed
		} else {
			layer.Entries, layer.Removed = out.Names[i], out.Removed[i]
		}
		s.Layers = append(s.Layers, layer)
	}
	s.Merge(u.before, from, out)
	return s
}
