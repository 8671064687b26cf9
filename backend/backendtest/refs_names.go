package backendtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

func digestOf(s string) blob.Digest { return blob.Digest(s) }

func nameCases() []testCase {
	return []testCase{
		{name: "name/odd ones are kept as they are", run: nameOdd},
		{name: "name/similar ones are different refs", run: nameSimilar},
		{name: "name/malformed ones are invalid", run: nameMalformed},
	}
}

func digestNameCases() []testCase {
	return []testCase{
		{name: "digest name/reads a document or is not found", run: digestNameReads},
		{name: "digest name/cannot be written", run: digestNameWritten},
		{name: "digest name/cannot be deleted", run: digestNameDeleted},
	}
}

// oddNames returns names that are well-formed and that file systems, URLs,
// tags and object keys are known to stumble over.
func oddNames() []string {
	return []string{
		"a", "0", "_", "-", "--help", ".hidden", "..two", "trailing.", "a..b", "...",
		"feature/a", "a/b/c/d/e/f", "with space", "a+b", "a%2Fb", "100%", "a=b", "a&b", "q?x#y", "name#1", "~tilde", "$HOME",
		`back\slash`, `quo"te`, "apo'strophe", "<angle>", "pipe|", "star*", "colon:", "at@sign", "[x]", "{x}", "^", "`tick`", "!",
		"CON", "aux.txt", "nul", "index", "latest", "index.json", "blobs/sha256", "file.lock", "file.tmp", "refs/heads/main",
		"grüße", "日本語", "emoji-🍞", "\u00e9", "e\u0301", "x\u00a0y",
		"sha256:abc", "sha512:" + strings.Repeat("0", 128), "SHA256:" + strings.Repeat("0", 64), strings.Repeat("0", 64),
		strings.Repeat("n", 128), strings.Repeat("n", backend.MaxRefName), strings.Repeat("パ", backend.MaxRefName/3),
		strings.Repeat("d/", 100) + "x",
	}
}

func (h Harness) refuses(name string) bool { return h.Refuses != nil && h.Refuses(name) }

// nameOdd writes every name before it reads any, so that names which the store
// takes for one another show.
func nameOdd(t *testing.T, e *env) {
	e.wantNames(t, oddNames())
}

func (e *env) wantNames(t *testing.T, names []string) {
	t.Helper()
	docs := map[string]backend.Document{}
	for _, name := range names {
		doc := e.doc(t, "of "+name)
		switch _, err := e.PutRef(t.Context(), name, doc, backend.Always); {
		case e.h.refuses(name):
			wantErr(t, fmt.Sprintf("PutRef(%q), which this driver refuses,", name), err, backend.ErrInvalid)
		case err != nil:
			t.Errorf("PutRef(%q) = %v, want nil", name, err)
		default:
			docs[name] = doc
		}
	}
	for name, doc := range docs {
		e.wantRef(t, name, doc)
	}
	if e.caps.ListRefs {
		keys := map[string]bool{}
		for name := range docs {
			keys[name] = true
		}
		listingOfRefs(e).want(t, e, keys)
	}
	if e.caps.DeleteRef {
		e.deleteEach(t, docs)
	}
}

// deleteEach removes refs one by one and looks for the others.
func (e *env) deleteEach(t *testing.T, docs map[string]backend.Document) {
	t.Helper()
	for name := range docs {
		wantErr(t, fmt.Sprintf("DeleteRef(%q)", name), e.DeleteRef(t.Context(), name, backend.Always), nil)
		e.wantNoRef(t, name)
		delete(docs, name)
		for other, doc := range docs {
			e.wantRef(t, other, doc)
			break
		}
	}
}

func nameSimilar(t *testing.T, e *env) {
	for _, names := range [][]string{
		{"main", "Main", "MAIN", "maın"},
		{"feature/a", "feature-a", "feature_a", "feature.a", "feature%2Fa", `feature\a`, "feature~a", "Feature/A"},
		{"a", "a/b", "a/b/c"},
		{"a/b/c", "a/b", "a"},
		{"\u00e9", "e\u0301"},
		{"x", "x.", "x..", ".x", "x y", "x  y"},
		{"n", "n#1", "n#2", "n#1#1"},
	} {
		t.Run(names[0], func(t *testing.T) { e.h.newEnv(t).wantNames(t, names) })
	}
}

func malformedNames() []string {
	return []string{
		"", " ", " a", "a ", "a,b", "a;b", "a\nb", "a\x00b", "a\x7fb", "\t", "\xff", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/.", "../a", "a/../b",
		strings.Repeat("n", backend.MaxRefName+1),
	}
}

func nameMalformed(t *testing.T, e *env) {
	doc := e.doc(t, "x")
	for _, name := range malformedNames() {
		t.Run(fmt.Sprintf("%.20q", name), func(t *testing.T) {
			_, err := e.GetRef(t.Context(), name)
			wantErr(t, fmt.Sprintf("GetRef(%q)", name), err, backend.ErrInvalid)
			_, err = e.PutRef(t.Context(), name, doc, backend.Always)
			wantErr(t, fmt.Sprintf("PutRef(%q)", name), err, backend.ErrInvalid)
			if e.caps.DeleteRef {
				err = e.DeleteRef(t.Context(), name, backend.Always)
				wantErr(t, fmt.Sprintf("DeleteRef(%q)", name), err, backend.ErrInvalid)
			}
		})
	}
	if e.caps.ListRefs {
		listingOfRefs(e).want(t, e, nil)
	}
}

func digestNameReads(t *testing.T, e *env) {
	doc := e.doc(t, "x")
	digest := string(blob.Describe(doc.MediaType, doc.Data).Digest)
	e.wantNoRef(t, digest)
	e.putRef(t, "main", doc, backend.Always)
	if _, err := e.GetRef(t.Context(), digest); err == nil {
		e.wantRef(t, digest, doc)
	} else {
		wantErr(t, "GetRef(digest of a document)", err, backend.ErrNotFound)
	}
	e.wantNoRef(t, string(absent(1).Digest))
	if e.caps.ListRefs {
		listingOfRefs(e).want(t, e, map[string]bool{"main": true})
	}
}

func digestNameWritten(t *testing.T, e *env) {
	doc := e.doc(t, "x")
	own := blob.Describe(doc.MediaType, doc.Data).Digest
	for _, name := range []blob.Digest{own, absent(1).Digest} {
		_, err := e.PutRef(t.Context(), string(name), doc, backend.Always)
		wantErr(t, "PutRef(digest)", err, backend.ErrInvalid)
		e.wantNoRef(t, string(name))
	}
}

func digestNameDeleted(t *testing.T, e *env) {
	if !e.caps.DeleteRef {
		t.Skip("the store cannot delete refs at all")
	}
	doc := e.doc(t, "x")
	e.putRef(t, "main", doc, backend.Always)
	for _, name := range []blob.Digest{blob.Describe(doc.MediaType, doc.Data).Digest, absent(1).Digest} {
		wantErr(t, "DeleteRef(digest)", e.DeleteRef(t.Context(), string(name), backend.Always), backend.ErrInvalid)
	}
	e.wantRef(t, "main", doc)
}
