package registry

import "net/http"

// What the hosted registries say, and what to do. The sources of the messages
// are beside their recordings in the tests.

const useImageManifest = " stores caches only as image manifests: leave out image-manifest=false"

func ecrHints() []known {
	return []known{
		{text: "at least 1 layer", hint: "Amazon ECR stores no manifest without layers: there is nothing to cache yet"},
		{text: "'imagemanifest'", hint: "Amazon ECR" + useImageManifest},
		{text: "immutable", hint: "exclude the cache's tags from immutability (IMMUTABLE_WITH_EXCLUSION), or use a repository with mutable tags"},
		{code: "NAME_UNKNOWN", hint: "create the repository first (aws ecr create-repository): Amazon ECR creates none by a push"},
		{text: "token has expired", hint: "passwords of Amazon ECR last twelve hours: log in again (aws ecr get-login-password), or use its credential helper"},
		{text: "is not authorized to perform", hint: "allow the action that is named in the IAM policy of these credentials, or in the repository's policy"},
		{status: http.StatusTooManyRequests, hint: "Amazon ECR limits the rate of requests: run fewer at once, and log in to its public registry"},
		{text: "not authorized", hint: "log in first (aws ecr get-login-password), or use the credential helper of Amazon ECR"},
	}
}

func ghcrHints() []known {
	const write = "give the workflow the permission packages: write, and its repository access to the package " +
		"(package settings, Manage Actions access)"
	return []known{
		{text: "write_package", hint: write + "; a personal token needs write:packages"},
		{text: "installation not allowed", hint: write + "; workflows from forks never have it"},
		{text: "cannot be authenticated", hint: "the token is wrong or has expired: ghcr.io takes GITHUB_TOKEN or a classic personal token"},
		{code: "UNSUPPORTED", hint: "ghcr.io deletes nothing by the registry's protocol: use GitHub's API for package versions, or the package's page"},
		{code: "DENIED", hint: "log in to ghcr.io with a token that has read:packages, and write:packages to write"},
	}
}

func hubHints() []known {
	return []known{
		{text: "pull rate limit", hint: "log in to Docker Hub, which raises the limit, or wait: it counts the last hours"},
		{text: "download-rate-limit", hint: "log in to Docker Hub, which raises the limit, or wait: it counts the last hours"},
		{status: http.StatusTooManyRequests, hint: "Docker Hub takes this for abuse: run fewer requests at once, and wait some minutes"},
		{code: "UNSUPPORTED", hint: "Docker Hub deletes nothing by the registry's protocol: use the repository's page, or Docker Hub's own API"},
		{text: "insufficient scopes", hint: "the access token is read-only: make one with write access"},
		{text: "access to the resource is denied", hint: "the repository may be missing, or somebody else's: log in as its owner, with a token that may write"},
		{code: "UNAUTHORIZED", hint: "log in to Docker Hub (docker login); private and missing repositories look the same to others"},
	}
}

func acrHints() []known {
	return []known{
		{text: "acr/firewall", hint: "the firewall of the Azure registry keeps this machine out: allow its address, or run inside the network"},
		{code: "BLOB_UPLOAD_INVALID", hint: "Azure's registry cannot resume an upload: it has to begin anew"},
		{text: "disallowed", hint: "the registry, repository or tag is locked: az acr repository update --write-enabled true"},
		{code: "UNAUTHORIZED", hint: "log in (az acr login, good for three hours) with the role AcrPush, or AcrPull to read"},
	}
}

func googleHints() []known {
	return []known{
		{text: "container registry is deprecated", hint: "Google Container Registry has been shut down: use Artifact Registry (REGION-docker.pkg.dev)"},
		{text: "unauthenticated request", hint: "log in for this very host: gcloud auth configure-docker HOST"},
		{text: "uploadartifacts", hint: "grant the role Artifact Registry Writer on the repository, which has to exist"},
		{text: "downloadartifacts", hint: "grant the role Artifact Registry Reader on the repository, which has to exist"},
		{code: "GOOGLE_MANIFEST_DANGLING_TAG", hint: "delete the tags of the manifest before the manifest"},
		{code: "MANIFEST_INVALID", hint: "Google's registry" + useImageManifest},
		{text: "missing image name", hint: "Artifact Registry wants names of the form PROJECT/REPOSITORY/IMAGE"},
		{code: "NAME_UNKNOWN", hint: "create the repository first (gcloud artifacts repositories create): a push creates none"},
	}
}

func quayHints() []known {
	return []known{
		{code: "UNAUTHORIZED", hint: "give the robot account write permission on the repository; " +
			"Quay also answers this to caches that are no image manifests: leave out image-manifest=false"},
		{text: "read-only", hint: "Quay is read-only for the moment: see status.quay.io"},
	}
}

func gitlabHints() []known {
	const login = "log in with a deploy token or personal token that has read_registry, and write_registry to write, " +
		"or in a job with CI_REGISTRY_USER and CI_REGISTRY_PASSWORD"
	return []known{
		{status: http.StatusForbidden, hint: login},
		{status: http.StatusUnauthorized, hint: login},
		{code: "DENIED", hint: login},
	}
}
