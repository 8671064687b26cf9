package scope

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Input is what is known about a build. Names of branches and tags are short:
// "main", not "refs/heads/main".
type Input struct {
	// Kind is what is built: Branch, PullRequest, Tag, Schedule or Detached.
	Kind Kind `json:"kind"`
	// Ref is the branch or tag that is built. A Schedule without is one of the
	// default branch; a PullRequest or a Detached build has none.
	Ref string `json:"ref,omitempty"`
	// Number identifies a pull request in its project, merge requests included.
	// Without one it is known by Head, and by HeadRepo if it comes from a fork.
	Number string `json:"number,omitempty"`
	// Head is the branch that a pull request comes from, and HeadRepo the
	// repository of that branch.
	Head     string `json:"head,omitempty"`
	HeadRepo string `json:"headRepo,omitempty"`
	// Base is the branch that a pull request goes into, or that a tag, a branch
	// or a queue of merges is made from, if that is known.
	Base string `json:"base,omitempty"`
	// Default is the project's default branch.
	Default string `json:"default,omitempty"`
	// Fork says that what is built was written by somebody who may not write to
	// the project: the pull request comes from another repository.
	Fork bool `json:"fork,omitempty"`
	// Commit is the hash of the commit that is built.
	Commit string `json:"commit,omitempty"`
	// Ancestors are branches from which the build's commit descends in part, in
	// any order.
	Ancestors []Ancestor `json:"ancestors,omitempty"`
	// Known are the names of the refs that a store has, as a listing gives them.
	// Unless it is nil, ancestors and release lines without a cache are passed
	// over.
	Known []string `json:"known,omitempty"`
	// Target names what is built of a project, and Platform for which: a stage
	// of a Dockerfile, "linux/arm64".
	Target   string `json:"target,omitempty"`
	Platform string `json:"platform,omitempty"`
}

// Ancestor is a branch that has history in common with a build.
type Ancestor struct {
	// Branch is the branch's name.
	Branch string `json:"branch"`
	// Distance counts the commits of the build that the branch has not: 0 if it
	// has all.
	Distance int `json:"distance"`
}

// Or returns in with what it leaves out taken from other: what somebody has
// stated before what was found out. If in has a kind, what is built is its
// business alone. A build that either takes for a fork's is one.
func (in Input) Or(other Input) Input {
	in.Fork = in.Fork || other.Fork
	if in.Kind == "" {
		in.Kind, in.Ref, in.Number = other.Kind, cmp.Or(in.Ref, other.Ref), cmp.Or(in.Number, other.Number)
		in.Head, in.HeadRepo, in.Base = cmp.Or(in.Head, other.Head), cmp.Or(in.HeadRepo, other.HeadRepo), cmp.Or(in.Base, other.Base)
	}
	in.Default, in.Commit = cmp.Or(in.Default, other.Default), cmp.Or(in.Commit, other.Commit)
	in.Target, in.Platform = cmp.Or(in.Target, other.Target), cmp.Or(in.Platform, other.Platform)
	if in.Ancestors == nil {
		in.Ancestors = other.Ancestors
	}
	if in.Known == nil {
		in.Known = other.Known
	}
	return in
}

// missing is the error for a field that has to be known.
func missing(field, what string) error {
	return invalidf("%s is not known: set Input.%s", what, field)
}

// check returns what is wrong with an input. The texts name the fields to set.
func (in Input) check() error {
	if err := in.checkNames(); err != nil {
		return err
	}
	switch in.Kind {
	case Branch, Tag:
		if in.Ref == "" {
			return missing("Ref", "the "+string(in.Kind)+" that is built")
		}
	case PullRequest:
		if err := in.checkPullRequest(); err != nil {
			return err
		}
	case Schedule, Detached:
	case "":
		return missing("Kind", "what is built, a "+kinds())
	default:
		return invalidf("kind %q: set Input.Kind to %s", in.Kind, kinds())
	}
	if in.Default == "" {
		return missing("Default", "the default branch")
	}
	return nil
}

func kinds() string {
	return string(Branch + ", " + PullRequest + ", " + Tag + ", " + Schedule + " or " + Detached)
}

func (in Input) checkPullRequest() error {
	switch {
	case in.Number == "" && in.Head == "":
		return missing("Number", "the number of the pull request")
	case in.Number == "" && in.Fork && in.HeadRepo == "":
		return missing("Number or Input.HeadRepo", "which fork the pull request comes from")
	}
	return nil
}

// checkNames checks the form of everything that is given.
func (in Input) checkNames() error {
	fields := [...]struct{ field, value string }{
		{"Ref", in.Ref},
		{"Number", in.Number},
		{"Head", in.Head},
		{"HeadRepo", in.HeadRepo},
		{"Base", in.Base},
		{"Default", in.Default},
		{"Commit", in.Commit},
		{"Target", in.Target},
		{"Platform", in.Platform},
	}
	for _, f := range fields {
		if err := checkName("Input."+f.field, f.value); err != nil {
			return err
		}
	}
	for _, a := range in.Ancestors {
		if err := checkName("Input.Ancestors", a.Branch); err != nil {
			return err
		}
		if a.Branch == "" || a.Distance < 0 {
			return invalidf("Input.Ancestors has %q at the distance %d, want a branch at 0 or more", a.Branch, a.Distance)
		}
	}
	return nil
}

// checkName checks the form of a name, which field holds.
func checkName(field, name string) error {
	if !utf8.ValidString(name) {
		return invalidf("%s is %q, which is not UTF-8 and can be no name on a store: set another", field, name)
	}
	for _, prefix := range []string{"refs/heads/", "refs/tags/", "refs/remotes/", "refs/pull/"} {
		if short, full := strings.CutPrefix(name, prefix); full {
			return invalidf("%s is the full name %q: set %q", field, name, short)
		}
	}
	if strings.TrimSpace(name) != name {
		return invalidf("%s is %q, with space at an end", field, name)
	}
	return nil
}

// nearest returns the ancestors without repetition, nearest first.
func (in Input) nearest() []Ancestor {
	all := slices.SortedFunc(slices.Values(in.Ancestors), func(a, b Ancestor) int {
		return cmp.Or(cmp.Compare(a.Distance, b.Distance), cmp.Compare(a.Branch, b.Branch))
	})
	seen := make(map[string]bool)
	return slices.DeleteFunc(all, func(a Ancestor) bool {
		repeated := seen[a.Branch]
		seen[a.Branch] = true
		return repeated
	})
}

// pullRequest returns what a pull request is known by.
func (in Input) pullRequest() string {
	switch {
	case in.Number != "":
		return in.Number
	case in.HeadRepo != "":
		return in.HeadRepo + ":" + in.Head
	default:
		return in.Head
	}
}
