package azuretest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"
)

// Container is a container of an account, here or in Azurite, for services that
// hand out signed URLs to its blobs.
type Container struct {
	ctx     context.Context
	account string
	name    string
}

// hour is longer than any test.
const hour = time.Hour

// NewContainer makes a container in the account at a URL, which has the key that
// Azurite's documentation publishes. The context governs all that is done with
// it.
func NewContainer(ctx context.Context, accountURL, name string) (*Container, error) {
	c := &Container{ctx, accountURL, name}
	signed := SAS{Permissions: "rwc", Resources: "sco", Expires: time.Now().Add(hour)}.Sign()
	status, _, err := c.send(http.MethodPut, accountURL+"/"+name+"?restype=container&"+signed, nil)
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("create container %s: status %d, want %d", name, status, http.StatusCreated)
	}
	return c, err
}

// URL returns where a blob can be had, with these permissions, until its end.
func (c *Container) URL(name, permissions string, end time.Time) string {
	s := SAS{Container: c.name, Blob: name, Permissions: permissions, Expires: end}
	return c.account + "/" + c.name + "/" + name + "?" + s.Sign()
}

// Size returns the size of a blob, or -1 if there is none.
func (c *Container) Size(name string) int64 {
	status, length, err := c.send(http.MethodHead, c.URL(name, "r", time.Now().Add(hour)), nil)
	if err != nil || status != http.StatusOK {
		return -1
	}
	return length
}

// Put stores a blob. That it fails shows in what is there afterwards.
func (c *Container) Put(name string, data []byte) {
	_, _, _ = c.send(http.MethodPut, c.URL(name, "cw", time.Now().Add(hour)), data) // as above
}

// Remove removes a blob, as Put stores it.
func (c *Container) Remove(name string) {
	_, _, _ = c.send(http.MethodDelete, c.URL(name, "d", time.Now().Add(hour)), nil) // as above
}

// send sends a request, and returns the status of the answer and how long its
// content says it is.
func (c *Container) send(method, url string, data []byte) (status int, length int64, err error) {
	req, err := http.NewRequestWithContext(c.ctx, method, url, bytes.NewReader(data))
	if err != nil {
		return 0, 0, err
	}
	req.Close = true // who looks for goroutines shall find none of ours
	if data != nil {
		req.Header.Set("X-Ms-Blob-Type", "BlockBlob")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	return resp.StatusCode, resp.ContentLength, resp.Body.Close()
}
