package gha_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/larder-build/larder/internal/azuretest"
	"github.com/larder-build/larder/internal/ghaserver"
	"github.com/larder-build/larder/internal/testserver"
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
		{"Azurite", func(t *testing.T) string { t.Helper(); return testserver.FromTestbed(t, "LARDER_TEST_AZURITE") }},
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
