package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqttcore"
	"mqttcore/examples/internal/testbroker"
)

var versions = []mqttcore.Version{mqttcore.V31, mqttcore.V311, mqttcore.V5}

// noLeaks fails the test if goroutines are left when all else is done.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 500 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		stacks := make([]byte, 1<<16)
		t.Errorf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
	})
}

func dialTo(addr string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", addr) }
}

// config keeps the session, in any version.
func config(v mqttcore.Version) mqttcore.Config {
	cfg := mqttcore.Config{Version: v, ClientID: []byte("tester"), KeepAlive: 60}
	if v == mqttcore.V5 {
		cfg.Props, _ = mqttcore.NewProperties(mqttcore.SessionExpiry(3600))
	}
	return cfg
}

// events hands every kind of event to those who wait for it.
type events struct {
	mu   sync.Mutex
	seen []string
	more chan struct{}
}

func newEvents() *events { return &events{more: make(chan struct{}, 1)} }

func (e *events) add(ev *mqttcore.Event) {
	e.mu.Lock()
	e.seen = append(e.seen, ev.String())
	e.mu.Unlock()
	select {
	case e.more <- struct{}{}:
	default:
	}
}

func (e *events) wait(t *testing.T, prefix string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		e.mu.Lock()
		found := slices.ContainsFunc(e.seen, func(s string) bool { return strings.HasPrefix(s, prefix) })
		e.mu.Unlock()
		if found {
			return
		}
		select {
		case <-e.more:
		case <-limit:
			t.Fatalf("no event %q", prefix)
		}
	}
}

func start(t *testing.T, o Options) *Conn {
	t.Helper()
	if o.Backoff.Min == 0 {
		o.Backoff.Min = time.Millisecond
	}
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		select {
		case <-c.Done():
		default:
			t.Error("the Conn has not ended")
			c.cancel()
		}
	})
	return c
}

func closeConn(t *testing.T, c *Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := c.Err(); err != nil {
		t.Error(err)
	}
}

func subscribe(t *testing.T, c *Conn, filter string, q mqttcore.QoS) {
	t.Helper()
	subs, err := mqttcore.NewSubscriptions(mqttcore.Subscription{Filter: []byte(filter), QoS: q})
	if err != nil {
		t.Fatal(err)
	}
	result, err := c.Subscribe(t.Context(), &mqttcore.Subscribe{Subscriptions: subs})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Result{Codes: []byte{byte(q)}}, <-result); diff != "" {
		t.Fatalf("subscribing (-want +got)\n%s", diff)
	}
}

func TestDemonstration(t *testing.T) {
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			noLeaks(t)
			var server testbroker.Server
			var stdout, stderr bytes.Buffer
			args := []string{"-broker", server.Start(t), "-v", fmt.Sprint(uint8(v)), "-n", "20"}
			if code := run(t.Context(), args, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
				t.Errorf("exit code %d, error output %q", code, &stderr)
			}
			want := map[mqttcore.QoS]int{mqttcore.QoS0: 20, mqttcore.QoS1: 20, mqttcore.QoS2: 20}
			got := map[mqttcore.QoS]int{}
			for _, m := range server.Received() {
				got[m.QoS]++
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("messages at the broker (-want +got)\n%s", diff)
			}
			if !strings.HasSuffix(stdout.String(), "closed: local disconnect\n") {
				t.Errorf("the output is\n%s", &stdout)
			}
		})
	}
}

func TestDemonstrationFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	refusing := testbroker.Server{Code: mqttcore.ReasonNotAuthorized}
	refuses := refusing.Start(t)
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout string // a pattern
		stderr string
	}{
		{"unreachable", []string{"-broker", l.Addr().String(), "-timeout", "300ms"}, 1,
			`^(dial tcp .* refused; again in \d+ms\n)+$`, "tcp: not done within 300ms\n"},
		{"refused", []string{"-broker", refuses}, 1,
			`^closed: not authorized, Not authorized\n$`, "tcp: mqtt: closed: not authorized, Not authorized\n"},
		{"help", []string{"-h"}, 0, "^$", "Usage of tcp:\n"},
		{"no such flag", []string{"-x"}, 2, "^$", "flag provided but not defined: -x\nUsage of tcp:\n"},
		{"usage", []string{"-v", "2"}, 2, "^$", "tcp: -v is 3, 4 or 5, and nothing follows the flags\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			noLeaks(t)
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), c.args, &stdout, &stderr); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if !regexp.MustCompile(c.stdout).MatchString(stdout.String()) {
				t.Errorf("output %q, want %s", &stdout, c.stdout)
			}
			if got, _, _ := strings.Cut(stderr.String(), "  -"); got != c.stderr { // the flags aside
				t.Errorf("error output %q, want %q", &stderr, c.stderr)
			}
		})
	}
}

// Messages of one goroutine arrive in its order, those of QoS 0 among them.
func TestOrder(t *testing.T) {
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			noLeaks(t)
			var server testbroker.Server
			seen := newEvents()
			cfg := config(v)
			cfg.MaxInflight = 0xFFFF // QoS 0 overtakes what is queued
			c := start(t, Options{Dial: dialTo(server.Start(t)), Config: cfg, OnEvent: seen.add})
			seen.wait(t, "connected")
			var want []string
			var results []<-chan Result
			payload := []byte("000000")
			for i := range 3000 {
				payload = fmt.Appendf(payload[:0], "%06d", i) // ours again after each Publish
				r, err := c.Publish(t.Context(), &mqttcore.Publish{Topic: []byte("t"), Payload: payload, QoS: mqttcore.QoS(i % 3)})
				if err != nil {
					t.Fatal(err)
				}
				want, results = append(want, string(payload)), append(results, r)
			}
			for i, r := range results {
				if res := <-r; res.Err != nil {
					t.Fatalf("message %d: %v", i, res.Err)
				}
			}
			closeConn(t, c)
			var got []string
			for _, m := range server.Received() {
				got = append(got, string(m.Payload))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("messages at the broker (-want +got)\n%s", diff)
			}
		})
	}
}

// cutter wraps connections such that each ends after some bytes, at any place,
// as long as cuts are left.
type cutter struct {
	mu   sync.Mutex
	rnd  *rand.Rand
	cuts int
}

func (c *cutter) wrap(nc net.Conn) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cuts == 0 {
		return nc
	}
	c.cuts--
	cut := &cutConn{Conn: nc}
	cut.left.Store(1 + c.rnd.Int64N(2500))
	return cut
}

type cutConn struct {
	net.Conn
	left atomic.Int64
}

func (c *cutConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return c.spend(n), c.ended(err)
}

func (c *cutConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b[:c.spend(len(b))])
	return n, c.ended(err)
}

// spend returns how many of n bytes still pass.
func (c *cutConn) spend(n int) int {
	return int(max(0, min(int64(n), c.left.Add(-int64(n))+int64(n))))
}

func (c *cutConn) ended(err error) error {
	if c.left.Load() > 0 {
		return err
	}
	c.Close()
	return io.ErrClosedPipe
}

