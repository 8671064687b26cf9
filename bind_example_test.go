package larder_test

import (
	"context"
	"fmt"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/scope"
)

// A branch's build finds main's cache and adds its own, which main does not see.
func ExampleBind() {
	ctx := context.Background()
	mux := new(backend.Mux)
	mux.Register(mem.Driver())
	base, err := mux.Parse("mem://caches")
	if err != nil {
		fmt.Println(err)
		return
	}
	build := func(branch string) error {
		plan, err := scope.Resolve(scope.Input{Kind: scope.Branch, Ref: branch, Default: "main"}, scope.Rules{})
		if err != nil {
			return err
		}
		bound, err := larder.Bind(ctx, mux, plan, base)
		if err != nil {
			return err
		}
		defer bound.Close()
		found, report, err := bound.Import(ctx, larder.ImportOptions{})
		if err != nil {
			return err
		}
		fmt.Printf("%s finds %d record(s)\n", branch, len(found.Manifest.Records))
		for _, source := range report.Sources {
			fmt.Printf("  %s (%s) serves %d\n", source.Ref, source.Reason, source.Serves)
		}
		// The build runs here, and what it made is exported.
		m, content := step("compile for "+branch, "what came of it")
		_, err = bound.Export(ctx, m, content, larder.Policy{}, larder.ExportOptions{})
		return err
	}
	for _, branch := range []string{"main", "feature/login"} {
		if err := build(branch); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// main finds 0 record(s)
	//   main (own) serves 0
	// feature/login finds 1 record(s)
	//   feature__login (own) serves 0
	//   main (default) serves 1
}
