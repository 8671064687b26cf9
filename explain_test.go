package larder_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/faulty"
)

// explained writes an explanation as "verdict: source verdict, ...; others".
func explained(e *larder.Explanation) string {
	list := func(all []larder.Explained) string {
		var words []string
		for _, s := range all {
			words = append(words, s.Ref+" "+string(s.Verdict))
		}
		return strings.Join(words, ", ")
	}
	text := fmt.Sprintf("%s: %s", e.Verdict, list(e.Chain))
	if len(e.Others) > 0 {
		text += "; " + list(e.Others)
	}
	return text
}

func TestExplain(t *testing.T) {
	b := mem.New()
	at := func(ref string) larder.Target { return larder.Target{Backend: b, Ref: ref} }
	feature, main, other := cacheOf(t, "base", "feature", "lost"), cacheOf(t, "base", "deps"), cacheOf(t, "base", "other", "rotten")
	linked := cacheOf(t, "base", "link", "end")
	linked.Records[1].Results = nil
	export(t, feature, at("feature"))
	export(t, main, at("main"))
	export(t, other, at("other"))
	export(t, linked, at("linked"))
	drop(t, b, feature.layer(2), other.layer(2))
	chain := []larder.Target{at("feature"), at("absent"), at("main")}
	record := func(c *cache, i int) string { return string(c.Records[i].Digest) }
	tests := []struct{ name, key, want string }{
		{"first in the chain", record(feature, 0), "hit: feature hit, absent never-recorded, main hit; linked hit, other hit"},
		{"last in the chain", record(main, 1), "hit: feature never-recorded, absent never-recorded, main hit"},
		{"blob gone", record(feature, 2), "blob-gone: feature blob-gone, absent never-recorded, main never-recorded"},
		{"elsewhere", record(other, 1), "elsewhere: feature never-recorded, absent never-recorded, main never-recorded; other hit"},
		{"gone elsewhere", record(other, 2), "never-recorded: feature never-recorded, absent never-recorded, main never-recorded; other blob-gone"},
		{"an input without a result elsewhere", record(linked, 1), "never-recorded: feature never-recorded, absent never-recorded, main never-recorded; linked no-result"},
		{"no trace", record(cacheOf(t, "never"), 0), "never-recorded: feature never-recorded, absent never-recorded, main never-recorded"},
		{"readable key", "feature", "hit: feature hit, absent never-recorded, main never-recorded"},
		{"abbreviated", strings.TrimPrefix(record(main, 1), "sha256:")[:12], "hit: feature never-recorded, absent never-recorded, main hit"},
		{"abbreviated with the algorithm", record(main, 1)[:20], "hit: feature never-recorded, absent never-recorded, main hit"},
		{"blob", string(main.layer(1)), "hit: feature never-recorded, absent never-recorded, main hit"},
		{"lost blob", string(feature.layer(2)), "blob-gone: feature blob-gone, absent never-recorded, main never-recorded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := larder.Explain(t.Context(), tt.key, chain, larder.ExplainOptions{Now: func() time.Time { return epoch }})
			if err != nil || explained(got) != tt.want {
				t.Errorf("Explain(%s) = %q, %v, want %q", tt.key, explained(got), err, tt.want)
			}
			only, err := larder.Explain(t.Context(), tt.key, chain, larder.ExplainOptions{ChainOnly: true})
			if err != nil || len(only.Others) > 0 || len(only.Chain) != 3 {
				t.Errorf("Explain(%s, chain only) = %q, %v", tt.key, explained(only), err)
			}
		})
	}
	got, err := larder.Explain(t.Context(), "lost", chain, larder.ExplainOptions{})
	if err != nil || string(got.Digest) != record(feature, 2) || !slices.Equal(got.Chain[0].Missing, []blob.Digest{feature.layer(2)}) {
		t.Errorf("Explain(lost) = %+v, %v, want its digest and the missing blob", got, err)
	}
}

