package larder

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/manifest"
)

// publishStored publishes m without what needs blobs that the target has not
// taken.
func (p *publisher) publishStored(ctx context.Context, m *manifest.Manifest, t *transfer) error {
	if len(p.omitted) == 0 {
		return p.publish(ctx, m, t)
	}
	omitted := slices.Sorted(maps.Keys(p.omitted))
	gone := make(map[blob.Digest]bool, len(omitted))
	for _, d := range omitted {
		gone[d] = true
	}
	stored, lost := m.WithoutBlobs(gone)
	p.report.degrade(WriteOmitted, "", fmt.Sprintf("%d blobs and the %d records that need them were left out: %v", len(omitted), lost.Records, p.omitted[omitted[0]]))
	if stored.IsEmpty() {
		p.report.Outcome = Skipped
		return nil
	}
	return p.publish(ctx, stored, t)
}

// skip notes that the target takes no writes.
func (p *publisher) skip(why error) {
	p.report.Outcome = Skipped
	p.report.degrade(WriteOmitted, "", fmt.Sprintf("the ref was left as it is: %v", why))
}
