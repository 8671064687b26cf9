package scenario_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/all"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/cli"
	"github.com/larder-build/larder/manifest"
	"github.com/larder-build/larder/scope"
)

// project is a project with a store for its caches.
type project struct {
	*testing.T
	mux  *backend.Mux
	base backend.Location
	sent *recorder
}

func newProject(t *testing.T, s store) *project {
	t.Helper()
	base := s.at(t)
	sent := &recorder{next: http.DefaultTransport}
	mux := all.Mux(all.Options{Transport: sent})
	location, err := mux.Parse(base)
	if err != nil {
		t.Fatalf("Parse(%s) = %v", base, err)
	}
	return &project{T: t, mux: mux, base: location, sent: sent}
}

// build binds the plan of a build.
func (p *project) build(in scope.Input, rules scope.Rules) *larder.Binding {
	p.Helper()
	in.Default = "main"
	plan, err := scope.Resolve(in, rules)
	if err != nil {
		p.Fatalf("Resolve() = %v", err)
	}
	return p.bind(plan)
}

func (p *project) bind(plan scope.Plan) *larder.Binding {
	p.Helper()
	b, err := larder.Bind(p.Context(), p.mux, plan, p.base)
	if err != nil {
		p.Fatalf("Bind() = %v", err)
	}
	p.Cleanup(func() {
		if err := b.Close(); err != nil {
			p.Errorf("Close() = %v", err)
		}
	})
	return b
}

// cacheOf returns the cache of a build with the given steps, each on top of the
// one before, and the blobs of its layers.
func cacheOf(steps ...string) (*manifest.Manifest, larder.Content) {
	m, blobs := &manifest.Manifest{}, map[blob.Digest][]byte{}
	for i, step := range steps {
		data := bytes.Repeat(sha256.New().Sum([]byte(step)), 100)
		d := digest.FromBytes(data)
		blobs[d] = data
		at := time.Date(2026, 1, 2, 3, 4, i, 0, time.UTC)
		m.Layers = append(m.Layers, manifest.Layer{
			Digest: d, DiffID: d, Size: int64(len(data)), MediaType: ocispec.MediaTypeImageLayer, CreatedAt: at, Parent: i - 1,
		})
		r := manifest.Record{Digest: digest.FromString(step), Results: []manifest.Result{{Layer: i, CreatedAt: at}}}
		if i > 0 {
			r.Inputs = [][]manifest.Link{{{Record: i - 1}}}
		}
		m.Records = append(m.Records, r)
	}
	return m, larder.ContentFunc(func(d blob.Descriptor) blob.Source { return blob.Bytes(blobs[d.Digest]) })
}

// export exports the steps of a build to where its plan says.
func (p *project) export(b *larder.Binding, steps ...string) {
	p.Helper()
	m, content := cacheOf(steps...)
	report, err := b.Export(p.Context(), m, content, larder.Policy{}, larder.ExportOptions{})
	if err != nil || len(report.Targets) != len(b.Write) {
		p.Fatalf("Export() = %v, %v", report.Targets, err)
	}
}

// found imports what a build may read and returns, for each step that it finds,
// "step@ref" with the ref that serves it. All layers have to be readable.
func (p *project) found(b *larder.Binding, steps ...string) string {
	p.Helper()
	chain, _, err := b.Import(p.Context(), larder.ImportOptions{})
	if err != nil {
		p.Fatalf("Import() = %v", err)
	}
	var served []string
	for _, step := range steps {
		for i, r := range chain.Manifest.Records {
			if r.Digest == digest.FromString(step) && len(r.Results) > 0 {
				served = append(served, step+"@"+chain.Record(i).Ref)
			}
		}
	}
	for i, l := range chain.Manifest.Layers {
		r, err := chain.Open(p.Context(), l.Descriptor())
		if err == nil {
			err = r.Close()
		}
		if err != nil || len(chain.Layer(i)) == 0 {
			p.Errorf("layer %s from %v: %v", l.Digest, chain.Layer(i), err)
		}
	}
	return strings.Join(served, " ")
}

func (p *project) want(got, want string) {
	p.Helper()
	if got != want {
		p.Errorf("found %q, want %q", got, want)
	}
}

// larder runs the command.
func (p *project) larder(args ...string) {
	p.Helper()
	var out, errs bytes.Buffer
	if status := cli.Run(p.Context(), args, cli.Streams{Out: &out, Err: &errs}); status != 0 {
		p.Fatalf("larder %q has status %d:\n%s", args, status, &errs)
	}
}

