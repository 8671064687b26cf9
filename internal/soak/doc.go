// Package soak holds the long proofs: exporters that are killed at random
// moments, many processes that export to one place, and how much memory the
// command takes. It has no code but its tests.
//
// Their small size runs with all the other tests. The full one takes minutes:
//
//	go test -count=1 -v ./internal/soak -soak.full
//	LARDER_SOAK=full go test -count=1 -v ./internal/soak
//
// An exporter is a process of its own: the test binary started again, see
// TestMain.
package soak
