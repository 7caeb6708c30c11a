// This file holds Clone and AppendState, by which a client can be explored
// exhaustively: copied, and compared with others. They must know every field
// that makes a difference.

package mqttcore

import (
	"slices"
	"time"
)

// Clone returns a deep copy of the client and its session: what is done to the
// one does not show in the other. Both share the slices of Config, and events
// that wait alias the same input.
func (c *Client) Clone() *Client {
	d := *c
	d.s = c.s.clone()
	if c.subs != nil {
		g := registry{live: slices.Clone(c.subs.live), lost: slices.Clone(c.subs.lost), next: c.subs.next}
		if g.place = make(map[string]int, len(g.live)); len(g.live) == 0 {
			g.place = nil
		}
		for i := range g.live {
			g.place[g.live[i].filter] = i
		}
		d.subs = &g
	}
	if d.ev.subs != nil {
		d.ev.subs = d.subs
	}
	if c.progress != nil {
		d.progress = &progress{steps: slices.Clone(c.progress.steps), next: c.progress.next}
	}
	if a := c.conn.aliases; a != nil {
		d.conn.aliases = &aliases{in: cloneTexts(a.in), chosen: cloneTexts(a.chosen)}
		if t := a.assigned; t != nil {
			u := &aliasTable{entry: slices.Clone(t.entry), bucket: slices.Clone(t.bucket), used: t.used}
			for i := range u.entry {
				u.entry[i].topic = slices.Clone(u.entry[i].topic)
			}
			d.conn.aliases.assigned = u
		}
	}
	return &d
}

func cloneTexts(a [][]byte) [][]byte {
	b := slices.Clone(a)
	for i := range b {
		b[i] = slices.Clone(b[i])
	}
	return b
}

func (s *Session) clone() *Session {
	t := *s
	t.clientID = slices.Clone(s.clientID)
	t.out.slab = slices.Clone(s.out.slab)
	for i := range t.out.slab {
		t.out.slab[i].buf = slices.Clone(t.out.slab[i].buf)
	}
	t.out.ids.slot = slices.Clone(s.out.ids.slot)
	if s.inbox != nil {
		in := *s.inbox
		in.slab, in.table = slices.Clone(in.slab), slices.Clone(in.table)
		for i := range in.slab {
			in.slab[i].props = slices.Clone(in.slab[i].props)
		}
		t.inbox = &in
	}
	if s.j != nil {
		t.j = &journal{ops: slices.Clone(s.j.ops), next: s.j.next, limbo: slices.Clone(s.j.limbo)}
	}
	return &t
}

// AppendState appends a canonical encoding of all of the client and its session
// that makes a difference to what it will do: two clients with the same Config
// and the same encoding answer the same calls in the same way. Times are what
// remains or has gone by at now; statistics and the numbers of connections are
// left out. It is for comparing, within one version of this package, and cannot
// be decoded.
func (c *Client) AppendState(dst []byte, now time.Time) []byte {
	d := *c // so that looking at the time changes nothing
	d.clock(now)
	e := stateEncoder{b: dst, now: d.now, epoch: c.s.epoch, tokens: c.tokens}
	e.num(uint64(c.state), uint64(c.has))
	e.limits(&c.lim)
	e.conn(&c.conn)
	e.session(c.s, c.acked)
	e.time(c.expires)
	e.flag(c.subs != nil)
	if g := c.subs; g != nil {
		e.rows(g.live)
		e.rows(g.lost)
		e.num(uint64(g.next))
	}
	e.num(uint64(c.progress.untold()))
	if p := c.progress; p != nil {
		for _, s := range p.steps[p.next:] {
			e.num(s.tag, uint64(s.id), uint64(s.status), uint64(s.from), uint64(s.code))
			e.flag(s.packet)
		}
	}
	if c.waiting() {
		e.event(&c.ev)
		e.num(uint64(c.closed.cause), uint64(c.closed.code))
		e.flag(c.closed.byPacket)
		e.flag(c.closed.err != nil)
		if c.closed.err != nil {
			e.text([]byte(c.closed.err.Error()))
		}
	}
	return e.b
}

// stateEncoder appends values so that no two sequences of calls give the same
// bytes by chance: every text and list has its length before it.
type stateEncoder struct {
	b      []byte
	now    int64
	epoch  uint32
	tokens uint64
}

func (e *stateEncoder) num(vs ...uint64) {
	for _, v := range vs {
		for ; v >= 0x80; v >>= 7 {
			e.b = append(e.b, byte(v)|0x80)
		}
		e.b = append(e.b, byte(v))
	}
}

func (e *stateEncoder) flag(set bool) {
	v := byte(0)
	if set {
		v = 1
	}
	e.b = append(e.b, v)
}

func (e *stateEncoder) text(s []byte) {
	e.num(uint64(len(s)))
	e.b = append(e.b, s...)
}

