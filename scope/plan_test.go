package scope_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/scope"
)

func resolve(t *testing.T, in scope.Input, rules scope.Rules) scope.Plan {
	t.Helper()
	plan, err := scope.Resolve(in, rules)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestPlanString(t *testing.T) {
	rules := scope.Rules{Policy: scope.Policy{Sources: []scope.Source{{Location: "./seed"}}}}
	want := `write  pr--7   own      trusted  pull request 7
read   pr--7   own      trusted  pull request 7
read   a       base     trusted  branch a
read   ./seed  rule     trusted
read   main    default  trusted  branch main
`
	if diff := cmp.Diff(want, resolve(t, pull("7", "a"), rules).String()); diff != "" {
		t.Errorf("String() differs (-want +got):\n%s", diff)
	}
	off := scope.Rules{Policy: scope.Policy{Mode: scope.Off}}
	want = `write  nothing
read   nothing
note: nothing is written: the rules' mode is off
note: nothing is read: the rules' mode is off
`
	if diff := cmp.Diff(want, resolve(t, branch("a"), off).String()); diff != "" {
		t.Errorf("String(off) differs (-want +got):\n%s", diff)
	}
}

func TestPlanJSON(t *testing.T) {
	plan := resolve(t, with(fork("7", "main"), func(in *scope.Input) { in.Target = "test" }), scope.Rules{})
	data, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "trust": "untrusted",
  "write": [
    {
      "name": "pr--7--test",
      "scope": {
        "kind": "pull-request",
        "ref": "7",
        "target": "test"
      },
      "reason": "own",
      "trust": "untrusted"
    }
  ],
  "read": [
    {
      "name": "pr--7--test",
      "scope": {
        "kind": "pull-request",
        "ref": "7",
        "target": "test"
      },
      "reason": "own",
      "trust": "untrusted"
    },
    {
      "name": "main--test",
      "scope": {
        "kind": "branch",
        "ref": "main",
        "target": "test"
      },
      "reason": "default",
      "trust": "trusted"
    }
  ]
}`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("JSON differs (-want +got):\n%s", diff)
	}
	var back scope.Plan
	if err := json.Unmarshal(data, &back); err != nil || !cmp.Equal(plan, back) {
		t.Errorf("Unmarshal() = %v, %v, want the plan", back, err)
	}
}

// TestPlanCheck tampers with plans that were fine.
func TestPlanCheck(t *testing.T) {
	main := resolve(t, branch("main"), scope.Rules{}).Write[0]
	tests := []struct {
		name   string
		change func(*scope.Plan)
		want   string
	}{
		{"no trust", func(p *scope.Plan) { p.Trust = "" }, "trust is"},
		{"fork writes main", func(p *scope.Plan) { p.Write = append(p.Write, main) }, "must not write main"},
		{"fork writes main as if it were its own", func(p *scope.Plan) {
			p.Write[0].Scope, p.Write[0].Name = main.Scope, main.Name
		}, "must not write main"},
		{"name of something else", func(p *scope.Plan) { p.Write[0].Name = "main" }, `the scope's name is "pr--7"`},
		{"no scope", func(p *scope.Plan) { p.Write[0].Scope = nil }, "has no scope"},
		{"no such scope", func(p *scope.Plan) { p.Write[0].Scope = &scope.Scope{Kind: "x", Ref: "7"} }, `kind "x"`},
		{"entry's trust", func(p *scope.Plan) { p.Read[1].Trust = "fully" }, "want trusted or untrusted"},
		{"own scope of a fork is trusted", func(p *scope.Plan) { p.Write[0].Trust = scope.Trusted }, "must not write"},
		{"written location", func(p *scope.Plan) {
			p.Write = []scope.Entry{{Location: "./x", Reason: scope.ReasonRule, Trust: scope.Untrusted}}
		}, "for reading only"},
		{"name and location", func(p *scope.Plan) { p.Read[0].Location = "./x" }, "one of the two"},
		{"twice written", func(p *scope.Plan) { p.Write = append(p.Write, p.Write[0]) }, "comes twice"},
		{"twice read", func(p *scope.Plan) { p.Read = append(p.Read, p.Read[0]) }, "comes twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan := resolve(t, fork("7", "main"), scope.Rules{})
			tt.change(&plan)
			err := plan.Check()
			if !errors.Is(err, scope.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Check() = %v, want ErrInvalid with %q", err, tt.want)
			}
		})
	}
}
