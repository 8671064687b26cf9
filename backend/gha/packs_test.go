package gha_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/larder-build/larder"
	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/backend/gha"
	"github.com/larder-build/larder/backend/wrap"
	"github.com/larder-build/larder/blob"
	"github.com/larder-build/larder/internal/ghaserver"
)

const (
	catalogOfMain = "larder-packs-1-f921bd05#"
	packKeys      = "larder-pack-1-"
)

// withPacks has blobs of up to 64 KiB lie together.
func withPacks(o *gha.Options) { o.Pack = 64 << 10 }

// some are so many blobs.
func some(from, to int) [][]byte {
	var all [][]byte
	for i := from; i < to; i++ {
		all = append(all, content(i, 1000+i))
	}
	return all
}

// putAll stores blobs at the same time, which must succeed.
func putAll(t *testing.T, b backend.Backend, blobs [][]byte) {
	t.Helper()
	var group sync.WaitGroup
	for _, data := range blobs {
		group.Go(func() { put(t, b, data) })
	}
	group.Wait()
}

// wantAll fails unless the blobs are there.
func wantAll(t *testing.T, b backend.Backend, blobs [][]byte) {
	t.Helper()
	var digests []blob.Digest
	for _, data := range blobs {
		wantBlob(t, b, data)
		digests = append(digests, describe(data).Digest)
	}
	found, err := b.Stat(t.Context(), digests...)
	if err != nil || len(found) != len(blobs) {
		t.Errorf("Stat(%d blobs) = %d of them, %v, want all", len(blobs), len(found), err)
	}
	for _, data := range blobs {
		if got := found[describe(data).Digest].Size; got != int64(len(data)) {
			t.Errorf("Stat().Size = %d, want %d", got, len(data))
		}
	}
}

// inBubble runs a test in time that is not the real one, so that blobs that are
// put at the same time gather however busy the machine is.
func inBubble(t *testing.T, o ghaserver.Options, test func(t *testing.T, s ghaserver.Local)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, ghaserver.NewLocal(o)) })
}

// openLocal returns a backend for a service without a network.
func openLocal(t *testing.T, s ghaserver.Local, change func(*gha.Options), scopes ...ghaserver.Scope) *gha.Backend {
	t.Helper()
	return open(t, s.Server, func(o *gha.Options) {
		o.Transport = s
		if change != nil {
			change(o)
		}
	}, scopes...)
}

// kinds counts the entries whose keys begin in some ways.
func kinds(s *ghaserver.Server) map[string]int {
	found := map[string]int{}
	for _, key := range keys(s) {
		for _, prefix := range []string{packKeys, "larder-packs-", "buildkit-blob-", "index-"} {
			if strings.HasPrefix(key, prefix) {
				found[prefix]++
			}
		}
	}
	return found
}

func wantKinds(t *testing.T, s *ghaserver.Server, want map[string]int) {
	t.Helper()
	if diff := cmp.Diff(want, kinds(s)); diff != "" {
		t.Errorf("entries by the beginnings of their keys (-want +got):\n%s", diff)
	}
}

// TestThousandSmallBlobs counts what a thousand blobs take to write and to read:
// GitHub creates 200 entries in a minute.
func TestThousandSmallBlobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ghaserver.Options{}
		o.Creations, o.Per, o.Latency = 200, time.Minute, 200*time.Millisecond
		s := ghaserver.NewLocal(o)
		b := open(t, s.Server, func(o *gha.Options) { o.Transport, o.Budget = s, nil; withPacks(o) }, writer)
		blobs := some(0, 1000)
		began := time.Now()
		putAll(t, b, blobs)
		took := time.Since(began)
		wantKinds(t, s.Server, map[string]int{packKeys: 1, "larder-packs-": 1})
		if n := s.Count("create"); n != 2 || took > 10*time.Second {
			t.Errorf("Put(1000 blobs) has created %d entries in %v, want 2 in seconds", n, took)
		}
		reader := open(t, s.Server, func(o *gha.Options) { o.Transport = s; withPacks(o) }, writer)
		before := len(s.Requests())
		var group sync.WaitGroup
		for _, data := range blobs {
			group.Go(func() { wantBlob(t, reader, data) })
		}
		group.Wait()
		t.Logf("written in %v, read with %d requests", took, len(s.Requests())-before)
		if n := len(s.Requests()) - before; n > 1100 {
			t.Errorf("reading 1000 blobs takes %d requests, want one for each and a few", n)
		}
		before = s.Count("lookup")
		wantAll(t, reader, blobs)
		if n := s.Count("lookup") - before; n > 2 {
			t.Errorf("reading 1000 blobs again, and Stat, take %d lookups, want at most one of the catalog and one of the pack", n)
		}
	})
}

