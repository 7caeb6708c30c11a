// This file holds what an exploration checks: the promises of Ledger, in a form
// that is small and can be copied. How things come to pass stands in
// explore_play.go.

package sim

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"mqttcore"
)

// promises is what was promised and what came of it.
type promises struct {
	up   [maxMessages]upFlags
	down [maxMessages]downFlags
	// stale and blurred are as in appRow.
	stale, blurred bool
}

// upFlags is what became of a message of the client's.
type upFlags uint8

const (
	upDurable  upFlags = 1 << iota // its put was committed: from here on it must not be lost
	upSent                         // so was its identifier
	upFate                         // its fate was told
	upAccepted                     // the broker has it
	upExcused                      // its session was lost on the way
	upFirst                        // it was sent on this connection for the first time
)

// downFlags is what became of a message of the broker's.
type downFlags uint8

const (
	downOwed downFlags = 1 << iota // the broker took it on to deliver
	downDue                        // and it has not arrived
	downGot                        // it arrived, and that is durable
	downCame                       // its event came, durable or not
)

func (p *promises) appendState(b []byte) []byte {
	for i := range p.up {
		b = append(b, byte(p.up[i]), byte(p.down[i]))
	}
	for _, f := range [...]bool{p.stale, p.blurred} {
		v := byte(0)
		if f {
			v = 1
		}
		b = append(b, v)
	}
	return b
}

// The texts of messages: the number in the order of its direction, as one byte.
var upTopic, downTopic = []byte("up"), []byte("down")

func payloadOf(n int) []byte { return []byte{byte('0' + n)} }

// numberedOf reads the number of a message of n.
func numberedOf(p *mqttcore.Publish, topic []byte, n int) (int, bool) {
	if !bytes.Equal(p.Topic, topic) || len(p.Payload) != 1 {
		return 0, false
	}
	i := int(p.Payload[0]) - '0'
	return i, i >= 0 && i < n
}

func (st *player) fail(format string, args ...any) {
	if st.err == nil {
		st.err = &Contradiction{st.play.name, fmt.Sprintf(format, args...)}
	}
}

// accepted is told by the broker that a message is new to it.
func (st *player) accepted(_ string, m *mqttcore.Publish) {
	p, scope := &st.m.promises, st.play.scope
	n, ok := numberedOf(m, upTopic, len(scope.ToBroker))
	if !ok {
		st.fail("the broker got a message that nobody sent: %q %q", m.Topic, m.Payload)
		return
	}
	f, q := &p.up[n], scope.ToBroker[n]
	again := *f&upAccepted != 0
	switch {
	case m.QoS != q:
		st.fail("message %d was published at QoS %d and arrived at %d", n, q, m.QoS)
	case n >= int(st.m.sent):
		st.fail("message %d was not published yet", n)
	case again && q == mqttcore.QoS0:
		st.fail("QoS 0 message %d reached the broker twice", n)
	case again && q == mqttcore.QoS2 && *f&upExcused == 0 && !p.blurred:
		st.fail("QoS 2 message %d reached the broker twice", n)
	case q != mqttcore.QoS0 && *f&upDurable == 0:
		st.fail("message %d was written before it was committed", n)
	}
	*f |= upAccepted
	if again || *f&upExcused != 0 || p.blurred {
		return // repeats come when they come
	}
	for later := n + 1; later < len(scope.ToBroker); later++ {
		if scope.ToBroker[later] == q && p.up[later]&(upAccepted|upExcused) == upAccepted {
			st.fail("message %d reached the broker after %d, which was published later", n, later)
		}
	}
}

// copied is told by the broker of each PUBLISH of QoS 1 or 2 that comes: DUP is
// set when its message was sent on an earlier connection, and only then
// (MQTT-3.3.1-1). One that was committed and not written counts as sent.
func (st *player) copied(_ string, _ *Conn, m *mqttcore.Publish) {
	n, ok := numberedOf(m, upTopic, len(st.play.scope.ToBroker))
	if !ok {
		return // accepted will say so
	}
	switch f := st.m.promises.up[n]; {
	case f&upSent == 0:
		st.fail("message %d was sent before its identifier was committed", n)
	case m.Dup == (f&upFirst != 0):
		st.fail("message %d came with DUP %v, sent for the first time %v", n, m.Dup, f&upFirst != 0)
	}
}

