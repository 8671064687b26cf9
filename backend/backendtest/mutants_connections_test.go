package backendtest_test

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
)

// allCapabilities is every capability there is.
var allCapabilities = backend.Capabilities{
	CreateRef: true, ReplaceRef: true, DeleteRef: true, ConditionalDeleteRef: true,
	ListRefs: true, DeleteBlobs: true, ListBlobs: true, BlobAges: true,
}

func closeMutant(name, caughtBy string, mutate func(s *state) mutation) mutant {
	return mutant{name: name, caughtBy: caughtBy, mutate: mutate}
}

func connectionMutants() []mutant {
	return append(capabilityMutants(), []mutant{
		closeMutant("fails to close again", "close/again does nothing", func(s *state) mutation {
			return mutation{close: func(b *mem.Backend) error {
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.calls++; s.calls > 1 {
					return fs.ErrClosed
				}
				return b.Close()
			}}
		}),
		closeMutant("works when closed", "close/makes later calls fail", func(*state) mutation {
			return mutation{close: func(*mem.Backend) error { return nil }}
		}),
		closeMutant("has readers that outlive it", "close/ends open readers", func(*state) mutation {
			return mutation{open: func(ctx context.Context, b *mem.Backend, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
				if _, err := b.Stat(ctx); err != nil {
					return nil, err
				}
				return b.Reopen().Open(ctx, d, off, n)
			}}
		}),
		closeMutant("waits for puts when it is closed", "close/waits for nothing", func(s *state) mutation {
			return mutation{
				put: func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
					s.puts.Add(1)
					defer s.puts.Done()
					return b.Put(ctx, d, src)
				},
				close: func(b *mem.Backend) error {
					s.puts.Wait()
					return b.Close()
				},
			}
		}),
		closeMutant("empties the store when it is closed", "connection/outlives another", func(*state) mutation {
			return mutation{close: func(b *mem.Backend) error {
				for info, err := range b.List(context.Background()) {
					if err == nil {
						_ = b.Delete(context.Background(), info.Digest)
					}
				}
				return b.Close()
			}}
		}),
		closeMutant("remembers refs", "connection/sees what another has written", func(s *state) mutation {
			return mutation{getRef: func(ctx context.Context, b *mem.Backend, name string) (backend.Ref, error) {
				r, err := b.GetRef(ctx, name)
				s.mu.Lock()
				defer s.mu.Unlock()
				if kept, ok := s.docs[name]; ok && err == nil && ctx.Err() == nil {
					return kept, nil
				}
				if err == nil {
					s.docs[name] = r
				}
				return r, err
			}, putRef: func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
				v, err := b.PutRef(ctx, name, doc, c)
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.docs, name)
				return v, err
			}}
		}),
		closeMutant("leaves a goroutine behind", "concurrency/no goroutine is left behind", func(*state) mutation {
			return mutation{put: func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
				go func() { <-make(chan struct{}) }()
				return b.Put(ctx, d, src)
			}}
		}),
		closeMutant("mixes up calls at the same time", "concurrency/calls do not disturb each other", mixUp),
		closeMutant("reads with a context that has ended", "context/one that has ended changes nothing", func(*state) mutation {
			return mutation{getRef: func(ctx context.Context, b *mem.Backend, name string) (backend.Ref, error) {
				return b.GetRef(context.WithoutCancel(ctx), name)
			}}
		}),
		closeMutant("writes with a context that has ended", "context/one that has ended changes nothing", func(*state) mutation {
			return mutation{putRef: func(ctx context.Context, b *mem.Backend, name string, doc backend.Document, c backend.Condition) (backend.Version, error) {
				v, err := b.PutRef(context.WithoutCancel(ctx), name, doc, c)
				return v, errors.Join(err, ctx.Err())
			}}
		}),
		closeMutant("calls what is missing unavailable", "error/matches its kind and the standard library's", func(*state) mutation {
			return mutation{getRef: func(ctx context.Context, b *mem.Backend, name string) (backend.Ref, error) {
				r, err := b.GetRef(ctx, name)
				if errors.Is(err, backend.ErrNotFound) {
					err = &backend.Error{Op: "get ref", Backend: "mem", Key: name, Kind: backend.ErrNotFound, Temporary: true}
				}
				return r, err
			}}
		}),
	}...)
}

// mixUp hands out a busy connection's last blob, whichever was asked for.
func mixUp(s *state) mutation {
	open := 0
	return mutation{put: func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
		s.mu.Lock()
		open++
		busy := open > 1
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			open--
			s.mu.Unlock()
		}()
		pause()
		if busy && d.Size == 20_000 {
			return b.Plant(d.Digest, make([]byte, d.Size))
		}
		return b.Put(ctx, d, src)
	}}
}

func capabilityMutants() []mutant {
	const undeclared = "capability/what is not is refused and changes nothing"
	hidden := func(b *mem.Backend) backend.Info {
		info := b.Info()
		info.Capabilities = backend.Capabilities{}
		return info
	}
	return []mutant{
		closeMutant("acts without declaring it", undeclared, func(*state) mutation { return mutation{info: hidden} }),
		closeMutant("acts before it refuses", undeclared, func(*state) mutation {
			return mutation{
				info: func(b *mem.Backend) backend.Info {
					info := b.Info()
					info.Capabilities.DeleteBlobs = false
					return info
				},
				delete: func(ctx context.Context, b *mem.Backend, digests []blob.Digest) error {
					return errors.Join(backend.ErrUnsupported, b.Delete(ctx, digests...))
				},
			}
		}),
		{
			name: "declares what it cannot do", caughtBy: "capability/what is declared works",
			options: mem.Options{Without: allCapabilities},
			mutate: func(*state) mutation {
				return mutation{info: func(b *mem.Backend) backend.Info {
					info := b.Info()
					info.Capabilities = allCapabilities
					return info
				}}
			},
		},
		closeMutant("learns what it can do", "info/never changes", func(s *state) mutation {
			return mutation{
				info: func(b *mem.Backend) backend.Info {
					s.mu.Lock()
					defer s.mu.Unlock()
					info := b.Info()
					info.VerifiesPut = s.calls > 0
					return info
				},
				put: func(ctx context.Context, b *mem.Backend, d blob.Descriptor, src blob.Source) error {
					s.mu.Lock()
					s.calls++
					s.mu.Unlock()
					return b.Put(ctx, d, src)
				},
			}
		}),
		closeMutant("does not say what it is", "info/describes the store", func(*state) mutation {
			return mutation{info: func(b *mem.Backend) backend.Info {
				return backend.Info{Capabilities: b.Info().Capabilities}
			}}
		}),
	}
}
