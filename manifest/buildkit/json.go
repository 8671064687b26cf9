package buildkit

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/larder-build/larder/blob"
)

// value is one JSON value: well-formed, without space around it. A nil value
// is a field that is not there.
//
// The codec walks over bytes that encoding/json has found valid instead of
// unmarshaling them, because it must know what encoding/json does not tell:
// the fields that it does not know, those that stand twice, and the place of
// what is wrong.
type value []byte

// parse returns the one JSON value that data consists of.
func parse(data []byte) (value, error) {
	if json.Valid(data) {
		return value(bytes.Trim(data, " \t\r\n")), nil
	}
	var ignored json.RawMessage
	err := json.Unmarshal(data, &ignored)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, fmt.Errorf("is not JSON: %w at byte %d of %d", err, syntax.Offset, len(data))
	}
	return nil, fmt.Errorf("is not JSON: %w", err)
}

// absent reports whether v is not there or null, which is the same to BuildKit.
func (v value) absent() bool { return v == nil || string(v) == "null" }

// field is a field of an object. Start and End enclose its value in the bytes
// of the object; NameStart is where its name begins.
type field struct {
	name                  []byte
	value                 value
	nameStart, start, end int
}

// fields yields the fields of an object in their order.
func (v value) fields() iter.Seq[field] {
	return func(yield func(field) bool) {
		for i := v.skip(1, ""); v[i] != '}'; i = v.skip(i, ",") {
			f := field{nameStart: i}
			nameEnd := v.end(i)
			f.name = unescape(v[i:nameEnd])
			f.start = v.skip(nameEnd, ":")
			f.end = v.end(f.start)
			f.value = v[f.start:f.end]
			if i = f.end; !yield(f) {
				return
			}
		}
	}
}

// items yields the items of an array, of which an absent value has none.
func (v value) items() iter.Seq2[int, value] {
	return func(yield func(int, value) bool) {
		if v.absent() {
			return
		}
		n := 0
		for i := v.skip(1, ""); v[i] != ']'; i = v.skip(i, ",") {
			end := v.end(i)
			if !yield(n, v[i:end]) {
				return
			}
			i = end
			n++
		}
	}
}

// skip returns the position of the first byte from i on that is neither space
// nor in more.
func (v value) skip(i int, more string) int {
	for ; ; i++ {
		switch c := v[i]; c {
		case ' ', '\t', '\r', '\n':
		default:
			if more == "" || c != more[0] {
				return i
			}
		}
	}
}

// end returns where the value that begins at i ends.
func (v value) end(i int) int {
	for depth := 0; i < len(v); i++ {
		switch v[i] {
		case '"':
			i = v.endOfString(i)
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			switch depth {
			case 0: // after a number or a literal, the end of what holds it
				return i
			case 1:
				return i + 1
			}
			depth--
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// endOfString returns the position of the quote that ends the string at i.
func (v value) endOfString(i int) int {
	for i++; v[i] != '"'; i++ {
		if v[i] == '\\' {
			i++
		}
	}
	return i
}

// unescape returns the content of a string literal.
func unescape(literal []byte) []byte {
	if plain := literal[1 : len(literal)-1]; isPlain(plain) {
		return plain
	}
	var s string
	if json.Unmarshal(literal, &s) != nil {
		return literal // cannot be: the literal is valid
	}
	return []byte(s)
}

// isPlain reports whether s stands for itself in a JSON string as encoding/json
// writes it, which also escapes <, > and &.
func isPlain[T []byte | string](s T) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c >= 0x7f, c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

func (v value) text() (string, error) {
	if v.absent() {
		return "", nil
	}
	if v[0] != '"' {
		return "", v.mismatch("a string")
	}
	return string(unescape(v)), nil
}

// binary returns bytes, which JSON has as a string in base64.
func (v value) binary() ([]byte, error) {
	text, err := v.text()
	if err != nil || v.absent() {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("is not base64: %w", err)
	}
	return data, nil
}

// integer returns the whole number that v is, or missing if it is absent.
func (v value) integer(missing int64) (int64, error) {
	if v.absent() {
		return missing, nil
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil {
		return 0, v.mismatch("a whole number")
	}
	return n, nil
}

// index returns a position in a slice, which is 0 if it is left out.
func (v value) index() (int, error) {
	n, err := v.integer(0)
	if err == nil && int64(int(n)) != n {
		err = v.mismatch("a position")
	}
	return int(n), err
}

// wantArray returns an error unless v is an array or absent.
func (v value) wantArray() error {
	if v.absent() || v[0] == '[' {
		return nil
	}
	return v.mismatch("an array")
}

func (v value) mismatch(want string) error {
	return fmt.Errorf("is %s, want %s", v.quote(), want)
}

// quote shortens before it converts: a value may have megabytes.
func (v value) quote() string {
	const enough = 101
	if v[0] != '"' && len(v) < enough {
		return string(v)
	}
	return blob.Quote(string(unescapeShort(v[:min(len(v), enough)])))
}

// unescapeShort takes the opening quote off, and the closing one if it is there.
func unescapeShort(literal []byte) []byte {
	return bytes.Trim(literal, `"`)
}

// compacted returns a copy of v without space between its parts.
func (v value) compacted() json.RawMessage {
	var b bytes.Buffer
	b.Grow(len(v))
	if json.Compact(&b, v) != nil {
		return slices.Clone(json.RawMessage(v)) // cannot be: v is valid
	}
	return b.Bytes()
}

// placeError says where in a document something is wrong.
type placeError struct {
	path string
	err  error
}

func (e *placeError) Error() string {
	return strings.TrimPrefix(e.path, ".") + " " + e.err.Error()
}

func (e *placeError) Unwrap() error { return e.err }

// at puts a step of the path before err: "layers", "[3]", ".parent".
func at(step string, err error) error {
	if err == nil {
		return nil
	}
	if inner, ok := err.(*placeError); ok { //nolint:errorlint // only the error itself is extended
		return &placeError{path: step + inner.path, err: inner.err}
	}
	return &placeError{path: step, err: err}
}

func atIndex(list string, i int, err error) error {
	if err == nil {
		return nil
	}
	return at(list+"["+strconv.Itoa(i)+"]", err)
}
