package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"

	"github.com/larder-build/larder/blob"
)

// style is how text for people looks.
type style struct {
	color   bool
	noTrunc bool
	now     time.Time
}

// paint wraps text in a control sequence of ECMA-48, "select graphic rendition".
func (s style) paint(code int, text string) string {
	if !s.color || text == "" {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", code, text)
}

func (s style) bold(text string) string   { return s.paint(1, text) }
func (s style) red(text string) string    { return s.paint(31, text) }
func (s style) green(text string) string  { return s.paint(32, text) }
func (s style) yellow(text string) string { return s.paint(33, text) }

// shortDigest is how many hexadecimal digits of a digest are shown.
const shortDigest = 12

// digest shortens a digest. What is not one, such as the key of a record of
// another tool, is shown as it is.
func (s style) digest(d blob.Digest) string {
	if s.noTrunc || blob.CheckDigest(d) != nil {
		return printable(string(d))
	}
	return d.Encoded()[:shortDigest]
}

// time shows a time in UTC and how long ago it was.
func (s style) time(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05") + " (" + humanize.RelTime(*t, s.now, "ago", "from now") + ")"
}

// size shows a number of bytes, right-aligned in eight columns.
func size(n int64) string { return fmt.Sprintf("%8s", bytesText(n)) }

// bytesText shows a number of bytes in powers of 1024.
func bytesText(n int64) string {
	if n < 0 {
		return "-" + humanize.IBytes(uint64(-n))
	}
	return humanize.IBytes(uint64(n))
}

// count shows a number of things: "1 blob", "1,200 blobs".
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return humanize.Comma(int64(n)) + " " + thing
}

// elapsed shows how long something took.
func elapsed(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}

// table prints rows in aligned columns, the first row being the heading.
func (s style) table(w io.Writer, rows [][]string) {
	var text strings.Builder
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		// A strings.Builder takes every write.
		_, _ = fmt.Fprintln(columns, strings.Join(row, "\t"))
	}
	_ = columns.Flush()
	heading, rest, _ := strings.Cut(text.String(), "\n")
	_, _ = fmt.Fprintf(w, "%s\n%s", s.bold(heading), rest)
}

// fields prints names with their values, aligned.
func fields(w io.Writer, pairs ...string) {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		_, _ = fmt.Fprintf(columns, "%s\t%s\n", pairs[i], pairs[i+1])
	}
	_ = columns.Flush()
}

// maxText is the longest text of foreign origin that is shown, in bytes.
const maxText = 2000

// printable returns text that a terminal shows as it is: what a cache, or an
// error of a store, says may hold control sequences.
func printable(text string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
	if !strings.ContainsFunc(text, unprintable) {
		return text
	}
	quoted := strconv.Quote(text)
	return quoted[1 : len(quoted)-1]
}

// shellWord quotes a text, if it has to be, so that a POSIX shell takes it for
// one word.
func shellWord(text string) string {
	special := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_=+,./:@%", r)
	}
	if text != "" && !strings.ContainsFunc(text, special) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