func TestExplainExpired(t *testing.T) {
	b := mem.New()
	main := larder.Target{Backend: b, Ref: "main"}
	c := cacheOf(t, "base")
	export(t, c, main)
	drop(t, b, c.layer(0))
	for age, want := range map[time.Duration]larder.Verdict{
		6 * 24 * time.Hour: larder.BlobGone, 8 * 24 * time.Hour: larder.Expired,
	} {
		opts := larder.ExplainOptions{Now: func() time.Time { return epoch.Add(age) }}
		if got, err := larder.Explain(t.Context(), "base", []larder.Target{main}, opts); err != nil || got.Verdict != want {
			t.Errorf("Explain(after %v) = %v, %v, want %s", age, got, err, want)
		}
	}
}

func TestExplainUnreadable(t *testing.T) {
	b := faulty.New(mem.New(), faulty.Fault{Op: faulty.GetRef, Key: "main", Times: -1, Err: backend.ErrDenied})
	export(t, cacheOf(t, "base"), larder.Target{Backend: b.Backend, Ref: "feature"})
	chain := []larder.Target{{Backend: b, Ref: "main"}, {Backend: b, Ref: "feature"}}
	for key, want := range map[string]string{
		"base": "hit: main unreadable, feature hit", "none": "unreadable: main unreadable, feature never-recorded",
	} {
		got, err := larder.Explain(t.Context(), key, chain, larder.ExplainOptions{})
		if err != nil || explained(got) != want || got.Chain[0].Detail == "" {
			t.Errorf("Explain(%s) = %q, %v, want %q", key, explained(got), err, want)
		}
	}
}

// TestExplainUnsearched has a store that does not list its refs.
func TestExplainUnsearched(t *testing.T) {
	b := faulty.New(mem.New(), faulty.Fault{Op: faulty.ListRefs, Times: -1, Err: backend.ErrUnsupported})
	got, err := larder.Explain(t.Context(), "base", []larder.Target{{Backend: wrap.ReadOnly(b), Ref: "main"}}, larder.ExplainOptions{})
	if err != nil || got.Verdict != larder.NeverRecorded || len(got.Unsearched) != 1 {
		t.Errorf("Explain() = %+v, %v, want it to say that the store was not searched", got, err)
	}
}

func TestExplainInvalid(t *testing.T) {
	b := mem.New()
	main := larder.Target{Backend: b, Ref: "main"}
	export(t, cacheOf(t, "base", "deps"), main)
	if _, err := larder.Explain(t.Context(), "x", []larder.Target{{}}, larder.ExplainOptions{}); !errors.Is(err, backend.ErrInvalid) {
		t.Errorf("Explain(no target) = %v, want ErrInvalid", err)
	}
	// Keys are looked up in full unless they have six digits.
	got, err := larder.Explain(t.Context(), string(cacheOf(t, "base").Records[0].Digest)[7:12], []larder.Target{main}, larder.ExplainOptions{})
	if err != nil || got.Verdict != larder.NeverRecorded {
		t.Errorf("Explain(five digits) = %v, %v, want %s", got, err, larder.NeverRecorded)
	}
	twins := cacheOf(t, "base", "twin")
	twins.Records[1].Digest = twins.Records[0].Digest[:40] + "0000000000000000000000000000000"
	export(t, twins, larder.Target{Backend: b, Ref: "twins"})
	_, err = larder.Explain(t.Context(), string(twins.Records[0].Digest)[:30], []larder.Target{main}, larder.ExplainOptions{})
	if !errors.Is(err, backend.ErrInvalid) || !strings.Contains(err.Error(), "stands for 2 digests") {
		t.Errorf("Explain(ambiguous) = %v, want ErrInvalid", err)
	}
}

func TestExplanationJSON(t *testing.T) {
	b := mem.New()
	export(t, cacheOf(t, "base"), larder.Target{Backend: b, Ref: "main"})
	got, err := larder.Explain(t.Context(), "base", []larder.Target{{Backend: b, Ref: "feature"}}, larder.ExplainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schema":"larder/v1","digest":"` + string(cacheOf(t, "base").Records[0].Digest) + `","verdict":"elsewhere",` +
		`"chain":[{"source":"type=mem","ref":"feature","verdict":"never-recorded","detail":"there is no such cache"}],` +
		`"others":[{"source":"type=mem","ref":"main","verdict":"hit","records":1,"createdAt":"2026-01-02T03:04:05.000000006Z"}]}`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("JSON differs (-want +got):\n%s", diff)
	}
}
