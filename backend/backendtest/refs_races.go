package backendtest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/larder-build/larder/backend"
)

// contenders is how many calls race for a ref.
const contenders = 8

func raceCases() []testCase {
	return []testCase{
		{
			name: "race/of creates has one winner", run: raceCreate,
			needs: func(c backend.Capabilities) bool { return c.CreateRef },
		},
		{
			name: "race/of replaces that read the same has one winner", run: raceReplace,
			needs: func(c backend.Capabilities) bool { return c.ReplaceRef },
		},
		{
			name: "race/of deletes has one winner", run: raceDelete,
			needs: func(c backend.Capabilities) bool { return c.ConditionalDeleteRef },
		},
		{
			name: "race/of replaces and deletes has one winner", run: raceReplaceDelete,
			needs: func(c backend.Capabilities) bool { return c.ReplaceRef && c.ConditionalDeleteRef },
		},
		{
			name: "race/of read-modify-write loses no update", run: raceCount,
			needs: func(c backend.Capabilities) bool { return c.CreateRef && c.ReplaceRef },
		},
	}
}

// race calls f n times at the same time, each behind the same barrier, and
// returns the errors.
func race(n int, f func(i int) error) []error {
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	errs := make([]error, n)
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-start
			errs[i] = f(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return errs
}

// winner returns which call has succeeded. All others must be conflicts.
func winner(t *testing.T, errs []error) int {
	t.Helper()
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won >= 0:
			t.Fatalf("%d calls at the same time: number %d and %d = nil, want one winner", len(errs), won, i)
		case err == nil:
			won = i
		default:
			wantErr(t, "losing call", err, backend.ErrConflict)
		}
	}
	if won < 0 {
		t.Fatalf("%d calls at the same time = %v, want one winner", len(errs), errs)
	}
	return won
}

// overConnections runs a race among calls on one connection and, if there can
// be two, among calls on both.
func (e *env) overConnections(t *testing.T, run func(t *testing.T, prefix string, conns []*env)) {
	t.Helper()
	t.Run("one connection", func(t *testing.T) { run(t, "one", []*env{e}) })
	if e.h.Reopen != nil {
		t.Run("two connections", func(t *testing.T) { run(t, "two", []*env{e, e.other(t)}) })
	}
}

// contenderDocs returns a different document for each contender.
func (e *env) contenderDocs(t *testing.T) []backend.Document {
	t.Helper()
	docs := make([]backend.Document, contenders)
	for i := range docs {
		docs[i] = e.doc(t, fmt.Sprintf("contender %d", i))
	}
	return docs
}

func raceCreate(t *testing.T, e *env) {
	docs := e.contenderDocs(t)
	e.overConnections(t, func(t *testing.T, prefix string, conns []*env) {
		for round := range e.h.rounds() {
			name := fmt.Sprintf("%s-%d", prefix, round)
			won := winner(t, race(contenders, func(i int) error {
				_, err := conns[i%len(conns)].PutRef(t.Context(), name, docs[i], backend.Absent)
				return err
			}))
			e.wantRef(t, name, docs[won])
		}
	})
}

// raceReplace lets everyone read before anyone writes, every time.
func raceReplace(t *testing.T, e *env) {
	docs := e.contenderDocs(t)
	e.overConnections(t, func(t *testing.T, name string, conns []*env) {
		for round := range e.h.rounds() {
			e.putRef(t, name, e.doc(t, fmt.Sprintf("round %d", round)), backend.Always)
			versions := make([]backend.Version, contenders)
			for i := range versions {
				versions[i] = conns[i%len(conns)].getRef(t, name).Version
			}
			won := winner(t, race(contenders, func(i int) error {
				_, err := conns[i%len(conns)].PutRef(t.Context(), name, docs[i], backend.Match(versions[i]))
				return err
			}))
			e.wantRef(t, name, docs[won])
		}
	})
}

func raceDelete(t *testing.T, e *env) {
	e.overConnections(t, func(t *testing.T, name string, conns []*env) {
		for round := range e.h.rounds() {
			v := e.putRef(t, name, e.doc(t, fmt.Sprintf("round %d", round)), backend.Always)
			winner(t, race(contenders, func(i int) error {
				return conns[i%len(conns)].DeleteRef(t.Context(), name, backend.Match(v))
			}))
			e.wantNoRef(t, name)
		}
	})
}

func raceReplaceDelete(t *testing.T, e *env) {
	doc := e.doc(t, "replaced")
	e.overConnections(t, func(t *testing.T, name string, conns []*env) {
		for round := range e.h.rounds() {
			v := e.putRef(t, name, e.doc(t, fmt.Sprintf("round %d", round)), backend.Always)
			won := winner(t, race(contenders, func(i int) error {
				b := conns[i/2%len(conns)]
				if i%2 == 0 {
					return b.DeleteRef(t.Context(), name, backend.Match(v))
				}
				_, err := b.PutRef(t.Context(), name, doc, backend.Match(v))
				return err
			}))
			if won%2 == 0 {
				e.wantNoRef(t, name)
			} else {
				e.wantRef(t, name, doc)
			}
		}
	})
}

// raceCount makes a document longer with each update, and counts.
func raceCount(t *testing.T, e *env) {
	const updates = 5
	base := int64(len(e.sizedDoc(t, "count", 0).Data))
	byCount := make([]backend.Document, contenders*updates+1)
	for i := range byCount {
		byCount[i] = e.sizedDoc(t, "count", base+int64(i))
	}
	e.overConnections(t, func(t *testing.T, name string, conns []*env) {
		for _, err := range race(contenders, func(i int) error {
			for range updates {
				if err := increment(t, conns[i%len(conns)], name, base, byCount); err != nil {
					return err
				}
			}
			return nil
		}) {
			wantErr(t, "read-modify-write", err, nil)
		}
		if got, want := int64(len(e.getRef(t, name).Data))-base, contenders*updates; got != int64(want) {
			t.Errorf("GetRef(%s) has %d updates, want %d", name, got, want)
		}
	})
}

// increment replaces a ref by its successor. It may lose as often as others
// can win; stores that call a contest undecided a conflict may do so for a while.
func increment(t *testing.T, e *env, name string, base int64, byCount []backend.Document) error {
	t.Helper()
	for range 100 * len(byCount) {
		r, err := e.GetRef(t.Context(), name)
		count := int64(0)
		if err == nil {
			count = int64(len(r.Data)) - base
		} else if !errors.Is(err, backend.ErrNotFound) {
			return err
		}
		if count < 0 || count+1 >= int64(len(byCount)) {
			return fmt.Errorf("GetRef(%s) has %d updates, want 0 to %d", name, count, len(byCount)-2)
		}
		_, err = e.PutRef(t.Context(), name, byCount[count+1], backend.Match(r.Version))
		if !errors.Is(err, backend.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("PutRef(%s) = conflict forever, want it to succeed at times", name)
}
