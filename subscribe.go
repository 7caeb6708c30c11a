// This file holds requests: SUBSCRIBE and UNSUBSCRIBE, their answers, and
// subscribing again when the session was lost. It must not know messages.

package mqttcore

import "time"

// Subscribe sends a SUBSCRIBE; its tag comes back in EventSubscribed, or in
// EventDropped when the connection ends first. s.ID and s.Dup are ignored.
// Asking again for a filter replaces its subscription (MQTT-3.8.4-3).
//
// It fails with ErrNotConnected, ErrNoIdentifier, ErrNotSupported (wildcards,
// shared subscriptions or subscription identifiers), ErrTooLarge, or an *Error.
func (c *Client) Subscribe(dst []byte, now time.Time, s *Subscribe, tag uint64) ([]byte, error) {
	if c.state == StateConnected && c.lacks(s) != ReasonSuccess {
		return dst, ErrNotSupported
	}
	p := *s
	p.Dup = false
	id, _ := s.Props.SubscriptionID()
	return c.request(dst, now, &p, &p.ID, record{tag: tag, flags: isSubscribe, expires: int64(id)}, &s.Subscriptions.list)
}

// Unsubscribe sends an UNSUBSCRIBE; its tag comes back in EventUnsubscribed, or
// in EventDropped when the connection ends first. u.ID and u.Dup are ignored.
// Its errors are those of Subscribe.
func (c *Client) Unsubscribe(dst []byte, now time.Time, u *Unsubscribe, tag uint64) ([]byte, error) {
	p := *u
	p.Dup = false
	return c.request(dst, now, &p, &p.ID, record{tag: tag, flags: isUnsubscribe}, &u.Filters.list)
}

// request sends p, once *id is set, and keeps a record like r of it and of its
// filters.
func (c *Client) request(dst []byte, now time.Time, p Packet, id *uint16, r record, filters *filterList) ([]byte, error) {
	if c.state != StateConnected {
		return dst, ErrNotConnected
	}
	if !c.s.out.ids.available() {
		return dst, ErrNoIdentifier
	}
	*id = 1
	out, err := p.AppendTo(dst, c.dialect(FromClient))
	if err != nil {
		return dst, err
	}
	if !c.fits(len(out) - len(dst)) {
		return dst, ErrTooLarge
	}
	c.clock(now)
	c.keepRequest(out[len(dst):], r, filters.wire, filters.n)
	c.subs.yield(filters.wire, p.PacketType())
	return c.end(out, len(dst)), nil
}

// keepRequest makes the record of a request and writes its identifier into the
// encoded packet.
func (c *Client) keepRequest(packet []byte, like record, filters []byte, n int32) {
	o := &c.s.out
	i := o.get(listRequests)
	r := &o.slab[i]
	r.tag, r.flags, r.expires, r.propsLen = like.tag, like.flags, like.expires, uint32(n)
	r.buf = append(r.buf, filters...)
	r.id = o.ids.take(i)
	_, k := consumeUvarint(packet[1:])
	packet[1+k], packet[2+k] = byte(r.id>>8), byte(r.id)
}

// lacks is why the server does not take such subscriptions at all, or success.
func (c *Client) lacks(s *Subscribe) ReasonCode {
	if !c.lim.SubscriptionIDsAvailable && s.Props.Mask().Has(PropSubscriptionID) {
		return ReasonSubscriptionIdentifiersNotSupported
	}
	if c.lim.WildcardAvailable && c.lim.SharedAvailable {
		return ReasonSuccess
	}
	for sub := range s.Subscriptions.All() {
		switch {
		case !c.lim.WildcardAvailable && hasWildcard(sub.Filter):
			return ReasonWildcardSubscriptionsNotSupported
		case !c.lim.SharedAvailable && isShared(sub.Filter):
			return ReasonSharedSubscriptionsNotSupported
		}
	}
	return ReasonSuccess
}

