package registry

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/larder-build/larder/backend"
)

// recorded is an answer as a registry was seen to give it.
type recorded struct {
	name   string
	host   string
	status int
	body   string
	kind   error  // which of the backend's it must become
	says   string // what of the registry's message must reach the user
	hint   string // part of the hint; "" means none
	source string // where it was seen
}

func recordings() []recorded {
	const (
		ecr  = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
		own  = "registry.example.com"
		html = "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n<center><h1>413 Request Entity Too Large</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
	)
	one := func(code, message string) string {
		return `{"errors":[{"code":"` + code + `","message":"` + strings.ReplaceAll(message, `"`, `\"`) + `"}]}` + "\n"
	}
	return []recorded{
		// Amazon ECR
		{
			"ecr index", ecr, 405, one("UNSUPPORTED", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"),
			backend.ErrUnsupported, "Invalid JSON syntax", "image-manifest=false", "chainguard-dev/apko#450",
		},
		{
			"ecr no layers", ecr, 405, one("UNSUPPORTED", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Image has to have at least 1 layer'"),
			backend.ErrUnsupported, "at least 1 layer", "nothing to cache", "containerd/containerd#8969",
		},
		{
			"ecr immutable repository", ecr, 400, one("TAG_INVALID", "The image tag 'cache' already exists in the 'app' repository and cannot be overwritten because the repository is immutable."),
			backend.ErrExists, "cannot be overwritten", "IMMUTABLE_WITH_EXCLUSION", "moby/buildkit#3776",
		},
		{
			"ecr immutable tag", ecr, 400, one("TAG_INVALID", "The image tag 'cache' already exists in the 'app' repository and cannot be overwritten because the tag is immutable."),
			backend.ErrExists, "tag is immutable", "IMMUTABLE_WITH_EXCLUSION", "osscontainertools/kaniko PR #204",
		},
		{
			"ecr no repository", ecr, 404, one("NAME_UNKNOWN", "The repository with name 'team/cache' does not exist in the registry with id '123456789012'"),
			backend.ErrNotFound, "does not exist in the registry", "aws ecr create-repository", "plexsystems/sinker#55",
		},
		{
			"ecr public no repository", "public.ecr.aws", 404, one("NAME_UNKNOWN", "The repository with name 'a1e6v7a9/myrepo' does not exist in the registry with id 'xxx'"),
			backend.ErrNotFound, "a1e6v7a9/myrepo", "aws ecr create-repository", "actions/starter-workflows#2647",
		},
		{
			"ecr expired", ecr, 403, one("DENIED", "Your authorization token has expired. Reauthenticate and try again."),
			backend.ErrDenied, "has expired", "twelve hours", "aws/aws-cli#6580",
		},
		{
			"ecr expired, plain text", ecr, 403, "Your Authorization Token has expired. Please run 'aws ecr get-login' to fetch a new one.",
			backend.ErrDenied, "Please run", "twelve hours", "deis/builder#426",
		},
		{
			"ecr policy", ecr, 403, one("DENIED", "User: arn:aws:sts::754256621582:assumed-role/ci/GitHubActions is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:eu-west-2:754256621582:repository/app because no identity-based policy allows the ecr:InitiateLayerUpload action"),
			backend.ErrDenied, "ecr:InitiateLayerUpload", "IAM policy", "ministryofjustice/cloud-platform#7245",
		},
		{
			"ecr nobody", ecr, 401, "Not Authorized\n",
			backend.ErrDenied, "Not Authorized", "get-login-password", "google/go-containerregistry#861",
		},
		{
			"ecr rate", "public.ecr.aws", 429, one("TOOMANYREQUESTS", "Rate exceeded"),
			backend.ErrLimited, "Rate exceeded", "fewer at once", "DataDog/datadog-lambda-extension#123",
		},
		{
			"ecr of china", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", 404, one("NAME_UNKNOWN", "The repository with name 'x' does not exist in the registry with id '123456789012'"),
			backend.ErrNotFound, "'x'", "aws ecr create-repository", "drone-plugins/drone-ecr#52",
		},

		// GitHub
		{
			"ghcr package", "ghcr.io", 403, one("DENIED", "permission_denied: write_package"),
			backend.ErrDenied, "write_package", "packages: write", "danger/danger-js#1414",
		},
		{
			"ghcr create", "ghcr.io", 403, one("DENIED", "installation not allowed to Create organization package"),
			backend.ErrDenied, "Create organization package", "packages: write", "apache/arrow-swift#37",
		},
		{
			"ghcr fork", "ghcr.io", 403, one("DENIED", "installation not allowed to Write organization package"),
			backend.ErrDenied, "Write organization package", "forks", "zeek/zeek PR #5756",
		},
		{
			"ghcr token", "ghcr.io", 401, one("UNAUTHORIZED", "unauthenticated: User cannot be authenticated with the token provided."),
			backend.ErrDenied, "cannot be authenticated", "has expired", "getwud/wud#219",
		},
		{
			"ghcr delete", "ghcr.io", 405, one("UNSUPPORTED", "The operation is unsupported."),
			backend.ErrUnsupported, "unsupported", "GitHub's API", "podman-container-tools/skopeo#1880",
		},
		{
			"ghcr denied", "ghcr.io", 403, one("DENIED", "denied"),
			backend.ErrDenied, "denied", "read:packages", "docker/setup-buildx-action#124",
		},

		// Docker Hub
		{
			"hub pulls", "docker.io", 429, one("TOOMANYREQUESTS", "You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: https://www.docker.com/increase-rate-limit"),
			backend.ErrLimited, "increase-rate-limit", "log in to Docker Hub", "docker/hub-feedback#2429",
		},
		{
			"hub anonymous pulls", "docker.io", 429, one("TOOMANYREQUESTS", "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"),
			backend.ErrLimited, "unauthenticated", "log in to Docker Hub", "docker/hub-feedback#2505",
		},
		{
			"hub pulls, older", "docker.io", 429, one("TOOMANYREQUESTS", "Too Many Requests. Please see https://docs.docker.com/docker-hub/download-rate-limit/"),
			backend.ErrLimited, "download-rate-limit", "log in to Docker Hub", "play-with-docker/play-with-docker#422",
		},
		{
			"hub abuse", "docker.io", 429, "Too Many Requests (HAP429)",
			backend.ErrLimited, "HAP429", "fewer requests", "docker/hub-feedback#1907",
		},
		{
			"hub denied", "docker.io", 403, one("DENIED", "requested access to the resource is denied"),
			backend.ErrDenied, "requested access", "log in as its owner", "docker/build-push-action#853",
		},
		{
			"hub read-only token", "docker.io", 401, "access token has insufficient scopes",
			backend.ErrDenied, "insufficient scopes", "write access", "spinalcordtoolbox/spinalcordtoolbox#5286",
		},
		{
			"hub nobody", "docker.io", 401, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository","Class":"","Name":"team/cache","Action":"pull"}]}]}`,
			backend.ErrDenied, "authentication required", "docker login", "distribution/distribution#1679",
		},
		{
			"hub delete", "docker.io", 405, one("UNSUPPORTED", "The operation is unsupported."),
			backend.ErrUnsupported, "unsupported", "Docker Hub deletes nothing", "docker/hub-feedback#2360",
		},

		// Azure
		{
			"acr resumed upload", "team.azurecr.io", 404, one("BLOB_UPLOAD_INVALID", "blob upload invalid"),
			backend.ErrUnavailable, "blob upload invalid", "begin anew", "Azure/azure-sdk-for-js#25448",
		},
		{
			"acr token", "team.azurecr.io", 401, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit https://aka.ms/acr/authorization for more information.","detail":[{"Type":"repository","Name":"billing","Action":"pull"}]}]}`,
			backend.ErrDenied, "aka.ms/acr/authorization", "az acr login", "Azure/acr#841",
		},
		{
			"acr firewall", "team.azurecr.io", 403, `{"errors":[{"code":"DENIED","message":"client with IP \u0027172.214.169.102\u0027 is not allowed access. Refer https://aka.ms/acr/firewall to grant access."}]}`,
			backend.ErrDenied, "172.214.169.102", "firewall", "docker/build-push-action#1214",
		},
		{
			"acr locked", "team.azurecr.io", 405, `{"errors":[{"code":"REGISTRY_DISALLOWED_OPERATION","message":"The operation is disallowed on this registry, repository or image. View troubleshooting steps at https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation","detail":{}}]}`,
			backend.ErrUnsupported, "aka.ms/acr/faq", "locked", "Azure/azure-sdk-for-net#22827",
		},

		// Google
		{
			"gcr index", "gcr.io", 400, one("MANIFEST_INVALID", `Failed to parse manifest for request "/v2/p/hello/manifests/cache": Failed to deserialize application/vnd.docker.distribution.manifest.list.v2+json.`),
			backend.ErrInvalid, "Failed to deserialize", "image-manifest=false", "moby/buildkit#1143",
		},
		{
			"gcr shut down", "gcr.io", 403, one("DENIED", "Container Registry is deprecated and shutting down, please use the auto migration tool to migrate to Artifact Registry (gcloud artifacts docker upgrade migrate --projects='p')."),
			backend.ErrDenied, "auto migration tool", "docker.pkg.dev", "mozilla/jetstream#2683",
		},
		{
			"gar writer", "us-central1-docker.pkg.dev", 403, one("DENIED", `Permission "artifactregistry.repositories.uploadArtifacts" denied on resource "projects/p/locations/us-central1/repositories/cache" (or it may not exist)`),
			backend.ErrDenied, "uploadArtifacts", "Artifact Registry Writer", "GoogleCloudPlatform/cymbal-superstore PR #4",
		},
		{
			"gar reader", "us-central1-docker.pkg.dev", 403, one("DENIED", `Permission "artifactregistry.repositories.downloadArtifacts" denied on resource "projects/p/locations/us-central1/repositories/cache" (or it may not exist)`),
			backend.ErrDenied, "downloadArtifacts", "Artifact Registry Reader", "googleapis/python-run#54",
		},
		{
			"gar nobody", "us-central1-docker.pkg.dev", 401, one("DENIED", `Unauthenticated request. Unauthenticated requests do not have permission "artifactregistry.repositories.uploadArtifacts" on resource "projects/p/locations/us/repositories/r" (or it may not exist)`),
			backend.ErrDenied, "Unauthenticated request", "gcloud auth configure-docker", "RafikFarhad/push-to-gcr-github-action#48",
		},
		{
			"gar short name", "us-central1-docker.pkg.dev", 400, one("NAME_INVALID", "Missing image name. Pushes should be of the form docker push HOST-NAME/PROJECT-ID/REPOSITORY/IMAGE"),
			backend.ErrInvalid, "Missing image name", "PROJECT/REPOSITORY/IMAGE", "docker/build-push-action#171",
		},
		{
			"gar no repository", "europe-west2-docker.pkg.dev", 404, one("NAME_UNKNOWN", `Repository "cache" not found`),
			backend.ErrNotFound, "not found", "gcloud artifacts repositories create", "google-github-actions/deploy-cloudrun#420",
		},
		{
			"gcr tagged", "eu.gcr.io", 400, one("GOOGLE_MANIFEST_DANGLING_TAG", "Manifest is still referenced by tag: cdd65fd"),
			backend.ErrInvalid, "still referenced", "delete the tags", "genuinetools/reg#136",
		},

		// Quay
		{
			"quay cache", "quay.io", 401, one("UNAUTHORIZED", "access to the requested resource is not authorized"),
			backend.ErrDenied, "not authorized", "robot account", "moby/buildkit#1440",
		},
		{
			"quay read-only", "quay.io", 405, one("DENIED", "System is currently read-only. Pulls will succeed but all write operations are currently suspended."),
			backend.ErrReadOnly, "currently suspended", "status.quay.io", "podman-container-tools/buildah#3604",
		},
		{
			"own quay read-only", own, 405, one("DENIED", "System is currently read-only. Pulls will succeed but all write operations are currently suspended."),
			backend.ErrReadOnly, "currently suspended", "read-only mode", "opendatahub-io/notebooks PR #3421",
		},
		{
			"own quay without pushes", own, 405, `{"errors":[{"code":"METHOD NOT ALLOWED","detail":{},"message":"Pushes to the registry are currently disabled. Please contact the administrator for more information."}]}`,
			backend.ErrUnsupported, "contact the administrator", "disabled pushes", "quay/quay PR #2746",
		},

		// Harbor
		{
			"harbor mount", own, 401, one("UNAUTHORIZED", "project examplegroup not found: project examplegroup not found"),
			backend.ErrDenied, "project examplegroup", "create the project", "goharbor/harbor#17097",
		},
		{
			"harbor role", own, 401, one("UNAUTHORIZED", "unauthorized to access repository: test/image, action: push: unauthorized to access repository: test/image, action: push"),
			backend.ErrDenied, "test/image", "Developer", "goharbor/harbor#18806",
		},
		{
			"harbor quota", own, 403, one("DENIED", "adding 29.0 MiB of storage resource, which when updated to current usage of 152.4 MiB will exceed the configured upper limit of 10.0 MiB."),
			backend.ErrLimited, "10.0 MiB", "quota", "goharbor/harbor#17390",
		},
		{
			"harbor quota, older", own, 403, one("DENIED", "Quota exceeded when processing the request of adding 1.3 MiB, which when added to current usage of 235.9 MiB will exceed the configured upper limit of 100.0 MiB."),
			backend.ErrLimited, "Quota exceeded", "quota", "goharbor/harbor#8802",
		},
		{
			"harbor immutable", own, 412, one("PRECONDITION", "Failed to process request due to 'cache:main' configured as immutable."),
			backend.ErrExists, "configured as immutable", "tag immutability rules", "goharbor/harbor PR #17239",
		},
		{
			"harbor read-only", own, 403, one("DENIED", "The system is in read only mode. Any modification is prohibited."),
			backend.ErrReadOnly, "read only mode", "garbage collection", "goharbor/harbor#4650",
		},
		{
			"harbor name", own, 400, one("BAD_REQUEST", "bad request: invalid repository name: pause"),
			backend.ErrInvalid, "pause", "PROJECT/REPOSITORY", "goharbor/harbor#22078",
		},
		{
			"harbor index", own, 404, one("NOT_FOUND", "artifact test/stress@sha256:0c7694d987c1c223286855519be30124e6138676e6db56e0fc76dd96fc178fbd not found"),
			backend.ErrNotFound, "test/stress", "image-manifest=false", "goharbor/harbor#14774",
		},

		// Sonatype Nexus
		{
			"nexus redeploy", own, 400, `{"errors":[{"code":"BLOB_UPLOAD_INVALID","message":"blob upload invalid","detail":"Repository does not allow updating assets: coe-docker"}]}`,
			backend.ErrExists, "updating assets: coe-docker", "allow redeploy", "GoogleContainerTools/jib#3057",
		},
		{
			"nexus group", own, 403, one("DENIED", "Deploying to groups is a PRO-licensed feature. See https://links.sonatype.com/product-nexus-repository"),
			backend.ErrDenied, "PRO-licensed", "hosted one", "sigstore/cosign#2189",
		},
		{
			"nexus old", own, 500, "java.lang.NullPointerException: Cannot get property 'digest' on null object",
			backend.ErrUnavailable, "NullPointerException", "3.22", "moby/buildkit#2761",
		},

		// JFrog Artifactory
		{
			"artifactory overwrite", "team.jfrog.io", 403, `{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":{"description":"HTTP 403 Forbidden"}}]}`,
			backend.ErrDenied, "403 Forbidden", "Delete/Overwrite", "GoogleContainerTools/kaniko#1095",
		},
		{
			"artifactory breaker", "team.jfrog.io", 400, `{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":{"description":"Circuit Breaker Threshold Reached, Breaking Operation. see log output for manifest details."}}]}`,
			backend.ErrInvalid, "Circuit Breaker", "see its log", "GoogleContainerTools/kaniko#2297",
		},

		// GitLab, Gitea
		{
			"gitlab token", "registry.gitlab.com", 403, one("DENIED", "access forbidden"),
			backend.ErrDenied, "access forbidden", "write_registry", "harness/harness#1960",
		},
		{
			"own gitlab token", own, 403, one("DENIED", "access forbidden"),
			backend.ErrDenied, "access forbidden", "write_registry", "caprover/caprover-cli#84",
		},
		{
			"gitlab denied", "registry.gitlab.com", 401, one("UNAUTHORIZED", "authentication required"),
			backend.ErrDenied, "authentication required", "CI_REGISTRY_PASSWORD", "ansible/ansible-container#893",
		},
		{
			"gitea", own, 401, one("UNAUTHORIZED", "reqPackageAccess"),
			backend.ErrDenied, "reqPackageAccess", "write:package", "go-gitea/gitea#33732",
		},

		// distribution, and proxies before it
		{
			"distribution delete", own, 405, one("UNSUPPORTED", "The operation is unsupported."),
			backend.ErrUnsupported, "unsupported", "storage.delete.enabled", "distribution/distribution#1222",
		},
		{
			"distribution read-only", own, 405, "Method not allowed\n",
			backend.ErrUnsupported, "Method not allowed", "read-only", "distribution/distribution#1718",
		},
		{
			"distribution missing blob", own, 400, `{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry","detail":"sha256:fe451967c3eb9b76feb1c5ad2ce910352a77dfb0dad4d83c181860bfadeb168b"}]}`,
			backend.ErrNotFound, "sha256:fe451967", "export again", "goharbor/harbor#18541",
		},
		{"nginx", own, 413, html, backend.ErrTooLarge, "413 Request Entity Too Large", "client_max_body_size", "SteveLTN/https-portal#100"},
		{
			"other immutable", own, 409, one("TAG_IMMUTABLE", "tag main is immutable"),
			backend.ErrExists, "tag main", "a repository of its own", "mulgadc/spinifex PR #392",
		},
		{"unknown to us", own, 418, one("TEAPOT", "short and stout"), backend.ErrInvalid, "short and stout", "", "RFC 2324"},
	}
}

// RoundTrip answers the ping as an open registry and everything else as recorded.
func (r recorded) RoundTrip(req *http.Request) (*http.Response, error) {
	status, body := r.status, r.body
	if req.URL.Path == "/v2/" {
		status, body = http.StatusOK, "{}"
	}
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return &http.Response{
		Request: req, StatusCode: status, ContentLength: int64(len(body)), Header: make(http.Header),
		Body: io.NopCloser(strings.NewReader(body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

func TestRecordedErrors(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range recordings() {
		if seen[r.name] || r.source == "" {
			t.Errorf("recording %q is there twice or has no source", r.name)
		}
		seen[r.name] = true
		t.Run(r.name, func(t *testing.T) {
			b, err := Open(t.Context(), r.host+"/team/cache", Options{Transport: r, Keychain: authn.NewMultiKeychain()})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			_, err = b.PutRef(t.Context(), "main", backend.Document{Data: []byte("{}")}, backend.Always)
			if got := backend.Kind(err); !errors.Is(got, r.kind) {
				t.Errorf("kind = %v, want %v\n%v", got, r.kind, err)
			}
			var refused *ResponseError
			if !errors.As(err, &refused) {
				t.Fatalf("PutRef = %v, want a *ResponseError", err)
			}
			if !strings.Contains(err.Error(), r.says) {
				t.Errorf("PutRef = %v, want it to repeat %q", err, r.says)
			}
			if !strings.Contains(refused.Hint, r.hint) || (r.hint == "") != (refused.Hint == "") {
				t.Errorf("hint = %q, want one about %q (%s)", refused.Hint, r.hint, r.source)
			}
			if !strings.HasSuffix(err.Error(), refused.Hint) || strings.Contains(refused.Hint, "\n") {
				t.Errorf("PutRef = %q, want the hint %q at its end, in one line", err, refused.Hint)
			}
		})
	}
	if len(seen) < 40 {
		t.Errorf("%d recordings, want at least 40", len(seen))
	}
}

// TestHintsAreReached looks for rules that no recording reaches.
func TestHintsAreReached(t *testing.T) {
	reached := make(map[string]bool)
	for _, r := range recordings() {
		code, message := parseErrors([]byte(r.body))
		host := r.host
		if host == "docker.io" {
			host = "index.docker.io"
		}
		reached[hint(host, code, r.status, message)] = true
	}
	for name, rules := range map[string][]known{
		"ecr": ecrHints(), "ghcr": ghcrHints(), "hub": hubHints(), "acr": acrHints(), "google": googleHints(),
		"quay": quayHints(), "gitlab": gitlabHints(), "run": runHints(), "every": everyHint(),
	} {
		for _, k := range rules {
			if !reached[k.hint] {
				t.Errorf("%s: no recording leads to %q", name, k.hint)
			}
		}
	}
}
