package wrap_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/mem"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
)

// All safeguards are on by default; each can be left out.
func ExampleRecommended() {
	var counter wrap.Counter
	observer := counter.Observer()
	b := wrap.Recommended(mem.New(), wrap.Options{
		Observer: &observer,
		Limiter:  wrap.NewLimiter(4),
		Retry:    wrap.RetryOptions{Attempts: 3},
	})
	defer b.Close()

	ctx := context.Background()
	d := blob.Describe("", []byte("hello"))
	if err := b.Put(ctx, d, blob.Bytes([]byte("hello"))); err != nil {
		fmt.Println(err)
	}
	data, err := blob.ReadAll(ctx, d, backend.SourceOf(b, d), 1<<20)
	fmt.Println(string(data), err)
	stats := counter.Stats()
	fmt.Println(stats.Calls, stats.BytesOut, "bytes out,", stats.BytesIn, "in")
	// Output:
	// hello <nil>
	// map[open:1 put:1] 5 bytes out, 5 in
}

func ExampleReadOnly() {
	b := wrap.ReadOnly(mem.New())
	_, err := b.PutRef(context.Background(), "main", backend.Document{}, backend.Always)
	fmt.Println(err)
	// Output: mem: put ref main: read-only
}

func ExampleCheck() {
	b := wrap.Check(mem.New())
	_, err := b.GetRef(context.Background(), "../main")
	fmt.Println(err)
	// Output: mem: get ref ../main: invalid: ref name "../main" has the part ".." between slashes
}

func ExampleLogTo() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "took" {
				return slog.Attr{}
			}
			return a
		},
	}))
	b := wrap.Observe(mem.New(), wrap.LogTo(logger))
	_, _ = b.PutRef(context.Background(), "main", backend.Document{Data: []byte("hello")}, backend.Always)
	_, _ = b.GetRef(context.Background(), "none")
	// Output:
	// level=DEBUG msg=done call.driver=mem call.op="put ref" call.key=main in=0 out=5
	// level=DEBUG msg=done call.driver=mem call.op="get ref" call.key=none in=0 out=0 err="mem: get ref none: not found"
}
