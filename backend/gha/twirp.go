package gha

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"net/http"
	"net/url"

	"github.com/larder-build/larder/internal/bucket"
)

// methodsPath is where the service's methods are.
const methodsPath = "twirp/github.actions.results.api.v1.CacheService/"

// twirp is the second version of the protocol: three methods, with content at
// signed URLs of Azure's blob service.
type twirp struct{ *service }

// query has the fields of all methods' requests.
type query struct {
	Key         string   `json:"key"`
	Version     string   `json:"version"`
	RestoreKeys []string `json:"restore_keys,omitempty"`
	Size        int64    `json:"size_bytes,omitempty"`
}

// reply has the fields of all methods' responses.
type reply struct {
	OK          bool   `json:"ok"`
	UploadURL   string `json:"signed_upload_url"`
	DownloadURL string `json:"signed_download_url"`
	MatchedKey  string `json:"matched_key"`
	Message     string `json:"message"`
}

func (t twirp) invoke(ctx context.Context, op, method string, q query) (reply, error) {
	var got reply
	q.Version = cacheVersion
	err := t.call(ctx, message{op: op, method: http.MethodPost, where: t.base.JoinPath(methodsPath + method), body: q}, &got)
	return got, err
}

// create implements [protocol].
func (t twirp) create(ctx context.Context, key string) (slot, error) {
	got, err := t.invoke(ctx, "create", "CreateCacheEntry", query{Key: key})
	switch {
	case statusOf(err) == http.StatusConflict:
		return slot{}, errExists
	case err != nil:
		return slot{}, err
	case got.OK:
		s := slot{}
		_, _ = rand.Read(s.blocks[:]) // never fails
		s.content, err = t.signed(got.UploadURL)
		return s, err
	case got.Message != "":
		return slot{}, t.denied(got.Message)
	default: // how Gitea says it
		return slot{}, errExists
	}
}

// finalize implements [protocol].
func (t twirp) finalize(ctx context.Context, key string, _ slot, size int64) error {
	got, err := t.invoke(ctx, "finalize", "FinalizeCacheEntryUpload", query{Key: key, Size: size})
	switch {
	case err != nil:
		return err
	case got.OK:
		return nil
	case got.Message != "":
		return t.denied(got.Message)
	default:
		return unexpected(t.base.Host, "that an entry of %d bytes was not finalized", size)
	}
}

// lookup implements [protocol].
func (t twirp) lookup(ctx context.Context, keys ...string) (key string, content *url.URL, err error) {
	// Some take only restore keys for the beginning of others.
	got, err := t.invoke(ctx, "lookup", "GetCacheEntryDownloadURL", query{Key: keys[0], RestoreKeys: keys})
	if err != nil || !got.OK {
		return "", nil, err
	}
	content, err = t.signed(got.DownloadURL)
	return got.MatchedKey, content, err
}

// asksByHead implements [protocol].
func (t twirp) asksByHead() bool { return true }

// denied is an answer of status 200 that is none.
func (t twirp) denied(message string) error {
	return judge(&ResponseError{Host: t.base.Host, Status: http.StatusOK, Message: clean(message, t.token)})
}

// put implements [protocol].
func (t twirp) put(ctx context.Context, to slot, content bucket.Body) error {
	return t.client.upload(ctx, "put", to.content, content)
}

// putPart implements [protocol].
func (t twirp) putPart(ctx context.Context, to slot, number int, content bucket.Body) error {
	q := url.Values{"comp": {"block"}, "blockid": {blockID(to.blocks, number)}}
	return t.client.upload(ctx, "put block", withQuery(to.content, q), content)
}

// join implements [protocol].
func (t twirp) join(ctx context.Context, to slot, parts int) error {
	type list struct {
		XMLName xml.Name `xml:"BlockList"`
		Latest  []string
	}
	l := list{Latest: make([]string, parts)}
	for number := range l.Latest {
		l.Latest[number] = blockID(to.blocks, number)
	}
	data, err := xml.Marshal(l)
	if err != nil {
		return err
	}
	where := withQuery(to.content, url.Values{"comp": {"blocklist"}})
	return t.client.upload(ctx, "put block list", where, bucket.Body{Reader: bytes.NewReader(data), Size: int64(len(data))})
}

// blockID returns the id of a block in the form of Azure's SDK for Go, from
// which servers that keep content elsewhere take the number of the block.
//
// Source: github.com/Azure/azure-sdk-for-go, sdk/storage/azblob/blockblob.
func blockID(upload [16]byte, number int) string {
	var id [64]byte
	copy(id[:], upload[:])
	binary.BigEndian.PutUint32(id[16:], uint32(number)) //nolint:gosec // below maxBlocks
	return base64.StdEncoding.EncodeToString(id[:])
}

// withQuery adds parameters to a URL, whose own stay as they were signed.
func withQuery(u *url.URL, q url.Values) *url.URL {
	added := *u
	if added.RawQuery != "" {
		added.RawQuery += "&"
	}
	added.RawQuery += q.Encode()
	return &added
}
