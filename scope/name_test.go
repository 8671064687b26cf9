package scope_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/larder-build/larder/scope"
)

func TestName(t *testing.T) {
	long := strings.Repeat("long-", 20)
	tests := []struct {
		scope scope.Scope
		want  string
	}{
		{scope.Scope{Kind: "branch", Ref: "main"}, "main"},
		{scope.Scope{Kind: "branch", Ref: "feature/a"}, "feature__a"},
		{scope.Scope{Kind: "branch", Ref: "Feature/A"}, "_feature___a"},
		{scope.Scope{Kind: "branch", Ref: "feature-a"}, "feature-a"},
		{scope.Scope{Kind: "branch", Ref: "feature_a"}, "feature_-a"},
		{scope.Scope{Kind: "branch", Ref: "feature__a"}, "feature_-_-a"},
		{scope.Scope{Kind: "branch", Ref: "JIRA-123_Fix"}, "_4jira-123_-_fix"},
		{scope.Scope{Kind: "branch", Ref: "ABCDEFGHIJKL"}, "_9abcdefghi_3jkl"},
		{scope.Scope{Kind: "branch", Ref: "release/1.2.x"}, "release__1.2.x"},
		{scope.Scope{Kind: "branch", Ref: "dependabot/npm_and_yarn/@types/node-18"}, "dependabot__npm_-and_-yarn___.40_types__node-18"},
		{scope.Scope{Kind: "branch", Ref: "größe"}, "gr_.c3b6c39f_e"},
		{scope.Scope{Kind: "branch", Ref: "a--b"}, "a-_.2d_b"},
		{scope.Scope{Kind: "branch", Ref: "a_-b"}, "a_-_.2d_b"},
		{scope.Scope{Kind: "branch", Ref: "a_"}, "a_.5f_"},
		{scope.Scope{Kind: "branch", Ref: "-a"}, "_.2d_a"},
		{scope.Scope{Kind: "branch", Ref: ".a."}, "_.2e_a_.2e_"},
		{scope.Scope{Kind: "branch", Ref: "con"}, "_.63_on"},
		{scope.Scope{Kind: "branch", Ref: "CON"}, "_3con"},
		{scope.Scope{Kind: "branch", Ref: "lpt1.x"}, "_.6c_pt1.x"},
		{scope.Scope{Kind: "branch", Ref: "console"}, "console"},
		{scope.Scope{Kind: "branch", Ref: "main.dirs"}, "main_.2e_dirs"},
		{scope.Scope{Kind: "branch", Ref: "pr"}, "_.70_r"},
		{scope.Scope{Kind: "branch", Ref: "pr", Target: "12"}, "_.70_r--12"},
		{scope.Scope{Kind: "branch", Ref: "pr-12"}, "pr-12"},
		{scope.Scope{Kind: "pull-request", Ref: "12"}, "pr--12"},
		{scope.Scope{Kind: "pull-request", Ref: "12", Target: "app"}, "pr--12--app"},
		{scope.Scope{Kind: "tag", Ref: "v1.2"}, "tag--v1.2"},
		{scope.Scope{Kind: "tag", Ref: "con"}, "tag--con"},
		{scope.Scope{Kind: "commit", Ref: "c0ffee"}, "commit--c0ffee"},
		{scope.Scope{Kind: "branch", Ref: "main", Target: "App", Platform: "linux/arm64"}, "main--_app--linux__arm64"},
		{scope.Scope{Kind: "branch", Ref: "main", Platform: "linux/arm64"}, "main----linux__arm64"},
		{scope.Scope{Kind: "branch", Ref: long}, "long-long-long-long-long-long-long-long-long-long-long-long-long-l_0wbom2qlnpaflkdnilokiiofzoejdivsq"},
	}
	for _, tt := range tests {
		got, err := tt.scope.Name()
		if err != nil || got != tt.want {
			t.Errorf("Name() of %s = %q, %v, want %q", tt.scope, got, err, tt.want)
		}
	}
}

// TestNameAtTheLimit shows that names are cut only when they have to be.
func TestNameAtTheLimit(t *testing.T) {
	fits := scope.Scope{Kind: "branch", Ref: strings.Repeat("a", scope.MaxName)}
	name, err := fits.Name()
	if back, parseErr := scope.ParseName(name); err != nil || parseErr != nil || back != fits {
		t.Errorf("ParseName(%q) = %v, %v, want %v", name, back, parseErr, fits)
	}
	longer := scope.Scope{Kind: "branch", Ref: fits.Ref + "a"}
	name, err = longer.Name()
	if err != nil || len(name) != scope.MaxName {
		t.Errorf("Name() = %q, %v, want %d bytes", name, err, scope.MaxName)
	}
	if _, err := scope.ParseName(name); !errors.Is(err, scope.ErrHashed) {
		t.Errorf("ParseName(%q) = %v, want ErrHashed", name, err)
	}
	if other, _ := (scope.Scope{Kind: "branch", Ref: longer.Ref + "b"}).Name(); other == name {
		t.Errorf("two branches have the name %q", name)
	}
	// The name itself, as a branch, is something else.
	if again, _ := (scope.Scope{Kind: "branch", Ref: name}).Name(); again == name {
		t.Errorf("the branch called %q has that name", name)
	}
}

