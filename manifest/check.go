package manifest

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/larder-build/larder/blob"
)

// Check returns an error matching [blob.ErrInvalid] unless m holds together: it
// refuses what makes BuildKit ignore a whole cache on import, and digests that
// no store can hold. The error names the place. What costs only a part of the
// cache, such as a layer without a diffID, passes; see [Manifest.Unusable].
//
// Check takes time linear in the size of m and uses no recursion, so that it is
// safe on documents made to do harm.
func (m *Manifest) Check() error {
	for i, l := range m.Layers {
		if err := m.checkLayer(l); err != nil {
			return fmt.Errorf("%w: layers[%d].%w", blob.ErrInvalid, i, err)
		}
	}
	if err := m.checkParentLoops(); err != nil {
		return err
	}
	for i, r := range m.Records {
		if err := m.checkRecord(r); err != nil {
			return fmt.Errorf("%w: records[%d].%w", blob.ErrInvalid, i, err)
		}
	}
	return m.checkRecordLoops()
}

func (m *Manifest) checkLayer(l Layer) error {
	if err := checkDigest("digest", l.Digest); err != nil {
		return err
	}
	if l.DiffID != "" {
		if err := checkDigest("diffID", l.DiffID); err != nil {
			return err
		}
	}
	if l.Size < 0 {
		return fmt.Errorf("size is %d, want 0 or more", l.Size)
	}
	return checkRange("parent", l.Parent, NoParent, len(m.Layers))
}

// checkParentLoops relies on parentsFirst: along a loop of parents the
// positions cannot all go down.
func (m *Manifest) checkParentLoops() error {
	position := make([]int, len(m.Layers))
	for p, i := range m.parentsFirst() {
		position[i] = p
	}
	for i, l := range m.Layers {
		if l.Parent != NoParent && position[l.Parent] >= position[i] {
			return fmt.Errorf("%w: layers[%d].parent leads back to layers[%d]", blob.ErrInvalid, i, i)
		}
	}
	return nil
}

func (m *Manifest) checkRecord(r Record) error {
	if r.Digest == "" || !isPrintable(string(r.Digest)) {
		return fmt.Errorf("digest is %s, want printable text", blob.Quote(string(r.Digest)))
	}
	for i, input := range r.Inputs {
		if err := m.checkInput(input); err != nil {
			return fmt.Errorf("inputs[%d]%w", i, err)
		}
	}
	for i, result := range r.Results {
		if err := m.checkResult(result); err != nil {
			return fmt.Errorf("results[%d].%w", i, err)
		}
	}
	return nil
}

func (m *Manifest) checkInput(input []Link) error {
	if len(input) == 0 {
		return fmt.Errorf(" has no alternative")
	}
	for i, link := range input {
		if err := checkRange("record", link.Record, 0, len(m.Records)); err != nil {
			return fmt.Errorf("[%d].%w", i, err)
		}
		// JSON cannot carry it: it would come back as another selector.
		if !utf8.ValidString(link.Selector) {
			return fmt.Errorf("[%d].selector is %s, want UTF-8", i, blob.Quote(link.Selector))
		}
	}
	return nil
}

func (m *Manifest) checkResult(r Result) error {
	if r.Chain == nil {
		return checkRange("layer", r.Layer, 0, len(m.Layers))
	}
	if len(r.Chain) == 0 {
		return fmt.Errorf("chain has no layer")
	}
	for i, layer := range r.Chain {
		if err := checkRange(fmt.Sprintf("chain[%d]", i), layer, 0, len(m.Layers)); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manifest) checkRecordLoops() error {
	order := m.inputsFirst()
	if len(order) == len(m.Records) {
		return nil
	}
	ordered := make([]bool, len(m.Records))
	for _, i := range order {
		ordered[i] = true
	}
	i := m.findLoop(ordered)
	return fmt.Errorf("%w: records[%d].inputs lead back to records[%d]", blob.ErrInvalid, i, i)
}

// findLoop returns a record on a loop. A record that is not ordered has an
// input that is not either, so following those must come round.
func (m *Manifest) findLoop(ordered []bool) int {
	i := 0
	for ordered[i] {
		i++
	}
	seen := make([]bool, len(m.Records))
	for !seen[i] {
		seen[i] = true
		i = m.firstInput(i, func(j int) bool { return !ordered[j] })
	}
	return i
}

// firstInput returns the first record that record i links to and want accepts,
// or i.
func (m *Manifest) firstInput(i int, want func(int) bool) int {
	for _, input := range m.Records[i].Inputs {
		for _, link := range input {
			if want(link.Record) {
				return link.Record
			}
		}
	}
	return i
}

func checkDigest(name string, d blob.Digest) error {
	if blob.CheckDigest(d) != nil {
		return fmt.Errorf("%s is %s, want sha256: and 64 lower-case hexadecimal digits", name, blob.Quote(string(d)))
	}
	return nil
}

// checkRange returns an error unless low <= value < end.
func checkRange(name string, value, low, end int) error {
	if value >= low && value < end {
		return nil
	}
	if end <= 0 && low == 0 {
		return fmt.Errorf("%s is %d, but there are none", name, value)
	}
	return fmt.Errorf("%s is %d, want %d to %d", name, value, low, end-1)
}

func isPrintable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
