package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/all"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/internal/faulty"
)

var allMux = all.Mux

// TestColor shows who gets colors: terminals, unless told otherwise.
func TestColor(t *testing.T) {
	for _, test := range []struct {
		name     string
		terminal bool
		env      map[string]string
		want     bool
	}{
		{"piped", false, nil, false},
		{"terminal", true, nil, true},
		{"no color", true, map[string]string{"NO_COLOR": "1"}, false},
		{"no color, but empty", true, map[string]string{"NO_COLOR": ""}, true},
		{"dumb", true, map[string]string{"TERM": "dumb"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inLayout(t, "buildkit/local-max-two-tags")
			s := shell{Streams: Streams{OutTerminal: test.terminal, ErrTerminal: test.terminal}, env: test.env}
			for _, args := range [][]string{{"ls", "./cache"}, {"inspect", mainRef}, {"verify", mainRef}, {"diff", mainRef, featureRef}, {"copy", "--from", mainRef, "--to", "./new"}} {
				if got := s.run(t.Context(), args...); strings.Contains(got.out, "\x1b[") != test.want {
					t.Errorf("larder %q: color %t, want %t: %q", args, !test.want, test.want, got.out)
				}
			}
			if got := s.run(t.Context(), "ls"); strings.Contains(got.err, "\x1b[") != test.want {
				t.Errorf("error: color %t, want %t: %q", !test.want, test.want, got.err)
			}
			if got := s.run(t.Context(), "inspect", "--json", mainRef); strings.Contains(got.out, "\x1b") {
				t.Errorf("color in JSON: %q", got.out)
			}
		})
	}
}

// TestInterrupted cancels commands as they come to a certain call of a store.
func TestInterrupted(t *testing.T) {
	for _, test := range []struct {
		name string
		op   faulty.Op
		args []string
	}{
		{"copy", faulty.Put, []string{"copy", "--from", mainRef, "--to", "./new"}},
		{"merge", faulty.PutRef, []string{"merge", "--from", mainRef, "--from", featureRef, "--to", "./new"}},
		{"verify", faulty.Open, []string{"verify", mainRef + ";feature-login"}},
		{"inspect", faulty.GetRef, []string{"inspect", mainRef}},
		{"diff", faulty.GetRef, []string{"diff", mainRef, featureRef}},
		{"ls", faulty.ListRefs, []string{"ls", "./cache"}},
		{"rm", faulty.DeleteRef, []string{"rm", mainRef}},
		{"doctor", faulty.PutRef, []string{"doctor", "./cache"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inLayout(t, "buildkit/local-max-two-tags")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := shell{wrap: func(b backend.Backend) backend.Backend {
				return faulty.New(b, faulty.Fault{Op: test.op, Times: -1, Before: cancel})
			}}
			got := s.run(ctx, append(test.args, "--json")...)
			if got.status != statusFailed || !strings.Contains(got.err, "larder: "+test.name+": interrupted") {
				t.Errorf("larder %q: status %d, %s", test.args, got.status, got.err)
			}
			if !strings.Contains(got.out, `"kind": "interrupted"`) {
				t.Errorf("larder %q says %s, want kind interrupted", test.args, got.out)
			}
			if _, err := os.Stat(filepath.Join("new", "index.json")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("new/index.json: %v, want none", err)
			}
			if got := execute(t, "verify", "--quiet", mainRef+";feature-login"); got.status != statusDone {
				t.Errorf("verify afterwards: %+v", got)
			}
		})
	}
}

// secret is what must never be printed.
const secret = "s3cr3t-canary"

// TestSecrets runs every command on locations with a secret, and looks for it in
// everything that is printed.
func TestSecrets(t *testing.T) {
	inLayout(t, "buildkit/local-max-two-tags")
	memory := mem.Driver()
	vault := backend.Driver{
		Type:  "vault",
		Attrs: append([]backend.Attr{{Name: "token", Secret: true, Env: []string{"VAULT_TOKEN"}}}, memory.Attrs...),
		Refs:  memory.Refs,
		Open: func(ctx context.Context, l backend.Location, o backend.OpenOptions) (backend.Backend, error) {
			if l.Value("token") != secret {
				return nil, errors.New("there is no token")
			}
			return memory.Open(ctx, l, o)
		},
	}
	s := shell{drivers: []backend.Driver{vault}}
	const at = "type=vault,name=x,mode=max,token=" + secret
	for _, args := range [][]string{
		{"copy", "--from", mainRef, "--to", at},
		{"copy", "--from", at, "--to", at},
		{"copy", "--from", at + ",name=y", "--to", "./new"},
		{"copy", "--from", at + ",tok=" + secret, "--to", "./new"},
		{"copy", "--from", "type=vault,name=nope,token=" + secret, "--to", "./new"},
		{"merge", "--from", mainRef, "--from", at, "--to", at},
		{"ls", at},
		{"inspect", at},
		{"verify", "--repair", at},
		{"diff", at, mainRef},
		{"doctor", at},
		{"rm", at},
		{"rm", at},
		{"ls", secret},
		{"inspect", "https://user:" + secret + "@host/x"},
		{"__complete", "ls", "type=vault,token=" + secret + ",na"},
	} {
		for _, extra := range []string{"--verbose", "--json"} {
			got := s.run(t.Context(), append([]string{args[0], extra}, args[1:]...)...)
			if args[0] == "__complete" {
				got = s.run(t.Context(), args...)
				got.out = strings.ReplaceAll(got.out, args[2][:strings.LastIndexByte(args[2], ',')], "") // The shell needs the word back.
			}
			if strings.Contains(got.out+got.err, secret) {
				t.Errorf("larder %q %s prints the secret:\n%s%s", args, extra, got.out, got.err)
			}
		}
	}
	if got := s.run(t.Context(), "copy", "--from", mainRef, "--to", at); got.status != statusDone || !strings.Contains(got.err, "token=REDACTED") {
		t.Errorf("copy: %+v, want a warning with token=REDACTED", got)
	}
}

