// This file holds the rules of the client that need more than a script: every
// refusal, all identifiers taken, calls in the wrong order.

package mqttcore

import (
	"errors"
	"testing"
	"time"
)

// connected makes a client with an open connection.
func connected(t *testing.T, cfg Config, connAck ...byte) *Client {
	t.Helper()
	c, err := NewClient(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Connect(nil, scriptStart); err != nil {
		t.Fatal(err)
	}
	give(t, c, connAck...)
	if c.State() != StateConnected {
		t.Fatalf("after % x the state is %v", connAck, c.State())
	}
	return c
}

// give gives the client one packet and returns what it sends and tells.
func give(t *testing.T, c *Client, in ...byte) (out []byte, evs []Event) {
	t.Helper()
	out, n, err := c.Receive(nil, scriptStart, in)
	if err != nil || n != len(in) {
		t.Fatalf("Receive took %d of % x: %v", n, in, err)
	}
	var ev Event
	for c.Next(&ev) {
		evs = append(evs, ev)
	}
	return out, evs
}

// TestRefusals goes through every CONNACK that refuses (3.1.1 §3.2.2.3, 5.0
// §3.2.2.2): nothing is sent in answer (MQTT-3.2.2-7), the cause is that of the
// code, and the session is untouched.
func TestRefusals(t *testing.T) {
	causes := map[ReasonCode]Cause{
		0x80: CauseUnknown, 0x81: CauseProtocolViolation, 0x82: CauseProtocolViolation,
		0x84: CauseInvalidProtocolVersion, 0x85: CauseIDRejected, 0x86: CauseBadUsernameOrPassword,
		0x87: CauseNotAuthorized, 0x88: CauseServerUnavailable, 0x89: CauseServerUnavailable,
		0x9C: CauseServerUnavailable, 0x9D: CauseServerUnavailable,
	}
	for _, code := range []ReasonCode{0x83, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9F} {
		causes[code] = CauseSpecific
	}
	returnCodes := map[byte]ReasonCode{1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}
	try := func(v Version, in []byte, code ReasonCode) {
		t.Helper()
		c, err := NewClient(Config{Version: v, ClientID: []byte("me")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Connect(nil, scriptStart); err != nil {
			t.Fatal(err)
		}
		out, evs := give(t, c, in...)
		if len(out) != 0 || len(evs) != 1 || evs[0].Kind != EventClosed ||
			evs[0].Cause != causes[code] || evs[0].Code != code || evs[0].Err != nil {
			t.Errorf("%v % x: sent % x, told %v; want %v, %v", v, in, out, evs, causes[code], code)
		}
		if c.State() != StateDisconnected || c.Session().Established() {
			t.Errorf("%v % x: state %v", v, in, c.State())
		}
	}
	for ret, code := range returnCodes {
		try(V31, []byte{0x20, 2, 0, ret}, code)
		try(V311, []byte{0x20, 2, 0, ret}, code)
		try(V5, []byte{0x20, 2, 0, ret}, code)
	}
	n := 0
	for code := range ReasonCode(0xFF) {
		if code.IsError() && code.AllowedIn(TypeConnAck, FromServer) {
			n++
			try(V5, []byte{0x20, 3, 0, byte(code), 0}, code)
		}
	}
	if n != len(causes) {
		t.Errorf("%d codes refuse, and %d have a cause here", n, len(causes))
	}
	for _, ret := range []byte{6, 0x7F, 0xFF} { // reserved (3.1.1 §3.2.2.3)
		c, _ := NewClient(Config{Version: V311, ClientID: []byte("me")}, nil)
		c.Connect(nil, scriptStart)
		if out, evs := give(t, c, 0x20, 2, 0, ret); len(out) != 0 || len(evs) != 1 || evs[0].Cause != CauseProtocolViolation {
			t.Errorf("return code %d: sent % x, told %v", ret, out, evs)
		}
	}
}

// TestIdentifiersExhausted takes all 65,535 identifiers: the next request is
// refused, the next message waits, and the first identifier that comes free is
// used (MQTT-2.2.1-3; 3.1.1 MQTT-2.3.1-2).
func TestIdentifiersExhausted(t *testing.T) {
	c := connected(t, Config{ClientID: []byte("me")}, 0x20, 3, 0, 0, 0)
	m := &Publish{Topic: []byte("a"), QoS: QoS1}
	seen := make([]bool, maxID+1)
	seen[0] = true
	idOf := func(out []byte) uint16 {
		f, n, err := ConsumeFrame(out, Dialect{Version: V5, From: FromClient}, 0)
		var p Publish
		if err == nil {
			err = p.Decode(f, Dialect{Version: V5, From: FromClient})
		}
		if err != nil || n != len(out) {
			t.Fatalf("% x: %v", out, err)
		}
		return p.ID
	}
	// One identifier is a request's, so that the window is not what is full.
	out, err := c.Subscribe(nil, scriptStart, someSubscribe, 1<<32)
	if err != nil {
		t.Fatal(err)
	}
	seen[uint16(out[2])<<8|uint16(out[3])] = true
	for tag := range uint64(maxID - 1) {
		out, err = c.Publish(out[:0], scriptStart, m, tag)
		if err != nil {
			t.Fatal(tag, err)
		}
		id := idOf(out)
		if seen[id] {
			t.Fatalf("identifier %d is 0 or in use", id)
		}
		seen[id] = true
	}
	if w := c.Window(); w != 1 {
		t.Fatalf("window of %d", w)
	}
	before := dumpState(c)
	if out, err := c.Subscribe(nil, scriptStart, someSubscribe, 1); err != ErrNoIdentifier || len(out) != 0 {
		t.Errorf("Subscribe: % x, %v", out, err)
	}
	if out, err := c.Unsubscribe(nil, scriptStart, someUnsubscribe, 1); err != ErrNoIdentifier || len(out) != 0 {
		t.Errorf("Unsubscribe: % x, %v", out, err)
	}
	if dumpState(c) != before {
		t.Error("a refused request has changed the state")
	}
	out, err = c.Publish(nil, scriptStart, m, 1<<33)
	if err != nil || len(out) != 0 || c.More() {
		t.Fatalf("Publish: % x, %v, more %v", out, err, c.More())
	}
	out, evs := give(t, c, 0x40, 2, 0x12, 0x34)
	if len(evs) != 1 || evs[0].Kind != EventPublished || idOf(out) != 0x1234 {
		t.Errorf("after PUBACK: sent % x, told %v", out, evs)
	}
	if err := checkClient(c); err != nil {
		t.Error(err)
	}
}

// TestIdentifiersAreTheSessions shows that two clients do not share identifiers.
func TestIdentifiersAreTheSessions(t *testing.T) {
	m := &Publish{Topic: []byte("a"), QoS: QoS1}
	for range 2 {
		c := connected(t, Config{Version: V311, ClientID: []byte("me"), MaxInflight: maxID}, 0x20, 2, 0, 0)
		if out, err := c.Publish(nil, scriptStart, m, 1); err != nil || out[5] != 0 || out[6] != 1 {
			t.Errorf("% x, %v", out, err)
		}
	}
}

// TestPending shows that events must be taken before more is received, and
// before the next connection, and that commands may be given before.
func TestPending(t *testing.T) {
	c := connected(t, Config{Version: V311, ClientID: []byte("me"), CleanStart: true, MaxInflight: maxID}, 0x20, 2, 0, 0)
	message := []byte{0x30, 3, 0, 1, 'a'}
	if _, n, err := c.Receive(nil, scriptStart, message); n != len(message) || err != nil {
		t.Fatal(n, err)
	}
	before := dumpState(c)
	if out, n, err := c.Receive([]byte("dst"), scriptStart, message); err != ErrPending || n != 0 || string(out) != "dst" {
		t.Errorf("Receive: %q, %d, %v", out, n, err)
	}
	if dumpState(c) != before {
		t.Error("ErrPending has changed the state")
	}
	if out, err := c.Publish(nil, scriptStart, &Publish{Topic: []byte("a"), QoS: QoS1}, 1); err != nil || len(out) == 0 {
		t.Errorf("Publish: % x, %v", out, err)
	}
	c.Lost(scriptStart, nil)
	if out, err := c.Connect([]byte("dst"), scriptStart); err != ErrPending || string(out) != "dst" {
		t.Errorf("Connect: %q, %v", out, err)
	}
	var kinds []EventKind
	var ev Event
	for c.Next(&ev) {
		kinds = append(kinds, ev.Kind)
	}
	if len(kinds) != 3 || kinds[0] != EventMessage || kinds[1] != EventDropped || kinds[2] != EventClosed {
		t.Errorf("told %v", kinds)
	}
	if _, err := c.Connect(nil, scriptStart); err != nil {
		t.Error(err)
	}
}

// TestClockGoingBack shows that time does not go back for a client: an earlier
// time is the latest that it has seen.
func TestClockGoingBack(t *testing.T) {
	c := connected(t, Config{Version: V311, ClientID: []byte("me"), KeepAlive: 10}, 0x20, 2, 0, 0)
	at := func(d time.Duration) time.Time { return scriptStart.Add(d) }
	if out := c.Tick(nil, at(5*time.Second)); len(out) != 0 {
		t.Errorf("sent % x", out)
	}
	if _, err := c.Publish(nil, at(-time.Hour), &Publish{Topic: []byte("a")}, 0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Receive(nil, at(-time.Hour), []byte{0x30, 3, 0, 1, 'a'}); err != nil {
		t.Fatal(err)
	}
	if d := c.Deadline(); !d.Equal(at(15 * time.Second)) {
		t.Errorf("deadline at %v", d.Sub(scriptStart))
	}
}

// TestMisuseIsNoError of the protocol: the two kinds stay apart.
func TestMisuseIsNoError(t *testing.T) {
	c, err := NewClient(Config{ClientID: []byte("me")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Publish(nil, scriptStart, &Publish{Topic: []byte("a")}, 0)
	var e *Error
	if !errors.Is(err, ErrNotConnected) || errors.As(err, &e) {
		t.Errorf("QoS 0 without a connection: %v", err)
	}
	_, err = c.Publish(nil, scriptStart, &Publish{Topic: []byte("a/#")}, 0)
	if !errors.As(err, &e) || e.Type != TypePublish {
		t.Errorf("wildcard in a topic name: %v", err)
	}
	if _, err := NewClient(Config{Version: 6}, nil); !errors.Is(err, ErrVersion) {
		t.Errorf("version 6: %v", err)
	}
}

// TestHeldIdentifiersFreeIn311: when a 3.1.1 server has no session, the
// identifiers that were kept because it might have had their messages are free
// (3.1.1 MQTT-4.4.0-1).
func TestHeldIdentifiersFreeIn311(t *testing.T) {
	s := new(Session)
	r := newRig(t, Config{Version: V5, Props: propsOf(SessionExpiry(100))}, s, &ConnAck{})
	for q := QoS1; q <= QoS2; q++ {
		r.publish(*message("a", "m", q, 0, ContentType("text")), uint64(q)) // which 3.1.1 cannot send again
	}
	r.lost()
	r = newRig(t, Config{Version: V311}, s, &ConnAck{SessionPresent: true})
	if n := s.out.lists[listHeld].n; n != 2 {
		t.Errorf("%d identifiers are held, want 2", n)
	}
	r.lost()
	r.connect(&ConnAck{})
	if p := &s.out.ids; int(p.free) != len(p.slot)-1 {
		t.Errorf("%d of %d identifiers are free", p.free, len(p.slot)-1)
	}
}
