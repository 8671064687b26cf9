package larder

import "github.com/larder-build/larder/blob"

// Progress receives the steps of a transfer as they happen, for a person to
// watch. It may be called at the same time from several goroutines, and what
// it does slows the transfer down: hand on and return.
type Progress func(Step)

// StepKind is what happened to a blob.
type StepKind string

// The kinds of steps. Each blob on each target ends in exactly one of
// StepReused, StepMounted, StepSent, StepFetched and StepFailed; only a blob that
// a manifest promises in vain counts as reused at first.
const (
	// StepPlanned: the blob is part of the transfer; Bytes is its size.
	StepPlanned StepKind = "planned"
	// StepMoved: Bytes more have been read for this blob. If a blob has to be
	// sent again they are taken back by a negative number.
	StepMoved StepKind = "moved"
	// StepReused: the store already has the blob.
	StepReused StepKind = "reused"
	// StepMounted: the store took the blob over from another place by itself.
	StepMounted StepKind = "mounted"
	// StepSent: the blob was uploaded.
	StepSent StepKind = "sent"
	// StepFetched: the blob was read and verified.
	StepFetched StepKind = "fetched"
	// StepFailed: the blob could not be stored, or read.
	StepFailed StepKind = "failed"
)

// Step is one step of a transfer.
type Step struct {
	Kind StepKind
	// Target is the index of the target among those that are written; of Save,
	// that of the directory, and of Restore 0.
	Target int
	// Blob is the digest of the blob, but see [SaveOptions].
	Blob blob.Digest
	// Bytes is the size of the blob, of a StepMoved how many have been read
	// since the one before.
	Bytes int64
}

func (p Progress) step(kind StepKind, target int, d blob.Digest, bytes int64) {
	if p != nil {
		p(Step{Kind: kind, Target: target, Blob: d, Bytes: bytes})
	}
}
