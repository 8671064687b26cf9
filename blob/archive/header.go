package archive

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Types of tar entries (POSIX.1-2024, pax, "ustar Interchange Format").
const (
	typeRegular   = '0'
	typeHardLink  = '1'
	typeSymlink   = '2'
	typeChar      = '3'
	typeBlock     = '4'
	typeDirectory = '5'
	typeFIFO      = '6'
	typeExtended  = 'x'
)

// Where the fields of a ustar header are, and how long.
const (
	nameSize   = 100
	linkAt     = 157
	linkSize   = 100
	prefixAt   = 345
	prefixSize = 155
)

// Largest values of the numeric fields; greater ones go into the extended
// header.
const (
	maxOctal7  = 1<<21 - 1
	maxOctal11 = 1<<33 - 1
)

// header is one entry of a tar before it is written.
type header struct {
	path, link string
	kind       byte
	mode       int64
	uid, gid   int
	// size is that of the body in the tar.
	size         int64
	modTime      time.Time
	major, minor uint32
	// records go into the extended header.
	records []record
}

// record is a keyword of an extended header and its value.
type record struct{ key, value string }

// record adds a record to the extended header.
func (h *header) record(key, value string) {
	h.records = append(h.records, record{key, value})
}

// appendTo appends the header's blocks to buf.
func (h *header) appendTo(buf []byte) []byte {
	name, prefix := h.splitPath()
	link := h.shortLink()
	h.extend()
	if len(h.records) > 0 {
		body := extended(h.records)
		x := header{kind: typeExtended, mode: 0o644, size: int64(len(body)), modTime: time.Unix(0, 0)}
		buf = x.appendBlock(buf, "PaxHeaders.0/x", "", "")
		buf = pad(append(buf, body...))
	}
	return h.appendBlock(buf, name, prefix, link)
}

// splitPath divides the path over the two fields that ustar has for it, or puts
// it into the extended header.
func (h *header) splitPath() (name, prefix string) {
	p := h.path
	switch {
	case !isASCII(p):
	case len(p) <= nameSize:
		return p, ""
	default:
		cut := strings.IndexByte(p[len(p)-min(nameSize+1, len(p)):], '/')
		if cut += len(p) - min(nameSize+1, len(p)); cut > 0 && cut <= prefixSize && cut < len(p)-1 && p[cut] == '/' {
			return p[cut+1:], p[:cut]
		}
	}
	h.record("path", p)
	return shorten(p), ""
}

func (h *header) shortLink() string {
	if h.link == "" || isASCII(h.link) && len(h.link) <= linkSize {
		return h.link
	}
	h.record("linkpath", h.link)
	return shorten(h.link)
}

// shorten returns what stands in a ustar field whose value is in the extended
// header, for readers that know none.
func shorten(p string) string {
	base := []byte(path.Base(p))
	for i, c := range base {
		if c >= utf8.RuneSelf {
			base[i] = '_'
		}
	}
	return string(base[:min(len(base), nameSize-1)])
}

// extend moves what the fields cannot hold into the extended header.
func (h *header) extend() {
	if h.modTime.Nanosecond() != 0 || h.modTime.Unix() < 0 || h.modTime.Unix() > maxOctal11 {
		h.record("mtime", paxTime(h.modTime))
	}
	if h.size > maxOctal11 {
		h.record("size", strconv.FormatInt(h.size, 10))
	}
	if h.uid > maxOctal7 {
		h.record("uid", strconv.Itoa(h.uid))
	}
	if h.gid > maxOctal7 {
		h.record("gid", strconv.Itoa(h.gid))
	}
	if slices.ContainsFunc(h.records, record.isBinaryName) {
		h.record("hdrcharset", "BINARY")
	}
}

// isBinaryName reports whether a record has a name that is no UTF-8.
func (r record) isBinaryName() bool {
	return (r.key == "path" || r.key == "linkpath" || r.key == sparseName) && !utf8.ValidString(r.value)
}

// appendBlock appends one ustar header.
func (h *header) appendBlock(buf []byte, name, prefix, link string) []byte {
	start := len(buf)
	buf = append(buf, make([]byte, blockSize)...)
	b := buf[start:]
	copy(b[:nameSize], name)
	octal(b[100:108], h.mode)
	octal(b[108:116], within(int64(h.uid), maxOctal7))
	octal(b[116:124], within(int64(h.gid), maxOctal7))
	octal(b[124:136], within(h.size, maxOctal11))
	octal(b[136:148], within(h.modTime.Unix(), maxOctal11))
	b[156] = h.kind
	copy(b[linkAt:linkAt+linkSize], link)
	copy(b[257:265], "ustar\x0000")
	octal(b[329:337], int64(h.major))
	octal(b[337:345], int64(h.minor))
	copy(b[prefixAt:prefixAt+prefixSize], prefix)
	copy(b[148:156], "        ")
	var sum int64
	for _, c := range b {
		sum += int64(c)
	}
	octal(b[148:155], sum)
	return buf
}

// octal fills a field with an octal number and a NUL.
func octal(field []byte, n int64) {
	for i := len(field) - 2; i >= 0; i-- {
		field[i] = byte('0' + n&7)
		n >>= 3
	}
	field[len(field)-1] = 0
}

// within returns n, or 0 if the field cannot hold it.
func within(n, limit int64) int64 {
	if n < 0 || n > limit {
		return 0
	}
	return n
}

// extended returns the body of an extended header.
func extended(records []record) []byte {
	var body []byte
	slices.SortFunc(records, func(a, b record) int { return strings.Compare(a.key, b.key) })
	for _, r := range records {
		rest := len(r.key) + len(r.value) + len(" =\n")
		length := rest
		for n := 0; n != length; { // the length counts its own digits
			n = length
			length = rest + len(strconv.Itoa(n))
		}
		body = strconv.AppendInt(body, int64(length), 10)
		body = append(append(body, ' '), r.key...)
		body = append(append(body, '='), r.value...)
		body = append(body, '\n')
	}
	return body
}

// paxTime formats a time as seconds with a fraction.
func paxTime(t time.Time) string {
	sec, nsec := t.Unix(), int64(t.Nanosecond())
	var out []byte
	if sec < 0 && nsec > 0 {
		sec, nsec = -(sec + 1), 1e9-nsec
		out = append(out, '-')
	}
	out = strconv.AppendInt(out, sec, 10)
	if nsec == 0 {
		return string(out)
	}
	point := len(out)
	out = strconv.AppendInt(out, 1e9+nsec, 10) // with all nine digits behind a 1
	out[point] = '.'
	return strings.TrimRight(string(out), "0")
}

// pad fills buf up with zeros to the next block.
func pad(buf []byte) []byte {
	return append(buf, make([]byte, -len(buf)&(blockSize-1))...)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// specials are the bits beside the permissions, in package fs and in a tar.
var specials = [...]struct {
	mode fs.FileMode
	bit  int64
}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}}

// permissions are the bits of a tar's mode field.
func permissions(mode fs.FileMode) int64 {
	bits := int64(mode.Perm())
	for _, special := range specials {
		if mode&special.mode != 0 {
			bits |= special.bit
		}
	}
	return bits
}
