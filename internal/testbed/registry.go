package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
)

// registry is the CNCF's registry, the reference for registries.
func registry() server {
	return server{
		name:     "registry",
		purpose:  "CNCF distribution, plain HTTP, deletion on (LARDER_TEST_REGISTRY=host:port)",
		module:   "servers",
		packages: []string{"github.com/distribution/distribution/v3/cmd/registry"},
		launch: func(s site) (launch, error) {
			return launchRegistry(s, s.program("registry"), "", "LARDER_TEST_REGISTRY")
		},
	}
}

// launchRegistry starts a distribution with more configuration than all have,
// and tells tests its address in a variable.
func launchRegistry(s site, program, more, variable string) (launch, error) {
	config := s.path("config.yml")
	text := fmt.Sprintf(registryConfig, s.path("data"), s.addr) + more
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return launch{}, err
	}
	return launch{
		argv:    []string{program, "serve", config},
		env:     []string{"OTEL_TRACES_EXPORTER=none"}, // version 3 exports traces unless told not to
		ready:   answers("http://" + s.addr + "/v2/"),
		environ: []string{variable + "=" + s.addr},
	}, nil
}

// registryConfig stores in files, because the in-memory driver is quadratic in
// the size of a blob. It leaves the children of indexes unchecked, because
// BuildKit's image-manifest=false writes an index of blobs.
const registryConfig = `version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: %q
  delete:
    enabled: true
  maintenance:
    uploadpurging:
      enabled: false
http:
  addr: %q
  secret: testbed
validation:
  manifests:
    indexes:
      platforms: none
`

// answers is a readiness check: a server is ready once it answers a request
// for url with anything but an error of its own.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode >= http.StatusInternalServerError {
			return fmt.Errorf("GET %s: %s", url, resp.Status)
		}
		return nil
	}
}
