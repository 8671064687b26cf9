package strikes_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/internal/strikes"
)

func TestNext(t *testing.T) {
	all := func(*string) bool { return true }
	for _, test := range []struct {
		name string
		add  func(l *strikes.List[string])
		fits func(*string) bool
		want []string // of five that go on, "" for none
	}{
		{"none", func(*strikes.List[string]) {}, all, []string{"", "", "", "", ""}},
		{"once", func(l *strikes.List[string]) { l.Add("a", 0, 0) }, all, []string{"a", "", "", "", ""}},
		{"twice after one", func(l *strikes.List[string]) { l.Add("a", 1, 2) }, all, []string{"", "a", "a", "", ""}},
		{"always after three", func(l *strikes.List[string]) { l.Add("a", 3, -1) }, all, []string{"", "", "", "a", "a"}},
		{"the first added", func(l *strikes.List[string]) { l.Add("a", 0, 2); l.Add("b", 0, 2) }, all, []string{"a", "a", "b", "b", ""}},
		{"what is let pass counts for each", func(l *strikes.List[string]) { l.Add("a", 2, 1); l.Add("b", 1, 1) }, all, []string{"", "b", "a", "", ""}},
		{"what fits", func(l *strikes.List[string]) { l.Add("a", 0, -1); l.Add("b", 1, 1) }, func(f *string) bool { return *f == "b" }, []string{"", "b", "", "", ""}},
		{"cleared", func(l *strikes.List[string]) { l.Add("a", 0, -1); l.Clear() }, all, []string{"", "", "", "", ""}},
	} {
		var l strikes.List[string]
		test.add(&l)
		var got []string
		for range test.want {
			fault := ""
			if f := l.Next(test.fits); f != nil {
				fault = *f
			}
			got = append(got, fault)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: Next() differs (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestNextAsksAboutNoneThatIsSpent(t *testing.T) {
	var l strikes.List[int]
	l.Add(1, 0, 1)
	asked := 0
	for range 3 {
		l.Next(func(*int) bool { asked++; return true })
	}
	if asked != 1 {
		t.Errorf("a fault that strikes once was asked about %d times, want 1", asked)
	}
}
