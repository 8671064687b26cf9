package azblob

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// What the service lets things be called.
//
// Source: learn.microsoft.com/rest/api/storageservices, "Naming and Referencing
// Containers, Blobs, and Metadata".
var containerLike = regexp.MustCompile(`^(\$web|[a-z0-9](-?[a-z0-9])+)$`)

// maxPrefix is the longest prefix in bytes: two of them with a name of
// [backend.MaxRefName] make a key of fewer than the 1,024 characters that the
// service takes.
const maxPrefix = 256

func checkContainer(name string) error {
	if len(name) < 3 || len(name) > 63 || !containerLike.MatchString(name) {
		return errors.New("want 3 to 63 lower-case letters, digits and single hyphens between them")
	}
	return nil
}

// checkPrefix accepts what the service does not take for something else.
func checkPrefix(value string) error {
	switch {
	case strings.Contains(value, `\`):
		return errors.New(`want / in place of \, as the service has it`)
	case len(value) > maxPrefix:
		return fmt.Errorf("want at most %d bytes", maxPrefix)
	}
	return nil
}

func checkPrefixes(o Options) error {
	for setting, value := range map[string]string{"prefix": o.Prefix, "manifests_prefix": *o.ManifestsPrefix, "blobs_prefix": *o.BlobsPrefix} {
		if err := checkPrefix(value); err != nil {
			return invalid(setting, err)
		}
	}
	return nil
}

// checkRef refuses names that the service would change: it takes a backslash
// for a slash and may drop a dot at the end of an element.
func checkRef(name string) error {
	for element := range strings.SplitSeq(name, "/") {
		if strings.HasSuffix(element, ".") || strings.Contains(element, `\`) {
			return fmt.Errorf("%w: ref name %s has a backslash, or a dot before a slash or at the end, which Azure takes for something else", backend.ErrInvalid, blob.Quote(name))
		}
	}
	return nil
}
