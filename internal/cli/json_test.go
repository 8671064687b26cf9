package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/internal/fixtures"
)

// expected are the facts about a cache that expected.json gives, which was made
// without larder.
type expected struct {
	Refs map[string]struct {
		Manifest struct{ Digest string }
		// Form is "image-manifest" and the like.
		Form        string
		Descriptors []struct {
			Digest, MediaType, DiffID string
			Size                      int64
			CreatedAt                 *time.Time
		}
		Layers []struct {
			Blob   string
			Parent int
		}
		Records           int
		RecordsWithResult int
		RecordDigests     []string
		Results           []struct {
			Record int
			Blobs  []string
		}
		DistinctBlobs int
		DistinctBytes int64
	}
}

// inspected is what a program reads of inspect --json.
type inspected struct {
	Schema, Ref, Digest, Encoding string
	Layers                        []inspectedLayer
	Records                       []struct {
		Digest string
		Layers []string
		Inputs [][]struct {
			Record   int
			Selector string
		}
	}
	Totals struct {
		Layers, Blobs, Records, Results int
		Bytes                           int64
	}
}

type inspectedLayer struct {
	Digest, DiffID, MediaType string
	Size                      int64
	CreatedAt                 *time.Time
	Parent                    int
}

// TestInspectJSON compares what inspect says of all layouts that BuildKit wrote
// with what is known of them.
func TestInspectJSON(t *testing.T) {
	forms := map[string]string{
		"local-oci-index": "oci-index", "local-docker-list": "docker-list",
	}
	names := fixtures.Names("buildkit/local-")
	if len(names) < 7 {
		t.Fatalf("%d fixtures, want at least 7", len(names))
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			inLayout(t, name)
			for ref, want := range readExpected(t).Refs {
				got := decode[inspected](t, mustExecute(t, "inspect", "--json", "type=local,src=cache,tag="+ref))
				encoding := forms[filepath.Base(name)]
				if encoding == "" {
					encoding = "oci-manifest"
				}
				if got.Schema != "larder/v1" || got.Ref != ref || got.Digest != want.Manifest.Digest || got.Encoding != encoding {
					t.Errorf("inspect = %s %s %s %s, want larder/v1 %s %s %s", got.Schema, got.Ref, got.Digest, got.Encoding, ref, want.Manifest.Digest, encoding)
				}
				facts := make(map[string]inspectedLayer)
				for _, d := range want.Descriptors {
					facts[d.Digest] = inspectedLayer{d.Digest, d.DiffID, d.MediaType, d.Size, d.CreatedAt, 0}
				}
				var layers []inspectedLayer
				for _, l := range want.Layers {
					layer := facts[l.Blob]
					layer.Parent = l.Parent
					layers = append(layers, layer)
				}
				if diff := cmp.Diff(layers, got.Layers); diff != "" {
					t.Errorf("layers (-want +got):\n%s", diff)
				}
				stacks := make(map[int][]string)
				for _, r := range want.Results {
					stacks[r.Record] = r.Blobs
				}
				for i, r := range got.Records {
					if i < len(want.RecordDigests) && r.Digest != want.RecordDigests[i] {
						t.Errorf("record %d has digest %s, want %s", i, r.Digest, want.RecordDigests[i])
					}
					if diff := cmp.Diff(append([]string{}, stacks[i]...), r.Layers); diff != "" {
						t.Errorf("layers of record %d (-want +got):\n%s", i, diff)
					}
				}
				wantTotals := [5]int64{int64(len(want.Layers)), int64(want.DistinctBlobs), want.DistinctBytes, int64(want.Records), int64(want.RecordsWithResult)}
				totals := [5]int64{int64(got.Totals.Layers), int64(got.Totals.Blobs), got.Totals.Bytes, int64(got.Totals.Records), int64(got.Totals.Results)}
				if totals != wantTotals || len(got.Records) != want.Records {
					t.Errorf("totals = %v of %d records, want %v of %d", totals, len(got.Records), wantTotals, want.Records)
				}
			}
		})
	}
}

// readExpected reads the facts about the fixture in the current directory. Its
// only ref is called latest if it has no name.
func readExpected(t *testing.T) expected {
	t.Helper()
	data, err := os.ReadFile("expected.json")
	if err != nil {
		t.Fatal(err)
	}
	e := decode[expected](t, string(data))
	if len(e.Refs) == 0 {
		t.Fatal("expected.json has no refs")
	}
	return e
}

