package larder_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/local"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/scope"
)

// scopeMux returns a Mux with drivers whose refs are named in different ways.
func scopeMux() *backend.Mux {
	m := new(backend.Mux)
	m.Register(local.Driver())
	m.Register(mem.Driver())
	m.Register(registry.Driver())
	return m
}

func parseAll(tb testing.TB, m *backend.Mux, texts ...string) []backend.Location {
	tb.Helper()
	var all []backend.Location
	for _, text := range texts {
		l, err := m.Parse(text)
		if err != nil {
			tb.Fatalf("Parse(%s) = %v", text, err)
		}
		all = append(all, l)
	}
	return all
}

func plan(tb testing.TB, in scope.Input, rules scope.Rules) scope.Plan {
	tb.Helper()
	in.Default = "main"
	p, err := scope.Resolve(in, rules)
	if err != nil {
		tb.Fatalf("Resolve() = %v", err)
	}
	return p
}

func branch(name string) scope.Input { return scope.Input{Kind: scope.Branch, Ref: name} }

func texts(all []larder.Located) []string {
	var found []string
	for _, l := range all {
		found = append(found, fmt.Sprintf("%s %s", l.At, l.Reason))
	}
	return found
}

func TestLocate(t *testing.T) {
	m := scopeMux()
	rules := scope.Rules{Policy: scope.Policy{Sources: []scope.Source{{Location: "local:/srv/seed?tag=v1"}}}}
	write, read, err := larder.Locate(m, plan(t, branch("Feature/a"), rules), parseAll(t, m,
		"registry.example.com/app/cache", "type=local,dest=/var/cache", "mem://a")...)
	if err != nil {
		t.Fatalf("Locate() = %v", err)
	}
	if want := []string{
		"type=registry,ref=registry.example.com/app/cache:_feature__a own",
		"type=local,dest=/var/cache,tag=_feature__a own",
		"type=mem,store=a,name=_feature__a own",
	}; !slices.Equal(texts(write), want) {
		t.Errorf("Locate() writes %q, want %q", texts(write), want)
	}
	if want := []string{
		"type=registry,ref=registry.example.com/app/cache:_feature__a own",
		"type=local,dest=/var/cache,tag=_feature__a own",
		"type=mem,store=a,name=_feature__a own",
		"type=local,src=/srv/seed,tag=v1 rule",
		"type=registry,ref=registry.example.com/app/cache:main default",
		"type=local,dest=/var/cache,tag=main default",
		"type=mem,store=a,name=main default",
	}; !slices.Equal(texts(read), want) {
		t.Errorf("Locate() reads %q, want %q", texts(read), want)
	}
}

func TestLocateInvalid(t *testing.T) {
	m := scopeMux()
	good := plan(t, branch("a"), scope.Rules{})
	forged := plan(t, scope.Input{Kind: scope.PullRequest, Number: "7", Base: "main", Fork: true}, scope.Rules{})
	forged.Write = append(forged.Write, good.Write[0])
	unknown := plan(t, branch("a"), scope.Rules{Policy: scope.Policy{Sources: []scope.Source{{Location: "type=tape"}}}})
	mem := parseAll(t, m, "mem://a")
	tests := []struct {
		name  string
		plan  scope.Plan
		bases []backend.Location
		want  string
	}{
		{"no base", good, nil, "no base"},
		{"empty base", good, make([]backend.Location, 1), "the base is empty"},
		{"base with a ref", good, parseAll(t, m, "type=local,src=/c,tag=main"), "names a ref, in whose place each scope has its own"},
		{"base with a digest", good, parseAll(t, m, "type=local,src=/c,digest=sha256:"+strings.Repeat("0", 64)), "names a ref"},
		{"one base twice", good, append(mem, mem...), "is given twice"},
		{"a fork's plan that writes what others trust", forged, mem, "must not write a"},
		{"unknown source", unknown, mem, "source of the rules: "},
		{"no plan", scope.Plan{}, mem, "trust"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, err := range map[string]error{
				"Locate": func() error { _, _, err := larder.Locate(m, tt.plan, tt.bases...); return err }(),
				"Bind":   func() error { _, err := larder.Bind(t.Context(), m, tt.plan, tt.bases...); return err }(),
			} {
				if !errors.Is(err, backend.ErrInvalid) && !errors.Is(err, scope.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s() = %v, want it invalid with %q", name, err, tt.want)
				}
			}
		})
	}
}

func bind(tb testing.TB, m *backend.Mux, p scope.Plan, bases ...string) *larder.Binding {
	tb.Helper()
	b, err := larder.Bind(tb.Context(), m, p, parseAll(tb, m, bases...)...)
	if err != nil {
		tb.Fatalf("Bind() = %v", err)
	}
	return b
}

