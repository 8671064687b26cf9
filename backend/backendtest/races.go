package backendtest

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/larder-build/larder/backend"
)

// raceRounds is how often refs are raced for: LARDER_TEST_RACES times, or a few.
func raceRounds(tb testing.TB) int {
	tb.Helper()
	text := os.Getenv("LARDER_TEST_RACES")
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatalf("LARDER_TEST_RACES is %q, want a number", text)
	}
	return n
}

// Races has sixteen writers, each with a backend that open returns, race to
// create and to replace refs, and to delete them where the store does that on a
// condition: one wins each time, and the others are told. Run has fewer of them
// race, on one connection or two. The environment variable LARDER_TEST_RACES
// says how many rounds there are; the default is 20.
func Races(t *testing.T, open func(t *testing.T) backend.Backend) {
	t.Helper()
	r := racers(make([]backend.Backend, 2*contenders))
	for i := range r {
		r[i] = open(t)
	}
	for round := range raceRounds(t) {
		r.round(t, fmt.Sprint("ref-", round))
	}
}

// racers are the backends of writers.
type racers []backend.Backend

func (r racers) round(t *testing.T, name string) {
	t.Helper()
	v := r.write(t, name, "create", backend.Absent)
	v = r.write(t, name, "replace", backend.Match(v))
	if !r[0].Info().Capabilities.ConditionalDeleteRef {
		return
	}
	winner(t, race(len(r), func(i int) error { return r[i].DeleteRef(t.Context(), name, backend.Match(v)) }))
	if _, err := r[0].GetRef(t.Context(), name); !errors.Is(err, backend.ErrNotFound) {
		t.Fatalf("GetRef(%s) after its deletion = %v, want %v", name, err, backend.ErrNotFound)
	}
}

// write lets all write a ref, checks that it has what the one wrote who was told
// that it has won, and returns its version. What is created and what replaces it
// differ: versions may be those of content.
func (r racers) write(t *testing.T, name, step string, cond backend.Condition) backend.Version {
	t.Helper()
	doc := func(i int) backend.Document {
		return backend.Document{Data: fmt.Appendf(nil, `{"step":%q,"writer":%d}`, step, i)}
	}
	won := winner(t, race(len(r), func(i int) error {
		_, err := r[i].PutRef(t.Context(), name, doc(i), cond)
		return err
	}))
	ref, err := r[0].GetRef(t.Context(), name)
	if err != nil || string(ref.Data) != string(doc(won).Data) {
		t.Fatalf("GetRef(%s) = %s, %v, want that of writer %d, who has won", name, ref.Data, err, won)
	}
	return ref.Version
}
