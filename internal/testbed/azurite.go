package main

import (
	"net"
	"os"
	"path/filepath"
)

// azuriteMain is the program of the blob service alone. It is run without npx,
// which would stand between the testbed and the process that it is to stop.
const azuriteMain = "node_modules/azurite/dist/src/blob/main.js"

// azurite is Microsoft's emulator of Azure Blob Storage. Its one account is
// devstoreaccount1, with the key that its documentation publishes.
func azurite() server {
	return server{
		name:    "azurite",
		purpose: "Azure Blob Storage's emulator (LARDER_TEST_AZURITE=http://host:port/devstoreaccount1)",
		module:  "servers/azurite",
		tools:   []program{{command: "node", debian: "nodejs"}, {command: "npm", debian: "npm"}},
		launch: func(s site) (launch, error) {
			host, port, err := net.SplitHostPort(s.addr)
			if err != nil {
				return launch{}, err
			}
			data := s.path("data")
			if err := os.Mkdir(data, 0o700); err != nil {
				return launch{}, err
			}
			return launch{
				// Versions of the API that it does not know yet are let pass,
				// because SDKs come first. Telemetry would want the network.
				argv: []string{
					"node", s.program(filepath.FromSlash(azuriteMain)), "--silent", "--disableTelemetry", "--skipApiVersionCheck",
					"--location", data, "--blobHost", host, "--blobPort", port,
				},
				ready:   answers("http://" + s.addr + "/"),
				environ: []string{"LARDER_TEST_AZURITE=http://" + s.addr + "/devstoreaccount1"},
			}, nil
		},
	}
}
