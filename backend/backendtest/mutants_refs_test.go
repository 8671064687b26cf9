package backendtest_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
)

func replaceSlashes(name string) string { return strings.ReplaceAll(name, "/", "-") }

// pause widens the window of a race that the suite has to find.
func pause() { time.Sleep(time.Millisecond) } //nolint:forbidigo // See above.

func getRefMutant(name, caughtBy string, get func(ctx context.Context, b *mem.Backend, name string) (backend.Ref, error)) mutant {
	return mutant{name: name, caughtBy: caughtBy, mutate: func(*state) mutation { return mutation{getRef: get} }}
}

type putRefFunc = func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error)

func putRefMutant(name, caughtBy string, put putRefFunc) mutant {
	return mutant{name: name, caughtBy: caughtBy, mutate: func(*state) mutation { return mutation{putRef: put} }}
}

func deleteRefMutant(name, caughtBy string, remove func(ctx context.Context, b *mem.Backend, name string, c backend.Condition) error) mutant {
	return mutant{name: name, caughtBy: caughtBy, mutate: func(*state) mutation { return mutation{deleteRef: remove} }}
}

// renaming is a mutant that keeps refs under other names.
func renaming(name, caughtBy string, rename func(string) string) mutant {
	return mutant{name: name, caughtBy: caughtBy, mutate: func(*state) mutation {
		return mutation{
			getRef: func(ctx context.Context, b *mem.Backend, name string) (backend.Ref, error) {
				r, err := b.GetRef(ctx, rename(name))
				r.Name = name
				return r, err
			},
			putRef: func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
				return b.PutRef(ctx, rename(name), doc, c)
			},
			deleteRef: func(ctx context.Context, b *mem.Backend, name string, c backend.Condition) error {
				return b.DeleteRef(ctx, rename(name), c)
			},
		}
	}}
}

func refMutants() []mutant {
	return append(nameMutants(), []mutant{
		getRefMutant("gives missing refs no kind", "ref/a missing one is not found", func(ctx context.Context, b *mem.Backend, name string) (backend.Ref, error) {
			r, err := b.GetRef(ctx, name)
			if errors.Is(err, backend.ErrNotFound) {
				err = errors.New("MANIFEST_UNKNOWN")
			}
			return r, err
		}),
		getRefMutant("shortens large documents", "ref/returns what was put", func(ctx context.Context, b *mem.Backend, name string) (backend.Ref, error) {
			r, err := b.GetRef(ctx, name)
			r.Data = r.Data[:min(len(r.Data), smallLimit-1)]
			return r, err
		}),
		{name: "keeps the first document", caughtBy: "ref/is replaced without condition", mutate: func(*state) mutation {
			return mutation{putRef: func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
				if r, err := b.GetRef(ctx, name); err == nil && c.IsAlways() {
					return r.Version, nil
				}
				return b.PutRef(ctx, name, doc, c)
			}}
		}},
		putRefMutant("refuses an unchanged document", "ref/the same document may be put again", func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
			if r, err := b.GetRef(ctx, name); err == nil && bytes.Equal(r.Data, doc.Data) {
				return "", backend.ErrExists
			}
			return b.PutRef(ctx, name, doc, c)
		}),
		putRefMutant("writes documents in two steps", "ref/is replaced as a whole", func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
			half := doc
			half.Data = doc.Data[:min(len(doc.Data), smallLimit)/2]
			v, err := b.PutRef(ctx, name, half, c)
			if err != nil {
				return v, err
			}
			pause()
			return b.PutRef(ctx, name, doc, backend.Always)
		}),
		{name: "shares memory with its callers", caughtBy: "ref/memory is not shared with callers", mutate: func(s *state) mutation {
			return mutation{putRef: func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
				v, err := b.PutRef(ctx, name, doc, c)
				s.mu.Lock()
				defer s.mu.Unlock()
				s.docs[name] = backend.Ref{Name: name, Version: v, Document: doc}
				return v, err
			}, getRef: func(ctx context.Context, b *mem.Backend, name string) (backend.Ref, error) {
				r, err := b.GetRef(ctx, name)
				s.mu.Lock()
				defer s.mu.Unlock()
				if kept := s.docs[name]; err == nil && kept.Version == r.Version {
					return kept, nil
				}
				return r, err
			}}
		}},
		putRefMutant("loses other refs", "ref/leaves others and blobs alone", func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
			if name == "b" {
				_ = b.DeleteRef(ctx, "a", backend.Always)
			}
			return b.PutRef(ctx, name, doc, c)
		}),
		putRefMutant("cuts documents to its limit", "document/beyond the limit is too large", func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
			doc.Data = doc.Data[:min(int64(len(doc.Data)), b.Info().MaxDocumentSize)]
			return b.PutRef(ctx, name, doc, c)
		}),
		putRefMutant("has a lower limit than it says", "document/up to the limit", func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
			if int64(len(doc.Data)) >= b.Info().MaxDocumentSize {
				return "", backend.ErrTooLarge
			}
			return b.PutRef(ctx, name, doc, c)
		}),
	}...)
}

