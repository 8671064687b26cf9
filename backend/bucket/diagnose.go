package bucket

import (
	"context"
	"iter"

	"gocloud.dev/blob"

	"github.com/larder-build/larder/backend"
)

// Diagnose implements [backend.Diagnoser] with what is known of the service.
func (b *Backend) Diagnose(ctx context.Context, o backend.DiagnoseOptions) iter.Seq[backend.Finding] {
	return b.store.service.Diagnose(ctx, b.store.bucket, o)
}

// Diagnose yields whether the bucket can be reached, and that nothing else is
// known of it.
func (Unknown) Diagnose(ctx context.Context, b *blob.Bucket, _ backend.DiagnoseOptions) iter.Seq[backend.Finding] {
	return func(yield func(backend.Finding) bool) {
		f := backend.Finding{Check: backend.CheckEndpoint, Status: backend.FindingOK, Detail: "the bucket answers"}
		switch ok, err := b.IsAccessible(ctx); {
		case err != nil:
			f.Status, f.Detail = backend.FindingFailed, cause(err).Error()
			f.Remedy = "check the URL of the bucket and the credentials of its service"
		case !ok:
			f.Status, f.Detail = backend.FindingFailed, "there is no such bucket"
			f.Remedy = "create the bucket, or correct its name"
		}
		if yield(f) && f.Status == backend.FindingOK {
			yield(backend.Finding{
				Check: "conditions", Status: backend.FindingNote,
				Detail: "whether this service writes on conditions is not known: concurrent exports may overwrite each other",
			})
		}
	}
}