// TestPacksAreOff has the layout be BuildKit's unless packs are asked for, and for
// what is too large or comes alone.
func TestPacksAreOff(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*gha.Options)
		blobs  [][]byte
	}{
		{"by default", nil, some(0, 5)},
		{"for large blobs", withPacks, [][]byte{content(1, 64<<10+1), content(2, 70_000), content(3, 70_000), content(4, 1<<20)}},
		{"for one blob", withPacks, some(0, 1)},
		{"for two blobs", withPacks, some(0, 2)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, ghaserver.Options{}, func(t *testing.T, s ghaserver.Local) {
				t.Helper()
				b := openLocal(t, s, tt.change, writer)
				putAll(t, b, tt.blobs)
				putRef(t, b, "demo", "document", backend.Always)
				want := []string{indexOfMain + "1"}
				for _, data := range tt.blobs {
					want = append(want, "buildkit-blob-1-"+describe(data).Digest.String())
				}
				got := keys(s.Server)
				slices.Sort(got)
				slices.Sort(want)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("keys (-want +got):\n%s", diff)
				}
				wantAll(t, openLocal(t, s, nil, writer), tt.blobs)
			})
		})
	}
}

// TestPacksAreReadByAll has packs read with packing on and off, in both versions,
// from another branch, and where ranges are ignored.
func TestPacksAreReadByAll(t *testing.T) {
	feature := []ghaserver.Scope{{Ref: featureRef, Permission: 3}, {Ref: mainRef, Permission: 1}}
	main := []ghaserver.Scope{writer}
	for _, ignore := range []bool{false, true} {
		for _, tt := range []struct {
			name   string
			change func(*gha.Options)
			scopes []ghaserver.Scope
		}{
			{"packing", withPacks, main},
			{"not packing", nil, main},
			{"first version", func(o *gha.Options) { o.Version = 1 }, main},
			{"another branch", withPacks, feature},
			{"another branch, not packing", nil, feature},
			{"only reading", nil, []ghaserver.Scope{{Ref: mainRef, Permission: ghaserver.Read}}},
		} {
			t.Run(fmt.Sprintf("%s, ranges ignored %t", tt.name, ignore), func(t *testing.T) {
				o := ghaserver.Options{}
				o.IgnoreRange = ignore
				inBubble(t, o, func(t *testing.T, s ghaserver.Local) {
					t.Helper()
					blobs := some(0, 5)
					putAll(t, openLocal(t, s, withPacks, writer), blobs)
					wantKinds(t, s.Server, map[string]int{packKeys: 1, "larder-packs-": 1})
					reader := openLocal(t, s, tt.change, tt.scopes...)
					wantAll(t, reader, blobs)
					d := describe(blobs[2])
					if got, err := read(t.Context(), reader, d, 100, 7); err != nil || string(got) != string(blobs[2][100:107]) {
						t.Errorf("Open(100, 7) = %q, %v, want %q", got, err, blobs[2][100:107])
					}
					if _, err := reader.Open(t.Context(), d, d.Size+1, -1); !errors.Is(err, backend.ErrInvalid) {
						t.Errorf("Open(beyond) = %v, want %v", err, backend.ErrInvalid)
					}
				})
			})
		}
	}
}

