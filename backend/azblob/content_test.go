package azblob

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/larder-build/larder/internal/bucket"
)

// TestContentIsMeasured asks for the length as the SDK does.
func TestContentIsMeasured(t *testing.T) {
	for name, r := range map[string]io.Reader{
		"seekable": strings.NewReader("0123456789"),
		"stream":   iotest.OneByteReader(strings.NewReader("0123456789")),
	} {
		c := newContent(bucket.Body{Reader: r, Size: 10})
		for _, seek := range []struct {
			whence int
			want   int64
		}{{io.SeekCurrent, 0}, {io.SeekEnd, 10}, {io.SeekStart, 0}} {
			if got, err := c.Seek(0, seek.whence); err != nil || got != seek.want {
				t.Errorf("Seek(0, %d) of a %s = %d, %v, want %d", seek.whence, name, got, err, seek.want)
			}
		}
		if data, err := io.ReadAll(c); err != nil || string(data) != "0123456789" {
			t.Errorf("ReadAll() of a %s = %q, %v, want all of it", name, data, err)
		}
	}
}

// TestContentIsReadAgain goes back where the source can.
func TestContentIsReadAgain(t *testing.T) {
	c := newContent(bucket.Body{Reader: strings.NewReader("0123456789"), Size: 10})
	for range 2 {
		if _, err := c.Seek(0, io.SeekStart); err != nil {
			t.Fatalf("Seek(start) = %v, want nil", err)
		}
		if data, err := io.ReadAll(c); err != nil || string(data) != "0123456789" {
			t.Errorf("ReadAll() = %q, %v, want all of it", data, err)
		}
	}
	c = newContent(bucket.Body{Reader: iotest.OneByteReader(strings.NewReader("0123456789")), Size: 10})
	if _, err := c.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Seek(0, io.SeekStart); !errors.Is(err, errOnce) {
		t.Errorf("Seek(start) of a stream = %v, want %v", err, errOnce)
	}
}

// TestContentEnds hands out nothing after the request has returned, when its
// memory is somebody else's.
func TestContentEnds(t *testing.T) {
	c := newContent(bucket.Body{Reader: strings.NewReader("0123456789"), Size: 10})
	c.end()
	if n, err := c.Read(make([]byte, 3)); n != 0 || !errors.Is(err, errEnded) {
		t.Errorf("Read(after the end) = %d, %v, want %v", n, err, errEnded)
	}
}

// TestContentKeepsReasons tells an error of the source from one of the network.
func TestContentKeepsReasons(t *testing.T) {
	broken, network := errors.New("the disk is on fire"), errors.New("connection reset")
	for _, tt := range []struct {
		name string
		r    io.Reader
		want error
	}{
		{"broken source", iotest.ErrReader(broken), broken},
		{"short source", strings.NewReader("01234"), io.ErrUnexpectedEOF},
		{"good source", strings.NewReader("0123456789"), network},
	} {
		c := newContent(bucket.Body{Reader: tt.r, Size: 10})
		_, _ = io.ReadAll(c)
		if got := c.reason(network); !errors.Is(got, tt.want) {
			t.Errorf("reason of a %s = %v, want %v", tt.name, got, tt.want)
		}
		if got := c.reason(nil); got != nil {
			t.Errorf("reason of a %s whose request has succeeded = %v, want nil", tt.name, got)
		}
	}
}
