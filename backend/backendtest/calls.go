package backendtest

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// call is a call of one method of a backend.
type call struct {
	name string
	// supported says whether the store declares it.
	supported bool
	do        func(ctx context.Context, b backend.Backend) error
}

// calls returns every method once, with arguments for which each would succeed
// and change something, after prepare.
func (e *env) calls(t *testing.T) []call {
	t.Helper()
	old, fresh, doc := content(1, 100), content(2, 100), e.doc(t, "fresh")
	d, version := describe(old), e.getRef(t, "main").Version
	return append([]call{
		{"Stat", true, func(ctx context.Context, b backend.Backend) error {
			_, err := b.Stat(ctx, d.Digest)
			return err
		}},
		{"Open", true, func(ctx context.Context, b backend.Backend) error {
			r, err := b.Open(ctx, d, 0, -1)
			if err != nil {
				return err
			}
			return r.Close()
		}},
		{"Put", true, func(ctx context.Context, b backend.Backend) error {
			return b.Put(ctx, describe(fresh), blob.Bytes(fresh))
		}},
		{"GetRef", true, func(ctx context.Context, b backend.Backend) error {
			_, err := b.GetRef(ctx, "main")
			return err
		}},
		{"PutRef(always)", true, func(ctx context.Context, b backend.Backend) error {
			_, err := b.PutRef(ctx, "fresh", doc, backend.Always)
			return err
		}},
	}, e.optionalCalls(d.Digest, doc, version)...)
}

// optionalCalls returns those of calls that not every store supports.
func (e *env) optionalCalls(d blob.Digest, doc backend.Document, v backend.Version) []call {
	put := func(name string, cond backend.Condition) func(context.Context, backend.Backend) error {
		return func(ctx context.Context, b backend.Backend) error {
			_, err := b.PutRef(ctx, name, doc, cond)
			return err
		}
	}
	remove := func(cond backend.Condition) func(context.Context, backend.Backend) error {
		return func(ctx context.Context, b backend.Backend) error { return b.DeleteRef(ctx, "main", cond) }
	}
	return []call{
		{"PutRef(absent)", e.caps.CreateRef, put("fresh", backend.Absent)},
		{"PutRef(match)", e.caps.ReplaceRef, put("main", backend.Match(v))},
		{"DeleteRef(always)", e.caps.DeleteRef, remove(backend.Always)},
		{"DeleteRef(match)", e.caps.ConditionalDeleteRef, remove(backend.Match(v))},
		{"Delete", e.caps.DeleteBlobs, func(ctx context.Context, b backend.Backend) error { return b.Delete(ctx, d) }},
		{"List", e.caps.ListBlobs, func(ctx context.Context, b backend.Backend) error {
			var last error
			for _, err := range b.List(ctx) {
				last = err
			}
			return last
		}},
		{"ListRefs", e.caps.ListRefs, func(ctx context.Context, b backend.Backend) error {
			var last error
			for _, err := range b.ListRefs(ctx) {
				last = err
			}
			return last
		}},
	}
}

// prepare fills a store for calls. The returned function fails unless it is
// still as it was.
func (e *env) prepare(t *testing.T) (unchanged func(t *testing.T, b *env)) {
	t.Helper()
	old, doc := content(1, 100), e.doc(t, "old")
	e.put(t, old)
	e.putRef(t, "main", doc, backend.Always)
	e.doc(t, "fresh") // stores the blobs of the document that calls writes
	return func(t *testing.T, e *env) {
		t.Helper()
		e.wantBlob(t, old)
		e.wantNoBlob(t, describe(content(2, 100)))
		e.wantRef(t, "main", doc)
		e.wantNoRef(t, "fresh")
	}
}

func capabilityCases() []testCase {
	return []testCase{
		{name: "capability/what is declared works", run: capabilityDeclared},
		{name: "capability/what is not is refused and changes nothing", run: capabilityUndeclared},
	}
}

func capabilityDeclared(t *testing.T, e *env) {
	e.prepare(t)
	for _, c := range e.calls(t) {
		t.Run(c.name, func(t *testing.T) {
			if !c.supported {
				t.Skip("not declared")
			}
			fresh := e.h.newEnv(t)
			fresh.prepare(t)
			for _, again := range fresh.calls(t) {
				if again.name == c.name {
					wantErr(t, c.name, again.do(t.Context(), fresh.Backend), nil)
				}
			}
		})
	}
}

func capabilityUndeclared(t *testing.T, e *env) {
	unchanged := e.prepare(t)
	for _, c := range e.calls(t) {
		if c.supported {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			wantErr(t, c.name, c.do(t.Context(), e.Backend), backend.ErrUnsupported)
			unchanged(t, e)
		})
	}
}

func contextCases() []testCase {
	return []testCase{
		{name: "context/one that has ended changes nothing", run: contextEnded},
	}
}

