package calls

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Refusal puts into words how a service refuses a request: what it has answered,
// its code and message, its name for the request, where the credentials have come
// from that it has refused, and what to do about it. What is "" is left out.
func Refusal(answer, code, message, request, credentials, hint string) string {
	said := slices.DeleteFunc([]string{answer, code, message}, func(s string) bool { return s == "" })
	text := strings.Join(said, ": ")
	if request != "" {
		text += " (request " + request + ")"
	}
	if credentials != "" {
		text += "; credentials: " + credentials
	}
	if hint != "" {
		text += "; " + hint
	}
	return text
}

// RetryAfter reads the header of that name, in seconds or as a date; 0 is none.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

// maxLine is how many bytes of a service's words are repeated.
const maxLine = 1 << 10

// OneLine makes one line of a text of somebody else's, of a bounded length and
// without control characters.
func OneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if len(s) > maxLine {
		s = strings.ToValidUTF8(s[:maxLine], "") + "…"
	}
	return s
}
