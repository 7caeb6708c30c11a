package sim

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mqttcore"
)

// ask has p make a request for so many filters, which is accepted.
func (r *ledgerRig) ask(answer mqttcore.EventKind, filters int) uint64 {
	tag := r.request(r.p, answer, filters)
	r.requested(tag, nil)
	return tag
}

// answer has its fate be told.
func (r *ledgerRig) answer(tag uint64, k mqttcore.EventKind, codes int) {
	r.answered(r.p, &mqttcore.Event{Kind: k, Tag: tag, Codes: make([]byte, codes)})
}

const (
	subscribed   = mqttcore.EventSubscribed
	unsubscribed = mqttcore.EventUnsubscribed
)

// illegal has something illegal go to p, over the connection that it has or over
// another one.
func (r *ledgerRig) illegal(over uint64, code mqttcore.ReasonCode) {
	r.p.conn = &Conn{id: 7}
	r.p.Config.Version = mqttcore.V5
	r.Illegal("p", &Conn{id: over}, code)
}

// violates has p end its connection for it, with what it writes.
func (r *ledgerRig) violates(code mqttcore.ReasonCode, out ...byte) {
	r.p.out = out
	r.closed(r.p, &mqttcore.Event{Kind: mqttcore.EventClosed, Cause: mqttcore.CauseProtocolViolation, Code: code})
}

// send has p send message n, over connection 7 or another one.
func (r *ledgerRig) send(n uint32, over uint64, dup bool) {
	r.p.conn = &Conn{id: 7}
	r.op(r.p, &mqttcore.Op{Kind: mqttcore.OpPut, Num: 1, Tag: uint64(n)})
	r.op(r.p, &mqttcore.Op{Kind: mqttcore.OpSent, Num: 1, ID: 1})
	r.Copy("p", &Conn{id: over}, &mqttcore.Publish{Payload: appendPayload(nil, n), Dup: dup})
}

