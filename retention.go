package larder

import (
	"slices"

	"github.com/larder-build/larder/manifest"
)

// bound returns what the bounds leave of a manifest that has the key which is
// saved, and the other keys that have to go.
func (s *save) bound(m *manifest.Manifest) (kept *manifest.Manifest, left []string) {
	if s.opts.MaxAge == 0 && s.opts.MaxKeys == 0 {
		return m, nil
	}
	now := s.opts.Export.Now()
	stay := 1
	for _, k := range datedKeys(m) { // the newest first
		switch {
		case k.key == s.key:
		case s.opts.MaxAge > 0 && now.Sub(k.saved) > s.opts.MaxAge, s.opts.MaxKeys > 0 && stay >= s.opts.MaxKeys:
			left = append(left, k.key)
		default:
			stay++
		}
	}
	if len(left) == 0 {
		return m, nil
	}
	return withoutKeys(m, left), left
}

// fading reports whether a directory that has not changed is to be published
// anew, because otherwise its key would leave for its age though it is in use.
func (s *save) fading(d savedDirectory) bool {
	return s.opts.MaxAge > 0 && s.opts.Export.Now().Sub(d.createdAt) > s.opts.MaxAge/2
}

// withoutKeys returns a manifest without the directories of some keys.
func withoutKeys(m *manifest.Manifest, keys []string) *manifest.Manifest {
	rest := *m
	rest.Records = slices.Clone(m.Records)
	index := manifest.NewIndex(m)
	for _, key := range keys {
		for _, root := range index.Roots(manifest.KeyDigest(key)) {
			for i, r := range m.Records {
				if dependsOn(r, root) {
					rest.Records[i].Results = nil
				}
			}
		}
	}
	return rest.Compact()
}
