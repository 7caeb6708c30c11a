// This file holds what the broker does out of malice: things that are legal and
// that clients do not expect, and things that are not legal. What it does
// otherwise stands in the other broker files, which ask here for its mood.

package sim

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mqttcore"
)

// Hostility is how a [Broker] misbehaves. Chances are in a thousand, drawn from
// the world's source.
type Hostility struct {
	// Odd is the chance of a legal oddity after each packet, and wherever there
	// is an occasion for one: see [Oddities].
	Odd int
	// Talk is the chance of a reason string and user properties in a packet that
	// may have them.
	Talk int
	// Illegal is the chance, after each packet, of one that no server may send. In
	// place of CONNACK, of which there are few, it is ten times as likely. Nothing
	// follows it; the client is to close the connection, and when it does not, the
	// broker does after ten seconds.
	Illegal int
	// Late is the chance of a PUBACK that the end of a connection kept back, on the
	// next one and before the message comes again. It is given only where the
	// Receive Maximum makes sure that the message has not come again yet. The
	// client must keep what it was sent: limits must not be lowered in between.
	Late int
	// Shrink makes each connection have a Receive Maximum of its own, from 1 to
	// Shrink; 0: it is that of the configuration.
	Shrink int
}

// oddity is something legal that is not expected. To send a QoS 2 PUBLISH again
// on the same connection is for 3.x only (MQTT-4.4.0-1), but clients of all
// versions must stand it (MQTT-4.3.3-10).
type oddity uint8

const (
	oddNoMatching oddity = iota
	oddEarlyPublish
	oddAlias
	oddLongSubAck
	oddLongForm
	oddRefusal
	oddLateAck
	// The rest come of themselves.
	oddUnsolicited
	oddRepeatedPublish
	oddRepeatedPubRec
	oddPong
	oddUnknownAck
	oddDisconnect
	oddities
)

var oddNames = [oddities]string{
	oddNoMatching:      "PUBACK or PUBREC with 0x10",
	oddEarlyPublish:    "PUBLISH before SUBACK",
	oddAlias:           "topic alias remapped",
	oddLongSubAck:      "SUBACK or UNSUBACK of more than 127 bytes",
	oddLongForm:        "acknowledgement longer than need be",
	oddRefusal:         "CONNACK that refuses",
	oddLateAck:         "PUBACK of an earlier connection",
	oddUnsolicited:     "PUBLISH that nobody subscribed to",
	oddRepeatedPublish: "QoS 2 PUBLISH again before PUBREL",
	oddRepeatedPubRec:  "PUBREC again before PUBREL",
	oddPong:            "PINGRESP unasked",
	oddUnknownAck:      "acknowledgement of nothing",
	oddDisconnect:      "DISCONNECT",
}

// oddActs are how the oddities that come of themselves are done; they return
// false when there is no occasion.
var oddActs = [oddities]func(l *link) bool{
	oddUnsolicited:     (*link).unsolicited,
	oddRepeatedPublish: (*link).repeatPublish,
	oddRepeatedPubRec:  (*link).repeatPubRec,
	oddPong:            (*link).pong,
	oddUnknownAck:      (*link).unknownAck,
	oddDisconnect:      (*link).leave,
}

// Oddities are the names of the legal oddities that a hostile broker does, as
// Broker.OnOddity is told them.
func Oddities() []string { return slices.Clone(oddNames[:]) }

// odd reports whether an oddity is to be done now that there is an occasion.
func (b *Broker) odd(o oddity) bool {
	return b.Config.Hostile.Odd > 0 && b.host.w.chance(b.Config.Hostile.Odd) && b.did(o)
}

// did counts an oddity.
func (b *Broker) did(o oddity) bool {
	b.Stats.Oddities++
	if b.OnOddity != nil {
		b.OnOddity(oddNames[o])
	}
	return true
}