// TestHugeInput shows that what is too long to be read is not printed either.
func TestHugeInput(t *testing.T) {
	inLayout(t, "buildkit/local-max-two-tags")
	long := strings.Repeat("a", 1<<20)
	for _, args := range [][]string{
		{"ls", long},
		{"ls", "./" + long},
		{"inspect", "type=local,src=cache,tag=" + long},
		{"inspect", "type=local,src=cache,digest=sha256:" + long},
		{"inspect", "type=local,src=cache," + long + "=x"},
		{"inspect", "type=" + long},
		{"copy", "--encoding", long, "--from", mainRef, "--to", "./new"},
		{long},
		{"ls", "--" + long},
	} {
		for _, json := range []bool{false, true} {
			if json {
				args = append([]string{"--json"}, args...)
			}
			got := execute(t, args...)
			if got.status == statusDone || len(got.err) > 8<<10 || len(got.out) > 8<<10 {
				t.Errorf("larder %.40q: status %d with %d and %d bytes of output, want an error of few", args, got.status, len(got.out), len(got.err))
			}
		}
	}
}

// brokenPipe is an output that takes nothing.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestOutputFails(t *testing.T) {
	inLayout(t, "buildkit/local-max-two-tags")
	for _, args := range [][]string{{"ls", "./cache"}, {"inspect", "--json", mainRef}, {"verify", mainRef}, {"diff", mainRef, mainRef}, {"doctor", "./cache"}, {"doctor", "--json", "./cache"}, {"version"}, {"copy", "--from", mainRef, "--to", "./new"}} {
		s := shell{Streams: Streams{Out: brokenPipe{}}}
		if got := s.run(t.Context(), args...); got.status != statusFailed || !strings.Contains(got.err, "write the result: no space left on device") {
			t.Errorf("larder %q: status %d, %s", args, got.status, got.err)
		}
	}
}

// TestInert shows the warning about what storage makes no use of.
func TestInert(t *testing.T) {
	inLayout(t, "buildkit/local-max-two-tags")
	got := execute(t, "copy", "--from", mainRef, "--to", "type=local,dest=new,mode=max,compression=zstd")
	const want = "larder: warning: --to: type=local,dest=new,mode=max,compression=zstd: storage makes no use of compression, mode\n"
	if got.status != statusDone || got.err != want {
		t.Errorf("copy: status %d, %q; want %q", got.status, got.err, want)
	}
}

func TestMergeWithoutMissingSources(t *testing.T) {
	inLayout(t, "buildkit/local-max-two-tags")
	got := execute(t, "merge", "--skip-missing", "--from", mainRef, "--from", "type=local,src=cache,tag=new-branch", "--to", "./new")
	if got.status != statusDone || !strings.Contains(got.err, "warning: source-missing: type=local,src=cache new-branch") {
		t.Errorf("merge: %+v, want a warning about the missing source", got)
	}
	mustExecute(t, "verify", "./new")
}

func TestComplete(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want []string
	}{
		{"commands", []string{"ver"}, []string{"verify", "version"}},
		{"types", []string{"ls", "ty"}, []string{"type=local,", "type=mem,"}},
		{"one type", []string{"inspect", "type=lo"}, []string{"type=local,"}},
		{"keys", []string{"verify", "type=local,src=x,"}, []string{"type=local,src=x,tag=", "type=local,src=x,digest="}},
		{"a key", []string{"copy", "--from", "type=local,ta"}, []string{"type=local,tag="}},
		{"encodings", []string{"copy", "--encoding", "oci"}, []string{"oci-manifest", "oci-index"}},
		{"a path", []string{"ls", "./c"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			lines := strings.Split(execute(t, append([]string{"__complete"}, test.args...)...).out, "\n")
			var words []string
			for _, line := range lines {
				word, _, _ := strings.Cut(line, "\t")
				words = append(words, word)
			}
			for _, want := range test.want {
				found := false
				for _, word := range words {
					found = found || word == want
				}
				if !found {
					t.Errorf("completions %q, want %q among them", words, want)
				}
			}
			if test.want == nil && words[0] != ":0" {
				t.Errorf("completions %q, want none, and files", words)
			}
		})
	}
	for _, name := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := execute(t, "completion", name); got.status != statusDone || len(got.out) < 1000 {
			t.Errorf("completion %s: status %d, %d bytes", name, got.status, len(got.out))
		}
	}
}

// TestHelpLocations shows that the help names every attribute that has an
// effect.
func TestHelpLocations(t *testing.T) {
	help := mustExecute(t, "help", "locations")
	_, list, _ := strings.Cut(help, "have to be given:\n")
	named := make(map[string]bool)
	for word := range strings.FieldsSeq(list) {
		names, _, _ := strings.Cut(word, "=")
		for name := range strings.SplitSeq(strings.TrimSuffix(names, "*"), "|") {
			named[name] = true
		}
	}
	for _, d := range allMux(all.Options{}).Drivers() {
		for _, attr := range d.Attrs {
			if !attr.Inert && !named[attr.Name] {
				t.Errorf("help locations does not name %s of type=%s", attr.Name, d.Type)
			}
		}
		if !named[d.Type] {
			t.Errorf("help locations does not name type=%s", d.Type)
		}
	}
	if named["mode"] {
		t.Error("help locations names mode, which has no effect")
	}
	for line := range strings.SplitSeq(help, "\n") {
		if len(line) > 82 {
			t.Errorf("help locations has a line of %d characters: %s", len(line), line)
		}
	}
}
