package larder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/archive"
	"github.com/larder-build/larder/blob/compress"
	"github.com/larder-build/larder/manifest"
)

// SaveOptions are the options of [Save].
type SaveOptions struct {
	// Skip, if not nil, is asked for each name below a directory, with its path
	// in slashes; what it returns true for is not saved.
	Skip func(path string, dir bool) bool
	// Compression and Level are those of the layers; the default is zstd with
	// its fastest level.
	Compression compress.Compression
	Level       int
	// PackSize is about how many bytes of files a layer has. The default is
	// archive.DefaultPackSize.
	PackSize int64
	// Keep says what is kept of the files beside content, modes and times.
	Keep archive.WriteOptions
	// Snapshots is the directory in which larder remembers what it has saved
	// and restored where, so that the next call need not read what has not
	// changed. Without it ("") every file is read.
	Snapshots string
	// Tool names the program that saves, with its version, in what it saves.
	Tool string
	// Export are the options of publishing.
	Export ExportOptions
}

// saveLevel is the level of zstd that keeps two cores busy with reading files;
// the next one takes half as much time again for a tenth fewer bytes.
const saveLevel = 1

func (o SaveOptions) withDefaults() SaveOptions {
	if o.Compression == "" {
		o.Compression = compress.Zstd
		o.Level = cmp.Or(o.Level, saveLevel)
	}
	o.Export = o.Export.withDefaults()
	return o
}

// SaveReport says what [Save] did.
type SaveReport struct {
	// Key is the key under which the directories are.
	Key string `json:"key"`
	// Directories has an entry for each directory, in the order given.
	Directories []*SavedDirectory `json:"directories"`
	// Report is that of publishing; it is nil if nothing had changed.
	*Report
}

// SavedDirectory says what was saved of a directory.
type SavedDirectory struct {
	Name string `json:"name"`
	// Files counts the names in the directory, and Bytes the content of files.
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	// Layers is how many layers hold it; Written counts those that were made,
	// as they are stored.
	Layers  int   `json:"layers"`
	Written Count `json:"written"`
	// Delta says that what has changed was put on top of what was there.
	Delta bool `json:"delta,omitempty"`
}

// Save stores directories under a key, in the refs of the targets with
// [DirectorySuffix]. What else those have stays. Of a directory whose state it
// remembers it reads only what has changed; if nothing has, it sends nothing and
// publishes nothing.
//
// A file that changes while it is read makes Save begin with that directory
// again, a few times; then the error matches [archive.ErrChanged]. Targets fail
// together: after an error none of them has the key.
func Save(ctx context.Context, key string, dirs []Directory, to []Target, opts SaveOptions) (*SaveReport, error) {
	report := &SaveReport{Key: key}
	if err := checkKey(key); err != nil {
		return report, err
	}
	s := &save{opts: opts.withDefaults(), report: report}
	for _, t := range to {
		s.to = append(s.to, directoryTarget(t))
	}
	if err := cmp.Or(checkTargets(s.to), compress.CheckLevel(s.opts.Compression, s.opts.Level)); err != nil {
		return report, err
	}
	for _, d := range dirs {
		d, err := d.withDefaults()
		if err != nil {
			return report, err
		}
		s.dirs = append(s.dirs, d)
	}
	if len(dirs) == 0 {
		return report, fmt.Errorf("%w: no directory to save", backend.ErrInvalid)
	}
	return report, s.run(ctx, key)
}

type save struct {
	opts   SaveOptions
	report *SaveReport
	to     []Target
	dirs   []Directory
	// named are the blobs that each target's manifest names.
	named []map[blob.Digest]bool
}

func (s *save) run(ctx context.Context, key string) error {
	had, err := s.previous(ctx, key)
	if err != nil {
		return err
	}
	saved := make([]savedDirectory, len(s.dirs))
	snapshots := make([]*archive.Snapshot, len(s.dirs))
	for i, d := range s.dirs {
		if saved[i], snapshots[i], err = s.directory(ctx, d); err != nil {
			return fmt.Errorf("save %s: %w", d.Path, err)
		}
	}
	if !sameDirectories(had, saved) {
		if err := s.publish(ctx, key, saved); err != nil {
			return err
		}
	}
	for i, d := range s.dirs {
		if err := s.memory(d).store(snapshots[i]); err != nil {
			return err
		}
	}
	return nil
}

