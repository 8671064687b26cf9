package cli

import (
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// excluding returns what leaves out names that patterns match, which are written
// as in a .gitignore at the top of a directory. Of several that match the last
// counts. It is nil if there are none.
func excluding(patterns []string) func(path string, dir bool) bool {
	if len(patterns) == 0 {
		return nil
	}
	parsed := make([]gitignore.Pattern, len(patterns))
	for i, p := range patterns {
		parsed[i] = gitignore.ParsePattern(p, nil)
	}
	matcher := gitignore.NewMatcher(parsed)
	return func(path string, dir bool) bool { return matcher.Match(strings.Split(path, "/"), dir) }
}
