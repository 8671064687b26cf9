package backendtest_test

import (
	"testing"

	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/backend/mem"
)

func BenchmarkMem(b *testing.B) { backendtest.Benchmarks(b, harness(mem.Options{})) }