func TestBindingExportsAndImports(t *testing.T) {
	m := scopeMux()
	bases := []string{"mem://a", "mem://b"}
	whole := cacheOf(t, "base", "deps")
	owner := bind(t, m, plan(t, branch("main"), scope.Rules{}), bases...)
	report, err := owner.Export(t.Context(), whole.Manifest, whole, larder.Policy{}, larder.ExportOptions{})
	if err != nil || len(report.Targets) != 2 {
		t.Fatalf("Export() = %v, %v, want two targets", report.Targets, err)
	}
	own := cacheOf(t, "base", "own")
	feature := bind(t, m, plan(t, branch("a"), scope.Rules{}), bases...)
	if _, err := feature.Export(t.Context(), own.Manifest, own, larder.Policy{}, larder.ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	chain, report, err := feature.Import(t.Context(), larder.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	served := map[string]string{}
	for i, r := range chain.Manifest.Records {
		served[string(r.Digest)] = chain.Record(i).Ref
	}
	want := map[string]string{
		string(own.Records[0].Digest): "a", string(own.Records[1].Digest): "a", string(whole.Records[1].Digest): "main",
	}
	if diff := cmp.Diff(want, served); diff != "" {
		t.Errorf("the records come from (-want +got):\n%s", diff)
	}
	for i, l := range chain.Manifest.Layers {
		if l.Digest == whole.layer(0) && len(chain.Layer(i)) != 4 {
			t.Errorf("the common layer is held by %v, want all four places", chain.Layer(i))
		}
	}
	var sources []string
	for _, s := range report.Sources {
		sources = append(sources, fmt.Sprint(s.Source, " ", s.Ref, " ", s.Reason, " ", s.Trust, " serves ", s.Serves))
	}
	if want := []string{
		"type=mem,store=a a own trusted serves 2", "type=mem,store=b a own trusted serves 0",
		"type=mem,store=a main default trusted serves 1", "type=mem,store=b main default trusted serves 0",
	}; !slices.Equal(sources, want) {
		t.Errorf("the report has %q, want %q", sources, want)
	}
	if err := feature.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if _, _, err := feature.Import(t.Context(), larder.ImportOptions{}); err != nil {
		t.Errorf("Import(closed) = %v, want misses", err)
	}
	if _, err := feature.Read[0].Backend.GetRef(t.Context(), "a"); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("GetRef(closed) = %v, want fs.ErrClosed", err)
	}
}

// TestBindNothingToWrite exports a build that may write nothing.
func TestBindNothingToWrite(t *testing.T) {
	b := bind(t, scopeMux(), plan(t, branch("a"), scope.Rules{Policy: scope.Policy{Mode: scope.Off}}), "mem://a")
	c := cacheOf(t, "base")
	report, err := b.Export(t.Context(), c.Manifest, c, larder.Policy{}, larder.ExportOptions{})
	if got := degradations(report); err != nil || !slices.Equal(got, []larder.DegradationKind{larder.NothingToPublish}) {
		t.Errorf("Export() = %v, %v, want %s", got, err, larder.NothingToPublish)
	}
}

// TestBindSkipsSourcesThatFail has a source of the rules that cannot be opened,
// one that is missing, and one that is there.
func TestBindSkipsSourcesThatFail(t *testing.T) {
	m := scopeMux()
	m.Wrap = func(b backend.Backend, l backend.Location) backend.Backend { return b }
	seed := cacheOf(t, "seed")
	dir := t.TempDir()
	at, err := local.Open(dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	export(t, seed, larder.Target{Backend: at, Ref: "v1"})
	rules := scope.Rules{Policy: scope.Policy{Sources: []scope.Source{
		{Location: "type=s3broken,bucket=b"}, {Location: "local:" + dir + "?tag=absent"}, {Location: "local:" + dir + "?tag=v1"},
	}}}
	broken := backend.Driver{
		Type: "s3broken", Attrs: []backend.Attr{{Name: "bucket"}, {Name: "name"}}, Refs: backend.RefSyntax{Attr: "name", Default: "x"},
		Open: func(context.Context, backend.Location, backend.OpenOptions) (backend.Backend, error) {
			return nil, backend.ErrUnavailable
		},
	}
	m.Register(broken)
	b := bind(t, m, plan(t, branch("a"), rules), "mem://a")
	defer b.Close()
	chain, report, err := b.Import(t.Context(), larder.ImportOptions{})
	if err != nil {
		t.Fatalf("Import() = %v", err)
	}
	if got := steps(chain.Manifest, "seed"); len(got) != 1 {
		t.Errorf("Import() has %v, want seed", got)
	}
	want := []larder.DegradationKind{larder.SourceMissing, larder.SourceMissing, larder.SourceMissing, larder.SourceFailed}
	if got := degradations(report); !slices.Equal(got, want) {
		t.Errorf("Import() reports %v, want %v", got, want)
	}
	if _, err := larder.Bind(t.Context(), m, plan(t, branch("a"), scope.Rules{}), parseAll(t, m, "type=s3broken,bucket=b")...); !errors.Is(err, backend.ErrUnavailable) {
		t.Errorf("Bind(broken base) = %v, want ErrUnavailable", err)
	}
}

func TestScopeOf(t *testing.T) {
	long := scope.Scope{Kind: scope.Branch, Ref: strings.Repeat("Long/", 40)}
	name, err := long.Name()
	if err != nil {
		t.Fatal(err)
	}
	for _, encoding := range encodings {
		to := larder.Target{Backend: mem.NewWith(mem.Options{Encoding: encoding}), Ref: name, Scope: &long}
		export(t, cacheOf(t, "base"), to)
		m := inspect(t, to).Manifest
		if got, ok := larder.ScopeOf(name, m); !ok || got != long {
			t.Errorf("%s: ScopeOf() = %v, %t, want %v", encoding, got, ok, long)
		}
		// What a promotion or a copy takes along is not believed elsewhere.
		if got, ok := larder.ScopeOf("main", m); !ok || got.Ref != "main" {
			t.Errorf("%s: ScopeOf(main) = %v, %t, want the branch main", encoding, got, ok)
		}
		if got := export(t, cacheOf(t, "base"), to).Targets[0].Outcome; got != larder.Unchanged {
			t.Errorf("%s: exporting again is %s, want unchanged", encoding, got)
		}
	}
	if _, ok := larder.ScopeOf(name, nil); ok {
		t.Error("ScopeOf(a hash, nil) is known")
	}
	if _, ok := larder.ScopeOf("CamelCase", nil); ok {
		t.Error("ScopeOf(CamelCase) is known, want it to be no scope's name")
	}
}
