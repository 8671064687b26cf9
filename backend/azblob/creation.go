package azblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// codeNoContainer is the code of the refusal of whatever is asked for in a
// container that does not exist.
const codeNoContainer = "ContainerNotFound"

// creation is how far the container is that is to be created.
type creation struct {
	missing atomic.Bool // the service has said that there is none

	mu      sync.Mutex // held while it is created
	created bool
}

// isEmpty reports whether an error says that there is no container, which counts
// as an empty one if it is to be created.
func (s *store) isEmpty(err error) bool {
	return s.opts.CreateContainer && codeOf(err) == codeNoContainer
}

// write sends a request that writes content. If the container is to be created,
// that comes before it, where an earlier answer has told that there is none, or
// else after it, and then the request is sent again.
func (s *store) write(ctx context.Context, content *content, send func() error) error {
	if s.opts.CreateContainer && s.creation.missing.Load() {
		if err := s.createContainer(ctx); err != nil {
			return err
		}
	}
	err := send()
	if !s.isEmpty(err) {
		return s.failure(ctx, err)
	}
	if err := s.createContainer(ctx); err != nil {
		return err
	}
	if _, err := content.Seek(0, io.SeekStart); errors.Is(err, errOnce) {
		return &bucket.Failure{
			Kind: backend.ErrUnavailable, Temporary: true,
			Err: fmt.Errorf("the container %s has only now been created: %w", s.opts.Container, err),
		}
	} else if err != nil {
		return err
	}
	return s.failure(ctx, send())
}

// createContainer creates the container, once.
func (s *store) createContainer(ctx context.Context) error {
	s.creation.mu.Lock()
	defer s.creation.mu.Unlock()
	if s.creation.created {
		return nil
	}
	if _, err := s.container.Create(ctx, nil); err != nil && codeOf(err) != "ContainerAlreadyExists" {
		return s.failure(ctx, err)
	}
	s.creation.created = true
	s.creation.missing.Store(false)
	return nil
}
