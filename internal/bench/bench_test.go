package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMain lets the test program be the peers, as the program itself is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == peerCommand {
		if err := runPeer(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestSmoke runs everything in the small size. It fails if a peer fails, or if
// larder needs more requests or memory than it should.
func TestSmoke(t *testing.T) {
	var out strings.Builder
	err := run(t.Context(), nil, &out, t.Output())
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"registry to registry", "| larder |", "| crane |", "| oras-go |", "| BuildKit |", "1 % new", "| rclone |", "| gocloud.dev |", "push to versitygw", "azurite to directory", "to GitHub's cache", "| @actions/cache |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the tables do not mention %q", want)
		}
	}
}

func TestBrokenBounds(t *testing.T) {
	bounded := task{title: "task", peers: []peer{{name: "a", heap: 5, requests: 3}, {name: "b"}}}
	for _, test := range []struct {
		name     string
		heap     int64
		requests int
		want     bool
	}{{"within both", 5, 3, false}, {"heap", 6, 3, true}, {"requests", 5, 4, true}} {
		r := results{samples: map[string][]sample{}, requests: map[string]map[string]int{}}
		for _, p := range bounded.peers {
			r.samples[p.name] = []sample{{heap: 1}, {heap: test.heap}}
			r.requests[p.name] = map[string]int{http.MethodPut: 1, http.MethodPost: test.requests - 1}
		}
		err := bounded.broken(r)
		if got := err != nil; got != test.want || got && strings.Contains(err.Error(), " b ") {
			t.Errorf("%s: broken() = %v, want an error about a: %t", test.name, err, test.want)
		}
	}
}

func TestProxyDelaysAndCounts(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("server: %v", err)
		}
		_, _ = w.Write(body) // the client finds out
	}))
	defer server.Close()
	const roundTrip = 20 * time.Millisecond
	p, err := newProxy(t.Context(), server.Listener.Addr().String(), roundTrip)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	body := strings.Repeat("layer", 50_000)
	began := time.Now()
	for _, request := range []struct{ method, path, body string }{
		{http.MethodGet, authentication, ""}, {http.MethodPost, "/v2/a", body}, {http.MethodPut, "/v2/b", "b"}, {http.MethodHead, "/v2/c", ""}, {http.MethodHead, "/v2/d", ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), request.method, "http://"+p.addr()+request.path, strings.NewReader(request.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || string(got) != request.body {
			t.Errorf("%s %s = %d bytes, %v, want the %d sent", request.method, request.path, len(got), err, len(request.body))
		}
		resp.Body.Close()
	}
	if took := time.Since(began); took < 5*roundTrip {
		t.Errorf("5 requests took %v, want at least 5 round trips of %v", took, roundTrip)
	}
	if diff := cmp.Diff(map[string]int{"POST": 1, "PUT": 1, "HEAD": 2}, p.take()); diff != "" {
		t.Errorf("counts differ (-want +got):\n%s", diff)
	}
	if got := p.take(); len(got) != 0 {
		t.Errorf("take() again = %v, want none", got)
	}
	client.CloseIdleConnections()
	if err := p.close(); err != nil {
		t.Errorf("close() = %v, want nil", err)
	}
}

func TestLargestHeap(t *testing.T) {
	messages := "gc 1 @0.004s 4%: 0.02+0.5+0.03 ms clock, 0.04+0.4/0.1/0+0.06 ms cpu, 4->4->1 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P\n" +
		"warning: something else 9->99->9 MB\n" +
		"gc 2 @0.1s 3%: 0.02+0.5+0.03 ms clock, 0.04+0.4/0.1/0+0.06 ms cpu, 21->23->8 MB, 22 MB goal, 0 MB stacks, 0 MB globals, 2 P\n"
	for _, test := range []struct {
		name, messages string
		want           int64
	}{{"traced", messages, 23 << 20}, {"no collection", "", 4 << 20}} {
		if got := largestHeap([]byte(test.messages)); got != test.want {
			t.Errorf("%s: largestHeap() = %d, want %d", test.name, got, test.want)
		}
	}
}

func TestRenewedReplacesOneInAHundred(t *testing.T) {
	old := smallLayers(size{smallLayers: 1000})
	changed := 0
	for i, l := range renewed(old) {
		if l.size != old[i].size {
			t.Errorf("layer %d has %d bytes, want %d as before", i, l.size, old[i].size)
		}
		if l.seed != old[i].seed {
			changed++
		}
	}
	if changed != 10 {
		t.Errorf("renewed(1000 layers) has %d new ones, want 10", changed)
	}
	for i, l := range old {
		if l.size < 4<<10 || l.size > 64<<10 {
			t.Errorf("layer %d has %d bytes, want 4 to 64 KiB", i, l.size)
		}
	}
}

func TestPlaces(t *testing.T) {
	for _, p := range []place{
		{layout: "/tmp/dir"},
		{repo: "127.0.0.1:5000/a/b"},
		{objects: objects{kind: kindS3, addr: "127.0.0.1:9000", bucket: "bench", prefix: "to-1/"}},
		{objects: objects{kind: kindAzblob, addr: "127.0.0.1:10000", bucket: "bench", prefix: "a/b/"}},
		{actions: "http://127.0.0.1:8080/ token"},
	} {
		if got := parsePlace(p.String()); got != p {
			t.Errorf("parsePlace(%s) = %+v, want %+v", p, got, p)
		}
	}
}
