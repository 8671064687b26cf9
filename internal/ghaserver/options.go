package ghaserver

import (
	"net/http"
	"time"
)

// Options chooses what the service is like. The zero value is GitHub's: strict,
// with its lifetimes of URLs, and without limits, delays and quirks.
type Options struct {
	// Now is the clock; nil means [time.Now].
	Now func() time.Time
	// Latency passes before each request is looked at.
	Latency time.Duration
	// Intercept may answer a request in place of the service, and reports
	// whether it has. Nil answers none.
	Intercept func(w http.ResponseWriter, r *http.Request) bool
	// Contents keeps what is uploaded; nil means that the service does, in memory.
	Contents Contents
	// ContentHost returns the host in signed URLs; nil means the one that the client
	// has asked. GitHub's own client speaks to hosts of Azure in another way than to
	// others.
	ContentHost func() string

	Limits
	Quirks
}

// Limits are what the service refuses or forgets.
type Limits struct {
	// Creations is how many entries may be reserved in each period of Per, by
	// all clients together: GitHub's are 200 a minute. 0 means no limit.
	Creations int
	Per       time.Duration
	// UploadLife and DownloadLife are how long signed URLs are valid; 0 means
	// GitHub's hour and 10 minutes.
	UploadLife, DownloadLife time.Duration
	// ReservationLife is how long an entry that was never finalized blocks its
	// key; 0 means forever.
	ReservationLife time.Duration
	// VisibleAfter is how long a finalized entry is not found yet.
	VisibleAfter time.Duration
	// Quota is how many bytes there may be; beyond, the entries that were used
	// least recently are evicted. 0 means no limit.
	Quota int64
	// RESTRequests is how many requests the REST API takes in an hour: GitHub's
	// takes 1000 with a job's token. 0 means no limit.
	RESTRequests int
	// BudgetExhausted refuses to create entries because nobody pays for more.
	BudgetExhausted bool
}

// Quirks are those of other implementations of the protocol.
type Quirks struct {
	// SoftExists answers 200 and ok=false, not 409, if an entry exists: Gitea and
	// falcondev/github-actions-cache-server do.
	SoftExists bool
	// ExactKey takes only restore keys for prefixes, as cirruslabs/omni-cache does.
	ExactKey bool
	// IgnoreRange answers ranged requests with everything, as
	// falcondev/github-actions-cache-server does.
	IgnoreRange bool
	// PlainURLs are without a query, as falcondev's.
	PlainURLs bool
	// SDKBlocks refuses block ids that are not in the form of Azure's SDKs for Go
	// or JavaScript, from which falcondev and omni-cache read the number of the
	// block.
	SDKBlocks bool
	// NoHead refuses to answer HEAD, as URLs do that were signed for GET alone: on
	// GitHub Enterprise Server content may be in S3. act has no HEAD either.
	NoHead bool
	// PageErrors has errors come as pages for people, as from a proxy in between.
	PageErrors bool
	// Overwrites has an entry replaced by a new one with its key, as act and
	// cirruslabs/omni-cache do. Nothing is then left that refs could be compared
	// and swapped with.
	Overwrites bool
	// LowerCase has keys compared and told in lower case, as act does.
	LowerCase bool
	// CoarseTimes has entries of the same second be the newest in any order: here
	// the first counts. act has times of whole seconds.
	CoarseTimes bool
	// Retired refuses the protocol's first version, as github.com does.
	Retired bool
	// BOM begins error documents with a byte order mark (moby/buildkit#2276).
	BOM bool
}

// Quirk is a switch with a name.
type Quirk struct {
	Name string
	Set  func(*Options)
}

// AllQuirks returns each switch that every client must live with, for suites
// that the service should pass with any of them.
func AllQuirks() []Quirk {
	return []Quirk{
		{"strict", func(*Options) {}},
		{"soft exists", func(o *Options) { o.SoftExists = true }},
		{"exact key", func(o *Options) { o.ExactKey = true }},
		{"ignore range", func(o *Options) { o.IgnoreRange = true }},
		{"plain urls", func(o *Options) { o.PlainURLs = true }},
		{"sdk blocks", func(o *Options) { o.SDKBlocks = true }},
		{"no head", func(o *Options) { o.NoHead = true }},
		{"byte order mark", func(o *Options) { o.BOM = true }},
		{"errors as pages", func(o *Options) { o.PageErrors = true }},
		{"latency", func(o *Options) { o.Latency = time.Millisecond }},
	}
}

// MixedQuirks returns the switches of AllQuirks together, as far as they do not
// hide each other, for suites that have no time for each of them.
func MixedQuirks() []Quirk {
	mixed := []Quirk{{"strict", func(*Options) {}}, {"as others", func(*Options) {}}, {"errors as pages, with latency", func(*Options) {}}}
	for _, q := range AllQuirks() {
		into := &mixed[1]
		if q.Name == "errors as pages" || q.Name == "latency" { // a page has no byte order mark
			into = &mixed[2]
		}
		before := into.Set
		into.Set = func(o *Options) { before(o); q.Set(o) }
	}
	return mixed
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.UploadLife == 0 {
		o.UploadLife = time.Hour
	}
	if o.DownloadLife == 0 {
		o.DownloadLife = 10 * time.Minute
	}
	return o
}
