package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// registryURL returns where something of a repository is.
func registryURL(p place, path string) string {
	host, repository := p.split()
	return "http://" + host + "/v2/" + repository + "/" + path
}

// send sends a request and returns the response if it has the status wanted.
func send(ctx context.Context, method, url string, body io.Reader, size int64, header http.Header, wanted int) (*http.Response, error) {
	if body == nil {
		body = http.NoBody
	}
	req, err := http.NewRequestWithContext(ctx, method, url, io.NopCloser(body))
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	if size == 0 {
		req.Body = http.NoBody
	}
	maps.Copy(req.Header, header)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != wanted {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // as far as there is one
		return nil, fmt.Errorf("%s %s: %s, want %d: %s", method, url, resp.Status, wanted, strings.TrimSpace(string(text)))
	}
	return resp, nil
}

// putManifest makes the tag point to a manifest.
func putManifest(ctx context.Context, to place, data []byte) error {
	resp, err := send(ctx, http.MethodPut, registryURL(to, "manifests/"+refName), bytes.NewReader(data), int64(len(data)),
		http.Header{"Content-Type": {ocispec.MediaTypeImageManifest}}, http.StatusCreated)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
