package backendtest

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/blob"
)

func putCases() []testCase {
	return []testCase{
		{name: "put/closes every reader it opened", run: putClosesReaders},
		{name: "put/again is a success", run: putAgain},
		{name: "put/shows nothing before it succeeds", run: putHidden},
		{name: "put/replaces a blob of another size", run: putReplacesSize},
		{name: "put/of one blob by many at once", run: putOneBlobByMany},
	}
}

func ageCases() []testCase {
	ages := func(c backend.Capabilities) bool { return c.BlobAges }
	return []testCase{
		{name: "age/every blob has one", needs: ages, run: ageOfEveryBlob},
		{name: "age/put starts it anew", needs: ages, run: ageRenewed},
		{name: "age/blobs have none unless declared", run: ageUndeclared},
	}
}

func putClosesReaders(t *testing.T, e *env) {
	for _, size := range e.h.sizes() {
		t.Run(bytesOf(size), func(t *testing.T) {
			data := content(uint64(size)+1, size)
			for _, try := range []string{"first", "again"} {
				src := sourceOf(data)
				wantErr(t, "Put("+try+")", e.Put(t.Context(), describe(data), src), nil)
				src.check(t)
			}
		})
	}
}

func putAgain(t *testing.T, e *env) {
	data := content(1, 1000)
	for range 3 {
		e.put(t, data)
		e.wantBlob(t, data)
	}
	e.other(t).put(t, data)
	e.wantBlob(t, data)
}

// putHidden looks for the blob from within the source, while it is being put.
func putHidden(t *testing.T, e *env) {
	for _, size := range []int{10, 200_000} {
		t.Run(bytesOf(size), func(t *testing.T) {
			data := content(uint64(size), size)
			d, other := describe(data), e.other(t)
			looked := false
			look := func() {
				looked = true
				e.wantNoBlob(t, d)
				other.wantNoBlob(t, d)
			}
			src := sourceThen(data, func(context.Context, []byte) (int, error) {
				look()
				return 0, io.EOF
			})
			wantErr(t, "Put()", e.Put(t.Context(), d, src), nil)
			if !looked {
				t.Errorf("Put(%d bytes) did not read to the end of its source, want EOF seen", size)
			}
			e.wantBlob(t, data)
		})
	}
}

func putReplacesSize(t *testing.T, e *env) {
	if e.h.Plant == nil {
		t.Skip("Harness.Plant is nil: the store cannot be damaged")
	}
	data := content(1, 1000)
	for _, wrong := range [][]byte{{}, data[:999], content(1, 1001)} {
		t.Run(bytesOf(len(wrong)), func(t *testing.T) {
			e.h.Plant(t, e.Backend, describe(data).Digest, wrong)
			e.put(t, data)
			e.wantBlob(t, data)
		})
	}
}

func putOneBlobByMany(t *testing.T, e *env) {
	other := e.other(t)
	for round := range e.h.rounds() {
		data := content(uint64(round), 3000)
		for _, err := range race(8, func(i int) error {
			b := []backend.Backend{e, other}[i%2]
			return b.Put(t.Context(), describe(data), blob.Bytes(data))
		}) {
			wantErr(t, "Put(at the same time)", err, nil)
		}
		e.wantBlob(t, data)
	}
}

func ageOfEveryBlob(t *testing.T, e *env) {
	d := e.put(t, content(1, 10))
	if info, _ := e.stat(t, d); info.ModTime.IsZero() {
		t.Errorf("Stat(%s).ModTime is zero, want a time", d.Digest)
	}
	if !e.caps.ListBlobs {
		return
	}
	for info, err := range e.List(t.Context()) {
		if err != nil || info.ModTime.IsZero() {
			t.Errorf("List() = %+v, %v, want a ModTime", info, err)
		}
	}
}

// ageRenewed puts a blob until its time has changed. A store that renews ages
// needs as many tries as its clock needs to move on, usually one.
func ageRenewed(t *testing.T, e *env) {
	data := content(1, 10)
	d := e.put(t, data)
	before, _ := e.stat(t, d)
	step := max(e.h.AgeStep/10, 5*time.Millisecond)
	for range 40 {
		wait(t.Context(), step)
		e.put(t, data)
		if after, _ := e.stat(t, d); after.ModTime.After(before.ModTime) {
			return
		}
	}
	t.Errorf("Stat(put 40 times).ModTime = %s, want it later than at first", before.ModTime)
}

// wait pauses for d or until the context ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func ageUndeclared(t *testing.T, e *env) {
	if e.caps.BlobAges {
		t.Skip("the store declares ages")
	}
	d := e.put(t, content(1, 10))
	if info, _ := e.stat(t, d); !info.ModTime.IsZero() {
		t.Errorf("Stat(%s).ModTime = %s, want the zero time", d.Digest, info.ModTime)
	}
}
