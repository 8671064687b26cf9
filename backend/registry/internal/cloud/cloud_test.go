package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/larder-build/larder/backend/registry/internal/cloud"
)

// provider grants numbered passwords for an hour each.
type provider struct {
	asked int
	err   error
	hang  bool
}

func (p *provider) keychain() authn.Keychain {
	return cloud.Provider{
		Name:   "Some Cloud",
		Serves: func(host string) bool { return strings.HasSuffix(host, ".cloud.example") },
		Login: func(ctx context.Context, host string) (cloud.Login, error) {
			p.asked++
			if p.hang {
				<-ctx.Done()
				return cloud.Login{}, fmt.Errorf("the SDK says: %w", ctx.Err())
			}
			password := fmt.Sprint(host, " ", p.asked)
			return cloud.Login{Config: authn.AuthConfig{Username: "u", Password: password}, Expires: time.Now().Add(time.Hour)}, p.err
		},
	}.Keychain()
}

func resolve(t *testing.T, ctx context.Context, k authn.Keychain, host string) (authn.Authenticator, error) {
	t.Helper()
	registry, err := name.NewRegistry(host)
	if err != nil {
		t.Fatal(err)
	}
	return authn.Resolve(ctx, k, registry)
}

// mustFind returns what a keychain finds.
func mustFind(t *testing.T, k authn.Keychain, host string) authn.Authenticator {
	t.Helper()
	auth, err := resolve(t, t.Context(), k, host)
	if err != nil {
		t.Fatalf("Resolve(%s) = %v, want credentials", host, err)
	}
	return auth
}

func password(t *testing.T, auth authn.Authenticator) string {
	t.Helper()
	config, err := authn.Authorization(t.Context(), auth)
	if err != nil {
		t.Fatalf("Authorization() = %v, want credentials", err)
	}
	return config.Password
}

// TestLoginIsKept shows for how long: until five minutes before its end, by
// those who have had it and by those who ask anew.
func TestLoginIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{}
		k := p.keychain()
		first := mustFind(t, k, "a.cloud.example")
		for _, step := range []struct {
			after time.Duration
			want  string
		}{
			{0, "a.cloud.example 1"},
			{54 * time.Minute, "a.cloud.example 1"},
			{time.Minute, "a.cloud.example 2"},
			{54 * time.Minute, "a.cloud.example 2"},
		} {
			time.Sleep(step.after) //nolint:forbidigo // The clock is that of a bubble.
			if got := password(t, first); got != step.want {
				t.Errorf("the password of the first is %q, want %q", got, step.want)
			}
			if got := password(t, mustFind(t, k, "a.cloud.example")); got != step.want {
				t.Errorf("the password of another is %q, want %q", got, step.want)
			}
		}
		if got := password(t, mustFind(t, k, "b.cloud.example")); got != "b.cloud.example 3" {
			t.Errorf("the password for another host is %q, want one of its own", got)
		}
	})
}

func TestManyAskOnce(t *testing.T) {
	p := &provider{}
	k := p.keychain()
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if _, err := resolve(t, t.Context(), k, "a.cloud.example"); err != nil {
				t.Errorf("Resolve() = %v, want nil", err)
			}
		})
	}
	group.Wait()
	if p.asked != 1 {
		t.Errorf("50 at a time asked %d times, want once", p.asked)
	}
}

func TestOthersHosts(t *testing.T) {
	p := &provider{}
	if auth := mustFind(t, p.keychain(), "registry.example"); auth != authn.Anonymous || p.asked != 0 {
		t.Errorf("Resolve(another's host) = %v after asking %d times, want anonymous without", auth, p.asked)
	}
}

// TestNobody shows that a provider without credentials is no failure, and is
// asked again after a minute.
func TestNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{err: &cloud.Nobody{Err: errors.New("not a machine of the cloud")}}
		k := p.keychain()
		for range 2 {
			auth := mustFind(t, k, "a.cloud.example")
			config, err := authn.Authorization(t.Context(), auth)
			if err != nil || *config != (authn.AuthConfig{}) {
				t.Errorf("Authorization() = %+v, %v, want that of nobody", config, err)
			}
			source, ok := auth.(interface{ Source() string })
			if want := "no credentials for Some Cloud (not a machine of the cloud)"; !ok || source.Source() != want {
				t.Errorf("Source() = %v, want %q", source, want)
			}
		}
		if p.asked != 1 {
			t.Errorf("the provider was asked %d times, want once", p.asked)
		}
		time.Sleep(time.Minute) //nolint:forbidigo // The clock is that of a bubble.
		p.err = nil
		auth := mustFind(t, k, "a.cloud.example")
		if got := password(t, auth); got != "a.cloud.example 2" {
			t.Errorf("the password is %q a minute later, want a new one", got)
		}
		if source, ok := auth.(interface{ Source() string }); !ok || source.Source() != "the credentials for Some Cloud" {
			t.Errorf("Source() = %v, want the credentials for Some Cloud", source)
		}
	})
}

func TestFailuresAreNotKept(t *testing.T) {
	broken := errors.New("access denied")
	p := &provider{err: broken}
	k := p.keychain()
	if auth, err := resolve(t, t.Context(), k, "a.cloud.example"); !errors.Is(err, broken) || !strings.Contains(err.Error(), "Some Cloud") {
		t.Errorf("Resolve() = %v, %v, want %v of Some Cloud", auth, err, broken)
	}
	p.err = nil
	if got := password(t, mustFind(t, k, "a.cloud.example")); got != "a.cloud.example 2" {
		t.Errorf("the password is %q after a failure, want a new one", got)
	}
}

// TestPatience shows that a provider that does not answer is given up, and at
// once when the caller gives up, others waiting or not.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{hang: true}
		k := p.keychain()
		began := time.Now()
		_, err := resolve(t, t.Context(), k, "a.cloud.example")
		if took := time.Since(began); err == nil || errors.Is(err, context.DeadlineExceeded) || took != 10*time.Second {
			t.Errorf("Resolve() = %v after %v, want an error of its own after 10 s", err, took)
		}
		began = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() {
				if _, err := resolve(t, ctx, k, "a.cloud.example"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Resolve() = %v, want %v", err, context.DeadlineExceeded)
				}
			})
		}
		group.Wait()
		if took := time.Since(began); took != time.Second {
			t.Errorf("Resolve() has ended after %v, want with its context after a second", took)
		}
	})
}
