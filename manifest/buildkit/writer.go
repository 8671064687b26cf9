package buildkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/larder-build/larder/manifest"
)

// writer writes compact JSON with the fields in the order of the calls, byte
// for byte as encoding/json writes a struct. It keeps the first error.
type writer struct {
	bytes.Buffer
	err error
}

// open begins an object or an array, and shut ends it.
func (w *writer) open(bracket byte) { w.WriteByte(bracket) }
func (w *writer) shut(bracket byte) { w.WriteByte(bracket) }

// next separates what follows from what came before in the same brackets.
func (w *writer) next() {
	switch b := w.Bytes(); b[len(b)-1] {
	case '{', '[':
	default:
		w.WriteByte(',')
	}
}

// name begins a field.
func (w *writer) name(name string) {
	w.next()
	w.text(name)
	w.WriteByte(':')
}

func (w *writer) textField(name, text string) {
	w.name(name)
	w.text(text)
}

func (w *writer) numberField(name string, n int64) {
	w.name(name)
	w.number(n)
}

func (w *writer) timeField(name string, t time.Time) {
	w.name(name)
	text, err := t.MarshalText() // plain in JSON, too
	w.fail(err)
	w.WriteByte('"')
	w.Write(text)
	w.WriteByte('"')
}

func (w *writer) number(n int64) {
	w.Write(strconv.AppendInt(w.AvailableBuffer(), n, 10))
}

func (w *writer) text(s string) {
	if isPlain(s) {
		w.WriteByte('"')
		w.WriteString(s)
		w.WriteByte('"')
		return
	}
	quoted, err := json.Marshal(s)
	w.fail(err)
	w.Write(quoted)
}

// timeText returns t in RFC 3339 with nanoseconds, in its own zone.
func (w *writer) timeText(t time.Time) string {
	text, err := t.MarshalText()
	w.fail(err)
	return string(text)
}

// unknown writes fields that this codec does not know, sorted by name. It
// refuses those that it does know: a reader would find them twice.
func (w *writer) unknown(fields manifest.Fields, known []string) {
	if len(fields) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) {
			w.fail(fmt.Errorf("unknown fields have one named %s, which is not unknown", name))
			return
		}
		w.name(name)
		if err := json.Compact(&w.Buffer, fields[name]); err != nil {
			w.fail(fmt.Errorf("the value of the unknown field %s is not JSON: %w", name, err))
			return
		}
	}
}

func (w *writer) stringMap(m map[string]string) {
	w.open('{')
	for _, name := range slices.Sorted(maps.Keys(m)) {
		w.textField(name, m[name])
	}
	w.shut('}')
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}
