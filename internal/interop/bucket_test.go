package interop

import (
	"bytes"
	"crypto/rand"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// bucket is a bucket of an S3 server, type=s3.
type bucket struct {
	endpoint, name string
	prefix         string // of all keys
	manifests      string // what follows it in keys of refs
	blobs          string // and in keys of blobs
	more           string // attributes that set these
}

// The S3 servers of the testbed, by the names it has for them, and the key that
// both know; see internal/testbed.
var (
	minio     = bucketKind("minio")
	versitygw = bucketKind("versitygw")
)

const (
	s3AccessKey = "testbed"
	s3SecretKey = "testbedsecret"
	s3Region    = "us-east-1"
)

func bucketKind(server string) kind {
	return kind{name: server, encoding: flat, open: func(t *testing.T) place {
		t.Helper()
		return newBucket(t, server)
	}}
}

// newBucket makes a bucket at a server of the testbed.
func newBucket(t *testing.T, server string) bucket {
	t.Helper()
	b := bucket{endpoint: address(t, server), name: "interop-" + strings.ToLower(rand.Text()), manifests: "manifests/", blobs: "blobs/"}
	if _, err := b.client().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &b.name}); err != nil {
		t.Fatal(err)
	}
	return b
}

// under is the same bucket with prefixes. S3 puts them together as they are.
func (b bucket) under(prefix, manifests, blobs string) place {
	b.prefix, b.manifests, b.blobs = prefix, manifests, blobs
	b.more = `,"prefix=` + prefix + `",manifests_prefix=` + manifests + `,blobs_prefix=` + blobs
	return b
}

func (b bucket) client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &b.endpoint, Region: s3Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s3AccessKey, s3SecretKey, ""),
	})
}

func (b bucket) everything() string {
	return "type=s3,bucket=" + b.name + ",region=" + s3Region + ",endpoint_url=" + b.endpoint + ",use_path_style=true" +
		",access_key_id=" + s3AccessKey + ",secret_access_key=" + s3SecretKey + b.more
}

func (b bucket) source(name string) string { return b.everything() + ",name=" + name }

func (b bucket) target(name string) string { return b.source(name) }

func (b bucket) document(t *testing.T, name string) []byte {
	t.Helper()
	return b.get(t, b.prefix+b.manifests+name)
}

func (b bucket) blob(t *testing.T, digest string) []byte {
	t.Helper()
	return b.get(t, b.prefix+b.blobs+digest)
}

func (b bucket) get(t *testing.T, key string) []byte {
	t.Helper()
	object, err := b.client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b.name, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer object.Body.Close()
	content, err := io.ReadAll(object.Body)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func (b bucket) spoil(t *testing.T, digest string, d damage) {
	t.Helper()
	key := aws.String(b.prefix + b.blobs + digest)
	var err error
	if content := d(b.blob(t, digest)); content == nil {
		_, err = b.client().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &b.name, Key: key})
	} else {
		_, err = b.client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b.name, Key: key, Body: bytes.NewReader(content)})
	}
	if err != nil {
		t.Fatal(err)
	}
}
