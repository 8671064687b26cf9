package larder_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
)

// sick is a store of which some methods have been replaced.
type sick struct {
	*mem.Backend

	info      func(*backend.Info)
	put       func(ctx context.Context, d blob.Descriptor, src blob.Source) error
	open      func(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error)
	getRef    func(ctx context.Context, name string) (backend.Ref, error)
	putRef    func(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error)
	deleteRef func(ctx context.Context, name string, cond backend.Condition) error
	delete    func(ctx context.Context, digests ...blob.Digest) error
	listRefs  error
	diagnose  []backend.Finding

	writes atomic.Int64
}

func (s *sick) Info() backend.Info {
	info := s.Backend.Info()
	if s.info != nil {
		s.info(&info)
	}
	return info
}

func (s *sick) Put(ctx context.Context, d blob.Descriptor, src blob.Source) error {
	s.writes.Add(1)
	if s.put != nil {
		return s.put(ctx, d, src)
	}
	return s.Backend.Put(ctx, d, src)
}

func (s *sick) Open(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	if s.open != nil {
		return s.open(ctx, d, off, n)
	}
	return s.Backend.Open(ctx, d, off, n)
}

func (s *sick) GetRef(ctx context.Context, name string) (backend.Ref, error) {
	if s.getRef != nil {
		return s.getRef(ctx, name)
	}
	return s.Backend.GetRef(ctx, name)
}

func (s *sick) PutRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	s.writes.Add(1)
	if s.putRef != nil {
		return s.putRef(ctx, name, doc, cond)
	}
	return s.Backend.PutRef(ctx, name, doc, cond)
}

func (s *sick) DeleteRef(ctx context.Context, name string, cond backend.Condition) error {
	s.writes.Add(1)
	if s.deleteRef != nil {
		return s.deleteRef(ctx, name, cond)
	}
	return s.Backend.DeleteRef(ctx, name, cond)
}

func (s *sick) Delete(ctx context.Context, digests ...blob.Digest) error {
	s.writes.Add(1)
	if s.delete != nil {
		return s.delete(ctx, digests...)
	}
	return s.Backend.Delete(ctx, digests...)
}

func (s *sick) ListRefs(ctx context.Context) iter.Seq2[backend.RefInfo, error] {
	if s.listRefs != nil {
		return func(yield func(backend.RefInfo, error) bool) { yield(backend.RefInfo{}, s.listRefs) }
	}
	return s.Backend.ListRefs(ctx)
}

func (s *sick) Diagnose(context.Context, backend.DiagnoseOptions) iter.Seq[backend.Finding] {
	return slices.Values(s.diagnose)
}

// everythingIn returns the names of all refs and blobs of a store, sorted.
func everythingIn(tb testing.TB, b backend.Backend) []string {
	tb.Helper()
	var all []string
	for ref, err := range b.ListRefs(tb.Context()) {
		if err != nil {
			tb.Fatalf("ListRefs() = %v", err)
		}
		all = append(all, ref.Name+"="+string(ref.Version))
	}
	for info, err := range b.List(tb.Context()) {
		if err != nil {
			tb.Fatalf("List() = %v", err)
		}
		all = append(all, info.Digest.String())
	}
	slices.Sort(all)
	return all
}

// statuses returns "check: status" for each finding but those that are ok.
func statuses(d *larder.Diagnosis) []string {
	all := []string{}
	for _, f := range d.Findings {
		if f.Status != backend.FindingOK {
			all = append(all, fmt.Sprintf("%s: %s", f.Check, f.Status))
		}
	}
	return all
}

func findingOf(tb testing.TB, d *larder.Diagnosis, check string) backend.Finding {
	tb.Helper()
	i := slices.IndexFunc(d.Findings, func(f backend.Finding) bool { return f.Check == check })
	if i < 0 {
		tb.Fatalf("Diagnose() has no finding %q: %v", check, d.Findings)
	}
	return d.Findings[i]
}

func diagnose(tb testing.TB, b backend.Backend, opts larder.DiagnoseOptions) *larder.Diagnosis {
	tb.Helper()
	d, err := larder.Diagnose(tb.Context(), b, opts)
	if err != nil {
		tb.Fatalf("Diagnose() = %v", err)
	}
	return d
}

