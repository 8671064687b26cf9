// Tests that hold larder against the programs it has to get on with. A module
// of its own, so that what those tests need reaches nobody's go.sum. They
// drive programs and not larder's packages: the command is built from the
// source two directories up.
//
//	go run ./internal/testbed -- go test -C internal/interop ./...
module github.com/larder-build/larder/internal/interop

go 1.26.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/klauspost/compress v1.20.3
)
