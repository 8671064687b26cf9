package main

import (
	"context"
	"net"
	"regexp"
	"sync"
	"time"
)

// proxy passes connections on to a server, each direction with half of a round
// trip's delay, and counts the requests. It knows a request by the bytes it
// begins with: clients of HTTP/1.1 send one when they have got the response to
// the one before, so that each begins a packet, and layers of random bytes do not
// begin like that.
type proxy struct {
	server string
	delay  time.Duration
	listen net.Listener
	// stopped ends connections, running counts them.
	stopped context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex     // of server too
	counts map[string]int // by method
}

func newProxy(ctx context.Context, server string, roundTrip time.Duration) (*proxy, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{server: server, delay: roundTrip / 2, listen: l, counts: make(map[string]int)}
	p.stopped, p.stop = context.WithCancel(ctx)
	p.running.Go(p.accept)
	return p, nil
}

func (p *proxy) addr() string { return p.listen.Addr().String() }

// move has the proxy lead to another server, if it has led to a certain one.
func (p *proxy) move(from, to string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server == from {
		p.server = to
	}
}

// target is where the proxy leads.
func (p *proxy) target() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.server
}

// close ends all connections.
func (p *proxy) close() error {
	p.stop()
	err := p.listen.Close()
	p.running.Wait()
	return err
}

// take returns the requests counted since the last call, by method.
func (p *proxy) take() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := p.counts
	p.counts = make(map[string]int)
	return counts
}

func (p *proxy) accept() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return // it has been closed
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// serve passes on one connection until both sides have said all.
func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(p.stopped, "tcp", p.target())
	if err != nil {
		return // the client sees its connection closed
	}
	defer server.Close()
	defer context.AfterFunc(p.stopped, func() { client.Close(); server.Close() })()
	var both sync.WaitGroup
	both.Go(func() { p.pass(server, client, p.count) })
	both.Go(func() { p.pass(client, server, func([]byte) {}) })
	both.Wait()
}

// packet is what has arrived at a time.
type packet struct {
	data []byte
	due  time.Time
}

// inFlight is how many packets may be on the way in one direction, which stands
// for the buffers of the network.
const inFlight = 64

// pass copies what it reads, later.
func (p *proxy) pass(to, from net.Conn, seen func([]byte)) {
	packets := make(chan packet, inFlight)
	var writing sync.WaitGroup
	writing.Go(func() { p.deliver(to, packets) })
	for {
		data := make([]byte, 32<<10)
		n, err := from.Read(data)
		if n > 0 {
			seen(data[:n])
			packets <- packet{data[:n], time.Now().Add(p.delay)}
		}
		if err != nil {
			break // the end, or a connection that is gone: the other side sees an end too
		}
	}
	close(packets)
	writing.Wait()
}

// deliver writes packets when they are due.
func (p *proxy) deliver(to net.Conn, packets <-chan packet) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for next := range packets {
		timer.Reset(time.Until(next.due))
		<-timer.C
		if _, err := to.Write(next.data); err != nil {
			break
		}
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // it may be gone already
	}
	for range packets { // so that the reader does not wait for us
	}
}

var requestLine = regexp.MustCompile(`^(HEAD|GET|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n`)

// authentication is what clients ask to learn how to identify themselves. It is
// not counted.
const authentication = "/v2/"

func (p *proxy) count(data []byte) {
	match := requestLine.FindSubmatch(data[:min(len(data), 2<<10)])
	if len(match) == 0 || string(match[2]) == authentication {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[string(match[1])]++
}
