package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	bkgha "github.com/moby/buildkit/cache/remotecache/gha"

	"github.com/larder-build/larder/internal/bench/harness"
)

// actionsOps are what GitHub's cache service is asked for.
func actionsOps() []string {
	return []string{"lookup", "create", "put", "put block", "put block list", "finalize", "get", "head"}
}

// The cache that is exported to GitHub's: on the way of which a build waits.
const (
	actionsBytes  = 128 << 20 // 134 MB
	actionsLayers = 5
)

// What an export of so many layers takes: a lookup of each layer, of the ref
// before and after, and of the catalog of packs; three requests for each layer and
// for the ref.
const (
	actionsPerEntry = 3
	actionsLookups  = 3
)

// actionsCacheVariable is where the testbed tells where @actions/cache is.
const actionsCacheVariable = "LARDER_TEST_ACTIONS_CACHE"

const actionsCache = "@actions/cache"

// actionsTask exports to GitHub's cache. Each peer has a service of its own.
func (b *bench) actionsTask() task {
	p := b.programs
	n := actionsPerEntry*(actionsLayers+1) + actionsLookups + actionsLayers
	return task{
		title: fmt.Sprintf("%d MB in %d layers, directory to GitHub's cache at %d ms", actionsBytes/1_000_000, actionsLayers, b.size.service.Milliseconds()),
		from:  place{layout: filepath.Join(b.dir, "actions")},
		peers: []peer{within(p.larderCopy(), n), within(p.larderExport(), n), slow(p.buildkit()), {name: actionsCache}},
		goals: []goal{{"larder", "BuildKit", 0.1}, {"larder --merge", "BuildKit", 0.1}},
	}
}

// runActions measures exports to GitHub's cache, if the expression matches.
func (b *bench) runActions(ctx context.Context, out io.Writer) error {
	t := b.actionsTask()
	if !b.options.Only.MatchString(t.title) {
		return nil
	}
	t.peers = withoutPeers(t.peers, b.options.Without)
	if err := writeCache(t.from.layout, bulkLayers(size{bulkBytes: actionsBytes, bulkLayers: actionsLayers})); err != nil {
		return err
	}
	modules, err := b.actionsModules(ctx)
	if err != nil {
		return err
	}
	r := results{samples: map[string][]sample{}, requests: map[string]map[string]int{}}
	for i := range b.options.Rounds {
		for j := range t.peers {
			p := t.peers[(i+j)%len(t.peers)]
			if i > 0 && p.once {
				continue
			}
			if err := b.exportActions(ctx, t, p, modules, r); err != nil {
				return fmt.Errorf("%s: %s: %w", t.title, p.name, err)
			}
		}
	}
	b.print(out, t, r)
	if b.options.Full {
		printSave(out, b.size.service, r)
	}
	return t.broken(r)
}

// printSave says whether the goal beside GitHub's own client is met: it stores
// one archive and no manifest, for which an export has three requests more.
func printSave(out io.Writer, latency time.Duration, r results) {
	for _, name := range []string{"larder", "larder --merge"} {
		ours, theirs := r.samples[name], r.samples[actionsCache]
		if len(ours) == 0 || len(theirs) == 0 {
			continue
		}
		most := harness.Median(walls(theirs))*6/5 + actionsPerEntry*latency
		verdict := map[bool]string{true: "met", false: "not met"}[harness.Median(walls(ours)) <= most]
		fmt.Fprintf(out, "\n%s takes %s s; the goal is at most %s s, 1.2 x the time of %s and three round trips: %s\n",
			name, harness.Seconds(harness.Median(walls(ours))), harness.Seconds(most), actionsCache, verdict)
	}
}

// exportActions runs a peer once, and checks that it has finished its entries.
func (b *bench) exportActions(ctx context.Context, t task, p peer, modules string, r results) (err error) {
	s, err := harness.StartCacheService(ctx, b.log, b.programs.gha, "-latency", b.size.service.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var took sample
	entries := actionsLayers + 1
	if p.name == actionsCache {
		entries = 1
		took, err = b.saveActions(ctx, t.from, s, modules)
	} else {
		took, err = runMeasured(ctx, p.args(t.from, actionsPlace(s)))
	}
	if err != nil {
		return err
	}
	counts, err := actionsRequests(ctx, s)
	if err == nil && (counts["create"] != entries || counts["finalize"] != entries) {
		err = fmt.Errorf("it sent %v, want %d entries created and finalized", counts, entries)
	}
	r.samples[p.name] = append(r.samples[p.name], took)
	r.requests[p.name] = counts
	return err
}

// actionsPlace is where a service keeps caches.
func actionsPlace(s *harness.CacheService) place { return place{actions: s.URL + " " + s.Token} }

// actionsRequests returns how many requests a service has had, by what they are
// for.
func actionsRequests(ctx context.Context, s *harness.CacheService) (map[string]int, error) {
	resp, err := send(ctx, http.MethodGet, s.URL+"requests", nil, 0, nil, http.StatusOK)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	counts := map[string]int{}
	err = json.NewDecoder(resp.Body).Decode(&counts)
	delete(counts, "unknown") // this one
	return counts, err
}

// saveActions has @actions/cache save the layers. The time is that of saveCache
// alone, without the start of node.
func (b *bench) saveActions(ctx context.Context, from place, s *harness.CacheService, modules string) (sample, error) {
	script, err := filepath.Abs("../ghaserver/testdata/actions-cache.mjs")
	if err != nil {
		return sample{}, err
	}
	cmd := exec.CommandContext(ctx, "node", script, modules)
	cmd.Dir = from.layout
	cmd.Env = append(os.Environ(), "RUNNER_TEMP="+b.dir, "GITHUB_WORKSPACE="+from.layout, "GITHUB_SERVER_URL=https://github.com",
		"ACTIONS_CACHE_SERVICE_V2=true", "ACTIONS_RESULTS_URL="+s.URL, "ACTIONS_RUNTIME_TOKEN="+s.Token)
	cmd.Stdin = strings.NewReader(`{"do": "save", "path": "blobs", "key": "bench"}`)
	var messages bytes.Buffer
	cmd.Stderr = &messages
	out, err := cmd.Output()
	if err != nil {
		return sample{}, fmt.Errorf("node: %w\n%s", err, &messages)
	}
	var saved struct {
		Result       float64
		Error, Said  string
		Milliseconds float64
	}
	if err := json.Unmarshal(out, &saved); err != nil || saved.Result <= 0 {
		return sample{}, fmt.Errorf("saveCache() = %v, %s\n%s", saved.Result, saved.Error, saved.Said)
	}
	took := sample{wall: time.Duration(saved.Milliseconds * float64(time.Millisecond))}
	took.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return took, nil
}

// actionsModules returns where @actions/cache is, of the testbed around this
// program or of one of its own.
func (b *bench) actionsModules(ctx context.Context) (string, error) {
	if modules := os.Getenv(actionsCacheVariable); modules != "" {
		return modules, nil
	}
	return harness.TestbedVariable(ctx, b.log, "actions-cache", actionsCacheVariable)
}

// runBuildKitActions exports a cache to GitHub's as buildkitd does.
func runBuildKitActions(ctx context.Context, from place, to string) error {
	url, token, _ := strings.Cut(to, " ")
	exporter, err := bkgha.ResolveCacheExporterFunc(nil, nil)(ctx, nil, map[string]string{"url_v2": url, "token": token, "scope": refName})
	if err != nil {
		return err
	}
	return exportTo(ctx, from, exporter)
}
