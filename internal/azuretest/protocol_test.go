package azuretest_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larder-build/larder/internal/azuretest"
	"github.com/larder-build/larder/internal/testserver"
)

// peer is a service that the protocol is spoken with.
type peer struct {
	url       string // of the account
	client    *http.Client
	container string
}

// peers are the service in this process and, in the testbed, Azurite: what is
// expected of the one is expected of the other.
func peers(t *testing.T, run func(t *testing.T, p *peer)) {
	t.Helper()
	t.Run("azuretest", func(t *testing.T) {
		run(t, &peer{url: azuretest.New(t, azuretest.Options{}).URL, client: http.DefaultClient})
	})
	t.Run("azurite", func(t *testing.T) {
		run(t, &peer{url: testserver.FromTestbed(t, "LARDER_TEST_AZURITE"), client: http.DefaultClient})
	})
}

// exchange is a request and the answer that is expected.
type exchange struct {
	name         string
	method, path string // below the container; "{etag}" stands for the last one
	header       map[string]string
	body         string

	status int
	code   string // of an error
	want   string // the body of a success, unless ""
}

// play makes the exchanges one after the other, with the account's key.
func (p *peer) play(t *testing.T, exchanges []exchange) {
	t.Helper()
	p.container = "c" + strings.ToLower(rand.Text())
	etag := ""
	for _, e := range exchanges {
		req := p.request(t, e, etag)
		signByKey(req)
		resp, err := p.client.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		if got := resp.Header.Get("X-Ms-Error-Code"); resp.StatusCode != e.status || e.code != "" && got != e.code {
			t.Errorf("%s = %d %s, want %d %s: %s", e.name, resp.StatusCode, got, e.status, e.code, body)
		}
		if e.want != "" && string(body) != e.want {
			t.Errorf("%s has the body %q, want %q", e.name, body, e.want)
		}
		if resp.Header.Get("X-Ms-Request-Id") == "" {
			t.Errorf("%s has no identifier", e.name)
		}
		if tag := resp.Header.Get("Etag"); tag != "" && e.status < 300 && !strings.Contains(e.path, "restype") {
			etag = tag
		}
	}
}

func (p *peer) request(t *testing.T, e exchange, etag string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), e.method, p.url+"/"+p.container+e.path, strings.NewReader(e.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Ms-Version", "2024-11-04")
	req.Header.Set("X-Ms-Date", time.Now().UTC().Format(http.TimeFormat))
	for key, value := range e.header {
		req.Header.Set(key, strings.ReplaceAll(value, "{etag}", etag))
	}
	return req
}

