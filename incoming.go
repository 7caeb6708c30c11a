// This file holds delivery from the server: received messages and identifiers,
// and our acknowledgements and their order. It must not know how a connection
// begins or ends (state.go), nor what goes to the server of its own (qos.go).

package mqttcore

import "time"

// onPublish takes a message.
func (c *Client) onPublish(dst []byte, f Frame, d Dialect) ([]byte, error) {
	c.ev.Kind, c.ev.Partial, c.ev.Size, c.ev.Token = EventMessage, false, 0, 0
	p := &c.ev.Message
	if err := p.Decode(f, d); err != nil {
		return dst, err
	}
	if p.Props.mask.Has(PropTopicAlias) {
		if r := c.resolve(p); r != ruleNone {
			return dst, fail(TypePublish, d, r, 0)
		}
	}
	fresh := true
	if p.QoS != QoS0 {
		var r rule
		if dst, fresh, r = c.receive(dst, p); r != ruleNone {
			return dst, fail(TypePublish, d, r, 0)
		}
	}
	if fresh {
		c.has |= hasPacket
	}
	return dst, nil
}

// receiveMaximum is how many QoS 1 and 2 messages the server may have
// unacknowledged: the Receive Maximum of CONNECT.
func (c *Client) receiveMaximum() int {
	if n, ok := c.cfg.Props.ReceiveMaximum(); ok {
		return int(n)
	}
	return 0xFFFF
}

// mayReceive tells whether a message is new, and whether there is room for it.
// A QoS 2 message that comes again before its PUBREL is not new, whatever DUP
// says (MQTT-4.3.3-10); on a connection on which it was not seen yet it takes a
// place in the receive maximum.
func (c *Client) mayReceive(p *Publish) (fresh bool, r rule) {
	if p.QoS == QoS0 {
		return true, ruleNone
	}
	if p.QoS > c.lim.MaximumQoS {
		return false, ruleMaximumQoS
	}
	in := c.s.inbox
	at := uint16(0)
	if p.QoS == QoS2 {
		at = in.find(p.ID)
	}
	switch {
	case at != 0 && in.slab[at].epoch == c.s.epoch:
	case int(c.conn.unacked) >= c.receiveMaximum() && c.cfg.Options&AllowAboveReceiveMaximum == 0:
		return false, ruleReceiveMaximum
	case at == 0 && (p.QoS == QoS2 || c.cfg.ManualAck) && int(in.len()) >= c.cfg.MaxIncoming:
		return false, ruleOwnLimit
	}
	return at == 0, ruleNone
}

// receive takes a whole message of QoS 1 or 2: it says whether it is new, and
// answers it, or leaves that to Ack.
func (c *Client) receive(dst []byte, p *Publish) (out []byte, fresh bool, r rule) {
	if fresh, r = c.mayReceive(p); r != ruleNone {
		return dst, false, r
	}
	if !fresh {
		c.stats.Repeats++
		in := c.s.inbox
		at := in.find(p.ID)
		seen := in.slab[at].epoch == c.s.epoch
		if !seen {
			in.slab[at].epoch = c.s.epoch
			c.conn.unacked++
		}
		switch {
		case !seen:
			// Its PUBREC goes in the order in which the messages come on this
			// connection (MQTT-4.6.0-3), after those that still wait for Ack.
			if in.slab[at].list == inReceived {
				in.slab[at].acked, in.slab[at].code = true, ReasonSuccess
				in.setAckProps(at, Properties{})
			}
			in.move(at, inWaiting)
			dst = c.answer(dst, inWaiting)
		case in.slab[at].list == inReceived:
			dst = c.sendAck(dst, TypePubRec, p.ID, ReasonSuccess)
		}
		return dst, false, ruleNone
	}
	c.step(step{status: StatusPublished, from: FromServer, id: p.ID})
	if p.QoS == QoS1 && !c.cfg.ManualAck {
		return c.sendAck(dst, TypePubAck, p.ID, ReasonSuccess), true, ruleNone
	}
	to := inReceived
	if c.cfg.ManualAck {
		to = inWaiting
		if p.QoS == QoS1 {
			to = inWaiting1
		}
	}
	in := c.s.incoming()
	at := in.put(p.ID, p.QoS, to)
	in.slab[at].epoch = c.s.epoch
	c.conn.unacked++
	if to != inReceived {
		if in.tokens == 0 {
			// A token of one process must not be taken by the next one that has
			// the session.
			in.tokens = uint64(c.now / int64(time.Microsecond))
		}
		in.tokens++
		in.slab[at].token = AckToken(in.tokens<<16 | uint64(at))
		c.ev.Token = in.slab[at].token
		return dst, true, ruleNone
	}
	c.s.received(at)
	if in.lists[inWaiting].head != 0 { // what a client with ManualAck left goes before (MQTT-4.6.0-3)
		in.slab[at].acked = true
		in.move(at, inWaiting)
		return dst, true, ruleNone
	}
	return c.sendAck(dst, TypePubRec, p.ID, ReasonSuccess), true, ruleNone
}

// sendAck appends the acknowledgement of an incoming message.
func (c *Client) sendAck(dst []byte, t PacketType, id uint16, code ReasonCode) []byte {
	c.step(step{status: ackStatus[t&7], from: FromServer, id: id, code: code})
	return c.appendAck(dst, t, 0, id, code)
}

// ackStatus is the step that an acknowledgement stands for.
var ackStatus = [8]MessageStatus{
	TypePubAck:  StatusAcknowledged,
	TypePubRec:  StatusReceived,
	TypePubRel:  StatusReleased,
	TypePubComp: StatusCompleted,
}

