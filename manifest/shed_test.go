package manifest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/larder-build/larder/blob"
)

// atMost accepts manifests with no more than n results and counts the calls.
func atMost(n int, calls *int) func(*Manifest) (bool, error) {
	return func(m *Manifest) (bool, error) {
		*calls++
		results := 0
		for range m.results() {
			results++
		}
		return results <= n, nil
	}
}

func TestShed(t *testing.T) {
	m := &Manifest{
		Layers: []Layer{layer("a", NoParent), layer("b", 0), layer("c", NoParent)},
		Records: []Record{
			{Digest: "unused"},
			{Digest: "oldest", Results: []Result{top(0, 1)}},
			{Digest: "on it", Inputs: [][]Link{links(1)}, Results: []Result{top(1, 3), top(0, 0)}},
			{Digest: "old", Results: []Result{top(2, 2)}},
		},
	}
	tests := []struct {
		name    string
		results int
		want    []string
		removed int
	}{
		{"all fits", 4, []string{"unused", "oldest", "on it", "old"}, 0},
		{"the oldest stays as a link", 3, []string{"oldest", "on it", "old"}, 1},
		{"the next is removed", 2, []string{"oldest", "on it"}, 2},
		{"nothing is left", 0, nil, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, removed, err := Shed(m, atMost(tt.results, new(int)))
			if err != nil || removed != tt.removed {
				t.Errorf("Shed = %d, %v, want %d, nil", removed, err, tt.removed)
			}
			if diff := cmp.Diff(tt.want, recordDigests(got)); diff != "" {
				t.Errorf("records: -want +got:\n%s", diff)
			}
		})
	}
}

func TestShedErrors(t *testing.T) {
	never := func(*Manifest) (bool, error) { return false, nil }
	if _, _, err := Shed(two(), never); !errors.Is(err, blob.ErrTooLarge) {
		t.Errorf("Shed = %v, want ErrTooLarge", err)
	}
	broken := errors.New("broken")
	for failing := range 3 {
		calls := 0
		_, _, err := Shed(wide(5), func(*Manifest) (bool, error) {
			calls++
			if calls > failing {
				return false, broken
			}
			return false, nil
		})
		if !errors.Is(err, broken) || calls != failing+1 {
			t.Errorf("Shed = %v after %d calls, want the error of call %d", err, calls, failing+1)
		}
	}
}

func TestShedAsksSeldomAndKeepsTheMost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := wide(rapid.IntRange(0, 200).Draw(t, "records"))
		limit := rapid.IntRange(0, 200).Draw(t, "limit")
		calls := 0
		kept, removed, err := Shed(m, atMost(limit, &calls))
		if err != nil {
			t.Fatal(err)
		}
		if want := max(0, len(m.Records)-limit); removed != want || len(kept.Records) != len(m.Records)-want {
			t.Errorf("Shed removed %d and kept %d of %d, want to remove %d", removed, len(kept.Records), len(m.Records), want)
		}
		if calls > 10 {
			t.Errorf("fits was called %d times for %d records, want 10 at most", calls, len(m.Records))
		}
	})
}

// wide returns a manifest of n independent records, each with a layer.
func wide(n int) *Manifest {
	m := &Manifest{}
	for i := range n {
		m.Layers = append(m.Layers, layer(fmt.Sprint(i), NoParent))
		m.Records = append(m.Records, Record{Digest: sum(fmt.Sprint("r", i)), Results: []Result{top(i, i)}})
	}
	return m
}
