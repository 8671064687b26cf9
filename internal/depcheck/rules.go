package depcheck

import (
	"slices"
	"strings"
)

const module = "github.com/larder-build/larder"

// vocabulary is what every part of larder may link: the field's own types, and
// what the Go project maintains beside the standard library.
func vocabulary(more ...string) []string {
	return append(more,
		"github.com/opencontainers/go-digest/...",
		"github.com/opencontainers/image-spec/...",
		"golang.org/x/sync/...",
		"golang.org/x/sys/...",
	)
}

// sdk is the client of a service, and the packages that link it: its driver
// last, and who logs in to the provider's registry.
type sdk struct{ owners, packages []string }

func sdks() []sdk {
	return []sdk{
		{[]string{"./backend/registry/ecr", "./backend/s3/..."}, []string{"github.com/aws/..."}},
		{[]string{"./backend/registry/acr", "./backend/azblob/..."}, []string{"github.com/Azure/..."}},
		{[]string{"./backend/registry/gcr", "./backend/bucket/..."}, []string{"cloud.google.com/go/..."}},
		{[]string{"./backend/bucket/..."}, []string{"gocloud.dev/..."}},
		{[]string{"./backend/registry/..."}, []string{"github.com/google/go-containerregistry/..."}},
	}
}

// planned are the patterns for packages that do not exist yet. Whoever adds
// one takes it off this list.
func planned() []string {
	return nil
}

// testHelpers are packages for tests, which only tests link.
func testHelpers() []string {
	return []string{"./backend/backendtest/...", "./internal/faultsuite", "./internal/fixtures"}
}

// top are the packages that put everything together.
func top() []string { return []string{"./backend/all", "./internal/cli/...", "./examples/..."} }

// rules are the layers from the bottom to the top.
func rules() []rule { return slices.Concat(lowerRules(), upperRules(), sdkRules()) }

func lowerRules() []rule {
	return []rule{
		{
			why:  "blob is the lowest package",
			of:   []string{"./blob/..."},
			only: vocabulary("github.com/klauspost/compress/...", "github.com/containerd/stargz-snapshotter/estargz/...", "github.com/vbatts/tar-split/..."),
		},
		{
			why:  "what a cache says does not depend on where it lies or whose it is",
			of:   []string{"./manifest/..."},
			only: vocabulary("./blob/...", "github.com/klauspost/compress/...", "github.com/containerd/stargz-snapshotter/estargz/...", "github.com/vbatts/tar-split/..."),
		},
		{
			why:  "scopes are names and know neither places nor documents",
			of:   []string{"./scope/..."},
			only: []string{"github.com/bmatcuk/doublestar/v4", "go.yaml.in/yaml/v3", "github.com/magiconair/properties", "golang.org/x/sync/..."},
		},
		{
			why:    "only scope/rules links a parser",
			of:     []string{"./..."},
			except: append(top(), "./scope/rules"),
			never:  []string{"go.yaml.in/yaml/v3"},
		},
		{
			why:  "the contract of backends is built on blob alone",
			of:   []string{"./backend"},
			only: vocabulary("./blob"),
		},
	}
}

func upperRules() []rule {
	return []rule{
		{
			why:  "wrappers work on the contract and on any driver",
			of:   []string{"./backend/wrap/..."},
			only: vocabulary("./backend", "./blob"),
		},
		{
			why:  "what the calls of all backends have in common is built on the contract alone",
			of:   []string{"./internal/calls"},
			only: vocabulary("./backend", "./blob"),
		},
		{
			why:  "the local backend needs files and locks, and no service's SDK",
			of:   []string{"./backend/local"},
			only: vocabulary("./backend", "./blob", "./internal/calls", "github.com/gofrs/flock"),
		},
		{
			why:  "the verbs work on the contract and on any driver",
			of:   []string{"."},
			only: vocabulary("./backend", "./backend/wrap/...", "./internal/calls", "./blob/...", "./manifest/...", "./scope", "github.com/klauspost/compress/...", "github.com/containerd/stargz-snapshotter/estargz/...", "github.com/vbatts/tar-split/...", "github.com/bmatcuk/doublestar/v4"),
		},
		{
			why:    "only the command parses arguments and draws",
			of:     []string{"./..."},
			except: []string{"./internal/cli/...", "./examples/larder"},
			never:  []string{"./internal/cli/...", "github.com/spf13/cobra/...", "github.com/vbauerster/mpb/v8/..."},
		},
		{
			why:    "belongs into tests",
			of:     []string{"./..."},
			except: testHelpers(),
			never:  append(testHelpers(), "testing/...", "go.uber.org/goleak/...", "github.com/google/go-cmp/...", "pgregory.net/rapid/..."),
		},
		{
			why:  "a program that only starts others links only the standard library",
			of:   []string{"./internal/testbed"},
			only: []string{},
		},
	}
}

func sdkRules() []rule {
	var all []rule
	for _, s := range sdks() {
		all = append(all, rule{
			why:    "only " + strings.Join(s.owners, " and ") + " links this SDK",
			of:     []string{"./..."},
			except: append(top(), s.owners...),
			never:  s.packages,
		})
	}
	return all
}

// driverRules keep the drivers, which are the packages right below backend
// that are no helpers, apart from each other and from all that is above them.
func driverRules(g graph) []rule {
	helpers := []string{"all", "backendtest", "wrap"}
	drivers := map[string]bool{}
	for path := range g {
		if below, ok := strings.CutPrefix(path, module+"/backend/"); ok {
			name, _, _ := strings.Cut(below, "/")
			drivers[name] = !slices.Contains(helpers, name)
		}
	}
	var all []rule
	for name, is := range drivers {
		if !is {
			continue
		}
		r := rule{
			why:   "a driver knows the contract, and no other driver nor anything above",
			of:    []string{"./backend/" + name + "/..."},
			never: []string{".", "./backend/all", "./manifest/..."},
		}
		for other, is := range drivers {
			if is && other != name {
				r.never = append(r.never, "./backend/"+other+"/...")
			}
		}
		all = append(all, r)
	}
	return all
}
