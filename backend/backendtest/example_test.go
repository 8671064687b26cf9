package backendtest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/mem"
)

// TestConformance is the test of a driver, as an author would write it. The
// driver here is that of stores in memory; the test is kept short by leaving
// out a case, with the reason.
func TestConformance(t *testing.T) {
	backendtest.Run(t, backendtest.Harness{
		New: func(testing.TB) backend.Backend { return mem.New() },
		Reopen: func(_ testing.TB, b backend.Backend) backend.Backend {
			store, _ := backend.As[*mem.Backend](b)
			return store.Reopen()
		},
		Skip: map[string]string{
			"document/up to the limit": "TestMem runs it",
		},
	})
}

// The names of cases are those that Harness.Skip takes.
func ExampleCases() {
	for _, name := range backendtest.Cases() {
		if strings.HasPrefix(name, "close/") {
			fmt.Println(name)
		}
	}
	// Output:
	// close/makes later calls fail
	// close/again does nothing
	// close/ends open readers
	// close/waits for nothing
}
