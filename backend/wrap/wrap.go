// Package wrap has backends that wrap another one and add to it what no driver
// need do for itself: observation, checks of arguments, verification of what is
// read, retries, a limit of concurrency, and an end to calls that hang.
//
// [Recommended] puts them together in the order that is right:
//
//	Observe > Check > Verify > Retry > Limit > Timeout > driver
//
// Observe sees what the caller sees. Check refuses what must never travel.
// Verify hashes the bytes behind Retry, so that the seam where a broken body
// was resumed is verified too. Limit is inside of Retry, so that a call that
// waits to be tried again occupies no slot, and Timeout inside of Limit, so
// that it measures the store and not the queue.
//
// [ReadOnly], [WriteOnly] and [OnlyRefs] restrict what may be done.
//
// Wrappers that may be bypassed without harm are a [backend.Unwrapper]; [Check]
// and those that restrict enforce something, are not, and pass on the optional
// interfaces of package backend themselves. Closing a wrapper closes what it
// wraps.
package wrap

import "github.com/larder-build/larder/backend"

// Options are those of [Recommended]. The zero value has every safeguard on
// and observes nothing.
type Options struct {
	// Observer is told of every call. Nil means that there is none.
	Observer *Observer

	// NoCheck leaves out Check.
	NoCheck bool
	// NoVerify leaves out Verify: content that a store has damaged is then
	// handed out like any other.
	NoVerify bool

	// Retry says how often and how long to try.
	Retry RetryOptions
	// NoRetry leaves out Retry.
	NoRetry bool

	// Limiter bounds the operations under way, those of other backends that
	// share it included. Nil means one of DefaultLimit for this backend alone.
	Limiter *Limiter
	// NoLimit leaves out Limit.
	NoLimit bool

	// Timeout says how long a store may keep a call without progress.
	Timeout TimeoutOptions
	// NoTimeout leaves out Timeout.
	NoTimeout bool
}

// DefaultLimit is how many operations [Recommended] allows at a time: as many
// small blobs as the verbs move at once, which hides round trips of 20 ms. With
// 16, an export of small layers to a registry at that distance takes 2.5 times
// as long.
const DefaultLimit = 64

// gatheringLimit is DefaultLimit where blobs that are put at the same time are
// stored together (Info.Gathers): most of the calls wait for one.
const gatheringLimit = 1024

func defaultLimit(b backend.Backend) int {
	if b.Info().Gathers > 0 {
		return gatheringLimit
	}
	return DefaultLimit
}

// Recommended returns b behind all wrappers of this package but those that
// restrict it, in the order that the package comment explains, without those that
// o leaves out.
func Recommended(b backend.Backend, o Options) backend.Backend {
	if !o.NoTimeout {
		b = Timeout(b, o.Timeout)
	}
	if !o.NoLimit {
		limiter := o.Limiter
		if limiter == nil {
			limiter = NewLimiter(defaultLimit(b))
		}
		b = Limit(b, limiter)
	}
	if !o.NoRetry {
		b = Retry(b, o.Retry)
	}
	if !o.NoVerify {
		b = Verify(b)
	}
	if !o.NoCheck {
		b = Check(b)
	}
	if o.Observer != nil {
		b = Observe(b, *o.Observer)
	}
	return b
}
