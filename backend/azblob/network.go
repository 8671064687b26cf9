package azblob

import (
	"context"
	"fmt"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
	"github.com/larder-build/larder/internal/calls"
)

// networkError translates an error of net/http.
func networkError(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil {
		return end
	}
	offline := calls.NetworkError(err)
	f := &bucket.Failure{Kind: backend.ErrUnavailable, Err: offline, Temporary: offline.Temporary}
	if calls.IsUnknownHost(err) {
		f.Err = fmt.Errorf("%w; see that account_url is right", offline)
	}
	return f
}
