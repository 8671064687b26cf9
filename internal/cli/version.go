package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder"
)

// build is the JSON document of version.
type build struct {
	Schema string `json:"schema"`
	// Version is that of the module, "(devel)" if it was built in its
	// repository.
	Version string `json:"version"`
	// Commit and Modified are what the version control said at the time of the
	// build, if it did.
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// versionCommand returns "larder version".
func (a *app) versionCommand() *cobra.Command {
	cmd := a.command("version", "Print the version", "Print the version of larder, and of Go that built it.", cobra.NoArgs,
		func(context.Context, []string) error {
			b := thisBuild(debug.ReadBuildInfo())
			return a.answer(b, func(w io.Writer) { b.print(w) })
		})
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

func thisBuild(info *debug.BuildInfo, ok bool) build {
	b := build{Schema: larder.Schema, Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if !ok {
		return b
	}
	b.Version = cmp.Or(info.Main.Version, b.Version)
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (b build) print(w io.Writer) {
	commit := b.Commit
	if b.Modified {
		commit += " with changes"
	}
	if commit != "" {
		commit = ", commit " + commit
	}
	_, _ = fmt.Fprintf(w, "larder %s%s, %s, %s\n", b.Version, commit, b.Go, b.Platform)
}