// TestHelpJSON proves that "larder help json" names every field that the
// commands print.
func TestHelpJSON(t *testing.T) {
	inLayout(t, "buildkit/local-max-two-tags")
	breakBig(t)
	help := mustExecute(t, "help", "json")
	for _, args := range [][]string{
		{"ls", "./cache"},
		{"inspect", mainRef},
		{"verify", mainRef},
		{"diff", mainRef, featureRef},
		{"copy", "--skip-broken", "--from", mainRef, "--to", "./new"},
		{"copy", "--from", mainRef, "--to", "./other"},
		{"merge", "--from", mainRef, "--to", "./third"},
		{"verify", "--repair", mainRef},
		{"rm", mainRef},
		{"rm", mainRef},
		{"doctor", "mem://store"},
		{"version"},
	} {
		got := execute(t, append(args, "--json")...)
		var document any
		if err := json.Unmarshal([]byte(got.out), &document); err != nil {
			t.Fatalf("larder %q --json: %v\n%s", args, err, got.out)
		}
		for _, field := range fieldsOf(document) {
			if !strings.Contains(help, field) {
				t.Errorf("larder %q --json has the field %q, which help json does not name", args, field)
			}
		}
	}
}

// fieldsOf returns the names of all fields of a JSON value.
func fieldsOf(v any) []string {
	var names []string
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if name == "requests" {
				value = nil // Its keys are operations.
			}
			names = append(append(names, name), fieldsOf(value)...)
		}
	case []any:
		for _, value := range v {
			names = append(names, fieldsOf(value)...)
		}
	}
	return names
}

// TestJSONOfSeveralRefs shows that each ref has a document, also if it is an
// error.
func TestJSONOfSeveralRefs(t *testing.T) {
	inLayout(t, "buildkit/local-max-two-tags")
	for _, command := range []string{"inspect", "verify"} {
		got := execute(t, command, "--json", mainRef+";nope;feature-login")
		if got.status != statusNothing {
			t.Errorf("%s: status %d, want %d", command, got.status, statusNothing)
		}
		var answers []string
		for d := json.NewDecoder(strings.NewReader(got.out)); d.More(); {
			var answer struct {
				Ref   string
				Error *errorJSON
			}
			if err := d.Decode(&answer); err != nil {
				t.Fatal(err)
			}
			if answer.Error != nil {
				answer.Ref += " " + answer.Error.Kind
			}
			answers = append(answers, answer.Ref)
		}
		if diff := cmp.Diff([]string{"main", "nope not-found", "feature-login"}, answers); diff != "" {
			t.Errorf("%s answers (-want +got):\n%s", command, diff)
		}
	}
}

func TestVerifyJSON(t *testing.T) {
	type answer struct {
		OK               bool
		Missing, Corrupt []struct{ Digest string }
		RecordsLost      int
		Repaired         *struct{ Outcome string }
	}
	inLayout(t, "buildkit/local-max-two-tags")
	good := decode[answer](t, mustExecute(t, "verify", "--json", mainRef))
	if !good.OK || good.Missing == nil || good.Corrupt == nil || good.RecordsLost != 0 {
		t.Errorf("verify of a good cache = %+v", good)
	}
	breakBig(t)
	for _, args := range [][]string{{"verify", mainRef}, {"verify", "--repair", mainRef}} {
		got := execute(t, append(args, "--json")...)
		bad := decode[answer](t, got.out)
		repair := len(args) == 3
		if bad.OK || len(bad.Missing) != 1 || len(bad.Corrupt) != 1 || bad.Corrupt[0].Digest != bigLayer || bad.RecordsLost != 5 {
			t.Errorf("larder %q = %+v", args, bad)
		}
		if repair != (got.status == statusDone) || repair != (bad.Repaired != nil && bad.Repaired.Outcome == "published") {
			t.Errorf("larder %q: status %d, repaired %v", args, got.status, bad.Repaired)
		}
	}
	if again := decode[answer](t, mustExecute(t, "verify", "--json", mainRef)); !again.OK {
		t.Errorf("verify after repair = %+v", again)
	}
}
