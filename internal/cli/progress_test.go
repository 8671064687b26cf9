package cli

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/blob"
)

func TestMeter(t *testing.T) {
	const a, b = blob.Digest("a"), blob.Digest("b")
	planned := []larder.Step{{Kind: larder.StepPlanned, Blob: a, Bytes: 100}, {Kind: larder.StepPlanned, Blob: b, Bytes: 50}}
	for _, test := range []struct {
		name  string
		steps []larder.Step
		want  state
	}{
		{"planned", nil, state{}},
		{"half of one", []larder.Step{{Kind: larder.StepMoved, Blob: a, Bytes: 50}}, state{done: larder.Count{Bytes: 50}}},
		{"taken back", []larder.Step{{Kind: larder.StepMoved, Blob: a, Bytes: 50}, {Kind: larder.StepMoved, Blob: a, Bytes: -50}}, state{}},
		{
			"sent without a word on the way",
			[]larder.Step{{Kind: larder.StepSent, Blob: a, Bytes: 100}},
			state{done: larder.Count{Blobs: 1, Bytes: 100}},
		},
		{
			"closed after its end",
			[]larder.Step{{Kind: larder.StepMoved, Blob: a, Bytes: 100}, {Kind: larder.StepSent, Blob: a, Bytes: 100}, {Kind: larder.StepMoved, Blob: a, Bytes: -100}},
			state{done: larder.Count{Blobs: 1, Bytes: 100}},
		},
		{
			"reused before and after planning",
			[]larder.Step{{Kind: larder.StepReused, Blob: "c", Bytes: 7}, {Kind: larder.StepReused, Blob: a, Bytes: 100}, {Kind: larder.StepMounted, Blob: b, Bytes: 50}},
			state{done: larder.Count{Blobs: 2, Bytes: 150}, reused: larder.Count{Blobs: 3, Bytes: 157}},
		},
		{"failed", []larder.Step{{Kind: larder.StepMoved, Blob: b, Bytes: 20}, {Kind: larder.StepFailed, Blob: b, Bytes: 50}}, state{done: larder.Count{Blobs: 1, Bytes: 50}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMeter(2)
			for _, s := range append(planned, test.steps...) {
				s.Target = 1
				m.step(s)
			}
			test.want.planned = larder.Count{Blobs: 2, Bytes: 150}
			if got := m.read(1); got != test.want {
				t.Errorf("read(1) = %+v, want %+v", got, test.want)
			}
			if got := m.read(0); got != (state{}) {
				t.Errorf("read(0) = %+v, want nothing", got)
			}
		})
	}
}

func TestState(t *testing.T) {
	for _, test := range []struct {
		name string
		s    state
		want string
	}{
		{"not begun", state{}, "0 of 0 blobs, waiting"},
		{"nothing to do", state{reused: larder.Count{Blobs: 1, Bytes: 10}}, "0 of 0 blobs, 0 B of 0 B, reused 10 B"},
		{"over", state{planned: larder.Count{Blobs: 1, Bytes: 10}, done: larder.Count{Blobs: 1, Bytes: 10}, rate: 5}, "1 of 1 blob, 10 B of 10 B"},
		{"start", state{planned: larder.Count{Blobs: 1, Bytes: 10}}, "0 of 1 blob, 0 B of 10 B, 0 B/s"},
		{
			"middle",
			state{planned: larder.Count{Blobs: 1200, Bytes: 3 << 30}, done: larder.Count{Blobs: 7, Bytes: 1 << 30}, rate: 10 << 20, reused: larder.Count{Blobs: 2, Bytes: 2048}},
			"7 of 1,200 blobs, 1.0 GiB of 3.0 GiB, 10 MiB/s, 3m25s left, reused 2.0 KiB",
		},
		{"endless", state{planned: larder.Count{Blobs: 1, Bytes: 1 << 60}, rate: 2}, "0 of 1 blob, 0 B of 1.0 EiB, 2 B/s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.s.String(); got != test.want {
				t.Errorf("String() = %q, want %q", got, test.want)
			}
		})
	}
}

