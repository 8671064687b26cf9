package testserver_test

import (
	"testing"

	"github.com/larder-build/larder/internal/testserver"
)

// outcome notes how a test would end.
type outcome struct{ ended string }

func (*outcome) Helper()                 {}
func (o *outcome) Fatalf(string, ...any) { o.ended = "failed" }
func (o *outcome) Skipf(string, ...any)  { o.ended = "skipped" }

func TestFromTestbed(t *testing.T) {
	for _, test := range []struct{ name, told, require, ended string }{
		{"there", "http://127.0.0.1:1", "1", ""},
		{"not there", "", "", "skipped"},
		{"not there and required", "", "1", "failed"},
	} {
		t.Setenv("LARDER_TEST_EXAMPLE", test.told)
		t.Setenv("LARDER_TEST_REQUIRE", test.require)
		var o outcome
		if got := testserver.FromTestbed(&o, "LARDER_TEST_EXAMPLE"); got != test.told || o.ended != test.ended {
			t.Errorf("%s: FromTestbed() = %q, test %q, want %q, %q", test.name, got, o.ended, test.told, test.ended)
		}
	}
}
