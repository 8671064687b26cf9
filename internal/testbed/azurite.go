package main

import (
	"net"
	"path/filepath"
)

// azuriteMain is the program of the blob service alone. It is run without npx,
// which would stand between the testbed and the process that it is to stop.
const azuriteMain = "node_modules/azurite/dist/src/blob/main.js"

// memoryLimit is how many MiB of blobs it keeps.
const memoryLimit = "4096"

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
			return launch{
				// Versions of the API that it does not know yet are let pass,
				// because SDKs come first. Telemetry would want the network. In
				// files, every upload that breaks off would take one of its
				// places to write to for good, until there is none.
				argv: []string{
					"node", s.program(filepath.FromSlash(azuriteMain)), "--silent", "--disableTelemetry", "--skipApiVersionCheck",
					"--inMemoryPersistence", "--extentMemoryLimit", memoryLimit, "--blobHost", host, "--blobPort", port,
				},
				ready:   answers("http://" + s.addr + "/"),
				environ: []string{"LARDER_TEST_AZURITE=http://" + s.addr + "/devstoreaccount1"},
			}, nil
		},
	}
}
