package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/larder-build/larder/internal/s3test"
)

// dialog is a talk between the SDK's own client and a server, told as one line
// for each request: what was asked, and the status and code of the answer.
type dialog struct {
	t      *testing.T
	client *sdk.Client
	bucket string
	lines  []string
}

// say adds a line.
func (d *dialog) say(what string, err error) {
	line := what + ": ok"
	if err != nil {
		line = what + ":"
		if r, ok := errors.AsType[*awshttp.ResponseError](err); ok {
			line += fmt.Sprintf(" %d", r.HTTPStatusCode())
		}
		if api, ok := errors.AsType[smithy.APIError](err); ok {
			line += " " + api.ErrorCode()
		}
	}
	d.lines = append(d.lines, line)
}

func (d *dialog) put(what, key, body string, change func(*sdk.PutObjectInput)) string {
	in := &sdk.PutObjectInput{Bucket: &d.bucket, Key: &key, Body: strings.NewReader(body)}
	if change != nil {
		change(in)
	}
	out, err := d.client.PutObject(d.t.Context(), in)
	d.say(what, err)
	if err != nil {
		return ""
	}
	return aws.ToString(out.ETag)
}

func (d *dialog) get(what, key, span string) {
	in := &sdk.GetObjectInput{Bucket: &d.bucket, Key: &key}
	if span != "" {
		in.Range = &span
	}
	out, err := d.client.GetObject(d.t.Context(), in)
	if err == nil {
		body, _ := io.ReadAll(out.Body)
		_ = out.Body.Close()
		what += fmt.Sprintf(" = %q %s", body, aws.ToString(out.ContentRange))
	}
	d.say(what, err)
}

