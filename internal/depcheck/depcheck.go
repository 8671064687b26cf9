// Package depcheck holds the layers of larder as rules over what its packages
// link, and its test holds the module to them. Unlike a linter it sees through
// packages in between: a user of the local backend links no cloud's SDK, by
// whatever path it would come.
package depcheck

import (
	"fmt"
	"slices"
	"strings"
)

// graph tells for each package of a build, by import path, what it links: all
// packages it imports, and theirs, outside tests.
type graph map[string]node

type node struct {
	standard bool     // belongs to the standard library
	links    []string // import paths
}

// rule is one rule of the layering. Its patterns are import paths, which cover
// the packages below them if they end in "/..."; "." at the start stands for
// larder's own module.
type rule struct {
	why    string
	of     []string // the packages it binds
	except []string // of those, the ones it does not bind
	never  []string // what they must not link
	only   []string // if set, all that they may link besides the standard library and themselves
}

// matches tells whether a pattern covers a package.
func matches(pattern, path string) bool {
	if below, ok := strings.CutPrefix(pattern, "."); ok && (below == "" || below[0] == '/') {
		pattern = module + below
	}
	prefix, tree := strings.CutSuffix(pattern, "/...")
	return path == prefix || tree && strings.HasPrefix(path, prefix+"/")
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}

// check returns one line for each link that breaks a rule, sorted.
func (g graph) check(rules []rule) []string {
	var broken []string
	for _, r := range rules {
		for path, n := range g {
			if !matchesAny(r.of, path) || matchesAny(r.except, path) {
				continue
			}
			for _, link := range n.links {
				if r.forbids(link, g[link].standard) {
					broken = append(broken, fmt.Sprintf("%s links %s: %s", path, link, r.why))
				}
			}
		}
	}
	slices.Sort(broken)
	return broken
}

// forbids tells whether the packages of the rule must not link a package.
func (r rule) forbids(link string, standard bool) bool {
	if matchesAny(r.never, link) {
		return true
	}
	return r.only != nil && !standard && !matchesAny(r.only, link) && !matchesAny(r.of, link)
}

// unmatched returns the patterns that cover no package and so protect nothing:
// they are misspelled, or their package has moved. Patterns in planned are for
// packages that are still to come; one that has come is returned as well, so
// that its mark goes and later protects it from being misspelled.
func (g graph) unmatched(rules []rule, planned []string) (misspelled, arrived []string) {
	var patterns []string
	for _, r := range rules {
		patterns = slices.Concat(patterns, r.of, r.except, r.never, r.only)
	}
	slices.Sort(patterns)
	for _, p := range slices.Compact(patterns) {
		if !g.has(p) && !slices.Contains(planned, p) {
			misspelled = append(misspelled, p)
		}
	}
	for _, p := range planned {
		if g.has(p) {
			arrived = append(arrived, p)
		} else if !slices.Contains(patterns, p) {
			misspelled = append(misspelled, p)
		}
	}
	return misspelled, arrived
}

func (g graph) has(pattern string) bool {
	for path := range g {
		if matches(pattern, path) {
			return true
		}
	}
	return false
}