// mischief is done after a packet, or not.
func (l *link) mischief() {
	b, w := l.b, l.b.host.w
	if w.chance(b.Config.Hostile.Odd) {
		o := oddUnsolicited + oddity(w.src.Intn(int(oddities-oddUnsolicited)))
		if oddActs[o](l) {
			b.did(o)
		}
	}
	if l.state == linkConnected && w.chance(b.Config.Hostile.Illegal) {
		l.illegal()
	}
}

// belated acknowledges what the end of an earlier connection left unanswered.
// What the Receive Maximum has before it in the order of the messages, and is
// not finished either, keeps the client from sending it again before that.
func (l *link) belated() {
	s, b := l.s, l.b
	if b.Config.Hostile.Late == 0 || l.d.Version != mqttcore.V5 || l.mute {
		return
	}
	var open []uint16
	for id, a := range s.arrivals {
		if a.state == arrivalOwed || a.state == arrivalHeld || a.state == arrivalReceived {
			open = append(open, id)
		}
	}
	slices.SortFunc(open, func(x, y uint16) int { return cmp.Compare(s.arrivals[x].number, s.arrivals[y].number) })
	for i := int(l.receiveMaximum); i < len(open); i++ {
		id := open[i]
		if a := s.arrivals[id]; a.state == arrivalOwed && b.host.w.chance(b.Config.Hostile.Late) && b.did(oddLateAck) {
			a.state = arrivalAnswered
			s.arrivals[id] = a
			l.sendAck(mqttcore.TypePubAck, id, mqttcore.ReasonSuccess, false)
		}
	}
}

// window is the Receive Maximum of the next connection.
func (b *Broker) window() uint16 {
	if n := b.Config.Hostile.Shrink; n > 0 {
		return uint16(1 + b.host.w.src.Intn(min(n, 0xFFFF)))
	}
	if b.Config.ReceiveMaximum == 0 {
		return 0xFFFF
	}
	return b.Config.ReceiveMaximum
}

// mood is the reason not to let a client in at the moment, or success.
func (l *link) mood() mqttcore.ReasonCode {
	if !l.b.odd(oddRefusal) {
		return mqttcore.ReasonSuccess
	}
	codes := [...]mqttcore.ReasonCode{mqttcore.ReasonServerUnavailable, mqttcore.ReasonServerBusy}
	return codes[l.b.host.w.src.Intn(len(codes))]
}

// remarks are a reason string and user properties, or nothing. always is for
// CONNACK and DISCONNECT, which may have them even when the client asked for
// none (MQTT-3.1.2-29).
func (l *link) remarks(always bool) (p mqttcore.Properties) {
	b := l.b
	if talk := b.Config.Hostile.Talk; talk == 0 || l.d.Version != mqttcore.V5 || !(always || l.problemInfo) || !b.host.w.chance(talk) {
		return p
	}
	l.add(&p, mqttcore.UserProperty("mood", "bad"))
	l.add(&p, mqttcore.ReasonString("because"))
	l.add(&p, mqttcore.UserProperty("mood", "worse"))
	return p
}

// longRemarks are those of SUBACK and UNSUBACK.
func (l *link) longRemarks() mqttcore.Properties {
	if l.d.Version != mqttcore.V5 || !l.problemInfo || !l.b.odd(oddLongSubAck) {
		return l.remarks(false)
	}
	var p mqttcore.Properties
	l.add(&p, mqttcore.ReasonString(strings.Repeat("and so on, ", 20)))
	return p
}

// longForm sends an acknowledgement of success with the reason code that could
// be left out, or with an empty list of properties as well.
func (l *link) longForm(p *mqttcore.Ack) bool {
	if l.d.Version != mqttcore.V5 || p.Code != mqttcore.ReasonSuccess || p.Props.Len() > 0 ||
		l.mute || l.state == linkOver || l.largest > 0 && l.largest < 6 || !l.b.odd(oddLongForm) {
		return false
	}
	f := mqttcore.Frame{Type: p.Type, Body: []byte{byte(p.ID >> 8), byte(p.ID), 0, 0}}
	f.Body = f.Body[:3+l.b.host.w.src.Intn(2)]
	if p.Type == mqttcore.TypePubRel {
		f.Flags = 2
	}
	l.out = f.AppendTo(l.out)
	l.b.Stats.PacketsOut++
	l.mark()
	return true
}

