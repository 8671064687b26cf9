package main

// archivers are the programs that check what is restored, and read the layers.
func archivers() server {
	return server{
		name:    "archivers",
		purpose: "rsync, bsdtar and zstd, for tests to run",
		tools: []program{
			{command: "rsync", debian: "rsync"},
			{command: "bsdtar", debian: "libarchive-tools"},
			{command: "zstd", debian: "zstd"},
		},
		launch: func(site) (launch, error) { return launch{}, nil },
	}
}
