package faulty

import (
	"context"
	"io"
)

// reader is a body with faults.
type reader struct {
	io.ReadCloser
	ctx   context.Context // as it was given to Open: it governs the reader
	fault *Fault
	off   int64
}

func (r *reader) Read(p []byte) (int, error) {
	f := r.fault
	if f.StallAt != 0 && r.off >= f.StallAt {
		<-r.ctx.Done()
		return 0, r.ctx.Err()
	}
	if f.BreakAt != 0 {
		if r.off >= f.BreakAt {
			return 0, r.end()
		}
		p = p[:min(int64(len(p)), f.BreakAt-r.off)]
	}
	if f.StallAt != 0 {
		p = p[:min(int64(len(p)), f.StallAt-r.off)]
	}
	n, err := r.ReadCloser.Read(p)
	if at := f.FlipAt - r.off; f.FlipAt != 0 && at >= 0 && at < int64(n) {
		p[at] ^= 0xff
	}
	r.off += int64(n)
	return n, err
}

// end is how a body ends that breaks.
func (r *reader) end() error {
	if r.fault.Err != nil {
		return r.fault.Err
	}
	return io.EOF
}
