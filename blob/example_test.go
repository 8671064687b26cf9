package blob_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/larder-build/larder/blob"
)

func ExampleDescribe() {
	d := blob.Describe("text/plain", []byte("hello"))
	fmt.Println(d.Digest)
	fmt.Println(d.Size, d.MediaType)
	// Output:
	// sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
	// 5 text/plain
}

// A download that was damaged on the way never looks complete.
func ExampleNewReader() {
	want := blob.Describe("", []byte("hello"))
	body := io.NopCloser(strings.NewReader("hellO"))
	data, err := io.ReadAll(blob.NewReader(body, want))
	fmt.Println(len(data), errors.Is(err, blob.ErrCorrupt))
	// Output: 0 true
}

// A source can be opened again, so that an upload can be repeated.
func ExampleSource() {
	src := blob.Bytes([]byte("hello"))
	for range 2 {
		data, err := blob.ReadAll(context.Background(), blob.Describe("", []byte("hello")), src, 1<<20)
		fmt.Println(string(data), err)
	}
	// Output:
	// hello <nil>
	// hello <nil>
}

func ExampleCheckDigest() {
	fmt.Println(blob.CheckDigest("sha256:../../etc/passwd"))
	// Output: invalid: digest "sha256:../../etc/passwd": want sha256: and 64 lower-case hexadecimal digits
}
