package larder

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/scope"
)

// Report says what a verb did. Its JSON form is stable under [Schema].
type Report struct {
	// Schema is the version of the JSON form.
	Schema string `json:"schema"`
	// Targets has an entry for each target that was written to, in the order
	// given.
	Targets []*TargetReport `json:"targets,omitempty"`
	// Sources has an entry for each target that was read, in the order given.
	Sources []*SourceReport `json:"sources,omitempty"`
	// Recompressed counts the layers of a copy that were compressed anew.
	Recompressed *Recompressed `json:"recompressed,omitempty"`
	// Degradations are what went less well than it should have, beyond what
	// concerns a single target.
	Degradations []Degradation `json:"degradations,omitempty"`
}

// Outcome is how writing a target ended.
type Outcome string

// The outcomes.
const (
	// Published: the ref points to a new document.
	Published Outcome = "published"
	// Unchanged: the ref already had exactly this content.
	Unchanged Outcome = "unchanged"
	// Skipped: there was nothing to publish.
	Skipped Outcome = "skipped"
	// Removed: the ref does not exist any more.
	Removed Outcome = "removed"
	// Failed: the ref is as it was; Err says why.
	Failed Outcome = "failed"
)

// TargetReport says what was done to one target.
type TargetReport struct {
	// Target names the backend's location, without secrets, and Ref the ref.
	Target string `json:"target"`
	Ref    string `json:"ref"`
	// Outcome is how it ended, and Err why, if it failed.
	Outcome Outcome `json:"outcome"`
	Err     error   `json:"-"`
	// Digest is the digest of the document that the ref points to.
	Digest blob.Digest `json:"digest,omitempty"`
	// Replaced is the digest of the image that the ref pointed to before a cache
	// was attached, and Attached the number of records of that cache whose result
	// the image has.
	Replaced blob.Digest `json:"replaced,omitempty"`
	Attached int         `json:"attached,omitempty"`
	// Sent, Reused and Mounted count the blobs that were uploaded, that were
	// there already, and that the store took over without an upload.
	Sent    Count `json:"sent"`
	Reused  Count `json:"reused"`
	Mounted Count `json:"mounted"`
	// Requests counts the requests sent, by operation, where the driver tells.
	Requests map[string]int `json:"requests,omitempty"`
	// Retries counts what was tried again, and Waited the time spent waiting
	// for that.
	Retries int           `json:"retries"`
	Waited  time.Duration `json:"waitedNanoseconds"`
	// Dropped are the keys of directories that left the ref, see [SaveOptions].
	Dropped []string `json:"dropped,omitempty"`
	// Degradations are what went less well than it should have.
	Degradations []Degradation `json:"degradations,omitempty"`

	mu      sync.Mutex
	counter *backend.Trace // or nil
}

// Count is a number of blobs and their bytes.
type Count struct {
	Blobs int   `json:"blobs"`
	Bytes int64 `json:"bytes"`
}

func (c *Count) add(size int64) {
	c.Blobs++
	c.Bytes += size
}

// uncount takes a blob from one of the target's counts.
func (t *TargetReport) uncount(c *Count, size int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.Blobs--
	c.Bytes -= size
}

// DegradationKind tells what went less well than it should have.
type DegradationKind string

// The kinds of degradation.
const (
	// UnguardedPublish: the store cannot compare and swap, so that another
	// exporter's update may have been lost.
	UnguardedPublish DegradationKind = "unguarded-publish"
	// RecordsShed: the oldest records were left out so that BuildKit can import
	// the manifest.
	RecordsShed DegradationKind = "records-shed"
	// BlobLost: a blob is missing or corrupt; the records that need it are left
	// out.
	BlobLost DegradationKind = "blob-lost"
	// DocumentDamaged: a part of a document could not be used.
	DocumentDamaged DegradationKind = "document-damaged"
	// PreviousUnreadable: what the ref pointed to could not be understood and
	// was replaced.
	PreviousUnreadable DegradationKind = "previous-unreadable"
	// SourceMissing and SourceFailed: a source of an import had nothing, or
	// could not be read.
	SourceMissing DegradationKind = "source-missing"
	SourceFailed  DegradationKind = "source-failed"
	// NothingToPublish: there was no result to export.
	NothingToPublish DegradationKind = "nothing-to-publish"
	// AttestationsStale: a cache was attached to images of which an index holds
	// attestations; those are about the images as they were before.
	AttestationsStale DegradationKind = "attestations-stale"
	// DirectoryMissing: a key lacks a directory that is wanted, and was passed over.
	DirectoryMissing DegradationKind = "directory-missing"
	// NotRemembered: the state of a directory could not be written down, so that
	// its files are read the next time.
	NotRemembered DegradationKind = "not-remembered"
	// WriteOmitted: the store takes no more writes from here, and what was to be
	// written is not there.
	WriteOmitted DegradationKind = "write-omitted"
	// NotRemoved: a corrupt blob could not be removed from the store, which
	// therefore may take it for present.
	NotRemoved DegradationKind = "not-removed"
)

