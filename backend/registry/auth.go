package registry

import "context"

// Authenticate makes sure that the registry can be reached and grants what
// reading takes, or with write what writing takes, as far as it says so before
// it is asked to do it. It returns where the credentials have come from, such as
// "no credentials" or "credential helper docker-credential-ecr-login", even if
// they were refused; it never returns a secret.
func (b *Backend) Authenticate(ctx context.Context, write bool) (source string, err error) {
	scopes := b.session.pull()
	if write {
		scopes = b.session.push()
	}
	err = b.life.Call(ctx, func(ctx context.Context) error {
		_, err := b.session.grant(ctx, scopes)
		return err
	})
	return b.session.source(), fail("authenticate", "", err)
}
