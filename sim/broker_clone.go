// This file holds Clone and AppendState of the broker, by which what it does can
// be explored exhaustively: copied, and compared. They must know every field
// that makes a difference.

package sim

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"mqttcore"
)

// Clone returns a copy of the broker, with its sessions and connections: what is
// done to the one does not show in the other. They share what is in Config, the
// hooks, and messages, which do not change. conn is told each connection, and
// returns the one that takes its place: in the same world that would be the
// same one, which cannot serve both.
func (b *Broker) Clone(conn func(c *Conn) *Conn) *Broker {
	d := &Broker{Config: b.Config, Violations: slices.Clone(b.Violations), Stats: b.Stats,
		OnPublish: b.OnPublish, OnDeliver: b.OnDeliver, OnDiscard: b.OnDiscard, OnEnd: b.OnEnd,
		OnViolation: b.OnViolation, OnOddity: b.OnOddity, OnIllegal: b.OnIllegal, OnCopy: b.OnCopy,
		host: b.host, now: b.now, assigned: b.assigned, retained: slices.Clone(b.retained),
		byID: make(map[string]*session, len(b.byID)), routes: map[string]*route{}}
	for _, g := range b.shares {
		d.shares = append(d.shares, &share{name: g.name, filter: g.filter, turn: g.turn,
			members: make([]*subscription, len(g.members))})
	}
	for _, s := range b.sessions {
		t := s.clone(d)
		d.sessions = append(d.sessions, t)
		d.byID[t.id] = t
		for i, sub := range s.subs {
			c := *sub
			c.s, c.Filter = t, slices.Clone(sub.Filter)
			if sub.share != nil {
				at := slices.Index(b.shares, sub.share)
				c.share = d.shares[at]
				c.share.members[slices.Index(sub.share.members, sub)] = &c
			}
			t.subs[i] = &c
		}
		for _, q := range [...][2]*line{{&s.queue, &t.queue}, {&s.sent, &t.sent}} {
			for x := q[0].first; x != nil; x = x.next {
				y := *x
				y.ids = slices.Clone(x.ids)
				if x.share != nil {
					y.share = nil // whose last member has left
					if at := slices.Index(b.shares, x.share); at >= 0 {
						y.share = d.shares[at]
					}
				}
				if q[1].push(&y); y.id != 0 {
					t.ids[y.id] = &y
				}
			}
		}
	}
	for _, l := range b.links {
		m := l.clone(d, conn(l.conn))
		if l.attached() {
			m.s = d.byID[l.s.id]
			m.s.link = m
		}
		if d.links = append(d.links, m); m.dirty {
			d.dirty = append(d.dirty, m)
		}
	}
	for _, l := range d.links {
		d.arm(l)
	}
	for _, s := range d.sessions {
		d.arm(s)
	}
	return d
}

// clone copies a session without what refers to other sessions, subscriptions and
// links.
func (s *session) clone(d *Broker) *session {
	t := *s
	t.b, t.link, t.alarm = d, nil, never
	t.subs = make([]*subscription, len(s.subs))
	t.queue, t.sent = line{}, line{}
	t.ids, t.arrivals = maps.Clone(s.ids), maps.Clone(s.arrivals)
	return &t
}

// clone copies a link, but for its session.
func (l *link) clone(d *Broker, c *Conn) *link {
	m := *l
	m.b, m.conn, m.s, m.alarm = d, c, nil, never
	m.in, m.out = slices.Clone(l.in), slices.Clone(l.out)
	m.aliasesIn, m.aliasesOut = cloneTexts(l.aliasesIn), cloneTexts(l.aliasesOut)
	m.acks, m.provoked = slices.Clone(l.acks), slices.Clone(l.provoked)
	m.toAck, m.toRec, m.toRel = slices.Clone(l.toAck), slices.Clone(l.toRec), slices.Clone(l.toRel)
	c.User = &m
	return &m
}

