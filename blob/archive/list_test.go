package archive_test

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/blob/archive"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func listed() []archive.Entry {
	return []archive.Entry{
		{Path: ".", Mode: fs.ModeDir | 0o755, ModTime: time.Unix(1, 2)},
		{Path: "dir", Mode: fs.ModeDir | 0o700, ModTime: time.Unix(-5, 999_999_999)},
		{Path: "dir/file", Mode: 0o644, Size: 1 << 40, ModTime: time.Unix(1<<34, 0), UID: 1000, GID: 100, Stat: archive.Stat{ChangeTime: -7, Inode: 1 << 63, Device: 3, Links: 2, Blocks: 8}},
		{Path: "dir/link\xff", Mode: fs.ModeSymlink | 0o777, Link: "to\nwhere"},
		{Path: "dir1", Removed: true},
		{Path: "dir2", Mode: fs.ModeDevice | fs.ModeCharDevice | 0o600, Major: 1, Minor: 3},
	}
}

func list(tb testing.TB, entries []archive.Entry, stats bool) []byte {
	tb.Helper()
	data, err := archive.AppendList(nil, entries, stats)
	must(tb, err)
	return data
}

func TestListsRoundTrip(t *testing.T) {
	for _, stats := range []bool{false, true} {
		got, err := archive.ParseList(list(t, listed(), stats))
		var opts cmp.Options
		if !stats {
			opts = append(opts, cmpopts.IgnoreFields(archive.Entry{}, "Stat"))
		}
		if diff := cmp.Diff(listed(), got, opts); diff != "" || err != nil {
			t.Errorf("stats %t: ParseList() = %v (-want +got)\n%s", stats, err, diff)
		}
		if !stats && got[2].Stat != (archive.Stat{}) {
			t.Errorf("list without stats has %+v", got[2].Stat)
		}
	}
	if got, err := archive.ParseList(list(t, nil, true)); err != nil || len(got) != 0 {
		t.Errorf("empty list is read as %v, %v", got, err)
	}
}

func TestParseListRefusesWhatIsNone(t *testing.T) {
	good := list(t, listed(), true)
	hostile := listed()
	hostile[2].Path = "dir/../../etc"
	unsorted := listed()
	unsorted[0], unsorted[1] = unsorted[1], unsorted[0]
	for name, data := range map[string][]byte{"nothing": nil, "cut": good[:len(good)-5], "no list": []byte("text"), "path outside": list(t, hostile, false), "unsorted": list(t, unsorted, false)} {
		if _, err := archive.ParseList(data); !errors.Is(err, blob.ErrCorrupt) {
			t.Errorf("%s: ParseList() = %v, want %v", name, err, blob.ErrCorrupt)
		}
	}
}

func FuzzParseList(f *testing.F) {
	f.Add(list(f, listed(), true))
	f.Add(list(f, listed(), false))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := archive.ParseList(data)
		if err != nil {
			if !errors.Is(err, blob.ErrCorrupt) {
				t.Errorf("ParseList() = %v, want %v", err, blob.ErrCorrupt)
			}
			return
		}
		again, err := archive.ParseList(list(t, entries, true))
		if diff := cmp.Diff(entries, again); diff != "" || err != nil {
			t.Errorf("list changes when it is written again: %v\n%s", err, diff)
		}
	})
}
