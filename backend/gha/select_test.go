package gha_test

import (
	"strings"
	"testing"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/internal/ghaserver"
)

func TestFromEnvChoosesTheVersion(t *testing.T) {
	const first, second = "http://first/", "http://second/"
	for _, tt := range []struct {
		name string
		env  map[string]string
		want int
	}{
		{"github.com", map[string]string{"ACTIONS_RESULTS_URL": second, "ACTIONS_CACHE_URL": first, "ACTIONS_CACHE_SERVICE_V2": "true", "GITHUB_SERVER_URL": "https://github.com"}, 2},
		{"github.com, exported without the switch", map[string]string{"ACTIONS_RESULTS_URL": second, "ACTIONS_CACHE_URL": first, "GITHUB_SERVER_URL": "https://github.com"}, 2},
		{"GHE.com", map[string]string{"ACTIONS_RESULTS_URL": second, "ACTIONS_CACHE_URL": first, "GITHUB_SERVER_URL": "https://corp.ghe.com"}, 2},
		{"switch that is on", map[string]string{"ACTIONS_RESULTS_URL": second, "ACTIONS_CACHE_URL": first, "ACTIONS_CACHE_SERVICE_V2": "on"}, 2},
		{"switch that is off", map[string]string{"ACTIONS_RESULTS_URL": second, "ACTIONS_CACHE_URL": first, "ACTIONS_CACHE_SERVICE_V2": "False"}, 1},
		{"Enterprise Server", map[string]string{"ACTIONS_RESULTS_URL": second, "ACTIONS_CACHE_URL": first, "ACTIONS_CACHE_SERVICE_V2": "true", "GITHUB_SERVER_URL": "https://git.corp.example"}, 1},
		{"Enterprise Server without a URL of the first", map[string]string{"ACTIONS_RESULTS_URL": second, "GITHUB_SERVER_URL": "https://git.corp.example"}, 2},
		{"act", map[string]string{"ACTIONS_CACHE_URL": first, "GITHUB_SERVER_URL": "https://github.com"}, 1},
		{"first one forced", map[string]string{"ACTIONS_RESULTS_URL": second, "ACTIONS_CACHE_URL": first, "ACTIONS_CACHE_API_FORCE_VERSION": "v1"}, 1},
		{"second one forced", map[string]string{"ACTIONS_RESULTS_URL": second, "ACTIONS_CACHE_URL": first, "ACTIONS_CACHE_API_FORCE_VERSION": "v2", "GITHUB_SERVER_URL": "https://git.corp.example"}, 2},
		{"nothing", nil, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := gha.FromEnv(func(name string) string { return tt.env[name] })
			want := map[int]string{1: tt.env["ACTIONS_CACHE_URL"], 2: tt.env["ACTIONS_RESULTS_URL"]}[tt.want]
			if got.Version != tt.want || got.URL != want {
				t.Errorf("FromEnv() = version %d at %q, want %d at %q", got.Version, got.URL, tt.want, want)
			}
		})
	}
}

// TestLocationsChooseTheVersion looks at which version is spoken to a service
// that speaks both.
func TestLocationsChooseTheVersion(t *testing.T) {
	s := ghaserver.New(t, ghaserver.Options{})
	token := s.Token(writer)
	github := map[string]string{
		"ACTIONS_RESULTS_URL": s.URL, "ACTIONS_CACHE_URL": s.URL + "/", "ACTIONS_RUNTIME_TOKEN": token, "ACTIONS_CACHE_SERVICE_V2": "true",
	}
	enterprise := map[string]string{"ACTIONS_CACHE_URL": s.URL + "/", "ACTIONS_RUNTIME_TOKEN": token, "GITHUB_SERVER_URL": "https://git.corp.example"}
	for _, tt := range []struct {
		name, text string
		env        map[string]string
		want       string // a part of the path
	}{
		{"environment of github.com", "type=gha", github, "/twirp/"},
		{"environment of Enterprise Server", "type=gha", enterprise, "/artifactcache/"},
		{"version before the environment", "type=gha,version=1", github, "/artifactcache/"},
		{"url before the environment", "type=gha,url=" + s.URL + "/", github, "/artifactcache/"},
		{"url_v2 before the environment", "type=gha,url_v2=" + s.URL, enterprise, "/twirp/"},
		{"both URLs", "type=gha,url=" + s.URL + ",url_v2=" + s.URL, enterprise, "/twirp/"},
		{"both URLs and a version", "type=gha,version=1,url=" + s.URL + ",url_v2=" + s.URL, enterprise, "/artifactcache/"},
		{"second version at the url", "type=gha,version=2,url=" + s.URL, enterprise, "/twirp/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := openAt(t, tt.text, tt.env)
			if err != nil {
				t.Fatalf("Open(%s) = %v, want a backend", tt.text, err)
			}
			putRef(t, b, "demo", tt.name, backend.Always)
			wantRef(t, b, "demo", tt.name)
			requests := s.Requests()
			if got := requests[len(requests)-2].Path; !strings.Contains(got, tt.want) {
				t.Errorf("the last lookup went to %s, want %s", got, tt.want)
			}
			if got := b.Info().Location; !strings.Contains(got, s.URL) {
				t.Errorf("Info().Location = %s, want the URL in it", got)
			}
		})
	}
}

func TestRetiredVersion(t *testing.T) {
	o := ghaserver.Options{}
	o.Retired = true
	b := open(t, ghaserver.New(t, o), func(o *gha.Options) { o.Version = 1 }, writer)
	for _, err := range failures(t, b) {
		if err == nil || !strings.Contains(err.Error(), "use url_v2") {
			t.Errorf("error = %v, want to hear of the second version", err)
		}
	}
}
