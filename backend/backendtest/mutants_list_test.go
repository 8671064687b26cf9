package backendtest_test

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
)

func listMutant(name, promise string, list func(ctx context.Context, b *mem.Backend) iter.Seq2[backend.BlobInfo, error]) mutant {
	return mutant{name: name, caughtBy: "list/" + promise, mutate: func(*state) mutation { return mutation{list: list} }}
}

type yieldBlob = func(backend.BlobInfo, error) bool

func listMutants() []mutant {
	return []mutant{
		listMutant("lists a blob twice", "yields each item once", func(ctx context.Context, b *mem.Backend) iter.Seq2[backend.BlobInfo, error] {
			return func(yield yieldBlob) {
				n := 0
				for info, err := range b.List(ctx) {
					if n++; !yield(info, err) || n == 7 && !yield(info, err) {
						return
					}
				}
			}
		}),
		listMutant("lists one page", "yields each item once", func(ctx context.Context, b *mem.Backend) iter.Seq2[backend.BlobInfo, error] {
			return func(yield yieldBlob) {
				n := 0
				for info, err := range b.List(ctx) {
					if n++; n > 10 || !yield(info, err) {
						return
					}
				}
			}
		}),
		listMutant("lists on when told to stop", "stops when told to", func(ctx context.Context, b *mem.Backend) iter.Seq2[backend.BlobInfo, error] {
			return func(yield yieldBlob) {
				for info, err := range b.List(ctx) {
					yield(info, err)
				}
			}
		}),
		listMutant("lists wrong sizes", "sizes are those of the blobs", func(ctx context.Context, b *mem.Backend) iter.Seq2[backend.BlobInfo, error] {
			return func(yield yieldBlob) {
				for info, err := range b.List(ctx) {
					if info.Size = 7; err != nil {
						info.Size = 0
					}
					if !yield(info, err) {
						return
					}
				}
			}
		}),
		listMutant("lists the same again", "starts anew with every range", func(ctx context.Context, b *mem.Backend) iter.Seq2[backend.BlobInfo, error] {
			next, _ := iter.Pull2(b.List(ctx))
			return func(yield yieldBlob) {
				for info, err, ok := next(); ok && yield(info, err); info, err, ok = next() {
				}
			}
		}),
		listMutant("ends silently with its context", "yields the error of a context that ended before", func(ctx context.Context, b *mem.Backend) iter.Seq2[backend.BlobInfo, error] {
			return func(yield yieldBlob) {
				for info, err := range b.List(ctx) {
					if errors.Is(err, context.Canceled) || !yield(info, err) {
						return
					}
				}
			}
		}),
		listMutant("notices its context at the beginning only", "yields the error of a context that ends meanwhile", func(ctx context.Context, b *mem.Backend) iter.Seq2[backend.BlobInfo, error] {
			return func(yield yieldBlob) {
				if ctx.Err() != nil {
					yield(backend.BlobInfo{}, ctx.Err())
					return
				}
				b.List(context.WithoutCancel(ctx))(yield)
			}
		}),
		listMutant("yields an error with an item", "yields the error of a context that ends meanwhile", func(ctx context.Context, b *mem.Backend) iter.Seq2[backend.BlobInfo, error] {
			return func(yield yieldBlob) {
				var last backend.BlobInfo
				for info, err := range b.List(ctx) {
					if err == nil {
						last = info
					}
					if !yield(last, err) {
						return
					}
				}
			}
		}),
		listMutant("loses items when the last is reached in time", "may end well if the context ends at the last item", func(ctx context.Context, b *mem.Backend) iter.Seq2[backend.BlobInfo, error] {
			return func(yield yieldBlob) {
				b.List(ctx)(yield)
				if ctx.Err() != nil {
					yield(backend.BlobInfo{}, ctx.Err())
					yield(backend.BlobInfo{}, ctx.Err())
				}
			}
		}),
		listMutant("pages by number", "is right about what does not change meanwhile", pageByNumber),
		{name: "lists refs without their slashes", caughtBy: "name/odd ones are kept as they are", mutate: func(*state) mutation {
			return mutation{listRefs: func(ctx context.Context, b *mem.Backend) iter.Seq2[backend.RefInfo, error] {
				return editRefs(b.ListRefs(ctx), func(i backend.RefInfo) backend.RefInfo {
					i.Name = replaceSlashes(i.Name)
					return i
				})
			}}
		}},
		{name: "lists refs with wrong versions", caughtBy: "list refs/versions are those of the refs", mutate: func(*state) mutation {
			return mutation{listRefs: func(ctx context.Context, b *mem.Backend) iter.Seq2[backend.RefInfo, error] {
				return editRefs(b.ListRefs(ctx), func(i backend.RefInfo) backend.RefInfo {
					i.Version = "1"
					return i
				})
			}}
		}},
		{name: "lists some refs", caughtBy: "list refs/yields each item once", mutate: func(*state) mutation {
			return mutation{listRefs: func(ctx context.Context, b *mem.Backend) iter.Seq2[backend.RefInfo, error] {
				return func(yield func(backend.RefInfo, error) bool) {
					n := 0
					for info, err := range b.ListRefs(ctx) {
						if n++; n > 15 || !yield(info, err) {
							return
						}
					}
				}
			}}
		}},
	}
}

// pageByNumber lists anew for each page and skips as many blobs as it has
// yielded, which goes wrong when others come or go.
func pageByNumber(ctx context.Context, b *mem.Backend) iter.Seq2[backend.BlobInfo, error] {
	return func(yield yieldBlob) {
		for done := 0; ; done++ {
			var all []backend.BlobInfo
			for info, err := range b.List(ctx) {
				if err != nil {
					yield(backend.BlobInfo{}, err)
					return
				}
				all = append(all, info)
			}
			slices.SortFunc(all, func(x, y backend.BlobInfo) int { return y.ModTime.Compare(x.ModTime) })
			if done >= len(all) || !yield(all[done], nil) {
				return
			}
		}
	}
}

func editRefs(refs iter.Seq2[backend.RefInfo, error], edit func(backend.RefInfo) backend.RefInfo) iter.Seq2[backend.RefInfo, error] {
	return func(yield func(backend.RefInfo, error) bool) {
		for info, err := range refs {
			if err == nil {
				info = edit(info)
			}
			if !yield(info, err) {
				return
			}
		}
	}
}
