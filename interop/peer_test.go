// This file holds peer: the loop around one client that the package
// documentation of the core describes, over TCP, with calls that wait for
// what a test wants to see. What is expected of brokers is in the tests.

package interop

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mqttcore"
	"mqttcore/interop/brokers"
	"mqttcore/trace"
)

const (
	v31  = mqttcore.V31
	v311 = mqttcore.V311
	v5   = mqttcore.V5
)

var (
	versions  = []mqttcore.Version{v31, v311, v5}
	withProps = []mqttcore.Version{v5}
)

func versionName(v mqttcore.Version) string {
	return map[mqttcore.Version]string{v31: "3.1", v311: "3.1.1", v5: "5.0"}[v]
}

// kinds are the brokers that tests run against. All speak all versions.
var kinds = []struct {
	name  string
	start func(brokers.Options) (*brokers.Broker, error)
}{
	{mosquitto, brokers.Mosquitto},
	{mochi, brokers.Mochi},
	{model, brokers.Model},
}

const (
	mosquitto = "mosquitto"
	mochi     = "mochi"
	model     = "model" // the simulator's
)

// host is a broker that a test runs against.
type host struct {
	*brokers.Broker
	kind string
	lib  *library
	book *book // the transcript; nil: none is kept
}

// version begins the transcript of a version.
func (h host) version(name string) host {
	h.book = h.lib.open(h.kind, name)
	return h
}

// unwritten keeps no transcript: for scenarios in which time or chance decides
// what passes.
func (h host) unwritten() host {
	h.book.free = true
	h.book = nil
	return h
}

// eachBroker runs f against every broker, or the named ones, and compares the
// transcripts.
func eachBroker(t *testing.T, o brokers.Options, f func(*testing.T, host), only ...string) {
	lib := new(library)
	for _, k := range kinds {
		if len(only) > 0 && !slices.Contains(only, k.name) {
			continue
		}
		ok := t.Run(k.name, func(t *testing.T) {
			b, err := k.start(o)
			if errors.Is(err, brokers.ErrNotInstalled) && !brokerRequired() {
				t.Skip(err, "(with MQTTCORE_REQUIRE_BROKER=1 this fails)")
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			})
			f(t, host{Broker: b, kind: k.name, lib: lib}.version("all"))
		})
		if !ok {
			return
		}
	}
	lib.compare(t)
}

// eachVersion runs f for every broker and version.
func eachVersion(t *testing.T, o brokers.Options, vs []mqttcore.Version, f func(*testing.T, host, mqttcore.Version), only ...string) {
	eachBroker(t, o, func(t *testing.T, h host) {
		for _, v := range vs {
			t.Run(versionName(v), func(t *testing.T) { f(t, h.version(versionName(v)), v) })
		}
	}, only...)
}

var serial atomic.Uint32

// newID is a client identifier that no other test uses, and that fits 3.1.
func newID() []byte { return fmt.Appendf(nil, "interop-%06d", serial.Add(1)) }

// newTopic is a topic that no other test uses. All have the same length.
func newTopic() string { return fmt.Sprintf("interop/%06d", serial.Add(1)) }

