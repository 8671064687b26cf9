package archive_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/larder-build/larder/blob/archive"
)

// A directory becomes layers, a tar for each pack, and they become a directory
// again.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "larder-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.Mkdir(from, 0o755); err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(from, name), []byte("content of "+name), 0o644); err != nil {
			fmt.Println(err)
			return
		}
	}

	entries, err := archive.Walk(ctx, from, archive.WalkOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	var layers []archive.Layer
	begin := 0
	for _, end := range archive.Split(entries, archive.DefaultPackSize) {
		var tar bytes.Buffer
		if err := archive.Write(ctx, &tar, from, entries[begin:end], archive.WriteOptions{}); err != nil {
			fmt.Println(err)
			return
		}
		layers = append(layers, archive.Layer{
			Open:     func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(tar.Bytes())), nil },
			Disjoint: true,
		})
		begin = end
	}

	out, err := archive.Extract(ctx, to, layers, archive.ExtractOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	content, err := os.ReadFile(filepath.Join(to, "a"))
	fmt.Println(len(layers), "layer,", out.Bytes, "bytes")
	fmt.Println(string(content), err)
	// Output:
	// 1 layer, 24 bytes
	// content of a <nil>
}
