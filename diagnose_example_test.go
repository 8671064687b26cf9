package larder_test

import (
	"context"
	"fmt"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
)

func ExampleDiagnose() {
	store := mem.NewWith(mem.Options{Without: backend.Capabilities{CreateRef: true, ReplaceRef: true}})
	found, err := larder.Diagnose(context.Background(), store, larder.DiagnoseOptions{Refs: []string{"main"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("usable:", found.OK)
	for _, f := range found.Findings {
		if f.Status != backend.FindingOK {
			fmt.Printf("%s (%s): %s\n", f.Check, f.Status, f.Detail)
		}
	}
	// Output:
	// usable: true
	// ref main (note): there is none yet
	// conditions (note): this store cannot write a ref only if nobody else has: of two exports to one ref at the same moment the last one wins
}
