package gha

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// The keys and the version are BuildKit's.
//
// Source: github.com/moby/buildkit/cache/remotecache/gha and
// github.com/tonistiigi/go-actions-cache.
const (
	blobPrefix   = "buildkit-blob-1-"
	indexPrefix  = "index-"
	indexMiddle  = "-1-"
	cacheVersion = "693bb7016429d80366022f036f84856888c9f13e00145f5f6f4dce303a38d6f2" // sha256 of "|go-actionscache-1.0"
)

// The service has no empty entries. The empty blob is one byte under a key that
// nobody else asks for.
const (
	emptyBlob   = blob.Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	emptyPrefix = "larder-empty-1-"
)

// isEmpty reports whether a key is that of the empty blob.
func isEmpty(key string) bool { return key == blobPrefix+emptyBlob.String() }

// entryOf returns the key of the entry of a blob.
func entryOf(key string) string {
	if isEmpty(key) {
		return emptyPrefix + emptyBlob.String()
	}
	return key
}

// seriesOf returns what the keys of the entries of a ref, or of a catalog, in a
// scope begin with.
func seriesOf(key, scope string) string {
	sum := sha256.Sum256([]byte(scope))
	return key + indexMiddle + hex.EncodeToString(sum[:])[:8] + "#"
}

// numbered returns the key of the entry with a number in a series; there is
// none with 0.
func numbered(series string, number int) string { return series + strconv.Itoa(number) }

// numberOf is the inverse of numbered.
func numberOf(series, key string) (number int, ok bool) {
	rest, found := strings.CutPrefix(key, series)
	number, err := strconv.Atoi(rest)
	return number, found && err == nil && number > 0 && strconv.Itoa(number) == rest
}

// checkRef refuses names in which a number could begin.
func checkRef(name string) error {
	if strings.Contains(name, "#") {
		return fmt.Errorf("%w: ref name %s has a #, after which the number of an entry begins", backend.ErrInvalid, blob.Quote(name))
	}
	return nil
}
