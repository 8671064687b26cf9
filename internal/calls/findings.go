package calls

import (
	"errors"
	"fmt"
	"strings"

	"github.com/larder-build/larder/backend"
)

// Findings yields what a diagnosis finds until nobody wants more.
type Findings struct {
	yield func(backend.Finding) bool
	over  bool
}

// NewFindings returns findings for yield.
func NewFindings(yield func(backend.Finding) bool) *Findings { return &Findings{yield: yield} }

// Over reports whether nobody wants more.
func (f *Findings) Over() bool { return f.over }

// Pass yields a finding. It reports whether more are wanted.
func (f *Findings) Pass(found backend.Finding) bool {
	if !f.over {
		f.over = !f.yield(found)
	}
	return !f.over
}

// Found yields a finding in the words of a format. It reports whether more are
// wanted.
func (f *Findings) Found(status backend.FindingStatus, check, remedy, format string, args ...any) bool {
	return f.Pass(backend.Finding{Check: check, Status: status, Remedy: remedy, Detail: fmt.Sprintf(format, args...)})
}

// Failed yields the finding that an error is in the way, whose own remedy comes
// before the given one. It reports whether more are wanted.
func (f *Findings) Failed(status backend.FindingStatus, check, remedy string, err error) bool {
	if e, ok := errors.AsType[*backend.Error](err); ok && e.Err != nil {
		err = e.Err
	}
	detail := err.Error()
	if e, ok := errors.AsType[backend.Remedier](err); ok && e.Remedy() != "" {
		remedy = e.Remedy()
		detail = strings.TrimSuffix(detail, "; "+remedy)
	}
	return f.Pass(backend.Finding{Check: check, Status: status, Remedy: remedy, Detail: detail})
}