// unsolicited sends a message that nobody asked for.
func (l *link) unsolicited() bool {
	p := mqttcore.Publish{Topic: []byte("odd/unsolicited"), Payload: fmt.Appendf(nil, "unsolicited %d", l.b.Stats.Oddities)}
	m := &message{Publish: p, expires: never}
	l.s.deliver(m, mqttcore.QoS(l.b.host.w.src.Intn(3)), false, nil, nil)
	return true
}

// repeatPublish sends the oldest QoS 2 message that was not answered again.
func (l *link) repeatPublish() bool {
	for x := l.s.sent.first; x != nil; x = x.next {
		if x.qos == mqttcore.QoS2 && x.copies > 0 && !x.released {
			l.provoked = append(l.provoked, provocation{mqttcore.TypePubRec, x.id})
			return l.sendMessage(x.m, x.id, x.qos, true, x.retain, x.ids)
		}
	}
	return false
}

// repeatPubRec sends the oldest PUBREC that was not answered again.
func (l *link) repeatPubRec() bool {
	if len(l.toRel) == 0 {
		return false
	}
	id := l.toRel[0]
	l.provoked = append(l.provoked, provocation{mqttcore.TypePubRel, id})
	l.sendAck(mqttcore.TypePubRec, id, mqttcore.ReasonSuccess, false)
	return true
}

func (l *link) pong() bool {
	return l.send(&mqttcore.Ping{Type: mqttcore.TypePingResp})
}

// unknownAck acknowledges what is not there. The identifier is one of the last,
// which a client that takes low ones first does not come to.
func (l *link) unknownAck() bool {
	s, src := l.s, l.b.host.w.src
	id := uint16(0xFFFF - src.Intn(8))
	if _, used := s.ids[id]; used || s.nextID > 60000 || len(s.arrivals) > 60000 {
		return false
	}
	kinds := [...]mqttcore.PacketType{mqttcore.TypePubAck, mqttcore.TypePubRec, mqttcore.TypePubRel,
		mqttcore.TypePubComp, mqttcore.TypeSubAck, mqttcore.TypeUnsubAck}
	switch t := kinds[src.Intn(len(kinds))]; t {
	case mqttcore.TypeSubAck:
		return l.send(&mqttcore.SubAck{ID: id, Codes: []byte{0}})
	case mqttcore.TypeUnsubAck:
		p := &mqttcore.UnsubAck{ID: id}
		if l.d.Version == mqttcore.V5 {
			p.Codes = []byte{0}
		}
		return l.send(p)
	default:
		switch t {
		case mqttcore.TypePubRec: // PUBREL must follow, in its order: MQTT-4.6.0-4
			l.toRel = append(l.toRel, id)
		case mqttcore.TypePubRel:
			l.provoked = append(l.provoked, provocation{mqttcore.TypePubComp, id})
		}
		l.sendAck(t, id, mqttcore.ReasonSuccess, false)
	}
	return true
}

// leave ends the connection for no reason of the client's.
func (l *link) leave() bool {
	codes := [...]mqttcore.ReasonCode{mqttcore.ReasonServerShuttingDown, mqttcore.ReasonServerBusy,
		mqttcore.ReasonUseAnotherServer, mqttcore.ReasonServerMoved, mqttcore.ReasonAdministrativeAction,
		mqttcore.ReasonQuotaExceeded, mqttcore.ReasonMaximumConnectTime}
	code, reference := codes[l.b.host.w.src.Intn(len(codes))], ""
	if code == mqttcore.ReasonUseAnotherServer || code == mqttcore.ReasonServerMoved {
		reference = "elsewhere:1883"
	}
	l.disconnect(code, reference)
	return true
}

const (
	in31 = 1 << iota
	in311
	in5
	in3   = in31 | in311
	inAll = in3 | in5
)

// illegality is a packet that no server may send, in the versions of in.
type illegality struct {
	name  string
	in    uint8
	bytes string
}

