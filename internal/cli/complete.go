package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/larder-build/larder/backend"
)

// requireLocations marks flags as required, and completes their values.
func (a *app) requireLocations(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		// Both fail only for a flag that does not exist.
		_ = cmd.MarkFlagRequired(name)
		_ = cmd.RegisterFlagCompletionFunc(name, a.completeLocation)
	}
	cmd.ValidArgsFunction = cobra.NoFileCompletions
}

// completeLocation completes BuildKit's spelling of a location: types, then
// keys, then the values of those that accept few. Other words are paths.
func (a *app) completeLocation(_ *cobra.Command, _ []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
	head, last := "", word
	if i := strings.LastIndexByte(word, ','); i >= 0 {
		head, last = word[:i+1], word[i+1:]
	}
	drivers := a.mux().Drivers()
	switch key, _, typed := strings.Cut(last, "="); {
	case head == "" && typed && key == "type":
		return matching(last, types(drivers)), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	case head == "" && word != "" && word == "type="[:min(len(word), len("type="))]:
		return types(drivers), cobra.ShellCompDirectiveNoSpace
	case head == "" || typed:
		return nil, cobra.ShellCompDirectiveDefault
	}
	var found []cobra.Completion
	for _, c := range matching(last, keys(drivers, head)) {
		found = append(found, head+c)
	}
	return found, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

func types(drivers []backend.Driver) []cobra.Completion {
	var all []cobra.Completion
	for _, d := range drivers {
		all = append(all, fmt.Sprintf("type=%s,", d.Type))
	}
	return all
}

// keys returns the attributes that may follow the first part of a location.
func keys(drivers []backend.Driver, head string) []cobra.Completion {
	var all []cobra.Completion
	for _, d := range drivers {
		if !strings.HasPrefix(head, "type="+d.Type+",") {
			continue
		}
		for _, attr := range d.Attrs {
			if !attr.Inert && !strings.Contains(head, ","+attr.Name+"=") {
				all = append(all, attr.Name+"=")
			}
		}
	}
	return all
}

func matching(prefix string, all []cobra.Completion) []cobra.Completion {
	var found []cobra.Completion
	for _, c := range all {
		if strings.HasPrefix(c, prefix) {
			found = append(found, c)
		}
	}
	return found
}
