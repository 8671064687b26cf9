package azblob

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/calls"
)

// sas looks at what a SAS says of itself.
func (d *diagnosis) sas(context.Context) bool {
	const check = "SAS"
	a := d.store.account
	if a.sas == nil {
		return true
	}
	var missing []string
	for _, p := range []string{"r", "w", "d", "l"} {
		if !strings.Contains(a.sas.Get("sp"), p) {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 && a.sas.Get("sp") != "" { // those of a stored access policy are not in it
		detail := fmt.Sprintf("permits %s, and lacks %s", calls.OneLine(a.sas.Get("sp")), strings.Join(missing, ", "))
		if !d.found(check, backend.FindingNote, detail, "make one with r, w, d and l unless that is meant") {
			return false
		}
	}
	end := a.sasEnd()
	left := end.Sub(d.store.opts.Now())
	switch {
	case end.IsZero():
		return true
	case left < soon:
		return d.found(check, backend.FindingWarning, "ends at "+end.UTC().Format(time.RFC3339), "make a new one for "+a.setting)
	default:
		return d.found(check, backend.FindingOK, "ends at "+end.UTC().Format(time.RFC3339), "")
	}
}

// container looks at the container's own rules. Those whose credentials do not
// reach that far can do without.
func (d *diagnosis) container(ctx context.Context) bool {
	const check = "container"
	resp, err := d.store.container.GetProperties(ctx, nil)
	if err != nil {
		return d.found(check, backend.FindingSkipped, "its properties cannot be read with these credentials", "")
	}
	if value(resp.HasLegalHold, false) || value(resp.HasImmutabilityPolicy, false) {
		detail := "has a legal hold or a policy of immutability: refs may not be replaced, and nothing pruned"
		return d.found(check, backend.FindingWarning, detail, "use a container without either")
	}
	if access := value(resp.BlobPublicAccess, ""); access != "" {
		return d.found(check, backend.FindingWarning, "lets everybody read: public access is "+string(access), "disable public access of the container, unless the caches are for everybody")
	}
	return d.found(check, backend.FindingOK, "neither public nor immutable", "")
}

// account looks at what kind of account it is.
func (d *diagnosis) account(ctx context.Context) bool {
	const check = "account"
	resp, err := d.store.container.GetAccountInfo(ctx, nil)
	if err != nil {
		return d.found(check, backend.FindingSkipped, "its kind cannot be read with these credentials", "")
	}
	detail := fmt.Sprintf("%s %s", value(resp.AccountKind, "kind unknown"), value(resp.SKUName, ""))
	if value(resp.IsHierarchicalNamespaceEnabled, false) {
		detail += ", with a hierarchical namespace: no ref can have the name of another's directory"
	}
	return d.found(check, backend.FindingNote, strings.TrimSpace(detail), "")
}

// lifecycle says what rules must respect, which only management shows.
func (d *diagnosis) lifecycle(context.Context) bool {
	age := d.store.opts.RefreshAge
	switch {
	case age == 0:
		age = bucket.DefaultRefreshAge
	case age < 0:
		age = 0
	}
	detail := fmt.Sprintf("not visible with credentials for data; blobs that are in use are renewed when they are put after %v", age/2)
	return d.found("lifecycle rules", backend.FindingSkipped, detail, fmt.Sprintf("see that no rule deletes what was modified within %v", age+24*time.Hour))
}