// Whatever is cut, QoS 2 arrives exactly once and QoS 1 at least once, in both
// directions, in order.
func TestCuts(t *testing.T) {
	const messages = 300
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			noLeaks(t)
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			cuts := &cutter{rnd: rand.New(rand.NewPCG(seed, 0))}
			server := testbroker.Server{Wrap: cuts.wrap}
			seen := newEvents()
			var mu sync.Mutex
			arrived := map[string][]string{}
			var retries atomic.Int64
			c := start(t, Options{
				Dial:    dialTo(server.Start(t)),
				Config:  config(v),
				Backoff: mqttcore.Backoff{Max: 10 * time.Millisecond},
				OnEvent: func(ev *mqttcore.Event) {
					if ev.Kind != mqttcore.EventMessage {
						seen.add(ev)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					runtime.Gosched() // let the reader do wrong if it can
					topic := string(ev.Message.Topic)
					arrived[topic] = append(arrived[topic], string(ev.Message.Payload))
					if len(arrived[topic]) >= messages {
						seen.add(&mqttcore.Event{Kind: mqttcore.EventPong, RTT: 1}) // wakes the test up
					}
				},
				OnRetry: func(error, time.Duration) { retries.Add(1) },
			})
			seen.wait(t, "connected")
			subscribe(t, c, "down/#", mqttcore.QoS2)
			cuts.mu.Lock()
			cuts.cuts = 40
			cuts.mu.Unlock()
			server.CutAll()

			sent := map[string][]string{}
			for i := range messages {
				payload := fmt.Sprintf("%06d%s", i, strings.Repeat("x", i%50))
				for q := mqttcore.QoS1; q <= mqttcore.QoS2; q++ {
					topic := "down/" + q.String()
					sent[topic] = append(sent[topic], payload)
				}
			}
			var running sync.WaitGroup
			for q := mqttcore.QoS1; q <= mqttcore.QoS2; q++ {
				running.Go(func() { // up
					var results []<-chan Result
					for _, payload := range sent["down/"+q.String()] {
						r, err := c.Publish(t.Context(), &mqttcore.Publish{Topic: []byte("up/" + q.String()), Payload: []byte(payload), QoS: q})
						if err != nil {
							t.Error(err)
							return
						}
						results = append(results, r)
						time.Sleep(100 * time.Microsecond)
					}
					for _, r := range results {
						if res := <-r; res.Err != nil {
							t.Error(res.Err)
						}
					}
				})
				running.Go(func() { // down
					for _, payload := range sent["down/"+q.String()] {
						server.Send(mqttcore.Publish{Topic: []byte("down/" + q.String()), Payload: []byte(payload), QoS: q})
						time.Sleep(100 * time.Microsecond)
					}
				})
			}
			running.Wait()
			last := sent["down/QoS 1"][messages-1]
			for limit := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
				mu.Lock()
				done := slices.Contains(arrived["down/QoS 1"], last) && slices.Contains(arrived["down/QoS 2"], last)
				mu.Unlock()
				if done {
					break
				}
				if time.Now().After(limit) {
					t.Error("the last messages from the broker did not arrive")
					break
				}
			}
			closeConn(t, c)
			up := map[string][]string{}
			for _, m := range server.Received() {
				up["down/"+m.QoS.String()] = append(up["down/"+m.QoS.String()], string(m.Payload))
			}
			for where, got := range map[string]map[string][]string{"at the broker": up, "at the client": arrived} {
				got["down/QoS 1"] = withoutRepeats(got["down/QoS 1"])
				if diff := cmp.Diff(sent, got); diff != "" {
					t.Errorf("messages %s (-want +got)\n%s", where, diff)
				}
			}
			if n := retries.Load(); n < 10 {
				t.Errorf("only %d connections were lost", n)
			}
		})
	}
}

func withoutRepeats(s []string) (out []string) {
	seen := map[string]bool{}
	for _, x := range s {
		if !seen[x] {
			out = append(out, x)
		}
		seen[x] = true
	}
	return out
}

