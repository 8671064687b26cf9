package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	gcblob "gocloud.dev/blob"
	"gocloud.dev/blob/azureblob"
	"gocloud.dev/blob/s3blob"
	"golang.org/x/sync/errgroup"
)

// client moves whole objects, each in one way.
type client interface {
	put(ctx context.Context, key string, f *os.File, size int64) error
	get(ctx context.Context, key string, f *os.File, size int64) error
}

// The ways that objects are moved.
const (
	wayBare    = "bare"    // one request, nothing hashed
	wayHashed  = "hashed"  // one request, hashed as whoever verifies must
	waySDK     = "sdk"     // the SDK's own manager for large objects
	wayGocloud = "gocloud" // gocloud.dev's driver
)

// newClient returns a client of an object store.
func newClient(ctx context.Context, o objects, way string) (client, error) {
	if o.kind == kindAzblob {
		c, err := azureContainer(o)
		if err != nil || way != wayGocloud {
			return azureClient{c, o.prefix, way}, err
		}
		b, err := azureblob.OpenBucket(ctx, c, nil)
		return gocloudClient{b, o.prefix}, err
	}
	c := s3Client(o)
	if way == wayGocloud {
		b, err := s3blob.OpenBucket(ctx, c, o.bucket, nil)
		return gocloudClient{b, o.prefix}, err
	}
	return s3Objects{c, transfermanager.New(c), o, way}, nil
}

// source is a file as it is sent.
func source(f *os.File, way string) io.ReadSeeker {
	if way != wayHashed {
		return f
	}
	return struct {
		io.Reader
		io.Seeker
	}{io.TeeReader(f, sha256.New()), f}
}

// sink is a file as it is received.
func sink(f *os.File, way string) io.Writer {
	if way != wayHashed {
		return f
	}
	return io.MultiWriter(f, sha256.New())
}

func s3Client(o objects) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(o.endpoint()), UsePathStyle: true, Region: s3Region,
		Credentials:                credentials.NewStaticCredentialsProvider(s3AccessKey, s3SecretKey, ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
}

type s3Objects struct {
	client  *s3.Client
	manager *transfermanager.Client
	at      objects
	way     string
}

func (c s3Objects) put(ctx context.Context, key string, f *os.File, size int64) error {
	key = c.at.prefix + key
	if c.way == waySDK {
		_, err := c.manager.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: &c.at.bucket, Key: &key, Body: f})
		return err
	}
	_, err := c.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &c.at.bucket, Key: &key, Body: source(f, c.way), ContentLength: &size},
		s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware))
	return err
}

func (c s3Objects) get(ctx context.Context, key string, f *os.File, _ int64) error {
	key = c.at.prefix + key
	if c.way == waySDK {
		_, err := c.manager.DownloadObject(ctx, &transfermanager.DownloadObjectInput{Bucket: &c.at.bucket, Key: &key, WriterAt: f})
		return err
	}
	out, err := c.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &c.at.bucket, Key: &key})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	_, err = io.Copy(sink(f, c.way), out.Body)
	return err
}

func azureContainer(o objects) (*container.Client, error) {
	cred, err := azblob.NewSharedKeyCredential(azureAccount, azureKey)
	if err != nil {
		return nil, err
	}
	return container.NewClientWithSharedKeyCredential(o.endpoint()+"/"+o.bucket, cred, nil)
}

type azureClient struct {
	container *container.Client
	prefix    string
	way       string
}

func (c azureClient) put(ctx context.Context, key string, f *os.File, _ int64) error {
	b := c.container.NewBlockBlobClient(c.prefix + key)
	if c.way == waySDK {
		_, err := b.UploadFile(ctx, f, nil)
		return err
	}
	_, err := b.Upload(ctx, streaming.NopCloser(source(f, c.way)), nil)
	return err
}

func (c azureClient) get(ctx context.Context, key string, f *os.File, _ int64) error {
	b := c.container.NewBlobClient(c.prefix + key)
	if c.way == waySDK {
		_, err := b.DownloadFile(ctx, f, nil)
		return err
	}
	out, err := b.DownloadStream(ctx, nil)
	if err != nil {
		return err
	}
	defer out.Body.Close()
	_, err = io.Copy(sink(f, c.way), out.Body)
	return err
}

type gocloudClient struct {
	bucket *gcblob.Bucket
	prefix string
}

func (c gocloudClient) put(ctx context.Context, key string, f *os.File, _ int64) error {
	return c.bucket.Upload(ctx, c.prefix+key, f, &gcblob.WriterOptions{ContentType: "application/octet-stream"})
}

func (c gocloudClient) get(ctx context.Context, key string, f *os.File, _ int64) error {
	return c.bucket.Download(ctx, c.prefix+key, f, nil)
}

// signedURL is the address of a container with the right to do everything.
func signedURL(o objects) string {
	c, err := azureContainer(o)
	if err != nil {
		return "" // the key is a constant
	}
	all := sas.ContainerPermissions{Read: true, Add: true, Create: true, Write: true, Delete: true, List: true}
	signed, err := c.GetSASURL(all, time.Now().Add(24*time.Hour), nil)
	if err != nil {
		return ""
	}
	return signed
}

// removeObjects removes what a peer has written.
func removeObjects(ctx context.Context, o objects) error {
	c, err := newClient(ctx, o, wayGocloud)
	if err != nil {
		return err
	}
	bucket := c.(gocloudClient).bucket //nolint:errcheck // that way
	defer bucket.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(setupStreams)
	for all := bucket.List(&gcblob.ListOptions{Prefix: o.prefix}); ; {
		one, err := all.Next(ctx)
		if errors.Is(err, io.EOF) {
			return group.Wait()
		}
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		group.Go(func() error { return bucket.Delete(ctx, one.Key) })
	}
}

// makeBucket makes the bucket or container.
func makeBucket(ctx context.Context, o objects) error {
	if o.kind == kindAzblob {
		c, err := azureContainer(o)
		if err == nil {
			_, err = c.Create(ctx, nil)
		}
		return err
	}
	_, err := s3Client(o).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &o.bucket})
	return err
}

// sizes returns a function that tells the size of an object.
func sizes(o objects) (func(ctx context.Context, key string) (int64, error), error) {
	if o.kind == kindAzblob {
		c, err := azureContainer(o)
		return func(ctx context.Context, key string) (int64, error) {
			p, err := c.NewBlobClient(o.prefix+key).GetProperties(ctx, nil)
			if err != nil {
				return 0, err
			}
			return *p.ContentLength, nil
		}, err
	}
	c := s3Client(o)
	return func(ctx context.Context, key string) (int64, error) {
		h, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &o.bucket, Key: aws.String(o.prefix + key)})
		if err != nil {
			return 0, fmt.Errorf("head %s%s: %w", o.prefix, key, err)
		}
		return *h.ContentLength, nil
	}, nil
}