// TestBranchHasPacksOfItsOwn does not store again what main has.
func TestBranchHasPacksOfItsOwn(t *testing.T) {
	inBubble(t, ghaserver.Options{}, func(t *testing.T, s ghaserver.Local) {
		t.Helper()
		putAll(t, openLocal(t, s, withPacks, writer), some(0, 5))
		b := openLocal(t, s, withPacks, ghaserver.Scope{Ref: featureRef, Permission: 3}, ghaserver.Scope{Ref: mainRef, Permission: 1})
		putAll(t, b, some(0, 10))
		wantKinds(t, s.Server, map[string]int{packKeys: 2, "larder-packs-": 2})
		wantAll(t, b, some(0, 10))
		for _, data := range some(5, 10) {
			wantNoBlob(t, openLocal(t, s, withPacks, writer), describe(data))
		}
	})
}

// TestPacksThatComeLate are found by who has not found them before, in a minute if
// they pack nothing themselves.
func TestPacksThatComeLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ghaserver.NewLocal(ghaserver.Options{})
		local := func(o *gha.Options) { o.Transport = s }
		packing := open(t, s.Server, func(o *gha.Options) { local(o); withPacks(o) }, writer)
		plain := open(t, s.Server, local, writer)
		blobs := some(0, 5)
		for _, b := range []backend.Backend{packing, plain} {
			wantNoBlob(t, b, describe(blobs[0]))
		}
		putAll(t, open(t, s.Server, func(o *gha.Options) { local(o); withPacks(o) }, writer), blobs)
		wantAll(t, packing, blobs)
		time.Sleep(2 * time.Minute) //nolint:forbidigo // The clock is that of a bubble.
		wantAll(t, plain, blobs)
	})
}

// TestStoredBlobsAreNotPacked has blobs put that are there by themselves or in a
// pack.
func TestStoredBlobsAreNotPacked(t *testing.T) {
	inBubble(t, ghaserver.Options{}, func(t *testing.T, s ghaserver.Local) {
		t.Helper()
		putAll(t, openLocal(t, s, nil, writer), some(0, 5))
		putAll(t, openLocal(t, s, withPacks, writer), some(5, 10))
		want := keys(s.Server)
		putAll(t, openLocal(t, s, withPacks, writer), some(0, 10))
		if diff := cmp.Diff(want, keys(s.Server)); diff != "" {
			t.Errorf("keys after all were put again (-want +got):\n%s", diff)
		}
		putAll(t, openLocal(t, s, nil, writer), some(0, 5))
		if diff := cmp.Diff(want, keys(s.Server)); diff != "" {
			t.Errorf("keys after those by themselves were put again (-want +got):\n%s", diff)
		}
		d := describe(content(20, 1000))
		s.Plant(mainRef, "buildkit-blob-1-"+d.Digest.String(), cacheVersion, []byte("of another size"))
		b := openLocal(t, s, withPacks, writer)
		putAll(t, b, append(some(20, 23), content(20, 1000)))
		wantBlob(t, b, content(20, 1000))
	})
}

// TestManyPackers have jobs of their own put the same blobs, and some of theirs, at
// the same time.
func TestManyPackers(t *testing.T) {
	o := ghaserver.Options{}
	o.VisibleAfter = 20 * time.Millisecond
	inBubble(t, o, func(t *testing.T, s ghaserver.Local) {
		t.Helper()
		var jobs sync.WaitGroup
		for i := range 8 {
			b := openLocal(t, s, withPacks, writer)
			jobs.Go(func() {
				putAll(t, b, append(some(100*i, 100*i+5), some(1000, 1005)...))
				putAll(t, b, some(2000, 2005)) // the same pack
			})
		}
		jobs.Wait()
		s.Settle()
		b := openLocal(t, s, nil, writer)
		for i := range 8 {
			wantAll(t, b, some(100*i, 100*i+5))
		}
		wantAll(t, b, append(some(1000, 1005), some(2000, 2005)...))
	})
}