// illegalTable is what no server may send to a client that is connected, in the
// versions named.
var illegalTable = [...]illegality{
	{"type 0", inAll, "\x00\x00"},
	{"CONNECT", inAll, "\x10\x00"},
	{"second CONNACK", in3, "\x20\x02\x00\x00"},
	{"second CONNACK", in5, "\x20\x03\x00\x00\x00"},
	{"SUBSCRIBE", inAll, "\x82\x06\x00\x01\x00\x01a\x00"},
	{"UNSUBSCRIBE", inAll, "\xA2\x05\x00\x01\x00\x01a"},
	{"PINGREQ", inAll, "\xC0\x00"},
	{"PINGRESP with a body", inAll, "\xD0\x01\x00"},
	{"DISCONNECT before 5.0", in3, "\xE0\x00"},
	{"AUTH before 5.0", in3, "\xF0\x00"},
	{"remaining length of five bytes", inAll, "\x30\xFF\xFF\xFF\xFF\x01"},
	{"remaining length not the shortest", in5, "\xD0\x80\x00"},
	{"QoS 3", in3, "\x36\x05\x00\x01a\x00\x01"},
	{"QoS 3", in5, "\x36\x06\x00\x01a\x00\x01\x00"},
	{"DUP at QoS 0", in311, "\x38\x03\x00\x01a"},
	{"DUP at QoS 0", in5, "\x38\x04\x00\x01a\x00"},
	{"topic with wildcard", in3, "\x30\x05\x00\x03a/#"},
	{"topic with wildcard", in5, "\x30\x06\x00\x03a/#\x00"},
	{"topic that is no UTF-8", in311, "\x30\x04\x00\x02\xFF\xFE"},
	{"topic that is no UTF-8", in5, "\x30\x05\x00\x02\xFF\xFE\x00"},
	{"topic with U+0000", in311, "\x30\x03\x00\x01\x00"},
	{"empty topic", in3, "\x30\x02\x00\x00"},
	{"empty topic without alias", in5, "\x30\x03\x00\x00\x00"},
	{"topic past the end", inAll, "\x30\x03\x00\x09a"},
	{"PUBLISH of identifier 0", in3, "\x32\x05\x00\x01a\x00\x00"},
	{"PUBLISH of identifier 0", in5, "\x32\x06\x00\x01a\x00\x00\x00"},
	{"PUBACK of identifier 0", inAll, "\x40\x02\x00\x00"},
	{"PUBACK too short", inAll, "\x40\x01\x00"},
	{"PUBACK too long", in3, "\x40\x03\x00\x01\x00"},
	{"PUBACK with flags", in311 | in5, "\x42\x02\x00\x01"},
	{"PUBREL without flags", in311 | in5, "\x60\x02\x00\x01"},
	{"PUBACK of no reason", in5, "\x40\x03\x00\x01\x05"},
	{"PUBREC of a client's reason", in5, "\x50\x03\x00\x01\x92"},
	{"SUBACK without codes", in3, "\x90\x02\x00\x01"},
	{"SUBACK without codes", in5, "\x90\x03\x00\x01\x00"},
	{"SUBACK of QoS 3", in3, "\x90\x03\x00\x01\x03"},
	{"SUBACK of QoS 3", in5, "\x90\x04\x00\x01\x00\x03"},
	{"UNSUBACK of identifier 0", in3, "\xB0\x02\x00\x00"},
	{"topic alias 0", in5, "\x30\x07\x00\x01a\x03\x23\x00\x00"},
	{"topic alias twice", in5, "\x30\x0A\x00\x01a\x06\x23\x00\x01\x23\x00\x01"},
	{"subscription identifier 0", in5, "\x30\x06\x00\x01a\x02\x0B\x00"},
	{"property that does not exist", in5, "\x30\x06\x00\x01a\x02\x7E\x00"},
	{"property of another packet", in5, "\x30\x07\x00\x01a\x03\x21\x00\x01"},
	{"properties past the end", in5, "\x30\x04\x00\x01a\x09"},
	{"payload format 2", in5, "\x30\x06\x00\x01a\x02\x01\x02"},
	{"response topic with wildcard", in5, "\x30\x08\x00\x01a\x04\x08\x00\x01#"},
	{"DISCONNECT of a client's reason", in5, "\xE0\x01\x04"},
	{"DISCONNECT with session expiry", in5, "\xE0\x07\x00\x05\x11\x00\x00\x00\x01"},
	{"AUTH without method", in5, "\xF0\x02\x18\x00"},
	{"AUTH of a client's reason", in5, "\xF0\x06\x19\x04\x15\x00\x01m"},
}

