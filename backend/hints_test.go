package backend_test

import (
	"testing"

	"github.com/larder-build/larder/backend"
)

func TestWithAbsent(t *testing.T) {
	if backend.IsAbsent(t.Context()) {
		t.Errorf("IsAbsent(any context) = true, want false")
	}
	if !backend.IsAbsent(backend.WithTrace(backend.WithAbsent(t.Context()), &backend.Trace{})) {
		t.Errorf("IsAbsent(context below WithAbsent) = false, want true")
	}
}

func TestWithOrigin(t *testing.T) {
	if backend.IsOrigin(t.Context()) {
		t.Errorf("IsOrigin(any context) = true, want false")
	}
	if !backend.IsOrigin(backend.WithTrace(backend.WithOrigin(t.Context()), &backend.Trace{})) {
		t.Errorf("IsOrigin(context below WithOrigin) = false, want true")
	}
}