// Close writes all that was accepted, and DISCONNECT at last.
func TestClose(t *testing.T) {
	noLeaks(t)
	var mu sync.Mutex
	var packets []mqttcore.PacketType
	server := testbroker.Server{Hook: func(p mqttcore.Packet) error {
		mu.Lock()
		defer mu.Unlock()
		packets = append(packets, p.PacketType())
		return nil
	}}
	seen := newEvents()
	c := start(t, Options{Dial: dialTo(server.Start(t)), Config: config(mqttcore.V5), OnEvent: seen.add})
	seen.wait(t, "connected")
	subscribe(t, c, "t", mqttcore.QoS0)
	for range 100 { // the broker sends each back, and so has input waiting for us
		if _, err := c.Publish(t.Context(), &mqttcore.Publish{Topic: []byte("t"), Payload: make([]byte, 20_000)}); err != nil {
			t.Fatal(err)
		}
	}
	closeConn(t, c)
	closeConn(t, c) // harmless
	for limit := time.Now().Add(10 * time.Second); time.Now().Before(limit); time.Sleep(time.Millisecond) {
		mu.Lock()
		n := len(packets)
		mu.Unlock()
		if n >= 103 {
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if n := len(packets); n != 103 || packets[n-1] != mqttcore.TypeDisconnect {
		t.Errorf("the broker saw %v", packets)
	}
	if _, err := c.Publish(t.Context(), &mqttcore.Publish{Topic: []byte("t")}); !errors.Is(err, ErrEnded) {
		t.Errorf("publishing after Close: %v", err)
	}
}

// Without a connection Close does not wait for one.
func TestCloseWhileAway(t *testing.T) {
	dialing := make(chan struct{}, 10)
	for name, dial := range map[string]func(context.Context) (net.Conn, error){
		"dialing": func(ctx context.Context) (net.Conn, error) {
			dialing <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"pausing": func(context.Context) (net.Conn, error) { dialing <- struct{}{}; return nil, errors.New("no") },
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			c := start(t, Options{Dial: dial, Config: config(mqttcore.V5), Backoff: mqttcore.Backoff{Min: time.Hour, Max: time.Hour}})
			<-dialing
			r, err := c.Publish(t.Context(), &mqttcore.Publish{Topic: []byte("t"), QoS: mqttcore.QoS1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Publish(t.Context(), &mqttcore.Publish{Topic: []byte("t")}); err != mqttcore.ErrNotConnected {
				t.Errorf("QoS 0 without a connection: %v", err)
			}
			closeConn(t, c)
			if res := <-r; res.Err != ErrEnded {
				t.Errorf("the message's result is %v", res)
			}
		})
	}
}

// The end of the context cuts the connection, without DISCONNECT.
func TestContext(t *testing.T) {
	noLeaks(t)
	var disconnected atomic.Bool
	server := testbroker.Server{Hook: func(p mqttcore.Packet) error {
		switch p.PacketType() {
		case mqttcore.TypeDisconnect:
			disconnected.Store(true)
		case mqttcore.TypePublish:
			return errors.New("cut") // no answer
		}
		return nil
	}}
	ctx, cancel := context.WithCancel(t.Context())
	seen := newEvents()
	session := new(mqttcore.Session)
	c, err := Start(ctx, Options{Dial: dialTo(server.Start(t)), Config: config(mqttcore.V311), Session: session, OnEvent: seen.add})
	if err != nil {
		t.Fatal(err)
	}
	seen.wait(t, "connected")
	r, err := c.Publish(ctx, &mqttcore.Publish{Topic: []byte("t"), QoS: mqttcore.QoS2})
	if err != nil {
		t.Fatal(err)
	}
	seen.wait(t, "closed: transport invalid")
	cancel()
	<-c.Done()
	if c.Err() != context.Canceled {
		t.Errorf("the reason is %v", c.Err())
	}
	if res := <-r; res.Err != ErrEnded {
		t.Errorf("the message's result is %v", res)
	}
	if session.Len() != 1 {
		t.Errorf("the session has %d messages, want 1", session.Len())
	}
	if disconnected.Load() {
		t.Error("the broker saw DISCONNECT")
	}
}

// A peer that reads nothing is given up, and commands wait meanwhile.
func TestWriteTimeout(t *testing.T) {
	noLeaks(t)
	ours, theirs := net.Pipe()
	defer theirs.Close()
	dials := 0
	lost := make(chan error, 10)
	c := start(t, Options{
		Dial: func(context.Context) (net.Conn, error) {
			if dials++; dials > 1 {
				return nil, errors.New("no more")
			}
			return ours, nil
		},
		Config:       config(mqttcore.V311),
		WriteTimeout: 50 * time.Millisecond,
		Backoff:      mqttcore.Backoff{Min: time.Hour, Max: time.Hour},
		OnRetry:      func(cause error, _ time.Duration) { lost <- cause },
	})
	in := make([]byte, 1000)
	if _, err := theirs.Read(in); err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Write([]byte{0x20, 2, 0, 0}); err != nil {
		t.Fatal(err)
	}
	var err error
	for n := 0; err == nil || err == mqttcore.ErrNotConnected && n == 0; {
		_, err = c.Publish(t.Context(), &mqttcore.Publish{Topic: []byte("t"), Payload: make([]byte, 100_000)})
		if err == nil {
			n++
		}
		if n > 6 {
			t.Fatal("commands do not wait for the writer")
		}
	}
	if err != mqttcore.ErrNotConnected {
		t.Errorf("after the time-out: %v", err)
	}
	if cause := <-lost; !strings.Contains(cause.Error(), "timeout") {
		t.Errorf("the cause is %v", cause)
	}
	closeConn(t, c)
}

// A packet may be larger than the read buffer, but not than the client takes.
func TestLargeMessage(t *testing.T) {
	noLeaks(t)
	var server testbroker.Server
	seen := newEvents()
	cfg := config(mqttcore.V5)
	cfg.MaxPacketSize = 1 << 20
	payload := make([]byte, 1_000_000)
	rand.NewChaCha8([32]byte{}).Read(payload)
	var got []byte
	c := start(t, Options{Dial: dialTo(server.Start(t)), Config: cfg, OnEvent: func(ev *mqttcore.Event) {
		if ev.Kind == mqttcore.EventMessage {
			got = bytes.Clone(ev.Message.Payload)
		}
		seen.add(ev)
	}})
	seen.wait(t, "connected")
	subscribe(t, c, "t", mqttcore.QoS1)
	server.Send(mqttcore.Publish{Topic: []byte("t"), Payload: payload, QoS: mqttcore.QoS1})
	seen.wait(t, "message")
	closeConn(t, c)
	if !bytes.Equal(got, payload) {
		t.Errorf("%d bytes arrived, other ones than were sent", len(got))
	}
}

// What a peer says about the length of a packet that is refused is not
// allocated.
func TestTooLarge(t *testing.T) {
	noLeaks(t)
	ours, theirs := net.Pipe()
	defer theirs.Close()
	cfg := config(mqttcore.V311)
	cfg.MaxPacketSize = 1 << 20
	lost := make(chan error, 1)
	c := start(t, Options{
		Dial:    func(context.Context) (net.Conn, error) { return ours, nil },
		Config:  cfg,
		Backoff: mqttcore.Backoff{Min: time.Hour, Max: time.Hour},
		OnRetry: func(cause error, _ time.Duration) { lost <- cause },
	})
	go io.Copy(io.Discard, theirs)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := theirs.Write([]byte("\x20\x02\x00\x00\x30\xff\xff\xff\x7f")); err != nil {
		t.Fatal(err)
	}
	if cause := <-lost; !strings.Contains(cause.Error(), "protocol violation, Packet too large") {
		t.Errorf("the cause is %v", cause)
	}
	closeConn(t, c)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

// The timer serves the client's deadline, and a peer that does not close the
// transport after DISCONNECT is not waited for.
func TestKeepAliveAndClose(t *testing.T) {
	noLeaks(t)
	ours, theirs := net.Pipe()
	defer theirs.Close()
	cfg := config(mqttcore.V311)
	cfg.KeepAlive = 1
	seen := newEvents()
	c := start(t, Options{
		Dial:    func(context.Context) (net.Conn, error) { return ours, nil },
		Config:  cfg,
		OnEvent: seen.add,
	})
	var heard []byte
	for _, answer := range []string{"\x20\x02\x00\x00", "\xd0\x00"} { // CONNACK, PINGRESP
		packet := make([]byte, 1000)
		if _, err := theirs.Read(packet); err != nil {
			t.Fatal(err)
		}
		heard = append(heard, packet[0])
		if _, err := theirs.Write([]byte(answer)); err != nil {
			t.Fatal(err)
		}
	}
	seen.wait(t, "pong")
	go io.Copy(io.Discard, theirs)
	closeConn(t, c)
	if !bytes.Equal(heard, []byte{0x10, 0xc0}) {
		t.Errorf("the packets begin with %x", heard)
	}
}
