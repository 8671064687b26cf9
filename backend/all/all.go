// Package all has a [backend.Mux] with every driver of larder. It links their
// software development kits into the program: an application that wants one or
// two drivers registers those with a Mux of its own.
package all

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/azblob"
	"github.com/larder-build/larder/backend/bucket/gcs"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/backend/local"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/registry"
	"github.com/larder-build/larder/backend/registry/acr"
	"github.com/larder-build/larder/backend/registry/ecr"
	"github.com/larder-build/larder/backend/registry/gcr"
	"github.com/larder-build/larder/backend/s3"
	"github.com/larder-build/larder/backend/wrap"
)

// Options are what the drivers are given, and the wrappers around them. The zero
// value consults no environment, logs nothing, uses the system's clock and
// network, and has every safeguard on.
type Options struct {
	// Getenv looks up settings that a location leaves out, by the variables
	// that BuildKit knows: usually [os.Getenv]. Nil consults no environment.
	Getenv func(name string) string
	// Logger receives what may interest an operator; nil discards it.
	Logger *slog.Logger
	// Transport sends the requests of drivers that speak HTTP; nil leaves the
	// choice to them.
	Transport http.RoundTripper
	// Now is the clock; nil means [time.Now].
	Now func() time.Time
	// TempDir is where drivers that need temporary files keep them; "" means
	// the system's directory.
	TempDir string
	// Wrap adjusts the wrappers behind which every backend is opened, see
	// [wrap.Recommended].
	Wrap wrap.Options
}

// Mux returns a new Mux with every driver, which opens backends behind the
// recommended wrappers. Setting its Wrap replaces them. Stores of type=mem belong to the Mux:
// two of them share none.
//
// Registries of AWS, Google and Azure for which Docker's configuration has no
// credentials are given those of the provider, as its SDK finds them: only if
// there is a Getenv, as the SDKs consult the environment too.
func Mux(opts Options) *backend.Mux {
	m := &backend.Mux{
		Options: backend.OpenOptions{
			Getenv:    opts.Getenv,
			Logger:    opts.Logger,
			Transport: opts.Transport,
			Now:       opts.Now,
			TempDir:   opts.TempDir,
		},
		Wrap: func(b backend.Backend, _ backend.Location) backend.Backend {
			return wrap.Recommended(b, opts.Wrap)
		},
	}
	m.Register(azblob.Driver())
	m.Register(gcs.Driver())
	m.Register(gha.Driver())
	m.Register(local.Driver())
	m.Register(mem.Driver())
	m.Register(registry.DriverWith(registry.Options{Keychain: keychain(opts)}))
	m.Register(s3.Driver())
	return m
}

// keychain returns where registries' credentials are looked for; nil means the
// driver's default.
func keychain(opts Options) authn.Keychain {
	if opts.Getenv == nil {
		return nil
	}
	return authn.NewMultiKeychain(
		registry.DockerKeychain(opts.Getenv),
		ecr.Keychain(ecr.Options{Now: opts.Now}),
		gcr.Keychain(gcr.Options{Now: opts.Now}),
		acr.Keychain(acr.Options{Now: opts.Now, Transport: opts.Transport}),
	)
}
