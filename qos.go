// This file holds delivery to the server: the send window, the queue behind it,
// resending, and what the server's acknowledgements do. It must not know how a
// connection begins or ends (state.go), what a subscription is (subscribe.go),
// nor what the server publishes (incoming.go).

package mqttcore

import (
	"slices"
	"time"
)

// Publish sends a message. At QoS 0 it is appended to dst at once, which needs
// a connection. At QoS 1 and 2 it is copied into the session, sent when the
// window allows, kept until it is acknowledged, and its tag comes back in
// exactly one event: EventPublished or EventDropped. p.ID and p.Dup are
// ignored.
//
// A Topic Alias in p.Props, which Config.TopicAliases must be 0 for, is sent at
// QoS 0; from then on it may stand for an empty topic. A message of QoS 1 or 2
// takes its topic from the alias, and goes out with the topic alone, since it
// may have to be sent again on a connection that knows no alias.
//
// It fails with ErrNotConnected (QoS 0), ErrQueueFull, ErrNotSupported (the
// server's Maximum QoS or Retain Available), ErrTooLarge, ErrTopicAlias,
// ErrPending when too many events or ops wait, or with an *Error when the
// message is not legal.
func (c *Client) Publish(dst []byte, now time.Time, p *Publish, tag uint64) ([]byte, error) {
	d := c.dialect(FromClient)
	m := *p
	m.ID, m.Dup = 0, false
	if m.QoS != QoS0 {
		m.ID = 1 // it gets one when it is sent; until then any will do
	}
	size := m.bodySize(d.Version)
	if r := m.fault(d); r != ruleNone || size > maxRemaining {
		return dst, refuse(TypePublish, 0, d, r, size)
	}
	chosen := m.Props.mask.Has(PropTopicAlias)
	if chosen && !c.explicit(&m) {
		return dst, ErrTopicAlias
	}
	if chosen && m.QoS != QoS0 { // it goes out with its topic, and without what stands for it
		m.Props, _ = ParseProperties(m.Props.AppendWithout(nil, PropTopicAlias.Mask()))
		if size = m.bodySize(d.Version); size > maxRemaining {
			return dst, ErrTooLarge
		}
	}
	if c.state == StateConnected {
		if c.notAllowed(m.QoS, m.Retain) != ReasonSuccess {
			return dst, ErrNotSupported
		}
		if !c.fits(sizeWithHeader(size)) {
			return dst, ErrTooLarge
		}
	}
	if m.QoS == QoS0 {
		if c.state != StateConnected {
			return dst, ErrNotConnected
		}
		c.clock(now)
		if chosen {
			if m.Topic = p.Topic; len(m.Topic) > 0 {
				a, _ := m.Props.TopicAlias()
				c.choose(a, m.Topic)
			}
		} else if c.conn.aliases != nil {
			alias, name := c.assign(m.Topic, size)
			out := appendPublish(dst, d.Version, m.flags(), 0, name, m.Props.wire, m.Payload, alias)
			return c.end(out, len(dst)), nil
		}
		out := append(m.appendFields(room(dst, size), d.Version, size), m.Payload...)
		return c.end(out, len(dst)), nil
	}
	// The end of a session has at most all that is under way and all that is
	// queued to tell.
	if c.choked() || int(c.s.out.lists[listDone].n)-maxID > max(0, c.cfg.MaxQueued) {
		return dst, ErrPending
	}
	atOnce := c.idle()
	if !atOnce && !c.roomFor(&m) {
		return dst, ErrQueueFull
	}
	c.clock(now)
	var expires int64
	if m.Props.mask.Has(PropMessageExpiry) {
		s, _ := m.Props.MessageExpiry()
		expires = after(c.now, time.Duration(s)*time.Second)
		if c.expires == 0 || expires < c.expires {
			c.expires = expires
		}
	}
	i := c.s.enqueue(&m, tag, expires)
	c.stepOut(StatusQueued, i)
	if atOnce {
		return c.account(c.send(dst, i, false), len(dst)), nil
	}
	return c.end(dst, len(dst)), nil
}

