package main

import (
	"context"

	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/registry/remote"
)

// orasDefault is how many blobs oras-go copies at a time unless told otherwise.
const orasDefault = "3"

func runORAS(ctx context.Context, from, to place, streams int) error {
	source, err := orasTarget(from)
	if err != nil {
		return err
	}
	dest, err := orasTarget(to)
	if err != nil {
		return err
	}
	options := oras.DefaultCopyOptions
	options.Concurrency = streams
	_, err = oras.Copy(ctx, source, refName, dest, refName, options)
	return err
}

func orasTarget(p place) (oras.Target, error) {
	if p.layout != "" {
		return oci.New(p.layout)
	}
	repo, err := remote.NewRepository(p.repo)
	if err != nil {
		return nil, err
	}
	repo.PlainHTTP = true
	return repo, nil
}
