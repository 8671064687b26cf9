package wrap_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/internal/faulty"
)

// TestRetryPutRef loses answers to conditional writes, and lets others write in
// between.
func TestRetryPutRef(t *testing.T) {
	mine, theirs := backend.Document{Data: []byte("mine")}, backend.Document{Data: []byte("theirs")}
	lost := faulty.Fault{Op: faulty.PutRef, Err: down(0), Lost: true}
	failed := faulty.Fault{Op: faulty.PutRef, Err: down(0)}
	always := func(f faulty.Fault) faulty.Fault { f.Times = -1; return f }
	tests := []struct {
		name   string
		faults []faulty.Fault
		other  bool // someone else writes after the first attempt
		want   error
		final  string
	}{
		{"answer lost", []faulty.Fault{lost}, false, nil, "mine"},
		{"never arrived", []faulty.Fault{failed}, false, nil, "mine"},
		{"answer lost each time", []faulty.Fault{always(lost)}, false, nil, "mine"},
		{"never arrives at all", []faulty.Fault{always(failed)}, false, backend.ErrUnavailable, "old"},
		{"others came after the lost answer", []faulty.Fault{lost}, true, backend.ErrConflict, "theirs"},
		{"others came before the second attempt", []faulty.Fault{failed}, true, backend.ErrConflict, "theirs"},
	}
	for _, test := range tests {
		for _, cond := range []string{"match", "absent"} {
			t.Run(test.name+"/"+cond, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := mem.New()
					condition, final := backend.Absent, test.final
					if cond == "match" {
						v, err := store.PutRef(t.Context(), "main", backend.Document{Data: []byte("old")}, backend.Always)
						if err != nil {
							t.Fatal(err)
						}
						condition = backend.Match(v)
					} else if final == "old" {
						final = ""
					}
					b := faulty.New(store, test.faults...)
					interfere := &interfering{Backend: b, other: test.other, write: func() {
						if _, err := store.PutRef(t.Context(), "main", theirs, backend.Always); err != nil {
							t.Error(err)
						}
					}}
					v, err := wrap.Retry(interfere, wrap.RetryOptions{}).PutRef(t.Context(), "main", mine, condition)
					if !errors.Is(err, test.want) || (test.want == nil) != (err == nil) {
						t.Errorf("PutRef() = %v, want %v", err, test.want)
					}
					ref, _ := store.GetRef(t.Context(), "main")
					if string(ref.Data) != final || err == nil && v != ref.Version {
						t.Errorf("the ref is %q at %q and PutRef returned %q, want %q and its version", ref.Data, ref.Version, v, final)
					}
				})
			})
		}
	}
}

// TestRetryPutRefLastAnswerLost has no attempt left after the lost answer.
func TestRetryPutRefLastAnswerLost(t *testing.T) {
	store := faulty.New(mem.New(), faulty.Fault{Op: faulty.PutRef, Err: down(0), Lost: true})
	doc := backend.Document{Data: []byte("x")}
	v, err := wrap.Retry(store, wrap.RetryOptions{Attempts: 1}).PutRef(t.Context(), "main", doc, backend.Absent)
	if err != nil || v == "" || store.Calls(faulty.PutRef) != 1 {
		t.Errorf("PutRef() = %q, %v after %d attempts, want a version, nil after one", v, err, store.Calls(faulty.PutRef))
	}
}

// TestRetryPutRefConflict shows that a first conflict is one.
func TestRetryPutRefConflict(t *testing.T) {
	store := faulty.New(mem.New())
	doc := backend.Document{Data: []byte("same")}
	if _, err := store.PutRef(t.Context(), "main", doc, backend.Always); err != nil {
		t.Fatal(err)
	}
	_, err := wrap.Retry(store, wrap.RetryOptions{}).PutRef(t.Context(), "main", doc, backend.Absent)
	if !errors.Is(err, backend.ErrConflict) || store.Calls(faulty.GetRef) != 0 {
		t.Errorf("PutRef(absent) over the same document = %v after %d reads, want ErrConflict, none", err, store.Calls(faulty.GetRef))
	}
}

// TestRetryPutRefUnknown cannot read the ref that it may have written.
func TestRetryPutRefUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faulty.New(mem.New(),
			faulty.Fault{Op: faulty.PutRef, Err: down(0), Lost: true},
			faulty.Fault{Op: faulty.GetRef, Err: backend.ErrDenied, Times: -1})
		_, err := wrap.Retry(store, wrap.RetryOptions{}).PutRef(t.Context(), "main", backend.Document{Data: []byte("x")}, backend.Absent)
		if !errors.Is(err, backend.ErrConflict) || !errors.Is(err, backend.ErrDenied) {
			t.Errorf("PutRef() = %v, want ErrConflict with ErrDenied, why it was not found out", err)
		}
	})
}

// TestRetryPutRefAlways needs no explanation: the last one wins.
func TestRetryPutRefAlways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faulty.New(mem.New(), faulty.Fault{Op: faulty.PutRef, Err: down(0), Lost: true})
		doc := backend.Document{Data: []byte("x")}
		if _, err := wrap.Retry(store, wrap.RetryOptions{}).PutRef(t.Context(), "main", doc, backend.Always); err != nil || store.Calls(faulty.GetRef) != 0 {
			t.Errorf("PutRef(always) = %v after %d reads, want nil, none", err, store.Calls(faulty.GetRef))
		}
	})
}

// interfering lets others write after the first PutRef or DeleteRef.
type interfering struct {
	backend.Backend
	other bool
	write func()
}

func (i *interfering) interfere() {
	if i.other {
		i.other = false
		i.write()
	}
}

func (i *interfering) PutRef(ctx context.Context, name string, doc backend.Document, cond backend.Condition) (backend.Version, error) {
	defer i.interfere()
	return i.Backend.PutRef(ctx, name, doc, cond)
}

func (i *interfering) DeleteRef(ctx context.Context, name string, cond backend.Condition) error {
	defer i.interfere()
	return i.Backend.DeleteRef(ctx, name, cond)
}

func TestRetryDeleteRef(t *testing.T) {
	tests := []struct {
		name  string
		fault faulty.Fault
		other bool
		want  error
	}{
		{"answer lost", faulty.Fault{Op: faulty.DeleteRef, Err: down(0), Lost: true}, false, nil},
		{"never arrived", faulty.Fault{Op: faulty.DeleteRef, Err: down(0)}, false, nil},
		{"others came after the lost answer", faulty.Fault{Op: faulty.DeleteRef, Err: down(0), Lost: true}, true, backend.ErrConflict},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := mem.New()
				v, err := store.PutRef(t.Context(), "main", backend.Document{Data: []byte("old")}, backend.Always)
				if err != nil {
					t.Fatal(err)
				}
				b := &interfering{Backend: faulty.New(store, test.fault), other: test.other, write: func() {
					if _, err := store.PutRef(t.Context(), "main", backend.Document{Data: []byte("theirs")}, backend.Always); err != nil {
						t.Error(err)
					}
				}}
				err = wrap.Retry(b, wrap.RetryOptions{}).DeleteRef(t.Context(), "main", backend.Match(v))
				if !errors.Is(err, test.want) || (test.want == nil) != (err == nil) {
					t.Errorf("DeleteRef() = %v, want %v", err, test.want)
				}
				_, err = store.GetRef(t.Context(), "main")
				if gone := errors.Is(err, backend.ErrNotFound); gone != (test.want == nil) {
					t.Errorf("the ref is gone = %v, want %v", gone, test.want == nil)
				}
			})
		})
	}
}