// owed is told by the broker that it has taken on to deliver a message.
func (st *player) owed(_ string, m *mqttcore.Publish) {
	p := &st.m.promises
	if n, ok := numberedOf(m, downTopic, len(st.play.scope.ToClient)); ok && m.QoS != mqttcore.QoS0 && !p.blurred {
		p.down[n] |= downOwed | downDue
	}
}

// excused is told by the broker that it will not deliver a message.
func (st *player) excused(_ string, m *mqttcore.Publish) {
	st.fail("the broker gave up the message %q", m.Payload)
}

// ended is told by the broker that it has forgotten the session. What the client
// sends again from then on is excused: the promise of QoS 2 holds while sessions
// live.
func (st *player) ended(string) {
	p := &st.m.promises
	for i := range p.down {
		p.down[i] &^= downDue
	}
	p.stale = !p.blurred
	for m := range st.m.process.c.Session().Outgoing() {
		p.up[m.Tag] |= upExcused
	}
}

// violation is told by the broker what the client did that it must not.
func (st *player) violation(v Violation) {
	if !st.m.promises.blurred {
		st.fail("%s: %s", v.Rule, v.Text)
	}
}

// connected: when the broker forgot the session, and the client finds one that
// an attempt of its own made anew, it cannot know.
func (st *player) connected(ev *mqttcore.Event) {
	p := &st.m.promises
	if p.stale && (ev.SessionPresent || st.play.scope.Version == mqttcore.V31) {
		p.blurred, p.stale = true, false
		p.down = [maxMessages]downFlags{}
	}
}

// arrived is told of each message when its event comes: those of one QoS come in
// order, repeats aside.
func (st *player) arrived(ev *mqttcore.Event) (n int, ok bool) {
	p, scope := &st.m.promises, st.play.scope
	n, ok = numberedOf(&ev.Message, downTopic, len(scope.ToClient))
	if !ok || n >= int(st.m.handed) {
		st.fail("a message that nobody sent: %v", ev)
		return 0, false
	}
	q := scope.ToClient[n]
	if ev.Message.QoS != q {
		st.fail("message %d to the client came at QoS %d, not %d", n, ev.Message.QoS, q)
	}
	if p.blurred {
		return n, true
	}
	if p.down[n]&downCame != 0 {
		if q == mqttcore.QoS0 {
			st.fail("QoS 0 message %d came twice", n)
		}
		return n, true
	}
	p.down[n] |= downCame
	for later := n + 1; later < len(scope.ToClient); later++ {
		if scope.ToClient[later] == q && p.down[later]&downCame != 0 {
			st.fail("message %d came after %d, which was published later", n, later)
		}
	}
	return n, true
}

// delivered is told that the effect of a message is durable.
func (st *player) delivered(n int) {
	p := &st.m.promises
	f := &p.down[n]
	if p.blurred || st.play.scope.ToClient[n] == mqttcore.QoS0 {
		return
	}
	if st.play.scope.ToClient[n] == mqttcore.QoS2 {
		if *f&downGot != 0 || *f&downOwed == 0 {
			st.fail("QoS 2 message %d came once too often", n)
		}
		*f |= downGot
	}
	*f &^= downDue
}

// op is told of each op that was committed.
func (st *player) op(op *mqttcore.Op) {
	if op.Kind == mqttcore.OpPut {
		if op.Tag >= uint64(st.m.sent) {
			st.fail("an op for tag %d, which nobody gave", op.Tag)
			return
		}
		st.m.promises.up[op.Tag] |= upDurable
	}
}

