package main

// act is the cache server of nektos/act, the first version of GitHub's protocol.
// Tests start one each, because it keeps entries for ever and has one scope.
func act() server {
	return server{
		name:     "act",
		purpose:  "nektos/act's cache server, for tests to start (LARDER_TEST_ACT=program)",
		module:   "act",
		packages: []string{modulePath + "/internal/testbed/act"},
		launch: func(s site) (launch, error) {
			return launch{environ: []string{"LARDER_TEST_ACT=" + s.program("act")}}, nil
		},
	}
}
