package scope

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Trust says who may write a scope, or what a build may write.
type Trust string

// Trusted is what those may write who may write to the project, and Untrusted
// what anybody may, by way of a fork.
const (
	Trusted   Trust = "trusted"
	Untrusted Trust = "untrusted"
)

// Reason says why a plan has an entry.
type Reason string

// The reasons, in the order in which a build reads.
const (
	ReasonOwn         Reason = "own"          // the scope of the build itself
	ReasonCommit      Reason = "commit"       // that of its commit alone
	ReasonHead        Reason = "head"         // where the pull request comes from
	ReasonBase        Reason = "base"         // where it goes, or what the build was made from
	ReasonAncestor    Reason = "ancestor"     // a branch with history in common
	ReasonReleaseLine Reason = "release-line" // the branch of the release's line
	ReasonRule        Reason = "rule"         // an additional source of the rules
	ReasonDefault     Reason = "default"      // the default branch
)

// Entry is a cache that a build writes or reads.
type Entry struct {
	// Name is the name of the ref on a store, "" in an entry with a Location.
	Name string `json:"name,omitempty"`
	// Scope is what has this name.
	Scope *Scope `json:"scope,omitempty"`
	// Location is a cache that is not one of the project's own: text, with its
	// ref. It is never written.
	Location string `json:"location,omitempty"`
	Reason   Reason `json:"reason"`
	Trust    Trust  `json:"trust"`
}

// Plan says where a build writes its cache and where it reads others.
type Plan struct {
	// Trust is what the build deserves. One that is not trusted writes nothing
	// that others read.
	Trust Trust `json:"trust"`
	// Write and Read are in order: what comes first serves first. The default
	// branch is read last, unless the build is its own. Neither repeats itself.
	Write []Entry `json:"write"`
	Read  []Entry `json:"read"`
	// Notes say what is left out for which reason.
	Notes []string `json:"notes,omitempty"`
}

// String returns the entry in words.
func (e Entry) String() string {
	name, of := e.Name, ""
	if e.Location != "" {
		name = e.Location
	}
	if e.Scope != nil {
		of = " (" + e.Scope.String() + ")"
	}
	return fmt.Sprintf("%s%s: %s, %s", name, of, e.Reason, e.Trust)
}

// WriteTo writes the plan as a table for people, one line for each entry.
func (p Plan) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { _, _ = fmt.Fprintln(table, strings.Join(cells, "\t")) }
	for _, side := range []struct {
		verb    string
		entries []Entry
	}{{"write", p.Write}, {"read", p.Read}} {
		if len(side.entries) == 0 {
			row(side.verb, "nothing")
		}
		for _, e := range side.entries {
			cells := []string{side.verb, e.Name + e.Location, string(e.Reason), string(e.Trust)}
			if e.Scope != nil {
				cells = append(cells, e.Scope.String())
			}
			row(cells...)
		}
	}
	_ = table.Flush() // A strings.Builder takes everything.
	for _, note := range p.Notes {
		b.WriteString("note: " + note + "\n")
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// String returns the plan as WriteTo writes it.
func (p Plan) String() string {
	var b strings.Builder
	_, _ = p.WriteTo(&b) // A strings.Builder takes everything.
	return b.String()
}

// Check returns an error matching [ErrInvalid] unless the plan keeps what
// [Resolve] promises, wherever it has been meanwhile: entries are what their
// names say, none comes twice, nothing is written that has a location of its
// own, and a build that is not trusted writes only pull requests' scopes. It
// does not believe what an entry says of its trust, but what its scope is.
func (p Plan) Check() error {
	if p.Trust != Trusted && p.Trust != Untrusted {
		return invalidf("plan: trust is %q, want %s or %s", p.Trust, Trusted, Untrusted)
	}
	for _, entries := range [][]Entry{p.Write, p.Read} {
		seen := make(map[string]bool)
		for _, e := range entries {
			if err := e.check(); err != nil {
				return err
			}
			if seen[e.Name+" "+e.Location] {
				return invalidf("plan: %s comes twice", e)
			}
			seen[e.Name+" "+e.Location] = true
		}
	}
	for _, e := range p.Write {
		if e.Location != "" {
			return invalidf("plan: %s is for reading only and must not be written", e)
		}
		if p.Trust == Untrusted && (e.Trust != Untrusted || e.Scope.Kind != PullRequest) {
			return invalidf("plan: a build that is not trusted must not write %s, which others trust", e)
		}
	}
	return nil
}

// check checks an entry by itself.
func (e Entry) check() error {
	if e.Trust != Trusted && e.Trust != Untrusted {
		return invalidf("plan: %s: want %s or %s", e, Trusted, Untrusted)
	}
	if e.Location != "" {
		if e.Name != "" || e.Scope != nil {
			return invalidf("plan: %s has a name and a location, want one of the two", e)
		}
		return nil
	}
	if e.Scope == nil {
		return invalidf("plan: %s has no scope", e)
	}
	name, err := e.Scope.Name()
	if err != nil {
		return err
	}
	if name != e.Name {
		return invalidf("plan: %s: the scope's name is %q", e, name)
	}
	return nil
}
