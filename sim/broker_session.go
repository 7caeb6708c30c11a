// This file holds what the broker keeps for a client between its connections,
// and the exchanges of QoS 1 and 2 in both directions. Which messages come to a
// session stands in broker_route.go.

package sim

import (
	"hash/crc32"
	"slices"
	"time"

	"mqttcore"
)

const forever = 0xFFFFFFFF // a session expiry interval

// session is what the broker keeps for a client identifier.
type session struct {
	b     *Broker
	id    string
	link  *link // nil: not connected
	ended bool
	subs  []*subscription

	expiry  uint32        // seconds
	expires time.Duration // while not connected
	alarm   time.Duration

	will   *message
	delay  time.Duration
	willAt time.Duration // while not connected

	// To the client: what waits, what was sent and is not finished, in order, and
	// the latter by packet identifier.
	queue, sent line
	ids         map[uint16]*exchange
	nextID      uint16
	low         uint16 // the identifiers up to this one are all taken
	held        int    // identifiers in ids without an exchange
	stalled     int    // exchanges in sent that this connection has still to send again

	// From the client: what its packet identifiers last stood for.
	arrivals map[uint16]arrival
	arrived  uint32 // how many messages
	recs     uint32 // how many PUBRECs were sent
	open     int    // QoS 2 messages that are not released
}

// exchange is a message on its way to a client.
type exchange struct {
	prev, next *exchange
	m          *message
	id         uint16
	qos        mqttcore.QoS
	retain     bool
	ids        []uint32 // subscription identifiers
	share      *share   // nil: not of a shared subscription
	released   bool     // PUBREC came
	dup        bool     // was sent on an earlier connection
	stalled    bool     // is to be sent again on this one
	charged    bool     // counts against this connection's quota
	copies     int      // PUBLISHes on this connection that no PUBREC has answered
}

// line is a list of exchanges, in order.
type line struct {
	first, last *exchange
	n           int
}

func (q *line) push(x *exchange) {
	x.prev, x.next = q.last, nil
	if q.last != nil {
		q.last.next = x
	} else {
		q.first = x
	}
	q.last = x
	q.n++
}

func (q *line) remove(x *exchange) {
	if x.prev != nil {
		x.prev.next = x.next
	} else {
		q.first = x.next
	}
	if x.next != nil {
		x.next.prev = x.prev
	} else {
		q.last = x.prev
	}
	x.prev, x.next = nil, nil
	q.n--
}

// arrival is a message of QoS 1 or 2 that came from the client.
type arrival struct {
	number uint32 // in the order in which the messages first came
	digest uint32
	on     uint64 // number of the connection against whose window it counts
	last   uint64 // number of the connection on which its PUBREL last came
	rec    uint32 // of the PUBRECs that were sent, the last for it
	state  arrivalState
}

type arrivalState uint8

const (
	arrivalAnswered arrivalState = iota // finished, as far as the broker is concerned
	arrivalOwed                         // QoS 1, taken, and PUBACK has not been sent
	arrivalHeld                         // QoS 2, and PUBREC has not been sent
	arrivalReceived                     // QoS 2, and PUBREC has been sent
	arrivalReleased                     // QoS 2, and PUBREL has come
)

func (b *Broker) newExchange() *exchange {
	if n := len(b.free); n > 0 {
		x := b.free[n-1]
		b.free = b.free[:n-1]
		return x
	}
	return new(exchange)
}

// due implements sleeper.
func (s *session) due() time.Duration {
	if s.link != nil || s.ended {
		return never
	}
	if s.will != nil {
		return min(s.expires, s.willAt)
	}
	return s.expires
}

func (s *session) alarmed() *time.Duration { return &s.alarm }

// ring implements sleeper.
func (s *session) ring() {
	if s.expires <= s.b.now {
		s.b.end(s)
	} else {
		s.publishWill()
	}
}

// left is told that the connection is gone.
func (s *session) left() {
	for x := s.sent.first; x != nil; x = x.next {
		x.dup = true
		x.stalled, x.charged, x.copies = false, false, 0
	}
	s.stalled = 0
	if s.will != nil && s.delay == 0 {
		s.publishWill()
	}
	if s.expiry == 0 {
		s.b.end(s)
		return
	}
	s.expires, s.willAt = never, s.b.now+s.delay
	if s.expiry != forever {
		s.expires = s.b.now + time.Duration(s.expiry)*time.Second
	}
	s.b.arm(s)
}