// TestCrashOfAPacker has a writer die with a pack reserved, or a catalog.
func TestCrashOfAPacker(t *testing.T) {
	blobs := some(0, 5)
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := ghaserver.NewLocal(ghaserver.Options{})
				putAll(t, open(t, first.Server, func(o *gha.Options) { o.Transport = first; withPacks(o) }, writer), blobs)
				s := ghaserver.NewLocal(ghaserver.Options{})
				for _, key := range keys(first.Server) {
					s.Reserve(mainRef, key, cacheVersion)
				}
				b := open(t, s.Server, func(o *gha.Options) { o.Transport, o.Version = s, version; withPacks(o) }, writer)
				w := wrap.Recommended(b, wrap.Options{}) // whose calls must not be taken for stalled
				putAll(t, w, blobs)
				wantAll(t, w, blobs)
				if n := kinds(s.Server); n["buildkit-blob-"] != 0 || n[packKeys] != 1 {
					t.Errorf("entries = %v, want one pack", n)
				}
			})
		})
	}
}

// TestEvictedPack has a pack, a catalog, or the content of one go: its blobs are
// not found, and are stored again when they are put.
func TestEvictedPack(t *testing.T) {
	blobs := some(0, 5)
	evict := map[string]func(*ghaserver.Server, ghaserver.Entry){
		"entry":         func(s *ghaserver.Server, e ghaserver.Entry) { s.Evict(e.Scope, e.Key, e.Version) },
		"content alone": func(s *ghaserver.Server, e ghaserver.Entry) { s.DropBlob(e.Scope, e.Key, e.Version) },
		"another size": func(s *ghaserver.Server, e ghaserver.Entry) {
			s.Plant(e.Scope, e.Key, e.Version, []byte(`{"packs":7}`))
		},
	}
	for name, do := range evict {
		for i, what := range []string{"pack", "catalog"} {
			t.Run(name+" of the "+what, func(t *testing.T) {
				inBubble(t, ghaserver.Options{}, func(t *testing.T, s ghaserver.Local) {
					t.Helper()
					packing := func(o *gha.Options) { impatient(o); withPacks(o) }
					b := openLocal(t, s, packing, writer)
					putAll(t, b, blobs)
					do(s.Server, s.Entries()[i])
					for _, data := range blobs {
						wantNoBlob(t, openLocal(t, s, impatient, writer), describe(data))
					}
					again := openLocal(t, s, packing, writer)
					putAll(t, again, blobs)
					for _, b := range []backend.Backend{b, again, openLocal(t, s, nil, writer)} {
						wantAll(t, b, blobs)
					}
				})
			})
		}
	}
}

// TestCanceledPutIsNotPacked ends one of several calls while they gather: what it
// was about is not there, and the others go on, the first one to come or not.
func TestCanceledPutIsNotPacked(t *testing.T) {
	for _, leaves := range []int{0, 3} {
		t.Run(fmt.Sprint("call ", leaves), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := ghaserver.NewLocal(ghaserver.Options{})
				b := open(t, s.Server, func(o *gha.Options) { o.Transport = s; withPacks(o) }, writer)
				blobs := some(0, 5)
				ctx, cancel := context.WithCancel(t.Context())
				var group sync.WaitGroup
				for i, data := range blobs {
					c, want := t.Context(), error(nil)
					if i == leaves {
						c, want = ctx, context.Canceled
					}
					group.Go(func() {
						if err := b.Put(c, describe(data), blob.Bytes(data)); !errors.Is(err, want) {
							t.Errorf("Put(%d) = %v, want %v", i, err, want)
						}
					})
					synctest.Wait() // they come in this order
				}
				cancel()
				group.Wait()
				wantNoBlob(t, b, describe(blobs[leaves]))
				left := slices.Delete(slices.Clone(blobs), leaves, leaves+1)
				wantAll(t, b, left)
				if got, want := s.Entries()[0].Size, int64(len(slices.Concat(left...))); got != want {
					t.Errorf("the pack has %d bytes, want the %d of those that stayed", got, want)
				}
			})
		})
	}
}

