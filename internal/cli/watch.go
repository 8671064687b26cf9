package cli

import (
	"io"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/larder-build/larder"
)

const (
	// barInterval is how often bars are drawn. A transfer that is over sooner
	// has none.
	barInterval = 200 * time.Millisecond
	// lineInterval is how often a line is printed where there is no terminal.
	lineInterval = 5 * time.Second
)

// watch shows the progress of the transfer to some targets until stop is
// called: as bars on a terminal, otherwise as a line now and then.
func (a *app) watch(verb string, to []larder.Target) (progress larder.Progress, stop func()) {
	return a.watchNamed(verb, names(to))
}

// watchNamed is watch for whatever has these names.
func (a *app) watchNamed(verb string, names []string) (progress larder.Progress, stop func()) {
	if a.quiet {
		return nil, func() {}
	}
	m := newMeter(len(names))
	w := &watcher{meter: m, speeds: make([]speed, len(names)), now: time.Now}
	for i := range w.speeds {
		w.speeds[i].at = w.now()
	}
	// Log lines would tear bars apart.
	if a.ErrTerminal && !a.verbose && !a.dumb() {
		b := &bars{app: a, names: names}
		return m.step, w.run(barInterval, b.show, b.end)
	}
	l := &lines{app: a, verb: verb, names: names}
	return m.step, w.run(lineInterval, l.show, func() {})
}

// names tells targets apart in few words.
func names(to []larder.Target) []string {
	all := make([]string, len(to))
	for i, t := range to {
		all[i] = printable(t.String())
	}
	return all
}

// watcher looks at a meter at regular intervals.
type watcher struct {
	meter  *meter
	speeds []speed
	now    func() time.Time
}

// run calls show at each interval, and end when the returned function is
// called, which waits for both.
func (w *watcher) run(every time.Duration, show func([]state), end func()) (stop func()) {
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer end()
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				show(w.states())
			case <-stopped:
				return
			}
		}
	}()
	return func() { close(stopped); <-ended }
}

func (w *watcher) states() []state {
	all := make([]state, len(w.speeds))
	for i := range all {
		all[i] = w.meter.read(i)
		all[i].rate = w.speeds[i].update(w.now(), all[i].done.Bytes)
	}
	return all
}

// lines prints progress as lines.
type lines struct {
	app   *app
	verb  string
	names []string
}

func (l *lines) show(all []state) {
	for i, s := range all {
		if !s.idle() {
			l.app.note(l.verb + ": " + l.names[i] + ": " + s.String())
		}
	}
}

// bars draws progress as one bar for each target, below each other.
type bars struct {
	app   *app
	names []string

	container *mpb.Progress
	all       []*mpb.Bar
	states    []atomic.Pointer[state]
}

// show draws bars from the first moment when there is something to be moved.
func (b *bars) show(all []state) {
	if b.container == nil && !busy(all) {
		return
	}
	if b.container == nil {
		b.start(len(all))
	}
	for i, s := range all {
		b.states[i].Store(&s)
		b.all[i].SetTotal(s.planned.Bytes, false)
		b.all[i].SetCurrent(s.done.Bytes)
	}
}

func busy(all []state) bool {
	for _, s := range all {
		if !s.idle() {
			return true
		}
	}
	return false
}

// Terminals show the keys that interrupt as ^C where the cursor is, so that a bar
// that is drawn next would begin behind that, and reach into another line.
const (
	leftmost = "\r"
	wipe     = "\r\x1b[J"
)

// widestBar is how many columns a bar has at most: one that fills a wide terminal
// says no more, and is torn when that is made narrower.
const widestBar = 50

// longestName is how much of a name stands before its bar, in characters.
const longestName = 20

func (b *bars) start(n int) {
	b.container = mpb.New(mpb.WithOutput(b.app.Err), mpb.WithAutoRefresh(), mpb.WithRefreshRate(barInterval))
	b.states = make([]atomic.Pointer[state], n)
	for i := range n {
		b.states[i].Store(&state{})
		text := func(decor.Statistics) string { return " " + b.states[i].Load().brief() }
		b.all = append(b.all, b.container.New(0, mpb.BarStyle(),
			mpb.BarWidth(widestBar),
			mpb.PrependDecorators(decor.Name(leftmost+tail(b.names[i], longestName)+" ", decor.WCSyncSpaceR)),
			mpb.AppendDecorators(decor.Any(text, decor.WCSyncSpaceR)),
		))
	}
}

// end wipes the bars away: what came of the transfer is said elsewhere.
func (b *bars) end() {
	for _, bar := range b.all {
		bar.Abort(true)
	}
	if b.container != nil {
		b.container.Wait()
		_, _ = io.WriteString(b.app.Err, wipe)
	}
}

// tail returns the last n characters of a text.
func tail(text string, n int) string {
	if excess := utf8.RuneCountInString(text) - n; excess > 0 {
		runes := []rune(text)
		return "…" + strings.TrimSpace(string(runes[excess+1:]))
	}
	return text
}
