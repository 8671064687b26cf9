package calls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"

	"github.com/larder-build/larder/backend"
)

// Unanswered is the failure of a request that nobody has answered.
type Unanswered struct {
	Err error
	// Temporary says that trying again may help.
	Temporary bool
}

// NetworkError returns what an error of net/http is about. The URL, in which a
// signature may be, is left out.
func NetworkError(err error) *Unanswered {
	for {
		outer, ok := errors.AsType[*url.Error](err)
		if !ok {
			break
		}
		err = outer.Err
	}
	_, distrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return &Unanswered{Err: err, Temporary: !distrusted && !IsUnknownHost(err)}
}

// IsUnknownHost reports whether nobody knows the address of a host.
func IsUnknownHost(err error) bool {
	resolving, ok := errors.AsType[*net.DNSError](err)
	return ok && resolving.IsNotFound
}

// Error describes it.
func (u *Unanswered) Error() string { return u.Err.Error() }

// Unwrap returns the cause, unless it looks like the end of a context: that of
// the call is added by who knows it, and a time-out of the network is none.
func (u *Unanswered) Unwrap() error {
	if IsEnd(u.Err) {
		return nil
	}
	return u.Err
}

// IsEnd reports whether an error is the end of a context, or looks like one.
func IsEnd(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// Certificates returns the system's authorities and those in a file in PEM. A
// file without any is ErrInvalid.
func Certificates(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%w: no certificate in PEM in %s", backend.ErrInvalid, file)
	}
	return pool, nil
}
