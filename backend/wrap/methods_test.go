package wrap_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
)

// everything is a store that can do all there is.
var everything = backend.Capabilities{
	CreateRef: true, ReplaceRef: true, DeleteRef: true, ConditionalDeleteRef: true,
	ListRefs: true, DeleteBlobs: true, ListBlobs: true, BlobAges: true,
}

// recorder records which of its methods are called, and with what.
type recorder struct {
	caps  backend.Capabilities
	calls []string
	args  [][]any
}

func (r *recorder) record(name string, args ...any) {
	r.calls = append(r.calls, name)
	r.args = append(r.args, args)
}

func (r *recorder) Stat(_ context.Context, digests ...blob.Digest) (map[blob.Digest]backend.BlobInfo, error) {
	r.record("Stat", digests)
	return map[blob.Digest]backend.BlobInfo{}, nil
}

func (r *recorder) Open(_ context.Context, d blob.Descriptor, off, n int64) (io.ReadCloser, error) {
	r.record("Open", d, off, n)
	return io.NopCloser(strings.NewReader("")), nil
}

func (r *recorder) Put(_ context.Context, d blob.Descriptor, _ blob.Source) error {
	r.record("Put", d)
	return nil
}

func (r *recorder) Delete(_ context.Context, digests ...blob.Digest) error {
	r.record("Delete", digests)
	return nil
}

func (r *recorder) List(context.Context) iter.Seq2[backend.BlobInfo, error] {
	return func(yield func(backend.BlobInfo, error) bool) {
		r.record("List")
		yield(backend.BlobInfo{Digest: someBlob.Digest}, nil)
	}
}

func (r *recorder) GetRef(_ context.Context, name string) (backend.Ref, error) {
	r.record("GetRef", name)
	return backend.Ref{Name: name}, nil
}

func (r *recorder) PutRef(_ context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	r.record("PutRef", name, doc, cond)
	return "v1", nil
}

func (r *recorder) DeleteRef(_ context.Context, name string, cond backend.Condition) error {
	r.record("DeleteRef", name, cond)
	return nil
}

func (r *recorder) ListRefs(context.Context) iter.Seq2[backend.RefInfo, error] {
	return func(yield func(backend.RefInfo, error) bool) {
		r.record("ListRefs")
		yield(backend.RefInfo{Name: "main"}, nil)
	}
}

func (r *recorder) Info() backend.Info {
	return backend.Info{Driver: "recorder", Capabilities: r.caps}
}

func (r *recorder) Close() error {
	r.record("Close")
	return nil
}

func (r *recorder) CopyFrom(_ context.Context, src backend.Backend, d blob.Descriptor) error {
	r.record("CopyFrom", src, d)
	return nil
}

var someBlob = blob.Describe("", []byte("hello"))

// argument returns a value of a type that methods of a backend take.
func argument(t *testing.T, typ reflect.Type) reflect.Value {
	t.Helper()
	values := []any{
		t.Context(), someBlob,
		[]blob.Digest{someBlob.Digest},
		int64(0), "main", backend.Always,
		backend.Document{MediaType: "text/plain", Data: []byte("doc")},
		blob.Bytes([]byte("hello")),
	}
	for _, v := range values {
		if reflect.TypeOf(v).AssignableTo(typ) {
			return reflect.ValueOf(v)
		}
	}
	t.Fatalf("a method of backend.Backend takes a %s: teach this test to make one", typ)
	return reflect.Value{}
}

// callMethod calls a method of b with good arguments and returns the error it
// returns or yields.
func callMethod(t *testing.T, b backend.Backend, m reflect.Method) error {
	t.Helper()
	method := reflect.ValueOf(b).MethodByName(m.Name)
	var args []reflect.Value
	for in := range method.Type().Ins() {
		args = append(args, argument(t, in))
	}
	call := method.Call
	if method.Type().IsVariadic() {
		call = method.CallSlice
	}
	var last any
	for _, result := range call(args) {
		last = result.Interface()
	}
	switch result := last.(type) {
	case error:
		return result
	case iter.Seq2[backend.BlobInfo, error]:
		return listError(result)
	case iter.Seq2[backend.RefInfo, error]:
		return listError(result)
	default:
		return nil
	}
}

func listError[T any](list iter.Seq2[T, error]) (last error) {
	for _, err := range list {
		last = err
	}
	return last
}

// opOf returns the operation of a method, or false for those that ask nothing of
// the store.
func opOf(m reflect.Method) (faulty.Op, bool) {
	op, ok := map[string]faulty.Op{
		"Stat": faulty.Stat, "Open": faulty.Open, "Put": faulty.Put, "Delete": faulty.Delete, "List": faulty.List,
		"GetRef": faulty.GetRef, "PutRef": faulty.PutRef, "DeleteRef": faulty.DeleteRef, "ListRefs": faulty.ListRefs,
	}[m.Name]
	return op, ok
}

// interfaceMethods are those of backend.Backend.
func interfaceMethods() []reflect.Method {
	typ := reflect.TypeFor[backend.Backend]()
	return slices.Collect(typ.Methods())
}