func nameMutants() []mutant {
	return []mutant{
		renaming("folds the case of names", "name/similar ones are different refs", strings.ToLower),
		renaming("replaces slashes in names", "name/similar ones are different refs", func(name string) string {
			if backend.CheckRefName(name) != nil {
				return name
			}
			return replaceSlashes(name)
		}),
		renaming("cuts long names", "name/odd ones are kept as they are", func(name string) string {
			if len(name) > 128 && len(name) <= backend.MaxRefName {
				return name[:126]
			}
			return name
		}),
		renaming("cleans malformed names", "name/malformed ones are invalid", func(name string) string {
			if backend.CheckRefName(name) != nil {
				return "cleaned"
			}
			return name
		}),
		putRefMutant("takes names that are digests", "digest name/cannot be written", func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
			if backend.IsDigest(name) {
				return "1", nil
			}
			return b.PutRef(ctx, name, doc, c)
		}),
		deleteRefMutant("deletes names that are digests", "digest name/cannot be deleted", func(ctx context.Context, b *mem.Backend, name string, c backend.Condition) error {
			if backend.IsDigest(name) {
				return ctx.Err()
			}
			return b.DeleteRef(ctx, name, c)
		}),
		getRefMutant("takes any ref for a digest's", "digest name/reads a document or is not found", func(ctx context.Context, b *mem.Backend, name string) (backend.Ref, error) {
			r, err := b.GetRef(ctx, name)
			if backend.IsDigest(name) && errors.Is(err, backend.ErrNotFound) {
				r, err = b.GetRef(ctx, "main")
				r.Name = name
			}
			return r, err
		}),
	}
}

