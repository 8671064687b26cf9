package s3

import (
	"context"
	"strings"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/larder-build/larder/blob"
)

// unsigned is what stands for the hash of a payload that the signature does
// not cover.
const unsigned = "UNSIGNED-PAYLOAD"

// payloadHash has the signature cover a payload by a hash that is known, so
// that it is read once, when it is sent. A store that gets another payload
// refuses it: a digest is checked this way where signatures are.
type payloadHash struct{ hash string }

// ID is that of the step in the SDK which it replaces.
func (*payloadHash) ID() string { return "ComputePayloadHash" }

// HandleFinalize implements [middleware.FinalizeMiddleware].
func (p *payloadHash) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	return next.HandleFinalize(v4.SetPayloadHash(ctx, p.hash), in)
}

// signDigest signs a payload of the given digest, or, if it is not known, none.
func signDigest(d blob.Digest) stackOption {
	hash := strings.TrimPrefix(d.String(), "sha256:")
	if hash == "" {
		hash = unsigned
	}
	return func(stack *middleware.Stack) error {
		step := &payloadHash{hash}
		_, err := stack.Finalize.Swap(step.ID(), step)
		return err
	}
}

// signWithoutEncoding leaves Accept-Encoding out of signatures. Google changes
// it on the way (aws/aws-sdk-go-v2#1816), and it has to be there: otherwise
// packed objects are unpacked.
func signWithoutEncoding(stack *middleware.Stack) error {
	const header = "Accept-Encoding"
	var value string
	hide := middleware.FinalizeMiddlewareFunc("HideAcceptEncoding", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if r, ok := in.Request.(*smithyhttp.Request); ok {
			value = r.Header.Get(header)
			r.Header.Del(header)
		}
		return next.HandleFinalize(ctx, in)
	})
	show := middleware.FinalizeMiddlewareFunc("ShowAcceptEncoding", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if r, ok := in.Request.(*smithyhttp.Request); ok && value != "" {
			r.Header.Set(header, value)
		}
		return next.HandleFinalize(ctx, in)
	})
	if err := stack.Finalize.Insert(hide, "Signing", middleware.Before); err != nil {
		return err
	}
	return stack.Finalize.Insert(show, "Signing", middleware.After)
}
