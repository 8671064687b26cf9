package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// inspection is what "larder inspect --json" promises.
type inspection struct {
	Ref, Digest, Encoding string
	Layers                []struct {
		Digest    string `json:"digest"`
		DiffID    string `json:"diffID"`
		Size      int64  `json:"size"`
		MediaType string `json:"mediaType"`
		Parent    int    `json:"parent"`
	}
	Records []struct {
		Digest string   `json:"digest"`
		Layers []string `json:"layers"`
	}
	Totals struct{ Layers, Records int }
}

// verification is what "larder verify --json" promises.
type verification struct {
	OK               bool
	Missing, Corrupt []struct {
		Digest string `json:"digest"`
	}
	RecordsLost int
}

// runLarder runs the command and returns its standard output, also of a run
// that failed.
func runLarder(ctx context.Context, program string, args ...string) ([]byte, error) {
	var out, messages bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = &out, &messages
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("larder %s: %w\n%s%s", strings.Join(args, " "), err, &out, &messages)
	}
	return out.Bytes(), nil
}

func larder(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := runLarder(t.Context(), built(t).larder, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func parse[T any](t *testing.T, text []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return v
}

func inspect(t *testing.T, location string) inspection {
	t.Helper()
	return parse[inspection](t, larder(t, "inspect", "--json", location))
}

// mustVerify checks that larder finds a cache whole.
func mustVerify(t *testing.T, location string) {
	t.Helper()
	v := parse[verification](t, larder(t, "verify", "--json", location))
	if !v.OK || len(v.Missing)+len(v.Corrupt) > 0 || v.RecordsLost != 0 {
		t.Errorf("verify %s = %+v, want it to be ok", location, v)
	}
}

// refs lists the tags at a location.
func refs(t *testing.T, dir string) []string {
	t.Helper()
	list := parse[struct{ Refs []struct{ Ref string } }](t, larder(t, "ls", "--json", "type=local,src="+dir))
	var names []string
	for _, r := range list.Refs {
		names = append(names, r.Ref)
	}
	return names
}
