package backend

import "fmt"

// Condition is what must hold for a ref to be written or deleted: [Always],
// [Absent] or [Match]. The zero value is Always.
type Condition struct {
	absent  bool
	version Version
}

var (
	// Always is the condition that always holds.
	Always = Condition{}
	// Absent holds as long as the ref does not exist.
	Absent = Condition{absent: true}
)

// Match holds as long as the ref has the given version. An empty version is
// the same as [Absent], so that the version of a ref that was looked for and
// not found can be passed on.
func Match(v Version) Condition {
	return Condition{absent: v == "", version: v}
}

// IsAlways reports whether c always holds.
func (c Condition) IsAlways() bool { return c == Always }

// IsAbsent reports whether c asks that the ref does not exist.
func (c Condition) IsAbsent() bool { return c.absent }

// Version returns the version that c asks for; ok is false if it asks for none.
func (c Condition) Version() (v Version, ok bool) { return c.version, c.version != "" }

// Holds reports whether c is satisfied by a ref of the given version, where ""
// means that there is no such ref.
func (c Condition) Holds(current Version) bool {
	return c.IsAlways() || c.version == current
}

// String returns "always", "absent" or "match VERSION".
func (c Condition) String() string {
	switch {
	case c.absent:
		return "absent"
	case c.version != "":
		return fmt.Sprintf("match %s", c.version)
	default:
		return "always"
	}
}
