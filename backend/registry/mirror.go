package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// mirror is another registry that may have the content of a repository.
type mirror struct {
	*Backend

	failures atomic.Int32 // in a row
}

// maxFailures is how many reads of a mirror fail in a row before it is not asked
// any more.
const maxFailures = 3

// parseMirror returns the repository that stands for another one at a mirror,
// spelled as host or host/prefix.
func parseMirror(place, repository string, insecure bool) (name.Repository, error) {
	repo, err := parseRepository(place+"/"+repository, insecure)
	if err != nil || !bareLike.MatchString(place+"/"+repository) {
		return name.Repository{}, fmt.Errorf("%w: mirror %s, want host or host/prefix without a scheme", backend.ErrInvalid, blob.Quote(place))
	}
	return repo, nil
}

// checkMirrors returns what is wrong with a value of the attribute mirror.
func checkMirrors(value string) error {
	for place := range strings.SplitSeq(value, ";") {
		if _, err := parseMirror(place, "x", false); err != nil {
			return errors.New("want host or host/prefix without a scheme, several separated by semicolons")
		}
	}
	return nil
}

// addMirrors opens the mirrors, which end with b.
func (b *Backend) addMirrors() error {
	opts := b.opts
	opts.Mirrors = nil
	for _, place := range b.opts.Mirrors {
		repo, err := parseMirror(place, b.repo.RepositoryStr(), opts.Insecure)
		if err != nil {
			return err
		}
		b.mirrors = append(b.mirrors, &mirror{Backend: newBackend(b.life, repo, opts)})
	}
	return nil
}

// usable reports whether a mirror is worth a request.
func (m *mirror) usable() bool { return m.failures.Load() < maxFailures }

// note remembers how a read has ended, if it was one of a mirror. That a mirror
// has nothing is no failure.
func (m *mirror) note(ctx context.Context, err error) {
	switch {
	case m == nil:
	case err == nil:
		m.failures.Store(0)
	case !errors.Is(err, backend.ErrNotFound):
		m.failures.Add(1)
		backend.TraceRetry(ctx, "mirror", err, 0)
	}
}

// mirrored has the mirrors read what has a digest, one after the other until one
// has it, and then b.
func mirrored[T any](ctx context.Context, b *Backend, read func(*Backend) (T, error)) (found T, from *mirror, err error) {
	for _, m := range b.mirrors {
		if !m.usable() || backend.IsOrigin(ctx) {
			continue
		}
		found, err := read(m.Backend)
		if err == nil {
			return found, m, nil
		}
		m.note(ctx, err)
		if ctx.Err() != nil {
			return found, nil, err
		}
	}
	found, err = read(b)
	return found, nil, err
}