// Ack acknowledges a message, with Config.ManualAck. Acknowledgements are sent
// in the order in which the messages arrived, QoS 1 and 2 apart (MQTT-4.6.0-2,
// MQTT-4.6.0-3): one that is early waits. In 3.x code must be success and props
// empty; in 5.0 a code of 0x80 and above refuses the message. Of what the
// server's Maximum Packet Size leaves no room for, the reason string goes
// first, then the user properties (MQTT-3.4.2-2, MQTT-3.4.2-3).
//
// The acknowledgement of a QoS 2 message may be given without a connection: it
// is sent when the message comes again, a refusal as success where that server
// takes no packet of five bytes. It fails with ErrToken for a stale
// token, with an *Error for a code or property that may not be sent, and with
// ErrTooLarge for a code where the server takes no packet of five bytes.
func (c *Client) Ack(dst []byte, now time.Time, t AckToken, code ReasonCode, props Properties) ([]byte, error) {
	in := c.s.inbox
	at := uint16(t)
	if in == nil || t == 0 || int(at) >= len(in.slab) || in.slab[at].token != t || in.slab[at].acked {
		return dst, ErrToken
	}
	r := &in.slab[at]
	d := c.dialect(FromClient)
	typ := TypePubAck + PacketType(r.qos-QoS1)
	p := Ack{Type: typ, ID: r.id, Code: code, Props: props}
	if fault := p.fault(d); fault != ruleNone {
		return dst, fail(typ, d, fault, 0)
	}
	if c.state == StateConnected && code != ReasonSuccess && !c.fits(5) {
		return dst, ErrTooLarge
	}
	if c.choked() {
		return dst, ErrPending
	}
	c.clock(now)
	r.acked, r.code = true, code
	in.setAckProps(at, props)
	if r.taken() {
		c.s.received(at)
	}
	before := len(dst)
	if r.list != inAway {
		dst = c.answer(dst, r.list)
	}
	return c.end(dst, before), nil
}

// answer sends the acknowledgements at the head of a list of waiting messages
// that the application has decided.
func (c *Client) answer(dst []byte, l inListID) []byte {
	in := c.s.inbox
	for at := in.lists[l].head; at != 0 && in.slab[at].acked; at = in.lists[l].head {
		r := &in.slab[at]
		p := Ack{Type: TypePubAck + PacketType(r.qos-QoS1), ID: r.id, Code: r.code}
		p.Props, _ = ParseProperties(in.ackProps(at))
		mute := p.Code != ReasonSuccess && !c.fits(5) || c.cfg.Version != V5 // no code can be sent
		if r.qos == QoS2 && (mute || p.fault(c.dialect(FromClient)) != ruleNone) {
			// It was decided on another connection: in another version, under
			// other options, or for a server that takes larger packets.
			p.Props = Properties{}
			if mute {
				if r.code.IsError() {
					c.s.received(at)
				}
				p.Code, r.code = ReasonSuccess, ReasonSuccess
			}
		}
		c.step(step{status: ackStatus[p.Type], from: FromServer, id: p.ID, code: p.Code})
		dst = c.appendFitting(dst, &p)
		if r.qos == QoS2 && !r.code.IsError() {
			r.token = 0
			in.move(at, inReceived)
			continue
		}
		c.conn.unacked--
		in.remove(at)
	}
	return dst
}

// appendFitting appends an acknowledgement without the diagnostics that the
// server's Maximum Packet Size leaves no room for.
func (c *Client) appendFitting(dst []byte, p *Ack) []byte {
	d := c.dialect(FromClient)
	for _, drop := range [...]PropertyID{PropReasonString, PropUserProperty} {
		if c.fits(p.Size(d)) {
			break
		}
		p.Props, _ = ParseProperties(p.Props.AppendWithout(nil, drop.Mask()))
	}
	dst, _ = p.AppendTo(dst, d)
	return dst
}

// tokensLost ends what of incoming messages does not outlive a connection:
// those of QoS 1 come again, those of QoS 2 wait to be seen again.
func (c *Client) tokensLost() {
	in := c.s.inbox
	if in == nil {
		return
	}
	for in.lists[inWaiting1].head != 0 {
		in.remove(in.lists[inWaiting1].head)
	}
	for in.lists[inWaiting].head != 0 {
		in.move(in.lists[inWaiting].head, inAway)
	}
}

// onPubRel ends the reception of a QoS 2 message (MQTT-4.3.3-11).
func (c *Client) onPubRel(dst []byte, f Frame, d Dialect) ([]byte, error) {
	var p Ack
	if err := p.Decode(f, d); err != nil {
		return dst, err
	}
	if r := c.problemFault(p.Props); r != ruleNone {
		return dst, fail(f.Type, d, r, 0)
	}
	c.ev.Props = p.Props
	c.step(step{status: StatusReleased, from: FromServer, id: p.ID, code: p.Code, packet: true})
	code := c.notFound()
	in := c.s.inbox
	at := in.find(p.ID)
	if at == 0 {
		return c.sendAck(dst, TypePubComp, p.ID, code), nil
	}
	// Whatever became of it: after the PUBCOMP the identifier is that of a new
	// message (MQTT-4.3.3-12), also where no PUBREC asked for this PUBREL.
	r := &in.slab[at]
	if r.list == inReceived {
		code = ReasonSuccess
	}
	if r.epoch == c.s.epoch {
		c.conn.unacked--
	}
	if r.taken() {
		c.s.released(at)
	} else {
		in.remove(at)
	}
	return c.answer(c.sendAck(dst, TypePubComp, p.ID, code), inWaiting), nil
}
