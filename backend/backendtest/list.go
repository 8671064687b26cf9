package backendtest

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/larder-build/larder/backend"
)

// listing is what listings of blobs and of refs have in common.
type listing struct {
	call string
	// list yields the keys: digests or names.
	list func(ctx context.Context, e *env) iter.Seq2[string, error]
	// add makes the i-th item and returns its key.
	add func(t *testing.T, e *env, i int) string
	// remove is nil if the store cannot do that.
	remove func(t *testing.T, e *env, key string)
}

func listCases() []testCase {
	needs := func(c backend.Capabilities) bool { return c.ListBlobs }
	return append([]testCase{
		{name: "list/sizes are those of the blobs", needs: needs, run: listSizes},
	}, listingCases("list", needs, listingOfBlobs)...)
}

func listRefsCases() []testCase {
	needs := func(c backend.Capabilities) bool { return c.ListRefs }
	return append([]testCase{
		{name: "list refs/versions are those of the refs", needs: needs, run: listVersions},
	}, listingCases("list refs", needs, listingOfRefs)...)
}

func listingCases(prefix string, needs func(backend.Capabilities) bool, of func(*env) listing) []testCase {
	named := func(promise string, run func(*testing.T, *env, listing)) testCase {
		return testCase{
			name: prefix + "/" + promise, needs: needs,
			run: func(t *testing.T, e *env) { run(t, e, of(e)) },
		}
	}
	return []testCase{
		named("yields each item once", listComplete),
		named("stops when told to", listBreak),
		named("starts anew with every range", listAnew),
		named("yields the error of a context that ended before", listEnded),
		named("yields the error of a context that ends meanwhile", listEnds),
		named("may end well if the context ends at the last item", listEndsAtLast),
		named("is right about what does not change meanwhile", listChanging),
	}
}

func listingOfBlobs(e *env) listing {
	l := listing{
		call: "List",
		list: func(ctx context.Context, e *env) iter.Seq2[string, error] {
			return keysOf(e.List(ctx), func(i backend.BlobInfo) string { return string(i.Digest) })
		},
		add: func(t *testing.T, e *env, i int) string {
			t.Helper()
			return string(e.put(t, fmt.Appendf(nil, "item %d", i)).Digest)
		},
	}
	if e.caps.DeleteBlobs {
		l.remove = func(t *testing.T, e *env, key string) {
			t.Helper()
			wantErr(t, "Delete(listed)", e.Delete(t.Context(), digestOf(key)), nil)
		}
	}
	return l
}

func listingOfRefs(e *env) listing {
	l := listing{
		call: "ListRefs",
		list: func(ctx context.Context, e *env) iter.Seq2[string, error] {
			return keysOf(e.ListRefs(ctx), func(i backend.RefInfo) string { return i.Name })
		},
		add: func(t *testing.T, e *env, i int) string {
			t.Helper()
			name := fmt.Sprintf("item-%d", i)
			e.putRef(t, name, e.doc(t, name), backend.Always)
			return name
		},
	}
	if e.caps.DeleteRef {
		l.remove = func(t *testing.T, e *env, key string) {
			t.Helper()
			wantErr(t, "DeleteRef(listed)", e.DeleteRef(t.Context(), key, backend.Always), nil)
		}
	}
	return l
}

// keysOf yields the keys of items; an error has to come with the zero item,
// whose key must be "".
func keysOf[V comparable](items iter.Seq2[V, error], key func(V) string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		items(func(item V, err error) bool {
			var zero V
			if err != nil && item != zero {
				return yield(fmt.Sprintf("%+v", item), err)
			}
			return yield(key(item), err)
		})
	}
}

// fill adds n items and returns their keys.
func (l listing) fill(t *testing.T, e *env, n int) map[string]bool {
	t.Helper()
	keys := map[string]bool{}
	for i := range n {
		keys[l.add(t, e, i)] = true
	}
	return keys
}

// count returns how often each key is listed.
func (l listing) count(t *testing.T, e *env) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for key, err := range l.list(t.Context(), e) {
		if err != nil {
			t.Fatalf("%s() = %q, %v, want no error", l.call, key, err)
		}
		seen[key]++
	}
	return seen
}

// want fails unless exactly the given keys are listed, each once.
func (l listing) want(t *testing.T, e *env, keys map[string]bool) {
	t.Helper()
	seen := l.count(t, e)
	for key := range keys {
		if seen[key] != 1 {
			t.Errorf("%s() has %s %d times, want once", l.call, key, seen[key])
		}
	}
	for key := range seen {
		if !keys[key] {
			t.Errorf("%s() has %s, want it absent", l.call, key)
		}
	}
}

func listComplete(t *testing.T, e *env, l listing) {
	l.want(t, e, nil)
	keys := l.fill(t, e, e.h.items())
	l.want(t, e, keys)
	l.want(t, e.other(t), keys)
}

