package main

import (
	"fmt"
	"net/url"
	"strings"
)

// The object stores of the testbed: the kind of each, where the testbed tells
// its address, and the credentials, which are those of every testbed.
const (
	kindS3     = "s3"
	kindAzblob = "azblob"

	s3AccessKey = "testbed"
	s3SecretKey = "testbedsecret"
	s3Region    = "us-east-1"
	// The account that Azurite's documentation publishes.
	azureAccount = "devstoreaccount1"
	azureKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// objects is where a cache is in an object store.
type objects struct {
	kind   string // kindS3 or kindAzblob
	addr   string // host:port
	bucket string // or container
	prefix string // ends in a slash
}

// String spells the objects as one word, kind://host:port/bucket/prefix/.
func (o objects) String() string {
	return fmt.Sprintf("%s://%s/%s/%s", o.kind, o.addr, o.bucket, o.prefix)
}

// parseObjects is the inverse of String; ok is false for anything else.
func parseObjects(s string) (o objects, ok bool) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != kindS3 && u.Scheme != kindAzblob {
		return objects{}, false
	}
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return objects{kind: u.Scheme, addr: u.Host, bucket: bucket, prefix: prefix}, true
}

// endpoint is the URL of the service, or of the account.
func (o objects) endpoint() string {
	if o.kind == kindAzblob {
		return "http://" + o.addr + "/" + azureAccount
	}
	return "http://" + o.addr
}

// attrs are the objects in BuildKit's words, which are larder's too.
func (o objects) attrs() map[string]string {
	if o.kind == kindAzblob {
		return map[string]string{
			"account_url": o.endpoint(), "account_name": azureAccount, "secret_access_key": azureKey,
			"container": o.bucket, "prefix": o.prefix, "name": refName,
		}
	}
	return map[string]string{
		"bucket": o.bucket, "region": s3Region, "endpoint_url": o.endpoint(), "use_path_style": "true",
		"access_key_id": s3AccessKey, "secret_access_key": s3SecretKey, "prefix": o.prefix, "name": refName,
	}
}

// larder is a location.
func (o objects) larder() string {
	fields := []string{"type=" + o.kind}
	for key, value := range o.attrs() {
		fields = append(fields, key+"="+value)
	}
	return strings.Join(fields, ",")
}

// rclone is a remote that needs no configuration. A shared access signature
// comes with the whole address of a container, which old versions know no other
// way to be told.
func (o objects) rclone() string {
	if o.kind == kindAzblob {
		return fmt.Sprintf(`:azureblob,sas_url=%q:%s/%s`, signedURL(o), o.bucket, o.prefix)
	}
	return fmt.Sprintf(`:s3,provider=Other,access_key_id=%s,secret_access_key=%s,region=%s,endpoint=%q:%s/%s`,
		s3AccessKey, s3SecretKey, s3Region, o.endpoint(), o.bucket, o.prefix)
}

// blobKey is where a blob is below the prefix, as BuildKit has it.
func blobKey(digest string) string { return "blobs/" + digest }
