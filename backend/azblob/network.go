package azblob

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// networkError translates an error of net/http. The URL, in which a signature
// may be, is left out.
func networkError(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil {
		return end
	}
	var outer *url.Error
	for errors.As(err, &outer) {
		err = outer.Err
	}
	var (
		resolving   *net.DNSError
		certificate *tls.CertificateVerificationError
	)
	if errors.As(err, &resolving) && resolving.IsNotFound {
		return &bucket.Failure{Kind: backend.ErrUnavailable, Err: fmt.Errorf("%w; see that account_url is right", plain{err})}
	}
	return &bucket.Failure{Kind: backend.ErrUnavailable, Err: plain{err}, Temporary: !errors.As(err, &certificate)}
}

// plain is an error of the network. A time-out there is not the end of the
// call's context, although it looks like one.
type plain struct{ error }

// Unwrap returns the cause, unless it looks like the end of a context.
func (p plain) Unwrap() error {
	if isEnd(p.error) {
		return nil
	}
	return p.error
}

func isEnd(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