func contextEnded(t *testing.T, e *env) {
	unchanged := e.prepare(t)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithDeadline(t.Context(), time.Now().Add(-time.Hour))
	defer cancelLate()
	for _, c := range e.calls(t) {
		for _, ctx := range []context.Context{canceled, late} {
			t.Run(c.name+" "+ctx.Err().Error(), func(t *testing.T) {
				err := c.do(ctx, e.Backend)
				if c.supported || !errors.Is(err, backend.ErrUnsupported) {
					wantErr(t, c.name, err, ctx.Err())
				}
				unchanged(t, e)
			})
		}
	}
}

func argumentCases() []testCase {
	return []testCase{
		{name: "argument/malformed digests are invalid and have no effect", run: argumentDigests},
		{name: "argument/malformed descriptors are invalid", run: argumentDescriptors},
	}
}

func malformedDigests() []blob.Digest {
	good := string(absent(1).Digest)
	return []blob.Digest{
		"", "sha256:", digestOf(good[:len(good)-1]), digestOf(good + "0"), digestOf(strings.ToUpper(good)), digestOf(strings.TrimPrefix(good, "sha256:")),
		"sha256:../../../../../../../../../../../../../../../../../../../etc/passwd", digestOf("sha512:" + strings.Repeat("0", 128)),
		digestOf("md5:" + strings.Repeat("0", 32)), digestOf(strings.Replace(good, ":", "/", 1)), digestOf(" " + good), digestOf(good + "\n"),
	}
}

func argumentDigests(t *testing.T, e *env) {
	data := content(1, 100)
	kept := e.put(t, data)
	for _, bad := range malformedDigests() {
		t.Run(string(bad), func(t *testing.T) {
			_, err := e.Stat(t.Context(), kept.Digest, bad)
			wantErr(t, "Stat(good, malformed)", err, backend.ErrInvalid)
			d := blob.Descriptor{Digest: bad, Size: 100, MediaType: layerType}
			_, err = e.read(t.Context(), d, 0, -1)
			wantErr(t, "Open(malformed)", err, backend.ErrInvalid)
			src := sourceOf(data)
			wantErr(t, "Put(malformed)", e.Put(t.Context(), d, src), backend.ErrInvalid)
			src.check(t)
			if e.caps.DeleteBlobs {
				err = e.Delete(t.Context(), kept.Digest, bad)
				wantErr(t, "Delete(good, malformed)", err, backend.ErrInvalid)
			}
			e.wantBlob(t, data)
		})
	}
}

func argumentDescriptors(t *testing.T, e *env) {
	for _, present := range []bool{false, true} {
		d := describe(content(1, 100))
		if present {
			e.put(t, content(1, 100))
		}
		for _, size := range []int64{-1, -100} {
			d.Size = size
			wantErr(t, "Put("+bytesOf(size)+")", e.Put(t.Context(), d, sourceOf(content(1, 100))), backend.ErrInvalid)
		}
	}
}

func errorCases() []testCase {
	return []testCase{
		{name: "error/matches its kind and the standard library's", run: errorKinds},
		{name: "error/names what it is about", run: errorSubjects},
	}
}

func errorKinds(t *testing.T, e *env) {
	e.prepare(t)
	_, open := e.Open(t.Context(), absent(1), 0, -1)
	_, offset := e.Open(t.Context(), describe(content(1, 100)), -1, -1)
	_, get := e.GetRef(t.Context(), "missing")
	_, name := e.GetRef(t.Context(), "")
	put := e.Put(t.Context(), absent(1), sourceOf(nil))
	for _, tt := range []struct {
		call           string
		err            error
		kind, standard error
	}{
		{"Open(absent)", open, backend.ErrNotFound, fs.ErrNotExist},
		{"Open(offset -1)", offset, backend.ErrInvalid, fs.ErrInvalid},
		{"GetRef(missing)", get, backend.ErrNotFound, fs.ErrNotExist},
		{"GetRef()", name, backend.ErrInvalid, fs.ErrInvalid},
		{"Put(wrong content)", put, backend.ErrCorrupt, backend.ErrCorrupt},
	} {
		wantErr(t, tt.call, tt.err, tt.standard)
		if got := backend.Kind(tt.err); got != tt.kind { //nolint:errorlint // Kind returns the sentinels themselves.
			t.Errorf("Kind(%s) = %v, want %v: %v", tt.call, got, tt.kind, tt.err)
		}
		if _, ok := backend.Temporary(tt.err); ok {
			t.Errorf("Temporary(%s) = true, want false: %v", tt.call, tt.err)
		}
	}
}

func errorSubjects(t *testing.T, e *env) {
	digest := absent(1).Digest
	_, open := e.Open(t.Context(), absent(1), 0, -1)
	_, get := e.GetRef(t.Context(), "missing")
	for subject, err := range map[string]error{
		string(digest): open,
		"missing":      get,
	} {
		if err == nil || !strings.Contains(err.Error(), subject) {
			t.Errorf("error = %v, want it to say %s", err, subject)
		}
	}
	if err := e.Put(t.Context(), absent(1), sourceOf(nil)); err == nil || !strings.Contains(err.Error(), string(digest)) {
		t.Errorf("Put(wrong content) = %v, want it to say %s", err, digest)
	}
}