// props makes properties for 5.0, and none for a version that has none.
func props(t testing.TB, v mqttcore.Version, ps ...mqttcore.Property) mqttcore.Properties {
	t.Helper()
	if v != v5 {
		return mqttcore.Properties{}
	}
	p, err := mqttcore.NewProperties(ps...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// clean is a configuration whose session ends with the connection. Its window
// is that of mosquitto (max_inflight_messages, 20), which ends the connection
// of a client of 3.x that has more under way, though it has no way to tell it.
func clean(v mqttcore.Version) mqttcore.Config {
	return mqttcore.Config{Version: v, ClientID: newID(), CleanStart: true, KeepAlive: 60, MaxInflight: 20}
}

// lasting is a configuration whose session outlives the connection.
func lasting(t testing.TB, v mqttcore.Version) mqttcore.Config {
	c := clean(v)
	c.CleanStart = false
	c.Props = props(t, v, mqttcore.SessionExpiry(3600))
	return c
}

// peer is a client with its loop. It is used by one goroutine at a time.
type peer struct {
	t      testing.TB
	name   string
	addr   string
	cfg    mqttcore.Config
	c      *mqttcore.Client
	faults faults // of the connections to come

	wire   *wire
	buf    []byte
	in     []byte
	out    []byte
	skew   time.Duration // by which the client's clock is ahead
	events []mqttcore.Event
	rec    *trace.Recorder
	book   *book
	title  string // of its connections in the transcript
	conns  int
	tags   uint64

	resent, repeats uint64 // of clients that this one took over from, too
}

// limit is how long a test waits for what has to come.
const limit = 20 * time.Second

// newPeer makes a client. Its ladder is logged when the test fails.
func newPeer(t testing.TB, h host, cfg mqttcore.Config) *peer {
	t.Helper()
	c, err := mqttcore.NewClient(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, name: string(cfg.ClientID), addr: h.Addr, cfg: cfg, c: c}
	p.rec = &trace.Recorder{Version: cfg.Version, MaxEntries: 200}
	if h.book != nil {
		_, test, _ := strings.Cut(t.Name(), "/"+h.kind+"/")
		p.book, p.title = h.book, h.book.client(strings.ReplaceAll(test, "_", " "))
	}
	t.Cleanup(func() {
		if t.Failed() {
			l := p.rec.Ladder()
			l.Title, l.Right = p.name, h.kind
			log := h.Log()
			t.Logf("\n%s\nthe end of the broker's log:\n%s", l, log[max(0, len(log)-2000):])
		}
		if p.wire != nil {
			p.finish()
			p.wire.faults = faults{reset: true}
			p.wire.cut("end of the test")
		}
	})
	return p
}

// add keeps the counts of a client that is about to be replaced.
func (p *peer) add(s mqttcore.Stats) {
	p.resent += s.Resent
	p.repeats += s.Repeats
}

func (p *peer) now() time.Time { return time.Now().Add(p.skew) }

// do takes what a call of the client appended and returned.
func (p *peer) do(out []byte, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	p.out = out
	p.flush()
}

// open dials and sends CONNECT.
func (p *peer) open() {
	p.t.Helper()
	p.conns++
	w, err := dial(p.addr, p.rec, p.book.page(fmt.Sprintf("%s, connection %d", p.title, p.conns), p.cfg.Version), p.faults)
	if err != nil {
		p.t.Fatal(err)
	}
	p.wire, p.in, p.out = w, nil, nil
	p.do(p.c.Connect(p.out, p.now()))
}

// connect opens a connection and waits until it is accepted.
func (p *peer) connect() mqttcore.Event {
	p.t.Helper()
	p.open()
	return p.wait(mqttcore.EventConnected)
}

// flush writes what the client has appended.
func (p *peer) flush() {
	if len(p.out) == 0 || p.wire == nil {
		return
	}
	err := p.wire.write(p.out)
	p.out = p.out[:0]
	if err != nil {
		p.lost(err)
	}
}

func (p *peer) lost(err error) {
	p.wire.page.ended(byServer)
	p.wire.end("lost: " + err.Error())
	p.c.Lost(p.now(), err)
	p.drain()
}

// drain takes the events that wait. They alias what was received, which is
// never overwritten here.
func (p *peer) drain() {
	var ev mqttcore.Event
	for p.c.Next(&ev) {
		if ev.Kind != mqttcore.EventMessage { // which its packet shows
			p.rec.Note(time.Now(), mqttcore.FromClient, ev.String())
		}
		p.events = append(p.events, ev)
	}
}

// turn goes once round the loop, waiting until end at the latest.
func (p *peer) turn(end time.Time) {
	if p.c.State() == mqttcore.StateDisconnected {
		return
	}
	deadline := p.c.Deadline()
	if !deadline.IsZero() {
		deadline = deadline.Add(-p.skew)
	}
	if deadline.IsZero() || deadline.After(end) {
		deadline = end
	}
	if p.c.More() {
		deadline = time.Now()
	}
	if p.buf == nil {
		p.buf = make([]byte, 64<<10) // which holds any packet of the tests that cut
	}
	n, err := p.wire.read(p.buf, deadline)
	p.in = append(slices.Clip(p.in), p.buf[:n]...) // a copy that no event's bytes are lost in
	for p.c.State() != mqttcore.StateDisconnected {
		var used int
		var misuse error
		p.out, used, misuse = p.c.Receive(p.out, p.now(), p.in)
		if misuse != nil {
			p.t.Errorf("%s: Receive: %v", p.name, misuse)
		}
		p.in = p.in[used:]
		p.drain()
		if used == 0 {
			break
		}
	}
	if d := p.c.Deadline(); !d.IsZero() && !p.now().Before(d) || p.c.More() {
		p.out = p.c.Tick(p.out, p.now())
		p.drain()
	}
	p.flush()
	var late net.Error
	switch {
	case p.c.State() == mqttcore.StateDisconnected:
		p.wire.page.ended(byClient)
		p.wire.end("closed by the client")
	case err != nil && !(errors.As(err, &late) && late.Timeout()):
		p.lost(err)
	}
}

// take removes and returns the first event of a kind.
func (p *peer) take(k mqttcore.EventKind) (mqttcore.Event, bool) {
	i := slices.IndexFunc(p.events, func(ev mqttcore.Event) bool { return ev.Kind == k })
	if i < 0 {
		return mqttcore.Event{}, false
	}
	ev := p.events[i]
	p.events = slices.Delete(p.events, i, i+1)
	return ev, true
}

// wait runs the loop until an event of a kind is there, and returns it.
func (p *peer) wait(k mqttcore.EventKind) mqttcore.Event {
	p.t.Helper()
	for end := time.Now().Add(limit); ; {
		if ev, ok := p.take(k); ok {
			return ev
		}
		if p.c.State() == mqttcore.StateDisconnected {
			p.t.Fatalf("%s: no event %q before the end of the connection: %v", p.name, k, &p.events)
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s: no event %q in %v", p.name, k, limit)
		}
		p.turn(end)
	}
}

// run goes round the loop for a while, or until the connection ends.
func (p *peer) run(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end) && p.c.State() != mqttcore.StateDisconnected; {
		p.turn(end)
	}
}

// settle waits until the broker has done what was asked before: it answers in
// order, a PINGREQ too.
func (p *peer) settle() {
	p.t.Helper()
	p.do(p.c.Ping(p.out, p.now()))
	p.wait(mqttcore.EventPong)
}

// finish lets exchanges come to their end that are under way when a test ends,
// for the sake of the transcript.
func (p *peer) finish() {
	out, err := p.c.Ping(p.out, p.now())
	if err != nil || p.book == nil || p.t.Failed() {
		return
	}
	p.do(out, nil)
	for end := time.Now().Add(limit); time.Now().Before(end) && p.c.State() == mqttcore.StateConnected; p.turn(end) {
		if _, ok := p.take(mqttcore.EventPong); ok {
			return
		}
	}
}

// none fails if a message has arrived, or does within a short while.
func (p *peer) none() {
	p.t.Helper()
	p.settle()
	p.run(50 * time.Millisecond)
	if ev, ok := p.take(mqttcore.EventMessage); ok {
		p.t.Errorf("%s: %v; want no message", p.name, &ev)
	}
}

// subscribe subscribes to one filter and waits for the answer.
func (p *peer) subscribe(filter string, q mqttcore.QoS, ps ...mqttcore.Property) {
	p.t.Helper()
	p.subscribeTo(mqttcore.Subscription{Filter: []byte(filter), QoS: q}, ps...)
}

func (p *peer) subscribeTo(s mqttcore.Subscription, ps ...mqttcore.Property) {
	p.t.Helper()
	l, err := mqttcore.NewSubscriptions(s)
	if err != nil {
		p.t.Fatal(err)
	}
	p.tags++
	pr := props(p.t, v5, ps...)
	p.do(p.c.Subscribe(p.out, p.now(), &mqttcore.Subscribe{Subscriptions: l, Props: pr}, p.tags))
	ev := p.wait(mqttcore.EventSubscribed)
	if ev.Tag != p.tags || len(ev.Codes) != 1 || ev.Codes[0] != byte(s.QoS) {
		p.t.Fatalf("%s: %v; want tag %d and the QoS %d", p.name, &ev, p.tags, s.QoS)
	}
}

// send gives a message to the client, and returns its tag.
func (p *peer) send(m mqttcore.Publish) uint64 {
	p.t.Helper()
	p.tags++
	p.do(p.c.Publish(p.out, p.now(), &m, p.tags))
	return p.tags
}

// publish sends a message and waits until the broker has it.
func (p *peer) publish(m mqttcore.Publish) {
	p.t.Helper()
	tag := p.send(m)
	if m.QoS == mqttcore.QoS0 {
		p.settle()
		return
	}
	if ev := p.wait(mqttcore.EventPublished); ev.Tag != tag {
		p.t.Fatalf("%s: %v; want tag %d", p.name, &ev, tag)
	}
}

// disconnect ends the connection from this side and takes the event.
func (p *peer) disconnect(d *mqttcore.Disconnect) {
	p.t.Helper()
	p.do(p.c.Disconnect(p.out, p.now(), d))
	p.drain()
	ev, _ := p.take(mqttcore.EventClosed)
	if ev.Cause != mqttcore.CauseLocalDisconnect {
		p.t.Errorf("%s: %v; want a local disconnect", p.name, &ev)
	}
	p.wire.page.ended(byClient)
	p.wire.end("disconnected")
}

// drop cuts the connection now.
func (p *peer) drop() {
	p.wire.cut("the transport fails")
	p.lost(errCut)
	p.waitClosed()
}

// waitClosed runs the loop until the connection is over, and returns why.
func (p *peer) waitClosed() mqttcore.Event {
	p.t.Helper()
	for end := time.Now().Add(limit); p.c.State() != mqttcore.StateDisconnected && time.Now().Before(end); {
		p.turn(end)
	}
	p.drain()
	ev, ok := p.take(mqttcore.EventClosed)
	if !ok {
		p.t.Fatalf("%s: the connection did not end", p.name)
	}
	return ev
}

func message(topic string, q mqttcore.QoS, payload string) mqttcore.Publish {
	return mqttcore.Publish{Topic: []byte(topic), QoS: q, Payload: []byte(payload)}
}

// short is a payload for a message of a test.
func short(b []byte) string {
	if len(b) <= 40 {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q… (%d bytes)", strings.ToValidUTF8(string(b[:40]), "?"), len(b))
}
