package scope

import (
	"encoding/hex"
	"slices"
	"strings"
)

// escape returns a part of a name in pieces at whose ends it may be cut. The
// first part of a branch's name must not be taken for something else.
func escape(part string, first bool) []string {
	var pieces []string
	for i := 0; i < len(part); {
		n := 1
		switch c := part[i]; {
		case mustSpell(part, i, first):
			for n = 1; i+n < len(part) && mustSpell(part, i+n, first); n++ {
			}
			pieces = append(pieces, "_."+hex.EncodeToString([]byte(part[i:i+n]))+"_")
		case isUpper(c):
			n = capitals(part[i:])
			pieces = append(pieces, "_"+strings.TrimPrefix(string(rune('0'+n)), "1")+strings.ToLower(part[i:i+n]))
		case c == '/':
			pieces = append(pieces, "__")
		case c == '_':
			pieces = append(pieces, "_-")
		default:
			pieces = append(pieces, part[i:i+1])
		}
		i += n
	}
	return pieces
}

// capitals counts the capital letters at the start of s, up to 9.
func capitals(s string) int {
	n := 1
	for n < len(s) && n < 9 && isUpper(s[n]) {
		n++
	}
	return n
}

// mustSpell reports whether the byte at i of a part has to be given in
// hexadecimal digits.
func mustSpell(part string, i int, first bool) bool {
	start, end := i == 0, i == len(part)-1
	switch c := part[i]; {
	case isLower(c), isDigit(c), isUpper(c):
		return start && first && misleading(part)
	case c == '/':
		return false
	case c == '.':
		return start || end || part[i:] == reservedSuffix
	case c == '-':
		// Two hyphens separate parts. The one before may be that of "_-".
		return start || end || part[i-1] == '-' || part[i-1] == '_'
	case c == '_':
		return end
	default:
		return true
	}
}

// reservedSuffix ends the refs beside a scope's in which larder keeps
// directories.
const reservedSuffix = ".dirs"

// devices are the names that Windows keeps for itself, in any case and with any
// extension (learn.microsoft.com, "Naming Files, Paths, and Namespaces").
func devices() []string {
	all := []string{"con", "prn", "aux", "nul"}
	for _, port := range []string{"com", "lpt"} {
		for digit := range "0123456789" {
			all = append(all, port+string(rune('0'+digit)))
		}
	}
	return all
}

// misleading reports whether a branch's name, as it is, would be a device of
// Windows or tell of another kind of scope.
func misleading(part string) bool {
	base, _, _ := strings.Cut(part, ".")
	if slices.Contains(devices(), base) {
		return true
	}
	for _, word := range kindWords() {
		if part == word {
			return true
		}
	}
	return false
}

// unescape is the reverse of escape for well-formed parts. It says if it comes
// upon a hash, and ok unless there is no sense in the part.
func unescape(part string) (text string, hashed, ok bool) {
	var b strings.Builder
	for i := 0; i < len(part); {
		c := part[i]
		if c != '_' {
			if !isLower(c) && !isDigit(c) && c != '.' && c != '-' {
				return "", false, false
			}
			b.WriteByte(c)
			i++
			continue
		}
		if rest, found := strings.CutPrefix(part[i:], hashMark); found {
			_, err := hashEncoding.DecodeString(rest)
			return "", err == nil && len(rest) == hashLength, false
		}
		raw, n := unescapeOne(part[i+1:])
		if n == 0 {
			return "", false, false
		}
		b.WriteString(raw)
		i += 1 + n
	}
	return b.String(), false, true
}

// unescapeOne returns what the n bytes after an underscore stand for; n is 0 if
// that is nothing.
func unescapeOne(s string) (raw string, n int) {
	switch {
	case s == "":
		return "", 0
	case s[0] == '_':
		return "/", 1
	case s[0] == '-':
		return "_", 1
	case isLower(s[0]):
		return strings.ToUpper(s[:1]), 1
	case isDigit(s[0]):
		n = int(s[0]-'0') + 1
		if len(s) < n {
			return "", 0
		}
		return strings.ToUpper(s[1:n]), n
	}
	digits, _, found := strings.Cut(s[1:], "_")
	bytes, err := hex.DecodeString(digits)
	if s[0] != '.' || !found || err != nil {
		return "", 0
	}
	return string(bytes), len(digits) + 2
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