func (d *dialog) objects() {
	etag := d.put("put", "k", "one", func(in *sdk.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
	d.put("create again", "k", "two", func(in *sdk.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
	d.put("replace another version", "k", "two", func(in *sdk.PutObjectInput) { in.IfMatch = aws.String(`"0000"`) })
	d.put("replace nothing", "missing", "two", func(in *sdk.PutObjectInput) { in.IfMatch = &etag })
	d.put("replace", "k", "three", func(in *sdk.PutObjectInput) { in.IfMatch = &etag })
	d.put("a wrong checksum", "wrong", "x", func(in *sdk.PutObjectInput) {
		in.ChecksumSHA256 = aws.String("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	})
	d.get("get", "k", "")
	d.get("get a range", "k", "bytes=1-2")
	d.get("get the rest", "k", "bytes=2-")
	d.get("get beyond", "k", "bytes=5-")
	d.get("get what is missing", "missing", "")
	_, err := d.client.HeadObject(d.t.Context(), &sdk.HeadObjectInput{Bucket: &d.bucket, Key: aws.String("missing")})
	d.say("head what is missing", err)
	_, err = d.client.CopyObject(d.t.Context(), &sdk.CopyObjectInput{Bucket: &d.bucket, Key: aws.String("k"), CopySource: aws.String(d.bucket + "/k")})
	d.say("copy onto itself without a change", err)
	_, err = d.client.CopyObject(d.t.Context(), &sdk.CopyObjectInput{
		Bucket: &d.bucket, Key: aws.String("k"), CopySource: aws.String(d.bucket + "/k"),
		MetadataDirective: types.MetadataDirectiveReplace, CopySourceIfMatch: aws.String(`"0000"`),
	})
	d.say("copy another version", err)
	_, err = d.client.DeleteObject(d.t.Context(), &sdk.DeleteObjectInput{Bucket: &d.bucket, Key: aws.String("missing")})
	d.say("delete what is missing", err)
	_, err = d.client.ListObjectsV2(d.t.Context(), &sdk.ListObjectsV2Input{Bucket: aws.String("no-such-bucket-of-larder")})
	d.say("list no bucket", err)
}

func (d *dialog) uploads() {
	ctx := d.t.Context()
	key := aws.String("large")
	created, err := d.client.CreateMultipartUpload(ctx, &sdk.CreateMultipartUploadInput{Bucket: &d.bucket, Key: key})
	d.say("create upload", err)
	if err != nil {
		return
	}
	var parts []types.CompletedPart
	for i, size := range []int{5 << 20, 1} {
		n := aws.Int32(int32(i + 1)) //nolint:gosec // There are two.
		out, err := d.client.UploadPart(ctx, &sdk.UploadPartInput{
			Bucket: &d.bucket, Key: key, UploadId: created.UploadId, PartNumber: n, Body: bytes.NewReader(make([]byte, size)),
		})
		d.say(fmt.Sprint("part ", *n), err)
		if err != nil {
			return
		}
		parts = append(parts, types.CompletedPart{PartNumber: n, ETag: out.ETag})
	}
	complete := func(what string, cond *string, parts ...types.CompletedPart) {
		_, err := d.client.CompleteMultipartUpload(ctx, &sdk.CompleteMultipartUploadInput{
			Bucket: &d.bucket, Key: key, UploadId: created.UploadId, IfNoneMatch: cond,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		})
		d.say(what, err)
	}
	complete("complete with another part", nil, types.CompletedPart{PartNumber: aws.Int32(1), ETag: aws.String(`"0000"`)})
	d.put("another writer", "large", "x", nil)
	complete("complete what exists", aws.String("*"), parts...)
	complete("complete", nil, parts...)
	_, err = d.client.AbortMultipartUpload(ctx, &sdk.AbortMultipartUploadInput{Bucket: &d.bucket, Key: key, UploadId: aws.String("no-such-upload")})
	if err == nil {
		err = errors.New("success")
	}
	d.say("abort no upload", err)
}

func (d *dialog) strangers(s server) {
	for _, who := range []struct{ name, key, secret string }{
		{"a stranger", "AKIANOBODY0000000000", secretKey}, {"a wrong secret", accessKey, "wrong"},
	} {
		stranger := *d
		stranger.client = sdk.New(s.client().Options(), func(o *sdk.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(who.key, who.secret, "")
		})
		stranger.get(who.name, "k", "")
		d.lines = stranger.lines
	}
	tampered := *d
	tampered.client = sdk.New(s.client().Options(), func(o *sdk.Options) {
		o.HTTPClient = tampering{}
	})
	tampered.put("another payload than was signed", "tampered", "signed", nil)
	d.lines = tampered.lines
	d.get("what was tampered with", "tampered", "")
}

// tampering changes what is sent after it was signed.
type tampering struct{}

func (tampering) Do(r *http.Request) (*http.Response, error) {
	r.Body = io.NopCloser(strings.NewReader("SIGNED"))
	return http.DefaultClient.Do(r)
}

// TestServersAgree has the SDK's own client talk with the server in this
// process and with a real one, and compares what they say.
func TestServersAgree(t *testing.T) {
	tell := func(s server) []string {
		client := sdk.New(s.client().Options(), func(o *sdk.Options) { o.Retryer = aws.NopRetryer{} })
		d := &dialog{t: t, client: client, bucket: s.newBucket(t)}
		d.objects()
		d.uploads()
		d.strangers(s)
		return d.lines
	}
	fake := s3test.New(t, s3test.Options{Keys: map[string]string{accessKey: secretKey}})
	got := tell(server{endpoint: fake.URL, region: "us-east-1", fake: fake})
	want := []string{
		"put: ok", "create again: 412 PreconditionFailed", "replace another version: 412 PreconditionFailed",
		"replace nothing: 404 NoSuchKey", "replace: ok", "a wrong checksum: 400 BadDigest",
		`get = "three" : ok`, `get a range = "hr" bytes 1-2/5: ok`, `get the rest = "ree" bytes 2-4/5: ok`,
		"get beyond: 416 InvalidRange", "get what is missing: 404 NoSuchKey", "head what is missing: 404 NotFound",
		"copy onto itself without a change: 400 InvalidRequest", "copy another version: 412 PreconditionFailed",
		"delete what is missing: ok", "list no bucket: 404 NoSuchBucket",
		"create upload: ok", "part 1: ok", "part 2: ok", "complete with another part: 400 InvalidPart", "another writer: ok",
		"complete what exists: 412 PreconditionFailed", "complete: ok", "abort no upload: 404 NoSuchUpload",
		"a stranger: 403 InvalidAccessKeyId", "a wrong secret: 403 SignatureDoesNotMatch",
		"another payload than was signed: 400 XAmzContentSHA256Mismatch", "what was tampered with: 404 NoSuchKey",
	}
	compare(t, "the server in this process", got, want)
	t.Run("versitygw", func(t *testing.T) {
		compare(t, "versitygw", tell(fromEnv(t, "LARDER_TEST_VERSITYGW", "")), want)
	})
	t.Run("MinIO", func(t *testing.T) {
		own := slices.Clone(want)
		own[slices.Index(own, "a wrong checksum: 400 BadDigest")] = "a wrong checksum: 400 XAmzContentChecksumMismatch"
		own[slices.Index(own, "abort no upload: 404 NoSuchUpload")] = "abort no upload:" // it does not mind
		compare(t, "MinIO", tell(fromEnv(t, "LARDER_TEST_MINIO", "")), own)
	})
}

func compare(t *testing.T, who string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("%s says %q, want %q", who, g, w)
		}
	}
}
