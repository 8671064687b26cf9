package interop

import (
	"crypto/rand"
	"io"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
)

// container is a container of Azure's blob storage, type=azblob.
type container struct {
	account   string // URL
	name      string
	manifests string // directory of refs
	blobs     string // and of blobs
	more      string // attributes that set these
}

// azurite is Azure's emulator, with the account and the key that its
// documentation publishes.
var azurite = kind{name: "azurite", encoding: flat, open: func(t *testing.T) place {
	t.Helper()
	return newContainer(t)
}}

const (
	azureAccount = "devstoreaccount1"
	azureKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// newContainer makes a container.
func newContainer(t *testing.T) container {
	t.Helper()
	c := container{account: address(t, "azurite"), name: "interop-" + strings.ToLower(rand.Text()), manifests: "manifests/", blobs: "blobs/"}
	if _, err := c.client(t).CreateContainer(t.Context(), c.name, nil); err != nil {
		t.Fatal(err)
	}
	return c
}

// under is the same container with prefixes, which are elements of a path.
func (c container) under(prefix, manifests, blobs, manifestsDir, blobsDir string) place {
	c.manifests, c.blobs = manifestsDir, blobsDir
	c.more = ",prefix=" + prefix + ",manifests_prefix=" + manifests + ",blobs_prefix=" + blobs
	return c
}

func (c container) client(t *testing.T) *azblob.Client {
	t.Helper()
	key, err := azblob.NewSharedKeyCredential(azureAccount, azureKey)
	if err != nil {
		t.Fatal(err)
	}
	client, err := azblob.NewClientWithSharedKeyCredential(c.account, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (c container) everything() string {
	return "type=azblob,account_url=" + c.account + ",account_name=" + azureAccount + ",secret_access_key=" + azureKey +
		",container=" + c.name + c.more
}

func (c container) source(name string) string { return c.everything() + ",name=" + name }

func (c container) target(name string) string { return c.source(name) }

func (c container) document(t *testing.T, name string) []byte {
	t.Helper()
	return c.get(t, c.manifests+name)
}

func (c container) blob(t *testing.T, digest string) []byte {
	t.Helper()
	return c.get(t, c.blobs+digest)
}

func (c container) get(t *testing.T, key string) []byte {
	t.Helper()
	object, err := c.client(t).DownloadStream(t.Context(), c.name, key, nil)
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

func (c container) spoil(t *testing.T, digest string, d damage) {
	t.Helper()
	var err error
	if content := d(c.blob(t, digest)); content == nil {
		_, err = c.client(t).DeleteBlob(t.Context(), c.name, c.blobs+digest, nil)
	} else {
		_, err = c.client(t).UploadBuffer(t.Context(), c.name, c.blobs+digest, content, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}