// illegal sends something illegal, after which the connection is good for
// nothing.
func (l *link) illegal() {
	src := l.b.host.w.src
	switch pick := src.Intn(4); {
	case pick > 1:
		if packet := l.mutated(); packet != nil {
			l.sendIllegal("a packet with a byte changed", packet)
			return
		}
	case pick == 1:
		if name, packet := l.misplaced(); packet != nil {
			l.sendIllegal(name, packet)
			return
		}
	}
	l.sendOf(illegalTable[:])
}

// sendOf sends one of a table's packets that the version has; the first is of
// all versions.
func (l *link) sendOf(table []illegality) {
	row := &table[l.b.host.w.src.Intn(len(table))]
	if row.in>>(l.d.Version-mqttcore.V31)&1 == 0 {
		row = &table[0]
	}
	l.sendIllegal(row.name, []byte(row.bytes))
}

func (l *link) sendIllegal(name string, packet []byte) {
	b := l.b
	l.out = append(l.out, packet...)
	b.Stats.Illegal++
	b.Stats.PacketsOut++
	if b.OnOddity != nil {
		b.OnOddity("illegal: " + name)
	}
	if b.OnIllegal != nil {
		b.OnIllegal(l.s.id, l.conn, l.faultOf(packet))
	}
	l.mute, l.until = true, b.now+illegalPatience
	l.mark()
	b.arm(l)
}

// faultOf is the reason code for which a packet is illegal: the codec's, or else
// it is where it comes that is wrong.
func (l *link) faultOf(packet []byte) mqttcore.ReasonCode {
	d := l.fromServer()
	f, _, err := mqttcore.ConsumeFrame(packet, d, 0)
	if err == nil {
		_, err = mqttcore.Decode(f, d)
	}
	var e *mqttcore.Error
	if errors.As(err, &e) && e.Code.AllowedIn(mqttcore.TypeDisconnect, mqttcore.FromClient) {
		return e.Code
	}
	return mqttcore.ReasonProtocolError
}

// misplaced is a packet that is illegal only now, nil when there is no occasion
// for one: an acknowledgement of the wrong kind, of a message that is certainly
// not finished.
func (l *link) misplaced() (name string, packet []byte) {
	for _, a := range l.acks {
		if l.s.arrivals[a.id].on != l.conn.id {
			continue
		}
		switch a.t {
		case mqttcore.TypePubAck:
			return "PUBREC for a QoS 1 message", []byte{0x50, 2, byte(a.id >> 8), byte(a.id)}
		case mqttcore.TypePubRec:
			return "PUBACK for a QoS 2 message", []byte{0x40, 2, byte(a.id >> 8), byte(a.id)}
		}
	}
	return "", nil
}

