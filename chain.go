package larder

import (
	"context"

	"github.com/larder-build/larder/manifest"
)

// Chain is what an import of a plan's places found.
type Chain struct {
	*Imported
	// From are the places that were read, in order.
	From []Place
}

// Import imports the places that the plan reads, as [Import] does. The report
// says of each source what it was for.
func (b *Binding) Import(ctx context.Context, opts ImportOptions) (*Chain, *Report, error) {
	found, report, err := Import(ctx, Targets(b.Read), opts)
	report.Degradations = append(report.Degradations, b.Degradations...)
	for i, s := range report.Sources {
		s.Reason, s.Trust = b.Read[i].Reason, b.Read[i].Trust
	}
	if err != nil {
		return nil, report, err
	}
	return &Chain{Imported: found, From: b.Read}, report, nil
}

// Record returns the place that serves a record, by its position in the
// manifest.
func (c *Chain) Record(i int) Place { return c.From[c.Origins.Records[i]] }

// Layer returns the places that hold a layer, by its position in the manifest,
// in the order in which they are tried.
func (c *Chain) Layer(i int) []Place {
	var all []Place
	for _, source := range c.Origins.Layers[i] {
		all = append(all, c.From[source])
	}
	return all
}

// Export exports to the places that the plan writes, as [Export] does. The error
// is that of the policy: nil if as many places as it demands were written, while
// the report has the outcome of each. A plan that writes nothing is done at once.
func (b *Binding) Export(ctx context.Context, m *manifest.Manifest, content Content, policy Policy, opts ExportOptions) (*Report, error) {
	if len(b.Write) == 0 {
		return &Report{Schema: Schema, Degradations: []Degradation{{Kind: NothingToPublish, Detail: "the plan has no place to write to"}}}, nil
	}
	report, err := Export(ctx, m, content, Targets(b.Write), opts)
	return report, policy.Judge(report, err)
}
