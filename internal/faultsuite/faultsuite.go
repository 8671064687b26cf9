// Package faultsuite shows that the verbs survive a service whose requests go
// wrong. It has an export, an import and a copy made through a proxy before the
// service and behind the recommended wrappers, once for each request of theirs
// and each thing that may happen to it:
//
//   - What happens once is overcome.
//   - An outage from a request on ends with an error of a kind, and leaves the
//     old cache, or all of the new one.
//   - A service that does not answer any more is given up after the time without
//     progress.
//   - Cancellation ends the verb within a second, and leaves no goroutine.
package faultsuite

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/internal/faultproxy"
)

// Harness tells the suite how a service is reached.
type Harness struct {
	// Server is the URL of the service: http://host:port. Required.
	Server string
	// Open opens the store of a name, which is of lower-case letters, digits
	// and hyphens, at the URL of the service or of a proxy before it. It is
	// called from several goroutines. The suite closes what it returns.
	// Required.
	Open func(tb testing.TB, url, store string) backend.Backend
	// Expired is how the service refuses credentials that have been good
	// before. Without an Answer, that is left out.
	Expired faultproxy.Fault
	// Confirms says that the driver looks whether what it has written can be found
	// before it reports success: an outage then may leave the new cache although
	// the verb has failed.
	Confirms bool
	// Verbs are those of Export, Import and Copy that are disturbed; nil means all.
	Verbs []string
	// LayerSize is how many bytes the first layer has, which is there from the
	// start; the second has half as many, the third a quarter. 0 means 10,000.
	LayerSize int
}

// stall is the time without progress after which a call is ended where a fault
// stalls: the default takes too long for a test. Elsewhere it is the default,
// because other tests may keep the machine busy.
const stall = 500 * time.Millisecond

// together is how many cases run at a time: those that stall wait most of theirs.
const together = 16

// Run runs the suite. It does not run in parallel with other tests, because it
// counts goroutines.
func Run(t *testing.T, h Harness) {
	t.Helper()
	current := goleak.IgnoreCurrent()
	if h.LayerSize == 0 {
		h.LayerSize = 10_000
	}
	for _, v := range verbs() {
		if h.Verbs != nil && !slices.Contains(h.Verbs, v.name) {
			continue
		}
		t.Run(v.name, func(t *testing.T) { h.newStage(t, v).run(t) })
	}
	goleak.VerifyNone(t, current)
}

// run runs the cases of one verb.
func (st *stage) run(t *testing.T) {
	t.Helper()
	p := &pool{requests: st.undisturbed(t), turns: make(chan struct{}, together)}
	// Cases that are told how long something may take are run apart from others,
	// which would keep the machine busy.
	for _, stalls := range []bool{false, true} {
		for name, fault := range st.h.passing() {
			if (fault.Kind == faultproxy.Stall) == stalls {
				p.atEach(t, name+" once", func(t *testing.T, n int) { t.Helper(); st.once(t, fault, n) })
			}
		}
		for name, fault := range st.h.lasting() {
			if (fault.Kind == faultproxy.Stall) == stalls {
				p.atEach(t, name+" from then on", func(t *testing.T, n int) { t.Helper(); st.lasts(t, fault, n) })
			}
		}
		p.running.Wait()
	}
	p.atEach(t, "cancellation", func(t *testing.T, n int) { t.Helper(); st.canceled(t, n) })
	p.running.Wait()
}

// passing are the faults that may happen to any request and are overcome.
func (h Harness) passing() map[string]faultproxy.Fault {
	all := map[string]faultproxy.Fault{
		"reset":                   {Kind: faultproxy.Reset},
		"reset in the body":       {Kind: faultproxy.Reset, After: 100},
		"truncated":               {Kind: faultproxy.Truncate, After: 50},
		"lost answer":             {Kind: faultproxy.Lost},
		"stall":                   {Kind: faultproxy.Stall},
		"stall in the body":       {Kind: faultproxy.Stall, After: 100},
		"stall before the answer": {Kind: faultproxy.Stall, After: 1 << 40},
		"429":                     {Answer: status(http.StatusTooManyRequests, "0")},
		"500":                     {Answer: status(http.StatusInternalServerError, "")},
	}
	if h.Expired.Answer != nil {
		all["expired credentials"] = h.Expired
	}
	return all
}

// lasting are the outages that end a verb.
func (h Harness) lasting() map[string]faultproxy.Fault {
	all := map[string]faultproxy.Fault{
		"reset":            {Kind: faultproxy.Reset},
		"lost answer":      {Kind: faultproxy.Lost},
		"stall":            {Kind: faultproxy.Stall},
		"429 for an hour":  {Answer: status(http.StatusTooManyRequests, "3600")},
		"502 of a gateway": {Answer: status(http.StatusBadGateway, "")},
	}
	if h.Expired.Answer != nil {
		all["expired credentials"] = h.Expired
	}
	return all
}

// status is an answer without a word of the service's own.
func status(code int, retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		http.Error(w, "on purpose", code)
	}
}

// pool runs cases, some at a time.
type pool struct {
	requests []string // of the verb
	turns    chan struct{}
	running  sync.WaitGroup
}

// atEach begins to run a case for each request.
func (p *pool) atEach(t *testing.T, name string, run func(t *testing.T, n int)) {
	t.Helper()
	p.running.Go(func() {
		t.Run(name, func(t *testing.T) {
			var group sync.WaitGroup
			for n, request := range p.requests {
				group.Go(func() {
					p.turns <- struct{}{}
					defer func() { <-p.turns }()
					t.Run(fmt.Sprintf("%02d %s", n+1, request), func(t *testing.T) { run(t, n) })
				})
			}
			group.Wait()
		})
	})
}

// undisturbed names the requests that a verb makes.
func (st *stage) undisturbed(t *testing.T) []string {
	t.Helper()
	s := st.newScene(t, wrap.Options{})
	if err := st.verb.run(t.Context(), s); err != nil {
		t.Fatalf("%s = %v, want nil", st.verb.name, err)
	}
	s.mustHaveSucceeded(t)
	var names []string
	for _, r := range s.proxy.Requests() {
		names = append(names, r.Method+" "+strings.ReplaceAll(strings.Trim(r.Path, "/"), "/", "_"))
	}
	if len(names) < 3 {
		t.Fatalf("%s makes the requests %q, want some more to disturb", st.verb.name, names)
	}
	return slices.Clip(names)
}

// options are those of the wrappers, for what a fault may do.
func options(fault faultproxy.Fault, lasting bool) wrap.Options {
	o := wrap.Options{Retry: wrap.RetryOptions{First: time.Microsecond}}
	if fault.Kind == faultproxy.Stall {
		o.Timeout.Stall = stall
		if lasting {
			o.Retry.Attempts = 2
		}
	}
	return o
}
