package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	bkgha "github.com/moby/buildkit/cache/remotecache/gha"
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

// What an export of so many layers takes: a lookup of each layer, and of the ref
// before and after; three requests for each layer and for the ref.
const (
	actionsPerEntry = 3
	actionsLookups  = 2
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
func (b *bench) runActions(ctx context.Context, tasks, without *regexp.Regexp, out io.Writer) error {
	t := b.actionsTask()
	if !tasks.MatchString(t.title) {
		return nil
	}
	t.peers = withoutPeers(t.peers, without)
	if err := writeCache(t.from.layout, bulkLayers(size{bulkBytes: actionsBytes, bulkLayers: actionsLayers})); err != nil {
		return err
	}
	modules, err := b.actionsModules(ctx)
	if err != nil {
		return err
	}
	r := results{samples: map[string][]sample{}, requests: map[string]map[string]int{}}
	for i := range b.size.rounds {
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
	printTable(out, t, r)
	if b.size.judged {
		printGoals(out, t, r)
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
		most := median(walls(theirs))*6/5 + actionsPerEntry*latency
		verdict := map[bool]string{true: "met", false: "not met"}[median(walls(ours)) <= most]
		fmt.Fprintf(out, "\n%s takes %s s; the goal is at most %s s, 1.2 x the time of %s and three round trips: %s\n",
			name, seconds(median(walls(ours))), seconds(most), actionsCache, verdict)
	}
}

// exportActions runs a peer once, and checks that it has finished its entries.
func (b *bench) exportActions(ctx context.Context, t task, p peer, modules string, r results) error {
	s, err := b.startActions(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	var took sample
	entries := actionsLayers + 1
	if p.name == actionsCache {
		entries = 1
		took, err = b.saveActions(ctx, t.from, s, modules)
	} else {
		took, err = runMeasured(ctx, p.args(t.from, s.place))
	}
	if err != nil {
		return err
	}
	counts, err := s.requests(ctx)
	if err == nil && (counts["create"] != entries || counts["finalize"] != entries) {
		err = fmt.Errorf("it sent %v, want %d entries created and finalized", counts, entries)
	}
	r.samples[p.name] = append(r.samples[p.name], took)
	r.requests[p.name] = counts
	return err
}

// actionsService is a service that runs.
type actionsService struct {
	place place
	url   string
	token string
	cmd   *exec.Cmd
	stdin io.Closer
}

func (b *bench) startActions(ctx context.Context) (*actionsService, error) {
	cmd := exec.CommandContext(ctx, b.programs.gha, "-latency", b.size.service.String(), "refs/heads/main=rw")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &actionsService{cmd: cmd, stdin: stdin}
	var started struct {
		URL    string
		Tokens []string
	}
	if err := json.NewDecoder(stdout).Decode(&started); err != nil || len(started.Tokens) != 1 {
		s.close()
		return nil, fmt.Errorf("the cache service has not started: %w", err)
	}
	s.url, s.token = started.URL+"/", started.Tokens[0]
	s.place.actions = s.url + " " + s.token
	return s, nil
}

// close ends the service.
func (s *actionsService) close() {
	_ = s.stdin.Close()
	_ = s.cmd.Wait() // whatever it says, it has ended
}

// requests returns how many requests the service has had, by what they are for.
func (s *actionsService) requests(ctx context.Context) (map[string]int, error) {
	resp, err := send(ctx, http.MethodGet, s.url+"requests", nil, 0, nil, http.StatusOK)
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
func (b *bench) saveActions(ctx context.Context, from place, s *actionsService, modules string) (sample, error) {
	script, err := filepath.Abs("../ghaserver/testdata/actions-cache.mjs")
	if err != nil {
		return sample{}, err
	}
	cmd := exec.CommandContext(ctx, "node", script, modules)
	cmd.Dir = from.layout
	cmd.Env = append(os.Environ(), "RUNNER_TEMP="+b.dir, "GITHUB_WORKSPACE="+from.layout, "GITHUB_SERVER_URL=https://github.com",
		"ACTIONS_CACHE_SERVICE_V2=true", "ACTIONS_RESULTS_URL="+s.url, "ACTIONS_RUNTIME_TOKEN="+s.token)
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
	cmd := exec.CommandContext(ctx, "go", "run", "./internal/testbed", "-only", "actions-cache", "--", "sh", "-c", "echo $"+actionsCacheVariable)
	cmd.Dir = "../.." // the module with the testbed
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	cmd.Stderr = b.log
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
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
