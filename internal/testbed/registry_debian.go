package main

// registryDebian is the registry of Debian, distribution 2.8: an old server,
// which deletes no tags, lists them unsorted, and takes chunks in any order.
func registryDebian() server {
	return server{
		name:    "registry-debian",
		purpose: "Debian's docker-registry 2.8, plain HTTP, deletion on (LARDER_TEST_REGISTRY_DEBIAN=host:port)",
		tools:   []program{{command: "docker-registry", debian: "docker-registry"}},
		launch: func(s site) (launch, error) {
			return launchRegistry(s, "docker-registry", "", "LARDER_TEST_REGISTRY_DEBIAN")
		},
	}
}
