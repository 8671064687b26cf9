package azblob_test

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/azblob"
	"github.com/larder-build/larder/backend/backendtest"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/azuretest"
	"github.com/larder-build/larder/internal/testserver"
)

// small are the options of a backend for which little data is much.
func small(accountURL, containerName string) azblob.Options {
	return azblob.Options{
		AccountURL: accountURL, AccountKey: azuretest.Key, Container: containerName, Prefix: "p/q",
		RefreshAge: -1, BlockSize: 100_000,
	}
}

func open(tb testing.TB, opts azblob.Options) *azblob.Backend {
	tb.Helper()
	b, err := azblob.Open(tb.Context(), opts)
	if err != nil {
		tb.Fatalf("Open() = %v, want a backend", err)
	}
	tb.Cleanup(func() { _ = b.Close() })
	return b
}

// create creates the container of a backend.
func create(tb testing.TB, b *azblob.Backend) {
	tb.Helper()
	if _, err := b.Container().Create(tb.Context(), nil); err != nil {
		tb.Fatal(err)
	}
}

// newContainer returns the name of a container that nobody has.
func newContainer() string { return "c" + strings.ToLower(rand.Text()) }

// conform runs the suite over an account, with containers of its own.
func conform(t *testing.T, accountURL string, change func(*azblob.Options), adjust func(*backendtest.Harness)) {
	t.Helper()
	opts := func(name string) azblob.Options {
		o := small(accountURL, name)
		if change != nil {
			change(&o)
		}
		return o
	}
	h := backendtest.Harness{
		New: func(tb testing.TB) backend.Backend {
			tb.Helper()
			b := open(tb, opts(newContainer()))
			create(tb, b)
			return b
		},
		Reopen: func(tb testing.TB, b backend.Backend) backend.Backend {
			tb.Helper()
			return open(tb, opts(containerOf(tb, b)))
		},
		Plant: func(tb testing.TB, b backend.Backend, d blob.Digest, data []byte) {
			tb.Helper()
			client := clientOf(tb, b).NewBlockBlobClient("p/q/blobs/" + d.String())
			if _, err := client.UploadBuffer(tb.Context(), data, nil); err != nil {
				tb.Fatal(err)
			}
		},
		Refuses: func(name string) bool {
			return strings.Contains(name, `\`) || strings.HasSuffix(name, ".")
		},
		PartSize: 800_000, // eight blocks, beyond which there are any
		PageSize: 5,
		AgeStep:  time.Second,
	}
	if adjust != nil {
		adjust(&h)
	}
	backendtest.Run(t, h)
}

func clientOf(tb testing.TB, b backend.Backend) *container.Client {
	tb.Helper()
	a, ok := backend.As[*azblob.Backend](b)
	if !ok {
		tb.Fatalf("backend is a %T, want one of this package", b)
	}
	return a.Container()
}

func containerOf(tb testing.TB, b backend.Backend) string {
	tb.Helper()
	u, err := url.Parse(clientOf(tb, b).URL())
	if err != nil {
		tb.Fatal(err)
	}
	return u.Path[strings.LastIndex(u.Path, "/")+1:]
}

// azurite is where the testbed tells the account URL of its Azurite.
const azurite = "LARDER_TEST_AZURITE"

func TestConformance(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options azuretest.Options
	}{
		{"plain", azuretest.Options{PageSize: 5}},
		{"hierarchical", azuretest.Options{Hierarchical: true}},
		{"empty pages", azuretest.Options{PageSize: 5, EmptyPages: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conform(t, azuretest.New(t, tt.options).URL, nil, nil)
		})
	}
}

func TestConformanceOnAzurite(t *testing.T) {
	conform(t, testserver.FromTestbed(t, azurite), nil, func(h *backendtest.Harness) { h.PageSize = 0 })
}
