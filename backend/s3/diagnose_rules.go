package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/larder-build/larder/backend"
)

// lookAtLifecycle looks for rules that remove what is in use: content is renewed
// when it is older than half of the refresh bound.
func (d *diagnosis) lookAtLifecycle(ctx context.Context) {
	const check = "lifecycle rules"
	out, err := d.client.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &d.bucket})
	if err = d.translate(err); err != nil {
		d.unknown(check, "s3:GetLifecycleConfiguration", "none", err)
		return
	}
	shortest, aborts := d.shortest(out.Rules)
	const remedy = "let objects below the prefix expire after more days, or set a shorter touch_refresh"
	switch limit := describedAge(shortest); {
	case shortest == 0:
		d.Found(backend.FindingNote, check, "", "none of %d removes objects of caches by age", len(out.Rules))
	case shortest <= d.refreshAge:
		d.Found(backend.FindingFailed, check, remedy, "objects expire after %s, which is no longer than touch_refresh, %s: caches lose blobs that are in use", limit, d.refreshAge)
	case shortest <= 2*d.refreshAge:
		d.Found(backend.FindingWarning, check, remedy, "objects expire after %s, which is less than twice touch_refresh, %s", limit, d.refreshAge)
	default:
		d.Found(backend.FindingOK, check, "", "objects expire after %s; those in use are renewed within %s", limit, d.refreshAge)
	}
	if !aborts {
		d.Found(backend.FindingNote, "unfinished uploads", "add a rule AbortIncompleteMultipartUpload of some days", "no rule removes those that a killed process leaves")
	}
}

// shortest returns the least age at which a rule removes objects of caches, or
// 0, and whether one removes unfinished uploads.
func (d *diagnosis) shortest(rules []types.LifecycleRule) (age time.Duration, aborts bool) {
	for _, r := range rules {
		if r.Status != types.ExpirationStatusEnabled || !d.concerns(r) {
			continue
		}
		aborts = aborts || r.AbortIncompleteMultipartUpload != nil
		if r.Expiration == nil || r.Expiration.Days == nil {
			continue
		}
		days := time.Duration(aws.ToInt32(r.Expiration.Days)) * 24 * time.Hour
		if age == 0 || days < age {
			age = days
		}
	}
	return age, aborts
}

// concerns reports whether a rule is about objects of caches. One by tags is
// not: there are none.
func (d *diagnosis) concerns(r types.LifecycleRule) bool {
	//lint:ignore SA1019 Old rules have it there.
	prefix := aws.ToString(r.Prefix) //nolint:staticcheck // As said above.
	if f := r.Filter; f != nil {
		if f.Tag != nil || f.And != nil && len(f.And.Tags) > 0 {
			return false
		}
		prefix += aws.ToString(f.Prefix)
		if f.And != nil {
			prefix += aws.ToString(f.And.Prefix)
		}
	}
	for _, keys := range []string{d.keys.Blobs, d.keys.Manifests} {
		if strings.HasPrefix(keys, prefix) || strings.HasPrefix(prefix, keys) {
			return true
		}
	}
	return false
}

// lookAtVersioning looks whether what is deleted and renewed really goes.
func (d *diagnosis) lookAtVersioning(ctx context.Context) {
	const check = "versioning"
	out, err := d.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &d.bucket})
	switch err = d.translate(err); {
	case err != nil:
		d.unknown(check, "s3:GetBucketVersioning", "off", err)
	case out.Status == types.BucketVersioningStatusEnabled:
		d.Found(backend.FindingWarning, check, "add a rule NoncurrentVersionExpiration, or suspend versioning",
			"on: whatever is deleted, replaced or renewed is kept and paid for")
	default:
		d.Found(backend.FindingOK, check, "", "off")
	}
}

// lookAtUploads counts uploads that were left.
func (d *diagnosis) lookAtUploads(ctx context.Context) {
	const check = "unfinished uploads"
	prefix := d.keys.Blobs
	out, err := d.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &d.bucket, Prefix: &prefix})
	if err = d.translate(err); err != nil {
		d.unknown(check, "s3:ListBucketMultipartUploads", "none", err)
		return
	}
	old := 0
	for _, u := range out.Uploads {
		if u.Initiated != nil && d.now().Sub(*u.Initiated) > 24*time.Hour {
			old++
		}
	}
	if old > 0 {
		d.Found(backend.FindingWarning, check, "add a lifecycle rule AbortIncompleteMultipartUpload, or abort them",
			"%d are older than a day, and paid for", old)
		return
	}
	d.Found(backend.FindingOK, check, "", "%d, none older than a day", len(out.Uploads))
}

// unknown yields what is to be said if a question about the bucket was not
// answered, absent being the answer of a bucket that has nothing of the kind.
func (d *diagnosis) unknown(check, right, absent string, err error) {
	switch {
	case errors.Is(err, backend.ErrDenied):
		d.Found(backend.FindingSkipped, check, "", "the credentials do not allow to ask (%s)", right)
	case errors.Is(err, backend.ErrNotFound), errors.Is(err, backend.ErrUnsupported):
		d.Found(backend.FindingNote, check, "", "%s", absent)
	default:
		d.Found(backend.FindingSkipped, check, "", "%s", fmt.Sprint(err))
	}
}