// attached reports whether the link serves a session. What it was to one before
// makes no difference.
func (l *link) attached() bool { return l.s != nil && l.s.link == l }

func cloneTexts(a [][]byte) [][]byte {
	b := slices.Clone(a)
	for i := range b {
		b[i] = slices.Clone(b[i])
	}
	return b
}

// deadline is when the broker has something to do at the latest; never: not
// before something comes.
func (b *Broker) deadline() time.Duration {
	at := never
	for _, l := range b.links {
		at = min(at, l.due())
	}
	for _, s := range b.sessions {
		at = min(at, s.due())
	}
	return at
}

// AppendState appends a canonical encoding of all of the broker that makes a
// difference to what it will do: two brokers with the same Config and the same
// encoding, whose connections are told the same in their order, answer alike.
// Times are what remains or has gone by at now; statistics, violations and the
// numbers of connections are left out. It is for comparing, within one version
// of this package, and cannot be decoded.
func (b *Broker) AppendState(dst []byte, now time.Time) []byte {
	e := brokerEncoder{b: dst, now: now.Sub(epoch)}
	e.num(uint64(b.assigned))
	e.num(uint64(len(b.shares)))
	for _, g := range b.shares {
		e.text(g.name)
		e.num(uint64(g.turn), uint64(len(g.members)))
		for _, m := range g.members {
			e.num(uint64(slices.Index(b.sessions, m.s)), uint64(slices.Index(m.s.subs, m)))
		}
	}
	e.num(uint64(len(b.retained)))
	for _, m := range b.retained {
		e.message(m)
	}
	e.num(uint64(len(b.sessions)))
	for _, s := range b.sessions {
		e.session(s)
	}
	e.num(uint64(len(b.links)))
	for _, l := range b.links {
		e.link(l)
	}
	return e.b
}

// brokerEncoder appends values so that no two sequences of calls give the same
// bytes by chance: every text and list has its length before it.
type brokerEncoder struct {
	b   []byte
	now time.Duration
}

func (e *brokerEncoder) num(vs ...uint64) {
	for _, v := range vs {
		e.b = binary.AppendUvarint(e.b, v)
	}
}

func (e *brokerEncoder) flags(set ...bool) {
	v := uint64(0)
	for _, f := range set {
		v <<= 1
		if f {
			v |= 1
		}
	}
	e.num(v)
}

