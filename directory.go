package larder

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// Directories are kept as records of a manifest like any others, so that every
// verb and every store carries them: a record for the key, without a result, and
// a record for each directory, whose input is that of the key and whose result
// is the chain of its layers. Save and Restore add DirectorySuffix to the refs
// that they are given, because BuildKit replaces a ref as a whole.

// DirectorySuffix is what the name of a ref with directories ends in.
const DirectorySuffix = ".dirs"

// Directory is a directory to be saved or restored.
type Directory struct {
	// Path is where it is.
	Path string
	// Name is what it is called in the cache. The default is Path with slashes,
	// so that it is restored to where it was.
	Name string
}

func (d Directory) withDefaults() (Directory, error) {
	d.Name = cmp.Or(d.Name, path.Clean(filepath.ToSlash(d.Path)))
	switch {
	case d.Path == "":
		return d, fmt.Errorf("%w: the path of a directory is empty", backend.ErrInvalid)
	case !utf8.ValidString(d.Name):
		return d, fmt.Errorf("%w: directory %s: want a name that is UTF-8", backend.ErrInvalid, blob.Quote(d.Name))
	}
	return d, nil
}

// check returns an error unless there is such a directory.
func (d Directory) check() error {
	info, err := os.Stat(d.Path)
	var failed *fs.PathError
	switch {
	case errors.As(err, &failed):
		return fmt.Errorf("directory %s: %w", blob.Quote(d.Path), failed.Err)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%w: %s is no directory, and only directories are saved", backend.ErrInvalid, blob.Quote(d.Path))
	default:
		return nil
	}
}

// namesOf returns the names of directories in the form that caches have, each
// once.
func namesOf(paths []string) ([]string, error) {
	var names []string
	for _, at := range paths {
		d, err := Directory{Path: at}.withDefaults()
		if err != nil {
			return nil, err
		}
		if !slices.Contains(names, d.Name) {
			names = append(names, d.Name)
		}
	}
	return names, nil
}

func checkKey(key string) error {
	if key == "" || !utf8.ValidString(key) {
		return fmt.Errorf("%w: key %s: want text in UTF-8 that is not empty", backend.ErrInvalid, blob.Quote(key))
	}
	return nil
}

// directoryTarget is the target for directories that belongs to a target.
func directoryTarget(t Target) Target {
	if !backend.IsDigest(t.Ref) && !strings.HasSuffix(t.Ref, DirectorySuffix) {
		t.Ref += DirectorySuffix
	}
	return t
}

// resultNotes is what is noted with the result of a directory's record.
type resultNotes struct {
	// Deltas is how many layers on top replace parts of those below, which have
	// nothing in common with each other.
	Deltas int `json:"deltas"`
	// Bytes is what the files take, holes included.
	Bytes int64 `json:"bytes,omitempty"`
	// Tool is the program that saved the directory.
	Tool string `json:"tool,omitempty"`
}

// savedDirectory is a directory as a manifest has it.
type savedDirectory struct {
	name      string
	createdAt time.Time
	layers    []manifest.Layer
	deltas    int
	bytes     int64
	tool      string
}

// digests returns the names of the layers.
func (d *savedDirectory) digests() []blob.Digest {
	digests := make([]blob.Digest, len(d.layers))
	for i := range d.layers {
		digests[i] = d.layers[i].Digest
	}
	return digests
}

// directoriesOf returns the directories that a manifest has under a key.
func directoriesOf(m *manifest.Manifest, key string) []savedDirectory {
	var found []savedDirectory
	for _, root := range manifest.NewIndex(m).Roots(manifest.KeyDigest(key)) {
		for _, r := range m.Records {
			if dependsOn(r, root) && len(r.Results) > 0 && r.Name() != "" {
				found = append(found, directoryOf(m, r))
			}
		}
	}
	slices.SortFunc(found, func(a, b savedDirectory) int { return cmp.Compare(a.name, b.name) })
	return found
}

func dependsOn(r manifest.Record, root int) bool {
	return len(r.Inputs) == 1 && slices.ContainsFunc(r.Inputs[0], func(l manifest.Link) bool { return l.Record == root })
}

func directoryOf(m *manifest.Manifest, r manifest.Record) savedDirectory {
	result := r.Results[0]
	d := savedDirectory{name: r.Name(), createdAt: result.CreatedAt}
	for _, i := range m.Stack(result) {
		d.layers = append(d.layers, m.Layers[i])
	}
	var notes resultNotes
	d.deltas = len(d.layers) // without a note nothing is known of the layers
	if json.Unmarshal(result.Extra[manifest.FieldLarder], &notes) == nil && notes.Deltas >= 0 {
		d.deltas, d.bytes, d.tool = min(notes.Deltas, d.deltas), notes.Bytes, notes.Tool
	}
	return d
}

// datedKey is a key with the time at which it was last saved.
type datedKey struct {
	key   string
	saved time.Time
}

// datedKeys returns the keys under which a manifest has directories, the newest
// first.
func datedKeys(m *manifest.Manifest) []datedKey {
	newest := make(map[string]time.Time)
	for _, r := range m.Records {
		if len(r.Results) == 0 || len(r.Inputs) != 1 {
			continue
		}
		for _, l := range r.Inputs[0] {
			key := m.Records[l.Record].Name()
			if at := r.Results[0].CreatedAt; key != "" && !at.Before(newest[key]) {
				newest[key] = at
			}
		}
	}
	keys := make([]datedKey, 0, len(newest))
	for key, at := range newest {
		keys = append(keys, datedKey{key, at})
	}
	slices.SortFunc(keys, func(a, b datedKey) int { return cmp.Or(b.saved.Compare(a.saved), cmp.Compare(a.key, b.key)) })
	return keys
}

// manifestOf returns the manifest that has directories under a key.
func manifestOf(key string, dirs []savedDirectory) (*manifest.Manifest, error) {
	m := &manifest.Manifest{Records: []manifest.Record{manifest.NewRecord(key)}}
	for i := range dirs {
		d := &dirs[i]
		notes, err := json.Marshal(resultNotes{Deltas: d.deltas, Bytes: d.bytes, Tool: d.tool})
		if err != nil {
			return nil, err
		}
		result := manifest.Result{CreatedAt: d.createdAt, Extra: manifest.Fields{manifest.FieldLarder: notes}}
		for _, l := range d.layers {
			result.Chain = append(result.Chain, len(m.Layers))
			m.Layers = append(m.Layers, l)
		}
		r := manifest.NewRecord(d.name)
		r.Inputs, r.Results = [][]manifest.Link{{{Record: 0}}}, []manifest.Result{result}
		m.Records = append(m.Records, r)
	}
	if err := m.Check(); err != nil {
		return nil, err
	}
	return m.Canonical(), nil
}