func TestDiagnoseOfSoundStores(t *testing.T) {
	for _, encoding := range encodings {
		t.Run(encoding, func(t *testing.T) {
			store := mem.NewWith(mem.Options{Encoding: encoding})
			export(t, cacheOf(t, "base", "deps"), larder.Target{Backend: store, Ref: "main"})
			before := everythingIn(t, store)
			var told []backend.Finding
			got := diagnose(t, wrap.Recommended(store, wrap.Options{}), larder.DiagnoseOptions{
				Refs: []string{"main"}, Found: func(f backend.Finding) { told = append(told, f) },
			})
			if left := statuses(got); !got.OK || len(left) > 0 || len(got.Left) > 0 {
				t.Errorf("Diagnose() = ok %v, %v, left %v, want nothing but ok", got.OK, left, got.Left)
			}
			var checks []string
			for _, f := range got.Findings {
				checks = append(checks, f.Check)
			}
			want := []string{
				"location", "read", "ref main", "list refs", "list blobs", "write", "range reads",
				"write refs", "create refs", "replace refs", "delete refs", "delete blobs", "document size",
			}
			if diff := cmp.Diff(want, checks); diff != "" {
				t.Errorf("Diagnose() checks (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(got.Findings, told); diff != "" {
				t.Errorf("Found was told (-report +told):\n%s", diff)
			}
			if diff := cmp.Diff(before, everythingIn(t, store)); diff != "" {
				t.Errorf("Diagnose() has changed the store (-before +after):\n%s", diff)
			}
		})
	}
}

func denied(op string) error {
	return &backend.Error{Op: op, Backend: "mem", Kind: backend.ErrDenied, Err: errors.New("403 from the store")}
}

func unsupported(op string) error {
	return &backend.Error{Op: op, Backend: "mem", Kind: backend.ErrUnsupported, Err: errors.New("ask the janitor")}
}

// TestDiagnoseOfSickStores has a store for everything that can be wrong.
func TestDiagnoseOfSickStores(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(s *sick)
		want []string // what is not ok
	}{
		{"no conditions", func(s *sick) {
			s.Backend = mem.NewWith(mem.Options{Without: backend.Capabilities{CreateRef: true, ReplaceRef: true, ConditionalDeleteRef: true}})
		}, []string{"conditions: note"}},
		{"conditions that are not kept", func(s *sick) {
			s.putRef = func(ctx context.Context, name string, doc backend.Document, _ backend.Condition) (backend.Version, error) {
				return s.Backend.PutRef(ctx, name, doc, backend.Always)
			}
		}, []string{"create refs: failed", "replace refs: failed"}},
		{"many winners", func(s *sick) {
			var mu sync.Mutex
			best := backend.Document{}
			s.putRef = func(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
				mu.Lock()
				defer mu.Unlock()
				if cond.IsAlways() {
					return s.Backend.PutRef(ctx, name, doc, cond)
				}
				// The first of the race is what stays, as if it had won alone.
				if first := len(doc.Data) < len(best.Data); first || len(best.Data) == 0 || len(doc.Data) > len(best.Data)+7 {
					best = doc
				}
				return s.Backend.PutRef(ctx, name, best, backend.Always)
			}
		}, []string{"create refs: failed", "replace refs: failed"}},
		{"a winner that was not written", func(s *sick) {
			s.putRef = func(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
				v, err := s.Backend.PutRef(ctx, name, doc, cond)
				if err == nil && !cond.IsAlways() {
					_, err = s.Backend.PutRef(ctx, name, backend.Document{Data: []byte("{}")}, backend.Always)
				}
				return v, err
			}
		}, []string{"create refs: failed", "replace refs: failed"}},
		{"ranges that are not", func(s *sick) {
			s.open = func(ctx context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
				return s.Backend.Open(ctx, d, max(0, off-1), n)
			}
		}, []string{"range reads: failed"}},
		{"ranges that are too long", func(s *sick) {
			s.open = func(ctx context.Context, d blob.Descriptor, off, _ int64) (io.ReadCloser, error) {
				return s.Backend.Open(ctx, d, off, -1)
			}
		}, []string{"range reads: failed"}},
		{"digests that nobody checks", func(s *sick) {
			s.info = func(i *backend.Info) { i.VerifiesPut = true }
			s.put = func(ctx context.Context, d blob.Descriptor, src blob.Source) error {
				if err := s.Backend.Put(ctx, d, src); !errors.Is(err, backend.ErrCorrupt) {
					return err
				}
				return nil
			}
		}, []string{"digests: failed"}},
		{"digests that are checked", func(s *sick) {
			s.info = func(i *backend.Info) { i.VerifiesPut = true }
		}, []string{}},
		{"no reading", func(s *sick) {
			s.getRef = func(context.Context, string) (backend.Ref, error) { return backend.Ref{}, denied("get ref") }
		}, []string{"read: failed"}},
		{"no writing", func(s *sick) {
			s.put = func(context.Context, blob.Descriptor, blob.Source) error { return denied("put") }
		}, []string{"write: failed"}},
		{"writing that has no effect", func(s *sick) {
			s.put = func(context.Context, blob.Descriptor, blob.Source) error { return nil }
		}, []string{"write: failed"}},
		{"no writing of refs", func(s *sick) {
			s.putRef = func(context.Context, string, backend.Document, backend.Condition) (backend.Version, error) {
				return "", denied("put ref")
			}
		}, []string{"write refs: failed"}},
		{"no list", func(s *sick) { s.listRefs = denied("list refs") }, []string{"list refs: failed"}},
		{"a list that is not offered", func(s *sick) { s.listRefs = unsupported("list refs") }, []string{"list refs: note"}},
		{"lists that are not declared", func(s *sick) {
			s.info = func(i *backend.Info) { i.Capabilities.ListRefs, i.Capabilities.ListBlobs = false, false }
		}, []string{"list refs: note", "list blobs: note"}},
		{"no right to delete", func(s *sick) {
			s.deleteRef = func(context.Context, string, backend.Condition) error { return denied("delete ref") }
		}, []string{"delete refs: warning", "left behind: note"}},
		{"no deletion of blobs", func(s *sick) {
			s.delete = func(context.Context, ...blob.Digest) error { return unsupported("delete") }
		}, []string{"delete blobs: note", "left behind: note"}},
		{"a driver that knows better", func(s *sick) {
			s.diagnose = []backend.Finding{{Check: backend.CheckWrite, Status: backend.FindingSkipped}}
		}, []string{"write: skipped"}},
		{"no endpoint", func(s *sick) {
			s.diagnose = []backend.Finding{{Check: backend.CheckEndpoint, Status: backend.FindingFailed}}
		}, []string{"endpoint: failed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := &sick{Backend: mem.New()}
			tt.make(store)
			got := diagnose(t, store, larder.DiagnoseOptions{})
			if diff := cmp.Diff(tt.want, statuses(got)); diff != "" {
				t.Errorf("Diagnose() (-want +got):\n%s", diff)
			}
			failed := slices.ContainsFunc(tt.want, func(s string) bool { return strings.HasSuffix(s, "failed") })
			if got.OK == failed {
				t.Errorf("Diagnose().OK = %v, want %v", got.OK, !failed)
			}
			if after := everythingIn(t, store.Backend); len(after) > 0 && len(got.Left) == 0 {
				t.Errorf("Diagnose() has left %v and does not say so", after)
			}
			for _, f := range got.Findings {
				if f.Status == backend.FindingFailed && f.Remedy == "" && len(store.diagnose) == 0 {
					t.Errorf("%s failed (%s) without a remedy", f.Check, f.Detail)
				}
			}
		})
	}
}

