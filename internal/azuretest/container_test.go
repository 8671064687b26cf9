package azuretest_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/larder-build/larder/internal/azuretest"
)

func TestContainer(t *testing.T) {
	account := azuretest.New(t, azuretest.Options{}).URL
	c, err := azuretest.NewContainer(t.Context(), account, "box")
	if err != nil {
		t.Fatalf("NewContainer() = %v, want a container", err)
	}
	if _, err := azuretest.NewContainer(t.Context(), account, "box"); err == nil {
		t.Error("NewContainer(again) = nil, want that it is there")
	}
	if got := c.Size("a"); got != -1 {
		t.Errorf("Size(a) = %d before Put, want -1", got)
	}
	c.Put("a", []byte("content"))
	if got := c.Size("a"); got != 7 {
		t.Errorf("Size(a) = %d, want 7", got)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.URL("a", "r", time.Now().Add(time.Minute)), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if data, err := io.ReadAll(resp.Body); string(data) != "content" {
		t.Errorf("GET a = %q, %v, want the content", data, err)
	}
	c.Remove("a")
	if got := c.Size("a"); got != -1 {
		t.Errorf("Size(a) = %d after Remove, want -1", got)
	}
}
