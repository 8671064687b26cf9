// Command serve runs the cache service of GitHub Actions that tests have as a
// process of its own, for tests and measurements in other modules:
//
//	serve [-latency 100ms] refs/heads/main=rw refs/heads/feature=rw,refs/heads/main=r
//
// It prints a JSON object with its url and a token for each argument, which lists
// scopes with what the token may do there, and ends when its standard input does.
//
// Beside the protocol it has, for tests, POST /content?scope=&key=&version=,
// which makes the body the content of an entry, or takes its content away if the
// body is empty; DELETE, which evicts the entry; and GET /requests, which tells
// how many requests there were of each op.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/larder-build/larder/internal/ghaserver"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

// run serves until in ends.
func run(args []string, in io.Reader, out, log io.Writer) error {
	var o ghaserver.Options
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.SetOutput(log)
	flags.DurationVar(&o.Latency, "latency", 0, "what passes before each request is answered")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var s *ghaserver.Server
	o.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Path == "/content" && change(s, w, r) || r.URL.Path == "/requests" && count(s, w)
	}
	s = ghaserver.Start(o)
	defer s.Close()
	started := struct {
		URL    string   `json:"url"`
		Tokens []string `json:"tokens"`
	}{URL: s.URL}
	for _, text := range flags.Args() {
		scopes, err := parseScopes(text)
		if err != nil {
			return err
		}
		started.Tokens = append(started.Tokens, s.Token(scopes...))
	}
	if err := json.NewEncoder(out).Encode(started); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, in)
	return err
}

// parseScopes reads ref=permissions, separated by commas.
func parseScopes(text string) ([]ghaserver.Scope, error) {
	permissions := map[string]int{"r": ghaserver.Read, "w": ghaserver.Write, "rw": ghaserver.Read | ghaserver.Write}
	var scopes []ghaserver.Scope
	for field := range strings.SplitSeq(text, ",") {
		ref, allowed, _ := strings.Cut(field, "=")
		permission, ok := permissions[allowed]
		if !ok {
			return nil, fmt.Errorf("scope %q: want REF=r, REF=w or REF=rw", field)
		}
		scopes = append(scopes, ghaserver.Scope{Ref: ref, Permission: permission})
	}
	return scopes, nil
}

// change changes a content behind the back of all clients.
func change(s *ghaserver.Server, w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	scope, key, version := q.Get("scope"), q.Get("key"), q.Get("version")
	data, err := io.ReadAll(r.Body)
	ok := err == nil
	switch {
	case !ok:
	case r.Method == http.MethodDelete:
		ok = s.Evict(scope, key, version)
	case len(data) == 0:
		ok = s.DropBlob(scope, key, version)
	default:
		s.Plant(scope, key, version, data)
	}
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
	}
	return true
}

// count tells the requests so far.
func count(s *ghaserver.Server, w http.ResponseWriter) bool {
	counts := map[string]int{}
	for _, r := range s.Requests() {
		counts[r.Op]++
	}
	if err := json.NewEncoder(w).Encode(counts); err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	return true
}