func TestDiagnoseReadOnly(t *testing.T) {
	store := &sick{Backend: mem.New()}
	export(t, cacheOf(t, "base"), larder.Target{Backend: store.Backend, Ref: "main"})
	got := diagnose(t, store, larder.DiagnoseOptions{ReadOnly: true, Refs: []string{"main", "new"}})
	if diff := cmp.Diff([]string{"ref new: note", "write: skipped", "conditions: note"}, statuses(got)); diff != "" || !got.OK {
		t.Errorf("Diagnose() (-want +got):\n%s", diff)
	}
	if n := store.writes.Load(); n > 0 {
		t.Errorf("Diagnose() has written %d times, want never", n)
	}
	if f := findingOf(t, got, "range reads"); f.Status != backend.FindingOK {
		t.Errorf("Diagnose() of range reads = %v, want ok, by means of a blob of the cache", f)
	}
}

// TestDiagnoseLeavesLittle diagnoses a store twice where nothing can be removed.
func TestDiagnoseLeavesLittle(t *testing.T) {
	store := &sick{Backend: mem.NewWith(mem.Options{Without: backend.Capabilities{CreateRef: true, ReplaceRef: true}})}
	store.deleteRef = func(context.Context, string, backend.Condition) error { return unsupported("delete ref") }
	for range 2 {
		got := diagnose(t, store, larder.DiagnoseOptions{})
		if diff := cmp.Diff([]larder.Leftover{{Kind: "ref", Name: "larder-doctor"}}, got.Left); diff != "" {
			t.Errorf("Diagnose().Left (-want +got):\n%s", diff)
		}
		if f := findingOf(t, got, "delete refs"); f.Detail != "not possible: not supported: ask the janitor" {
			t.Errorf("Diagnose() of deletion = %q, want the store's own words", f.Detail)
		}
	}
	var refs []string
	for ref, err := range store.Backend.ListRefs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref.Name)
	}
	if !slices.Equal(refs, []string{"larder-doctor"}) {
		t.Errorf("two diagnoses have left the refs %q, want one", refs)
	}
}

