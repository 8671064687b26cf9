package archive_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/archive"
)

func snapshot() *archive.Snapshot {
	return &archive.Snapshot{
		Layers:  []archive.StackLayer{{Digest: "sha256:a", DiffID: "sha256:b", MediaType: "tar", Size: 5, Entries: 7}, {Digest: "b", Size: 1 << 40, Entries: 1, Delta: true, Removed: []string{"gone", "dir/\xffgone"}}},
		Entries: listed(),
		Of:      []int{0, 0, 1, 0, 0, 1},
	}
}

func TestSnapshotsRoundTrip(t *testing.T) {
	for _, want := range []*archive.Snapshot{snapshot(), {Entries: []archive.Entry{}, Of: []int{}}} {
		data, err := want.Encode()
		must(t, err)
		got, err := archive.DecodeSnapshot(data)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("DecodeSnapshot() = %v (-want +got)\n%s", err, diff)
		}
	}
}

func TestDecodeSnapshotRefusesDamage(t *testing.T) {
	good, err := snapshot().Encode()
	must(t, err)
	flipped := append([]byte(nil), good...)
	flipped[len(good)/2] ^= 1
	outOfRange := snapshot()
	outOfRange.Of[0] = 2
	bad, err := outOfRange.Encode()
	must(t, err)
	for name, data := range map[string][]byte{"nothing": nil, "cut": good[:len(good)-3], "flipped": flipped, "a list": list(t, listed(), true), "unknown layer": bad} {
		if _, err := archive.DecodeSnapshot(data); !errors.Is(err, blob.ErrCorrupt) {
			t.Errorf("%s: DecodeSnapshot() = %v, want %v", name, err, blob.ErrCorrupt)
		}
	}
}

func FuzzDecodeSnapshot(f *testing.F) {
	data, err := snapshot().Encode()
	must(f, err)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := archive.DecodeSnapshot(data); err != nil && !errors.Is(err, blob.ErrCorrupt) {
			t.Errorf("DecodeSnapshot() = %v, want %v", err, blob.ErrCorrupt)
		}
	})
}
