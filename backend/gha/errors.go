package gha

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/calls"
)

// errExists says that an entry is there, or reserved.
var errExists = errors.New("an entry of this key is there or reserved")

// ResponseError is a refusal in the service's own words, for [errors.As].
type ResponseError struct {
	// Host is who has answered: the service, or where it keeps content.
	Host string
	// Status is the HTTP status.
	Status int
	// Code is the service's own, such as resource_exhausted, or "".
	Code string
	// Message is what the service says, or "".
	Message string
	// Hint is what to do about it, or "".
	Hint string
}

var _ backend.Remedier = (*ResponseError)(nil)

// Error describes the refusal without any secret.
func (e *ResponseError) Error() string {
	parts := []string{fmt.Sprintf("%s answered %d %s", e.Host, e.Status, http.StatusText(e.Status)), e.Code, e.Message}
	text := strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), ": ")
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Remedy implements [backend.Remedier].
func (e *ResponseError) Remedy() string { return e.Hint }

// maxAnswer is how much of an answer is read that is no content, in bytes.
const maxAnswer = 1 << 20

// refusal translates an answer that is no success, and closes it. What it says is
// told without the secrets of the request.
func refusal(resp *http.Response, now time.Time, secrets ...string) error {
	defer func() { _ = resp.Body.Close() }()
	e := &ResponseError{Host: resp.Request.URL.Host, Status: resp.StatusCode}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what there is has to do
	e.Code, e.Message = reasonIn(body)
	e.Code, e.Message = clean(e.Code, secrets...), clean(e.Message, secrets...)
	f := judge(e)
	f.RetryAfter = calls.RetryAfter(resp.Header, now)
	return f
}

// reasonIn reads the code and the message of an error document: of one of the
// service's versions, or of Azure. It may begin with a byte order mark, or be a
// page for people.
func reasonIn(body []byte) (code, message string) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	var service struct {
		Code, Msg        string // of the second version
		TypeKey, Message string // of the first
	}
	if json.Unmarshal(body, &service) == nil {
		return cmp.Or(service.Code, service.TypeKey), cmp.Or(service.Msg, service.Message)
	}
	var azure struct{ Code, Message string }
	if xml.Unmarshal(body, &azure) == nil {
		// The identifier and the time follow, in lines of their own.
		message, _, _ = strings.Cut(azure.Message, "\nRequestId:")
		return azure.Code, message
	}
	return "", ""
}

// The beginnings of what the service says when a token may not do something.
// Its own client goes by them too.
//
// Source: github.com/actions/toolkit, packages/cache/src/cache.ts.
const (
	writeDenied  = "cache write denied:"
	readDenied   = "cache read denied:"
	budgetDenied = "insufficient usage"
)

// retired is a part of what github.com says of the first version.
const retired = "legacy service is shutting down"

// judge returns what a refusal means, and sets its hint.
func judge(e *ResponseError) *bucket.Failure {
	f := &bucket.Failure{Kind: backend.ErrUnavailable, Err: e}
	switch {
	case strings.Contains(e.Message, retired):
		e.Hint = "this service speaks the second version of the protocol alone: use url_v2 with what runners have in " + envSecond
		f.Kind = backend.ErrUnsupported
	case strings.Contains(e.Message, budgetDenied):
		e.Hint = "the storage that is paid for is used up"
		f.Kind, f.Omittable = backend.ErrLimited, true
	case e.Status == http.StatusTooManyRequests:
		f.Kind, f.Temporary = backend.ErrLimited, true
	case strings.Contains(e.Message, writeDenied):
		e.Hint = "the token of this trigger may only read"
		f.Kind, f.Omittable = backend.ErrReadOnly, true
	case strings.Contains(e.Message, readDenied):
		e.Hint = "the token of this trigger may not read"
		f.Kind = backend.ErrDenied
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		f.Kind = backend.ErrDenied
	case e.Status == http.StatusNotFound, e.Status == http.StatusGone:
		f.Kind = backend.ErrNotFound
	case e.Status >= http.StatusInternalServerError, e.Status == http.StatusRequestTimeout:
		f.Temporary = true
	}
	return f
}

// secretsIn returns what gives access to content, in the forms in which a server
// may repeat it.
func secretsIn(signed *url.URL) []string {
	const least = 8 // shorter values are no secrets, and would redact words
	var all []string
	for _, values := range signed.Query() {
		for _, value := range values {
			if len(value) >= least {
				all = append(all, value, url.QueryEscape(value))
			}
		}
	}
	return all
}

// secretLike matches what may be a signature, a token or a signed URL.
var secretLike = regexp.MustCompile(`(?i)https?://[^\s"'<>]+\?[^\s"'<>]*|sig=[^\s&"'<>]*|ey[\w-]+\.[\w-]+\.[\w-]*|bearer\s+\S+`)

// clean makes one line of a text, of a bounded length and without secrets: those
// that are known, and what looks like one.
func clean(s string, secrets ...string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "REDACTED")
		}
	}
	return calls.OneLine(secretLike.ReplaceAllString(s, "REDACTED"))
}

// unexpected is an answer that makes no sense.
func unexpected(host, format string, args ...any) error {
	return &bucket.Failure{Kind: backend.ErrUnavailable, Err: fmt.Errorf(host+" answered "+format, args...)}
}