// Degradation is something that went less well than it should have.
type Degradation struct {
	Kind DegradationKind `json:"kind"`
	// Target is the location concerned, or "".
	Target string `json:"target,omitempty"`
	// Blob is the blob concerned, or "".
	Blob blob.Digest `json:"blob,omitempty"`
	// Detail says it in words, without secrets.
	Detail string `json:"detail"`
}

func newReport(to ...Target) *Report {
	r := &Report{Schema: Schema}
	for _, t := range to {
		r.Targets = append(r.Targets, &TargetReport{Target: t.Backend.Info().Location, Ref: t.Ref})
	}
	return r
}

// forgot notes that the state of a directory could not be written down.
func (r *Report) forgot(path string, err error) {
	r.Degradations = append(r.Degradations, Degradation{Kind: NotRemembered, Detail: fmt.Sprintf("directory %s: %v", path, err)})
}

// degrade notes a degradation of the target.
func (t *TargetReport) degrade(kind DegradationKind, d blob.Digest, detail string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Degradations = append(t.Degradations, Degradation{Kind: kind, Target: t.Target, Blob: d, Detail: detail})
}

// count adds a blob to one of the target's counts.
func (t *TargetReport) count(c *Count, size int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.add(size)
}

// fail records err as the reason why no target was written.
func (r *Report) fail(err error) {
	for _, t := range r.Targets {
		t.Outcome, t.Err = Failed, err
	}
}

// fail records err as the reason why the target was not written.
func (t *TargetReport) fail(err error) error {
	t.Outcome, t.Err = Failed, err
	return err
}

// MarshalJSON adds the text of Err as "error".
func (t *TargetReport) MarshalJSON() ([]byte, error) {
	type plain TargetReport // without this method
	out := struct {
		*plain
		Error string `json:"error,omitempty"`
	}{plain: (*plain)(t)}
	if t.Err != nil {
		out.Error = t.Err.Error()
	}
	return json.Marshal(out)
}

// trace returns what counts requests and retries into t: always the same, so that
// what is done for several calls counts once.
func (t *TargetReport) trace() *backend.Trace {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counter == nil {
		t.counter = t.newTrace()
	}
	return t.counter
}

func (t *TargetReport) newTrace() *backend.Trace {
	return &backend.Trace{
		Request: func(op string) {
			t.mu.Lock()
			defer t.mu.Unlock()
			if t.Requests == nil {
				t.Requests = make(map[string]int)
			}
			t.Requests[op]++
		},
		Retry: func(_ string, _ error, wait time.Duration) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.Retries++
			t.Waited += wait
		},
	}
}

// SourceReport says what a source of an import gave.
type SourceReport struct {
	// Source names the backend's location, without secrets, and Ref the ref.
	Source string `json:"source"`
	Ref    string `json:"ref"`
	// Digest is that of the document found, or "".
	Digest blob.Digest `json:"digest,omitempty"`
	// Records and Layers count what it has, Lost the records that cannot be
	// used because a blob is missing.
	Records int `json:"records"`
	Layers  int `json:"layers"`
	Lost    int `json:"lost"`
	// Serves counts the records with a result that it was the first to have: what
	// the sources before it lack.
	Serves int `json:"serves"`
	// Reason and Trust are those of the plan's entry, if there is a plan.
	Reason scope.Reason `json:"reason,omitempty"`
	Trust  scope.Trust  `json:"trust,omitempty"`
	// Err is why it gave nothing: ErrNotFound if there is no such cache.
	Err error `json:"-"`
}

// MarshalJSON adds the text of Err as "error".
func (s *SourceReport) MarshalJSON() ([]byte, error) {
	type plain SourceReport // without this method
	out := struct {
		*plain
		Error string `json:"error,omitempty"`
	}{plain: (*plain)(s)}
	if s.Err != nil {
		out.Error = s.Err.Error()
	}
	return json.Marshal(out)
}
