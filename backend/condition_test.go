package backend_test

import (
	"fmt"
	"testing"

	"github.com/larder-build/larder/backend"
)

func TestCondition(t *testing.T) {
	for _, tt := range []struct {
		name               string
		c                  backend.Condition
		always, absent     bool
		version            backend.Version
		holdsNone, holdsV1 bool
		text               string
	}{
		{"always", backend.Always, true, false, "", true, true, "always"},
		{"zero value", backend.Condition{}, true, false, "", true, true, "always"},
		{"absent", backend.Absent, false, true, "", true, false, "absent"},
		{"match", backend.Match("v1"), false, false, "v1", false, true, "match v1"},
		{"match another", backend.Match("v2"), false, false, "v2", false, false, "match v2"},
		{"match nothing", backend.Match(""), false, true, "", true, false, "absent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.c.IsAlways(); got != tt.always {
				t.Errorf("IsAlways() = %t, want %t", got, tt.always)
			}
			if got := tt.c.IsAbsent(); got != tt.absent {
				t.Errorf("IsAbsent() = %t, want %t", got, tt.absent)
			}
			if v, ok := tt.c.Version(); v != tt.version || ok != (tt.version != "") {
				t.Errorf("Version() = %q, %t, want %q, %t", v, ok, tt.version, tt.version != "")
			}
			if got := tt.c.Holds(""); got != tt.holdsNone {
				t.Errorf(`Holds("") = %t, want %t`, got, tt.holdsNone)
			}
			if got := tt.c.Holds("v1"); got != tt.holdsV1 {
				t.Errorf("Holds(v1) = %t, want %t", got, tt.holdsV1)
			}
			if got := tt.c.String(); got != tt.text {
				t.Errorf("String() = %q, want %q", got, tt.text)
			}
		})
	}
}

func TestConditionsAreComparable(t *testing.T) {
	if backend.Match("") != backend.Absent {
		t.Errorf(`Match("") = %v, want %v`, backend.Match(""), backend.Absent)
	}
	if backend.Match("a") == backend.Match("b") {
		t.Errorf("Match(a) == Match(b), want them different")
	}
}

func ExampleMatch() {
	var missing backend.Ref // what GetRef returns together with ErrNotFound
	present := backend.Ref{Version: "7"}
	fmt.Println(backend.Match(missing.Version))
	fmt.Println(backend.Match(present.Version))
	// Output:
	// absent
	// match 7
}
