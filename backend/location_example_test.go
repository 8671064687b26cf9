package backend_test

import (
	"context"
	"fmt"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
)

func ExampleMux() {
	var mux backend.Mux
	mux.Register(mem.Driver())

	location, err := mux.Parse("type=mem,store=ci,name=main")
	if err != nil {
		fmt.Println(err)
		return
	}
	store, err := mux.Open(context.Background(), location)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(store.Info().Driver, location.Refs())
	if err := store.Close(); err != nil {
		fmt.Println(err)
	}
	// Output: mem [main]
}

func ExampleMux_Parse() {
	var mux backend.Mux
	mux.Register(mem.Driver())
	for _, text := range []string{
		"type=mem,store=ci,name=main;v1",
		"mem://ci?name=main",
		"type=mem,mod=max",
		"type=mem, name=main",
		"ghcr.io/acme/cache:main",
	} {
		location, err := mux.Parse(text)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(location, "or", location.URL())
	}
	// Output:
	// type=mem,store=ci,name=main;v1 or mem://ci?name=main;v1
	// type=mem,store=ci,name=main or mem://ci?name=main
	// invalid location: unknown attribute mod for type=mem, did you mean mode?
	// invalid location: a stray space before or after the key name
	// invalid location: type registry is not available here (mem): this program was built without its driver, package github.com/larder-build/larder/backend/registry
}

func ExampleLocation_WithRef() {
	var mux backend.Mux
	mux.Register(mem.Driver())
	base, err := mux.Parse("mem://ci")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(base, base.Refs())
	fmt.Println(base.WithRef("feature/a", "main"))
	// Output:
	// type=mem,store=ci [buildkit]
	// type=mem,store=ci,name=feature/a;main
}

// A driver says which of its attributes are secret. They are left out wherever
// a location is printed, unless that is asked for by name.
func ExampleDriver() {
	var mux backend.Mux
	mux.Register(backend.Driver{
		Type: "vault",
		Attrs: []backend.Attr{
			{Name: "host", Required: true},
			{Name: "token", Secret: true, Env: []string{"VAULT_TOKEN"}},
			{Name: "name"},
		},
		Refs: backend.RefSyntax{Attr: "name", Default: "main"},
		Open: func(_ context.Context, l backend.Location, _ backend.OpenOptions) (backend.Backend, error) {
			return nil, fmt.Errorf("cannot reach %s", l.Value("host"))
		},
	})
	location, err := mux.Parse("type=vault,host=v.example,token=hunter2")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%v\n%s\n", location, location.Reveal())
	_, err = mux.Open(context.Background(), location)
	fmt.Println(err)
	// Output:
	// type=vault,host=v.example,token=REDACTED
	// type=vault,host=v.example,token=hunter2
	// cannot reach v.example
}
