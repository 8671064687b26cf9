package registry

import "net/http"

// runHints has what registries say that people run themselves: Harbor, Nexus,
// Artifactory, GitLab, Gitea, Quay. Their words are enough to tell them.
func runHints() []known {
	return []known{
		// Harbor
		{text: "action: push", hint: "give the account the role Developer or a higher one in the Harbor project, which is the first part of the name"},
		{text: "configured upper limit", hint: "the quota of the Harbor project is used up: delete artifacts and run garbage collection, or raise it"},
		{text: "configured as immutable", hint: "exempt the cache's tags in the tag immutability rules of the Harbor project"},
		{code: "BAD_REQUEST", text: "invalid repository name", hint: "Harbor wants names of the form PROJECT/REPOSITORY"},
		{text: "read only mode", hint: "Harbor is in read-only mode, as during garbage collection: try again later"},
		{code: "UNAUTHORIZED", text: " not found", hint: "create the project in Harbor first: it is the first part of the name"},
		{status: http.StatusNotFound, code: "NOT_FOUND", text: "artifact", hint: "older versions of Harbor refuse caches that are no image manifests: leave out image-manifest=false"},
		// Sonatype Nexus
		{text: "does not allow updating assets", hint: "set the deployment policy of the Nexus repository to allow redeploy"},
		{text: "deploying to groups", hint: "the Nexus repository is a group, which is read-only: write to a hosted one"},
		{text: "cannot get property 'digest' on null", hint: "this version of Nexus (before 3.22) refuses caches that are no images: update it"},
		// JFrog Artifactory
		{code: "MANIFEST_INVALID", text: "403 forbidden", hint: "give the account the permission Delete/Overwrite in Artifactory: moving a tag needs it"},
		{code: "MANIFEST_INVALID", text: "circuit breaker", hint: "Artifactory could not read what had been uploaded: try again, and see its log"},
		// Quay
		{text: "system is currently read-only", hint: "Quay is in read-only mode: try again later"},
		{text: "pushes to the registry are currently disabled", hint: "the administrator of Quay has disabled pushes for the moment"},
		// GitLab
		{text: "access forbidden", hint: "the token lacks read_registry or write_registry, or the project's container registry is disabled in GitLab"},
		// Gitea and Forgejo
		{text: "reqpackageaccess", hint: "use a personal access token with the permission write:package as the password"},
	}
}
