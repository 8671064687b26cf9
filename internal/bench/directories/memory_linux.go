package main

import (
	"os"
	"syscall"
)

// peakMemory returns the most memory that a process, or the largest of those it
// has waited for, had in bytes.
func peakMemory(p *os.ProcessState) int64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return int64(usage.Maxrss) << 10 //nolint:unconvert // in KiB, and not everywhere an int64
}
