package depcheck

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// load asks the go command for the packages of larder and all that they and
// their tests link.
func load(t *testing.T) graph {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-test", "-json=ImportPath,Standard,Deps", module+"/...")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g := graph{}
	for d := json.NewDecoder(out); ; {
		var p struct {
			ImportPath string
			Standard   bool
			Deps       []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(p.ImportPath, " ") || strings.HasSuffix(p.ImportPath, ".test") {
			continue // a package together with its tests, or their main
		}
		g[p.ImportPath] = node{standard: p.Standard, links: p.Deps}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	return g
}

func TestLayers(t *testing.T) {
	g := load(t)
	for _, line := range g.check(slices.Concat(rules(), driverRules(g))) {
		t.Error(line)
	}
	misspelled, arrived := g.unmatched(rules(), planned())
	for _, p := range misspelled {
		t.Errorf("the pattern %s covers no package: correct it, or add it to planned", p)
	}
	for _, p := range arrived {
		t.Errorf("the pattern %s covers a package now: take it off planned", p)
	}
}

// TestRulesBite gives each rule what it is there to find.
func TestRulesBite(t *testing.T) {
	tests := []struct {
		name, of, link, want string
	}{
		{"blob upwards", "/blob", "/backend", "lowest"},
		{"blob to a library", "/blob/archive", "github.com/aws/aws-sdk-go-v2/aws", "lowest"},
		{"manifest to a place", "/manifest/buildkit", "/backend", "where it lies"},
		{"manifest to a scope", "/manifest", "/scope", "where it lies"},
		{"scope to a place", "/scope", "/backend", "scopes are names"},
		{"scope to a library", "/scope/git", "github.com/opencontainers/go-digest", "scopes are names"},
		{"contract to a document", "/backend", "/manifest", "on blob alone"},
		{"contract to its driver", "/backend", "/backend/mem", "on blob alone"},
		{"wrapper to a driver", "/backend/wrap", "/backend/local", "any driver"},
		{"verb to a driver", "", "/backend/local", "any driver"},
		{"local to an SDK", "/backend/local", "github.com/aws/aws-sdk-go-v2/service/s3", "files and locks"},
		{"driver to a driver", "/backend/mem", "/backend/local", "no other driver"},
		{"new driver to a driver", "/backend/ftp/proto", "/backend/local", "no other driver"},
		{"driver to the verbs", "/backend/mem", "", "nor anything above"},
		{"SDK in another driver", "/backend/registry", "github.com/Azure/azure-sdk-for-go/sdk/azcore", "./backend/azblob/... links"},
		{"SDK in a helper", "/internal/bucket", "gocloud.dev/blob", "./backend/bucket/... links"},
		{"arguments in a library", "/backend/all", "github.com/spf13/cobra", "parses arguments"},
		{"command in an example", "/examples/quickstart", "/internal/cli", "parses arguments"},
		{"suite in a library", "/backend/wrap", "/backend/backendtest", "into tests"},
		{"testing in a library", "/backend", "testing", "into tests"},
		{"testbed to a library", "/internal/testbed", "golang.org/x/sys/unix", "standard library"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			link := tt.link
			if link == "" || link[0] == '/' {
				link = module + link
			}
			g := graph{
				module + tt.of:            {links: []string{link}},
				module + "/backend/mem":   {},
				module + "/backend/local": {},
				link:                      {standard: link == "testing"},
			}
			if _, ok := g[module+tt.of]; !ok || len(g[module+tt.of].links) == 0 {
				g[module+tt.of] = node{links: []string{link}}
			}
			got := g.check(slices.Concat(rules(), driverRules(g)))
			if !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, tt.want) }) {
				t.Errorf("%s may link %s: check = %q, want %q", tt.of, link, got, tt.want)
			}
		})
	}
}

// TestRulesAllow gives what the layers are meant to allow.
func TestRulesAllow(t *testing.T) {
	g := graph{
		module + "/backend/s3":  {links: []string{"github.com/aws/aws-sdk-go-v2/aws", module + "/backend", "context"}},
		module + "/backend/all": {links: []string{module + "/backend/s3", "github.com/aws/aws-sdk-go-v2/aws"}},
		module + "/blob/compress": {links: []string{
			module + "/blob", "github.com/klauspost/compress/zstd", "github.com/opencontainers/go-digest", "context",
		}},
		module:    {links: []string{module + "/backend", module + "/scope", "golang.org/x/sync/errgroup"}},
		"context": {standard: true},
	}
	if got := g.check(slices.Concat(rules(), driverRules(g))); len(got) > 0 {
		t.Errorf("check = %q, want no objection", got)
	}
}

func TestUnmatched(t *testing.T) {
	g := graph{module + "/blob": {}, "testing": {}}
	rules := []rule{{of: []string{"./blob"}, except: []string{"./blub"}, never: []string{"testing", "./soon/..."}}}
	misspelled, arrived := g.unmatched(rules, []string{"./soon/...", "./blob", "./never-used"})
	if want := []string{"./blub", "./never-used"}; !cmp.Equal(misspelled, want) {
		t.Errorf("misspelled = %q, want %q", misspelled, want)
	}
	if want := []string{"./blob"}; !cmp.Equal(arrived, want) {
		t.Errorf("arrived = %q, want %q", arrived, want)
	}
}

func TestMatches(t *testing.T) {
	tests := []struct {
		pattern, path string
		want          bool
	}{
		{".", module, true},
		{".", module + "/blob", false},
		{"./...", module, true},
		{"./...", module + "/blob", true},
		{"./...", module + "2", false},
		{"./blob", module + "/blob", true},
		{"./blob", module + "/blob/archive", false},
		{"./blob/...", module + "/blob/archive", true},
		{"./blob/...", module + "/blobs", false},
		{"testing", "testing", true},
		{"testing", "testing/fstest", false},
	}
	for _, tt := range tests {
		if got := matches(tt.pattern, tt.path); got != tt.want {
			t.Errorf("matches(%q, %q) = %t, want %t", tt.pattern, tt.path, got, tt.want)
		}
	}
}
