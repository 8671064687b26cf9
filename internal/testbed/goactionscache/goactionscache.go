// Package goactionscache pins the client of BuildKit, whose own tests run
// against larder's cache service, and what these tests need. A module of its own,
// so that they reach nobody's go.sum.
package goactionscache

import (
	_ "github.com/stretchr/testify/require"
	_ "github.com/tonistiigi/go-actions-cache"
)
