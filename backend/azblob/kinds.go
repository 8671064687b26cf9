package azblob

import (
	"net/http"
	"strconv"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/calls"
)

// kinds are what the service's codes mean that their status does not tell.
//
// Source: learn.microsoft.com/rest/api/storageservices/blob-service-error-codes.
var kinds = map[string]error{
	"AccountBeingCreated":      backend.ErrUnavailable,
	"AccountIsDisabled":        backend.ErrDenied,
	"BlobAlreadyExists":        backend.ErrConflict,
	"BlobArchived":             backend.ErrUnavailable,
	"BlobBeingRehydrated":      backend.ErrUnavailable,
	"BlobImmutableDueToPolicy": backend.ErrReadOnly,
	"BlobOverwritten":          backend.ErrUnavailable,
	"BlockCountExceedsLimit":   backend.ErrLimited,
	"BlockListTooLong":         backend.ErrTooLarge,
	"ConditionNotMet":          backend.ErrConflict,
	"ContainerBeingDeleted":    backend.ErrUnavailable,
	"ContainerDisabled":        backend.ErrDenied,
	"Crc64Mismatch":            backend.ErrCorrupt,
	"LeaseIdMissing":           backend.ErrDenied, // no lost race: the lease stays
	"Md5Mismatch":              backend.ErrCorrupt,
	"OperationTimedOut":        backend.ErrUnavailable,
	"PendingCopyOperation":     backend.ErrUnavailable,
	"ServerBusy":               backend.ErrLimited,
	"SnapshotsPresent":         backend.ErrUnsupported,
}

// kindOf returns what a refusal means, and whether the same request may succeed
// later.
func kindOf(code string, status int) (kind error, temporary bool) {
	switch code {
	case "ServerBusy", "ContainerBeingDeleted", "AccountBeingCreated", "OperationTimedOut", "BlobOverwritten", "PendingCopyOperation":
		return kinds[code], true
	}
	if kind, ok := kinds[code]; ok {
		return kind, false
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return backend.ErrDenied, false
	case http.StatusNotFound, http.StatusGone:
		return backend.ErrNotFound, false
	case http.StatusPreconditionFailed:
		return backend.ErrConflict, false
	case http.StatusConflict: // not between writers, but with what is there
		return backend.ErrExists, false
	case http.StatusRequestedRangeNotSatisfiable:
		return bucket.ErrRange, false
	case http.StatusRequestEntityTooLarge:
		return backend.ErrTooLarge, false
	case http.StatusTooManyRequests:
		return backend.ErrLimited, true
	case http.StatusRequestTimeout:
		return backend.ErrUnavailable, true
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return backend.ErrUnsupported, false
	}
	if status >= http.StatusBadRequest && status < http.StatusInternalServerError {
		return backend.ErrInvalid, false
	}
	// A redirect or a success that is not the one expected comes from somebody
	// in between.
	return backend.ErrUnavailable, status >= http.StatusInternalServerError
}

// retryAfter reads the headers with which the service asks for a pause.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.Atoi(h.Get("X-Ms-Retry-After-Ms")); err == nil {
		return max(0, time.Duration(ms)*time.Millisecond)
	}
	return calls.RetryAfter(h, now)
}
