package registrytest_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder/internal/registrytest"
)

var users = []registrytest.User{
	{Name: "writer", Password: "w", IdentityToken: "identity"},
	{Name: "reader", Password: "r", ReadOnly: true},
}

func basicAuth(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// token asks for a token with the credentials.
func (c client) token(authorization string, scopes ...string) string {
	c.t.Helper()
	query := url.Values{"service": {"registrytest"}, "scope": scopes}
	var headers []string
	if authorization != "" {
		headers = []string{"Authorization", authorization}
	}
	return tokenOf(c.t, c.want("200", "GET", "/token?"+query.Encode(), nil, headers...))
}

func tokenOf(t *testing.T, a answer) string {
	t.Helper()
	var got struct {
		Token     string
		ExpiresIn int `json:"expires_in"`
	}
	if err := json.Unmarshal(a.Body, &got); err != nil || got.Token == "" || got.ExpiresIn == 0 {
		t.Fatalf("token = %s, %v, want one that says how long it lasts", a.Body, err)
	}
	return "Bearer " + got.Token
}

func TestBasicAuth(t *testing.T) {
	c := newClient(t, registrytest.Options{Auth: &registrytest.Auth{Users: users}})
	a := c.want("401 UNAUTHORIZED", "GET", "/v2/", nil)
	if got := a.Header.Get("WWW-Authenticate"); got != `Basic realm="registrytest"` {
		t.Errorf("WWW-Authenticate = %q, want a Basic challenge", got)
	}
	c.want("401 UNAUTHORIZED", "GET", "/v2/", nil, "Authorization", basicAuth("writer", "wrong"))
	c.want("200", "GET", "/v2/", nil, "Authorization", basicAuth("writer", "w"))
	c.want("200", "GET", "/v2/", nil, "Authorization", basicAuth("reader", "r"))
	c.want("202", "POST", "/v2/a/blobs/uploads/", nil, "Authorization", basicAuth("writer", "w"))
	c.want("403 DENIED", "POST", "/v2/a/blobs/uploads/", nil, "Authorization", basicAuth("reader", "r"))
	c.want("404", "HEAD", "/v2/a/blobs/"+digest.FromString("x").String(), nil, "Authorization", basicAuth("reader", "r"))
	c.want("404", "GET", "/token", nil)
}

func TestTokenAuth(t *testing.T) {
	c := newClient(t, registrytest.Options{Auth: &registrytest.Auth{Tokens: true, Users: users}})
	a := c.want("401 UNAUTHORIZED", "POST", "/v2/a/blobs/uploads/", nil)
	challenge := a.Header.Get("WWW-Authenticate")
	if want := `Bearer realm="` + c.s.URL + `/token",service="registrytest",scope="repository:a:pull,push"`; challenge != want {
		t.Errorf("WWW-Authenticate = %q, want %q", challenge, want)
	}
	c.want("401 UNAUTHORIZED", "GET", "/token?scope=repository:a:pull", nil)
	c.want("401 UNAUTHORIZED", "GET", "/token?scope=repository:a:pull", nil, "Authorization", basicAuth("writer", "r"))

	writer := c.token(basicAuth("writer", "w"), "repository:a:pull,push")
	reader := c.token(basicAuth("reader", "r"), "repository:a:pull,push")
	c.want("202", "POST", "/v2/a/blobs/uploads/", nil, "Authorization", writer)
	c.want("200", "GET", "/v2/", nil, "Authorization", reader)
	for name, refused := range map[string]answer{
		"a reader writes":           c.want("401 UNAUTHORIZED", "POST", "/v2/a/blobs/uploads/", nil, "Authorization", reader),
		"of another repository":     c.want("401 UNAUTHORIZED", "POST", "/v2/b/blobs/uploads/", nil, "Authorization", writer),
		"deletes":                   c.want("401 UNAUTHORIZED", "DELETE", "/v2/a/manifests/v1", nil, "Authorization", writer),
		"mounts without the source": c.want("401 UNAUTHORIZED", "POST", "/v2/a/blobs/uploads/?from=b&mount="+digest.FromString("x").String(), nil, "Authorization", writer),
	} {
		if got := refused.Header.Get("WWW-Authenticate"); !strings.Contains(got, `error="insufficient_scope"`) {
			t.Errorf("%s: WWW-Authenticate = %q, want insufficient_scope", name, got)
		}
	}
	deleter := c.token(basicAuth("writer", "w"), "repository:a:delete")
	c.want("404 MANIFEST_UNKNOWN", "DELETE", "/v2/a/manifests/v1", nil, "Authorization", deleter)
	c.want("200", "GET", "/v2/_catalog", nil, "Authorization", c.token(basicAuth("writer", "w"), "registry:catalog:*"))
}

func TestMountNeedsBothScopesInOneToken(t *testing.T) {
	c := newClient(t, registrytest.Options{Auth: &registrytest.Auth{Tokens: true, Users: users}})
	d := c.s.PutBlob("b", []byte("x"))
	path := "/v2/a/blobs/uploads/?from=b&mount=" + d.String()
	a := c.want("401 UNAUTHORIZED", "POST", path, nil)
	scope := regexp.MustCompile(`scope="([^"]*)"`).FindStringSubmatch(a.Header.Get("WWW-Authenticate"))
	if len(scope) != 2 || scope[1] != "repository:a:pull,push repository:b:pull" {
		t.Fatalf("scope = %q, want those of both repositories", scope)
	}
	c.want("201", "POST", path, nil, "Authorization", c.token(basicAuth("writer", "w"), strings.Fields(scope[1])...))
}

func TestOAuth(t *testing.T) {
	c := newClient(t, registrytest.Options{Auth: &registrytest.Auth{Tokens: true, Users: users}})
	post := func(want string, form url.Values) answer {
		t.Helper()
		form.Set("scope", "repository:a:push")
		return c.want(want, "POST", "/token", []byte(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	}
	for name, form := range map[string]url.Values{
		"password":       {"grant_type": {"password"}, "username": {"writer"}, "password": {"w"}},
		"identity token": {"grant_type": {"refresh_token"}, "refresh_token": {"identity"}},
	} {
		token := tokenOf(t, post("200", form))
		if a := c.do("POST", "/v2/a/blobs/uploads/", nil, "Authorization", token); a.Status != http.StatusUnauthorized {
			t.Errorf("%s: a token for push alone was enough, want pull as well", name)
		}
	}
	post("401 UNAUTHORIZED", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {""}})
	post("401 UNAUTHORIZED", url.Values{"grant_type": {"password"}, "username": {"writer"}, "password": {"r"}})
}

func TestTokensEnd(t *testing.T) {
	invalid := func(t *testing.T, c client, token string) {
		t.Helper()
		a := c.want("401 UNAUTHORIZED", "GET", "/v2/", nil, "Authorization", token)
		if got := a.Header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
			t.Errorf("WWW-Authenticate = %q, want invalid_token", got)
		}
	}
	t.Run("by use", func(t *testing.T) {
		c := newClient(t, registrytest.Options{Auth: &registrytest.Auth{Tokens: true, TokenUses: 2, Users: users}})
		token := c.token(basicAuth("writer", "w"))
		c.want("200", "GET", "/v2/", nil, "Authorization", token)
		c.want("200", "GET", "/v2/", nil, "Authorization", token)
		invalid(t, c, token)
		c.want("200", "GET", "/v2/", nil, "Authorization", c.token(basicAuth("writer", "w")))
	})
	t.Run("by time", func(t *testing.T) {
		c := newClient(t, registrytest.Options{Auth: &registrytest.Auth{Tokens: true, TokenLife: time.Nanosecond, AnonymousPull: true}})
		a := c.want("200", "GET", "/token", nil)
		var got struct{ Token string }
		if err := json.Unmarshal(a.Body, &got); err != nil {
			t.Fatal(err)
		}
		invalid(t, c, "Bearer "+got.Token)
	})
	t.Run("by revocation", func(t *testing.T) {
		c := newClient(t, registrytest.Options{Auth: &registrytest.Auth{Tokens: true, Users: users}})
		token := c.token(basicAuth("writer", "w"))
		c.s.RevokeTokens()
		invalid(t, c, token)
	})
}

func TestReadersWithoutNames(t *testing.T) {
	head, post := "/v2/a/blobs/"+digest.FromString("x").String(), "/v2/a/blobs/uploads/"
	t.Run("basic", func(t *testing.T) {
		c := newClient(t, registrytest.Options{Auth: &registrytest.Auth{AnonymousPull: true, Users: users}})
		c.want("404", "HEAD", head, nil)
		c.want("401 UNAUTHORIZED", "POST", post, nil)
	})
	t.Run("token", func(t *testing.T) {
		c := newClient(t, registrytest.Options{Auth: &registrytest.Auth{AnonymousPull: true, Tokens: true, Users: users}})
		c.want("401", "HEAD", head, nil)
		token := c.token("", "repository:a:pull,push")
		c.want("404", "HEAD", head, nil, "Authorization", token)
		c.want("401 UNAUTHORIZED", "POST", post, nil, "Authorization", token)
	})
	t.Run("challenge on write", func(t *testing.T) {
		c := newClient(t, registrytest.Options{Auth: &registrytest.Auth{ChallengeOnWrite: true, Tokens: true, Users: users}})
		c.want("200", "GET", "/v2/", nil)
		c.want("404", "HEAD", head, nil)
		if a := c.want("401 UNAUTHORIZED", "POST", post, nil); a.Header.Get("WWW-Authenticate") == "" {
			t.Error("POST has no challenge")
		}
	})
}