// greetings is what no server may send in place of CONNACK.
var greetings = [...]illegality{
	{"PINGRESP before CONNACK", inAll, "\xD0\x00"},
	{"PUBLISH before CONNACK", in3, "\x30\x03\x00\x01a"},
	{"PUBLISH before CONNACK", in5, "\x30\x04\x00\x01a\x00"},
	{"PUBACK before CONNACK", inAll, "\x40\x02\x00\x01"},
	{"SUBACK before CONNACK", in3, "\x90\x03\x00\x01\x00"},
	{"DISCONNECT before CONNACK", in5, "\xE0\x00"},
	{"AUTH of a method nobody named", in5, "\xF0\x08\x18\x06\x15\x00\x03odd"},
	{"CONNACK of nothing", inAll, "\x20\x00"},
	{"CONNACK with reserved flags", in311, "\x20\x02\x02\x00"},
	{"CONNACK with reserved flags", in5, "\x20\x03\x02\x00\x00"},
	{"CONNACK of no return code", in3, "\x20\x02\x00\x06"},
	{"CONNACK of a client's reason", in5, "\x20\x03\x00\x04\x00"},
	{"refusal with Session Present", in311, "\x20\x02\x01\x03"},
	{"refusal with Session Present", in5, "\x20\x03\x01\x88\x00"},
	{"CONNACK with Receive Maximum 0", in5, "\x20\x06\x00\x00\x03\x21\x00\x00"},
	{"CONNACK with Maximum QoS 2", in5, "\x20\x05\x00\x00\x02\x24\x02"},
	{"CONNACK with Maximum Packet Size 0", in5, "\x20\x08\x00\x00\x05\x27\x00\x00\x00\x00"},
	{"CONNACK with Server Keep Alive twice", in5, "\x20\x09\x00\x00\x06\x13\x00\x01\x13\x00\x01"},
	{"CONNACK with a method nobody named", in5, "\x20\x09\x00\x00\x06\x15\x00\x03odd"},
	{"CONNACK with a topic alias", in5, "\x20\x06\x00\x00\x03\x23\x00\x01"},
}

// spoil sends something illegal in place of CONNACK, or nothing.
func (l *link) spoil(c *mqttcore.Connect) bool {
	b := l.b
	if !b.host.w.chance(10 * b.Config.Hostile.Illegal) {
		return false
	}
	switch {
	case !c.CleanStart || l.d.Version == mqttcore.V31 || b.host.w.src.Intn(2) == 0:
		l.sendOf(greetings[:])
	case l.d.Version == mqttcore.V5:
		l.sendIllegal("Session Present on Clean Start", []byte("\x20\x03\x01\x00\x00"))
	default:
		l.sendIllegal("Session Present on Clean Start", []byte("\x20\x02\x01\x00"))
	}
	return true
}

// mutated is a packet that a server may send, with one byte changed such that it
// may not; nil when none was found. It is whole, as its length says: the client
// must see what is wrong without waiting for more.
func (l *link) mutated() []byte {
	src, d := l.b.host.w.src, l.fromServer()
	var props mqttcore.Properties
	l.add(&props, mqttcore.ContentType("odd"))
	l.add(&props, mqttcore.UserProperty("mood", "bad"))
	samples := [...]mqttcore.Packet{
		&mqttcore.Publish{Topic: []byte("odd/mutated"), Payload: []byte("x"), ID: 0xFFF0, QoS: mqttcore.QoS2},
		&mqttcore.Publish{Topic: []byte("odd/mutated"), Payload: []byte("x")},
		&mqttcore.SubAck{ID: 0xFFF0, Codes: []byte{0, 1, 2}},
		&mqttcore.Publish{Topic: []byte("odd/mutated"), Payload: []byte("x"), Props: props},
		&mqttcore.UnsubAck{ID: 0xFFF0, Codes: []byte{0, 0x11}},
		&mqttcore.Ack{Type: mqttcore.TypePubAck, ID: 0xFFF0},
		&mqttcore.Ack{Type: mqttcore.TypePubRel, ID: 0xFFF0},
		&mqttcore.Ack{Type: mqttcore.TypePubRec, ID: 0xFFF0, Code: mqttcore.ReasonQuotaExceeded},
		&mqttcore.Disconnect{Code: mqttcore.ReasonServerBusy},
		&mqttcore.Ping{Type: mqttcore.TypePingResp},
	}
	for range 8 {
		b, err := samples[src.Intn(len(samples))].AppendTo(nil, d)
		if err != nil {
			continue // the version does not have it
		}
		b[src.Intn(len(b))] ^= byte(1 + src.Intn(255))
		f, n, err := mqttcore.ConsumeFrame(b, d, 0)
		if err == nil && n == len(b) {
			_, err = mqttcore.Decode(f, d)
		}
		if err != nil {
			return b
		}
	}
	return nil
}
