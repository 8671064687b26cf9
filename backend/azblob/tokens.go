package azblob

import (
	"context"
	"errors"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/calls"
)

// tokenCredential gets tokens, and marks its errors: the SDK passes them on
// among those of the service.
type tokenCredential struct{ azcore.TokenCredential }

// GetToken implements [azcore.TokenCredential].
func (c tokenCredential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := c.TokenCredential.GetToken(ctx, o)
	if err != nil {
		err = &tokenError{err}
	}
	return token, err
}

// tokenError says that there is no token.
type tokenError struct{ err error }

// Error describes the failure in one line: Azure's chain tells what it has
// tried in many.
func (e *tokenError) Error() string { return "no token: " + calls.OneLine(e.err.Error()) }

// Unwrap returns the kind and the cause.
func (e *tokenError) Unwrap() []error { return []error{backend.ErrDenied, e.err} }

// temporary reports whether whoever issues tokens may do so later.
func (e *tokenError) temporary() bool {
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](e.err)
	if !ok || failed.RawResponse == nil {
		return false
	}
	status := failed.RawResponse.StatusCode
	return status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
}