// time encodes a time as its distance from now; 0 is no time.
func (e *stateEncoder) time(t int64) {
	e.flag(t != 0)
	if t != 0 {
		d := t - e.now
		e.num(uint64(d<<1 ^ d>>63))
	}
}

func (e *stateEncoder) limits(l *Limits) {
	e.num(uint64(l.Present), uint64(l.ReceiveMaximum), uint64(l.MaximumQoS), uint64(l.MaximumPacketSize),
		uint64(l.TopicAliasMaximum), uint64(l.KeepAlive), uint64(l.SessionExpiry))
	e.flag(l.RetainAvailable)
	e.flag(l.WildcardAvailable)
	e.flag(l.SubscriptionIDsAvailable)
	e.flag(l.SharedAvailable)
}

func (e *stateEncoder) conn(n *connection) {
	e.num(uint64(n.inflight), uint64(n.unacked), uint64(n.seen), uint64(n.pings))
	for _, t := range [...]int64{n.started, n.lastSent, n.lastRecv, n.pinged, n.lastPing, n.told} {
		e.time(t)
	}
	e.flag(n.auth.busy)
	e.flag(n.auth.turn)
	e.flag(n.stream.on)
	e.flag(n.stream.deliver)
	e.num(uint64(n.stream.left), uint64(n.stream.id), uint64(n.stream.qos))
	e.flag(n.aliases != nil)
	if a := n.aliases; a != nil {
		for _, l := range [...][][]byte{a.in, a.chosen} {
			e.num(uint64(len(l)))
			for _, t := range l {
				e.text(t)
			}
		}
		e.flag(a.assigned != nil)
		if t := a.assigned; t != nil {
			e.num(uint64(len(t.entry)), uint64(t.used))
			for i := t.entry[0].newer; i != 0; i = t.entry[i].newer {
				e.num(uint64(i))
				e.text(t.entry[i].topic)
			}
		}
	}
}

func (e *stateEncoder) session(s *Session, acked uint32) {
	e.text(s.clientID)
	e.num(uint64(s.expiry))
	e.flag(s.established)
	o := &s.out
	for l := listQueued; l < listCount; l++ {
		e.num(uint64(o.lists[l].n))
		for i := o.lists[l].head; i != 0; i = o.slab[i].next {
			r := &o.slab[i]
			e.num(r.tag, uint64(r.id), uint64(r.flags), uint64(r.topicLen), uint64(r.propsLen), uint64(r.why), uint64(r.code))
			e.flag(r.epoch == e.epoch)
			e.flag(i == acked)
			e.text(r.buf)
			if r.flags&(isSubscribe|isUnsubscribe) != 0 {
				e.num(uint64(r.expires))
			} else {
				e.time(r.expires)
			}
		}
	}
	e.num(uint64(len(o.ids.slot)), uint64(o.ids.free))
	for id := o.ids.first; id != 0; id = uint16(o.ids.slot[id]) {
		e.num(uint64(id))
	}
	e.num(uint64(s.inbox.len()))
	if in := s.inbox; in != nil {
		for l := range in.lists {
			for at := in.lists[l].head; at != 0; at = in.slab[at].next {
				r := &in.slab[at]
				e.num(uint64(l), uint64(r.id), uint64(r.qos), uint64(r.code))
				e.flag(r.acked)
				e.flag(r.epoch == e.epoch)
				e.token(r.token)
				e.text(r.props)
			}
		}
	}
	e.num(uint64(s.untaken()))
	if j := s.j; j != nil {
		for _, op := range j.ops[j.next:] {
			e.num(op)
		}
	}
}

// token encodes a token by how many were given out since.
func (e *stateEncoder) token(t AckToken) {
	e.flag(t != 0)
	if t != 0 {
		e.num(e.tokens - uint64(t)>>16)
	}
}

func (e *stateEncoder) rows(rows []liveRow) {
	e.num(uint64(len(rows)))
	for _, l := range rows {
		e.text([]byte(l.filter))
		e.num(uint64(l.id), uint64(l.options), uint64(l.granted))
	}
}

func (e *stateEncoder) event(ev *Event) {
	m := &ev.Message
	e.num(uint64(ev.Kind), uint64(ev.Cause), uint64(ev.Why), uint64(ev.Code), uint64(ev.Status), uint64(ev.From),
		uint64(ev.ID), uint64(ev.Size), ev.Tag, uint64(ev.RTT), uint64(m.ID), uint64(m.QoS))
	for _, f := range [...]bool{ev.SessionPresent, ev.Partial, m.Dup, m.Retain} {
		e.flag(f)
	}
	e.token(ev.Token)
	for _, t := range [...][]byte{m.Topic, m.Payload, m.Props.wire, ev.Props.wire, ev.Codes, ev.Filter} {
		e.text(t)
	}
}
