package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend/local"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	verb, store, dir, key, prof := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	ctx := context.Background()
	b, err := local.Open(store, local.Options{})
	check(err)
	t := []larder.Target{{Backend: b, Ref: "main"}}
	snaps := os.Getenv("SNAPS")
	if prof != "-" {
		f, err := os.Create(prof)
		check(err)
		runtime.SetCPUProfileRate(500)
		check(pprof.StartCPUProfile(f))
	}
	began := time.Now()
	if verb == "save" {
		_, err = larder.Save(ctx, key, []larder.Directory{{Path: dir, Name: "node_modules"}}, t, larder.SaveOptions{Snapshots: snaps})
	} else {
		var r *larder.Restored
		r, err = larder.Restore(ctx, key, t, larder.RestoreOptions{Into: dir, Snapshots: snaps})
		if !r.Hit {
			panic("miss")
		}
	}
	check(err)
	took := time.Since(began)
	pprof.StopCPUProfile()
	var r syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	fmt.Fprintf(os.Stderr, "%s %.2f s wall, %.2f user, %.2f sys, %d MiB\n", verb, took.Seconds(), time.Duration(r.Utime.Nano()).Seconds(), time.Duration(r.Stime.Nano()).Seconds(), r.Maxrss>>10)
	if h := os.Getenv("HEAP"); h != "" {
		f, _ := os.Create(h)
		check(pprof.Lookup("allocs").WriteTo(f, 0))
		f.Close()
	}
}