// idle reports whether a message can be sent at once: nothing goes before it.
func (c *Client) idle() bool {
	return c.s.out.lists[listQueued].n == 0 && c.has&hasAuthDone == 0 && c.canSend() && (c.subs == nil || !c.resubscribes())
}

// roomFor reports whether a message can be queued; it makes room if
// Config.DropOldest says so, but only if that is enough.
func (c *Client) roomFor(m *Publish) bool {
	o := &c.s.out
	queued := &o.lists[listQueued]
	size := len(m.Topic) + m.Props.Len() + len(m.Payload)
	n, bytes := int(queued.n)+1, o.bytes+size
	full := func() bool { return n > c.cfg.MaxQueued || bytes > c.cfg.MaxQueuedBytes }
	if !full() || !c.cfg.DropOldest || c.cfg.MaxQueued <= 0 || size > c.cfg.MaxQueuedBytes {
		return !full()
	}
	// The queue is walked once to see whether dropping is enough, and again to
	// drop: by QoS, then by age.
	for _, drop := range [...]bool{false, true} {
		n, bytes = int(queued.n)+1, o.bytes+size
		for q := QoS1; q <= m.QoS && full(); q++ {
			for i := queued.head; i != 0 && full(); {
				r := &o.slab[i]
				next := o.next(i)
				if r.qos() == q {
					n--
					bytes -= len(r.buf)
					if drop {
						c.s.finish(i, DropOverflow, ReasonSuccess)
					}
				}
				i = next
			}
		}
		if full() {
			return false
		}
	}
	return true
}

// canSend reports whether the first of the queued messages may go out now.
func (c *Client) canSend() bool {
	return c.conn.resume == [2]uint32{} && c.Window() > 0 && c.s.out.ids.available()
}

// Window is how many QoS 1 and 2 messages the server takes before it
// acknowledges one.
func (c *Client) Window() int {
	if c.state != StateConnected {
		return 0
	}
	return max(0, int(min(c.lim.ReceiveMaximum, c.cfg.MaxInflight))-int(c.conn.inflight))
}

// More reports whether output waits that did not fit into the last call's
// burst. Tick goes on with it, and so does any other call that appends to dst,
// but Receive only when it takes a whole packet or has nothing new to look at.
// It is to be asked when events and ops have been taken: while EventAuthDone
// waits, or so much else that calls fail with ErrPending, nothing goes on, and it
// is false.
func (c *Client) More() bool {
	if c.state != StateConnected || c.has&hasAuthDone != 0 || c.choked() {
		return false
	}
	return c.conn.resume[0] != 0 || c.resubscribes() ||
		c.Window() > 0 && (c.conn.resume[1] != 0 || c.s.out.lists[listQueued].n > 0 && c.canSend())
}

// notAllowed is the reason why the server does not take such a message, or
// success.
func (c *Client) notAllowed(q QoS, retain bool) ReasonCode {
	switch {
	case q > c.lim.MaximumQoS:
		return ReasonQoSNotSupported
	case retain && !c.lim.RetainAvailable:
		return ReasonRetainNotSupported
	}
	return ReasonSuccess
}

// backlog reports whether pump may have something to send.
func (c *Client) backlog() bool {
	return c.s.out.lists[listQueued].n > 0 || c.conn.resume != [2]uint32{} || c.subs != nil
}

