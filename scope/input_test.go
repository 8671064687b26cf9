package scope_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/scope"
)

func TestInputOr(t *testing.T) {
	detected := scope.Input{
		Kind: scope.PullRequest, Number: "7", Head: "topic", HeadRepo: "eve/app", Base: "main", Default: "main", Fork: true,
		Commit: "c0ffee", Ancestors: []scope.Ancestor{{Branch: "a"}}, Known: []string{"a"}, Target: "t", Platform: "p",
	}
	all := scope.Input{
		Kind: scope.Branch, Ref: "r", Number: "1", Head: "h", HeadRepo: "org/app", Base: "b", Default: "d",
		Commit: "beef", Ancestors: []scope.Ancestor{}, Known: []string{}, Target: "x", Platform: "y",
	}
	tests := []struct {
		name     string
		in, want scope.Input
	}{
		{"nothing stated", scope.Input{}, detected},
		{"all stated, and still a fork's", all, with(all, func(in *scope.Input) { in.Fork = true })},
		{"details of the same build", scope.Input{Base: "next", Target: "x"}, with(detected, func(in *scope.Input) { in.Base, in.Target = "next", "x" })},
		{
			"another kind is another build",
			scope.Input{Kind: scope.Tag, Ref: "v1"},
			scope.Input{
				Kind: scope.Tag, Ref: "v1", Default: "main", Fork: true, Commit: "c0ffee",
				Ancestors: []scope.Ancestor{{Branch: "a"}}, Known: []string{"a"}, Target: "t", Platform: "p",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.in.Or(detected)); diff != "" {
				t.Errorf("Or() differs (-want +got):\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff(detected, detected.Or(scope.Input{})); diff != "" {
		t.Errorf("Or(nothing) differs (-want +got):\n%s", diff)
	}
}
