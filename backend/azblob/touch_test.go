package azblob_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/internal/azuretest"
)

// TestTouch shows that what is old is renewed when it is put, by writing the
// metadata that it has, and what is young is left alone.
func TestTouch(t *testing.T) {
	for _, tt := range []struct {
		name    string
		age     time.Duration
		refresh time.Duration
		want    map[string]int
	}{
		{"young", 11 * time.Hour, 0, map[string]int{"Put Blob": 1, "Get Blob Properties": 1}},
		{"old", 13 * time.Hour, 0, map[string]int{"Put Blob": 1, "Get Blob Properties": 1, "Set Blob Metadata": 1}},
		{"old by another bound", 40 * time.Minute, time.Hour, map[string]int{"Put Blob": 1, "Get Blob Properties": 1, "Set Blob Metadata": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, opts := fake(t, azuretest.Options{})
			opts.RefreshAge = tt.refresh
			b := open(t, opts)
			data := content(1, 1000)
			d := put(t, b, data)
			key := "blobs/" + d.Digest.String()
			if _, err := b.Container().NewBlobClient(key).SetMetadata(t.Context(), map[string]*string{"team": new("a")}, nil); err != nil {
				t.Fatal(err)
			}
			if err := s.Age("cache", key, tt.age); err != nil {
				t.Fatal(err)
			}
			s.Forget()
			put(t, b, data)
			if diff := cmp.Diff(tt.want, ops(s)); diff != "" {
				t.Errorf("Put(%s blob) differs (-want +got):\n%s", tt.name, diff)
			}
			if diff := cmp.Diff(map[string]string{"team": "a"}, s.Metadata("cache", key)); diff != "" {
				t.Errorf("metadata after Put differs (-want +got):\n%s", diff)
			}
			info, err := b.Stat(t.Context(), d.Digest)
			if touched := tt.want["Set Blob Metadata"] == 1; err != nil || (time.Since(info[d.Digest].ModTime) < time.Minute) != touched {
				t.Errorf("Stat() = %v, %v, want a new age %t", info, err, touched)
			}
			if got, ok := s.Get("cache", key); !ok || string(got) != string(data) {
				t.Errorf("the blob has %d bytes, want it as before", len(got))
			}
		})
	}
}

// TestTouchLosesRace has another writer renew the blob in between.
func TestTouchLosesRace(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	b := open(t, opts)
	data := content(1, 2<<20) // is asked for first
	d := put(t, b, data)
	key := "blobs/" + d.Digest.String()
	if err := s.Age("cache", key, 48*time.Hour); err != nil {
		t.Fatal(err)
	}
	s.After = func(op string) {
		if op == "Get Blob Properties" {
			s.Put("cache", key, data)
		}
	}
	s.Forget()
	put(t, b, data)
	if got := s.Count("Put Blob"); got != 0 {
		t.Errorf("Put() has sent the content %d times, want it left as the other has it", got)
	}
}

// TestExportRenews shows that an export after half the bound renews all that it
// relies on, and within it nothing.
func TestExportRenews(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	m, blobs := cacheOf(t, 5)
	export := func() map[string]int {
		t.Helper()
		s.Forget()
		to := larder.Target{Backend: open(t, opts), Ref: "main"}
		if _, err := larder.Export(t.Context(), m, blobs, []larder.Target{to}, larder.ExportOptions{}); err != nil {
			t.Fatal(err)
		}
		return ops(s)
	}
	export()
	if got := export()["Set Blob Metadata"]; got != 0 {
		t.Errorf("Export(the same at once) has renewed %d blobs, want none", got)
	}
	for _, name := range s.Names("cache") {
		if err := s.Age("cache", name, 24*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if got := export()["Set Blob Metadata"]; got != 5 {
		t.Errorf("Export(the same a day later) has renewed %d blobs, want all 5", got)
	}
}
