// Package scenario has the story of a project's branches, told on every kind of
// store: main's cache feeds all, a branch's feeds its own builds and what goes
// into it, a fork's feeds nobody, and a merge promotes. It has no code but its
// tests.
package scenario