// TestEveryMethodArrives drives every method of the interface through every
// wrapper, with the arguments that it was called with.
func TestEveryMethodArrives(t *testing.T) {
	for name, wrapped := range wrappers {
		for _, m := range interfaceMethods() {
			if m.Name == "Info" {
				continue // may be asked any number of times
			}
			t.Run(name+"/"+m.Name, func(t *testing.T) {
				direct, behind := &recorder{caps: everything}, &recorder{caps: everything}
				if err := callMethod(t, direct, m); err != nil {
					t.Fatal(err)
				}
				if err := callMethod(t, wrapped(behind), m); err != nil {
					t.Errorf("%s() = %v, want nil", m.Name, err)
				}
				if !slices.Equal(behind.calls, []string{m.Name}) {
					t.Errorf("%s() arrives as %v, want once as itself", m.Name, behind.calls)
				}
				compare := cmp.AllowUnexported(backend.Condition{})
				if diff := cmp.Diff(direct.args, behind.args, compare); diff != "" {
					t.Errorf("%s() arrives with other arguments (-want +got):\n%s", m.Name, diff)
				}
			})
		}
	}
}

// TestNothingIsEmbedded keeps wrappers from inheriting methods: a new method
// has to be written for each, or nothing compiles.
func TestNothingIsEmbedded(t *testing.T) {
	all := maps.Clone(wrappers)
	all["ReadOnly"] = wrap.ReadOnly
	for name, wrapped := range all {
		for field := range reflect.TypeOf(wrapped(&recorder{})).Elem().Fields() {
			if field.Anonymous {
				t.Errorf("%s embeds %s, want all methods its own", name, field.Type)
			}
		}
	}
}

func TestInfoIsPassedOn(t *testing.T) {
	store := &recorder{caps: everything}
	for name, wrapped := range wrappers {
		if diff := cmp.Diff(store.Info(), wrapped(store).Info()); diff != "" {
			t.Errorf("%s: Info() differs (-want +got):\n%s", name, diff)
		}
	}
}

// TestRecommendedOrder pins the order of the wrappers from the outside in.
func TestRecommendedOrder(t *testing.T) {
	observer := &wrap.Observer{}
	tests := []struct {
		name    string
		options wrap.Options
		want    string
	}{
		{"all", wrap.Options{Observer: observer}, "observe check verify retry limit timeout recorder"},
		{"default", wrap.Options{}, "check verify retry limit timeout recorder"},
		{"no check", wrap.Options{NoCheck: true}, "verify retry limit timeout recorder"},
		{"no verify", wrap.Options{NoVerify: true}, "check retry limit timeout recorder"},
		{"no retry", wrap.Options{NoRetry: true}, "check verify limit timeout recorder"},
		{"no limit", wrap.Options{NoLimit: true}, "check verify retry timeout recorder"},
		{"no timeout", wrap.Options{NoTimeout: true}, "check verify retry limit recorder"},
		{"none", wrap.Options{NoCheck: true, NoVerify: true, NoRetry: true, NoLimit: true, NoTimeout: true}, "recorder"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := chain(reflect.ValueOf(wrap.Recommended(&recorder{}, test.options)))
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("Recommended() is %s, want %s", got, test.want)
			}
		})
	}
}

// chain returns the names of the types from the outside in.
func chain(v reflect.Value) []string {
	typ := v.Type().Elem()
	names := []string{typ.Name()}
	if next := v.Elem().FieldByName("next"); next.IsValid() {
		names = append(names, chain(next.Elem())...)
	}
	return names
}

// TestOptionalInterfaces drives the optional interfaces through every wrapper.
func TestOptionalInterfaces(t *testing.T) {
	for name, wrapped := range wrappers {
		t.Run(name, func(t *testing.T) {
			store, source := &recorder{caps: everything}, &recorder{}
			copier, ok := backend.As[backend.Copier](wrapped(store))
			if !ok {
				t.Fatal("As[Copier] finds none, want the store's")
			}
			if err := copier.CopyFrom(t.Context(), wrapped(source), someBlob); err != nil {
				t.Errorf("CopyFrom() = %v, want nil", err)
			}
			if !slices.Equal(store.calls, []string{"CopyFrom"}) {
				t.Errorf("CopyFrom() arrives as %v, want once", store.calls)
			}
			arrived, _ := store.args[0][0].(backend.Backend)
			if from, ok := backend.As[*recorder](arrived); !ok || from != source {
				t.Errorf("CopyFrom() arrives with %T, behind which the source is not found", store.args[0][0])
			}
		})
	}
}

// hidden is a store without optional interfaces.
type hidden struct{ backend.Backend }

func TestCopierIsNotInvented(t *testing.T) {
	for name, wrapped := range wrappers {
		copier, ok := backend.As[backend.Copier](wrapped(hidden{&recorder{caps: everything}}))
		if !ok {
			continue
		}
		if err := copier.CopyFrom(t.Context(), &recorder{}, someBlob); !errors.Is(err, backend.ErrUnsupported) {
			t.Errorf("%s: CopyFrom() = %v, want ErrUnsupported", name, err)
		}
	}
}

// TestOpaque shows which wrappers may be bypassed.
func TestOpaque(t *testing.T) {
	want := map[string]bool{"Observe": true, "Verify": true, "Retry": true, "Limit": true, "Timeout": true, "Check": false, "ReadOnly": false, "Recommended": false}
	all := maps.Clone(wrappers)
	all["ReadOnly"] = wrap.ReadOnly
	for name, wrapped := range all {
		if _, found := backend.As[*recorder](wrapped(&recorder{})); found != want[name] {
			t.Errorf("%s: As finds the store behind it = %v, want %v", name, found, want[name])
		}
	}
}
