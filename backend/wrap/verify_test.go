package wrap_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
)

// TestVerify reads damaged and good content in whole and in part.
func TestVerify(t *testing.T) {
	data := digits(40)
	flip := faulty.Fault{Op: faulty.Open, FlipAt: 20, Times: -1}
	cut := faulty.Fault{Op: faulty.Open, BreakAt: 39, Times: -1}
	reset := faulty.Fault{Op: faulty.Open, BreakAt: 39, Err: errReset, Times: -1}
	tests := []struct {
		name   string
		faults []faulty.Fault
		size   int64
		off, n int64
		want   error
		got    int // bytes handed out at most
	}{
		{"good", nil, 40, 0, -1, nil, 40},
		{"good of unknown size", nil, -1, 0, -1, nil, 40},
		{"flipped", []faulty.Fault{flip}, 40, 0, -1, backend.ErrCorrupt, 39},
		{"flipped, of unknown size", []faulty.Fault{flip}, -1, 0, -1, backend.ErrCorrupt, 39},
		{"flipped, all asked for by length", []faulty.Fault{flip}, 40, 0, 40, backend.ErrCorrupt, 39},
		{"flipped, more than all asked for", []faulty.Fault{flip}, 40, 0, 100, backend.ErrCorrupt, 39},
		{"flipped, a part from the start", []faulty.Fault{flip}, 40, 0, 39, nil, 39},
		{"flipped, a part from inside", []faulty.Fault{flip}, 40, 1, -1, nil, 39},
		{"flipped, a length of unknown size", []faulty.Fault{flip}, -1, 0, 40, nil, 40},
		{"cut", []faulty.Fault{cut}, 40, 0, -1, backend.ErrCorrupt, 39},
		{"cut, of unknown size", []faulty.Fault{cut}, -1, 0, -1, backend.ErrCorrupt, 38},
		{"broken", []faulty.Fault{reset}, 40, 0, -1, errReset, 39},
		{"size too small", nil, 39, 0, -1, backend.ErrCorrupt, 38},
		{"size too large", nil, 41, 0, -1, backend.ErrCorrupt, 40},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store, d := stored(t, data, test.faults...)
			d.Size = test.size
			got, err := readRange(t.Context(), wrap.Verify(store), d, test.off, test.n)
			if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
				t.Errorf("read = %v, want %v", err, test.want)
			}
			if len(got) > test.got || err == nil && len(got) != test.got {
				t.Errorf("read %d bytes, want %d", len(got), test.got)
			}
			e := (*backend.Error)(nil)
			if errors.Is(err, backend.ErrCorrupt) && (!errors.As(err, &e) || e.Key != string(d.Digest) || e.Temporary) {
				t.Errorf("read = %#v, want a final backend.Error with the digest", err)
			}
		})
	}
}

func TestVerifyOpenRaw(t *testing.T) {
	store, d := stored(t, digits(40), faulty.Fault{Op: faulty.Open, FlipAt: 20, Times: -1})
	// Through everything that Recommended puts around it.
	for name, b := range map[string]backend.Backend{"Verify": wrap.Verify(store), "Recommended": wrap.Recommended(store, wrap.Options{Observer: &wrap.Observer{}})} {
		r, err := backend.RawSourceOf(b, d).Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := digits(40)
		want[20] ^= 0xff
		if got, err := io.ReadAll(r); !bytes.Equal(got, want) || err != nil {
			t.Errorf("%s: raw read = %v, %v, want the damaged bytes as they are", name, got, err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: Close() = %v, want nil", name, err)
		}
	}
}

// digestRefs serves documents by any name.
type digestRefs struct{ backend.Backend }

func (digestRefs) GetRef(_ context.Context, name string) (backend.Ref, error) {
	return backend.Ref{Name: name, Document: backend.Document{Data: []byte("hello")}}, nil
}

func TestVerifyDocumentsByDigest(t *testing.T) {
	b := wrap.Verify(digestRefs{mem.New()})
	other := blob.Describe("", []byte("other")).Digest
	tests := []struct {
		name string
		want error
	}{
		{string(someBlob.Digest), nil},
		{string(other), backend.ErrCorrupt},
		{"main", nil},
	}
	for _, test := range tests {
		ref, err := b.GetRef(t.Context(), test.name)
		if !errors.Is(err, test.want) || (err == nil) != slices.Equal(ref.Data, []byte("hello")) {
			t.Errorf("GetRef(%s) = %q, %v, want %v", test.name, ref.Data, err, test.want)
		}
	}
}
