package main

import "net"

// fakegcs is an emulator of Google Cloud Storage. It honors preconditions on
// insertion alone, and keeps objects in memory.
func fakegcs() server {
	return server{
		name:     "fakegcs",
		purpose:  "fake-gcs-server, Google Cloud Storage (LARDER_TEST_GCS=http://host:port, no authentication)",
		module:   "fakegcs",
		packages: []string{"github.com/fsouza/fake-gcs-server"},
		launch: func(s site) (launch, error) {
			url := "http://" + s.addr
			host, port, err := net.SplitHostPort(s.addr)
			if err != nil {
				return launch{}, err
			}
			return launch{
				argv: []string{
					s.program("fake-gcs-server"), "-scheme", "http", "-host", host, "-port", port,
					"-public-host", s.addr, "-external-url", url, "-backend", "memory", "-log-level", "error",
				},
				ready:   answers(url + "/_internal/healthcheck"),
				environ: []string{"LARDER_TEST_GCS=" + url},
			}, nil
		},
	}
}
