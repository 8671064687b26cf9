// Package githubactions has a ready workflow for GitHub Actions, cache.yml, and
// tests that run it as the runner does, on a cache service in the process.
package githubactions