// listBreak uses no range statement: the loop panics if it is called again.
func listBreak(t *testing.T, e *env, l listing) {
	l.fill(t, e, e.h.items())
	for _, stopAt := range []int{1, 3, e.h.items()} {
		calls := 0
		l.list(t.Context(), e)(func(string, error) bool {
			calls++
			return calls < stopAt
		})
		if calls != stopAt {
			t.Errorf("%s(stop at %d) yielded %d times, want %d", l.call, stopAt, calls, stopAt)
		}
	}
}

func listAnew(t *testing.T, e *env, l listing) {
	keys := l.fill(t, e, 3)
	sequence := l.list(t.Context(), e)
	again := l
	again.list = func(context.Context, *env) iter.Seq2[string, error] { return sequence }
	again.want(t, e, keys)
	for _, err := range sequence {
		wantErr(t, l.call+"(first)", err, nil)
		break
	}
	keys[l.add(t, e, 4)] = true
	again.want(t, e, keys)
}

// yielded is one step of a sequence.
type yielded struct {
	key string
	err error
}

// collect runs a listing to its end and calls each after every item.
func (l listing) collect(ctx context.Context, e *env, each func(n int)) []yielded {
	var all []yielded
	l.list(ctx, e)(func(key string, err error) bool {
		all = append(all, yielded{key, err})
		each(len(all))
		return true
	})
	return all
}

// wantEnd fails unless the n-th step is the context's error with a zero item,
// and the last.
func (l listing) wantEnd(t *testing.T, got []yielded, n int) {
	t.Helper()
	if len(got) != n {
		t.Fatalf("%s(canceled) yielded %d times, want %d: %v", l.call, len(got), n, got)
	}
	last := got[n-1]
	wantErr(t, l.call+"(canceled)", last.err, context.Canceled)
	if last.key != "" {
		t.Errorf("%s(canceled) yielded %s with its error, want a zero item", l.call, last.key)
	}
}

func listEnded(t *testing.T, e *env, l listing) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.wantEnd(t, l.collect(ctx, e, func(int) {}), 1)
	l.fill(t, e, 3)
	l.wantEnd(t, l.collect(ctx, e, func(int) {}), 1)
}

func listEnds(t *testing.T, e *env, l listing) {
	l.fill(t, e, e.h.items())
	for _, at := range []int{1, 2, e.h.items() - 1} {
		ctx, cancel := context.WithCancel(t.Context())
		got := l.collect(ctx, e, func(n int) {
			if n == at {
				cancel()
			}
		})
		l.wantEnd(t, got, at+1)
		cancel()
	}
}

func listEndsAtLast(t *testing.T, e *env, l listing) {
	keys := l.fill(t, e, e.h.items())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := l.collect(ctx, e, func(n int) {
		if n == len(keys) {
			cancel()
		}
	})
	if len(got) > len(keys) {
		l.wantEnd(t, got, len(keys)+1)
		return
	}
	if len(got) != len(keys) {
		t.Errorf("%s(canceled at the last item) yielded %d items, want %d", l.call, len(got), len(keys))
	}
}

// listChanging adds and removes items while a listing runs.
func listChanging(t *testing.T, e *env, l listing) {
	kept := l.fill(t, e, e.h.items())
	n := len(kept)
	goes := l.add(t, e, n)
	seen := map[string]int{}
	for key, err := range l.list(t.Context(), e) {
		if err != nil {
			t.Fatalf("%s(meanwhile changed) = %v, want nil", l.call, err)
		}
		if len(seen) == 0 && l.remove != nil {
			l.remove(t, e, goes)
		}
		if len(seen) < 5 {
			l.add(t, e, n+1+len(seen))
		}
		seen[key]++
	}
	for key := range kept {
		if seen[key] != 1 {
			t.Errorf("%s(meanwhile changed) has %s %d times, want once", l.call, key, seen[key])
		}
	}
	for key, times := range seen {
		if times != 1 {
			t.Errorf("%s(meanwhile changed) has %s %d times, want at most once", l.call, key, times)
		}
	}
}

func listSizes(t *testing.T, e *env) {
	want := map[string]int64{}
	for size := range 5 {
		want[string(e.put(t, content(1, size)).Digest)] = int64(size)
	}
	for info, err := range e.List(t.Context()) {
		size, ok := want[string(info.Digest)]
		if err != nil || !ok || info.Size != size && info.Size != -1 {
			t.Errorf("List() = %+v, %v, want size %d or -1", info, err, size)
		}
	}
}

func listVersions(t *testing.T, e *env) {
	want := map[string]backend.Version{}
	for _, name := range []string{"a", "b"} {
		want[name] = e.putRef(t, name, e.doc(t, name), backend.Always)
	}
	for info, err := range e.ListRefs(t.Context()) {
		if v := want[info.Name]; err != nil || info.Version != v && info.Version != "" {
			t.Errorf("ListRefs() = %+v, %v, want version %q or none", info, err, v)
		}
	}
}
