package backend_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/larder-build/larder/backend"
)

// driver is the least that a driver can be.
type driver struct{ backend.Unimplemented }

func (driver) Info() backend.Info { return backend.Info{Driver: "least"} }

// TestUnimplemented calls every method that the interface has, the future ones
// included.
func TestUnimplemented(t *testing.T) {
	var b backend.Backend = driver{}
	for method := range reflect.TypeFor[backend.Backend]().Methods() {
		name := method.Name
		if slices.Contains([]string{"Info", "Close"}, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			if err := callMethod(t, reflect.ValueOf(b).MethodByName(name)); !errors.Is(err, backend.ErrUnsupported) {
				t.Errorf("%s() = %v, want %v", name, err, backend.ErrUnsupported)
			}
		})
	}
	if err := b.Close(); err != nil {
		t.Errorf("Close() = %v, want nil", err)
	}
}

// callMethod calls a method with zero arguments and returns its error, or the
// one that its sequence yields.
func callMethod(t *testing.T, method reflect.Value) (err error) {
	t.Helper()
	var args []reflect.Value
	for i := range method.Type().NumIn() {
		in := method.Type().In(i)
		switch {
		case in == reflect.TypeFor[context.Context]():
			args = append(args, reflect.ValueOf(t.Context()))
		case !method.Type().IsVariadic() || i < method.Type().NumIn()-1:
			args = append(args, reflect.Zero(in))
		}
	}
	out := method.Call(args)
	last := out[len(out)-1]
	if last.Kind() == reflect.Func {
		for _, e := range last.Seq2() {
			last = e
		}
	}
	err, _ = reflect.TypeAssert[error](last)
	return err
}