// TestDiagnoseSparesForeignRefs has a ref whose name the doctor would like.
func TestDiagnoseSparesForeignRefs(t *testing.T) {
	store := &sick{Backend: mem.NewWith(mem.Options{Without: backend.Capabilities{CreateRef: true, ReplaceRef: true}})}
	store.deleteRef = func(context.Context, string, backend.Condition) error { return unsupported("delete ref") }
	foreign := larder.Target{Backend: store.Backend, Ref: "larder-doctor"}
	export(t, cacheOf(t, "base"), foreign)
	before := document(t, foreign)
	diagnose(t, store, larder.DiagnoseOptions{})
	if diff := cmp.Diff(before, document(t, foreign)); diff != "" {
		t.Errorf("Diagnose() has overwritten a ref (-before +after):\n%s", diff)
	}
}

func TestDiagnoseInterrupted(t *testing.T) {
	for _, name := range []string{"put", "put ref", "race"} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			store := &sick{Backend: mem.New()}
			store.put = func(ctx context.Context, d blob.Descriptor, src blob.Source) error {
				defer func() {
					if name == "put" {
						cancel()
					}
				}()
				return store.Backend.Put(ctx, d, src)
			}
			store.putRef = func(ctx context.Context, ref string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
				if name == "put ref" || !cond.IsAlways() {
					defer cancel()
				}
				return store.Backend.PutRef(ctx, ref, doc, cond)
			}
			got, err := larder.Diagnose(ctx, store, larder.DiagnoseOptions{})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Diagnose() = %v, want context.Canceled", err)
			}
			if left := everythingIn(t, store.Backend); len(left) > 0 || len(got.Left) > 0 {
				t.Errorf("an interrupted Diagnose() has left %v", left)
			}
			if bad := statuses(got); len(bad) > 0 {
				t.Errorf("an interrupted Diagnose() finds %v, want nothing wrong", bad)
			}
		})
	}
}

// TestDiagnoseWaitsForWrites interrupts a diagnosis of a store that carries out
// what it was asked for after everybody has gone.
func TestDiagnoseWaitsForWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		store := &sick{Backend: mem.New()}
		store.putRef = func(ctx context.Context, ref string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
			cancel()
			asked := context.WithoutCancel(ctx)
			done := make(chan backend.Version, 1)
			go func() {
				time.Sleep(time.Second) //nolint:forbidigo // in a bubble
				v, _ := store.Backend.PutRef(asked, ref, doc, cond)
				done <- v
			}()
			select {
			case v := <-done:
				return v, nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		if _, err := larder.Diagnose(ctx, store, larder.DiagnoseOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("Diagnose() = %v, want context.Canceled", err)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
		if left := everythingIn(t, store.Backend); len(left) > 0 {
			t.Errorf("an interrupted Diagnose() has left %v", left)
		}
	})
}

func TestDiagnoseOfAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &sick{Backend: mem.New()}
		store.put = func(ctx context.Context, _ blob.Descriptor, _ blob.Source) error {
			<-ctx.Done()
			return ctx.Err()
		}
		f := findingOf(t, diagnose(t, store, larder.DiagnoseOptions{}), "write")
		if f.Status != backend.FindingFailed || !strings.Contains(f.Remedy, "no answer in time") {
			t.Errorf("Diagnose() of writing = %v, want a failure that speaks of time", f)
		}
	})
}

func TestDiagnoseOfRefs(t *testing.T) {
	store := mem.New()
	export(t, cacheOf(t, "base"), larder.Target{Backend: store, Ref: "cache"})
	for name, doc := range map[string]string{"image": `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}`, "damaged": "{"} {
		if _, err := store.PutRef(t.Context(), name, backend.Document{Data: []byte(doc)}, backend.Always); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Put(t.Context(), blob.Describe("", []byte("{}")), blob.Bytes([]byte("{}"))); err != nil {
		t.Fatal(err)
	}
	opts := larder.DiagnoseOptions{Refs: []string{"cache", "image", "damaged", "none"}}
	for images, want := range map[bool][]string{
		false: {"ref image: warning", "ref damaged: warning", "ref none: note"},
		true:  {"ref cache: warning", "ref damaged: warning", "ref none: warning"},
	} {
		opts.Images = images
		got := diagnose(t, store, opts)
		if diff := cmp.Diff(want, statuses(got)); diff != "" {
			t.Errorf("Diagnose(images %v) (-want +got):\n%s\n%v", images, diff, got.Findings)
		}
	}
}