func conditionMutants() []mutant {
	dropped := func(drop func(doc backend.Document, c backend.Condition) bool) putRefFunc {
		return func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
			if drop(doc, c) {
				c = backend.Always
			}
			return b.PutRef(ctx, name, doc, c)
		}
	}
	matches := func(c backend.Condition) bool { _, ok := c.Version(); return ok }
	return append(raceMutants(), []mutant{
		putRefMutant("drops the condition of absence", "create/conflicts with what is there",
			dropped(func(_ backend.Document, c backend.Condition) bool { return c.IsAbsent() })),
		putRefMutant("drops the condition of absence after a while", "create/matching no version is the same",
			dropped(func(doc backend.Document, c backend.Condition) bool { return c == backend.Match("") })),
		putRefMutant("drops the condition of a version", "replace/conflicts on a version that is gone",
			dropped(func(_ backend.Document, c backend.Condition) bool { return matches(c) })),
		putRefMutant("drops the conditions of large documents on creation", "create/of a large document keeps its condition",
			dropped(func(doc backend.Document, c backend.Condition) bool {
				return len(doc.Data) >= smallLimit && c.IsAbsent()
			})),
		putRefMutant("drops the conditions of large documents on replacement", "replace/of a large document keeps its condition",
			dropped(func(doc backend.Document, c backend.Condition) bool { return len(doc.Data) >= smallLimit && matches(c) })),
		putRefMutant("never creates", "create/succeeds where there is no ref", func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
			if c.IsAbsent() {
				return "", backend.ErrConflict
			}
			return b.PutRef(ctx, name, doc, c)
		}),
		putRefMutant("never replaces", "replace/succeeds on the version that was read", func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
			if matches(c) {
				return "", backend.ErrConflict
			}
			return b.PutRef(ctx, name, doc, c)
		}),
		putRefMutant("replaces what is not there", "replace/conflicts where there is no ref", func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
			if _, err := b.GetRef(ctx, name); matches(c) && errors.Is(err, backend.ErrNotFound) {
				c = backend.Always
			}
			return b.PutRef(ctx, name, doc, c)
		}),
		putRefMutant("returns another version", "ref/returns what was put", func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
			v, err := b.PutRef(ctx, name, doc, c)
			return v + "0", err
		}),
		{name: "remembers what it has created", caughtBy: "create/succeeds after a delete", mutate: func(s *state) mutation {
			return mutation{putRef: func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
				s.mu.Lock()
				_, known := s.docs[name]
				s.docs[name] = backend.Ref{}
				s.mu.Unlock()
				if known && c.IsAbsent() {
					return "", backend.ErrConflict
				}
				return b.PutRef(ctx, name, doc, c)
			}}
		}},
		deleteRefMutant("deletes refs without condition", "delete ref/conflicts on another version", func(ctx context.Context, b *mem.Backend, name string, c backend.Condition) error {
			if _, err := b.GetRef(ctx, name); err == nil && matches(c) {
				c = backend.Always
			}
			return b.DeleteRef(ctx, name, c)
		}),
		deleteRefMutant("is content with a version where there is no ref", "delete ref/conflicts on a version where there is no ref", func(ctx context.Context, b *mem.Backend, name string, c backend.Condition) error {
			if _, err := b.GetRef(ctx, name); errors.Is(err, backend.ErrNotFound) && matches(c) {
				c = backend.Always
			}
			return b.DeleteRef(ctx, name, c)
		}),
		deleteRefMutant("never deletes on condition", "delete ref/succeeds on the version that was read", func(ctx context.Context, b *mem.Backend, name string, c backend.Condition) error {
			if err := ctx.Err(); err == nil && matches(c) {
				return backend.ErrConflict
			}
			return b.DeleteRef(ctx, name, c)
		}),
		deleteRefMutant("deletes on condition of absence", "delete ref/on condition of absence is invalid", func(ctx context.Context, b *mem.Backend, name string, c backend.Condition) error {
			if c.IsAbsent() {
				c = backend.Always
			}
			return b.DeleteRef(ctx, name, c)
		}),
		deleteRefMutant("fails to delete a ref that is not there", "delete ref/what is not there is a success", func(ctx context.Context, b *mem.Backend, name string, c backend.Condition) error {
			if _, err := b.GetRef(ctx, name); err != nil {
				return err
			}
			return b.DeleteRef(ctx, name, c)
		}),
		deleteRefMutant("deletes blobs with a ref", "delete ref/removes it and leaves blobs alone", func(ctx context.Context, b *mem.Backend, name string, c backend.Condition) error {
			err := b.DeleteRef(ctx, name, c)
			for info, listErr := range b.List(ctx) {
				if err == nil && listErr == nil && name == "main" {
					_ = b.Delete(ctx, info.Digest)
				}
			}
			return err
		}),
	}...)
}

// raceMutants look before they act, which goes well as long as nobody else
// acts meanwhile.
func raceMutants() []mutant {
	looking := func(applies func(backend.Condition) bool) putRefFunc {
		return func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
			if !applies(c) {
				return b.PutRef(ctx, name, doc, c)
			}
			r, err := b.GetRef(ctx, name)
			if err != nil && !errors.Is(err, backend.ErrNotFound) {
				return "", err
			}
			if !c.Holds(r.Version) {
				return "", backend.ErrConflict
			}
			pause()
			return b.PutRef(ctx, name, doc, backend.Always)
		}
	}
	replaces := func(c backend.Condition) bool { return !c.IsAbsent() && !c.IsAlways() }
	deletes := func(ctx context.Context, b *mem.Backend, name string, c backend.Condition) error {
		if r, err := b.GetRef(ctx, name); err != nil || !replaces(c) || !c.Holds(r.Version) {
			return b.DeleteRef(ctx, name, c)
		}
		pause()
		return b.DeleteRef(ctx, name, backend.Always)
	}
	return []mutant{
		putRefMutant("looks and then creates", "race/of creates has one winner", looking(backend.Condition.IsAbsent)),
		putRefMutant("looks and then replaces", "race/of replaces that read the same has one winner", looking(replaces)),
		putRefMutant("looks and then writes", "race/of read-modify-write loses no update", looking(func(c backend.Condition) bool { return !c.IsAlways() })),
		deleteRefMutant("looks and then deletes", "race/of deletes has one winner", deletes),
		{
			name: "looks and then replaces or deletes", caughtBy: "race/of replaces and deletes has one winner",
			mutate: func(*state) mutation { return mutation{putRef: looking(replaces), deleteRef: deletes} },
		},
	}
}
