package testserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder/internal/testserver"
)

func TestPause(t *testing.T) {
	for _, test := range []struct {
		name     string
		distance time.Duration
		during   func(life testserver.Life, end context.CancelFunc)
		want     time.Duration
	}{
		{"no distance", 0, nil, 0},
		{"a second", time.Second, nil, time.Second},
		{"the request ends", time.Hour, func(_ testserver.Life, end context.CancelFunc) { end() }, time.Minute},
		{"the life ends", time.Hour, func(life testserver.Life, _ context.CancelFunc) { life.End() }, time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				life := testserver.NewLife()
				defer life.End()
				ctx, end := context.WithCancel(t.Context())
				defer end()
				if test.during != nil {
					time.AfterFunc(time.Minute, func() { test.during(life, end) })
				}
				began := time.Now()
				life.Pause(httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), test.distance)
				if got := time.Since(began); got != test.want {
					t.Errorf("Pause() took %v, want %v", got, test.want)
				}
			})
		})
	}
}

type request struct {
	op     string
	status int
}

func TestLog(t *testing.T) {
	l := testserver.NewLog(func(r request) string { return r.op })
	l.Note(request{op: "get"})
	put := l.Note(request{op: "put"})
	before := l.Requests()
	l.Change(put, func(r *request) { r.status = 200 })
	equal := cmp.AllowUnexported(request{})
	if diff := cmp.Diff([]request{{"get", 0}, {"put", 0}}, before, equal); diff != "" {
		t.Errorf("Requests() before Change differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]request{{"get", 0}, {"put", 200}}, l.Requests(), equal); diff != "" {
		t.Errorf("Requests() differ (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		ops  []string
		want int
	}{{nil, 2}, {[]string{"put"}, 1}, {[]string{"put", "get", "head"}, 2}, {[]string{"head"}, 0}} {
		if got := l.Count(test.ops...); got != test.want {
			t.Errorf("Count(%q) = %d, want %d", test.ops, got, test.want)
		}
	}
	l.Forget()
	if got := l.Count(); got != 0 {
		t.Errorf("Count() after Forget = %d, want 0", got)
	}
}
