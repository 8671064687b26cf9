package ci

import (
	"fmt"
	"strings"

	"github.com/magiconair/properties"

	"github.com/larder-build/larder/scope"
)

// teamCity reads the build parameters of
// jetbrains.com/help/teamcity/predefined-build-parameters.html. Branches are
// configuration parameters, which are no environment variables but stand in a
// file that is named in another.
func teamCity(env Environment, b *Build) error {
	in := &b.Input
	in.Commit = env.Getenv("BUILD_VCS_NUMBER")
	params, err := teamCityParameters(env)
	if err != nil {
		return err
	}
	if number := params["teamcity.pullRequest.number"]; number != "" {
		in.Kind, in.Number = scope.PullRequest, number
		in.Head, in.Base = short(params["teamcity.pullRequest.source.branch"]), short(params["teamcity.pullRequest.target.branch"])
		b.assumeFork("TeamCity does not say where a pull request comes from")
		return nil
	}
	branch := params["teamcity.build.branch"]
	if branch == "" || branch == "<default>" {
		branch = short(params["vcsroot.branch"])
	}
	b.branchOrTag(short(branch), "")
	if tag, ok := strings.CutPrefix(branch, "refs/tags/"); ok {
		b.branchOrTag("", tag)
	}
	if in.Kind == scope.Branch && params["teamcity.build.branch.is_default"] == "true" {
		in.Default = in.Ref
	}
	return nil
}

// teamCityParameters reads the configuration parameters of the build.
func teamCityParameters(env Environment) (map[string]string, error) {
	file := env.Getenv("TEAMCITY_BUILD_PROPERTIES_FILE")
	for _, next := range []string{"teamcity.configuration.properties.file", ""} {
		if file == "" || env.ReadFile == nil {
			return nil, nil
		}
		data, err := env.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("build properties: %w", err)
		}
		found, err := (&properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}).LoadBytes(data)
		if err != nil {
			return nil, fmt.Errorf("build properties %s: %w", file, err)
		}
		if next == "" {
			return found.Map(), nil
		}
		file = found.GetString(next, "")
	}
	return nil, nil
}
