package testserver

import "os"

// Skipper is what FromTestbed needs of a testing.TB.
type Skipper interface {
	Helper()
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// FromTestbed returns what the testbed tells in an environment variable, the
// address of a server or the path of a program. Where it does not, the test is
// skipped, or fails if LARDER_TEST_REQUIRE=1 says that everything is there.
func FromTestbed(tb Skipper, variable string) string {
	tb.Helper()
	told := os.Getenv(variable)
	switch {
	case told != "":
	case os.Getenv("LARDER_TEST_REQUIRE") == "1":
		tb.Fatalf("%s is not set, and LARDER_TEST_REQUIRE asks for everything", variable)
	default:
		tb.Skipf("%s is not set: run the tests by go run ./internal/testbed", variable)
	}
	return told
}
