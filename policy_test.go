package larder_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/internal/faulty"
)

// TestPolicies fans out to three stores, of which some fail.
func TestPolicies(t *testing.T) {
	all, anyOne := larder.Policy{}, larder.Policy{Any: true}
	required := func(n ...int) larder.Policy { return larder.Policy{Required: n} }
	tests := []struct {
		policy larder.Policy
		broken string // the stores that fail
		want   string // those that the error names
	}{
		{all, "", ""},
		{all, "b", "b"},
		{all, "ac", "ac"},
		{anyOne, "", ""},
		{anyOne, "ab", ""},
		{anyOne, "abc", "abc"},
		{required(0), "bc", ""},
		{required(0), "ab", "a"},
		{required(0, 2), "bc", "c"},
		{required(), "", ""},
		{larder.Policy{Required: []int{}}, "abc", ""},
		{larder.Policy{Required: []int{1}, Any: true}, "b", "b"},
	}
	c := cacheOf(t, "base")
	for _, tt := range tests {
		t.Run(tt.policy.String()+" "+tt.broken, func(t *testing.T) {
			var to []larder.Target
			for _, ref := range []string{"a", "b", "c"} {
				b := faulty.New(mem.New())
				if strings.Contains(tt.broken, ref) {
					b.Inject(faulty.Fault{Op: faulty.PutRef, Times: -1, Err: backend.ErrDenied})
				}
				to = append(to, larder.Target{Backend: b, Ref: ref})
			}
			report, err := larder.Export(t.Context(), c.Manifest, c, to, larder.ExportOptions{})
			for i, target := range report.Targets {
				failed := target.Outcome == larder.Failed
				if failed != strings.Contains(tt.broken, to[i].Ref) {
					t.Errorf("%s is %s", to[i].Ref, target.Outcome)
				}
			}
			err = tt.policy.Judge(report, err)
			if (err == nil) != (tt.want == "") || err != nil && !errors.Is(err, backend.ErrDenied) {
				t.Fatalf("Judge() = %v, want an error about %q", err, tt.want)
			}
			for _, ref := range []string{"a", "b", "c"} {
				if err != nil && strings.Contains(err.Error(), " "+ref+":") != strings.Contains(tt.want, ref) {
					t.Errorf("Judge() = %v, want an error about %q", err, tt.want)
				}
			}
		})
	}
	if err := anyOne.Judge(&larder.Report{}, backend.ErrInvalid); !errors.Is(err, backend.ErrInvalid) {
		t.Errorf("Judge(an error about no target) = %v, want it", err)
	}
}
