package scope_test

import (
	"fmt"

	"github.com/larder-build/larder/scope"
)

func ExampleResolve() {
	plan, err := scope.Resolve(scope.Input{
		Kind:    scope.PullRequest,
		Number:  "12",
		Base:    "release/1.2",
		Default: "main",
	}, scope.Rules{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(plan)
	// Output:
	// write  pr--12        own      trusted  pull request 12
	// read   pr--12        own      trusted  pull request 12
	// read   release__1.2  base     trusted  branch release/1.2
	// read   main          default  trusted  branch main
}

// A fork's build reads what the project's builds wrote and writes only what no
// other build reads.
func ExampleResolve_fork() {
	plan, err := scope.Resolve(scope.Input{
		Kind:    scope.PullRequest,
		Number:  "13",
		Base:    "main",
		Default: "main",
		Fork:    true,
	}, scope.Rules{Untrusted: scope.UntrustedNone})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(plan)
	// Output:
	// write  nothing
	// read   main  default  trusted  branch main
	// note: nothing is written: the pull request comes from a fork, and the rules let those write nothing
}

func ExampleScope_Name() {
	name, err := scope.Scope{Kind: scope.Branch, Ref: "Feature/cache_keys", Platform: "linux/arm64"}.Name()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(name)
	back, err := scope.ParseName(name)
	fmt.Println(back, err)
	// Output:
	// _feature__cache_-keys----linux__arm64
	// branch Feature/cache_keys, platform linux/arm64 <nil>
}
