package larder

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Policy says which of several targets have to be written for a fan-out to
// count as done. The zero value demands all.
type Policy struct {
	// Any is content with one target.
	Any bool
	// Required are the targets that have to be written, with what became of the
	// others being only reported. They are known by their positions among those
	// that were given. Nil leaves the decision to Any.
	Required []int
}

// Judge returns err, the error of a verb that wrote several targets, unless its
// report shows that the policy is satisfied. A target is written if it was
// published, had the content already, or there was nothing to publish. What is
// returned names the targets that would have been needed.
func (p Policy) Judge(report *Report, err error) error {
	if err == nil || len(report.Targets) == 0 {
		return err
	}
	var needed, failed []error
	for i, t := range report.Targets {
		if t.Err == nil {
			continue
		}
		reason := fmt.Errorf("%s %s: %w", t.Target, t.Ref, t.Err)
		failed = append(failed, reason)
		if p.Required == nil || slices.Contains(p.Required, i) {
			needed = append(needed, reason)
		}
	}
	switch {
	case len(failed) == 0:
		return err // it is about no target in particular
	case p.Required == nil && p.Any && len(failed) < len(report.Targets):
		return nil
	}
	return errors.Join(needed...)
}

// String says the policy in words.
func (p Policy) String() string {
	switch {
	case p.Required != nil:
		return "required: " + strings.Trim(fmt.Sprint(p.Required), "[]")
	case p.Any:
		return "any"
	default:
		return "all"
	}
}