// pump appends what may be sent, a burst after the first before bytes: lost
// subscriptions, then what a lost connection left, PUBRELs before PUBLISHes,
// each in its order, then what is queued.
func (c *Client) pump(dst []byte, before int) []byte {
	o := &c.s.out
	more := func() bool { return len(dst)-before < c.cfg.Burst && !c.choked() }
	for c.subs != nil && c.resubscribes() && more() {
		dst = c.resubscribe(dst)
	}
	for c.conn.resume[0] != 0 && more() {
		i := c.conn.resume[0]
		r := &o.slab[i]
		c.conn.resume[0] = o.next(i)
		if r.epoch != c.s.epoch {
			c.charge(r)
			c.stats.Resent++
			c.stepOut(StatusReleased, i)
			dst = c.appendPubRel(dst, r.id, ReasonSuccess, true)
		}
	}
	for c.conn.resume[1] != 0 && c.Window() > 0 && more() {
		i := c.conn.resume[1]
		c.conn.resume[1] = o.next(i)
		if o.slab[i].epoch != c.s.epoch {
			dst = c.send(dst, i, true)
		}
	}
	for o.lists[listQueued].head != 0 && c.canSend() && more() {
		dst = c.send(dst, o.lists[listQueued].head, false)
	}
	return dst
}

// stepOut notes a step of the message of record i.
func (c *Client) stepOut(status MessageStatus, i uint32) {
	if c.progress != nil {
		c.progress.stepOut(status, &c.s.out.slab[i])
	}
}

// choked reports whether so much waits to be taken, ops or steps, that nothing
// may be added.
func (c *Client) choked() bool { return (c.s.j != nil || c.progress != nil) && c.overfull() }

func (c *Client) overfull() bool { return c.s.untaken() >= maxOps || c.progress.untold() >= maxSteps }

// charge counts an exchange for the server's receive maximum.
func (c *Client) charge(r *record) {
	if r.epoch != c.s.epoch {
		r.epoch = c.s.epoch
		c.conn.inflight++
	}
}

// pass moves the places where resending goes on off a record that is about to
// leave its list.
func (c *Client) pass(i uint32) {
	for k, at := range c.conn.resume {
		if at == i {
			c.conn.resume[k] = c.s.out.next(i)
		}
	}
}

// send appends the PUBLISH of record i, or drops the message when it has
// expired unsent or the server does not take it.
func (c *Client) send(dst []byte, i uint32, again bool) []byte {
	r := &c.s.out.slab[i]
	if !again && r.expires != 0 && c.now >= r.expires {
		c.s.finish(i, DropExpired, ReasonSuccess)
		return dst
	}
	size := 4 + len(r.buf)
	code := c.notAllowed(r.qos(), r.flags&flagRetain != 0)
	if c.cfg.Version == V5 {
		size += SizeUvarint(r.propsLen)
	} else if r.propsLen > 0 {
		code = ReasonUnsupportedProtocolVersion
	}
	if again && code == ReasonSuccess && c.misfit(r) {
		code = ReasonTopicNameInvalid
	}
	if code == ReasonSuccess && (!c.fits(sizeWithHeader(size)) || size > maxRemaining) {
		code = ReasonPacketTooLarge
	}
	if code != ReasonSuccess {
		if again {
			c.s.hold(i, DropNotAllowed, code)
		} else {
			c.s.finish(i, DropNotAllowed, code)
		}
		return dst
	}
	flags := r.flags
	if again {
		flags |= flagDup
		c.stats.Resent++
		c.stepOut(StatusResent, i)
	} else {
		c.s.sent(i, c.s.out.ids.take(i))
		c.stepOut(StatusSent, i)
	}
	c.charge(r)
	alias, topic := uint16(0), r.topic()
	if c.conn.aliases != nil {
		alias, topic = c.assign(topic, size)
	}
	dst = appendPublish(dst, c.cfg.Version, flags, r.id, topic, r.props(), r.payload(), alias)
	if r.expires != 0 && c.cfg.Version == V5 {
		end := len(dst) - len(r.payload())
		putExpiry(dst[end-int(r.propsLen):end], max(0, r.expires-c.now))
	}
	return dst
}

