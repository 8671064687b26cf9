package gha

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/larder-build/larder/internal/bucket"
)

// artifactPath is where the protocol's first version is, and artifactAccept what
// its clients have to say.
//
// Source: github.com/actions/toolkit, packages/cache/src/internal/cacheHttpClient.ts.
const (
	artifactPath   = "_apis/artifactcache/"
	artifactAccept = "application/json;api-version=6.0-preview.1"
)

// artifactCache is the first version of the protocol, that of GitHub Enterprise
// Server, act, Gitea and Forgejo: content is sent to the service itself, in
// chunks.
type artifactCache struct{ *service }

func (a artifactCache) ask(ctx context.Context, op, method string, where *url.URL, body, answer any) error {
	header := http.Header{"Accept": {artifactAccept}}
	return a.call(ctx, message{op: op, method: method, where: where, header: header, body: body}, answer)
}

// create implements [protocol].
func (a artifactCache) create(ctx context.Context, key string) (slot, error) {
	var got struct {
		ID int64 `json:"cacheId"`
	}
	body := map[string]string{"key": key, "version": cacheVersion}
	err := a.ask(ctx, "create", http.MethodPost, a.base.JoinPath(artifactPath+"caches"), body, &got)
	switch {
	case statusOf(err) == http.StatusConflict:
		return slot{}, errExists
	case err != nil:
		return slot{}, err
	case got.ID == 0:
		return slot{}, unexpected(a.base.Host, "without the id of the entry")
	}
	return slot{entry: a.base.JoinPath(artifactPath + "caches/" + strconv.FormatInt(got.ID, 10))}, nil
}

// put implements [protocol].
func (a artifactCache) put(ctx context.Context, to slot, content bucket.Body) error {
	content.Offset = 0
	return a.putPart(ctx, to, 0, content)
}

// putPart implements [protocol].
func (a artifactCache) putPart(ctx context.Context, to slot, _ int, content bucket.Body) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, to.entry.String(), io.NopCloser(content.Reader))
	if err != nil {
		return errors.New("malformed request") // the error may have a secret
	}
	req.ContentLength = content.Size
	req.Header.Set("Accept", artifactAccept)
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", content.Offset, content.Offset+content.Size-1))
	resp, err := a.send(req, "put block")
	if err != nil {
		return err
	}
	return discard(resp)
}

// join implements [protocol].
func (a artifactCache) join(context.Context, slot, int) error { return nil }

// finalize implements [protocol].
func (a artifactCache) finalize(ctx context.Context, _ string, to slot, size int64) error {
	var none any
	return a.ask(ctx, "finalize", http.MethodPost, to.entry, map[string]int64{"size": size}, &none)
}

// lookup implements [protocol].
func (a artifactCache) lookup(ctx context.Context, keys ...string) (key string, content *url.URL, err error) {
	var got struct {
		Key      string `json:"cacheKey"`
		Location string `json:"archiveLocation"`
	}
	where := a.base.JoinPath(artifactPath + "cache")
	keys = append(keys[:1:1], keys...) // some take only the later ones for the beginning of others
	where.RawQuery = url.Values{"keys": {strings.Join(keys, ",")}, "version": {cacheVersion}}.Encode()
	if err := a.ask(ctx, "lookup", http.MethodGet, where, nil, &got); err != nil || got.Location == "" {
		return "", nil, err
	}
	content, err = a.signed(got.Location)
	return got.Key, content, err
}

// asksByHead implements [protocol]. Content may be in S3, whose URLs are signed
// for one method, and act has no HEAD.
func (a artifactCache) asksByHead() bool { return false }