// fate is told that a fate is durable.
func (st *player) fate(o *outcome) {
	if o.tag >= uint64(st.m.sent) {
		st.fail("a fate for tag %d, which nobody gave", o.tag)
		return
	}
	f := &st.m.promises.up[o.tag]
	switch {
	case *f&upFate != 0:
		st.fail("message %d has two fates", o.tag)
	case *f&upDurable == 0:
		st.fail("message %d has a fate and was never accepted", o.tag)
	case o.kind == mqttcore.EventPublished && *f&upAccepted == 0:
		st.fail("message %d is published, and the broker never had it", o.tag)
	case o.kind == mqttcore.EventPublished:
	case *f&upSent == 0 || *f&upExcused == 0:
		st.fail("message %d was dropped for no reason: %v", o.tag, o.why)
	case o.why != mqttcore.DropSessionLost:
		st.fail("message %d was dropped for a wrong reason: %v", o.tag, o.why)
	}
	*f = *f&^upFirst | upFate
}

// settled reports whether nothing is under way and nothing owed. There may be
// messages that are not published yet.
func (st *player) settled(m *moment) bool {
	if !m.open || m.ended || len(m.up)+len(m.down) > 0 {
		return false
	}
	c := m.process.c
	if c.State() != mqttcore.StateConnected || c.Session().Len() != 0 {
		return false
	}
	s := m.server.b.byID[st.play.name]
	if s == nil || s.queue.n+s.sent.n+s.open > 0 {
		return false
	}
	for i := range m.promises.up {
		if m.promises.up[i]&(upDurable|upFate) == upDurable || m.promises.down[i]&downDue != 0 {
			return false
		}
	}
	return true
}

// check looks at what must be true of the client in every moment.
func (st *player) check(m *moment) {
	if m.process.checked.Swap(true) {
		return
	}
	c, now := m.process.c, st.now()
	if n := c.Window(); n < 0 || n > int(c.Limits().ReceiveMaximum) {
		st.fail("the window is %d of %d", n, c.Limits().ReceiveMaximum)
	}
	if c.State() == mqttcore.StateDisconnected {
		d := c.Clone()
		out, n, err := d.Receive(nil, now, []byte{0xD0, 0})
		if len(out)+n > 0 || !errors.Is(err, mqttcore.ErrClosed) {
			st.fail("Receive without a connection: %v, %d bytes taken, %d to send", err, n, len(out))
		}
		_, err = d.Publish(nil, now, &mqttcore.Publish{Topic: upTopic}, 0)
		if !errors.Is(err, mqttcore.ErrNotConnected) {
			st.fail("Publish at QoS 0 without a connection: %v", err)
		}
		st.same(c, d, now, "a call that fails")
	}
	t := c.Deadline()
	if t.IsZero() || now.Before(t) {
		d := c.Clone()
		if out := d.Tick(nil, now); len(out) > 0 {
			st.fail("there is more to send than More tells")
		}
		st.same(c, d, now, "a Tick before the deadline")
	}
	if t.IsZero() {
		return
	}
	d := c.Clone()
	out := d.Tick(nil, t)
	if len(out) == 0 && st.equal(c, d, t) {
		st.fail("a Tick at the deadline does nothing")
	}
	if !d.More() {
		e := d.Clone()
		if out := e.Tick(nil, t); len(out) > 0 {
			st.fail("a second Tick at the deadline sends something")
		}
		st.same(d, e, t, "a second Tick at the deadline")
	}
}

func (st *player) equal(c, d *mqttcore.Client, now time.Time) bool {
	return bytes.Equal(c.AppendState(nil, now), d.AppendState(nil, now))
}

// same checks that what was done to c, which is d now, changed nothing.
func (st *player) same(c, d *mqttcore.Client, now time.Time, what string) {
	if !st.equal(c, d, now) {
		st.fail("%s changes something", what)
	}
}

// identifiers takes all packet identifiers of a client that rests.
func (st *player) identifiers(m *moment) {
	if _, known := st.play.rested.LoadOrStore(m.process.sum, true); known {
		return
	}
	var s mqttcore.Subscribe
	_ = s.Subscriptions.Add(mqttcore.Subscription{Filter: downTopic})
	c := m.process.c.Clone()
	for n := 0; ; n++ {
		out, err := c.Subscribe(st.out[:0], st.now(), &s, 0)
		if st.out = out[:0]; err == nil {
			continue
		}
		if n != 0xFFFF {
			st.fail("%d packet identifiers are free: %v", n, err)
		}
		return
	}
}
