package main

import (
	"context"
	"fmt"
	"strconv"
)

// The peers that are libraries are run by this program itself.
const (
	peerCommand  = "peer"
	peerBare     = "bare"
	peerBuildKit = "buildkit"
	peerORAS     = "oras"
	peerObjects  = "objects"
)

// runPeer runs a peer: its name, the two places, and its own options.
func runPeer(ctx context.Context, args []string) error {
	const named = 3
	if len(args) < named {
		return fmt.Errorf("%s: want a name and two places, got %q", peerCommand, args)
	}
	from, to, options := parsePlace(args[1]), parsePlace(args[2]), args[named:]
	switch args[0] {
	case peerBare:
		return runBare(ctx, from, to, options)
	case peerObjects:
		return runObjects(ctx, from, to, options)
	case peerBuildKit:
		if to.objects.kind != "" {
			return runBuildKitObjects(ctx, from, to.objects)
		}
		if to.actions != "" {
			return runBuildKitActions(ctx, from, to.actions)
		}
		return runBuildKit(ctx, from, to)
	case peerORAS:
		streams, err := strconv.Atoi(options[0])
		if err != nil {
			return err
		}
		return runORAS(ctx, from, to, streams)
	default:
		return fmt.Errorf("%s: unknown peer %q", peerCommand, args[0])
	}
}
