package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/testserver"
)

// address returns where a server of the testbed listens, or skips the test. The
// realm of one of them is on localhost, which is not 127.0.0.1 to everybody.
func address(t *testing.T, variable string) string {
	t.Helper()
	host := testserver.FromTestbed(t, variable)
	return strings.Replace(host, "127.0.0.1", "localhost", 1)
}

// TestRegistries diagnoses the registries of the testbed and lists what is there,
// as people do.
func TestRegistries(t *testing.T) {
	undeclared := []string{"ref main: note", "list blobs: note", "conditions: note"}
	for _, test := range []struct {
		name, variable, user, password string
		want                           []string // the findings that are not ok
		left                           []larder.Leftover
		cache                          bool // one can be written
	}{
		{"distribution", "LARDER_TEST_REGISTRY", "", "", undeclared, nil, true},
		{
			"docker-registry 2.8", "LARDER_TEST_REGISTRY_DEBIAN", "", "",
			append([]string{"left behind: note", "delete refs: note"}, undeclared...),
			[]larder.Leftover{{Kind: "ref", Name: "larder-doctor"}},
			true,
		},
		{"a password", "LARDER_TEST_REGISTRY_HTPASSWD", "writer", "testbed", undeclared, nil, true},
		{"a wrong password", "LARDER_TEST_REGISTRY_HTPASSWD", "writer", secret, []string{"credentials: failed"}, nil, false},
		{"no password", "LARDER_TEST_REGISTRY_HTPASSWD", "", "", []string{"credentials: failed"}, nil, false},
		{"tokens", "LARDER_TEST_REGISTRY_TOKEN", "writer", "testbed", undeclared, nil, true},
		{"a wrong password for tokens", "LARDER_TEST_REGISTRY_TOKEN", "writer", secret, []string{"credentials: failed"}, nil, false},
		{"tokens to read", "LARDER_TEST_REGISTRY_TOKEN", "reader", "testbed", []string{"ref main: note", "list blobs: note", "write: failed"}, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			host := address(t, test.variable)
			inLayout(t, "buildkit/local-max-two-tags")
			repo := fmt.Sprintf("%s/doctor/%s", host, strings.ToLower(strings.NewReplacer(" ", "-", ".", "-").Replace(test.name)))
			s := shell{}
			if test.user != "" {
				s.env = loggedIn(t, host, test.user, test.password)
			}
			got := s.run(t.Context(), "doctor", "--json", repo+":main")
			if strings.Contains(got.out+got.err, secret) {
				t.Errorf("doctor prints the password:\n%s%s", got.out, got.err)
			}
			d := decode[larder.Diagnosis](t, got.out)
			found := make(map[string]bool)
			for _, f := range d.Findings {
				if f.Status != backend.FindingOK {
					found[fmt.Sprintf("%s: %s", f.Check, f.Status)] = true
				}
			}
			want := map[string]bool{"clock: warning": true} // that of the tests stands still
			for _, f := range test.want {
				want[f] = true
			}
			if diff := cmp.Diff(want, found); diff != "" {
				t.Errorf("doctor (-want +got):\n%s\n%s", diff, got.out)
			}
			if diff := cmp.Diff(test.left, d.Left); diff != "" {
				t.Errorf("doctor has left (-want +got):\n%s", diff)
			}
			if d.OK != (got.status == statusDone) {
				t.Errorf("doctor: status %d and ok %v, want the same", got.status, d.OK)
			}
			if !test.cache {
				return
			}
			if got := s.run(t.Context(), "copy", "--quiet", "--from", mainRef, "--to", repo+":main"); got.status != statusDone {
				t.Fatalf("copy: %+v", got)
			}
			out := s.run(t.Context(), "ls", repo).out
			if !strings.Contains(out, "main") || !strings.Contains(out, "cache (oci-manifest)") || strings.Count(out, "\n") != 2+len(test.left) {
				t.Errorf("ls prints\n%s\nwant main, a cache", out)
			}
		})
	}
}