// misfit reports whether a message that another client left, of another version
// or other options, or a journal, has a topic that this one may not send.
func (c *Client) misfit(r *record) bool {
	return r.topicLen == 0 || topicFault(r.topic(), c.dialect(FromClient)) != ruleNone
}

// dropMisfits drops those of the queued messages. Publish lets none in, and those
// that were sent are looked at when they are sent again.
func (c *Client) dropMisfits() {
	o := &c.s.out
	for i := o.lists[listQueued].head; i != 0; {
		next := o.next(i)
		if c.misfit(&o.slab[i]) {
			c.s.finish(i, DropNotAllowed, ReasonTopicNameInvalid)
		}
		i = next
	}
}

// appendPublish appends a PUBLISH whose parts were checked. id is 0 at QoS 0,
// and alias is 0 for none.
func appendPublish(dst []byte, v Version, flags uint8, id uint16, topic, props, payload []byte, alias uint16) []byte {
	size := 2 + len(topic) + len(payload)
	if id != 0 {
		size += 2
	}
	n := len(props)
	if alias != 0 {
		n += 3
	}
	if v == V5 {
		size += SizeUvarint(uint32(n)) + n
	}
	dst = appendString(appendHeader(dst, TypePublish, flags, size), topic)
	if id != 0 {
		dst = append(dst, byte(id>>8), byte(id))
	}
	if v == V5 {
		dst = AppendUvarint(dst, uint32(n))
		if alias != 0 {
			dst = append(dst, byte(PropTopicAlias), byte(alias>>8), byte(alias))
		}
		dst = append(dst, props...)
	}
	return append(dst, payload...)
}

// putExpiry writes what remains of a message's lifetime into its properties.
func putExpiry(props []byte, left int64) {
	s := uint32((left + int64(time.Second) - 1) / int64(time.Second))
	for b := props; len(b) > 0; {
		if PropertyID(b[0]) == PropMessageExpiry {
			b[1], b[2], b[3], b[4] = byte(s>>24), byte(s>>16), byte(s>>8), byte(s)
			return
		}
		b = b[propertySize(b):]
	}
}

// expireQueued drops the queued messages whose lifetime is over (only those:
// MQTT-4.3.3-7), and finds out when the next one is.
func (c *Client) expireQueued() {
	o := &c.s.out
	c.expires = 0
	for i := o.lists[listQueued].head; i != 0; {
		r := &o.slab[i]
		next := o.next(i)
		switch {
		case r.expires == 0:
		case c.now >= r.expires:
			c.s.finish(i, DropExpired, ReasonSuccess)
		case c.expires == 0 || r.expires < c.expires:
			c.expires = r.expires
		}
		i = next
	}
}

// appendAck appends an acknowledgement, in 5.0 with its reason code.
func (c *Client) appendAck(dst []byte, t PacketType, flags uint8, id uint16, code ReasonCode) []byte {
	if code == ReasonSuccess || c.cfg.Version != V5 {
		return append(dst, byte(t)<<4|flags, 2, byte(id>>8), byte(id))
	}
	return append(dst, byte(t)<<4|flags, 3, byte(id>>8), byte(id), byte(code))
}

// notFound is the reason code for an identifier that is not known (5.0 table
// 3-6), or success where the server takes no packet that has one.
func (c *Client) notFound() ReasonCode {
	if !c.fits(5) {
		return ReasonSuccess
	}
	return ReasonPacketIdentifierNotFound
}

// appendPubRel appends a PUBREL. Only 3.1 marks one that is sent again.
func (c *Client) appendPubRel(dst []byte, id uint16, code ReasonCode, again bool) []byte {
	flags := uint8(2)
	if again && c.cfg.Version == V31 {
		flags |= flagDup
	}
	return c.appendAck(dst, TypePubRel, flags, id, code)
}