func (e *brokerEncoder) text(s string) {
	e.num(uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *brokerEncoder) texts(a [][]byte) {
	e.num(uint64(len(a)))
	for _, s := range a {
		e.text(string(s))
	}
}

func (e *brokerEncoder) ids(list []uint16) {
	e.num(uint64(len(list)))
	for _, id := range list {
		e.num(uint64(id))
	}
}

// time encodes a time as its distance from now.
func (e *brokerEncoder) time(t time.Duration) {
	e.flags(t == never)
	if t != never {
		e.b = binary.AppendVarint(e.b, int64(t-e.now))
	}
}

func (e *brokerEncoder) message(m *message) {
	e.flags(m == nil)
	if m == nil {
		return
	}
	e.text(string(m.Topic))
	e.text(string(m.Payload))
	e.num(uint64(m.ID), uint64(m.QoS))
	e.flags(m.Dup, m.Retain)
	e.text(string(m.Props.AppendTo(nil)))
	e.text(m.from)
	e.time(m.expires)
}

// session encodes a session. What can make no difference any more is left out.
func (e *brokerEncoder) session(s *session) {
	e.text(s.id)
	e.num(uint64(s.expiry), uint64(s.delay), uint64(s.stalled))
	e.message(s.will)
	if s.link == nil {
		e.time(s.expires)
		e.time(s.willAt)
	}
	e.num(uint64(len(s.subs)))
	for _, sub := range s.subs {
		e.text(string(sub.Filter))
		e.num(uint64(sub.Options()), uint64(sub.number))
		e.flags(sub.share != nil)
	}
	for _, q := range [...]*line{&s.queue, &s.sent} {
		e.num(uint64(q.n))
		for x := q.first; x != nil; x = x.next {
			e.exchange(s.b, x)
		}
	}
	if !s.b.Config.LowIDs {
		e.num(uint64(s.nextID))
	}
	e.num(uint64(s.held))
	if s.held > 0 {
		for _, id := range slices.Sorted(maps.Keys(s.ids)) {
			if s.ids[id] == nil {
				e.num(uint64(id))
			}
		}
	}
	e.arrivals(s)
}

func (e *brokerEncoder) exchange(b *Broker, x *exchange) {
	e.num(uint64(x.id), uint64(x.qos), uint64(x.copies), uint64(1+slices.Index(b.shares, x.share)))
	e.flags(x.released, x.dup, x.stalled, x.charged)
	if x.released { // nothing else will be sent
		return
	}
	e.flags(x.retain)
	e.num(uint64(len(x.ids)))
	for _, n := range x.ids {
		e.num(uint64(n))
	}
	e.message(x.m)
}

// arrivals encodes what came from the client, by packet identifier. Of the orders
// in which it came and was answered, and of how far the client is in sending it
// again, the ranks are encoded; of connections, whether it is the one that there
// is.
func (e *brokerEncoder) arrivals(s *session) {
	e.num(uint64(len(s.arrivals)), uint64(s.open))
	if len(s.arrivals) == 0 {
		return
	}
	on, resentTo, relTo := uint64(0), uint32(0), uint32(0)
	if l := s.link; l != nil {
		on, resentTo, relTo = l.conn.id, l.resentTo, l.relTo
	}
	var few [16]uint16
	ids := few[:0]
	for id := range s.arrivals {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		a := s.arrivals[id]
		number, rec := uint64(0), uint64(0)
		for _, other := range s.arrivals {
			if other.number < a.number {
				number++
			}
			if other.rec < a.rec {
				rec++
			}
		}
		e.num(uint64(id), number, rec, uint64(a.digest), uint64(a.state))
		e.flags(on != 0 && a.on == on, on != 0 && a.last == on, a.number < resentTo, a.rec < relTo)
	}
}

func (e *brokerEncoder) link(l *link) {
	e.num(uint64(l.state), uint64(l.d.Version), uint64(l.d.Options))
	e.flags(l.attached(), l.dirty, l.mute, l.connect != nil, l.auth != nil)
	if l.attached() {
		e.num(uint64(slices.Index(l.b.sessions, l.s)))
	}
	e.text(string(l.in))
	e.text(string(l.out))
	if l.state != linkConnected || l.mute || l.round >= 0 {
		e.time(l.until)
	}
	if l.state == linkConnected && l.keepAlive > 0 {
		e.time(l.heard)
	}
	if l.connect != nil {
		p, err := l.connect.AppendTo(nil, mqttcore.Dialect{Version: l.d.Version, From: mqttcore.FromClient})
		if err != nil {
			panic("sim: " + err.Error())
		}
		e.text(string(p))
	}
	e.num(uint64(l.round+1), uint64(l.receiveMaximum), uint64(l.maxPacket), uint64(l.aliasMaximum), uint64(l.maximumQoS),
		uint64(l.keepAlive), uint64(l.connectedExpiry), uint64(l.quota), uint64(l.largest), uint64(l.nextAlias), uint64(l.unacked))
	e.flags(l.noRetain, l.noWildcards, l.noShared, l.noIdentifiers, l.problemInfo)
	e.texts(l.aliasesOut)
	e.texts(l.aliasesIn)
	e.num(uint64(len(l.acks)))
	for _, a := range l.acks {
		e.time(a.at)
		e.num(uint64(a.t), uint64(a.id), uint64(a.code))
	}
	e.ids(l.toAck)
	e.ids(l.toRec)
	e.ids(l.toRel)
	e.num(uint64(len(l.provoked)))
	for _, p := range l.provoked {
		e.num(uint64(p.t), uint64(p.id))
	}
}
