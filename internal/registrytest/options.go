package registrytest

import "time"

// Options chooses what kind of registry it is. The zero value is strict,
// open to everybody, and without quirks. Each quirk was seen in the service that
// its comment names.
type Options struct {
	// Auth protects the registry; nil lets everybody do everything.
	Auth *Auth
	// TLS serves HTTPS with a certificate of its own; see Server.CA.
	TLS bool
	// Latency passes before each request is looked at.
	Latency time.Duration
	// RateLimit is how often all clients together may ask.
	RateLimit RateLimit
	// MaxBody is the largest body in bytes that a proxy in front lets through;
	// larger ones get 413 and no word of the registry. Cloudflare's free plan
	// ends at 100 MB (jdx/mise PR #11141). 0 means no limit.
	MaxBody int64
	// Repositories exist from the start.
	Repositories []string
	// PageSize is the longest list of tags or repositories in one answer, even
	// if the client asks for more or names no number. 0 means no limit.
	PageSize int

	Uploads
	Reads
	Manifests
}

// RateLimit allows so many requests in each period; the others get 429 with a
// Retry-After header. The zero value is no limit.
type RateLimit struct {
	Requests int
	Per      time.Duration
}

// Uploads are the quirks of storing blobs.
type Uploads struct {
	// NoMount answers every request to mount a blob with a new upload (202), as
	// registries may.
	NoMount bool
	// HarborMountError answers a mount that cannot be with 401 UNAUTHORIZED in
	// place of an upload (goharbor/harbor#17097, oras-project/oras PR #1924).
	HarborMountError bool
	// SinglePost accepts a blob in the first request, POST with ?digest=, which
	// distribution ignores.
	SinglePost bool
	// MonolithicOnly refuses PATCH.
	MonolithicOnly bool
	// ACRNoResume gives an upload up once a chunk was cut off or came twice:
	// everything after gets 404 BLOB_UPLOAD_INVALID (Azure/azure-sdk-for-js#25448).
	ACRNoResume bool
	// RelativeLocations gives paths, not URLs, as the specification allows.
	RelativeLocations bool
	// OutOfOrderChunks stores chunks in the order of their arrival and looks at
	// no Content-Range, as distribution 2.8 does.
	OutOfOrderChunks bool
}

// Reads are the quirks of reading.
type Reads struct {
	// IgnoreRange answers ranged requests for blobs with all of it.
	IgnoreRange bool
	// NoDigestHeader leaves Docker-Content-Digest out of the answers to HEAD, as
	// Amazon ECR did.
	NoDigestHeader bool
	// RedirectBlobs sends GETs of blobs to a storage service on another host,
	// which refuses requests with an Authorization header, as S3 does with
	// signed URLs.
	RedirectBlobs bool
	// UnsortedTags ignores n and last and lists tags in the order of their
	// creation, as distribution 2.8 does.
	UnsortedTags bool
	// DockerHubPulls is how many manifests may be read before 429
	// TOOMANYREQUESTS. 0 means no limit.
	DockerHubPulls int
}

// Manifests are the quirks of storing and deleting manifests.
type Manifests struct {
	// AnyChildren accepts indexes whose children are blobs, as BuildKit writes
	// with image-manifest=false: distribution 2.8 does, and distribution 3 with
	// validation.manifests.indexes.platforms: none.
	AnyChildren bool
	// ECRNoIndexes refuses indexes of blobs with 400 (aws/containers-roadmap#876).
	ECRNoIndexes bool
	// ECRNoEmpty refuses manifests without layers (containerd/containerd#8969).
	ECRNoEmpty bool
	// ECRImmutable refuses to move a tag (moby/buildkit#3776).
	ECRImmutable bool
	// ECRNoCreate refuses to store in a repository that does not exist
	// (osscontainertools/kaniko#192).
	ECRNoCreate bool
	// QuayNoCaches refuses the manifests of caches with 401
	// (moby/buildkit#1440).
	QuayNoCaches bool
	// HarborNoIndexes answers 404 to an index of blobs (goharbor/harbor#14774).
	HarborNoIndexes bool
	// ArtifactoryNoCaches refuses manifests of caches, whose config is of a kind
	// that it does not know (moby/buildkit#2220).
	ArtifactoryNoCaches bool
	// NexusNoRepush refuses to write a tag that exists, even with the same
	// manifest (docker/buildx#786, GoogleContainerTools/jib#3057).
	NexusNoRepush bool
	// NoDelete refuses all deletion with 405, as distribution does unless it is
	// enabled, and as Docker Hub and GitHub do
	// (distribution/distribution#1222, #2290).
	NoDelete bool
	// NoTagDelete refuses to delete by tag, as distribution 2.8 does with 400.
	NoTagDelete bool
	// DeleteAllTags makes the deletion of a tag that of its manifest, with all
	// other tags (google/go-containerregistry#999).
	DeleteAllTags bool
}

// Quirk is a switch with a name.
type Quirk struct {
	Name string
	// Set sets the switch.
	Set func(*Options)
}

// Options returns a registry with that quirk alone.
func (q Quirk) Options() Options {
	var o Options
	q.Set(&o)
	return o
}

// Quirks returns each switch that a client which follows the specification can
// live with, for suites that every registry should pass.
func Quirks() []Quirk {
	writer := []User{{Name: "writer", Password: "secret"}}
	return []Quirk{
		{"strict", func(*Options) {}},
		{"tls", func(o *Options) { o.TLS = true }},
		{"no mount", func(o *Options) { o.NoMount = true }},
		{"harbor mount error", func(o *Options) { o.HarborMountError = true }},
		{"single post", func(o *Options) { o.SinglePost = true }},
		{"monolithic only", func(o *Options) { o.MonolithicOnly = true }},
		{"acr no resume", func(o *Options) { o.ACRNoResume = true }},
		{"relative locations", func(o *Options) { o.RelativeLocations = true }},
		{"out of order chunks", func(o *Options) { o.OutOfOrderChunks = true }},
		{"ignore range", func(o *Options) { o.IgnoreRange = true }},
		{"no digest header", func(o *Options) { o.NoDigestHeader = true }},
		{"redirect blobs", func(o *Options) { o.RedirectBlobs = true }},
		{"unsorted tags", func(o *Options) { o.UnsortedTags = true }},
		{"small pages", func(o *Options) { o.PageSize = 2 }},
		{"any children", func(o *Options) { o.AnyChildren = true }},
		{"basic auth", func(o *Options) { o.Auth = &Auth{Users: writer} }},
		{"token auth", func(o *Options) { o.Auth = &Auth{Tokens: true, Users: writer} }},
		{"short tokens", func(o *Options) { o.Auth = &Auth{Tokens: true, TokenUses: 3, Users: writer} }},
	}
}
