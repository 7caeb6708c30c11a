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
	d.ev.Message.Topic = slices.Clone(d.ev.Message.Topic) // it may be in a.in
	if c.progress != nil {
		d.progress = &progress{steps: c.progress.steps.clone()}
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
	t.out.slab, t.out.near = slices.Clone(s.out.slab), slices.Clone(s.out.near)
	for i := range t.out.slab {
		t.out.slab[i].buf = slices.Clone(t.out.slab[i].buf)
	}
	t.out.ids.slot = slices.Clone(s.out.ids.slot)
	if s.inbox != nil {
		in := *s.inbox
		in.slab, in.near = slices.Clone(in.slab), slices.Clone(in.near)
		in.props, in.table = cloneTexts(in.props), slices.Clone(in.table)
		t.inbox = &in
	}
	if s.j != nil {
		j := *s.j
		j.ops, j.metas, j.limbo = j.ops.clone(), j.metas.clone(), j.limbo.clone()
		t.j = &j
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
	e := stateEncoder{b: dst, now: d.now}
	if in := c.s.inbox; in != nil {
		e.tokens = in.tokens
	}
	e.num(uint64(c.state), uint64(c.has))
	e.limits(&c.lim)
	e.conn(c)
	e.outgoing(c)
	e.inbox(c)
	e.journal(c.s)
	e.time(c.expires)
	e.registry(c.subs)
	props := c.has&(hasAuthDone|hasConnected) != 0 || c.has&hasClosed != 0 && c.closed.byPacket
	e.num(uint64(c.progress.untold()))
	if p := c.progress; p != nil {
		for _, s := range p.steps.all() {
			e.num(s.tag, uint64(s.id), uint64(s.status), uint64(s.from), uint64(s.code))
			e.flag(s.packet)
			props = props || s.packet
		}
	}
	if c.has&hasPacket != 0 {
		var ev Event
		c.packetEvent(&ev)
		e.event(&ev)
	}
	if c.has&hasConnected != 0 {
		e.flag(c.ev.SessionPresent)
	}
	if c.has&hasEnd != 0 {
		e.token(c.ev.Token)
	}
	if props {
		e.text(c.ev.Props.wire)
	}
	if c.has&hasClosed != 0 {
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

// conn encodes a connection. What can make no difference any more is left out,
// so that time that nobody counts makes no new state.
func (e *stateEncoder) conn(c *Client) {
	n := &c.conn
	e.num(uint64(n.inflight), uint64(n.unacked), uint64(n.looked), uint64(n.pings))
	if c.state == StateConnecting {
		e.flag(n.known)
		e.time(n.started)
	}
	if c.state == StateConnecting || c.lim.KeepAlive != 0 || n.pings != 0 {
		e.time(n.lastSent)
		e.time(n.lastRecv)
		e.flag(n.told > min(n.lastSent, n.lastRecv))
		if n.told > min(n.lastSent, n.lastRecv) {
			e.time(n.told)
		}
	}
	e.num(uint64(n.timed))
	for _, t := range n.pinged[:n.timed] {
		e.time(t)
	}
	e.flag(n.auth.busy)
	e.flag(n.auth.turn)
	e.flag(n.stream.on)
	e.flag(n.stream.deliver)
	e.num(uint64(n.stream.left), uint64(n.stream.id), uint64(n.stream.qos))
	a := n.aliases
	if a == nil {
		a = new(aliases)
	}
	for _, l := range [...][][]byte{a.in, a.chosen} {
		for i, t := range l {
			if len(t) > 0 {
				e.num(uint64(i))
				e.text(t)
			}
		}
		e.num(0) // no alias
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

// outgoing encodes a session and its records, without the places that they
// have in the slab.
func (e *stateEncoder) outgoing(c *Client) {
	s := c.s
	e.text(s.clientID)
	e.num(uint64(s.expiry))
	e.flag(s.established)
	e.flag(s.tried)
	o := &s.out
	e.num(uint64(o.bytes))
	for l := listQueued; l < listCount; l++ {
		e.num(uint64(o.lists[l].n))
		for i := o.lists[l].head; i != 0; i = o.next(i) {
			r := &o.slab[i]
			e.num(uint64(r.flags))
			if r.flags&isOwn != 0 { // its tag is a place in the registry
				e.text(ownFilter(r))
			} else {
				e.num(r.tag)
			}
			switch l {
			case listDone:
				e.num(uint64(r.why), uint64(r.code))
				continue
			case listRequests:
				e.num(uint64(r.id), uint64(r.propsLen), uint64(r.expires))
				e.text(r.buf)
				continue
			case listQueued, listSent:
				e.num(uint64(r.topicLen), uint64(r.propsLen))
				e.text(r.buf)
			}
			e.num(uint64(r.id))
			e.time(r.expires)
			if c.state == StateConnected {
				e.flag(r.epoch == s.epoch)
				e.flag(i == c.conn.resume[0] || i == c.conn.resume[1])
			}
		}
	}
	e.num(uint64(len(o.ids.slot)), uint64(o.ids.free))
	for id := o.ids.first; id != 0; id = uint16(o.ids.slot[id]) {
		e.num(uint64(id))
	}
}

// inbox encodes the incoming messages: those that wait to be answered in their
// order, the others, whose order is of no effect, by identifier.
func (e *stateEncoder) inbox(c *Client) {
	e.num(uint64(c.s.inbox.len()))
	in := c.s.inbox
	if in == nil {
		return
	}
	for l := range in.lists {
		var at []uint16
		for i := in.lists[l].head; i != 0; i = in.next(i) {
			at = append(at, i)
		}
		if l := inListID(l); l == inReceived || l == inAway {
			slices.SortFunc(at, func(a, b uint16) int { return int(in.slab[a].id) - int(in.slab[b].id) })
		}
		e.num(uint64(len(at)))
		for _, i := range at {
			r := &in.slab[i]
			e.num(uint64(r.id))
			if c.state == StateConnected {
				e.flag(r.epoch == c.s.epoch)
			}
			if inListID(l) != inReceived {
				e.num(uint64(r.qos), uint64(r.code))
				e.flag(r.acked)
				e.token(r.token)
				e.text(in.ackProps(i))
			}
		}
	}
}

// journal encodes the ops that were not taken, with the messages in them.
func (e *stateEncoder) journal(s *Session) {
	e.num(uint64(s.untaken()))
	j := s.j
	if j == nil {
		return
	}
	for _, op := range j.ops.all() {
		e.num(op >> 32)
		i := uint32(op)
		if i == 0 {
			continue
		}
		e.num(j.last - s.num(i))
		if OpKind(op>>56) == OpPut {
			r := &s.out.slab[i]
			e.num(r.tag, uint64(r.flags), uint64(r.topicLen), uint64(r.propsLen))
			e.text(r.buf)
			e.time(r.expires)
		}
	}
	for _, m := range j.metas.all() {
		e.text(m.clientID)
		e.num(uint64(m.expiry))
		e.flag(m.established)
		e.flag(m.tried)
	}
}

// token encodes a token by how many were given out since.
func (e *stateEncoder) token(t AckToken) {
	e.flag(t != 0)
	if t != 0 {
		e.num((e.tokens - uint64(t)>>16) & (1<<48 - 1))
	}
}

// registry encodes the live subscriptions, and of those lost the ones that are
// not settled: asked for, and yet to be asked for.
func (e *stateEncoder) registry(g *registry) {
	if g == nil {
		g = new(registry)
	}
	for _, rows := range [...][]liveRow{g.live, g.lost[:g.next], g.lost[g.next:]} {
		for _, l := range rows {
			if l.filter != "" {
				e.text([]byte(l.filter))
				e.num(uint64(l.id), uint64(l.options), uint64(l.granted))
			}
		}
		e.num(0) // no filter
	}
}

func (e *stateEncoder) event(ev *Event) {
	m := &ev.Message
	e.num(uint64(ev.Kind), uint64(ev.Why), uint64(ev.Code), uint64(ev.Size), ev.Tag, uint64(ev.RTT), uint64(m.ID), uint64(m.QoS))
	for _, f := range [...]bool{ev.Partial, m.Dup, m.Retain} {
		e.flag(f)
	}
	e.token(ev.Token)
	for _, t := range [...][]byte{m.Topic, m.Payload, m.Props.wire, ev.Props.wire, ev.Codes, ev.Filter} {
		e.text(t)
	}
}
