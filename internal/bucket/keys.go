package bucket

import (
	"fmt"
	"path"
	"strings"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// Keys says where objects lie: the key of a blob is Blobs followed by its
// digest, sha256: included, and that of a ref is Manifests followed by its
// name. Nothing is inserted.
type Keys struct {
	Blobs, Manifests string
}

// Concatenated returns the keys of BuildKit's S3 caches: prefixes and names
// are put together as they are. A slash is part of a prefix or is not there.
func Concatenated(prefix, blobs, manifests string) Keys {
	return Keys{Blobs: prefix + blobs, Manifests: prefix + manifests}
}

// Joined returns the keys of BuildKit's Azure caches: prefixes and names are
// elements of a path, which is cleaned. So "/a//b" and "./a/b/" are no
// different, except that a slash at the very start remains.
func Joined(prefix, blobs, manifests string) Keys {
	join := func(last string) string {
		dir := path.Join(prefix, last)
		if dir == "" || strings.HasSuffix(dir, "/") {
			return dir
		}
		return dir + "/"
	}
	return Keys{Blobs: join(blobs), Manifests: join(manifests)}
}

func (k Keys) blob(d blob.Digest) string { return k.Blobs + d.String() }

// digest is the inverse of blob.
func (k Keys) digest(key string) (blob.Digest, bool) {
	rest, ok := strings.CutPrefix(key, k.Blobs)
	d := blob.Digest(rest)
	return d, ok && blob.CheckDigest(d) == nil
}

// ref returns the key of a ref. With unlucky prefixes a name can mean the key
// of a blob, and is then refused.
func (k Keys) ref(name string) (string, error) {
	if err := backend.CheckRefName(name); err != nil {
		return "", err
	}
	key := k.Manifests + name
	if d, ok := k.digest(key); ok {
		return "", fmt.Errorf("%w: ref name %s is the key of blob %s", backend.ErrInvalid, blob.Quote(name), d)
	}
	return key, nil
}

// name is the inverse of ref.
func (k Keys) name(key string) (string, bool) {
	name, ok := strings.CutPrefix(key, k.Manifests)
	if !ok || backend.IsDigest(name) {
		return "", false
	}
	same, err := k.ref(name)
	return name, err == nil && same == key
}
