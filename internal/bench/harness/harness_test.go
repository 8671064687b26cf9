package harness

import (
	"flag"
	"os/exec"
	"strings"
	"testing"
)

func TestVerdict(t *testing.T) {
	theirs := []int64{10, 20, 30}
	for _, test := range []struct {
		name   string
		ours   []int64
		atMost float64
		want   string
	}{
		{"less", []int64{10, 18, 90}, 0.9, "met"},
		{"more, but not always", []int64{30, 40, 50}, 1.2, "not met by the medians; the ranges overlap"},
		{"always more", []int64{31, 40, 50}, 1.2, "not met"},
		{"of a far goal", []int64{10, 15, 20}, 0.5, "not met"},
	} {
		if got := Verdict(test.ours, theirs, test.atMost); got != test.want {
			t.Errorf("%s: Verdict() = %q, want %q", test.name, got, test.want)
		}
	}
}

func TestSpread(t *testing.T) {
	for want, times := range map[string][]int64{"once": {5e9}, "0.50 to 2.00": {1e9, 5e8, 2e9}} {
		if got := Spread(times); got != want {
			t.Errorf("Spread(%d) = %q, want %q", times, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, args string
		rounds     int
		without    bool // restic
	}{
		{"nothing", "", 1, false},
		{"full", "-full", 5, false},
		{"rounds", "-full -rounds 2", 2, false},
		{"without", "-without tic", 1, true},
	} {
		o, err := Parse(flag.NewFlagSet("test", flag.ContinueOnError), strings.Fields(test.args), "all")
		if err != nil || o.Rounds != test.rounds || !o.Only.MatchString("a task") || o.Without.MatchString("restic") != test.without {
			t.Errorf("%s: Parse() = %+v, %v, want %d rounds of all tasks, without restic: %t", test.name, o, err, test.rounds, test.without)
		}
	}
	for _, arg := range []string{"-only=(", "-without=(", "-unknown"} {
		flags := flag.NewFlagSet("test", flag.ContinueOnError)
		flags.SetOutput(t.Output())
		if _, err := Parse(flags, []string{arg}, "all"); err == nil {
			t.Errorf("Parse(%s) = nil, want an error", arg)
		}
	}
}

func TestHost(t *testing.T) {
	for _, address := range []string{"127.0.0.1:5000", "http://127.0.0.1:5000", "http://127.0.0.1:5000/account"} {
		if got := host(address); got != "127.0.0.1:5000" {
			t.Errorf("host(%s) = %s, want 127.0.0.1:5000", address, got)
		}
	}
}

func TestCacheServiceThatDoesNotStart(t *testing.T) {
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := StartCacheService(t.Context(), t.Output(), program); err == nil {
		t.Errorf("StartCacheService(true) = %+v, want an error", s)
	}
}
