// Package interop has nothing but tests: stock builders export caches that
// larder must read, and import caches that larder wrote. The builders are found
// in the LARDER_TEST_* variables that the testbed sets:
//
//	go run ./internal/testbed -- go test -C internal/interop ./...
//
// Without them the tests are skipped, and with LARDER_TEST_REQUIRE=1 they fail.
// That is their small size; every combination of what they go through takes some
// minutes:
//
//	LARDER_INTEROP=full go run ./internal/testbed -- go test -C internal/interop -timeout 1h ./...
package interop