func (s *session) setWill(w *mqttcore.Will) {
	seconds, _ := w.Props.WillDelay()
	s.delay = time.Duration(seconds) * time.Second
	p := mqttcore.Publish{Topic: w.Topic, Payload: w.Payload, QoS: w.QoS, Retain: w.Retain}
	props, err := mqttcore.ParseProperties(w.Props.AppendWithout(nil, mqttcore.PropWillDelay.Mask()))
	if err != nil {
		panic("sim: " + err.Error())
	}
	p.Props = props
	s.will = &message{Publish: p}
}

// publishWill publishes the will, if there is one left.
func (s *session) publishWill() {
	if w := s.will; w != nil {
		s.will = nil
		s.b.Stats.Wills++
		s.b.accept(s, &w.Publish)
	}
}

// deliver takes on to bring a message to the client. The message is lent.
func (s *session) deliver(m *message, q mqttcore.QoS, retain bool, ids []uint32, of *share) {
	if q == mqttcore.QoS0 {
		if s.link != nil && s.link.sendMessage(m, 0, q, false, retain, ids) {
			s.told(m, q, retain)
		}
		return
	}
	x := s.b.newExchange()
	*x = exchange{m: m.keep(), qos: q, retain: retain, ids: slices.Clone(ids), share: of}
	s.queue.push(x)
	s.told(m, q, retain)
	s.pump()
}

// told counts a message that is brought to the client.
func (s *session) told(m *message, q mqttcore.QoS, retain bool) {
	s.b.Stats.Delivered++
	if s.b.OnDeliver != nil {
		p := &s.b.hooked
		*p = m.Publish
		p.QoS, p.Retain = q, retain
		s.b.OnDeliver(s.id, p)
	}
}

// pump sends what the client's Receive Maximum lets through: first what is to be
// sent again, in its order, then what waits (MQTT-4.9.0-2).
func (s *session) pump() {
	l := s.link
	if l == nil || l.mute {
		return
	}
	for x := s.sent.first; x != nil && s.stalled > 0 && l.quota > 0; {
		next := x.next
		if x.stalled {
			s.unstall(x)
			s.transmit(x)
		}
		x = next
	}
	for s.stalled == 0 && l.quota > 0 && s.queue.n > 0 {
		x := s.queue.first
		if x.m.expired(s.b.now) { // MQTT-3.3.2-5
			s.queue.remove(x)
			s.discard(x)
			continue
		}
		if !s.identify(x) {
			return
		}
		s.queue.remove(x)
		s.sent.push(x)
		s.transmit(x)
	}
}

// identify gives x a packet identifier that is not in use (MQTT-2.2.1-4).
func (s *session) identify(x *exchange) bool {
	if len(s.ids) >= 0xFFFF {
		return false
	}
	if s.ids == nil {
		s.ids = map[uint16]*exchange{}
	}
	if s.b.Config.LowIDs {
		s.nextID = s.low
	}
	for {
		if s.nextID++; s.nextID == 0 {
			s.nextID = 1
		}
		if _, taken := s.ids[s.nextID]; !taken {
			x.id = s.nextID
			s.ids[x.id] = x
			if s.b.Config.LowIDs {
				s.low = x.id
			}
			return true
		}
	}
}

// release makes a packet identifier free.
func (s *session) release(id uint16) {
	delete(s.ids, id)
	s.low = min(s.low, id-1)
}

// transmit sends PUBLISH, or PUBREL where that is what is next.
func (s *session) transmit(x *exchange) {
	l := s.link
	if x.dup {
		s.b.Stats.Resent++
	}
	if x.released {
		l.sendAck(mqttcore.TypePubRel, x.id, mqttcore.ReasonSuccess, x.dup && l.d.Version == mqttcore.V31)
		return
	}
	if !l.sendMessage(x.m, x.id, x.qos, x.dup, x.retain, x.ids) {
		// Too large for the client: as good as delivered (MQTT-3.1.2-25). One that
		// may have arrived before keeps its identifier, which the client may know.
		s.sent.remove(x)
		if x.dup {
			s.ids[x.id] = nil
			s.held++
		} else {
			s.release(x.id)
		}
		s.discard(x)
		return
	}
	x.charged = true
	l.quota--
	x.copies++
	if x.qos == mqttcore.QoS1 {
		l.toAck = append(l.toAck, x.id)
	} else {
		l.toRec = append(l.toRec, x.id)
	}
}