// document returns the bytes that a ref points to, or nil.
func (p *project) document(ref string) []byte {
	p.Helper()
	b, err := p.mux.Open(p.Context(), p.base)
	if err != nil {
		p.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	found, err := b.GetRef(p.Context(), ref)
	if err != nil && !errors.Is(err, backend.ErrNotFound) {
		p.Fatal(err)
	}
	return found.Data
}

func onBranch(name string) scope.Input { return scope.Input{Kind: scope.Branch, Ref: name} }

func intoBranch(number, base string) scope.Input {
	return scope.Input{Kind: scope.PullRequest, Number: number, Base: base}
}

// TestScenario tells the whole story on every kind of store.
func TestScenario(t *testing.T) {
	for _, s := range stores() {
		t.Run(s.name, func(t *testing.T) {
			if s.name == "mem" {
				t.Skip("the command, which is part of the story, has a memory of its own")
			}
			newProject(t, s).story()
		})
	}
}

func (p *project) story() {
	steps := []string{"base", "deps", "a", "a2", "b", "pr", "evil"}
	p.want(p.found(p.build(onBranch("main"), scope.Rules{}), steps...), "")
	p.export(p.build(onBranch("main"), scope.Rules{}), "base", "deps")

	// Branches A and B import main and export their own.
	for _, name := range []string{"A", "B"} {
		build := p.build(onBranch(name), scope.Rules{})
		p.want(p.found(build, steps...), "base@main deps@main")
		p.export(build, "base", "deps", strings.ToLower(name))
	}
	main := p.document("main")
	p.want(p.found(p.build(onBranch("A"), scope.Rules{}), steps...), "base@_a deps@_a a@_a")
	p.want(p.found(p.build(onBranch("B"), scope.Rules{}), steps...), "base@_b deps@_b b@_b")
	p.want(p.found(p.build(onBranch("main"), scope.Rules{}), steps...), "base@main deps@main")

	// A pull request into A reads its own scope, A's and main's.
	build := p.build(intoBranch("12", "A"), scope.Rules{})
	p.want(p.found(build, steps...), "base@_a deps@_a a@_a")
	p.export(build, "base", "pr")
	p.want(p.found(p.build(intoBranch("12", "A"), scope.Rules{}), steps...), "base@pr--12 deps@_a a@_a pr@pr--12")

	p.fork(steps)
	if !bytes.Equal(p.document("main"), main) {
		p.Error("main's cache is not what main exported")
	}
	p.merge(steps)
}

// fork: a fork's pull request writes nothing that others read, or nothing at
// all.
func (p *project) fork(steps []string) {
	in := intoBranch("13", "A")
	in.Fork = true
	p.sent.since()
	build := p.build(in, scope.Rules{Untrusted: scope.UntrustedNone})
	p.want(p.found(build, steps...), "base@_a deps@_a a@_a")
	p.export(build, "base", "evil")
	if mutating, _ := p.sent.since(); len(mutating) > 0 {
		p.Errorf("a fork that writes nothing has sent %q", mutating)
	}
	build = p.build(in, scope.Rules{})
	p.export(build, "base", "evil")
	p.want(p.found(build, steps...), "base@pr--13 deps@_a a@_a evil@pr--13")
	for _, other := range []scope.Input{onBranch("main"), onBranch("A"), onBranch("B"), intoBranch("12", "A")} {
		if found := p.found(p.build(other, scope.Rules{}), "evil"); found != "" {
			p.Errorf("a build of %s reads %q", other.Ref+other.Number, found)
		}
	}
}

// merge: A merges. Its cache is promoted to main and its scope is removed; main
// has changed by the promotion only.
func (p *project) merge(steps []string) {
	p.export(p.build(onBranch("A"), scope.Rules{}), "base", "deps", "a", "a2")
	build := p.build(onBranch("main"), scope.Rules{})
	from := build.Read[0].Target
	from.Ref = "_a"
	p.sent.since()
	report, err := larder.Promote(p.Context(), from, build.Write[0].Target, larder.ExportOptions{})
	if err != nil || report.Targets[0].Sent.Blobs > 0 {
		p.Fatalf("Promote() = %+v, %v, want no layer sent", report.Targets[0], err)
	}
	if _, requests := p.sent.since(); requests >= 10 {
		p.Errorf("Promote() took %d requests, want fewer than 10", requests)
	}
	p.larder("rm", p.base.WithRef("_a").Reveal())
	p.want(p.found(p.build(onBranch("main"), scope.Rules{}), steps...), "base@main deps@main a@main a2@main")
	p.want(p.found(p.build(onBranch("B"), scope.Rules{}), steps...), "base@_b deps@_b a@main a2@main b@_b")
	p.want(p.found(p.build(onBranch("A"), scope.Rules{}), steps...), "base@main deps@main a@main a2@main")
}

// TestReadOnlyNeverWrites does all that writes to places that a plan only reads.
func TestReadOnlyNeverWrites(t *testing.T) {
	for _, s := range everywhere() {
		t.Run(s.name, func(t *testing.T) {
			p := newProject(t, s)
			owner := p.build(onBranch("main"), scope.Rules{})
			p.export(owner, "base", "deps")
			before := p.document("main")
			p.sent.since()
			reader := p.build(onBranch("main"), scope.Rules{Policy: scope.Policy{Mode: scope.ReadOnly}})
			p.want(p.found(reader, "base", "deps"), "base@main deps@main")
			m, content := cacheOf("base", "deps", "more")
			target := reader.Read[0].Target
			_, exportErr := larder.Export(t.Context(), m, content, []larder.Target{target}, larder.ExportOptions{})
			_, copyErr := larder.Copy(t.Context(), target, []larder.Target{{Backend: target.Backend, Ref: "copy"}}, larder.CopyOptions{})
			_, promoteErr := larder.Promote(t.Context(), target, larder.Target{Backend: target.Backend, Ref: "other"}, larder.ExportOptions{})
			for verb, err := range map[string]error{
				"Export": exportErr, "Copy": copyErr, "Promote": promoteErr,
				"DeleteRef": target.Backend.DeleteRef(t.Context(), "main", backend.Always),
				"Delete":    target.Backend.Delete(t.Context(), m.Layers[0].Digest),
			} {
				if !errors.Is(err, backend.ErrReadOnly) && !errors.Is(err, backend.ErrUnsupported) && !errors.Is(err, backend.ErrDenied) {
					t.Errorf("%s of a place to read from = %v, want ErrReadOnly", verb, err)
				}
			}
			if mutating, _ := p.sent.since(); len(mutating) > 0 {
				t.Errorf("a place to read from was sent %q", mutating)
			}
			if !bytes.Equal(p.document("main"), before) {
				t.Error("main's cache has changed")
			}
		})
	}
}

// TestOnlyOwnRefsAreWritten uses the places that a plan writes for other refs.
func TestOnlyOwnRefsAreWritten(t *testing.T) {
	for _, s := range everywhere() {
		t.Run(s.name, func(t *testing.T) {
			p := newProject(t, s)
			p.export(p.build(onBranch("main"), scope.Rules{}), "base")
			before := p.document("main")
			in := intoBranch("13", "main")
			in.Fork = true
			build := p.build(in, scope.Rules{})
			target := build.Write[0].Target
			target.Ref = "main"
			m, content := cacheOf("base", "evil")
			if _, err := larder.Export(t.Context(), m, content, []larder.Target{target}, larder.ExportOptions{}); !errors.Is(err, backend.ErrReadOnly) {
				t.Errorf("Export(main) by a fork's build = %v, want ErrReadOnly", err)
			}
			if !bytes.Equal(p.document("main"), before) {
				t.Error("main's cache has changed")
			}
		})
	}
}

// TestWriteOnlyNeverReads exports to a cache and gets no layer of it.
func TestWriteOnlyNeverReads(t *testing.T) {
	for _, s := range everywhere() {
		t.Run(s.name, func(t *testing.T) {
			p := newProject(t, s)
			p.export(p.build(onBranch("main"), scope.Rules{}), "base", "deps")
			build := p.build(onBranch("main"), scope.Rules{Policy: scope.Policy{Mode: scope.WriteOnly}})
			p.want(p.found(build, "base", "deps", "more"), "")
			p.export(build, "base", "more")
			found, _, err := larder.Import(t.Context(), larder.Targets(build.Write), larder.ImportOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range found.Manifest.Layers {
				if _, err := found.Open(t.Context(), l.Descriptor()); !errors.Is(err, backend.ErrDenied) {
					t.Errorf("Open(%s) of a place to write to = %v, want ErrDenied", l.Digest, err)
				}
			}
			p.want(p.found(p.build(onBranch("main"), scope.Rules{}), "base", "deps", "more"), "base@main deps@main more@main")
		})
	}
}

// TestLongNames keeps a branch whose name is too long for a ref.
func TestLongNames(t *testing.T) {
	branch := "Feature/" + strings.Repeat("very-long/", 20) + "Branch"
	for _, s := range everywhere() {
		t.Run(s.name, func(t *testing.T) {
			p := newProject(t, s)
			build := p.build(onBranch(branch), scope.Rules{})
			p.export(build, "base")
			place := build.Write[0]
			if _, err := scope.ParseName(place.Ref); !errors.Is(err, scope.ErrHashed) {
				t.Fatalf("ParseName(%s) = %v, want ErrHashed", place.Ref, err)
			}
			found, err := larder.Inspect(t.Context(), build.Read[0].Target, larder.InspectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got, ok := larder.ScopeOf(place.Ref, found.Manifest)
			if want := (scope.Scope{Kind: scope.Branch, Ref: branch}); !ok || got != want {
				t.Errorf("ScopeOf(%s) = %v, %t, want %v", place.Ref, got, ok, want)
			}
			p.export(build, "base", "more")
			if !slices.Equal([]string{p.found(build, "base", "more")}, []string{"base@" + place.Ref + " more@" + place.Ref}) {
				t.Errorf("a second export is not found")
			}
		})
	}
}