// TestCanceledWhilePacksAreWritten ends all calls when their pack is on its way,
// or all but one.
func TestCanceledWhilePacksAreWritten(t *testing.T) {
	for _, stays := range []bool{false, true} {
		t.Run(fmt.Sprint("one stays ", stays), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var leaving, staying sync.WaitGroup
			s := ghaserver.New(t, ghaserver.Options{Intercept: func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPut {
					cancel()
					leaving.Wait()
				}
				return false
			}})
			b := open(t, s, withPacks, writer)
			blobs := some(0, 5)
			begin := make(chan struct{})
			for i, data := range blobs {
				group, c, want := &leaving, ctx, context.Canceled
				if stays && i == 0 {
					group, c, want = &staying, t.Context(), nil
				}
				group.Go(func() {
					<-begin // the last has to be counted before the first is done
					if err := b.Put(c, describe(data), blob.Bytes(data)); !errors.Is(err, want) {
						t.Errorf("Put(%d) = %v, want %v", i, err, want)
					}
				})
			}
			close(begin)
			leaving.Wait()
			staying.Wait()
			for _, data := range blobs[1:] {
				wantNoBlob(t, b, describe(data))
			}
			if stays {
				wantBlob(t, b, blobs[0])
			}
			putAll(t, b, blobs)
			wantAll(t, b, blobs)
		})
	}
}

// TestPutAgainWhileItsPackIsWritten has a call leave when its pack is on its way,
// and another one come for the same blob.
func TestPutAgainWhileItsPackIsWritten(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s := ghaserver.New(t, ghaserver.Options{Intercept: func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			once.Do(func() {
				close(begun)
				<-goOn
			})
		}
		return false
	}})
	b := open(t, s, withPacks, writer)
	blobs := some(0, 4)
	var group sync.WaitGroup
	group.Go(func() { putAll(t, b, blobs[1:]) })
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { left <- b.Put(ctx, describe(blobs[0]), blob.Bytes(blobs[0])) }()
	<-begun
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("Put() = %v, want %v", err, context.Canceled)
	}
	group.Go(func() { put(t, b, blobs[0]) })
	time.Sleep(20 * time.Millisecond) //nolint:forbidigo // It is to come meanwhile, and if not, nothing is wrong.
	close(goOn)
	group.Wait()
	wantAll(t, open(t, s, withPacks, writer), blobs)
}

// TestPacksAreDeletedWhenNobodyNeedsThem deletes one blob of a pack after the
// other.
func TestPacksAreDeletedWhenNobodyNeedsThem(t *testing.T) {
	inBubble(t, ghaserver.Options{}, func(t *testing.T, s ghaserver.Local) {
		t.Helper()
		packing := func(o *gha.Options) { withREST(s.Server, o); withPacks(o) }
		b := openLocal(t, s, packing, writer)
		blobs := some(0, 5)
		putAll(t, b, blobs)
		loose := put(t, openLocal(t, s, nil, writer), content(100, 100))
		for i, data := range blobs {
			if n := kinds(s.Server)[packKeys]; n != 1 {
				t.Fatalf("after %d of 5 blobs were deleted there are %d packs, want one", i, n)
			}
			if err := b.Delete(t.Context(), describe(data).Digest); err != nil {
				t.Fatalf("Delete(%d) = %v, want nil", i, err)
			}
			for _, reader := range []backend.Backend{b, openLocal(t, s, packing, writer), openLocal(t, s, nil, writer)} {
				wantNoBlob(t, reader, describe(data))
				wantAll(t, reader, blobs[i+1:])
			}
			listed := names(t, openLocal(t, s, packing, writer).List(t.Context()), func(i backend.BlobInfo) string { return i.Digest.String() })
			want := []string{loose.Digest.String()}
			for _, data := range blobs[i+1:] {
				want = append(want, describe(data).Digest.String())
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, listed); diff != "" {
				t.Errorf("List() after %d blobs were deleted (-want +got):\n%s", i+1, diff)
			}
		}
		if n := kinds(s.Server)[packKeys]; n != 0 {
			t.Errorf("after all blobs were deleted there are %d packs, want none", n)
		}
		putAll(t, b, blobs)
		wantAll(t, b, blobs)
	})
}

