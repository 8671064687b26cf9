package backend_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/larder-build/larder/backend"
)

// anyValue draws values with everything that a spelling has to quote or escape.
func anyValue() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[a-z0-9]{1,12}`),
		rapid.StringMatching(`[-a-zA-Z0-9 ,;=&?#%+"'/:@\\é☃\[\]]{1,20}`),
		rapid.StringOf(rapid.RuneFrom([]rune(`,"=&;+%?# /é`))),
	).Filter(func(s string) bool { return s != "" && strings.TrimSpace(s) == s })
}

func anyRef() *rapid.Generator[string] {
	return rapid.StringMatching(`[a-zA-Z0-9_][-a-zA-Z0-9_. +&%="]{0,10}[a-z](/[a-z@:]{1,4})?`)
}

// anyAttrs draws valid attributes of one of the test drivers.
func anyAttrs(t *rapid.T) (typ string, attrs map[string]string) {
	attrs = map[string]string{}
	maybe := func(key string, values *rapid.Generator[string]) {
		if rapid.Bool().Draw(t, "with "+key) {
			attrs[key] = values.Draw(t, key)
		}
	}
	refs := strings.Join(rapid.SliceOfNDistinct(anyRef(), 1, 3, rapid.ID).Draw(t, "refs"), ";")
	switch typ = rapid.SampledFrom([]string{"local", "s3", "gha"}).Draw(t, "type"); typ {
	case "local":
		attrs[rapid.SampledFrom([]string{"src", "dest"}).Draw(t, "side")] = anyValue().Draw(t, "path")
		maybe("tag", rapid.Just(refs))
	case "s3":
		attrs["bucket"] = rapid.StringMatching(`[a-z0-9][a-z0-9.-]{1,20}`).Draw(t, "bucket")
		attrs["region"] = anyValue().Draw(t, "region")
		maybe("prefix", anyValue())
		maybe("name", rapid.Just(refs))
		maybe("endpoint_url", rapid.SampledFrom([]string{"http://127.0.0.1:9000", "https://h.io/a%20b/"}))
		maybe("access_key_id", anyValue())
	default:
		maybe("scope", rapid.Just(refs))
		maybe("token", anyValue())
	}
	maybe("mode", rapid.SampledFrom([]string{"min", "max"}))
	return typ, attrs
}

// TestLocationRoundTrip shows that both spellings of any location parse to it
// and are the same the second time.
func TestLocationRoundTrip(t *testing.T) {
	m := locationMux()
	rapid.Check(t, func(t *rapid.T) {
		typ, attrs := anyAttrs(t)
		l, err := m.Make(typ, attrs)
		if err != nil {
			t.Fatalf("Make(%s, %q) = %v", typ, attrs, err)
		}
		checkRoundTrip(t, m, l)
	})
}

// checkRoundTrip fails unless the spellings of l mean l.
func checkRoundTrip(t interface{ Fatalf(string, ...any) }, m *backend.Mux, l backend.Location) {
	for _, spell := range []func(backend.Location) string{backend.Location.Reveal, backend.Location.RevealURL} {
		text := spell(l)
		again, err := m.Parse(text)
		if err != nil {
			t.Fatalf("Parse(%s) = %v, want %s", text, err, l.Reveal())
		}
		if !again.Equal(l) {
			t.Fatalf("Parse(%s) = %s, want %s", text, again.Reveal(), l.Reveal())
		}
		if got := spell(again); got != text {
			t.Fatalf("the spelling %s becomes %s, want the same", text, got)
		}
	}
}

// TestLocationWithAnyRefs shows that any refs can be named and are named after
// a round trip.
func TestLocationWithAnyRefs(t *testing.T) {
	m := locationMux()
	rapid.Check(t, func(t *rapid.T) {
		typ, attrs := anyAttrs(t)
		refs := rapid.SliceOfNDistinct(anyRef(), 1, 4, rapid.ID).Draw(t, "other refs")
		l, err := m.Make(typ, attrs)
		if err != nil {
			t.Fatalf("Make(%s, %q) = %v", typ, attrs, err)
		}
		named := l.WithRef(refs...)
		if got := strings.Join(named.Refs(), ";"); got != strings.Join(refs, ";") {
			t.Fatalf("Refs() = %s, want %q", got, refs)
		}
		checkRoundTrip(t, m, named)
		if !named.WithRef(l.Refs()...).Equal(l) {
			t.Fatalf("WithRef(%q) of %v, want %v", l.Refs(), named, l)
		}
	})
}

// FuzzParseLocation shows that nothing makes Parse panic, and that what it
// accepts round-trips.
func FuzzParseLocation(f *testing.F) {
	for _, test := range locationCases {
		f.Add(test.text)
	}
	for _, test := range invalidLocations {
		f.Add(test.text)
	}
	for _, seed := range []string{"s3://b//p/?region=%20", "s3://[::1]:0/?region=r", "local:*", "local:0/%2F"} {
		f.Add(seed)
	}
	m := locationMux()
	f.Fuzz(func(t *testing.T, text string) {
		l, err := m.Parse(text)
		if err != nil {
			wantInvalid(t, "Parse", err)
			return
		}
		if err := l.Check(); err != nil {
			t.Fatalf("Check() = %v for what was parsed", err)
		}
		checkRoundTrip(t, m, l)
	})
}
