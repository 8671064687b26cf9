package blob

import "io/fs"

// The errors of this package, for [errors.Is]. Package backend has the full
// set, of which these are a part.
var (
	// ErrCorrupt says that bytes are not what their digest, size or diffID says.
	ErrCorrupt error = &Sentinel{text: "corrupt"}
	// ErrInvalid says that an argument or a document is malformed. It matches
	// [fs.ErrInvalid].
	ErrInvalid error = &Sentinel{text: "invalid", std: fs.ErrInvalid}
	// ErrTooLarge says that something exceeds a limit.
	ErrTooLarge error = &Sentinel{text: "too large"}
)

// Sentinel is an error to be compared with [errors.Is]. It may stand for one
// of the standard library's: then it matches that one too, without repeating
// its text.
type Sentinel struct {
	text string
	std  error
}

// NewSentinel returns a sentinel with the given text that also matches std,
// which may be nil.
func NewSentinel(text string, std error) *Sentinel {
	return &Sentinel{text: text, std: std}
}

// Error returns the text of the sentinel.
func (s *Sentinel) Error() string { return s.text }

// Unwrap returns the standard library's error that s stands for, or nil.
func (s *Sentinel) Unwrap() error { return s.std }
