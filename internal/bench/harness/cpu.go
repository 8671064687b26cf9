package harness

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// clockTick is the unit of times in /proc/PID/stat, which Linux shows to
// programs as a hundredth of a second on every architecture.
const clockTick = 10 * time.Millisecond

// CPU is the processor time that a server has taken so far: that of all
// processes below the testbed's. It is 0 where there is no /proc.
func (s *Server) CPU() time.Duration {
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	children := map[int][]process{}
	for _, file := range files {
		if p, ok := readProcess(file); ok {
			children[p.parent] = append(children[p.parent], p)
		}
	}
	var sum func(pid int) time.Duration
	sum = func(pid int) time.Duration {
		var all time.Duration
		for _, p := range children[pid] {
			all += p.cpu + sum(p.pid)
		}
		return all
	}
	return sum(s.cmd.Process.Pid)
}

// process is what /proc tells of one.
type process struct {
	pid, parent int
	cpu         time.Duration
}

// readProcess reads a process's stat. One that has just ended is none.
//
// Source: proc_pid_stat(5).
func readProcess(file string) (process, bool) {
	data, err := os.ReadFile(file)
	if err != nil {
		return process{}, false
	}
	pid, _, _ := bytes.Cut(data, []byte(" "))
	// The name of the program, in parentheses, may hold anything.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 13 {
		return process{}, false
	}
	number := func(text []byte) int {
		n, _ := strconv.Atoi(string(text)) // the kernel's digits
		return n
	}
	ticks := number(fields[11]) + number(fields[12])
	return process{pid: number(pid), parent: number(fields[1]), cpu: time.Duration(ticks) * clockTick}, true
}
