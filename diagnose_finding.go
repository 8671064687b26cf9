package larder

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/larder-build/larder/backend"
)

func finding(status backend.FindingStatus, check, format string, args ...any) backend.Finding {
	return backend.Finding{Check: check, Status: status, Detail: fmt.Sprintf(format, args...)}
}

func passed(check, format string, args ...any) backend.Finding {
	return finding(backend.FindingOK, check, format, args...)
}

func note(check, format string, args ...any) backend.Finding {
	return finding(backend.FindingNote, check, format, args...)
}

func skipped(check, format string, args ...any) backend.Finding {
	return finding(backend.FindingSkipped, check, format, args...)
}

// failedWith is the finding that err was in the way.
func failedWith(err error) backend.Finding {
	f := backend.Finding{Status: backend.FindingFailed, Remedy: remedy(err)}
	f.Detail = strings.TrimSuffix(reason(err), "; "+f.Remedy)
	return f
}

// reason is what an error says, in one line and without what was attempted,
// which stands before it as the name of the check.
func reason(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if e, is := errors.AsType[*backend.Error](err); is {
		attempt := fmt.Sprintf("%s: %s: ", e.Backend, strings.TrimSpace(e.Op+" "+e.Key))
		text = strings.Replace(text, attempt, "", 1)
	}
	return text
}

// remedies say what to do about errors that do not know it themselves.
var remedies = []struct {
	kind error
	text string
}{
	{backend.ErrDenied, "check the permissions, or the credentials and what they are allowed to do"},
	{backend.ErrReadOnly, "use credentials that may write, or diagnose for reading only"},
	{backend.ErrLimited, "free space or raise the quota; of a rate limit, try again later"},
	{backend.ErrExists, "exempt refs whose names begin with " + probeName + " from the rule that protects them, and those of caches too"},
	{backend.ErrTooLarge, "raise the limit of size of the store, or of the proxy in front of it"},
	{backend.ErrCorrupt, "find out what changes bytes on the way: a proxy, a disk, the store itself"},
	{backend.ErrNotFound, "create the bucket, container or repository first, or correct its name"},
	{backend.ErrInvalid, "correct the location"},
	{context.DeadlineExceeded, "check the address, the network, proxies and firewalls: there was no answer in time"},
	{backend.ErrUnavailable, "check the address, the network, proxies and firewalls, and whether the store is up"},
}

// remedy returns what to do about an error, or "".
func remedy(err error) string {
	if r, is := errors.AsType[backend.Remedier](err); is && r.Remedy() != "" {
		return r.Remedy()
	}
	for _, r := range remedies {
		if errors.Is(err, r.kind) {
			return r.text
		}
	}
	return ""
}
