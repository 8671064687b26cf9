package gcs

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"cloud.google.com/go/storage"
	"gocloud.dev/blob"
	"google.golang.org/api/googleapi"

	"github.com/larder-build/larder/backend"
)

// Diagnose implements [bucket.Service]. It writes nothing.
func (s *service) Diagnose(ctx context.Context, b *blob.Bucket, _ backend.DiagnoseOptions) iter.Seq[backend.Finding] {
	return func(yield func(backend.Finding) bool) {
		_, _, err := b.ListPage(ctx, blob.FirstPageToken, 1, nil)
		for _, f := range s.reached(err) {
			if !yield(f) || f.Status == backend.FindingFailed {
				return
			}
		}
		for _, f := range s.rules(ctx) {
			if !yield(f) {
				return
			}
		}
	}
}

// reached says what the first request has shown: that of a listing, which is
// all that is asked of a bucket.
func (s *service) reached(err error) []backend.Finding {
	endpoint := backend.Finding{Check: backend.CheckEndpoint, Status: backend.FindingOK, Detail: s.endpoint.String() + " answers"}
	if s.endpoint.Scheme == "http" {
		endpoint.Status = backend.FindingNote
		endpoint.Detail += ", without TLS"
	}
	credentials := backend.Finding{Check: backend.CheckCredentials, Status: backend.FindingOK, Detail: s.source}
	here := backend.Finding{Check: "bucket", Status: backend.FindingOK, Detail: s.name + " is there and can be listed"}
	refused, answered := errors.AsType[*googleapi.Error](err)
	meaning := s.Explain(err)
	switch {
	case err == nil:
	case !answered && errors.Is(meaning.Kind, backend.ErrDenied):
		credentials.Status, credentials.Detail = backend.FindingFailed, s.source+" give no token: "+s.textOf(err)
		credentials.Remedy = "log in with gcloud auth application-default login, or set credentials_file"
		return []backend.Finding{endpoint, credentials}
	case !answered:
		endpoint.Status, endpoint.Detail = backend.FindingFailed, s.endpoint.String()+": "+s.textOf(err)
		endpoint.Remedy = "check endpoint_url, the network and its proxy"
		return []backend.Finding{endpoint}
	case refused.Code == http.StatusUnauthorized:
		credentials.Status, credentials.Detail = backend.FindingFailed, s.textOf(err)
		credentials.Remedy = "log in with gcloud auth application-default login, or set credentials_file"
		return append([]backend.Finding{endpoint}, append(s.clock(), credentials)...)
	case errors.Is(meaning.Kind, backend.ErrNotFound):
		here.Status, here.Detail, here.Remedy = backend.FindingFailed, s.textOf(err), "create the bucket "+s.name+", or correct the attribute bucket"
	case errors.Is(meaning.Kind, backend.ErrDenied):
		here.Status, here.Detail = backend.FindingWarning, "it cannot be listed: "+s.textOf(err)
		here.Remedy = "grant the role Storage Object User (roles/storage.objectUser) on the bucket"
	default:
		here.Status, here.Detail = backend.FindingFailed, s.textOf(err)
	}
	return append(append([]backend.Finding{endpoint}, s.clock()...), credentials, here)
}

// clock compares the clocks. The service does not mind, but tokens are made by
// ours.
func (s *service) clock() []backend.Finding {
	if s.transport == nil || s.transport.clock.Load() == nil {
		return nil
	}
	c := s.transport.clock.Load()
	return []backend.Finding{backend.ClockFinding(c.theirs, c.ours, 0)}
}

// rules says what the bucket does by itself to what is in it.
func (s *service) rules(ctx context.Context) []backend.Finding {
	attrs, err := s.client.Bucket(s.name).Attrs(ctx)
	if err != nil {
		return []backend.Finding{{
			Check: "lifecycle rules", Status: backend.FindingSkipped,
			Detail: "the bucket's settings cannot be read, which needs storage.buckets.get: " + s.textOf(err),
		}}
	}
	return append(s.lifecycle(attrs), protection(attrs)...)
}

// lifecycle compares the age at which objects are deleted with that at which
// they are renewed.
func (s *service) lifecycle(attrs *storage.BucketAttrs) []backend.Finding {
	f := backend.Finding{Check: "lifecycle rules", Status: backend.FindingNote, Detail: "none: what is not pruned stays"}
	for _, rule := range attrs.Lifecycle.Rules {
		if rule.Action.Type != storage.DeleteAction || rule.Condition.AgeInDays <= 0 || rule.Condition.Liveness == storage.Archived {
			continue
		}
		age := time.Duration(rule.Condition.AgeInDays) * 24 * time.Hour
		if age > 2*s.refreshAge {
			f.Status, f.Detail = backend.FindingOK, fmt.Sprintf("objects are deleted after %d days, and renewed before", rule.Condition.AgeInDays)
			continue
		}
		f.Status = backend.FindingWarning
		f.Detail = fmt.Sprintf("objects are deleted after %d days; blobs that are in use are renewed when they are older than %s",
			rule.Condition.AgeInDays, s.refreshAge/2)
		f.Remedy = fmt.Sprintf("set touch_refresh to less than %s, or the rule to more days", age/2)
		break
	}
	return []backend.Finding{f}
}

// protection says what keeps objects from being replaced or deleted, and what
// that costs.
func protection(attrs *storage.BucketAttrs) []backend.Finding {
	var findings []backend.Finding
	add := func(check string, status backend.FindingStatus, detail, remedy string) {
		findings = append(findings, backend.Finding{Check: check, Status: status, Detail: detail, Remedy: remedy})
	}
	if p := attrs.RetentionPolicy; p != nil && p.RetentionPeriod > 0 {
		add("retention policy", backend.FindingFailed, fmt.Sprintf("objects cannot be replaced or deleted for %s, refs neither", p.RetentionPeriod),
			"use a bucket without a retention policy")
	}
	if attrs.VersioningEnabled {
		add("versioning", backend.FindingWarning, "on: every replaced ref and pruned blob stays as a noncurrent version",
			"turn versioning off, or add a lifecycle rule for noncurrent versions")
	}
	if p := attrs.SoftDeletePolicy; p != nil && p.RetentionDuration > 0 {
		add("soft delete", backend.FindingNote, fmt.Sprintf("what is replaced or deleted is kept, and paid for, for %s", p.RetentionDuration),
			"set the bucket's soft delete duration to 0 to save that")
	}
	if c := attrs.StorageClass; c == "NEARLINE" || c == "COLDLINE" || c == "ARCHIVE" {
		add("storage class", backend.FindingWarning, c+": reading costs extra, and so does deleting or renewing early", "use a bucket of the class STANDARD")
	}
	if attrs.RequesterPays {
		add("requester pays", backend.FindingNote, "on: whoever reads is billed", "set user_project to the project that pays")
	}
	return findings
}