// previous returns what all targets have under the key, or nothing if they
// differ.
func (s *save) previous(ctx context.Context, key string) ([]savedDirectory, error) {
	s.named = make([]map[blob.Digest]bool, len(s.to))
	var common []savedDirectory
	for i, t := range s.to {
		found, err := load(ctx, t, s.opts.Export.ReadLimit)
		var dirs []savedDirectory
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil: // else publishing finds out and says what is to be said
			dirs = directoriesOf(found.Manifest, key)
			s.named[i] = make(map[blob.Digest]bool)
			for _, b := range found.Manifest.Blobs() {
				s.named[i][b.Digest] = true
			}
		}
		if i == 0 {
			common = dirs
		} else if !sameDirectories(common, dirs) {
			common = nil
		}
	}
	return common, nil
}

func sameDirectories(a, b []savedDirectory) bool {
	b = slices.Clone(b)
	slices.SortFunc(b, func(x, y savedDirectory) int { return cmp.Compare(x.name, y.name) })
	return slices.EqualFunc(a, b, func(x, y savedDirectory) bool { return x.name == y.name && slices.Equal(x.digests(), y.digests()) })
}

// memory is where the state of a directory is remembered for the first target.
func (s *save) memory(d Directory) memory {
	return memoryOf(s.opts.Snapshots, s.to[0].Backend.Info().Location, d.Path)
}

// changedTries is how often a directory is begun again when files change.
const changedTries = 3

// directory stores the layers of a directory.
func (s *save) directory(ctx context.Context, d Directory) (saved savedDirectory, snapshot *archive.Snapshot, err error) {
	before, err := s.remembered(ctx, d)
	if err != nil {
		return saved, nil, err
	}
	for try := 1; ; try++ {
		saved, snapshot, err = s.pack(ctx, d, before)
		if !errors.Is(err, archive.ErrChanged) || try == changedTries {
			return saved, snapshot, err
		}
	}
}

// remembered returns the snapshot of a directory, if all targets still have its
// layers.
func (s *save) remembered(ctx context.Context, d Directory) (*archive.Snapshot, error) {
	snapshot := s.memory(d).load()
	if snapshot == nil {
		return nil, nil
	}
	for i, t := range s.to {
		var ask []blob.Digest
		for _, l := range snapshot.Layers {
			if !s.named[i][l.Digest] {
				ask = append(ask, l.Digest)
			}
		}
		if len(ask) == 0 {
			continue
		}
		there, err := t.Backend.Stat(ctx, ask...)
		if err != nil {
			return nil, err
		}
		for _, digest := range ask {
			if _, ok := there[digest]; !ok {
				return nil, nil
			}
		}
	}
	return snapshot, nil
}

// pack lists a directory, and stores what of it is new.
func (s *save) pack(ctx context.Context, d Directory, before *archive.Snapshot) (savedDirectory, *archive.Snapshot, error) {
	report := &SavedDirectory{Name: d.Name}
	began := s.opts.Export.Now()
	entries, err := archive.Walk(ctx, d.Path, archive.WalkOptions{Skip: s.opts.Skip})
	if err != nil {
		return savedDirectory{}, nil, err
	}
	since, err := settled(ctx, entries)
	if err != nil {
		return savedDirectory{}, nil, err
	}
	p := &packing{save: s, settled: since, dir: d, report: report, before: before, packs: archive.Plan(before, entries, s.opts.PackSize), now: began}
	if err := p.run(ctx); err != nil {
		return savedDirectory{}, nil, err
	}
	for i := range entries {
		report.Files++
		report.Bytes += entries[i].Size
	}
	report.Layers = len(p.packs)
	s.report.Directories = append(slices.DeleteFunc(s.report.Directories, func(other *SavedDirectory) bool { return other.Name == d.Name }), report)
	return p.saved(), p.snapshot(entries), nil
}

// packing is the making of a directory's layers.
type packing struct {
	*save
	dir    Directory
	report *SavedDirectory
	before *archive.Snapshot
	packs  []archive.Pack
	layers []compress.Layer
	now    time.Time
	// settled is when reading began.
	settled time.Time
	mu      sync.Mutex
}

