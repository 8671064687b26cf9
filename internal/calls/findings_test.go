package calls_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/calls"
)

// refusal is an error that knows what to do.
type refusal struct{}

func (refusal) Error() string  { return "answered 403; log in" }
func (refusal) Remedy() string { return "log in" }

func TestFindings(t *testing.T) {
	var got []backend.Finding
	f := calls.NewFindings(func(found backend.Finding) bool {
		got = append(got, found)
		return len(got) < 4
	})
	failed := func(err error) bool { return f.Failed(backend.FindingFailed, "check", "look", err) }
	more := []bool{
		f.Found(backend.FindingOK, "check", "", "%d requests", 3),
		failed(errors.New("broken")),
		failed(fmt.Errorf("reading: %w", refusal{})),
		failed(&backend.Error{Op: "stat", Backend: "s3", Err: refusal{}}),
		failed(errors.New("one too many")),
	}
	if diff := cmp.Diff([]bool{true, true, true, false, false}, more); diff != "" || !f.Over() {
		t.Errorf("whether more are wanted differs, Over() = %t (-want +got):\n%s", f.Over(), diff)
	}
	want := []backend.Finding{
		{Check: "check", Status: backend.FindingOK, Detail: "3 requests"},
		{Check: "check", Status: backend.FindingFailed, Detail: "broken", Remedy: "look"},
		{Check: "check", Status: backend.FindingFailed, Detail: "reading: answered 403", Remedy: "log in"},
		{Check: "check", Status: backend.FindingFailed, Detail: "answered 403", Remedy: "log in"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings differ (-want +got):\n%s", diff)
	}
}
