package main

// actionsCache is GitHub's own client of its cache service, a library for node,
// which packs directories with tar and zstd.
func actionsCache() server {
	return server{
		name:    "actions-cache",
		purpose: "GitHub's @actions/cache, for tests to run by node (LARDER_TEST_ACTIONS_CACHE=node_modules)",
		module:  "actionscache",
		tools: []program{
			{command: "node", debian: "nodejs"},
			{command: "npm", debian: "npm"},
			{command: "zstd", debian: "zstd"},
		},
		launch: func(s site) (launch, error) {
			return launch{environ: []string{"LARDER_TEST_ACTIONS_CACHE=" + s.program("node_modules")}}, nil
		},
	}
}

// goActionsCache are the tests of the client that BuildKit has.
func goActionsCache() server {
	return server{
		name:    "go-actions-cache",
		purpose: "the tests of tonistiigi/go-actions-cache, for tests to run (LARDER_TEST_GO_ACTIONS_CACHE=program)",
		module:  "goactionscache",
		tests:   "github.com/tonistiigi/go-actions-cache",
		launch: func(s site) (launch, error) {
			return launch{environ: []string{"LARDER_TEST_GO_ACTIONS_CACHE=" + s.program("go-actions-cache.test")}}, nil
		},
	}
}