// run makes the layers that are not there yet, on all processors.
func (p *packing) run(ctx context.Context) error {
	p.layers = make([]compress.Layer, len(p.packs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, pack := range p.packs {
		if pack.Reuse >= 0 {
			continue
		}
		p.report.Delta = p.report.Delta || pack.Delta
		group.Go(func() error { return p.make(ctx, i) })
	}
	return group.Wait()
}

// make makes a layer and stores it in all targets.
func (p *packing) make(ctx context.Context, i int) error {
	entries := p.packs[i].Entries
	out, err := newSpool(entries)
	if err != nil {
		return err
	}
	defer out.close()
	layer, err := p.write(ctx, out, entries)
	if err != nil {
		return err
	}
	for _, t := range p.to {
		if err := t.Backend.Put(ctx, layer.Descriptor, out.source()); err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
	}
	p.layers[i] = layer
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Written.add(layer.Size)
	return nil
}

// write writes a layer, with a list of what it holds where there is a place for
// one.
func (p *packing) write(ctx context.Context, out io.Writer, entries []archive.Entry) (compress.Layer, error) {
	opts := compress.WriterOptions{Level: p.opts.Level, Concurrency: 1}
	if p.opts.Compression == compress.Zstd {
		note, err := archive.AppendList(nil, p.opts.Keep.Kept(entries), false)
		if err != nil {
			return compress.Layer{}, err
		}
		opts.Note = note
	}
	w, err := compress.NewWriter(out, p.opts.Compression, opts)
	if err != nil {
		return compress.Layer{}, err
	}
	defer w.Abort()
	if err := archive.Write(ctx, w, p.dir.Path, entries, p.opts.Keep); err != nil {
		return compress.Layer{}, err
	}
	if err := w.Close(); err != nil {
		return compress.Layer{}, err
	}
	return w.Layer(), nil
}

// stack returns the layers of the directory as snapshots have them.
func (p *packing) stack() []archive.StackLayer {
	stack := make([]archive.StackLayer, len(p.packs))
	for i, pack := range p.packs {
		if pack.Reuse >= 0 {
			stack[i] = p.before.Layers[pack.Reuse]
			continue
		}
		l := p.layers[i]
		stack[i] = archive.StackLayer{Digest: l.Digest, DiffID: l.DiffID, MediaType: l.MediaType, Size: l.Size, Annotations: annotationsOf(l), Delta: pack.Delta}
		for j := range pack.Entries {
			if e := &pack.Entries[j]; e.Removed {
				stack[i].Removed = append(stack[i].Removed, e.Path)
			} else {
				stack[i].Entries++
			}
		}
	}
	return stack
}

// saved returns the directory as a manifest has it.
func (p *packing) saved() savedDirectory {
	d := savedDirectory{name: p.dir.Name, createdAt: p.now, bytes: p.report.Bytes, tool: p.opts.Tool}
	for _, l := range p.stack() {
		d.layers = append(d.layers, manifest.Layer{Digest: l.Digest, DiffID: l.DiffID, Size: l.Size, MediaType: l.MediaType, Annotations: l.Annotations, CreatedAt: p.now, Parent: manifest.NoParent})
		if l.Delta {
			d.deltas++
		}
	}
	return d
}

// clockTick is longer than the time for which files get the same time stamp:
// Linux stamps them with the time of its last tick, of which there are a hundred
// a second or more.
const clockTick = 20 * time.Millisecond

// settled waits until what is changed from now on has a later time than all
// entries, so that a change of a file after it was read shows in its times. It
// returns since when that is so.
func settled(ctx context.Context, entries []archive.Entry) (time.Time, error) {
	var youngest int64
	for i := range entries {
		youngest = max(youngest, entries[i].Stat.ChangeTime)
	}
	wait := clockTick - time.Since(time.Unix(0, youngest))
	if wait > 0 {
		if err := pause(ctx, min(wait, clockTick)); err != nil {
			return time.Time{}, err
		}
	}
	return time.Now(), nil
}

// snapshot returns what to remember of the directory.
func (p *packing) snapshot(entries []archive.Entry) *archive.Snapshot {
	of := make(map[string]int)
	for i, pack := range p.packs {
		for j := range pack.Entries {
			of[pack.Entries[j].Path] = i
		}
		if pack.Reuse >= 0 {
			for j, layer := range p.before.Of {
				if layer == pack.Reuse {
					if _, replaced := of[p.before.Entries[j].Path]; !replaced {
						of[p.before.Entries[j].Path] = i
					}
				}
			}
		}
	}
	s := &archive.Snapshot{Layers: p.stack(), Entries: slices.Clone(entries), Of: make([]int, len(entries))}
	for i := range s.Entries {
		e := &s.Entries[i]
		s.Of[i] = of[e.Path]
		if time.Unix(0, e.Stat.ChangeTime).After(p.settled) {
			e.Stat.ChangeTime = 0 // of another clock: it is read again next time
		}
	}
	return s
}

// publish adds the directories to the refs of all targets. Their layers are
// there.
func (s *save) publish(ctx context.Context, key string, dirs []savedDirectory) error {
	m, err := manifestOf(key, dirs)
	if err != nil {
		return err
	}
	stored := ContentFunc(func(d blob.Descriptor) blob.Source {
		return blob.SourceFunc(func(context.Context) (io.ReadCloser, error) {
			return nil, fmt.Errorf("%w: layer %s, which was stored a moment ago", backend.ErrNotFound, d.Digest)
		})
	})
	s.report.Report, err = Export(ctx, m, stored, s.to, s.opts.Export)
	return err
}
