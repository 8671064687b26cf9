// Package buckettest has an object store in memory, for tests of what is built
// on package bucket.
package buckettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/bucket"
)

// Memory is an object store in memory. Several may share their objects, see
// [Memory.Reopen].
type Memory struct {
	*shared

	// Can is what Features returns.
	Can bucket.Features
	// PageSize is how many objects List returns at once; 0 means 1000.
	PageSize int
	// Now is the clock; nil means [time.Now].
	Now func() time.Time
	// Before, unless nil, is called at the start of each request, and its error
	// is the request's.
	Before func(ctx context.Context, op, key string) error
}

// shared is the content of a store.
type shared struct {
	mu         sync.Mutex
	objects    map[string]object
	uploads    map[*upload]bool
	counts     map[string]int
	generation int
}

type object struct {
	data    []byte
	version backend.Version
	modTime time.Time
}

// everything is what a store can do that can do everything.
func everything() bucket.Features {
	return bucket.Features{Create: true, Replace: true, ConditionalDelete: true, DeleteBatch: 7}
}

// NewMemory returns an empty store that can do everything but verify digests.
func NewMemory() *Memory {
	return &Memory{
		shared: &shared{objects: map[string]object{}, uploads: map[*upload]bool{}, counts: map[string]int{}},
		Can:    everything(),
	}
}

// Reopen returns another connection to the objects of m.
func (m *Memory) Reopen() *Memory {
	again := *m
	return &again
}

// Features returns Can.
func (m *Memory) Features() bucket.Features { return m.Can }

// Counts returns how many requests there were of each kind, and forgets them.
func (m *Memory) Counts() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := m.counts
	m.counts = map[string]int{}
	return counts
}

// Uploads returns how many uploads are neither completed nor aborted.
func (m *Memory) Uploads() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.uploads)
}

// Keys returns the keys of all objects in order.
func (m *Memory) Keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.objects))
}

// Set stores an object as another client does.
func (m *Memory) Set(key string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(key, slices.Clone(data))
}

func (m *Memory) set(key string, data []byte) bucket.Object {
	m.generation++
	o := object{data: data, version: backend.Version(strconv.Itoa(m.generation)), modTime: m.now()}
	m.objects[key] = o
	return describe(key, o)
}

func (m *Memory) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

func describe(key string, o object) bucket.Object {
	return bucket.Object{Key: key, Size: int64(len(o.data)), Version: o.version, ModTime: o.modTime}
}