// discard forgets an exchange whose message will not be delivered.
func (s *session) discard(x *exchange) {
	s.b.Stats.Discarded++
	if s.b.OnDiscard != nil {
		p := x.m.Publish
		p.QoS, p.Retain = x.qos, x.retain
		s.b.OnDiscard(s.id, &p)
	}
	s.b.recycle(x)
}

func (b *Broker) recycle(x *exchange) {
	*x = exchange{}
	b.free = append(b.free, x)
}

// finish ends an exchange.
func (s *session) finish(x *exchange) {
	s.sent.remove(x)
	s.release(x.id)
	s.unstall(x)
	if x.charged {
		s.link.quota++
	}
	s.b.recycle(x)
}

func (s *session) unstall(x *exchange) {
	if x.stalled {
		x.stalled = false
		s.stalled--
	}
}

// resume goes on with a session on a new connection (MQTT-4.4.0-1). A client of
// 3.1.1 that is told of no session begins its received identifiers anew.
func (s *session) resume(present bool) {
	if !present {
		return
	}
	s.link.belated()
	for x := s.sent.first; x != nil; {
		next := x.next
		if x.released || s.link.quota > 0 && s.stalled == 0 {
			s.transmit(x)
		} else {
			x.stalled = true
			s.stalled++
		}
		x = next
	}
	s.pump()
}