// TestLedgerWire: requests and connections, as in TestLedger.
func TestLedgerWire(t *testing.T) {
	const malformed, protocol = mqttcore.ReasonMalformedPacket, mqttcore.ReasonProtocolError
	for _, c := range []struct {
		name string
		tell func(r *ledgerRig)
		want string // in the failure; empty: there is none
	}{
		{"a request", func(r *ledgerRig) { r.answer(r.ask(subscribed, 2), subscribed, 2) }, ""},
		{"another", func(r *ledgerRig) { r.answer(r.ask(unsubscribed, 1), unsubscribed, 1) }, ""},
		{"no fate", func(r *ledgerRig) { r.ask(subscribed, 1) }, "p: request 0 has no fate"},
		{"no fate, and the process has ended", func(r *ledgerRig) { r.ask(subscribed, 1); r.p.epoch++ }, ""},
		{"two fates", func(r *ledgerRig) {
			tag := r.ask(subscribed, 1)
			r.answer(tag, subscribed, 1)
			r.answer(tag, subscribed, 1)
		}, "p: request 0 has two fates"},
		{"a fate nobody asked for", func(r *ledgerRig) { r.answer(tagBit|3, subscribed, 1) }, "p: a fate of a request that nobody made"},
		{"a message's tag", func(r *ledgerRig) { r.answer(uint64(r.publish(qos1)), subscribed, 1) }, "p: a fate of a request that nobody made"},
		{"somebody else's", func(r *ledgerRig) {
			tag := r.request(r.q, subscribed, 1)
			r.requested(tag, nil)
			r.answer(tag, subscribed, 1)
		}, "p: a fate of a request that nobody made"},
		{"refused by the call", func(r *ledgerRig) {
			tag := r.request(r.p, subscribed, 1)
			r.requested(tag, errors.New("no"))
		}, ""},
		{"refused by the call, and told", func(r *ledgerRig) {
			tag := r.request(r.p, subscribed, 1)
			r.requested(tag, errors.New("no"))
			r.answer(tag, subscribed, 1)
		}, "p: request 0 was never accepted, and has a fate"},
		{"after the process has ended", func(r *ledgerRig) {
			tag := r.ask(subscribed, 1)
			r.p.epoch++
			r.answer(tag, subscribed, 1)
		}, "p: request 0 is of a process that has ended"},
		{"the other answer", func(r *ledgerRig) { r.answer(r.ask(subscribed, 1), unsubscribed, 1) }, "p: request 0 has the fate of another"},
		{"too few codes", func(r *ledgerRig) { r.answer(r.ask(subscribed, 2), subscribed, 1) }, "p: request 0 has 2 filters and 1 codes"},
		{"dropped while connected", func(r *ledgerRig) {
			r.answered(r.p, &mqttcore.Event{Kind: dropped, Tag: r.ask(subscribed, 1), Why: mqttcore.DropConnectionLost})
		}, "p: request 0 was dropped, and the connection is there"},

		{"sent for the first time", func(r *ledgerRig) { r.send(r.message(r.p, 0, qos1), 7, false) }, ""},
		{"sent for the first time, with DUP", func(r *ledgerRig) { r.send(r.message(r.p, 0, qos1), 7, true) }, "p: message 0 is sent for the first time, with DUP"},
		{"sent again", func(r *ledgerRig) { r.send(r.message(r.p, 0, qos1), 8, true) }, ""},
		{"sent again, without DUP", func(r *ledgerRig) { r.send(r.message(r.p, 0, qos1), 8, false) }, "p: message 0 is sent again, without DUP"},
		{"sent before the commit", func(r *ledgerRig) {
			n := r.publish(qos1)
			r.Copy("p", &Conn{id: 7}, &mqttcore.Publish{Payload: appendPayload(nil, n)})
		}, "p: message 0 was sent before its identifier was committed"},

		{"illegal", func(r *ledgerRig) { r.illegal(7, malformed); r.violates(malformed, 0x40, 2, 0, 1, 0xE0, 1, 0x81) }, ""},
		{"illegal, of another rule", func(r *ledgerRig) { r.illegal(7, malformed); r.violates(protocol, 0xE0, 1, 0x82) }, ""},
		{"illegal, on another connection", func(r *ledgerRig) { r.illegal(6, malformed); r.violates(malformed, 0xE0, 1, 0x81) }, "p: closed: "},
		{"illegal, and the reason is wrong", func(r *ledgerRig) {
			r.illegal(7, malformed)
			r.violates(mqttcore.ReasonPacketTooLarge, 0xE0, 1, 0x95)
		}, "p: closed for the wrong reason, which is Malformed Packet"},
		{"illegal, and the server is told something else", func(r *ledgerRig) { r.illegal(7, malformed); r.violates(malformed, 0xE0, 1, 0x82) }, "what goes out ends with e00182"},
		{"illegal, and the server is told nothing", func(r *ledgerRig) { r.illegal(7, malformed); r.violates(malformed) }, "what goes out ends with"},
		{"illegal, and more is said", func(r *ledgerRig) { r.illegal(7, malformed); r.violates(malformed, 0xE0, 1, 0x81, 0xC0, 0) }, "what goes out ends with"},
		{"illegal in 3.1.1", func(r *ledgerRig) {
			r.illegal(7, malformed)
			r.p.Config.Version = mqttcore.V311
			r.violates(malformed, 0x40, 2, 0, 1)
		}, ""},
		{"DISCONNECT for it in 3.1.1", func(r *ledgerRig) {
			r.illegal(7, malformed)
			r.p.Config.Version = mqttcore.V311
			r.violates(malformed, 0xE0, 1, 0x81)
		}, "what goes out ends with"},
		{"illegal, and the client goes on", func(r *ledgerRig) { r.illegal(7, malformed); r.left(r.p, ErrPeer) }, "p: something illegal came, and the client goes on"},
		{"illegal, and lost on the way", func(r *ledgerRig) { r.illegal(7, malformed); r.left(r.p, ErrCut) }, ""},

		{"not allowed", func(r *ledgerRig) {
			n := r.publish(qos1)
			r.effect(r.p, effect{kind: dropped, tag: uint64(n), why: mqttcore.DropNotAllowed})
		}, "p: message 0 was dropped for what the broker does not take"},
		{"not allowed, by a broker that does not take all", func(r *ledgerRig) {
			r.Limits = true
			n := r.publish(qos1)
			r.effect(r.p, effect{kind: dropped, tag: uint64(n), why: mqttcore.DropNotAllowed})
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newLedgerRig(t)
			r.connect(r.p, false)
			r.connect(r.q, false)
			c.tell(r)
			err := r.Failure
			if err == nil {
				err = r.unanswered()
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestLedgerHeld: identifiers that are held are counted until they are free.
func TestLedgerHeld(t *testing.T) {
	r := newLedgerRig(t)
	for _, step := range []struct {
		op   mqttcore.Op
		want int
	}{
		{mqttcore.Op{Kind: mqttcore.OpHold, Num: 1}, 1},
		{mqttcore.Op{Kind: mqttcore.OpHold, Num: 2}, 2},
		{mqttcore.Op{Kind: mqttcore.OpDelete, Num: 3}, 2},
		{mqttcore.Op{Kind: mqttcore.OpDelete, Num: 1}, 1},
		{mqttcore.Op{Kind: mqttcore.OpClear, Queued: true, Incoming: true}, 1},
		{mqttcore.Op{Kind: mqttcore.OpClear, Sent: true}, 0},
	} {
		if r.op(r.p, &step.op); r.heldBy("p") != step.want {
			t.Errorf("after %v: %d are held, want %d", step.op.Kind, r.heldBy("p"), step.want)
		}
	}
}

// appRig is an application in a world with a broker, connected.
func appRig(t *testing.T) *App {
	w := New(Seed(1), Faults{})
	l := &Ledger{Strict: true}
	b := NewBroker(BrokerConfig{})
	watchBroker(b, l)
	a := &App{Config: ClientKnobs{Version: mqttcore.V5, Queue: 9, Burst: 1000}.config("p"), Server: w.Add("broker", b),
		Ledger: l, Load: Load{Every: time.Hour, Topics: 1, QoS: [3]int{0, 1, 0}}}
	w.Add("p", a)
	w.Run(10 * time.Second)
	if a.c.State() != mqttcore.StateConnected || l.Failure != nil {
		t.Fatalf("%v, %v", a.c.State(), l.Failure)
	}
	return a
}

// TestAppOracles: what a client must not do where it is called, and is found to
// do.
func TestAppOracles(t *testing.T) {
	no := errors.New("no")
	for _, c := range []struct {
		name string
		do   func(a *App)
		want string
	}{
		{"every misuse fails", func(a *App) {
			for range 20 * len(misuses) {
				a.misuse()
			}
			a.c.Lost(a.h.Now(), nil)
			a.events()
			for range 20 * len(misuses) {
				a.misuse()
			}
		}, ""},
		{"a command that fails", func(a *App) { _ = a.try(func() error { return no }, true) }, ""},
		{"a command that does something", func(a *App) { _ = a.try(a.publish, true) }, ""},
		{"a command that writes and fails", func(a *App) {
			_ = a.try(func() error { a.out = append(a.out, 0xC0, 0); return no }, false)
		}, "a command wrote something, and failed: no"},
		{"a command that changes what waits to be written", func(a *App) {
			a.out = append(a.out, 0xC0, 0)
			_ = a.try(func() error { a.out[0] = 0xE0; return no }, true)
		}, "a command wrote something, and failed: no"},
		{"a command that changes something and fails", func(a *App) {
			_ = a.try(func() error { _ = a.publish(); a.out = a.out[:0]; return no }, true)
		}, "a command changed something, and failed: no"},
		{"bytes after the end", func(a *App) {
			_ = a.disconnect()
			a.turn(func() { a.events(); a.out = append(a.out, 0xC0, 0) })
		}, "2 bytes after the connection was over: c000"},
		{"an event after the end", func(a *App) {
			a.over = true
			_ = a.publish()
			a.commit()
			id := a.out[len(a.out)-payloadSize-3:][:2]
			a.in = append(a.in, 0x40, 2, id[0], id[1])
			a.turn(nil)
		}, "after the connection was over: published"},
		{"a commit that is torn", func(a *App) {
			for range 200 {
				_ = a.publish()
				a.torn()
			}
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := appRig(t)
			c.do(a)
			err := a.Ledger.Failure
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
