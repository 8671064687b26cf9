package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"strconv"

	"github.com/larder-build/larder/backend"
)

const (
	// pageSize is how many tags are asked for at a time. Registries that allow
	// fewer send fewer.
	pageSize = 1000
	// maxPage bounds a page, for registries that send all tags in one.
	maxPage = 64 << 20
)

// ListRefs yields the tags, without versions. A repository that does not exist
// has none.
func (b *Backend) ListRefs(ctx context.Context) iter.Seq2[backend.RefInfo, error] {
	return func(yield func(backend.RefInfo, error) bool) {
		merged, end, err := b.life.Begin(ctx)
		if err != nil {
			yield(backend.RefInfo{}, fail("list refs", "", err))
			return
		}
		defer end()
		seen := make(map[string]bool)
		err = b.pages(merged, func(tags []string) (more bool, err error) {
			return b.yieldTags(ctx, tags, seen, yield)
		})
		if err != nil {
			yield(backend.RefInfo{}, fail("list refs", "", b.life.Reason(ctx, err)))
		}
	}
}

// yieldTags yields the tags of a page that were not seen before. It returns
// false if no more are wanted, or if the page had nothing new.
func (b *Backend) yieldTags(ctx context.Context, tags []string, seen map[string]bool, yield func(backend.RefInfo, error) bool) (more bool, err error) {
	for _, tag := range tags {
		if seen[tag] || !tagLike.MatchString(tag) {
			continue
		}
		seen[tag], more = true, true
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if !yield(backend.RefInfo{Name: tag}, nil) {
			return false, nil
		}
	}
	return more, nil
}

// pages calls each with the tags of one page after the other.
func (b *Backend) pages(ctx context.Context, each func(tags []string) (more bool, err error)) error {
	next, err := b.url(ctx, "tags/list")
	if err != nil {
		return err
	}
	next.RawQuery = url.Values{"n": {strconv.Itoa(pageSize)}}.Encode()
	for next != nil {
		tags, link, err := b.page(ctx, next)
		if err != nil {
			return err
		}
		if more, err := each(tags); err != nil || !more {
			return err
		}
		next = link
		if next == nil && len(tags) >= pageSize {
			next = after(ctx, b, tags[len(tags)-1])
		}
	}
	return nil
}

// after is the page that follows a tag, for registries that do not link it.
func after(ctx context.Context, b *Backend, tag string) *url.URL {
	u, err := b.url(ctx, "tags/list")
	if err != nil {
		return nil
	}
	u.RawQuery = url.Values{"n": {strconv.Itoa(pageSize)}, "last": {tag}}.Encode()
	return u
}

// page returns the tags at a URL, and the URL of those that follow if the
// registry links them.
func (b *Backend) page(ctx context.Context, u *url.URL) (tags []string, next *url.URL, err error) {
	resp, err := b.do(ctx, request{op: "list refs", method: http.MethodGet, url: u, scopes: b.session.pull()}, http.StatusOK, http.StatusNotFound)
	if err != nil {
		return nil, nil, err
	}
	defer discard(resp)
	if resp.StatusCode == http.StatusNotFound {
		return nil, nil, nil
	}
	var list struct{ Tags []string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxPage)).Decode(&list); err != nil {
		return nil, nil, fmt.Errorf("%w: list of tags: %w", backend.ErrUnavailable, err)
	}
	return list.Tags, b.link(resp), nil
}

// nextLink matches the header of RFC 8288 that registries send.
var nextLink = regexp.MustCompile(`<([^>]*)>\s*;\s*rel="?next"?`)

// link returns the next page that a response links, if it is one of the same
// registry.
func (b *Backend) link(resp *http.Response) *url.URL {
	m := nextLink.FindStringSubmatch(resp.Header.Get("Link"))
	if m == nil {
		return nil
	}
	u, err := resp.Request.URL.Parse(m[1])
	if err != nil || u.Host != resp.Request.URL.Host {
		return nil
	}
	// A registry behind a proxy may not know how it is reached.
	u.Scheme = resp.Request.URL.Scheme
	return u
}
