// This file holds streaming: a large PUBLISH handed on in parts, so that it
// never has to be in one piece. It must not decide what is delivered or
// acknowledged: that is incoming.go's, once the message is whole.

package mqttcore

// stream is the message that is arriving in parts.
type stream struct {
	left    int    // bytes of payload to come
	id      uint16 // of the message
	qos     QoS
	on      bool
	deliver bool // it is no repeat
}

// streams reports whether the packet at the start of in is to be streamed.
func (c *Client) streams(in []byte) bool {
	total, ok := FrameSize(in)
	return ok && uint64(total) > uint64(c.cfg.StreamAbove) && PacketType(in[0]>>4) == TypePublish
}

// beginStream takes the head of the PUBLISH at the start of in, all but its
// payload. n is 0 when it is not there yet.
func (c *Client) beginStream(in []byte, d Dialect) (n int, fault error) {
	size, k := consumeUvarint(in[1:])
	body := in[1+k : min(len(in), 1+k+int(size))]
	limit := int(min(int64(size), int64(c.cfg.StreamAbove)-int64(1+k)))
	head, known := headSize(body, limit, QoS(in[0]&flagQoS>>1), d.Version)
	switch {
	case head <= int(size) && head > limit:
		return 0, fail(TypePublish, d, rulePacketSize, 1+k)
	case head > int(size) || !known && len(body) == int(size):
		return 0, fail(TypePublish, d, ruleTruncated, 1+k)
	case !known || head > len(body):
		return 0, nil
	}
	p := &c.ev.Message
	f := Frame{Type: TypePublish, Flags: in[0] & 15, Body: body[:head:head]}
	if err := p.Decode(f, d); err != nil {
		return 0, err
	}
	p.Payload = nil
	if p.Props.mask.Has(PropTopicAlias) {
		if r := c.resolve(p); r != ruleNone {
			return 0, fail(TypePublish, d, r, 0)
		}
	}
	fresh, r := c.mayReceive(p)
	if r != ruleNone {
		return 0, fail(TypePublish, d, r, 0)
	}
	c.conn.stream = stream{left: int(size) - head, id: p.ID, qos: p.QoS, on: true, deliver: fresh}
	if fresh {
		c.ev.Kind, c.ev.Partial, c.ev.Size = EventMessage, true, size-uint32(head)
		c.has |= hasPacket
	}
	c.stats.PacketsIn++
	return 1 + k + head, nil // and a payload follows: the head alone is not too large
}

// headSize is the size of topic, identifier and properties at the start of a
// PUBLISH's body b, or the least that it can be as far as b tells. It stops at
// the first part that ends beyond limit, so that more of b makes no difference
// then.
func headSize(b []byte, limit int, q QoS, v Version) (n int, known bool) {
	n = 2
	if n > limit || len(b) < n {
		return n, false
	}
	n = stringSize(b)
	if q != QoS0 {
		n += 2
	}
	if v != V5 {
		return n, true
	}
	if n+1 > limit || len(b) <= n {
		return n + 1, false
	}
	size, k := ConsumeUvarint(b[n:])
	if k == 0 {
		return n + 1, false
	}
	return n + max(k, 1) + int(size), true // a bad length is found when the head is decoded
}

// chunk takes what there is of a streamed message.
func (c *Client) chunk(dst, in []byte, d Dialect) (out []byte, n int, err error) {
	s := &c.conn.stream
	n = min(s.left, len(in))
	s.left -= n
	if s.deliver && n > 0 {
		c.ev.Kind, c.ev.Message.Payload = EventChunk, in[:n:n]
		c.has |= hasPacket
	}
	if s.left > 0 {
		return dst, n, nil
	}
	deliver := s.deliver
	p := Publish{ID: s.id, QoS: s.qos}
	*s = stream{}
	c.ev.Token = 0
	// A repeat whose first copy was refused meanwhile has had its answer.
	if p.QoS != QoS0 && (deliver || c.s.inbox.find(p.ID) != 0) {
		var r rule
		if dst, _, r = c.receive(dst, &p); r != ruleNone {
			return dst, n, fail(TypePublish, d, r, 0)
		}
	}
	if deliver {
		c.has |= hasEnd
	}
	return dst, n, nil
}