// onRequestAck takes a SUBACK or UNSUBACK.
func (c *Client) onRequestAck(f Frame, d Dialect) error {
	var id uint16
	var codes []byte
	var props Properties
	kind, count := uint8(isSubscribe), ruleSubAckCount
	if f.Type == TypeSubAck {
		var p SubAck
		if err := p.Decode(f, d); err != nil {
			return err
		}
		id, codes, props = p.ID, p.Codes, p.Props
	} else {
		var p UnsubAck
		if err := p.Decode(f, d); err != nil {
			return err
		}
		id, codes, props = p.ID, p.Codes, p.Props
		kind, count = isUnsubscribe, ruleUnsubAckCount
	}
	fault := c.problemFault(props)
	i := c.s.out.ids.find(id)
	var r *record
	switch {
	case fault != ruleNone:
	case i == 0:
		c.stats.UnknownAcks++
		return nil
	default:
		r = &c.s.out.slab[i]
		if r.flags&kind == 0 {
			fault = ruleAckKind
		} else if len(codes) != int(r.propsLen) && (kind == isSubscribe || d.Version == V5) {
			fault = count
		}
	}
	if fault != ruleNone {
		return fail(f.Type, d, fault, 0)
	}
	if c.subs == nil {
		c.subs = new(registry)
	}
	c.subs.settle(r, codes)
	code := ReasonSuccess
	if r.flags&isOwn != 0 {
		code, codes = ReasonCode(codes[0]), nil
	}
	c.tell(i, props, codes, DropNone, code)
	return nil
}

// resubscribes reports whether a lost subscription can be asked for now, if it
// still is to be.
func (c *Client) resubscribes() bool {
	return c.cfg.Resubscribe && c.subs.due() && c.s.out.ids.available()
}

// resubscribe appends a SUBSCRIBE for the next subscription that was lost with
// the session, or tells why it cannot be asked for.
func (c *Client) resubscribe(dst []byte) []byte {
	g, o := c.subs, &c.s.out
	l := &g.lost[g.next]
	g.next++
	if l.filter == "" {
		return dst
	}
	d := c.dialect(FromClient)
	p := Subscribe{ID: 1}
	code := ReasonTopicFilterInvalid // legal when it was granted, in another version
	if p.Subscriptions.Add(subscriptionOf([]byte(l.filter), l.options)) == nil {
		code = c.lacks(&p)
	}
	if l.id != 0 {
		p.Props, _ = NewProperties(SubscriptionID(l.id))
		if !c.lim.SubscriptionIDsAvailable {
			code = ReasonSubscriptionIdentifiersNotSupported
		}
	}
	if code == ReasonSuccess && !c.fits(p.Size(d)) {
		code = ReasonPacketTooLarge
	}
	out, err := p.AppendTo(dst, d)
	if code == ReasonSuccess && err != nil {
		code = ReasonTopicFilterInvalid
	}
	if code != ReasonSuccess {
		r := &o.slab[o.get(listDone)]
		r.flags, r.code = isSubscribe|isOwn, code
		r.buf = appendString(r.buf, []byte(l.filter))
		l.filter = ""
		return dst
	}
	like := record{tag: uint64(g.next - 1), flags: isSubscribe | isOwn, expires: int64(l.id)}
	c.keepRequest(out[len(dst):], like, p.Subscriptions.list.wire, 1)
	return out
}

// dropRequests ends the requests of a connection that is over.
func (c *Client) dropRequests() {
	o := &c.s.out
	for i := o.lists[listRequests].head; i != 0; {
		next := o.next(i)
		if r := &o.slab[i]; r.flags&isOwn != 0 { // nobody waits for it
			o.ids.giveBack(r.id)
			r.id = 0
			c.s.free(i)
		}
		i = next
	}
	c.s.drop(listRequests, DropConnectionLost)
}

// ownFilter is the filter of a request that resubscribe made.
func ownFilter(r *record) []byte {
	f, _ := ConsumeString(r.buf)
	return f
}
