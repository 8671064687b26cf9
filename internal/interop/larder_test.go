package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// inspection is what "larder inspect --json" promises.
type inspection struct {
	Ref, Digest, Encoding string
	Size                  int64
	Layers                []inspectedLayer
	Records               []inspectedRecord
	Totals                struct{ Layers, Blobs, Bytes, Records, Results int64 }
	Problems              []string
}

type inspectedLayer struct {
	Digest, DiffID string
	Size           int64
	MediaType      string
	CreatedAt      *time.Time
	Parent         int
}

type inspectedRecord struct {
	Digest    string
	Layers    []string
	CreatedAt *time.Time
	Inputs    [][]inspectedLink
}

type inspectedLink struct {
	Record   int
	Selector string
}

// verification is what "larder verify --json" promises.
type verification struct {
	OK               bool
	Blobs, Bytes     int64
	Missing, Corrupt []struct {
		Digest string `json:"digest"`
	}
	RecordsLost int
}

// secrets are what locations and logins have and no output may.
var secrets = []string{s3SecretKey, azureKey, registryLogin()}

// runLarder runs the command with more variables in its environment, and
// returns its standard output, also of a run that failed. That it tells a secret
// is a failure.
func runLarder(ctx context.Context, environ []string, args ...string) ([]byte, error) {
	var out, messages bytes.Buffer
	cmd := exec.CommandContext(ctx, builtOnce.larder, args...)
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stdout, cmd.Stderr = &out, &messages
	err := cmd.Run()
	for _, secret := range secrets {
		if strings.Contains(out.String()+messages.String(), secret) {
			err = errors.Join(err, fmt.Errorf("the output has the secret %s", secret))
		}
	}
	if err != nil {
		err = fmt.Errorf("larder %s: %w\n%s%s", strings.Join(args, " "), err, &out, &messages)
	}
	return out.Bytes(), err
}

func larder(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := runLarder(t.Context(), nil, args...)
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
func mustVerify(t *testing.T, location string) verification {
	t.Helper()
	v := parse[verification](t, larder(t, "verify", "--json", location))
	if !v.OK || len(v.Missing)+len(v.Corrupt) > 0 || v.RecordsLost != 0 {
		t.Errorf("verify %s = %+v, want it to be ok", location, v)
	}
	return v
}

// mustDescribe compares what larder says of a cache with what is there, and
// has it checked by both. It returns what is there.
func mustDescribe(t *testing.T, p place, ref string) inspection {
	t.Helper()
	want := read(t, p, ref)
	if len(want.Layers) == 0 || want.Totals.Results == 0 {
		t.Fatalf("%s has %d layers and %d results", p.source(ref), len(want.Layers), want.Totals.Results)
	}
	if diff := cmp.Diff(want, inspect(t, p.source(ref)), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("inspect %s (-there +said):\n%s", p.source(ref), diff)
	}
	mustHold(t, p, want)
	if v := mustVerify(t, p.source(ref)); v.Blobs != want.Totals.Blobs || v.Bytes != want.Totals.Bytes {
		t.Errorf("verify %s checked %d blobs of %d bytes, want %d of %d", p.source(ref), v.Blobs, v.Bytes, want.Totals.Blobs, want.Totals.Bytes)
	}
	return want
}

// listed is a ref in what "larder ls --json" promises.
type listed struct{ Ref, Kind, Digest, Encoding string }

// list has larder list a place.
func list(t *testing.T, p place) []listed {
	t.Helper()
	return parse[struct{ Refs []listed }](t, larder(t, "ls", "--json", p.everything())).Refs
}

// refs lists the names at a place, in order.
func refs(t *testing.T, p place) []string {
	t.Helper()
	var names []string
	for _, l := range list(t, p) {
		names = append(names, l.Ref)
	}
	slices.Sort(names)
	return names
}
