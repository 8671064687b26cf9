package gha

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/larder-build/larder/blob"
)

// Small blobs can lie together in one entry, a pack. What is in the packs of a
// scope says its catalog, a series of entries like that of a ref, of which the
// newest counts. BuildKit knows neither.
const (
	packPrefix = "larder-pack-1-"
	catalogKey = "larder-packs"
)

// maxCataloged is how many blobs a catalog has. Beyond, those of the oldest packs
// are forgotten: nobody tells when the service evicts one. A catalog of so many
// has two megabytes.
const maxCataloged = 20_000

// catalog says what is in packs, the oldest first.
type catalog struct {
	Packs []pack `json:"packs"`
}

// pack is an entry with the content of several blobs, one after the other.
type pack struct {
	Key   string       `json:"key"`
	Size  int64        `json:"size"` // in bytes
	Blobs []packedBlob `json:"blobs"`
}

// packedBlob is where a blob is in its pack, in bytes.
type packedBlob struct {
	Digest blob.Digest `json:"digest"`
	Offset int64       `json:"offset"`
	Size   int64       `json:"size"`
}

// newPack returns the pack of blobs that follow each other. Its key is made of
// what is in it, so that nobody needs to send the same pack twice.
func newPack(blobs []blob.Descriptor) pack {
	var p pack
	sum := sha256.New()
	for _, b := range blobs {
		p.Blobs = append(p.Blobs, packedBlob{Digest: b.Digest, Offset: p.Size, Size: b.Size})
		p.Size += b.Size
		_, _ = fmt.Fprintln(sum, b.Digest, b.Size) // never fails
	}
	p.Key = packPrefix + hex.EncodeToString(sum.Sum(nil))
	return p
}

// decodeCatalog reads a catalog. What makes no sense is left out, since others
// may write there: whose blobs are gone then.
func decodeCatalog(data []byte) catalog {
	var c catalog
	if json.Unmarshal(data, &c) != nil {
		return catalog{}
	}
	c.Packs = slices.DeleteFunc(c.Packs, func(p pack) bool {
		sum, ok := strings.CutPrefix(p.Key, packPrefix)
		raw, err := hex.DecodeString(sum)
		return !ok || err != nil || len(raw) != sha256.Size || slices.ContainsFunc(p.Blobs, func(b packedBlob) bool {
			return blob.CheckDigest(b.Digest) != nil || b.Offset < 0 || b.Size <= 0 || b.Size > p.Size-b.Offset
		})
	})
	return c
}

// with returns the catalog with another pack. Who has stored a blob anew did not
// find it where it was.
func (c catalog) with(p pack) catalog {
	anew := map[blob.Digest]bool{}
	for _, b := range p.Blobs {
		anew[b.Digest] = true
	}
	left, _ := c.without(anew)
	left.Packs = append(left.Packs, p)
	total := 0
	for i, p := range slices.Backward(left.Packs) {
		if total += len(p.Blobs); total > maxCataloged {
			left.Packs = left.Packs[i+1:]
			break
		}
	}
	return left
}

// without returns the catalog without some blobs, and the keys of the packs that
// have no others.
func (c catalog) without(gone map[blob.Digest]bool) (left catalog, emptied []string) {
	left.Packs = []pack{}
	for _, p := range c.Packs {
		p.Blobs = slices.DeleteFunc(slices.Clone(p.Blobs), func(b packedBlob) bool { return gone[b.Digest] })
		if len(p.Blobs) == 0 {
			emptied = append(emptied, p.Key)
			continue
		}
		left.Packs = append(left.Packs, p)
	}
	return left, emptied
}

// place is where a blob is.
type place struct {
	pack         string
	packSize     int64
	offset, size int64
}

// places returns where the blobs of a catalog are, by their keys.
func (c catalog) places() map[string]place {
	found := map[string]place{}
	for _, p := range c.Packs {
		for _, b := range p.Blobs {
			found[blobPrefix+b.Digest.String()] = place{pack: p.Key, packSize: p.Size, offset: b.Offset, size: b.Size}
		}
	}
	return found
}
