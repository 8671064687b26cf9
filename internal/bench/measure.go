package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sample is what one run of a peer took.
type sample struct {
	wall, cpu time.Duration
	server    time.Duration // the processor time of the object store meanwhile
	heap      int64         // bytes, the largest
}

// results are the samples of each peer, by its name, and its requests.
type results struct {
	samples  map[string][]sample
	requests map[string]map[string]int
}

// measure runs all peers of a task in turns.
func (b *bench) measure(ctx context.Context, t task) (results, error) {
	r := results{samples: make(map[string][]sample), requests: make(map[string]map[string]int)}
	if !t.delayed { // the proxy that counts would be in the way
		for _, p := range t.peers {
			if err := b.round(ctx, t, p, true, r); err != nil {
				return r, err
			}
		}
		clear(r.samples)
	}
	for i := range b.options.Rounds {
		// The first in a round has an advantage or a disadvantage: take turns.
		for j := range t.peers {
			p := t.peers[(i+j)%len(t.peers)]
			if i > 0 && p.once {
				continue
			}
			if err := b.round(ctx, t, p, t.delayed, r); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// round runs a peer once, and checks what it did.
func (b *bench) round(ctx context.Context, t task, p peer, proxied bool, r results) error {
	if p.absent != "" {
		return nil
	}
	from, to, direct, err := b.places(ctx, t, proxied)
	if err != nil {
		return err
	}
	for _, proxy := range b.proxies {
		proxy.take()
	}
	if p.before != nil {
		if err := p.before(); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	began := t.serverCPU()
	s, err := runMeasured(ctx, p.args(from, to))
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	s.server = t.serverCPU() - began
	if err := checkCopy(ctx, t, direct); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	r.samples[p.name] = append(r.samples[p.name], s)
	if proxied {
		counts := make(map[string]int)
		for _, proxy := range b.proxies {
			for method, n := range proxy.take() {
				counts[method] += n
			}
		}
		r.requests[p.name] = counts
	}
	if direct.objects.kind != "" {
		return removeObjects(ctx, direct.objects)
	}
	if direct.layout != "" {
		return os.RemoveAll(direct.layout)
	}
	return nil
}

// runMeasured runs a command of a program written in Go, as all peers are.
func runMeasured(ctx context.Context, args []string) (sample, error) {
	var messages bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	// Nobody here uses TLS. Some would load the certificates all the same, and old
	// versions of rclone refuse to work with some of them.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_CA_BUNDLE=") })
	cmd.Env = append(cmd.Env, "GODEBUG=gctrace=1")
	cmd.Stderr = &messages
	began := time.Now()
	err := cmd.Run()
	s := sample{wall: time.Since(began), heap: largestHeap(messages.Bytes())}
	if err != nil {
		text := traced.ReplaceAllString(messages.String(), "")
		return s, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(text))
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return s, nil
}

// traced is what the Go runtime prints at each garbage collection: "4->5->1 MB"
// are the heap's size at its begin, at its end, and what of it is live.
var traced = regexp.MustCompile(`(?m)^gc \d+ @.*?(\d+)->(\d+)->\d+ MB,.*\n`)

// startHeap is the size of the heap at which the first collection begins.
const startHeap = 4 << 20

func largestHeap(messages []byte) int64 {
	var largest int64 = startHeap
	for _, match := range traced.FindAllSubmatch(messages, -1) {
		mib, _ := strconv.ParseInt(string(match[2]), 10, 64) // digits
		largest = max(largest, mib<<20)
	}
	return largest
}

// walls returns the times of samples.
func walls(samples []sample) []time.Duration {
	all := make([]time.Duration, len(samples))
	for i, s := range samples {
		all[i] = s.wall
	}
	return all
}

// largest returns the largest of what get finds in the samples.
func largest(samples []sample, get func(sample) int64) int64 {
	var most int64
	for _, s := range samples {
		most = max(most, get(s))
	}
	return most
}

// total sums counts up.
func total(counts map[string]int) int {
	sum := 0
	for n := range maps.Values(counts) {
		sum += n
	}
	return sum
}
