package mem_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
)

func TestDocumentsByDigest(t *testing.T) {
	doc := backend.Document{MediaType: "application/x", Data: []byte("{}")}
	d := blob.Describe(doc.MediaType, doc.Data)
	for _, tt := range []struct {
		encoding string
		want     error
	}{
		{mem.EncodingFlat, backend.ErrNotFound},
		{mem.EncodingOCIManifest, nil},
	} {
		t.Run(tt.encoding, func(t *testing.T) {
			b := mem.NewWith(mem.Options{Encoding: tt.encoding})
			if _, err := b.PutRef(t.Context(), "main", doc, backend.Always); err != nil {
				t.Fatalf("PutRef(main) = %v, want nil", err)
			}
			if err := b.DeleteRef(t.Context(), "main", backend.Always); err != nil {
				t.Fatalf("DeleteRef(main) = %v, want nil", err)
			}
			got, err := b.GetRef(t.Context(), string(d.Digest))
			if !errors.Is(err, tt.want) || err == nil && got.MediaType != doc.MediaType {
				t.Errorf("GetRef(digest) = %+v, %v, want %v", got, err, tt.want)
			}
			if err := b.Delete(t.Context(), d.Digest); err != nil {
				t.Fatalf("Delete(document) = %v, want nil", err)
			}
			if _, err := b.GetRef(t.Context(), string(d.Digest)); !errors.Is(err, backend.ErrNotFound) {
				t.Errorf("GetRef(digest, deleted) = %v, want %v", err, backend.ErrNotFound)
			}
		})
	}
}

func TestBlobsAreNoDocuments(t *testing.T) {
	b := mem.NewWith(mem.Options{Encoding: mem.EncodingOCIManifest})
	d := blob.Describe("", []byte("layer"))
	if err := b.Put(t.Context(), d, blob.Bytes([]byte("layer"))); err != nil {
		t.Fatalf("Put() = %v, want nil", err)
	}
	if _, err := b.GetRef(t.Context(), string(d.Digest)); !errors.Is(err, backend.ErrNotFound) {
		t.Errorf("GetRef(digest of a layer) = %v, want %v", err, backend.ErrNotFound)
	}
}

func TestAgesAreTheClocks(t *testing.T) {
	now := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	b := mem.NewWith(mem.Options{Now: func() time.Time { return now }})
	d := blob.Describe("", []byte("x"))
	for range 2 {
		if err := b.Put(t.Context(), d, blob.Bytes([]byte("x"))); err != nil {
			t.Fatalf("Put() = %v, want nil", err)
		}
		found, err := b.Stat(t.Context(), d.Digest)
		if got := found[d.Digest].ModTime; err != nil || !got.Equal(now) {
			t.Errorf("Stat().ModTime = %s, %v, want %s", got, err, now)
		}
		now = now.Add(time.Hour)
	}
}

func TestPlant(t *testing.T) {
	b := mem.New()
	d := blob.Describe("", []byte("good"))
	if err := b.Plant(d.Digest, []byte("evil")); err != nil {
		t.Fatalf("Plant() = %v, want nil", err)
	}
	r, err := b.Open(t.Context(), d, 0, -1)
	if err != nil {
		t.Fatalf("Open() = %v, want nil", err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "evil" {
		t.Errorf("Read() = %q, %v, want evil", got, err)
	}
	if err := b.Plant("sha256:x", nil); !errors.Is(err, backend.ErrInvalid) {
		t.Errorf("Plant(malformed) = %v, want %v", err, backend.ErrInvalid)
	}
}

func TestErrorsSayWhatIsWanted(t *testing.T) {
	b := mem.New()
	if _, err := b.PutRef(t.Context(), "main", backend.Document{}, backend.Always); err != nil {
		t.Fatalf("PutRef(main) = %v, want nil", err)
	}
	for _, tt := range []struct {
		name string
		cond backend.Condition
		want string
	}{
		{"main", backend.Absent, "mem: put ref main: conflict: want absent, the ref has version 1"},
		{"other", backend.Match("7"), "mem: put ref other: conflict: want match 7, the ref does not exist"},
	} {
		if _, err := b.PutRef(t.Context(), tt.name, backend.Document{}, tt.cond); err == nil || err.Error() != tt.want {
			t.Errorf("PutRef(%s, %s) = %v, want %s", tt.name, tt.cond, err, tt.want)
		}
	}
}

func Example() {
	b := mem.New()
	defer func() { _ = b.Close() }()
	fmt.Println(b.Info().Driver, b.Info().Encoding)
	// Output: mem flat
}