// begin counts a request.
func (m *Memory) begin(ctx context.Context, op, key string) error {
	backend.TraceRequest(ctx, op)
	m.mu.Lock()
	m.counts[op]++
	m.mu.Unlock()
	if m.Before != nil {
		if err := m.Before(ctx, op, key); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (m *Memory) find(key string) (object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return o, fmt.Errorf("%w: no object %s", backend.ErrNotFound, key)
	}
	return o, nil
}

// Head describes an object.
func (m *Memory) Head(ctx context.Context, key string) (bucket.Object, error) {
	if err := m.begin(ctx, "head", key); err != nil {
		return bucket.Object{}, err
	}
	o, err := m.find(key)
	return describe(key, o), err
}

// Get returns a reader of a part of an object.
func (m *Memory) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, bucket.Object, error) {
	if err := m.begin(ctx, "get", key); err != nil {
		return nil, bucket.Object{}, err
	}
	o, err := m.find(key)
	if err != nil {
		return nil, bucket.Object{}, err
	}
	size := int64(len(o.data))
	if off > 0 && off >= size {
		return nil, bucket.Object{}, bucket.ErrRange
	}
	to := size
	if n > 0 {
		to = min(off+n, size)
	}
	r := &reader{ctx: ctx, Reader: bytes.NewReader(o.data[off:to])}
	return io.NopCloser(r), describe(key, o), nil
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	*bytes.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// Put stores an object if cond holds.
func (m *Memory) Put(ctx context.Context, key string, body bucket.Body, cond backend.Condition) (bucket.Object, error) {
	if err := m.begin(ctx, "put", key); err != nil {
		return bucket.Object{}, err
	}
	data, err := m.receive(body)
	if err != nil {
		return bucket.Object{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.setIf(key, data, cond)
}

// receive reads a body.
func (m *Memory) receive(body bucket.Body) ([]byte, error) {
	data := make([]byte, body.Size)
	if _, err := io.ReadFull(body.Reader, data); err != nil {
		return nil, err
	}
	if m.Can.VerifiesDigest && body.Digest != "" && blob.Describe("", data).Digest != body.Digest {
		return nil, fmt.Errorf("%w: the content is not %s", backend.ErrCorrupt, body.Digest)
	}
	return data, nil
}

// setIf stores an object if cond holds, as far as the store obeys it. The
// caller holds the lock.
func (m *Memory) setIf(key string, data []byte, cond backend.Condition) (bucket.Object, error) {
	_, matches := cond.Version()
	obeyed := m.Can.Create && cond.IsAbsent() || m.Can.Replace && matches
	if current := m.objects[key].version; obeyed && !cond.Holds(current) {
		return bucket.Object{}, fmt.Errorf("%w: want %s, %s has version %s", backend.ErrConflict, cond, key, current)
	}
	return m.set(key, data), nil
}

// Delete removes objects.
func (m *Memory) Delete(ctx context.Context, keys []string) error {
	if err := m.begin(ctx, "delete", keys[0]); err != nil {
		return err
	}
	if len(keys) > max(m.Can.DeleteBatch, 1) {
		return fmt.Errorf("%w: %d keys, want at most %d", backend.ErrInvalid, len(keys), m.Can.DeleteBatch)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		delete(m.objects, key)
	}
	return nil
}

// DeleteIf removes an object that has a version.
func (m *Memory) DeleteIf(ctx context.Context, key string, v backend.Version) error {
	if err := m.begin(ctx, "delete", key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if current := m.objects[key].version; current != v {
		return fmt.Errorf("%w: %s has version %s, want %s", backend.ErrConflict, key, current, v)
	}
	delete(m.objects, key)
	return nil
}

// List returns a page of objects in order.
func (m *Memory) List(ctx context.Context, prefix, token string) (bucket.Page, error) {
	if err := m.begin(ctx, "list", prefix); err != nil {
		return bucket.Page{}, err
	}
	size := m.PageSize
	if size == 0 {
		size = 1000
	}
	var page bucket.Page
	for _, key := range m.Keys() {
		if !strings.HasPrefix(key, prefix) || key <= token {
			continue
		}
		if len(page.Objects) == size {
			page.Next = page.Objects[size-1].Key
			break
		}
		if o, err := m.find(key); err == nil {
			page.Objects = append(page.Objects, describe(key, o))
		}
	}
	return page, nil
}

// Close does nothing.
func (m *Memory) Close() error { return nil }

// Parts is a [Memory] that takes objects in parts and renews ages.
type Parts struct{ *Memory }

var (
	_ bucket.Uploader = Parts{}
	_ bucket.Toucher  = Parts{}
)

// Touch renews the age of an object.
func (p Parts) Touch(ctx context.Context, key string, _ bucket.Object) (bucket.Object, error) {
	if err := p.begin(ctx, "touch", key); err != nil {
		return bucket.Object{}, err
	}
	o, err := p.find(key)
	if err != nil {
		return bucket.Object{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.set(key, o.data), nil
}

// upload is an object on its way.
type upload struct {
	of    *Memory
	key   string
	size  int64
	parts map[int][]byte
}

// StartUpload begins an upload.
func (p Parts) StartUpload(ctx context.Context, key string, size int64) (bucket.Upload, error) {
	if err := p.begin(ctx, "start upload", key); err != nil {
		return nil, err
	}
	u := &upload{of: p.Memory, key: key, size: size, parts: map[int][]byte{}}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.uploads[u] = true
	return u, nil
}

var errNoUpload = errors.New("there is no such upload")

// Part takes a part.
func (u *upload) Part(ctx context.Context, number int, body bucket.Body) error {
	if err := u.of.begin(ctx, "part", u.key); err != nil {
		return err
	}
	if _, ok := body.Reader.(io.ReadSeeker); !ok {
		return fmt.Errorf("%w: part is a %T, want an io.ReadSeeker", backend.ErrInvalid, body.Reader)
	}
	data, err := u.of.receive(body)
	if err != nil {
		return err
	}
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	if !u.of.uploads[u] {
		return errNoUpload
	}
	u.parts[number] = data
	return nil
}

// Complete makes the object of the parts.
func (u *upload) Complete(ctx context.Context, cond backend.Condition) error {
	if err := u.of.begin(ctx, "complete", u.key); err != nil {
		return err
	}
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	if !u.of.uploads[u] {
		return errNoUpload
	}
	var data []byte
	for number := range len(u.parts) {
		part, ok := u.parts[number]
		if last := number == len(u.parts)-1; !ok || !last && len(part) != len(u.parts[0]) {
			return fmt.Errorf("%w: part %d is missing or not like the others", backend.ErrInvalid, number)
		}
		data = append(data, part...)
	}
	if int64(len(data)) != u.size {
		return fmt.Errorf("%w: the parts have %d bytes, want %d", backend.ErrInvalid, len(data), u.size)
	}
	_, err := u.of.setIf(u.key, data, cond)
	if err == nil {
		delete(u.of.uploads, u)
	}
	return err
}

// Abort discards the parts.
func (u *upload) Abort(ctx context.Context) error {
	if err := u.of.begin(ctx, "abort", u.key); err != nil {
		return err
	}
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	delete(u.of.uploads, u)
	return nil
}
