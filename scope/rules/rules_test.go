package rules_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/scope"
	"github.com/larder-build/larder/scope/rules"
)

const full = `
mode: read-write
write: [own, commit]
readHead: true
ancestors: 5
untrusted: none
shareTargets: true
sharePlatforms: true
sources:
  - branch: develop
  - location: type=registry,ref=ghcr.io/vendor/cache:main
releaseLines:
  - match: 'v(\d+)\.(\d+)\..*'
    branch: release/$1.$2
overrides:
  - refs: ["release/**"]
    kinds: [branch]
    mode: read-only
    ancestors: -1
`

func want() scope.Rules {
	return scope.Rules{
		Policy: scope.Policy{
			Mode: scope.ReadWrite, Write: []scope.WriteScope{scope.WriteOwn, scope.WriteCommit}, ReadHead: true, Ancestors: 5,
			Sources: []scope.Source{{Branch: "develop"}, {Location: "type=registry,ref=ghcr.io/vendor/cache:main"}},
		},
		Untrusted: scope.UntrustedNone, ShareTargets: true, SharePlatforms: true,
		ReleaseLines: []scope.ReleaseLine{{Match: `v(\d+)\.(\d+)\..*`, Branch: "release/$1.$2"}},
		Overrides: []scope.Override{{
			Refs: []string{"release/**"}, Kinds: []scope.Kind{scope.Branch},
			Policy: scope.Policy{Mode: scope.ReadOnly, Ancestors: -1},
		}},
	}
}

const fullJSON = `{
  "mode": "read-write", "write": ["own", "commit"], "readHead": true, "ancestors": 5, "untrusted": "none",
  "shareTargets": true, "sharePlatforms": true,
  "sources": [{"branch": "develop"}, {"location": "type=registry,ref=ghcr.io/vendor/cache:main"}],
  "releaseLines": [{"match": "v(\\d+)\\.(\\d+)\\..*", "branch": "release/$1.$2"}],
  "overrides": [{"refs": ["release/**"], "kinds": ["branch"], "mode": "read-only", "ancestors": -1}]
}`

func TestRead(t *testing.T) {
	tests := []struct {
		name, text string
		want       scope.Rules
	}{
		{"YAML", full, want()},
		{"JSON", fullJSON, want()},
		{"empty", "", scope.Rules{}},
		{"comment", "# defaults\n", scope.Rules{}},
		{"nothing set", "{}", scope.Rules{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := rules.Read(strings.NewReader(tt.text))
			if err != nil {
				t.Fatalf("Read() = %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Read() differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadInvalid(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown key", "mode: off\nwirte: [own]\n", "line 2: field wirte is unknown"},
		{"unknown key in JSON", `{"wirte": ["own"]}`, "field wirte is unknown"},
		{"unknown key below", "overrides:\n  - ref: [main]\n", "line 2: field ref is unknown"},
		{"unknown key in a source", "sources: [{name: main}]", "field name is unknown"},
		{"repeated key", "mode: off\nmode: off\n", `line 2: mapping key "mode" already defined at line 1`},
		{"two documents", "mode: off\n---\nmode: off\n", "want one document"},
		{"no mapping", "- own\n", "line 1: cannot unmarshal !!seq"},
		{"no YAML", "mode: [", "yaml: line 1"},
		{"wrong type", "ancestors: few\n", "few"},
		{"unknown mode", "mode: readonly\n", `rules: mode is "readonly", want one of read-write, read-only, write-only, off`},
		{"unknown scope", "write: [sha]\n", `rules: write is "sha", want one of own, commit`},
		{"empty scope", "write: ['']\n", "rules: write has an empty entry"},
		{"unknown policy", "untrusted: all\n", `rules: untrusted is "all", want one of own, none`},
		{"source of nothing", "sources: [{}]", "want one of the two"},
		{"source of two", "sources: [{branch: a, location: b}]", "want one of the two"},
		{"source with a full name", "sources: [{branch: refs/heads/a}]", `set "a"`},
		{"line without a match", "releaseLines: [{branch: a}]", "is no regular expression"},
		{"line without a branch", "releaseLines: [{match: a}]", "has no branch"},
		{"line that is no expression", "releaseLines: [{match: '(', branch: a}]", "is no regular expression"},
		{"override for all", "overrides: [{mode: off}]", "neither refs nor kinds"},
		{"override for an unknown kind", "overrides: [{kinds: [push]}]", `kinds is "push", want one of branch, pull-request, tag, schedule, detached`},
		{"override for an empty kind", "overrides: [{kinds: ['']}]", "kinds has an empty entry"},
		{"override with an unknown mode", "overrides: [{refs: [a], mode: ro}]", `override for a: mode is "ro"`},
		{"malformed pattern", "overrides: [{refs: ['a[']}]", `pattern "a[" is malformed`},
		{"pattern for full names", "overrides: [{refs: [refs/heads/main]}]", `matches nothing, because names are short: want "main"`},
		{"empty pattern", "overrides: [{refs: ['']}]", "an empty pattern matches nothing"},
		{"pattern with a slash too many", "overrides: [{refs: [release/]}]", "matches nothing: no name begins or ends with a slash"},
		{"pattern with a space", "overrides: [{refs: ['a b']}]", "matches nothing: no name has a space"},
		{"too large", "#" + strings.Repeat(" ", rules.MaxSize), "more than 1048576 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := rules.Read(strings.NewReader(tt.text))
			if !errors.Is(err, scope.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Read() = %v, want ErrInvalid with %q", err, tt.want)
			}
		})
	}
}

func TestReadFailure(t *testing.T) {
	broken := errors.New("broken")
	if _, err := rules.Read(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("Read() = %v, want the reader's error", err)
	}
}

func TestUnmatched(t *testing.T) {
	r, err := rules.Parse([]byte("overrides:\n- refs: [mian, 'release/*']\n- refs: ['v*']"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Unmatched("main", "release/1.2"), []string{"mian", "v*"}; !cmp.Equal(got, want) {
		t.Errorf("Unmatched() = %q, want %q", got, want)
	}
	if got := r.Unmatched("mian", "release/1", "v2"); len(got) > 0 {
		t.Errorf("Unmatched() = %q, want none", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(fullJSON))
	f.Add([]byte("overrides: [{refs: ['a[']}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := rules.Parse(data)
		if err == nil && r.Check() != nil {
			t.Errorf("Parse(%q) passes %v", data, r.Check())
		}
	})
}

func ExampleParse() {
	found, err := rules.Parse([]byte(`
overrides:
  - refs: [release/**]
    mode: read-only
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := scope.Resolve(scope.Input{Kind: scope.Branch, Ref: "release/1.2", Default: "main"}, found)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(plan)
	// Output:
	// write  nothing
	// read   release__1.2  own      trusted  branch release/1.2
	// read   main          default  trusted  branch main
	// note: nothing is written: the rules' mode is read-only
}
