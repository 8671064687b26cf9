package larder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob/archive"
	"github.com/larder-build/larder/blob/compress"
)

// SaveOptions are the options of [Save].
type SaveOptions struct {
	// Skip, if not nil, is asked for each name below a directory, with its path
	// in slashes; what it returns true for is not saved.
	Skip func(path string, dir bool) bool
	// SkipUnreadable leaves out what cannot be read or kept, or not as a whole because it
	// changes all the time, and says so in the report. By default that is an
	// error.
	SkipUnreadable bool
	// Compression and Level are those of the layers; the default is zstd with
	// its fastest level.
	Compression compress.Compression
	Level       int
	// PackSize is about how many bytes of files a layer has. The default is
	// archive.DefaultPackSize.
	PackSize int64
	// Keep says what is kept of the files beside content, modes and times.
	Keep archive.WriteOptions
	// MaxAge and MaxKeys bound what a ref keeps: keys that were last saved longer
	// ago leave it, and, from the oldest on, those that are too many. The key that
	// is saved stays. 0 means no bound. The layers of keys that have left are
	// removed from the store by whatever removes what no ref needs.
	MaxAge  time.Duration
	MaxKeys int
	// Snapshots is the directory in which larder remembers what it has saved
	// and restored where, so that the next call need not read what has not
	// changed. Without it ("") every file is read.
	Snapshots string
	// TempDir is where layers of large files are kept until they are stored; the
	// default is os.TempDir.
	TempDir string
	// Tool names the program that saves, with its version, in what it saves.
	Tool string
	// Export are the options of publishing. The steps that Progress receives are
	// those of layers that are made: their Target is the position of the
	// directory, their Bytes are those of the files, and their Blob only tells
	// them apart, because the digest of a layer is not known before its end.
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

func (o SaveOptions) check() error {
	if o.MaxAge < 0 || o.MaxKeys < 0 {
		return fmt.Errorf("%w: bounds of %s and %d keys: want none below 0", backend.ErrInvalid, o.MaxAge, o.MaxKeys)
	}
	return compress.CheckLevel(o.Compression, o.Level)
}

// SaveReport says what [Save] did.
type SaveReport struct {
	// Key is the key under which the directories are.
	Key string `json:"key"`
	// Directories has an entry for each directory that was stored, in the order
	// given.
	Directories []*SavedDirectory `json:"directories"`
	// Report is that of publishing. Targets that had the very same directories
	// under the key are unchanged.
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
	// Skipped is what could not be read and was left out.
	Skipped []SkippedFile `json:"skipped,omitempty"`
}

// SkippedFile is a name that was left out because it could not be read.
type SkippedFile struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Save stores directories under a key, in the refs of the targets with
// [DirectorySuffix]. What else those have stays, within the bounds of the
// options. Of a directory whose state it remembers it reads only what has
// changed; if nothing has, it sends nothing and publishes nothing.
//
// A file that cannot be read, or changes while it is read, makes Save begin with
// that directory again, a few times; then it is an error that names the file and
// matches [archive.ErrChanged] if that is the reason. Targets fail together:
// after an error none of them has the key, unless it is one of publishing itself. A
// target that takes no writes ([backend.Omittable]) is skipped.
func Save(ctx context.Context, key string, dirs []Directory, to []Target, opts SaveOptions) (*SaveReport, error) {
	s := &save{key: key, opts: opts.withDefaults(), report: &SaveReport{Key: key, Report: &Report{Schema: Schema}}}
	if err := s.prepare(dirs, to); err != nil {
		return s.report, err
	}
	return s.report, s.run(ctx)
}

// save is one call of Save.
type save struct {
	key    string
	opts   SaveOptions
	report *SaveReport
	dirs   []Directory
	// publishing is the export by which the key gets into the targets.
	publishing *export
}

// prepare checks the arguments.
func (s *save) prepare(dirs []Directory, to []Target) error {
	targets := make([]Target, len(to))
	for i, t := range to {
		targets[i] = directoryTarget(t)
	}
	if err := cmp.Or(checkKey(s.key), checkTargets(targets), s.opts.check()); err != nil {
		return err
	}
	if err := s.choose(dirs); err != nil {
		return err
	}
	s.report.Report = newReport(targets...)
	s.publishing = &export{opts: s.opts.Export, report: s.report.Report}
	s.publishing.addTargets(targets)
	return nil
}

// choose checks the directories.
func (s *save) choose(dirs []Directory) error {
	if len(dirs) == 0 {
		return fmt.Errorf("%w: no directory to save", backend.ErrInvalid)
	}
	places := make([]string, len(dirs))
	for i, d := range dirs {
		d, err := d.withDefaults()
		if err != nil {
			return err
		}
		if err := d.check(); err != nil {
			return err
		}
		s.dirs, places[i] = append(s.dirs, d), placeOf("", d.Name)
	}
	// Where they are restored to, they must not be in each other's way.
	return apart(places)
}

func (s *save) run(ctx context.Context) error {
	if err := s.read(ctx); err != nil {
		return err
	}
	for len(s.publishing.dests) > 0 {
		saved, snapshots, err := s.directories(ctx)
		if s.without(err) {
			continue
		}
		if err != nil {
			s.report.fail(err)
			return err
		}
		err = s.publish(ctx, saved)
		if errors.Is(err, backend.ErrNotFound) && s.distrust() {
			continue // A store misses a layer that its ref had promised.
		}
		if err == nil {
			s.remember(snapshots)
		}
		return err
	}
	return nil
}

// targetError is what a target says to the writing of a layer.
type targetError struct {
	*publisher
	err error
}

// Error implements error.
func (e *targetError) Error() string { return fmt.Sprintf("%s: %v", e.Target, e.err) }

// Unwrap returns the target's error.
func (e *targetError) Unwrap() error { return e.err }

// without goes on without a target if err says that it takes no writes.
func (s *save) without(err error) bool {
	var of *targetError
	if !backend.Omittable(err) || !errors.As(err, &of) {
		return false
	}
	of.skip(of.err)
	s.publishing.dests = slices.DeleteFunc(s.publishing.dests, func(p *publisher) bool { return p == of.publisher })
	return true
}

// directories stores the layers of all directories.
func (s *save) directories(ctx context.Context) ([]savedDirectory, []*archive.Snapshot, error) {
	saved := make([]savedDirectory, len(s.dirs))
	snapshots := make([]*archive.Snapshot, len(s.dirs))
	s.report.Directories = nil
	for i, d := range s.dirs {
		p, err := s.directory(ctx, i)
		if err != nil {
			return nil, nil, fmt.Errorf("directory %s: %w", d.Path, err)
		}
		saved[i], snapshots[i] = p.saved(), p.snapshot()
		s.report.Directories = append(s.report.Directories, p.report)
	}
	return saved, snapshots, nil
}

// remember writes down the state of the directories.
func (s *save) remember(snapshots []*archive.Snapshot) {
	for i, d := range s.dirs {
		if err := s.memory(d).store(snapshots[i]); err != nil {
			s.report.forgot(d.Path, err)
		}
	}
}

// memory is where the state of a directory is remembered for the first target.
func (s *save) memory(d Directory) memory {
	return memoryOf(s.opts.Snapshots, s.publishing.dests[0].Backend.Info().Location, d.Path)
}
