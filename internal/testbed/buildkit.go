package main

import (
	"context"
	"fmt"
	"os/exec"
)

// buildkit is moby's build daemon, the stock peer whose caches larder reads
// and writes. It runs steps with runc, and so needs root.
func buildkit() server {
	return server{
		name:    "buildkit",
		purpose: "BuildKit's daemon and client (LARDER_TEST_BUILDKITD, LARDER_TEST_BUILDCTL)",
		module:  "buildkit",
		packages: []string{
			"github.com/moby/buildkit/cmd/buildkitd",
			"github.com/moby/buildkit/cmd/buildctl",
		},
		tools: []program{{command: "runc", debian: "runc"}},
		root:  true,
		launch: func(s site) (launch, error) {
			addr, buildctl := "unix://"+s.path("buildkitd.sock"), s.program("buildctl")
			return launch{
				// Only the OCI worker: a containerd that happens to run on
				// this machine is none of ours.
				argv:          []string{s.program("buildkitd"), "--root", s.path("root"), "--addr", addr, "--containerd-worker=false"},
				privateMounts: true,
				ready:         func(ctx context.Context) error { return listWorkers(ctx, buildctl, addr) },
				environ:       []string{"LARDER_TEST_BUILDKITD=" + addr, "LARDER_TEST_BUILDCTL=" + buildctl},
			}, nil
		},
	}
}

func listWorkers(ctx context.Context, buildctl, addr string) error {
	out, err := exec.CommandContext(ctx, buildctl, "--addr", addr, "debug", "workers").CombinedOutput()
	if err != nil {
		return fmt.Errorf("buildctl debug workers: %w: %s", err, out)
	}
	return nil
}
