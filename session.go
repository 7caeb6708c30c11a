// This file holds Session: what MQTT says outlives a connection, and the only
// places where it changes. It holds no quota, alias, limit or timer.

package mqttcore

// Session is what outlives a connection: outgoing QoS 1 and 2 messages, the
// identifiers of incoming QoS 2 messages, the client identifier, and whether
// the server knows the session at all. The zero value is a new session. It
// belongs to one Client at a time and must not be copied.
type Session struct {
	clientID    []byte
	expiry      uint32 // effective session expiry interval, in seconds
	established bool   // a CONNACK accepted it: an empty session is a session
	epoch       uint32 // number of the last connection, which the records name
	out         records
	in          inbox
}

// ClientID is the client identifier that the session belongs to: that of the
// Config, or the one that the server assigned. It aliases the session.
func (s *Session) ClientID() []byte { return s.clientID }

// Established reports whether a server has accepted the session and it has not
// ended since.
func (s *Session) Established() bool { return s.established }

// Expiry is the session expiry interval in seconds that is in force: the
// server's, or else the client's. In 3.x it is 0 for a clean session and
// 0xFFFFFFFF for one that is kept.
func (s *Session) Expiry() uint32 { return s.expiry }

// Len is the number of outgoing messages that are not finished, sent or not.
func (s *Session) Len() int {
	return int(s.out.lists[listQueued].n + s.out.lists[listSent].n + s.out.lists[listReleased].n)
}

// enqueue stores a message at the end of the queue. Its topic alias is left
// out: an alias is worth nothing on another connection.
func (s *Session) enqueue(p *Publish, tag uint64, expires int64) uint32 {
	i := s.out.get(listQueued)
	r := &s.out.slab[i]
	r.tag, r.expires = tag, expires
	r.flags = uint8(p.QoS) << 1
	if p.Retain {
		r.flags |= flagRetain
	}
	r.topicLen = uint16(len(p.Topic))
	b := append(r.buf, p.Topic...)
	b = p.Props.AppendWithout(b, PropTopicAlias.Mask())
	r.propsLen = uint32(len(b) - len(p.Topic))
	r.buf = append(b, p.Payload...)
	s.out.bytes += len(r.buf)
	return i
}

// sent moves the queued message i to those that were sent.
func (s *Session) sent(i uint32, id uint16) {
	r := &s.out.slab[i]
	r.id = id
	s.out.bytes -= len(r.buf)
	s.out.move(i, listSent)
}

// release moves the message i to those whose PUBREL is under way. The message
// itself is not needed any more.
func (s *Session) release(i uint32) {
	r := &s.out.slab[i]
	r.buf = r.buf[:0]
	r.topicLen, r.propsLen = 0, 0
	s.out.move(i, listReleased)
}

// finish ends an exchange; its event tells why it was dropped, or that it was
// not. The identifier is free again.
func (s *Session) finish(i uint32, why DropReason, code ReasonCode) {
	r := &s.out.slab[i]
	if r.list == listQueued {
		s.out.bytes -= len(r.buf)
	}
	if r.id != 0 {
		s.out.ids.giveBack(r.id)
		r.id = 0
	}
	r.why, r.code = why, code
	s.out.move(i, listDone)
}

// hold ends an exchange whose identifier must stay taken while the session
// lives: the server may have the message.
func (s *Session) hold(i uint32, why DropReason, code ReasonCode) {
	keep := s.out.get(listHeld)
	r := &s.out.slab[i]
	s.out.slab[keep].id = r.id
	s.out.ids.slot[r.id] = keep | idTaken
	r.id = 0
	s.finish(i, why, code)
}

// dropList ends all exchanges of a list.
func (s *Session) dropList(l listID, why DropReason) {
	for i := s.out.lists[l].head; i != 0; i = s.out.lists[l].head {
		s.finish(i, why, 0)
	}
}

// forget drops what the server does not know any more: all that was sent, and
// the received identifiers. What was never sent stays unless queued is set.
func (s *Session) forget(why DropReason, queued bool) {
	s.dropList(listReleased, why)
	s.dropList(listSent, why)
	if queued {
		s.dropList(listQueued, why)
	}
	for i := s.out.lists[listHeld].head; i != 0; i = s.out.lists[listHeld].head {
		s.out.ids.giveBack(s.out.slab[i].id)
		s.out.put(i)
	}
	s.in.clear()
}