func TestSpeed(t *testing.T) {
	s := speed{at: now}
	at, bytes := now, int64(0)
	for i := range 100 {
		at, bytes = at.Add(time.Second), bytes+1000
		if got := s.update(at, bytes); got < 999 || got > 1001 {
			t.Fatalf("rate after %d s = %g, want 1000", i+1, got)
		}
	}
	if got := s.update(at.Add(20*time.Second), bytes); got > 30 {
		t.Errorf("rate after 20 s without progress = %g, want almost none", got)
	}
	if got := s.update(at.Add(21*time.Second), bytes-5000); got < 0 {
		t.Errorf("rate after bytes were taken back = %g, want none below 0", got)
	}
}

// slow watches a transfer of 100 MiB to two targets that takes 20 seconds, and
// returns what is printed, with a moment of calm in front. Each second something
// may come between.
func slow(t *testing.T, s Streams, between ...string) string {
	t.Helper()
	var out safeBuffer
	synctest.Test(t, func(t *testing.T) {
		s.Err = &out
		a := newApp(s, nil)
		var to []larder.Target
		for _, ref := range []string{"one", "two"} {
			to = append(to, larder.Target{Backend: mem.New(), Ref: ref})
		}
		progress, stop := a.watch("copy", to)
		for i := range to {
			step(progress, larder.Step{Kind: larder.StepPlanned, Target: i, Blob: "a", Bytes: 100 << 20})
		}
		<-time.After(time.Second / 2) // Of the bubble: never at the same moment as a tick.
		for range 20 {
			<-time.After(time.Second)
			step(progress, larder.Step{Kind: larder.StepMoved, Target: 1, Blob: "a", Bytes: 5 << 20})
			if len(between) > 0 {
				_, _ = out.Write([]byte(between[0]))
				between = between[1:]
			}
		}
		stop()
	})
	return out.String()
}

func step(p larder.Progress, s larder.Step) {
	if p != nil {
		p(s)
	}
}

// safeBuffer is a buffer for several goroutines.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// TestProgressLines shows what is printed where there is no terminal: a line
// every few seconds.
func TestProgressLines(t *testing.T) {
	dumb := func(string) string { return "dumb" }
	for _, s := range []Streams{{}, {ErrTerminal: true, Getenv: dumb}} {
		lines := strings.Split(strings.TrimSpace(slow(t, s)), "\n")
		if len(lines) < 6 || len(lines) > 8 {
			t.Fatalf("%d lines in 20 seconds for 2 targets, want 6 to 8:\n%s", len(lines), strings.Join(lines, "\n"))
		}
		form := regexp.MustCompile(`^larder: copy: type=mem (one: 0 of 1 blob, 0 B of 100 MiB, 0 B/s|two: 0 of 1 blob, [0-9]+ MiB of 100 MiB, [45]\.[0-9] MiB/s, [0-9]+s left)$`)
		for _, line := range lines {
			if !form.MatchString(line) {
				t.Errorf("line %q, want it to match %s", line, form)
			}
		}
	}
}

// TestProgressBars shows that a terminal gets bars, and that they are gone in
// the end.
func TestProgressBars(t *testing.T) {
	got := slow(t, Streams{ErrTerminal: true})
	for _, part := range []string{"type=mem two   [=", "50 MiB of 100 MiB", "5.0 MiB/s", "5s left", "type=mem one   [---"} {
		if !strings.Contains(got, part) {
			t.Errorf("bars have no %q", part)
		}
	}
	const erase = "\x1b[J"
	i := strings.LastIndex(got, erase)
	if i < 0 || strings.TrimSpace(got[i+len(erase):]) != "" {
		t.Errorf("after the last erasure: %q, want nothing", got[max(i, 0):])
	}
}

// TestProgressBarsLeaveNothing interrupts once in the course and once at the end:
// the terminal shows that where the cursor is.
func TestProgressBarsLeaveNothing(t *testing.T) {
	const column, inCourse, atEnd = 80, 3, 19
	between := make([]string, atEnd+1)
	between[inCourse], between[atEnd] = "^C", "^C"
	got := slow(t, Streams{ErrTerminal: true}, between...)
	if !strings.Contains(got, "^C") {
		t.Fatal("nothing was shown between")
	}
	if left := screen(t, got, column); strings.TrimSpace(left) != "" {
		t.Errorf("left on the screen:\n%s", left)
	}
	frame := got[:strings.LastIndex(got[:strings.LastIndex(got, "^C")], "^C")]
	if lines := strings.Count(strings.TrimSpace(screen(t, frame, column)), "\n"); lines != 1 {
		t.Errorf("in the course there are %d lines, want one below another:\n%s", lines+1, screen(t, frame, column))
	}
}

