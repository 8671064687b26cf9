// Package backendtest is the suite that every backend passes: one case for each
// sentence of the contract in package backend. Authors of drivers and of
// wrappers run it from a test of their own:
//
//	func TestConformance(t *testing.T) {
//		backendtest.Run(t, backendtest.Harness{
//			New: func(t testing.TB) backend.Backend {
//				return open(t, t.TempDir())
//			},
//			Reopen: func(t testing.TB, b backend.Backend) backend.Backend {
//				return open(t, b.(*store).dir)
//			},
//		})
//	}
//
// Cases that a store's capabilities exclude are replaced by the check that it
// refuses such calls. Everything else that is not run has to be listed in
// [Harness.Skip] with a reason. The suite itself is tested: for each promise
// there is a backend that breaks it, and a case that notices.
package backendtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

// Harness tells the suite how to reach a kind of store, and what to know of it.
type Harness struct {
	// New returns a backend of a new, empty store. The suite closes it; what
	// else there is to clean up New leaves to t.Cleanup. Required.
	New func(t testing.TB) backend.Backend
	// Reopen returns another connection to the store of b, a backend that New
	// has returned and that may be closed by now. The suite closes it. Nil
	// means that there can be only one: promises between connections are then
	// tested on that one alone.
	Reopen func(t testing.TB, b backend.Backend) backend.Backend
	// Plant stores data under a digest that is not its own, as a damaged store
	// has it. Nil means that this cannot be done; the case that needs it is
	// left out.
	Plant func(t testing.TB, b backend.Backend, d blob.Digest, data []byte)

	// Skip gives reasons why cases are not run, by their names. A name that no
	// case has is an error.
	Skip map[string]string
	// Refuses reports whether the driver takes no ref of this name, although
	// [backend.CheckRefName] does. Nil means that it takes them all.
	Refuses func(name string) bool
	// PartSize is the number of bytes that the store moves in one piece, so that
	// the suite puts blobs around that size. 0 means that it has none.
	PartSize int
	// PageSize is how many items the store lists in one page, so that the suite
	// lists several. 0 means that it has none.
	PageSize int
	// MaxDocument is the largest document in bytes that the suite writes, for
	// stores that take longer over one of their own limit than a test should.
	// 0 means no other limit than theirs.
	MaxDocument int64
	// AgeStep is the resolution of the store's ages; 0 means milliseconds or
	// better.
	AgeStep time.Duration
	// Rounds is how often races are run; 0 means 30.
	Rounds int
}

// testCase is a promise and how it is tested.
type testCase struct {
	// name is that of the method and the promise.
	name string
	// needs says what the store must be capable of. Nil means nothing special.
	needs func(backend.Capabilities) bool
	run   func(t *testing.T, e *env)
}

// Run tests backends of the harness. Each case is a subtest over a store of
// its own. It does not run in parallel with other tests, because it counts
// goroutines.
func Run(t *testing.T, h Harness) {
	t.Helper()
	cases := allCases()
	for name := range h.Skip {
		if !slices.ContainsFunc(cases, func(c testCase) bool { return c.name == name }) {
			t.Errorf("Harness.Skip has %q, want one of %s", name, strings.Join(Cases(), ", "))
		}
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if reason, skip := h.Skip[c.name]; skip {
				t.Skip(reason)
			}
			e := h.newEnv(t)
			if c.needs != nil && !c.needs(e.caps) {
				t.Skipf("not a capability of this store: %+v", e.caps)
			}
			c.run(t, e)
		})
	}
}

// Cases returns the names of all cases, in their order.
func Cases() []string {
	cases := allCases()
	names := make([]string, len(cases))
	for i, c := range cases {
		names[i] = c.name
	}
	return names
}

func allCases() []testCase {
	return slices.Concat(
		infoCases(), statCases(), openCases(),
		putCases(), putFailureCases(), putCancelCases(), ageCases(),
		deleteCases(), listCases(), listRefsCases(),
		refCases(), documentCases(), nameCases(), digestNameCases(),
		createCases(), replaceCases(), deleteRefCases(), raceCases(),
		capabilityCases(), argumentCases(), contextCases(), errorCases(),
		closeCases(), connectionCases(), concurrencyCases(), extensionCases(),
	)
}

// newEnv returns the surroundings of one case.
func (h Harness) newEnv(t *testing.T) *env {
	t.Helper()
	b := h.New(t)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	})
	return &env{Backend: b, h: h, caps: b.Info().Capabilities}
}

func (h Harness) rounds() int {
	if h.Rounds == 0 {
		return 30
	}
	return h.Rounds
}

// items returns how many items a listing must have to need several pages.
func (h Harness) items() int { return max(20, 2*h.PageSize+1) }

// sizes returns the sizes of blobs that may be treated differently.
func (h Harness) sizes() []int {
	sizes := []int{0, 1, 4095, 64<<10 + 1, 1 << 20}
	if h.PartSize > 0 {
		sizes = append(sizes, h.PartSize-1, h.PartSize, h.PartSize+1, 2*h.PartSize+1)
	}
	return sizes
}

// documentLimit returns the size of the largest document.
func documentLimit(i backend.Info) int64 {
	if i.MaxDocumentSize > 0 {
		return i.MaxDocumentSize
	}
	return backend.MaxDocumentSize
}

// bytesOf prints a number of bytes for the name of a subtest.
func bytesOf[N int | int64](n N) string { return fmt.Sprintf("%d bytes", n) }
