package gha_test

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"

	"github.com/larder-build/larder/internal/azuretest"
	"github.com/larder-build/larder/internal/ghaserver"
)

// TestConformanceOnAzure runs the suite with contents that the service does not
// keep itself, as GitHub's: at signed URLs of Azure's emulator, or of what stands
// in for it.
func TestConformanceOnAzure(t *testing.T) {
	for _, tt := range []struct {
		name    string
		account func(t *testing.T) string
	}{
		{"in the process", func(t *testing.T) string { t.Helper(); return azuretest.New(t, azuretest.Options{}).URL }},
		{"Azurite", azurite},
	} {
		t.Run(tt.name, func(t *testing.T) {
			contents, err := azuretest.NewContainer(t.Context(), tt.account(t), "gha-"+strings.ToLower(rand.Text()))
			if err != nil {
				t.Fatal(err)
			}
			conform(t, ghaserver.Options{Contents: contents}, 2)
		})
	}
}

// azurite returns the account of the testbed's Azurite, or skips the test.
func azurite(t *testing.T) string {
	t.Helper()
	account := os.Getenv("LARDER_TEST_AZURITE")
	switch {
	case account != "":
	case os.Getenv("LARDER_TEST_REQUIRE") == "1":
		t.Fatal("LARDER_TEST_AZURITE is not set, and LARDER_TEST_REQUIRE asks for every server")
	default:
		t.Skip("LARDER_TEST_AZURITE is not set: run the tests by go run ./internal/testbed")
	}
	return account
}
