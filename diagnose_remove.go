package larder

import (
	"context"
	"errors"
	"strings"

	"github.com/larder-build/larder/backend"
)

// remove removes what was written, whether ctx has ended or not, and says what
// came of it: that it can be done is one more thing to know.
func (p *probe) remove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	stay := p.removeRefs(ctx)
	if !stay { // the blobs of a ref that stays belong to it
		p.removeBlobs(ctx)
	}
	if len(p.report.Left) > 0 {
		var names []string
		for _, l := range p.report.Left {
			names = append(names, l.Kind+" "+l.Name)
		}
		f := note("left behind", "%s", strings.Join(names, ", "))
		f.Remedy = "remove it by the store's own means, or leave it: it is small, and nothing refers to it"
		p.found(f)
	}
}

// removeRefs removes the refs and reports whether one has to stay.
func (p *probe) removeRefs(ctx context.Context) (stay bool) {
	var failed error
	for _, ref := range p.refs {
		err := p.backend.DeleteRef(ctx, ref, backend.Always)
		if err != nil && !p.isGone(ctx, ref) {
			failed, stay = err, true
			p.left("ref", ref)
		}
	}
	if p.published { // to remove nothing proves nothing
		p.found(removal("delete refs", failed))
	}
	return stay
}

// isGone reports whether there certainly is no ref, or document, of a name.
func (p *probe) isGone(ctx context.Context, name string) bool {
	_, err := p.backend.GetRef(ctx, name)
	return errors.Is(err, backend.ErrNotFound) || errors.Is(err, backend.ErrInvalid)
}

// removeBlobs removes the blobs, and the documents where the store keeps them
// like blobs.
func (p *probe) removeBlobs(ctx context.Context) {
	if len(p.blobs) == 0 {
		return
	}
	err := p.backend.Delete(ctx, append(p.blobs, p.documents...)...)
	if p.stored { // likewise
		p.found(removal("delete blobs", err))
	}
	if err != nil {
		p.leave(ctx)
	}
	for _, d := range p.documents {
		if !p.isGone(ctx, d.String()) {
			p.left("document", d.String())
		}
	}
}

// leave notes which blobs are still there.
func (p *probe) leave(ctx context.Context) {
	there, err := p.backend.Stat(ctx, p.blobs...)
	for _, d := range p.blobs {
		if _, is := there[d]; is || err != nil {
			p.left("blob", d.String())
		}
	}
}

func (p *probe) left(kind, name string) {
	p.report.Left = append(p.report.Left, Leftover{Kind: kind, Name: name})
}

// removal is the finding about a removal that ended with err.
func removal(check string, err error) backend.Finding {
	switch {
	case err == nil:
		return passed(check, "possible")
	case errors.Is(err, backend.ErrUnsupported):
		return note(check, "not possible: %s", reason(err))
	case errors.Is(err, backend.ErrDenied):
		f := failedWith(err) // exports and imports do without
		f.Check, f.Status = check, backend.FindingWarning
		return f
	default:
		f := failedWith(err)
		f.Check = check
		return f
	}
}
