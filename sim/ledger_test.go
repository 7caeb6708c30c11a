package sim

import (
	"strings"
	"testing"
	"time"

	"mqttcore"
)

// ledgerRig is a ledger with two applications, "p" and "q", told by hand what
// they and the broker would tell.
type ledgerRig struct {
	t *testing.T
	*Ledger
	p, q *App
}

func newLedgerRig(t *testing.T) *ledgerRig {
	r := &ledgerRig{t: t, Ledger: &Ledger{Strict: true, Every: 1}}
	for _, x := range []struct {
		name string
		app  **App
	}{{"p", &r.p}, {"q", &r.q}} {
		c, err := mqttcore.NewClient(mqttcore.Config{ClientID: []byte(x.name), Journal: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		*x.app = &App{id: r.join(x.name), c: c, disk: new(mqttcore.Session)}
	}
	return r
}

// connect connects an application to nobody.
func (r *ledgerRig) connect(a *App, session bool) {
	now := epoch
	if _, err := a.c.Connect(nil, now); err != nil {
		r.t.Fatal(err)
	}
	in, err := (&mqttcore.ConnAck{SessionPresent: session}).AppendTo(nil, mqttcore.Dialect{Version: mqttcore.V5, From: mqttcore.FromServer})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, _, err = a.c.Receive(nil, now, in); err != nil {
		r.t.Fatal(err)
	}
	var ev mqttcore.Event
	for a.c.Next(&ev) {
		if ev.Kind == mqttcore.EventConnected {
			r.connected(a, &ev)
		}
	}
	r.commit(a)
}

// commit makes durable what a's client did.
func (r *ledgerRig) commit(a *App) {
	var op mqttcore.Op
	for a.c.NextOp(&op) {
		if err := a.disk.Apply(&op); err != nil {
			r.t.Fatal(err)
		}
	}
}

// publish has p publish a message, of which only the ledger knows, and commit
// it.
func (r *ledgerRig) publish(q mqttcore.QoS) uint32 {
	n := r.message(r.p, 0, q)
	r.put(n)
	return n
}

func (r *ledgerRig) put(n uint32) {
	r.op(r.p, &mqttcore.Op{Kind: mqttcore.OpPut, Tag: uint64(n)})
}

// accept has it arrive at the broker, owe has the broker owe it to q, bring has
// it arrive there.
func (r *ledgerRig) accept(n uint32, q mqttcore.QoS) { r.Accepted("p", appendPayload(nil, n), q) }
func (r *ledgerRig) owe(n uint32, q mqttcore.QoS)    { r.Owed("q", appendPayload(nil, n), q) }
func (r *ledgerRig) bring(n uint32, q mqttcore.QoS) {
	r.arrived(r.q, n, q)
	r.effect(r.q, effect{kind: mqttcore.EventMessage, message: n, qos: q})
}

func (r *ledgerRig) fate(n uint32, k mqttcore.EventKind) {
	r.effect(r.p, effect{kind: k, tag: uint64(n)})
}

// whole is the whole life of a message.
func (r *ledgerRig) whole(q mqttcore.QoS) uint32 {
	n := r.publish(q)
	r.accept(n, q)
	r.owe(n, q)
	r.fate(n, mqttcore.EventPublished)
	r.bring(n, q)
	return n
}

const (
	published = mqttcore.EventPublished
	dropped   = mqttcore.EventDropped
	qos0      = mqttcore.QoS0
	qos1      = mqttcore.QoS1
	qos2      = mqttcore.QoS2
)

// TestLedger: each contradiction is one, and what is like it and allowed is
// none. The story is told, then the world is asked whether it has settled.
func TestLedger(t *testing.T) {
	for _, c := range []struct {
		name string
		tell func(r *ledgerRig)
		want string // in the failure; empty: there is none
	}{
		{"nothing", func(*ledgerRig) {}, ""},
		{"QoS 1", func(r *ledgerRig) { r.whole(qos1) }, ""},
		{"QoS 2", func(r *ledgerRig) { r.whole(qos2); r.whole(qos2) }, ""},

		{"a fate nobody asked for", func(r *ledgerRig) { r.fate(7, published) }, "p: a fate for tag 7, which nobody gave"},

		{"two fates", func(r *ledgerRig) { r.fate(r.whole(qos1), published) }, "p: message 0 has two fates"},
		{"published and dropped", func(r *ledgerRig) { r.fate(r.whole(qos1), dropped) }, "p: message 0 has two fates"},
		{"a fate before the commit", func(r *ledgerRig) { r.fate(r.message(r.p, 0, qos1), dropped) }, "p: message 0 has a fate and was never accepted"},
		{"no fate", func(r *ledgerRig) { r.accept(r.publish(qos1), qos1) }, "p: message 0 has no fate"},
		{"no fate, and not committed", func(r *ledgerRig) { r.message(r.p, 0, qos1) }, ""},
		{"refused by Publish", func(r *ledgerRig) { r.refused(r.message(r.p, 0, qos1)); r.whole(qos1) }, ""},
		{"dropped", func(r *ledgerRig) { r.fate(r.publish(qos1), dropped) }, ""},
		{"published into nothing", func(r *ledgerRig) { r.fate(r.publish(qos1), published) }, "p: message 0 is published, and the broker never had it"},

		{"written before the commit", func(r *ledgerRig) { r.accept(r.message(r.p, 0, qos1), qos1) }, "p: message 0 was written before it was committed"},
		{"QoS 0 needs no commit", func(r *ledgerRig) { r.accept(r.message(r.p, 0, qos0), qos0) }, ""},
		{"another QoS", func(r *ledgerRig) { r.accept(r.publish(qos2), qos1) }, "p: message 0 was published at QoS 2 and arrived at 1"},
		{"QoS 1 twice at the broker", func(r *ledgerRig) { r.accept(r.whole(qos1), qos1) }, ""},
		{"QoS 2 twice at the broker", func(r *ledgerRig) { r.accept(r.whole(qos2), qos2) }, "p: QoS 2 message 0 reached the broker 2 times"},

		{"never sent", func(r *ledgerRig) { r.bring(3, qos1) }, "q: message 3 was never sent"},
		{"QoS 2 not owed", func(r *ledgerRig) {
			n := r.publish(qos2)
			r.accept(n, qos2)
			r.bring(n, qos2)
		}, "q: QoS 2 message 0 came once too often (1 times)"},
		{"QoS 2 twice", func(r *ledgerRig) { r.bring(r.whole(qos2), qos2) }, "q: QoS 2 message 0 came once too often (2 times)"},
		{"QoS 2 twice and owed twice", func(r *ledgerRig) { n := r.whole(qos2); r.owe(n, qos2); r.bring(n, qos2) }, ""},
		{"QoS 1 twice, then QoS 2", func(r *ledgerRig) {
			// The subscription was raised in between, and the publisher lost its session.
			n := r.publish(qos2)
			r.accept(n, qos2)
			r.owe(n, qos1)
			r.bring(n, qos1)
			r.bring(n, qos1)
			r.owe(n, qos2)
			r.bring(n, qos2)
			r.fate(n, published)
		}, ""},
		{"QoS 1 twice", func(r *ledgerRig) { r.bring(r.whole(qos1), qos1) }, ""},
		{"QoS 1 did not arrive", func(r *ledgerRig) { r.owe(r.whole(qos1), qos1) }, "q: 1 messages did not arrive, the first is 0"},
		{"QoS 2 did not arrive", func(r *ledgerRig) { r.whole(qos1); r.owe(r.whole(qos2), qos2) }, "q: 1 messages did not arrive, the first is 1"},
		{"did not arrive and was excused", func(r *ledgerRig) {
			n := r.whole(qos1)
			r.owe(n, qos1)
			r.Excused("q", appendPayload(nil, n))
		}, ""},
		{"did not arrive and the session ended", func(r *ledgerRig) { r.owe(r.whole(qos1), qos1); r.Ended("q") }, ""},
		{"excused for somebody unknown", func(r *ledgerRig) { r.owe(r.whole(qos1), qos1); r.Excused("x", appendPayload(nil, 0)) }, "did not arrive"},

		{"out of order", func(r *ledgerRig) {
			a, b := r.publish(qos1), r.publish(qos1)
			for _, n := range []uint32{a, b} {
				r.accept(n, qos1)
				r.owe(n, qos1)
			}
			r.bring(b, qos1)
			r.bring(a, qos1)
		}, "q: message 0 came after 1, which was published later"},
		{"of another QoS", func(r *ledgerRig) {
			a, b := r.publish(qos1), r.publish(qos2)
			r.accept(a, qos1)
			r.accept(b, qos2)
			r.owe(a, qos1)
			r.owe(b, qos2)
			r.bring(b, qos2)
			r.bring(a, qos1)
			r.fate(a, published)
			r.fate(b, published)
		}, ""},
		{"a repeat", func(r *ledgerRig) { a := r.whole(qos1); r.whole(qos1); r.bring(a, qos1) }, ""},

		{"protocol violation", func(r *ledgerRig) {
			r.closed(r.p, &mqttcore.Event{Kind: mqttcore.EventClosed, Cause: mqttcore.CauseProtocolViolation})
		}, "p: closed: "},
		{"transport lost", func(r *ledgerRig) {
			r.closed(r.p, &mqttcore.Event{Kind: mqttcore.EventClosed, Cause: mqttcore.CauseTransportInvalid})
		}, ""},
		{"protocol violation by a hostile broker", func(r *ledgerRig) {
			r.Strict = false
			r.closed(r.p, &mqttcore.Event{Kind: mqttcore.EventClosed, Cause: mqttcore.CauseProtocolViolation})
		}, ""},
		{"violation", func(r *ledgerRig) {
			r.Violation(Violation{Client: "q", Rule: "5.0:MQTT-3.3.4-9", Text: "too many"})
		}, "q: 5.0:MQTT-3.3.4-9: too many"},
		{"unknown message", func(r *ledgerRig) { r.unknown(r.q, &mqttcore.Event{Kind: mqttcore.EventMessage}) }, "q: a message that nobody sent"},

		{"a put that is not on the disk", func(r *ledgerRig) {
			if _, err := r.q.c.Publish(nil, epoch, &mqttcore.Publish{Topic: []byte("t"), QoS: qos1}, 1); err != nil {
				r.t.Fatal(err)
			}
			r.step(r.q)
		}, "q: the fold of the ops is not the session"},
		{"not finished", func(r *ledgerRig) {
			if _, err := r.q.c.Publish(nil, epoch, &mqttcore.Publish{Topic: []byte("t"), QoS: qos1}, 1); err != nil {
				r.t.Fatal(err)
			}
			r.commit(r.q)
			r.step(r.q)
		}, "q: 1 messages are not finished"},
		{"not connected", func(r *ledgerRig) { r.q.c.Lost(epoch, nil) }, "q: is not connected"},

		{"behind the client's back", func(r *ledgerRig) {
			// The session was lost and made anew: q cannot know, and what came before
			// may come again.
			r.Ended("q")
			r.q.c.Lost(epoch, nil)
			for ev := new(mqttcore.Event); r.q.c.Next(ev); {
			}
			r.connected(r.q, &mqttcore.Event{Kind: mqttcore.EventConnected, SessionPresent: true})
			r.connect(r.q, false)
			r.bring(r.whole(qos2), qos2)
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newLedgerRig(t)
			r.connect(r.p, false)
			r.connect(r.q, false)
			c.tell(r)
			err := r.Failure
			if err == nil {
				err = r.Settled()
			}
			switch {
			case c.want == "" && err != nil:
				t.Errorf("fails: %v", err)
			case c.want != "" && err == nil:
				t.Errorf("does not fail, want %q", c.want)
			case err != nil && !strings.Contains(err.Error(), c.want):
				t.Errorf("fails with %q, want %q", err, c.want)
			}
		})
	}
}

// TestLedgerNeverConnected: one that never came to a connection is not settled.
func TestLedgerNeverConnected(t *testing.T) {
	if err := newLedgerRig(t).Settled(); err == nil {
		t.Error("settled")
	}
}

// liar is a broker that drops, or repeats, some of what it writes: the oracles
// see what comes of it in a world, not only by hand.
type liar struct {
	*Broker
	spoil func(l *link)
}

func (n *liar) Handle(h *Host, e Event) time.Time {
	if e.Kind == Received {
		if l, ok := e.Conn.User.(*link); ok && l.s != nil {
			n.spoil(l)
		}
	}
	return n.Broker.Handle(h, e)
}

// TestLedgerInAWorld: a broker that forgets what it owes, or whose memory of
// QoS 2 is bad, is found out.
func TestLedgerInAWorld(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(l *link)
		want  string
	}{
		{"honest", func(*link) {}, ""},
		{"loses what waits", func(l *link) {
			for l.s.queue.n > 0 {
				l.s.queue.remove(l.s.queue.first)
			}
		}, "did not arrive"},
		{"forgets what it received", func(l *link) { clear(l.s.arrivals) }, "PUBREL for a message that is not there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			for seed := uint64(1); seed <= 40 && err == nil; seed++ {
				w := New(Seed(seed), Faults{Latency: 300 * time.Millisecond, Cut: 20})
				l := &Ledger{Strict: true}
				b := NewBroker(BrokerConfig{})
				watchBroker(b, l)
				server := w.Add("broker", &liar{b, c.spoil})
				cfg := ClientKnobs{Version: mqttcore.V5, Expiry: 1000, ReceiveMaximum: 1, Queue: 20, Burst: 1000}.config("p")
				app := &App{Config: cfg, Server: server, Ledger: l, Load: Load{
					Every: 100 * time.Millisecond, Publish: 10, Subscribe: 1, QoS: [3]int{0, 1, 3}, Topics: 2}}
				w.Add("p", app)
				w.Run(time.Minute)
				err = settle(w, l, b, []*App{app})
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
