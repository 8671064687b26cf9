package backend

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// Diagnoser is an optional interface of backends that can say more about
// themselves than their methods show: where they are reached, with whose
// credentials, whether the clocks agree, what rules the store applies. What the
// methods of [Backend] show (reading, writing, ranges, listing, deleting,
// conditions on refs) is found out by the caller, for all drivers alike.
type Diagnoser interface {
	// Diagnose looks into one matter after the other, from the most basic one on
	// and starting with CheckEndpoint and CheckCredentials where they apply, and
	// yields what it finds as soon as that is known. It touches no ref or blob
	// that it has not written itself, and removes what it has, also after ctx
	// has ended and after the caller has stopped ranging; it yields a finding
	// about what has to stay.
	//
	// A failed CheckEndpoint or CheckCredentials says that nothing else can
	// work, and is the last finding.
	Diagnose(ctx context.Context, o DiagnoseOptions) iter.Seq[Finding]
}

// DiagnoseOptions are those of [Diagnoser].
type DiagnoseOptions struct {
	// ReadOnly says that nothing must be written, not for a moment either.
	ReadOnly bool
	// Refs are those that the store will be used for; there need not be such
	// refs.
	Refs []string
}

// Finding is what was found out about one matter, for a person and without any
// secret.
type Finding struct {
	// Check names the matter in a word or two: "endpoint", "clock",
	// "lifecycle rules".
	Check string `json:"check"`
	// Status says whether that is as it should be.
	Status FindingStatus `json:"status"`
	// Detail is what was found, in one line.
	Detail string `json:"detail"`
	// Remedy is what to do about it, in one line; "" if nothing.
	Remedy string `json:"remedy,omitempty"`
}

// Names of checks that mean something to the caller of a [Diagnoser].
const (
	// CheckEndpoint is about reaching the store at all.
	CheckEndpoint = "endpoint"
	// CheckCredentials is about the credentials that are needed for everything,
	// and says where they have come from. Those for writing alone have a check
	// of another name.
	CheckCredentials = "credentials"
	// CheckWrite is about writing. A driver that yields it with FindingSkipped or
	// FindingFailed knows that nothing can, or should, be written by way of trial.
	CheckWrite = "write"
)

// Remedier is an optional interface of errors that know what can be done about
// them.
type Remedier interface {
	error
	// Remedy returns one line, such as "log in first", or "".
	Remedy() string
}

// FindingStatus says how bad a finding is.
type FindingStatus string

// The statuses of findings.
const (
	// FindingOK: it was looked into and is as it should be.
	FindingOK FindingStatus = "ok"
	// FindingNote: it is a property of the store, neither good nor bad.
	FindingNote FindingStatus = "note"
	// FindingWarning: it works, but not as well or as safely as it could.
	FindingWarning FindingStatus = "warning"
	// FindingFailed: something that caches need does not work.
	FindingFailed FindingStatus = "failed"
	// FindingSkipped: it was not looked into; the detail says why.
	FindingSkipped FindingStatus = "skipped"
)

// Clocks that differ by less than clockNoise agree; tokens and signatures that
// are valid from the moment of their making on fail beyond that.
const clockNoise = time.Minute

// ClockFinding compares the time that a store has told, in the header Date of a
// response, with what our clock has said when it came. Beyond limit, unless that
// is 0, the store refuses requests: S3 and Azure do after 15 minutes.
func ClockFinding(store, ours time.Time, limit time.Duration) Finding {
	// The header has whole seconds.
	skew := ours.Sub(store).Round(time.Second)
	f := Finding{Check: "clock", Status: FindingOK, Detail: "agrees with the store's"}
	if skew.Abs() < clockNoise {
		return f
	}
	word := "ahead of"
	if skew < 0 {
		word = "behind"
	}
	f.Status = FindingWarning
	f.Detail = fmt.Sprintf("ours is %s %s the store's", skew.Abs(), word)
	f.Remedy = "set the clock of this machine, by NTP for example"
	if limit > 0 && skew.Abs() > limit {
		f.Status = FindingFailed
		f.Detail += fmt.Sprintf(", which refuses requests that are off by more than %s", limit)
	}
	return f
}
