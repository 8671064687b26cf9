package azblob_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/azuretest"
)

// TestExportTakesFewRequests counts what is asked of the service.
func TestExportTakesFewRequests(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	export := func(n int) map[string]int {
		t.Helper()
		s.Forget()
		m, blobs := cacheOf(t, n)
		to := larder.Target{Backend: open(t, opts), Ref: "main"}
		if _, err := larder.Export(t.Context(), m, blobs, []larder.Target{to}, larder.ExportOptions{}); err != nil {
			t.Fatalf("Export(%d layers) = %v, want nil", n, err)
		}
		return ops(s)
	}
	total := func(counts map[string]int) int {
		n := 0
		for _, count := range counts {
			n += count
		}
		return n
	}
	// The first export asks for the ref, and for blobs or a list of them.
	first := export(100)
	if got := total(first); got > 2*100+4 {
		t.Errorf("Export(100 layers) took %v, want at most 204 requests", first)
	}
	if again := export(100); total(again) > 2 {
		t.Errorf("Export(the same again) took %v, want at most 2 requests", again)
	}
	if more := export(103); total(more) > 2*3+2 {
		t.Errorf("Export(3 new layers) took %v, want at most 8 requests", more)
	}
}

// TestPutTakesOneRequest shows that small blobs are sent without a question,
// and that one which is there costs a question more.
func TestPutTakesOneRequest(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	b := open(t, opts)
	data := content(1, 1000)
	put(t, b, data)
	if diff := cmp.Diff(map[string]int{"Put Blob": 1}, ops(s)); diff != "" {
		t.Errorf("Put(new blob) differs (-want +got):\n%s", diff)
	}
	put(t, b, data)
	if diff := cmp.Diff(map[string]int{"Put Blob": 1, "Get Blob Properties": 1}, ops(s)); diff != "" {
		t.Errorf("Put(blob that is there) differs (-want +got):\n%s", diff)
	}
}

func TestPutAsksFirstForLargeBlobs(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	b := open(t, opts)
	data := content(1, 2<<20)
	put(t, b, data)
	s.Forget()
	unread := blob.SourceFunc(func(context.Context) (io.ReadCloser, error) { return nil, errors.New("opened") })
	if err := b.Put(t.Context(), describe(data), unread); err != nil {
		t.Errorf("Put(large blob that is there) = %v, want nil without reading", err)
	}
	if diff := cmp.Diff(map[string]int{"Get Blob Properties": 1}, ops(s)); diff != "" {
		t.Errorf("Put(large blob that is there) differs (-want +got):\n%s", diff)
	}
}

// TestTrace shows that each request is reported, by name.
func TestTrace(t *testing.T) {
	s, opts := fake(t, azuretest.Options{})
	opts.BlockSize, opts.RefreshAge = 1000, -1
	b := open(t, opts)
	got := make(map[string]int)
	requests := make(chan string, 100)
	ctx := backend.WithTrace(t.Context(), &backend.Trace{Request: func(op string) { requests <- op }})
	data := content(1, 9000)
	d := describe(data)
	calls := []error{
		b.Put(ctx, d, blob.Bytes(data)),
		func() error { _, err := b.Stat(ctx, d.Digest); return err }(),
		func() error { _, err := read(ctx, b, d, 0, 10); return err }(),
		func() error {
			_, err := b.PutRef(ctx, "main", backend.Document{Data: []byte("{}")}, backend.Always)
			return err
		}(),
		b.DeleteRef(ctx, "main", backend.Always),
	}
	for _, err := range b.List(ctx) {
		calls = append(calls, err)
	}
	if err := s.Age("cache", "blobs/"+d.Digest.String(), 48*time.Hour); err != nil {
		t.Fatal(err)
	}
	calls = append(calls, b.Put(ctx, d, blob.Bytes(data)))
	if err := errors.Join(calls...); err != nil {
		t.Fatal(err)
	}
	close(requests)
	for op := range requests {
		got[op]++
	}
	want := map[string]int{"put block": 18, "commit": 2, "head": 2, "get": 1, "put": 1, "delete": 1, "list": 1, "touch": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Trace.Request differs (-want +got):\n%s", diff)
	}
	if got := s.Count(); got != 27 {
		t.Errorf("the service got %d requests, want the 27 reported", got)
	}
}
