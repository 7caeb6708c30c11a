// This file holds Session: what MQTT says outlives a connection, and the only
// places where it changes. It holds no quota, alias, limit or timer.

package mqttcore

import (
	"iter"
	"time"
)

// Session is what outlives a connection: outgoing QoS 1 and 2 messages, the
// identifiers of incoming QoS 2 messages, the client identifier, and whether
// the server knows the session at all. The zero value is a new session. It
// belongs to one Client at a time and must not be copied.
type Session struct {
	clientID    []byte
	expiry      uint32 // effective session expiry interval, in seconds
	established bool   // a CONNACK accepted it: an empty session is a session
	tried       bool   // a CONNECT was sent whose answer is not known: it may exist
	used        bool   // by a client, now or before
	epoch       uint32 // number of the last connection, which the records name
	out         records
	inbox       *inbox   // nil: nothing ever came
	j           *journal // nil: none is kept, nor was it made from one
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

// incoming is the inbox, which a session without QoS 2 does not have.
func (s *Session) incoming() *inbox {
	if s.inbox == nil {
		s.inbox = new(inbox)
	}
	return s.inbox
}

// enqueue stores a message at the end of the queue.
func (s *Session) enqueue(p *Publish, tag uint64, expires int64) uint32 {
	i := s.out.get(listQueued)
	s.fill(i, p, tag, expires)
	s.note(OpPut, 0, 0, i)
	return i
}

// fill sets the record of a queued message, which has no topic alias: it would be
// worth nothing on another connection.
func (s *Session) fill(i uint32, p *Publish, tag uint64, expires int64) {
	r := &s.out.slab[i]
	r.tag, r.expires = tag, expires
	r.flags = uint8(p.QoS) << 1
	if p.Retain {
		r.flags |= flagRetain
	}
	r.topicLen = uint16(len(p.Topic))
	b := append(r.buf[:0], p.Topic...)
	if p.Props.Len() > 0 {
		b = p.Props.AppendTo(b)
	}
	r.propsLen = uint32(len(b) - len(p.Topic))
	r.buf = append(b, p.Payload...)
	s.out.bytes += len(r.buf)
}

// sent moves the queued message i to those that were sent.
func (s *Session) sent(i uint32, id uint16) {
	r := &s.out.slab[i]
	r.id = id
	s.out.bytes -= len(r.buf)
	s.out.move(i, listSent)
	s.note(OpSent, 0, id, i)
}

// release moves the message i to those whose PUBREL is under way.
func (s *Session) release(i uint32) {
	s.out.move(i, listReleased)
	s.note(OpRelease, 0, 0, i)
}

// finish ends an exchange; its event tells why it was dropped, or that it was
// not. The identifier is free again.
func (s *Session) finish(i uint32, why DropReason, code ReasonCode) {
	if s.out.slab[i].list != listRequests {
		s.note(OpDelete, 0, 0, i)
	}
	s.done(i, why, code)
}

// retire ends an exchange whose fate is told already.
func (s *Session) retire(i uint32) {
	r := &s.out.slab[i]
	if r.list != listRequests {
		s.note(OpDelete, 0, 0, i)
	}
	s.out.ids.giveBack(r.id)
	r.id = 0
	s.free(i)
}

// done is finish without an op.
func (s *Session) done(i uint32, why DropReason, code ReasonCode) {
	r := &s.out.slab[i]
	if r.list == listQueued {
		s.out.bytes -= len(r.buf)
	}
	if r.id != 0 {
		s.out.ids.giveBack(r.id)
		r.id = 0
	}
	r.why, r.code = why, code
	if cap(r.buf) > keepBuf && s.untaken() == 0 && r.flags&isOwn == 0 { // it is not needed to tell the fate
		r.buf = nil
	}
	s.out.move(i, listDone)
}

// hold ends an exchange whose identifier must stay taken while the session
// lives: the server may have the message, and answer it yet. Another record
// tells its fate.
func (s *Session) hold(i uint32, why DropReason, code ReasonCode) {
	told := s.out.get(listDone)
	r := &s.out.slab[i]
	s.out.slab[told].tag, s.out.slab[told].why, s.out.slab[told].code = r.tag, why, code
	s.out.move(i, listHeld)
	s.note(OpHold, 0, 0, i)
}

// unhold frees a held identifier.
func (s *Session) unhold(i uint32) {
	s.out.ids.giveBack(s.out.slab[i].id)
	s.note(OpDelete, 0, 0, i)
	s.free(i)
}

// free gives a record back, once no untaken op names it.
func (s *Session) free(i uint32) {
	if s.untaken() == 0 || s.out.slab[i].qos() == QoS0 { // no op names a request
		s.out.put(i)
		return
	}
	s.out.unlink(i)
	s.out.slab[i].list = listLimbo
	s.j.limbo.push(inLimbo{record: i, taken: s.j.taken + uint64(s.untaken())})
}

// drop ends all exchanges of a list, without ops.
func (s *Session) drop(l listID, why DropReason) {
	for i := s.out.lists[l].head; i != 0; i = s.out.lists[l].head {
		s.done(i, why, 0)
	}
}

// forget drops what the server does not know any more: all that was sent, and
// the received identifiers. What was never sent stays unless queued is set.
func (s *Session) forget(why DropReason, queued bool) {
	flags := uint8(clearSent | clearIncoming)
	s.drop(listReleased, why)
	s.drop(listSent, why)
	if queued {
		flags |= clearQueued
		s.drop(listQueued, why)
	}
	for i := s.out.lists[listHeld].head; i != 0; i = s.out.lists[listHeld].head {
		s.out.ids.giveBack(s.out.slab[i].id)
		s.free(i)
	}
	s.inbox.clear()
	s.note(OpClear, flags, 0, 0)
}

// forgetIncoming drops the received identifiers alone.
func (s *Session) forgetIncoming() {
	s.inbox.clear()
	s.note(OpClear, clearIncoming, 0, 0)
}

// setMeta notes what is known of the session.
func (s *Session) setMeta(id []byte, expiry uint32, established, tried bool) {
	if string(id) != string(s.clientID) {
		s.clientID = append([]byte(nil), id...)
	} else if expiry == s.expiry && established == s.established && tried == s.tried {
		return
	}
	s.expiry, s.established, s.tried = expiry, established, tried
	s.note(OpMeta, 0, 0, 0)
}

// received takes an incoming QoS 2 message as the application's.
func (s *Session) received(at uint16) { s.note(OpPutIncoming, 0, s.inbox.slab[at].id, 0) }

// released ends an incoming QoS 2 message.
func (s *Session) released(at uint16) {
	s.note(OpDeleteIncoming, 0, s.inbox.slab[at].id, 0)
	s.inbox.remove(at)
}

// OutgoingState is where an outgoing message is.
type OutgoingState uint8

// The states of an outgoing message.
const (
	OutgoingQueued   OutgoingState = iota // never sent
	OutgoingSent                          // sent, not acknowledged
	OutgoingReleased                      // received by the server, which has yet to forget its identifier
)

// String names the state.
func (s OutgoingState) String() string {
	return nameOf([]string{"queued", "sent", "released"}, uint8(s))
}

// OutgoingMessage is a message that is not finished. Its texts alias the
// session and hold until the next call of a method of the client.
type OutgoingMessage struct {
	State   OutgoingState
	Tag     uint64
	Message Publish   // ID is 0 when it was never sent; a released one has no content
	Expires time.Time // end of the message expiry interval; zero: none
}

// Outgoing yields the outgoing messages that are not finished, in the order in
// which they go or went out: those released, those sent, those queued. Tags
// survive a restart here.
func (s *Session) Outgoing() iter.Seq[OutgoingMessage] {
	return func(yield func(OutgoingMessage) bool) {
		for _, l := range [...]struct {
			state OutgoingState
			list  listID
		}{{OutgoingReleased, listReleased}, {OutgoingSent, listSent}, {OutgoingQueued, listQueued}} {
			for i := s.out.lists[l.list].head; i != 0; i = s.out.next(i) {
				r := &s.out.slab[i]
				m := OutgoingMessage{State: l.state, Tag: r.tag}
				m.Message = Publish{ID: r.id, QoS: r.qos()}
				if l.state != OutgoingReleased {
					m.Message.Topic, m.Message.Payload, m.Message.Retain = r.topic(), r.payload(), r.flags&flagRetain != 0
					m.Message.Props, _ = ParseProperties(r.props())
				}
				if r.expires != 0 {
					m.Expires = time.Unix(0, r.expires)
				}
				if !yield(m) {
					return
				}
			}
		}
	}
}