// publish handles a PUBLISH of the client's.
func (l *link) publish(f mqttcore.Frame) {
	b, p := l.b, &l.b.pub
	if !l.decoded(p, f) || !l.legal(p) {
		return
	}
	if p.QoS == mqttcore.QoS0 {
		b.receive(l.s, p)
		return
	}
	s := l.s
	if s.arrivals == nil {
		s.arrivals = map[uint16]arrival{}
	}
	if b.OnCopy != nil {
		b.OnCopy(s.id, l.conn, p)
	}
	a, known := s.arrivals[p.ID]
	held := known && (a.state == arrivalHeld || a.state == arrivalReceived)
	digest := uint32(0)
	if held || p.QoS == mqttcore.QoS2 || b.Config.Unique {
		digest = crc32.Update(crc32.Update(uint32(p.QoS), castagnoli, p.Topic), castagnoli, p.Payload)
	}
	if held {
		l.repeated(p, a, digest)
		return
	}
	again := p.Dup && known && b.Config.Unique && digest == a.digest
	if again && a.state == arrivalReleased {
		l.violate(l.rule("MQTT-4.3.3-6"), "message sent again after its PUBREL")
	}
	if !again {
		s.arrived++
		a.number = s.arrived
	}
	// With an identifier that is known, it may be an old message or a new one
	// that never came before.
	if p.Dup && (!known || b.Config.Unique) {
		l.inOrder(a.number)
	}
	a.digest, a.on, a.state = digest, l.conn.id, arrivalAnswered
	if l.unacked++; l.unacked > int(l.receiveMaximum) {
		l.fault(mqttcore.ReasonReceiveMaximumExceeded, "5.0:MQTT-3.3.4-9", "more unfinished messages than the Receive Maximum")
		return
	}
	code, t := b.receive(s, p), mqttcore.TypePubAck
	if p.QoS == mqttcore.QoS2 {
		t = mqttcore.TypePubRec
	}
	switch {
	case code.IsError():
	case t == mqttcore.TypePubAck:
		if l.holdsBack() {
			a.state = arrivalOwed
		}
	default:
		a.state = arrivalHeld
		s.open++
	}
	s.arrivals[p.ID] = a
	l.acknowledge(t, p.ID, code)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// legal reports whether the client may send such a message, answers if not, and
// resolves its topic alias.
func (l *link) legal(p *mqttcore.Publish) bool {
	switch {
	case p.QoS > l.maximumQoS:
		l.fault(mqttcore.ReasonQoSNotSupported, "5.0:MQTT-3.2.2-11", "QoS above the Maximum QoS")
		return false
	case p.Retain && l.noRetain:
		l.fault(mqttcore.ReasonRetainNotSupported, "5.0:MQTT-3.2.2-14", "RETAIN, which is not available")
		return false
	}
	alias, ok := p.Props.TopicAlias()
	if !ok {
		return true
	}
	if alias > l.aliasMaximum {
		l.fault(mqttcore.ReasonTopicAliasInvalid, "5.0:MQTT-3.2.2-17", "topic alias above the Topic Alias Maximum")
		return false
	}
	known := &l.aliasesIn[alias-1]
	if len(p.Topic) > 0 {
		*known = append((*known)[:0], p.Topic...)
	} else if p.Topic = *known; len(p.Topic) == 0 {
		l.fault(mqttcore.ReasonProtocolError, "5.0:§3.3.4", "topic alias that stands for no topic")
		return false
	}
	return true
}

// inOrder checks that old messages come again in the order in which they first
// came.
func (l *link) inOrder(number uint32) {
	if number < l.resentTo {
		l.violate(l.rule("MQTT-4.6.0-1"), "messages sent again in another order")
	}
	l.resentTo = number
}

// relInOrder checks that PUBRELs come again in the order of the PUBRECs of
// earlier connections.
func (l *link) relInOrder(rec uint32) {
	if rec < l.relTo {
		l.violate(l.rule("MQTT-4.6.0-4"), "PUBRELs sent again in another order than the PUBRECs")
	}
	l.relTo = rec
}

// repeated handles a PUBLISH whose identifier stands for a QoS 2 message that is
// not released (MQTT-4.3.3-10).
func (l *link) repeated(p *mqttcore.Publish, a arrival, digest uint32) {
	switch {
	case digest != a.digest:
		l.violate(l.rule("MQTT-2.2.1-3"), "packet identifier of an unfinished message used for another one")
	case !p.Dup:
		l.violate(l.rule("MQTT-3.3.1-1"), "message sent again without DUP")
	case a.on == l.conn.id && l.d.Version == mqttcore.V5:
		l.violate("5.0:MQTT-4.4.0-1", "message sent again on the same connection")
	case a.on != l.conn.id:
		l.inOrder(a.number)
	}
	l.b.Stats.Repeats++
	if a.on != l.conn.id {
		a.on = l.conn.id
		if l.unacked++; l.unacked > int(l.receiveMaximum) {
			l.fault(mqttcore.ReasonReceiveMaximumExceeded, "5.0:MQTT-3.3.4-9", "more unfinished messages than the Receive Maximum")
			return
		}
	}
	l.s.arrivals[p.ID] = a
	l.acknowledge(mqttcore.TypePubRec, p.ID, mqttcore.ReasonSuccess)
}

// answer sends an acknowledgement of the client's message.
func (l *link) answer(t mqttcore.PacketType, id uint16, code mqttcore.ReasonCode) {
	switch a := l.s.arrivals[id]; {
	case t == mqttcore.TypePubRec && !code.IsError():
		if a.state == arrivalHeld {
			a.state = arrivalReceived
		}
		l.s.recs++
		a.rec = l.s.recs
		l.s.arrivals[id] = a
		l.toRel = append(l.toRel, id)
	case t == mqttcore.TypePubComp:
		if a.on == l.conn.id && a.state == arrivalReleased {
			l.unacked--
			a.on = 0
			l.s.arrivals[id] = a
		}
	default: // PUBACK, or a PUBREC that refuses
		l.unacked--
		if a.state == arrivalOwed {
			a.state = arrivalAnswered
			l.s.arrivals[id] = a
		}
	}
	l.sendAck(t, id, code, false)
}

func (l *link) sendAck(t mqttcore.PacketType, id uint16, code mqttcore.ReasonCode, dup bool) {
	p := &l.b.ack
	*p = mqttcore.Ack{Type: t, ID: id, Dup: dup}
	if l.d.Version == mqttcore.V5 {
		p.Code = code
		p.Props = l.remarks(false)
		if l.longForm(p) {
			return
		}
	}
	l.send(p)
}

// acknowledged handles PUBACK, PUBREC, PUBREL and PUBCOMP.
func (l *link) acknowledged(p *mqttcore.Ack) {
	if p.Type == mqttcore.TypePubRel {
		l.released(p)
		return
	}
	s := l.s
	x := s.ids[p.ID]
	if x == nil {
		l.unknown(p)
		return
	}
	id, code := p.ID, p.Code // sending uses p again
	switch p.Type {
	case mqttcore.TypePubAck:
		if x.qos != mqttcore.QoS1 {
			l.fault(mqttcore.ReasonProtocolError, l.rule("MQTT-4.3.3-3"), "PUBACK for a QoS 2 message")
			return
		}
		if x.copies == 0 {
			l.unknown(p)
			return
		}
		l.toAck = l.answered(l.toAck, id, "MQTT-4.6.0-2", "PUBACKs in another order than the messages")
		s.finish(x)
	case mqttcore.TypePubRec:
		if x.qos != mqttcore.QoS2 {
			l.fault(mqttcore.ReasonProtocolError, l.rule("MQTT-4.3.2-3"), "PUBREC for a QoS 1 message")
			return
		}
		switch {
		case x.copies > 0:
			x.copies--
			l.toRec = l.answered(l.toRec, id, "MQTT-4.6.0-3", "PUBRECs in another order than the messages")
		case !l.wasProvoked(mqttcore.TypePubRec, id):
			l.unknown(p)
			return
		}
		if code.IsError() { // MQTT-4.4.0-2
			s.finish(x)
			break
		}
		if x.released { // the answer to a repeat
			l.provoked = append(l.provoked, provocation{mqttcore.TypePubComp, id})
		}
		x.released = true
		l.sendAck(mqttcore.TypePubRel, id, mqttcore.ReasonSuccess, false)
	case mqttcore.TypePubComp:
		if !x.released {
			l.fault(mqttcore.ReasonProtocolError, l.rule("MQTT-4.3.3-4"), "PUBCOMP without PUBREL")
			return
		}
		s.finish(x)
	}
	s.pump()
}

// answered takes id off the list of what the client has to answer; it should
// be the first.
func (l *link) answered(list []uint16, id uint16, statement, text string) []uint16 {
	i := slices.Index(list, id)
	if i > 0 {
		l.violate(l.rule(statement), text)
	}
	if i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	return list
}

// unknown handles an acknowledgement of what was not sent on this connection.
func (l *link) unknown(p *mqttcore.Ack) {
	t, id := p.Type, p.ID // sending uses p again
	if !l.wasProvoked(t, id) {
		l.violate(l.rule("MQTT-2.2.1-5"), t.String()+" for a packet identifier that has none to come")
	}
	if t == mqttcore.TypePubRec && !p.Code.IsError() {
		l.sendAck(mqttcore.TypePubRel, id, mqttcore.ReasonPacketIdentifierNotFound, false)
		l.provoked = append(l.provoked, provocation{mqttcore.TypePubComp, id})
	}
}

// wasProvoked reports whether the client answers to an oddity.
func (l *link) wasProvoked(t mqttcore.PacketType, id uint16) bool {
	i := slices.Index(l.provoked, provocation{t, id})
	if i >= 0 {
		l.provoked = slices.Delete(l.provoked, i, i+1)
	}
	return i >= 0
}

// released handles PUBREL. One that comes again on a new connection has been
// answered before, and is answered once more.
func (l *link) released(p *mqttcore.Ack) {
	id, code := p.ID, mqttcore.ReasonSuccess
	a, known := l.s.arrivals[id]
	asked := slices.Contains(l.toRel, id) // on this connection
	if asked {
		l.toRel = l.answered(l.toRel, id, "MQTT-4.6.0-4", "PUBRELs in another order than the PUBRECs")
	}
	switch {
	case known && a.state == arrivalReleased && l.wasProvoked(mqttcore.TypePubRel, id):
		return // the answer to a repeat: PUBCOMP is on its way
	case known && a.state == arrivalHeld:
		l.violate(l.rule("MQTT-4.3.3-4"), "PUBREL without PUBREC")
		fallthrough
	case known && a.state == arrivalReceived:
		if !asked {
			l.relInOrder(a.rec)
		}
		a.state = arrivalReleased
		l.s.open--
	default: // 3.x sends it again even when the session was lost
		code = mqttcore.ReasonPacketIdentifierNotFound
		again := a.state == arrivalReleased && a.last != l.conn.id
		lost := !known && l.d.Version != mqttcore.V5
		switch {
		case asked || l.wasProvoked(mqttcore.TypePubRel, id):
		case again:
			l.relInOrder(a.rec)
		case !lost:
			l.violate(l.rule("MQTT-4.3.3-4"), "PUBREL for a message that is not there")
		}
	}
	if known {
		a.last = l.conn.id
		l.s.arrivals[id] = a
	}
	l.acknowledge(mqttcore.TypePubComp, id, code)
}
