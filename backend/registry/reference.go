package registry

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

var (
	// tagLike and pathLike are the grammar of the distribution specification.
	tagLike  = regexp.MustCompile(`^\w[\w.-]{0,127}$`)
	pathLike = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	hostLike = regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?$`)
	// bareLike matches what is a repository with its host beyond doubt: the
	// host has a dot or a port, or is localhost.
	bareLike = regexp.MustCompile(`^(?:localhost|[\w-]+(?:\.[\w-]+)+|[\w.-]+:\d+|\[[0-9a-fA-F:.]+\])(?::\d+)?/[a-z0-9/._-]+(?::[\w.;-]+)?(?:@sha256:[0-9a-f]+)?$`)
)

// splitRef takes host/repository:tag or host/repository@digest apart. There may
// be several tags, separated by semicolons. A digest beside a tag wins, as
// everywhere.
func splitRef(value string) (place string, names []string) {
	before, digests, pinned := strings.Cut(value, "@")
	place, tags := before, ""
	// A colon before a slash is that of a port.
	i := strings.LastIndex(before, ":")
	tagged := i >= 0 && !strings.Contains(before[i:], "/")
	if tagged {
		place, tags = before[:i], before[i+1:]
	}
	switch {
	case pinned:
		return place, strings.Split(digests, ";")
	case tagged:
		return place, strings.Split(tags, ";")
	default:
		return place, nil
	}
}

// splitNames returns the names in a value of the attribute ref.
func splitNames(value string) ([]string, error) {
	place, names := splitRef(value)
	_, err := parseRepository(place, false)
	return names, err
}

// joinNames returns the value with other names.
func joinNames(value string, names []string) string {
	place, _ := splitRef(value)
	switch {
	case len(names) == 0:
		return place
	case backend.IsDigest(names[0]):
		return place + "@" + strings.Join(names, ";")
	default:
		return place + ":" + strings.Join(names, ";")
	}
}

// parseRepository reads host/repository.
func parseRepository(s string, insecure bool) (name.Repository, error) {
	options := []name.Option{name.WeakValidation}
	if insecure {
		options = append(options, name.Insecure)
	}
	repo, err := name.NewRepository(s, options...)
	if err != nil || !pathLike.MatchString(repo.RepositoryStr()) || !hostLike.MatchString(repo.RegistryStr()) {
		return name.Repository{}, fmt.Errorf("%w: repository %s, want host/repository in lower case without a scheme", backend.ErrInvalid, blob.Quote(s))
	}
	return repo, nil
}

// checkTag returns what is wrong with the name of a ref.
func checkTag(ref string) error {
	if tagLike.MatchString(ref) || backend.IsDigest(ref) {
		return nil
	}
	return errors.New("want a tag: at most 128 letters, digits, underscores, dots and hyphens, none of the last two first")
}

// checkName returns an error matching ErrInvalid unless a ref can be read under
// the name.
func checkName(ref string) error {
	if err := backend.CheckRefName(ref); err != nil {
		return err
	}
	if err := checkTag(ref); err != nil {
		return fmt.Errorf("%w: ref name %s: %w", backend.ErrInvalid, blob.Quote(ref), err)
	}
	return nil
}

// checkWritable returns an error matching ErrInvalid unless a ref can be
// written under the name.
func checkWritable(ref string) error {
	if backend.IsDigest(ref) {
		return fmt.Errorf("%w: %s is a digest, under which nothing can be written or deleted", backend.ErrInvalid, ref)
	}
	return checkName(ref)
}