func TestNameInvalid(t *testing.T) {
	for _, s := range []scope.Scope{
		{},
		{Kind: "branch"},
		{Ref: "main"},
		{Kind: "schedule", Ref: "main"},
		{Kind: "branch", Ref: "\xff"},
		{Kind: "branch", Ref: "main", Target: "\xff"},
	} {
		if name, err := s.Name(); !errors.Is(err, scope.ErrInvalid) {
			t.Errorf("Name() of %#v = %q, %v, want ErrInvalid", s, name, err)
		}
	}
}

// TestParseNameInvalid has names that no scope has, most of them one mistake
// away from one.
func TestParseNameInvalid(t *testing.T) {
	for _, name := range []string{
		"", "-a", "a-", ".a", "a.", "A", "a/b", "é", "a b", "con", "com1.x", "pr", "tag", "pr--", "main.dirs",
		"a---b", "a--b--c--d", "pr--1--a--b--c", "a--", "_", "a_", "_1a", "_2a", "_2a1", "_.zz_", "_.61_", "_.2", "_.2d", "_._",
		"_a_b", "_2ab_c", "_0", "_0abc", "a_0" + strings.Repeat("a", 32) + "--b", "a_0" + strings.Repeat("1", 32), "sha256:abc",
	} {
		if s, err := scope.ParseName(name); !errors.Is(err, scope.ErrInvalid) {
			t.Errorf("ParseName(%q) = %v, %v, want ErrInvalid", name, s, err)
		}
	}
}

var (
	// tagLike is the grammar of tags in the OCI distribution specification.
	tagLike = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
	// deviceLike matches the names that Windows keeps for itself.
	deviceLike = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$`)
)

// checkValid checks a name against the rules of every kind of store.
func checkValid(t *testing.T, name string) {
	t.Helper()
	switch {
	case !tagLike.MatchString(name):
		t.Errorf("%q is no tag", name)
	case len(name) > scope.MaxName:
		t.Errorf("%q has %d bytes, want at most %d", name, len(name), scope.MaxName)
	case name != strings.ToLower(name):
		t.Errorf("%q has capital letters", name)
	case deviceLike.MatchString(name), strings.HasSuffix(name, "."):
		t.Errorf("%q is no name of a file on Windows", name)
	case strings.HasSuffix(name, ".dirs"):
		t.Errorf("%q is the name for directories beside a scope", name)
	}
}

// FuzzName requires of every scope a valid name that leads back to it. Names
// that do are different for different scopes.
func FuzzName(f *testing.F) {
	for _, ref := range []string{
		"main", "feature/a", "Feature/A", "a--b", "a_-b", "_0", "con", "CON", "con.txt", "pr", "tag--v1", "x.dirs", "größe",
		"日本語", "a\x00b", "sha256:ab", "-", "_", ".", "/", " ", strings.Repeat("日本", 40), strings.Repeat("A/b_", 40),
	} {
		f.Add(uint8(0), ref, "", "")
		f.Add(uint8(1), "12", ref, "linux/amd64")
		f.Add(uint8(2), ref, "test", ref)
	}
	kinds := []scope.Kind{scope.Branch, scope.PullRequest, scope.Tag, scope.Commit}
	f.Fuzz(func(t *testing.T, kind uint8, ref, target, platform string) {
		s := scope.Scope{Kind: kinds[int(kind)%len(kinds)], Ref: ref, Target: target, Platform: platform}
		name, err := s.Name()
		if (err == nil) != (s.Check() == nil) {
			t.Fatalf("Name() of %v = %v, Check() = %v", s, err, s.Check())
		}
		if err != nil {
			return
		}
		checkValid(t, name)
		back, err := scope.ParseName(name)
		if errors.Is(err, scope.ErrHashed) && len(ref+target+platform) > 10 {
			return
		}
		if err != nil || back != s {
			t.Errorf("ParseName(%q) = %#v, %v, want %#v", name, back, err, s)
		}
	})
}

// FuzzParseName requires that what is understood has exactly this name.
func FuzzParseName(f *testing.F) {
	for _, name := range []string{"main", "pr--12", "a--b--c", "a----c", "_.2d_a", "_4jira-1", "_0", "a_0ezgwrjbk5plbjxzfo3ihz5dlkzolxnlj"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		s, err := scope.ParseName(name)
		if err != nil {
			return
		}
		if again, err := s.Name(); err != nil || again != name {
			t.Errorf("Name() of %v = %q, %v, want %q", s, again, err, name)
		}
	})
}
