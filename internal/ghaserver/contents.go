package ghaserver

import "time"

// Contents keeps the contents of entries outside the service, as GitHub's does
// in Azure.
type Contents interface {
	// URL returns a signed URL where a blob is put (permission "cw") or got ("r")
	// until its end.
	URL(name, permission string, end time.Time) string
	// Size returns the size of a blob, or -1 if there is none.
	Size(name string) int64
	// Put and Remove change a blob behind the back of all clients.
	Put(name string, data []byte)
	Remove(name string)
}