// screen returns what a terminal of so many columns shows after text with the few
// control sequences that bars need.
func screen(tb testing.TB, text string, columns int) string {
	tb.Helper()
	var lines [][]rune
	row, column := 0, 0
	up := regexp.MustCompile("^\x1b\\[([0-9]+)A")
	for text != "" {
		for len(lines) <= row {
			lines = append(lines, []rune(strings.Repeat(" ", columns)))
		}
		r, size := utf8.DecodeRuneInString(text)
		switch moved := up.FindStringSubmatch(text); {
		case moved != nil:
			n, _ := strconv.Atoi(moved[1])
			row, size = max(row-n, 0), len(moved[0])
		case strings.HasPrefix(text, "\x1b[J"):
			lines, size = lines[:row+1], len("\x1b[J")
			lines[row] = append(lines[row][:column], []rune(strings.Repeat(" ", columns-column))...)
		case r == '\r':
			column = 0
		case r == '\n':
			row, column = row+1, 0 // the terminal's driver adds a carriage return
		case r < ' ':
			tb.Fatalf("unknown control sequence %q", text[:min(len(text), 10)])
		default:
			if column == columns {
				row, column, size = row+1, 0, 0
				break
			}
			lines[row][column] = r
			column++
		}
		text = text[size:]
	}
	shown := make([]string, len(lines))
	for i, line := range lines {
		shown[i] = strings.TrimRight(string(line), " ")
	}
	return strings.Join(shown, "\n")
}

// TestNoProgress shows when nothing is printed at all.
func TestNoProgress(t *testing.T) {
	t.Run("short", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var out safeBuffer
			a := newApp(Streams{Err: &out, ErrTerminal: true}, nil)
			progress, stop := a.watch("copy", []larder.Target{{Backend: mem.New(), Ref: "x"}})
			progress(larder.Step{Kind: larder.StepPlanned, Blob: "a", Bytes: 5})
			progress(larder.Step{Kind: larder.StepSent, Blob: "a", Bytes: 5})
			stop()
			if got := out.String(); got != "" {
				t.Errorf("printed %q", got)
			}
		})
	})
	t.Run("quiet", func(t *testing.T) {
		inLayout(t, "buildkit/local-max-two-tags")
		s := shell{Streams: Streams{OutTerminal: true, ErrTerminal: true}}
		for _, args := range [][]string{{"copy", "--from", mainRef, "--to", "./new"}, {"verify", mainRef}, {"rm", mainRef}} {
			if got := s.run(t.Context(), append(args, "--quiet")...); got != (ran{}) {
				t.Errorf("larder %q --quiet = %+v, want nothing", args, got)
			}
		}
	})
}

// TestCopyWithProgress runs a real transfer, so that its steps add up.
func TestCopyWithProgress(t *testing.T) {
	inLayout(t, "buildkit/local-max-two-tags")
	m := newMeter(1)
	src := openLocal(t, "cache")
	report, err := larder.Copy(t.Context(), larder.Target{Backend: src, Ref: "main"}, []larder.Target{{Backend: mem.New(), Ref: "x"}}, larder.CopyOptions{Progress: m.step})
	if err != nil {
		t.Fatal(err)
	}
	got := m.read(0)
	if diff := cmp.Diff(got.planned, got.done); diff != "" || got.done != report.Targets[0].Sent {
		t.Errorf("done = %+v, planned %+v, sent %+v; want the same", got.done, got.planned, report.Targets[0].Sent)
	}
}

func openLocal(t *testing.T, dir string) backend.Backend {
	t.Helper()
	mux := newApp(Streams{Err: io.Discard}, allMux).mux()
	loc, err := mux.Parse("./" + dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := mux.Open(context.WithoutCancel(t.Context()), loc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}
