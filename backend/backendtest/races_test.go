package backendtest_test

import (
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/mem"
)

func TestRaces(t *testing.T) {
	b := mem.New()
	backendtest.Races(t, func(*testing.T) backend.Backend { return b })
}
