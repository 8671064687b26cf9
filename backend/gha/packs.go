package gha

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larder-build/larder/backend"
	"github.com/larder-build/larder/internal/bucket"
)

// packs is what is known of the packs in the scopes that are read.
type packs struct {
	store    *store
	catalogs *shared
	writing  chan struct{} // held by who writes a catalog

	mu       sync.Mutex
	asked    time.Time             // when the catalogs were asked for
	known    map[string]*directory // by scope
	contents map[string]*shared    // where they are, by the keys of packs
}

// directory is the catalog of a scope.
type directory struct {
	number  int // of its entry
	catalog catalog
	places  map[string]place
}

func newPacks(s *store) *packs {
	return &packs{
		store: s, catalogs: newShared(), writing: make(chan struct{}, 1),
		known: map[string]*directory{}, contents: map[string]*shared{},
	}
}

// find returns where a blob is, as far as is known: in the scopes in the order in
// which they are read.
func (p *packs) find(key string) []place {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []place
	for _, scope := range p.store.scopes.read {
		if d := p.known[scope]; d != nil {
			if at, ok := d.places[key]; ok {
				all = append(all, at)
			}
		}
	}
	return all
}

// own returns the catalog of the scope that is written, or of the first that is
// read.
func (p *packs) own() directory {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.known[p.store.scopes.listed()]; d != nil {
		return *d
	}
	return directory{}
}

func (p *packs) set(scope string, number int, c catalog) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[scope] = &directory{number: number, catalog: c, places: c.places()}
}

// lookEvery is how often a backend that packs nothing looks whether others have
// begun to.
const lookEvery = time.Minute

// look brings what is known up to date, if there are packs or may be some.
func (p *packs) look(ctx context.Context) error {
	if !p.store.protocol.read || !p.due() {
		return nil
	}
	return p.catalogs.ask(ctx, func(ctx context.Context) error {
		if !p.due() { // somebody else has just looked
			return nil
		}
		return p.askAll(ctx)
	})
}

// due reports whether what is known may be out of date.
func (p *packs) due() bool {
	p.mu.Lock()
	old := p.asked.IsZero() || time.Since(p.asked) > lookEvery
	p.mu.Unlock()
	return old || p.likely()
}

// likely reports whether there should be packs.
func (p *packs) likely() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.known {
		if len(d.places) > 0 {
			return true
		}
	}
	return p.store.opts.Pack > 0
}

// expect looks for packs before anything else is tried, where there should be some.
func (p *packs) expect(ctx context.Context) error {
	p.mu.Lock()
	unknown := p.store.opts.Pack > 0 && p.asked.IsZero()
	p.mu.Unlock()
	if !unknown {
		return nil
	}
	return p.look(ctx)
}

// refresh asks for the catalogs, unless somebody else does.
func (p *packs) refresh(ctx context.Context) error {
	return p.catalogs.ask(ctx, p.askAll)
}

func (p *packs) askAll(ctx context.Context) error {
	group, limited := errgroup.WithContext(ctx)
	for _, scope := range p.store.scopes.read {
		group.Go(func() error { return p.ask(limited, scope) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = time.Now()
	return nil
}

// locate finds out where the content of a pack is, unless that is known.
func (p *packs) locate(ctx context.Context, key string) error {
	if p.store.urls.get(key) != nil {
		return nil
	}
	p.mu.Lock()
	q := p.contents[key]
	if q == nil {
		q = newShared()
		p.contents[key] = q
	}
	p.mu.Unlock()
	return q.ask(ctx, func(ctx context.Context) error {
		f, err := p.store.findBlob(ctx, key)
		if err == nil {
			p.store.urls.put(key, f.content)
		}
		return err
	})
}

// ask asks for the catalog of a scope.
func (p *packs) ask(ctx context.Context, scope string) error {
	number, content, err := p.store.newest(ctx, seriesOf(catalogKey, scope))
	if err != nil {
		return err
	}
	p.mu.Lock()
	d := p.known[scope]
	p.mu.Unlock()
	if d != nil && d.number == number {
		return nil
	}
	var c catalog
	if number > 0 {
		if c, err = p.read(ctx, content); err != nil {
			return err
		}
	}
	p.set(scope, number, c)
	return nil
}

// read reads a catalog. One whose content has gone says nothing.
func (p *packs) read(ctx context.Context, content *url.URL) (catalog, error) {
	r, _, err := p.store.client.get(ctx, content, 0, -1)
	if errors.Is(err, backend.ErrNotFound) {
		return catalog{}, nil
	}
	if err != nil {
		return catalog{}, err
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(io.LimitReader(r, backend.MaxDocumentSize))
	return decodeCatalog(data), err
}

// change writes the catalog of the scope that is written as it should be, given
// what it is; nil is no change.
func (p *packs) change(ctx context.Context, next func(catalog) *catalog) error {
	release, err := take(ctx, p.writing)
	if err != nil {
		return err
	}
	defer release()
	scope := p.store.scopes.own
	series := seriesOf(catalogKey, scope)
	ctx = backend.WithScope(ctx, scope)
	for contest := 1; ; contest++ {
		now := p.own()
		changed := next(now.catalog)
		if changed == nil {
			return nil
		}
		data, err := json.Marshal(changed)
		if err != nil {
			return err
		}
		cond := backend.Absent
		if now.number > 0 {
			cond = backend.Match(backend.Version(numbered(series, now.number)))
		}
		o, err := p.store.putRef(ctx, catalogKey, bucket.Body{Reader: bytes.NewReader(data), Size: int64(len(data))}, cond)
		if err == nil {
			number, _ := numberOf(series, string(o.Version))
			p.set(scope, number, *changed)
			return nil
		}
		if !errors.Is(err, backend.ErrConflict) || contest == maxContests {
			return err
		}
		if err := p.refresh(ctx); err != nil {
			return err
		}
	}
}