// onAck takes a PUBACK, PUBREC or PUBCOMP, each an answer to something of ours.
func (c *Client) onAck(dst []byte, f Frame, d Dialect) ([]byte, error) {
	var p Ack
	if err := p.Decode(f, d); err != nil {
		return dst, err
	}
	if p.Props.mask != 0 { // most have none
		if r := c.problemFault(p.Props); r != ruleNone {
			return dst, fail(f.Type, d, r, 0)
		}
	}
	i := c.s.out.ids.find(p.ID)
	if i == 0 {
		c.stats.UnknownAcks++
		if p.Type == TypePubRec && !p.Code.IsError() {
			// The server still waits for a PUBREL that nobody else will send
			// (table 3-6: 0x92).
			dst = c.appendPubRel(dst, p.ID, c.notFound(), false)
		}
		return dst, nil
	}
	r := &c.s.out.slab[i]
	if c.progress != nil && (r.list == listSent && p.Type == TypePubAck+PacketType(r.qos()-QoS1) ||
		r.list == listReleased && p.Type != TypePubAck) {
		c.ev.Props = p.Props
		c.step(step{status: ackStatus[p.Type], from: FromClient, tag: r.tag, id: r.id, code: p.Code, packet: true})
	}
	wrong := ruleAckQoS2
	switch r.list {
	case listRequests:
		wrong = ruleAckKind
	case listHeld:
		switch {
		case r.qos() == QoS1 && p.Type != TypePubAck:
			wrong = ruleAckQoS1
		case r.qos() == QoS2 && p.Type == TypePubAck: // wrong
		case p.Type == TypePubRec && !p.Code.IsError():
			return c.appendPubRel(dst, p.ID, ReasonSuccess, false), nil
		default: // the server has done with the identifier
			c.s.unhold(i)
			return dst, nil
		}
	case listReleased:
		switch {
		case p.Type == TypePubComp:
			c.fate(i, p.Props, DropNone, p.Code)
			return dst, nil
		case p.Type == TypePubRec && p.Code.IsError():
			c.fate(i, p.Props, DropRefused, p.Code)
			return dst, nil
		case p.Type == TypePubRec:
			if r.epoch != c.s.epoch { // before its turn among what is sent again
				c.charge(r)
				c.stats.Resent++
			}
			c.stepOut(StatusReleased, i)
			return c.appendPubRel(dst, p.ID, ReasonSuccess, true), nil
		}
	case listSent:
		switch {
		case r.qos() == QoS1 && p.Type != TypePubAck:
			wrong = ruleAckQoS1
		case r.qos() == QoS1 || p.Type == TypePubRec && p.Code.IsError():
			why := DropNone
			if p.Code.IsError() {
				why = DropRefused
			}
			c.fate(i, p.Props, why, p.Code)
			return dst, nil
		case p.Type == TypePubRec:
			c.pass(i)
			c.charge(r)
			c.s.release(i)
			c.stepOut(StatusReleased, i)
			return c.appendPubRel(dst, p.ID, ReasonSuccess, false), nil
		}
	}
	return dst, fail(f.Type, d, wrong, 0)
}

// fate ends an exchange by the packet at hand. Only one that was charged on this
// connection gives its place in the window back (5.0 §4.9).
func (c *Client) fate(i uint32, props Properties, why DropReason, code ReasonCode) {
	c.pass(i)
	if c.s.out.slab[i].epoch == c.s.epoch {
		c.conn.inflight--
	}
	c.tell(i, props, nil, why, code)
}

// tell makes the event of an exchange that the packet at hand ends.
func (c *Client) tell(i uint32, props Properties, codes []byte, why DropReason, code ReasonCode) {
	r := &c.s.out.slab[i]
	r.why, r.code = why, code
	c.ev.Props, c.ev.Codes = props, codes
	r.event(&c.ev)
	if c.ev.Filter != nil { // the record may be in use again before the event is taken
		c.ev.Filter = slices.Clone(c.ev.Filter)
	}
	c.has |= hasPacket
	c.s.retire(i)
}