// signByKey signs a request as the service's documentation says.
func signByKey(req *http.Request) {
	length := ""
	if req.ContentLength > 0 {
		length = strconv.FormatInt(req.ContentLength, 10)
	}
	h := req.Header
	lines := []string{
		req.Method, "", "", length, h.Get("Content-MD5"), h.Get("Content-Type"), "", h.Get("If-Modified-Since"),
		h.Get("If-Match"), h.Get("If-None-Match"), h.Get("If-Unmodified-Since"), h.Get("Range"),
	}
	var own []string
	for key := range h {
		if lower := strings.ToLower(key); strings.HasPrefix(lower, "x-ms-") {
			own = append(own, lower+":"+h.Get(key))
		}
	}
	slices.Sort(own)
	resource := "/" + azuretest.Account + req.URL.EscapedPath()
	query := req.URL.Query()
	for _, key := range slices.Sorted(func(yield func(string) bool) {
		for key := range query {
			if !yield(key) {
				return
			}
		}
	}) {
		resource += "\n" + key + ":" + query.Get(key)
	}
	key, err := base64.StdEncoding.DecodeString(azuretest.Key)
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(strings.Join(append(append(lines, own...), resource), "\n")))
	req.Header.Set("Authorization", "SharedKey "+azuretest.Account+":"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

var (
	blockBlob = map[string]string{"X-Ms-Blob-Type": "BlockBlob"}
	create    = exchange{name: "create the container", method: "PUT", path: "?restype=container", status: 201}
)

func with(header map[string]string, more ...string) map[string]string {
	all := maps.Clone(header)
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

func TestBlobs(t *testing.T) {
	peers(t, func(t *testing.T, p *peer) {
		t.Helper()
		p.play(t, []exchange{
			{name: "put without container", method: "PUT", path: "/a", header: blockBlob, body: "x", status: 404, code: "ContainerNotFound"},
			{name: "properties of no container", method: "GET", path: "?restype=container", status: 404, code: "ContainerNotFound"},
			{name: "list no container", method: "GET", path: "?restype=container&comp=list", status: 404, code: "ContainerNotFound"},
			create,
			{name: "create it again", method: "PUT", path: "?restype=container", status: 409, code: "ContainerAlreadyExists"},
			{name: "its properties", method: "GET", path: "?restype=container", status: 200},
			{name: "get nothing", method: "GET", path: "/a", status: 404, code: "BlobNotFound"},
			{name: "head nothing", method: "HEAD", path: "/a", status: 404, code: "BlobNotFound"},
			{name: "delete nothing", method: "DELETE", path: "/a", status: 404, code: "BlobNotFound"},
			{name: "put", method: "PUT", path: "/a", header: blockBlob, body: "0123456789", status: 201},
			{name: "get", method: "GET", path: "/a", status: 200, want: "0123456789"},
			{name: "get a range", method: "GET", path: "/a", header: map[string]string{"X-Ms-Range": "bytes=2-4"}, status: 206, want: "234"},
			{name: "get the rest", method: "GET", path: "/a", header: map[string]string{"X-Ms-Range": "bytes=7-"}, status: 206, want: "789"},
			{name: "get past the end", method: "GET", path: "/a", header: map[string]string{"X-Ms-Range": "bytes=8-20"}, status: 206, want: "89"},
			{name: "get behind the end", method: "GET", path: "/a", header: map[string]string{"X-Ms-Range": "bytes=12-"}, status: 416, code: "InvalidRange"},
			{name: "put with a checksum", method: "PUT", path: "/b", header: with(blockBlob, "Content-MD5", "gdyb21LQTcIANtvYMT7QVQ=="), body: "1234", status: 201},
			{name: "put with a wrong checksum", method: "PUT", path: "/c", header: with(blockBlob, "Content-MD5", "gdyb21LQTcIANtvYMT7QVQ=="), body: "12345", status: 400, code: "Md5Mismatch"},
			{name: "nothing of it is there", method: "HEAD", path: "/c", status: 404},
			{name: "delete", method: "DELETE", path: "/a", status: 202},
			{name: "get what is deleted", method: "GET", path: "/a", status: 404, code: "BlobNotFound"},
			{name: "names are not paths", method: "PUT", path: "/d%2F..%2Fe", header: blockBlob, body: "x", status: 201},
			{name: "nor cleaned", method: "HEAD", path: "/e", status: 404},
		})
	})
}

func TestConditions(t *testing.T) {
	peers(t, func(t *testing.T, p *peer) {
		t.Helper()
		p.play(t, []exchange{
			create,
			{name: "replace nothing", method: "PUT", path: "/a", header: with(blockBlob, "If-Match", `"0x1"`), body: "x", status: 412, code: "ConditionNotMet"},
			{name: "create", method: "PUT", path: "/a", header: with(blockBlob, "If-None-Match", "*"), body: "1", status: 201},
			{name: "create again", method: "PUT", path: "/a", header: with(blockBlob, "If-None-Match", "*"), body: "2", status: 409, code: "BlobAlreadyExists"},
			{name: "it is as before", method: "GET", path: "/a", status: 200, want: "1"},
			{name: "replace", method: "PUT", path: "/a", header: with(blockBlob, "If-Match", "{etag}"), body: "3", status: 201},
			{name: "replace another version", method: "PUT", path: "/a", header: with(blockBlob, "If-Match", `"0x8D1"`), body: "4", status: 412, code: "ConditionNotMet"},
			{name: "get the same", method: "GET", path: "/a", header: map[string]string{"If-None-Match": "{etag}"}, status: 304},
			{name: "get another", method: "GET", path: "/a", header: map[string]string{"If-Match": `"0x8D1"`}, status: 412, code: "ConditionNotMet"},
			{name: "touch another", method: "PUT", path: "/a?comp=metadata", header: map[string]string{"If-Match": `"0x8D1"`}, status: 412, code: "ConditionNotMet"},
			{name: "touch", method: "PUT", path: "/a?comp=metadata", header: map[string]string{"If-Match": "{etag}", "X-Ms-Meta-Key": "value"}, status: 200},
			{name: "delete another", method: "DELETE", path: "/a", header: map[string]string{"If-Match": `"0x8D1"`}, status: 412, code: "ConditionNotMet"},
			{name: "delete", method: "DELETE", path: "/a", header: map[string]string{"If-Match": "{etag}"}, status: 202},
			{name: "touch nothing", method: "PUT", path: "/a?comp=metadata", status: 404, code: "BlobNotFound"},
		})
	})
}

func TestBlocks(t *testing.T) {
	list := func(ids ...string) string {
		return "<BlockList><Latest>" + strings.Join(ids, "</Latest><Latest>") + "</Latest></BlockList>"
	}
	peers(t, func(t *testing.T, p *peer) {
		t.Helper()
		p.play(t, []exchange{
			create,
			{name: "stage", method: "PUT", path: "/a?comp=block&blockid=MDE%3D", body: "one,", status: 201},
			{name: "stage another", method: "PUT", path: "/a?comp=block&blockid=MDI%3D", body: "two,", status: 201},
			{name: "nothing is visible", method: "GET", path: "/a", status: 404, code: "BlobNotFound"},
			{name: "stage with an ID of another length", method: "PUT", path: "/a?comp=block&blockid=MDAwMQ%3D%3D", body: "x", status: 400, code: "InvalidBlobOrBlock"},
			{name: "commit what is not there", method: "PUT", path: "/a?comp=blocklist", body: list("MDE=", "MDk="), status: 400, code: "InvalidBlockList"},
			{name: "nothing is visible yet", method: "HEAD", path: "/a", status: 404},
			{name: "commit", method: "PUT", path: "/a?comp=blocklist", header: map[string]string{"If-None-Match": "*"}, body: list("MDI=", "MDE="), status: 201},
			{name: "get", method: "GET", path: "/a", status: 200, want: "two,one,"},
			{name: "stage once more", method: "PUT", path: "/a?comp=block&blockid=MDM%3D", body: "three", status: 201},
			{name: "it is as before", method: "GET", path: "/a", status: 200, want: "two,one,"},
			{name: "commit on a condition", method: "PUT", path: "/a?comp=blocklist", header: map[string]string{"If-None-Match": "*"}, body: list("MDM="), status: 409, code: "BlobAlreadyExists"},
			{name: "commit old and new", method: "PUT", path: "/a?comp=blocklist", body: list("MDE=", "MDM="), status: 201},
			{name: "get both", method: "GET", path: "/a", status: 200, want: "one,three"},
			{name: "what was left out is gone", method: "PUT", path: "/a?comp=blocklist", body: list("MDI="), status: 400, code: "InvalidBlockList"},
		})
	})
}

func TestListing(t *testing.T) {
	const query = "?restype=container&comp=list&prefix=a%2F&maxresults=2"
	peers(t, func(t *testing.T, p *peer) {
		t.Helper()
		exchanges := []exchange{create}
		for _, name := range []string{"a/3", "a/1", "b/1", "a/2", "a/%252", "a/ä & <x>"} {
			exchanges = append(exchanges, exchange{name: "put " + name, method: "PUT", path: "/" + url.PathEscape(name), header: blockBlob, body: "x", status: 201})
		}
		exchanges = append(exchanges, exchange{name: "stage", method: "PUT", path: "/a%2Fstaged?comp=block&blockid=MDE%3D", body: "x", status: 201})
		p.play(t, exchanges)
		var names []string
		for marker, pages := "", 0; ; pages++ {
			if pages > 10 {
				t.Fatal("the listing has no end")
			}
			body := p.get(t, query+"&marker="+url.QueryEscape(marker))
			found := between(body, "<Name>", "</Name>")
			if len(found) > 2 {
				t.Errorf("a page has %d names, want at most 2", len(found))
			}
			names = append(names, found...)
			next := between(body, "<NextMarker>", "</NextMarker>")
			if len(next) == 0 || next[0] == "" {
				break
			}
			marker = next[0]
		}
		slices.Sort(names)
		want := []string{"a/%252", "a/1", "a/2", "a/3", "a/ä &amp; &lt;x&gt;"}
		if !slices.Equal(names, want) {
			t.Errorf("the listing has %q, want %q", names, want)
		}
	})
}

func (p *peer) get(t *testing.T, path string) string {
	t.Helper()
	req := p.request(t, exchange{method: "GET", path: path}, "")
	signByKey(req)
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s = %s, %v: %s", path, resp.Status, err, body.String())
	}
	return body.String()
}

// between returns what stands between two marks.
func between(text, open, end string) []string {
	var found []string
	for {
		_, rest, ok := strings.Cut(text, open)
		if !ok {
			return found
		}
		item, after, _ := strings.Cut(rest, end)
		found, text = append(found, item), after
	}
}
