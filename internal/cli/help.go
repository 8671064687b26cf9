package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/all"
)

// helpTopics returns commands that cannot be run: "larder help TOPIC" prints
// them.
func (a *app) helpTopics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "locations", Short: "How locations are written", Long: locationsHelp + attributesHelp(a.stores(all.Options{}).Drivers())},
		{Use: "scopes", Short: "How scopes are found and named, and the rules", Long: scopesHelp},
		{Use: "json", Short: "What --json prints", Long: jsonHelp},
		{Use: "status", Short: "The exit status", Long: statusHelp},
	}
}

const locationsHelp = `A location is where caches are, and perhaps the names of refs there. It is
written as in BuildKit's --cache-to and --cache-from, as a URL, or, for a
directory, as a path that begins with / or ./, and for a registry, as an image
whose host has a dot or a port, or is localhost:

  type=local,src=/var/cache/app,tag=main
  local:///var/cache/app?tag=main
  /var/cache/app
  type=registry,ref=ghcr.io/org/app/cache:main
  registry://ghcr.io/org/app/cache:main
  ghcr.io/org/app/cache:main

Several refs are separated by semicolons (tag=main;v1): all are written, checked,
listed, inspected, merged or removed, while copy and diff read one. A digest in
place of a name (digest=sha256:..., or @sha256:... behind a repository) reads that
manifest, and cannot be written.

type=inline,ref=... or type=inline,src=... is an image in a registry or a
directory, and the cache inside of it.

What is misspelled is an error. Attributes of BuildKit's that concern building,
such as mode=max, are accepted and have no effect. Secrets are never printed.

The types and their attributes; those with a star have to be given:
`

// attributesWidth is where the attributes of a type begin, lineWidth where the
// lines end.
const (
	attributesWidth = 12
	lineWidth       = 80
)

// attributesHelp lists the attributes of all drivers, but those without effect.
func attributesHelp(drivers []backend.Driver) string {
	var text strings.Builder
	for _, d := range drivers {
		line := fmt.Sprintf("\n  %-*s", attributesWidth-3, d.Type)
		for _, attr := range d.Attrs {
			if attr.Inert {
				continue
			}
			word := " " + attributeHelp(attr)
			if len(line)-1+len(word) > lineWidth {
				text.WriteString(line)
				line = "\n" + strings.Repeat(" ", attributesWidth-1)
			}
			line += word
		}
		text.WriteString(line)
	}
	return text.String()
}

// attributeHelp names an attribute with its aliases and variables.
func attributeHelp(attr backend.Attr) string {
	text := strings.Join(append([]string{attr.Name}, attr.Aliases...), "|")
	if attr.Required {
		text += "*"
	}
	if len(attr.Env) > 0 {
		text += "=$" + strings.Join(attr.Env, "|$")
	}
	return text
}

const statusHelp = `  0  done: nothing is wrong, the caches are equal, or the repair has succeeded
  1  failed; or verify found problems that were not repaired, diff found
     differences, or doctor something that does not work
  2  the command line is wrong
  3  there is nothing: the ref, or every ref, that was to be read or removed
     does not exist`

const jsonHelp = `Standard output has one JSON document; of inspect and verify, one for each ref
that the location names. Fields may be added, under the same "schema"; one is
absent, or null, if there is nothing to say. Warnings and errors go to standard
error as without --json. Sizes are in bytes, times as in RFC 3339.

A command that fails adds
  error      {kind, message, hint}
with the kinds usage, interrupted, not-cache, not-found, conflict,
already-exists, not-supported, invalid, denied, read-only, limit-reached,
too-large, unavailable, corrupt, and failed for all others.

inspect
  schema, ref, digest, encoding (oci-manifest, oci-index, docker-list, flat,
  inline), size, modTime
  layers[]   {digest, diffID, size, mediaType, createdAt, parent}: in the order
             of the cache config; the same blob may stand on several parents;
             parent is an index into layers, or -1
  records[]  {digest, layers[], createdAt, inputs[][]}: layers are the digests
             of the result, lowest first; each input lists the {record,
             selector} any of which satisfies it, record being an index
  totals     {layers, blobs, bytes, records, results}: bytes are those of
             the distinct blobs
  problems[] what of a damaged cache was left out, in words

verify
  schema, ref, ok, recordsLost, blobs, bytes (what is good)
  missing[], corrupt[]  {digest, reason}
  problems[]
  repaired   a target as below; "ok" tells of the time before

copy, merge
  schema, nanoseconds
  targets[]  {target, ref, outcome (published, unchanged, skipped, removed,
             failed), error, digest, sent, reused, mounted {blobs, bytes},
             requests, retries, waitedNanoseconds, degradations[]}; of an
             image of type=inline also the records attached, and replaced,
             the digest that it had before
  sources[]  (merge) {source, ref, digest, records, layers, lost, serves (results
             that no source before it has), error}
  degradations[]  {kind, target, blob, detail}
  recompressed  (copy) {blobs, before, after}: of layers that were compressed
             anew, with their bytes

diff
  schema, equal
  a, b       what only the first and only the second has: {layers[], records[]
             {key, digest, name}, blobs[], bytes}
  common     {layers, records, blobs, bytes}
  changed[]  records with another result {key, digest, name, a, b}, the results
             being {key, top, layers}: the topmost blob and their number

ls
  schema, location
  refs[]     {ref, kind (cache, image, image+cache, other, unreadable), digest,
             encoding, size, modTime, newest (when the newest result of the
             cache was made), totals, scope {kind, ref, target, platform} (where
             the name tells more than a branch of that name), error}

save
  schema, key
  directories[] {name, files, bytes, layers, written {blobs, bytes}, delta,
             skipped[] {path, reason}}
  targets[], degradations[] as of copy; of a target also the keys dropped[]
  nanoseconds

restore, lookup
  schema, hit, exact, key, savedAt, tool (what saved it), source, ref
  directories[] {name, path, files, bytes, fetched {blobs, bytes}, present
                {blobs, bytes}, removed[]}; not of lookup
  sources[], degradations[] as of merge
  nanoseconds

key
  schema, key

rm
  schema, location, removed[]

doctor
  schema, location, driver, ok (nothing has failed)
  findings[] {check, status (ok, note, warning, failed, skipped), detail, remedy}
  left[]     {kind (ref, document, blob), name}: what was written by way of trial
             and could not be removed

scope
  schema, system, trust (trusted, untrusted), notes[]
  input      what is known of the build {kind, ref, number, head, headRepo, base,
             default, fork, commit, ancestors[] {branch, distance}, target,
             platform}
  write[], read[]  {location, name, reason (own, commit, head, base, ancestor,
             release-line, rule, default), trust, scope {kind, ref, target,
             platform}}: a location for each base, none without a base

promote
  as copy

explain
  schema, digest, verdict (hit, blob-gone, expired, no-result, elsewhere,
  unreadable, never-recorded)
  chain[], others[]  {source, ref, verdict, records, layers, missing[], createdAt,
             detail}
  unsearched[]  the stores that do not list their refs

version
  schema, version, commit, modified, go, platform`
