// Package all has a [backend.Mux] with every driver of larder. It links their
// software development kits into the program: an application that wants one or
// two drivers registers those with a Mux of its own.
package all

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/local"
	"github.com/larder-build/larder/backend/mem"
)

// Options are what the drivers are given. The zero value consults no
// environment, logs nothing and uses the system's clock and network.
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
}

// Mux returns a new Mux with every driver. Stores of type=mem belong to the Mux:
// two of them share none.
func Mux(opts Options) *backend.Mux {
	m := &backend.Mux{Options: backend.OpenOptions(opts)}
	m.Register(local.Driver())
	m.Register(mem.Driver())
	return m
}
