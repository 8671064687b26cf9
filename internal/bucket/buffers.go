package bucket

import "sync"

// spareBuffers is how many parts a backend holds in memory beside the one that
// each upload may always have, whatever the number of blobs on the way.
const spareBuffers = 6

// buffers are what parts are kept in. Taking a spare one never waits: whoever
// waited while holding another, for a source that waits in turn, could wait
// forever.
type buffers struct {
	size  int64
	spare chan struct{}
	pool  sync.Pool
}

func newBuffers(size int64, spare int) *buffers {
	return &buffers{size: size, spare: make(chan struct{}, spare)}
}

// buffer is a piece of memory.
type buffer struct {
	data []byte
	from *buffers
	// borrowed says that it is one of the spare ones.
	borrowed bool
}

// get returns a buffer of n bytes.
func (b *buffers) get(n int64) *buffer {
	if n > b.size {
		return &buffer{data: make([]byte, n), from: b}
	}
	if data, ok := b.pool.Get().(*[]byte); ok {
		return &buffer{data: (*data)[:n], from: b}
	}
	return &buffer{data: make([]byte, b.size)[:n], from: b}
}

// try returns one of the spare buffers, or nil if there is none now.
func (b *buffers) try(n int64) *buffer {
	select {
	case b.spare <- struct{}{}:
		buf := b.get(n)
		buf.borrowed = true
		return buf
	default:
		return nil
	}
}

// free gives the memory back.
func (b *buffer) free() {
	data := b.data[:cap(b.data)]
	if int64(len(data)) == b.from.size {
		b.from.pool.Put(&data)
	}
	if b.borrowed {
		<-b.from.spare
	}
}
