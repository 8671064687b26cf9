package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
)

// buildKitTypes are the types of caches that BuildKit has, and of their
// attributes those that it knows. It ignores or refuses others
// (github.com/moby/buildkit, cache/remotecache).
func buildKitTypes() map[string][]string {
	all := []string{"mode", "compression", "compression-level", "force-compression", "oci-mediatypes", "image-manifest", "ignore-error"}
	return map[string][]string{
		"registry": append(all, "ref", "registry.insecure"),
		"local":    append(all, "src", "dest", "tag", "digest", "reset"),
		"inline":   {},
		"gha":      append(all, "url", "url_v2", "scope", "version", "timeout", "repository"),
		"s3": append(all, "bucket", "region", "endpoint_url", "prefix", "manifests_prefix", "blobs_prefix", "name", "touch_refresh",
			"upload_parallelism", "use_path_style", "access_key_id"),
		"azblob": append(all, "account_url", "account_name", "container", "prefix", "manifests_prefix", "blobs_prefix", "name"),
	}
}

// printBuild prints the places of a plan in the words of docker buildx.
func (a *app) printBuild(format, target string, write, read []larder.Located) error {
	to, err := a.buildKit(write, true)
	if err != nil {
		return err
	}
	from, err := a.buildKit(read, false)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	switch format {
	case "buildx":
		err = printFlags(&buf, to, from)
	case "bake":
		err = printBake(&buf, target, to, from)
	default:
		_, _ = fmt.Fprintf(&buf, "LARDER_CACHE_TO=%s\nLARDER_CACHE_FROM=%s\n", quoted(to), quoted(from))
	}
	if err != nil {
		return err
	}
	if _, err := a.Out.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}

// printFlags prints flags that survive the splitting of words by a shell.
func printFlags(w io.Writer, to, from []string) error {
	for flag, values := range map[string][]string{"--cache-to": to, "--cache-from": from} {
		for _, value := range values {
			if strings.ContainsFunc(value, unicode.IsSpace) || strings.ContainsAny(value, `*?["'`) {
				return fmt.Errorf("%s: a shell would take %s apart: use another format", flag, value)
			}
		}
	}
	for _, value := range to {
		_, _ = fmt.Fprintf(w, "--cache-to=%s\n", value)
	}
	for _, value := range from {
		_, _ = fmt.Fprintf(w, "--cache-from=%s\n", value)
	}
	return nil
}

// printBake prints a file that overrides, or is inherited by, a target.
func printBake(w io.Writer, target string, to, from []string) error {
	if target == "" {
		target = "default"
	}
	type caches struct {
		To   []string `json:"cache-to"`
		From []string `json:"cache-from"`
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(map[string]map[string]caches{"target": {target: {To: to, From: from}}})
}

// quoted returns values, one a line, as one word of a POSIX shell.
func quoted(values []string) string {
	return "'" + strings.ReplaceAll(strings.Join(values, "\n"), "'", `'\''`) + "'"
}

// buildKit returns places as BuildKit spells them, to write or to read. What it
// does not know is left out, and so are secrets, which have no place on a command
// line: it takes those from the environment too.
func (a *app) buildKit(all []larder.Located, write bool) ([]string, error) {
	texts := []string{}
	for _, l := range all {
		text, err := a.buildKitText(l.At, write)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

func (a *app) buildKitText(l backend.Location, write bool) (string, error) {
	known, ok := buildKitTypes()[l.Type()]
	if !ok {
		return "", usagef("BuildKit keeps no caches of type=%s", l.Type())
	}
	attrs := l.Attrs()
	maps.DeleteFunc(attrs, func(key, _ string) bool {
		if slices.Contains(known, key) {
			return !write && slices.Contains(l.Inert(), key)
		}
		a.warnOnce(fmt.Sprintf("%s is left out: BuildKit does not take it there; secrets are for the environment", key))
		return true
	})
	if l.Type() == "local" {
		has, wants := "dest", "src"
		if write {
			has, wants = wants, has
		}
		if dir, ok := attrs[has]; ok {
			delete(attrs, has)
			attrs[wants] = dir
		}
	}
	made, err := a.mux().Make(l.Type(), attrs)
	if err != nil {
		return "", err
	}
	return made.String(), nil
}

// warnOnce prints a warning, but not again.
func (a *app) warnOnce(text string) {
	if !slices.Contains(a.warned, text) {
		a.warned = append(a.warned, text)
		a.warn(text)
	}
}
