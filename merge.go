package larder

import (
	"context"
	"errors"
	"fmt"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/manifest"
)

// Merge adds the records of several caches to one or several others, each blob
// being read from the first source that has it. On the same record the newest
// result is kept. What the destinations have is kept too, unless opts say
// Overwrite.
//
// Other than an [Import], Merge fails if a source cannot be read: what it
// publishes would not be what was asked for. Opts may have it do without sources
// that do not exist. Records whose blobs are missing are left out and noted.
func Merge(ctx context.Context, from, to []Target, opts ExportOptions) (*Report, error) {
	if err := checkTargets(to); err != nil {
		return &Report{Schema: Schema}, err
	}
	found, imported, err := Import(ctx, from, ImportOptions{ReadLimit: opts.ReadLimit})
	if err != nil {
		return imported, err
	}
	if err := imported.sourceErrors(opts.SkipMissing); err != nil {
		return imported, err
	}
	opts.insists = true
	report, err := Export(ctx, manifest.Merge(found.Manifest), found, to, opts)
	report.Sources = imported.Sources
	report.Degradations = append(imported.Degradations, report.Degradations...)
	return report, err
}

// sourceErrors joins the errors of all sources: with skipMissing only of those
// that exist, unless there are none of these.
func (r *Report) sourceErrors(skipMissing bool) error {
	var missing, failed []error
	for _, s := range r.Sources {
		if s.Err == nil {
			continue
		}
		err := fmt.Errorf("source %s %s: %w", s.Source, s.Ref, s.Err)
		if errors.Is(err, backend.ErrNotFound) && skipMissing {
			missing = append(missing, err)
		} else {
			failed = append(failed, err)
		}
	}
	if len(missing) == len(r.Sources) {
		failed = missing
	}
	return errors.Join(failed...)
}