// TestExportInPacks has the verbs work with packs, and a token that only reads be
// no failure.
func TestExportInPacks(t *testing.T) {
	inBubble(t, ghaserver.Options{}, func(t *testing.T, s ghaserver.Local) {
		t.Helper()
		m, layers := cacheOf(t, 50)
		to := larder.Target{Backend: wrap.Recommended(openLocal(t, s, withPacks, writer), wrap.Options{}), Ref: "demo"}
		if _, err := larder.Export(t.Context(), m, layers, []larder.Target{to}, larder.ExportOptions{}); err != nil {
			t.Fatalf("Export() = %v, want nil", err)
		}
		if n := s.Count("create"); n > 10 {
			t.Errorf("Export(50 layers) has created %d entries, want a few", n)
		}
		wantLeft(t, larder.Target{Backend: openLocal(t, s, nil, writer), Ref: "demo"}, 50)
		other := ghaserver.NewLocal(ghaserver.Options{})
		if _, err := larder.Copy(t.Context(), to, []larder.Target{{Backend: openLocal(t, other, nil, writer), Ref: "demo"}}, larder.CopyOptions{}); err != nil {
			t.Errorf("Copy(to where nothing is packed) = %v, want nil", err)
		}
		wantKinds(t, other.Server, map[string]int{"buildkit-blob-": 50, "index-": 1})
		report, err := larder.Verify(t.Context(), to, larder.VerifyOptions{})
		if err != nil || len(report.Missing) > 0 || report.Blobs != 50 {
			t.Errorf("Verify() = %+v, %v, want 50 blobs that are there", report, err)
		}

		closed := ghaserver.NewLocal(ghaserver.Options{Intercept: readOnly})
		b := wrap.Recommended(openLocal(t, closed, withPacks, writer), wrap.Options{})
		exported, err := larder.Export(t.Context(), m, layers, []larder.Target{{Backend: b, Ref: "demo"}}, larder.ExportOptions{})
		if got := exported.Targets[0]; err != nil || got.Outcome != larder.Skipped || len(got.Degradations) == 0 {
			t.Errorf("Export(only reading) = %s %+v, %v, want %s with a degradation", got.Outcome, got.Degradations, err, larder.Skipped)
		}
	})
}

// TestExportThousandInPacks has a verb put so many blobs at the same time that they
// gather, whose sources are open no longer than they are read.
func TestExportThousandInPacks(t *testing.T) {
	o := ghaserver.Options{}
	o.Creations, o.Per, o.Latency = 200, time.Minute, 200*time.Millisecond
	inBubble(t, o, func(t *testing.T, s ghaserver.Local) {
		t.Helper()
		b := wrap.Recommended(openLocal(t, s, withPacks, writer), wrap.Options{})
		began := time.Now()
		report := export1000(t, larder.Target{Backend: b, Ref: "demo"}, time.Hour)
		took := time.Since(began)
		t.Logf("exported in %v with %v", took, report.Requests)
		if n := s.Count("create"); n > 5 || took > 20*time.Second {
			t.Errorf("Export(1000 layers) has created %d entries in %v, want a pack, a catalog and a ref", n, took)
		}
		if n := report.Requests["create"]; n != s.Count("create") {
			t.Errorf("Export() reports %d creations, want each of the %d once", n, s.Count("create"))
		}
		wantLeft(t, larder.Target{Backend: openLocal(t, s, nil, writer), Ref: "demo"}, 1000)
	})
}

