package scope

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"slices"
	"strings"
)

// MaxName is the length of the longest name in bytes. A registry's tag may have
// 128; the rest is left for those who keep something beside a scope's cache and
// append to its name.
const MaxName = 100

// ErrHashed is returned by [ParseName] for names that are too long to spell
// their scope. It is to be had from whatever the name was stored with.
var ErrHashed = errors.New("the name ends in a hash in place of the rest")

// separator stands between the parts of a name and occurs in none of them.
const separator = "--"

// hashMark begins the hash at the end of a long name. No escape does.
const hashMark = "_0"

// hashEncoding spells 160 bits in 32 characters.
var hashEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const hashLength = 32

// kindWords begin the names of scopes that are no branches.
func kindWords() map[Kind]string {
	return map[Kind]string{Branch: "", PullRequest: "pr", Tag: "tag", Commit: "commit"}
}

func kindWord(k Kind) (string, bool) {
	word, ok := kindWords()[k]
	return word, ok
}

// Name returns the name of the scope's ref on a store, or an error matching
// [ErrInvalid]. No two scopes have the same, not even on a store that ignores
// case, and each is valid as the tag of a registry, the key of an object, the
// scope of a GitHub cache and the name of a file, on Windows too. They stay
// readable:
//
//	branch main           main
//	branch feature/a      feature__a
//	branch JIRA-123_Fix   _4jira-123_-_fix
//	pull request 12       pr--12
//	tag v1.2, target app  tag--v1.2--app
//
// A slash is written "__" and an underscore "_-". "_" makes the next letter a
// capital, and a digit after it as many as it says. All else stands in
// hexadecimal digits between "_." and "_": what is neither a letter, digit, dot
// nor hyphen, and what would be misread, such as a hyphen after another, a dot
// at the end, the first letter of Windows's "con", or that of a branch which is
// called "tag". [ParseName] undoes it. Names that would be longer than
// [MaxName] end in "_0" and a hash.
func (s Scope) Name() (string, error) {
	if err := s.Check(); err != nil {
		return "", err
	}
	var pieces []string
	for i, part := range s.parts() {
		if i > 0 {
			pieces = append(pieces, separator)
		}
		pieces = append(pieces, escape(part, i == 0 && s.Kind == Branch)...)
	}
	return shorten(pieces), nil
}

// parts are what a name consists of, those that are empty at the end left out.
func (s Scope) parts() []string {
	parts := []string{s.Ref, s.Target, s.Platform}
	if word, _ := kindWord(s.Kind); word != "" {
		parts = slices.Insert(parts, 0, word)
	}
	for parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	return parts
}

// shorten joins the pieces of a name, and replaces the last ones by a hash of
// all if they are too many.
func shorten(pieces []string) string {
	name := strings.Join(pieces, "")
	if len(name) <= MaxName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	start, room := "", MaxName-len(hashMark)-hashLength
	for _, piece := range pieces {
		if len(start)+len(piece) > room {
			break
		}
		start += piece
	}
	return start + hashMark + hashEncoding.EncodeToString(sum[:])[:hashLength]
}

// ParseName returns the scope that a name spells, which has exactly this name.
// It returns [ErrHashed] for a name that ends in a hash, and an error matching
// [ErrInvalid] for one that is no scope's: a ref that somebody else wrote.
func ParseName(name string) (Scope, error) {
	parts := strings.Split(name, separator)
	for i, part := range parts {
		text, hashed, ok := unescape(part)
		switch {
		case hashed && len(name) <= MaxName && i == len(parts)-1:
			return Scope{}, ErrHashed
		case hashed || !ok:
			return Scope{}, invalidf("%q is not the name of a scope", name)
		}
		parts[i] = text
	}
	s := scopeOf(parts, !strings.HasPrefix(name, "_"))
	if again, err := s.Name(); err != nil || again != name {
		return Scope{}, invalidf("%q is not the name of a scope", name)
	}
	return s, nil
}

// scopeOf is the reverse of parts. The first word tells the kind unless it was
// escaped.
func scopeOf(parts []string, plain bool) Scope {
	s := Scope{Kind: Branch}
	for kind, word := range kindWords() {
		if plain && word != "" && parts[0] == word {
			s.Kind = kind
			parts = parts[1:]
			break
		}
	}
	for i, field := range []*string{&s.Ref, &s.Target, &s.Platform} {
		if i < len(parts) {
			*field = parts[i]
		}
	}
	if len(parts) > 3 {
		return Scope{}
	}
	return s
}
