package larder

import (
	"maps"
	"strconv"

	"github.com/larder-build/larder/blob/compress"
	"github.com/larder-build/larder/manifest"
)

// AnnotationTarSize is the annotation of a layer that larder has made with the
// size of its tar in bytes. It bounds what the layer may decompress to: without
// it, a layer of files that compress well, such as zeros, is not to be told from
// one that is made to fill a disk.
const AnnotationTarSize = "build.larder.tar-size"

// annotationsOf returns the annotations for the descriptor of a layer that was
// made.
func annotationsOf(l compress.Layer) map[string]string {
	annotations := map[string]string{AnnotationTarSize: strconv.FormatInt(l.UncompressedSize, 10)}
	maps.Copy(annotations, l.Annotations)
	return annotations
}

// tarSize returns the size that a layer declares for its tar, or 0.
func tarSize(l manifest.Layer) int64 {
	size, err := strconv.ParseInt(l.Annotations[AnnotationTarSize], 10, 64)
	if err != nil || size < 0 {
		return 0
	}
	return size
}

// declared returns the bounds for decompressing a layer: by its declared size, if
// it has one and the caller has no bounds of its own.
func declared(l manifest.Layer, opts compress.Options) compress.Options {
	if size := tarSize(l); size > 0 && opts == (compress.Options{}) {
		return compress.Options{MaxExpansion: -1, MaxSize: size}
	}
	return opts
}

// sizeBound returns the default bound for the size of content, in bytes, raised
// to the largest tar that layers declare, so that what could be saved is not
// refused.
func sizeBound(layers []manifest.Layer) int64 {
	bound := int64(compress.DefaultMaxSize)
	for _, l := range layers {
		bound = max(bound, tarSize(l))
	}
	return bound
}