// TestModesWithPacks has a mode in which nothing may be read store blobs by
// themselves, because a catalog cannot be added to.
func TestModesWithPacks(t *testing.T) {
	inBubble(t, ghaserver.Options{}, func(t *testing.T, s ghaserver.Local) {
		t.Helper()
		putAll(t, openLocal(t, s, func(o *gha.Options) { withPacks(o); o.Mode = "write-only" }, writer), some(0, 5))
		wantKinds(t, s.Server, map[string]int{"buildkit-blob-": 5})
		wantAll(t, openLocal(t, s, withPacks, writer), some(0, 5))
	})
}

// TestCorruptPackIsNoticed changes a byte of a pack: what is read of it is verified
// as everything is.
func TestCorruptPackIsNoticed(t *testing.T) {
	inBubble(t, ghaserver.Options{}, func(t *testing.T, s ghaserver.Local) {
		t.Helper()
		blobs := some(0, 3)
		putAll(t, openLocal(t, s, withPacks, writer), blobs)
		e := s.Entries()[0]
		s.Plant(e.Scope, e.Key, e.Version, make([]byte, e.Size))
		b := wrap.Recommended(openLocal(t, s, withPacks, writer), wrap.Options{})
		if _, err := read(t.Context(), b, describe(blobs[0]), 0, -1); !errors.Is(err, backend.ErrCorrupt) {
			t.Errorf("Open(damaged) = %v, want %v", err, backend.ErrCorrupt)
		}
	})
}

// TestCatalogsThatMakeNoSense are taken for empty, in whole or in part.
func TestCatalogsThatMakeNoSense(t *testing.T) {
	d := digest.FromString("x")
	pack := packKeys + strings.Repeat("a", 64)
	for _, text := range []string{
		"", "null", "[]", `{"packs":"x"}`, `{"packs":[{}]}`,
		`{"packs":[{"key":"index-demo","size":9,"blobs":[{"digest":"` + d.String() + `","offset":0,"size":1}]}]}`,
		`{"packs":[{"key":"` + pack + `","size":9,"blobs":[{"digest":"sha256:x","offset":0,"size":1}]}]}`,
		`{"packs":[{"key":"` + pack + `","size":9,"blobs":[{"digest":"` + d.String() + `","offset":-1,"size":1}]}]}`,
		`{"packs":[{"key":"` + pack + `","size":9,"blobs":[{"digest":"` + d.String() + `","offset":9,"size":1}]}]}`,
		`{"packs":[{"key":"` + pack + `","size":9,"blobs":[{"digest":"` + d.String() + `","offset":9223372036854775807,"size":9223372036854775807}]}]}`,
	} {
		inBubble(t, ghaserver.Options{}, func(t *testing.T, s ghaserver.Local) {
			t.Helper()
			s.Plant(mainRef, catalogOfMain+"1", cacheVersion, []byte(text+" "))
			s.Plant(mainRef, pack, cacheVersion, []byte("123456789"))
			b := openLocal(t, s, withPacks, writer)
			wantNoBlob(t, b, blob.Descriptor{Digest: d, Size: 1})
			putAll(t, b, some(0, 5))
			wantAll(t, openLocal(t, s, nil, writer), some(0, 5))
		})
	}
}

func TestPackSizes(t *testing.T) {
	for _, tt := range []struct {
		value string
		ok    bool
	}{{"0", true}, {"4096", true}, {"64KiB", true}, {"1MiB", true}, {"2MiB", false}, {"-1", false}, {"x", false}} {
		_, err := openAt(t, "type=gha,url_v2=http://127.0.0.1:1/,token=t,scope=demo,pack="+tt.value, nil)
		if (err == nil) != tt.ok {
			t.Errorf("pack=%s: %v, want it accepted: %t", tt.value, err, tt.ok)
		}
	}
}
