// This file makes legal packets from a tape of bytes, for fuzzing: every packet
// that it makes can be encoded, and decodes to itself. A tape that has run out
// reads as zeros, which make the smallest packets.

package mqttcore

import "unicode/utf8"

// packetTape hands out its bytes one after the other.
type packetTape []byte

func (t *packetTape) byte() byte {
	if len(*t) == 0 {
		return 0
	}
	b := (*t)[0]
	*t = (*t)[1:]
	return b
}

// below is a number from 0 to n-1.
func (t *packetTape) below(n int) int {
	v := int(t.byte())
	if n > 256 {
		v |= int(t.byte())<<8 | int(t.byte())<<16
	}
	return v % n
}

func (t *packetTape) bool() bool { return t.byte()&1 == 1 }

func (t *packetTape) uint16() uint16 { return uint16(t.byte()) | uint16(t.byte())<<8 }

func (t *packetTape) uint32() uint32 { return uint32(t.uint16()) | uint32(t.uint16())<<16 }

// id is a packet identifier, never 0.
func (t *packetTape) id() uint16 { return max(t.uint16(), 1) }

// size is mostly small, at times hundreds, and rarely the limit.
func (t *packetTape) size(limit int) int {
	n := int(t.byte())
	switch {
	case n < 0xF0:
		return min(n%24, limit)
	case n < 0xFF || t.byte() < 0xF0:
		return min(int(t.byte())*8, limit)
	}
	return limit
}

// binary is n bytes of any value.
func (t *packetTape) binary(n int) []byte {
	b := make([]byte, n)
	first := t.byte()
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// alphabet is what strings are made of: one rune of every length, the borders
// of each, and characters that mean something in topics.
var alphabet = []rune{
	'a', 'b', '/', '$', ' ', 'Z', '"', '\x01', '\x7F', '\u0080', 'ü', '\u07FF', '\u0800', '中',
	'\uD7FF', '\uE000', '\uFEFF', '\uFFFF', '\U00010000', '😀', '\U0010FFFF', '~',
}

// text is a string of at most limit bytes, without wildcards.
func (t *packetTape) text(limit int) []byte {
	b := []byte{}
	for n := t.size(limit); len(b) < n; {
		c := alphabet[t.below(len(alphabet))]
		run := 1 + t.below(2)*t.below(64)
		for range run {
			if len(b)+utf8.RuneLen(c) > limit {
				return b
			}
			b = utf8.AppendRune(b, c)
		}
		if len(*t) == 0 {
			for len(b) < n {
				b = append(b, 'a')
			}
		}
	}
	return b
}

// topic is a topic name.
func (t *packetTape) topic() []byte {
	if b := t.text(maxString); len(b) > 0 {
		return b
	}
	return []byte("t")
}

// filter is a topic filter; shared says whether it may be a shared one of 5.0.
func (t *packetTape) filter(shared bool) []byte {
	b := []byte{}
	if shared && t.below(4) == 1 {
		b = append(b, "$share/group/"...)
	}
	for i := range 1 + t.below(5) {
		if i > 0 {
			b = append(b, '/')
		}
		switch t.below(4) {
		case 1:
			b = append(b, '+')
		case 2:
			return append(b, '#')
		case 3:
			b = append(b, t.text(200)...)
		default:
			b = append(b, 'a')
		}
	}
	if !shared && isShared(b) {
		b[0] = 'x'
	}
	if len(b) == 0 || shareFault(b) != ruleNone {
		return []byte("a")
	}
	return b
}

// property is a legal value of the property.
func (t *packetTape) property(id PropertyID) Property {
	x := Property{ID: id}
	switch propertyTable[id].kind {
	case kindBool:
		x.Num = uint32(t.below(2))
	case kindUint16:
		x.Num = uint32(t.uint16())
	case kindUint16N:
		x.Num = uint32(t.id())
	case kindUint32:
		x.Num = t.uint32()
	case kindUint32N:
		x.Num = max(t.uint32(), 1)
	case kindVarintN:
		x.Num = max(t.uint32()>>(4+t.below(28)), 1)
	case kindString:
		x.Value = t.text(maxString)
	case kindTopic:
		x.Value = t.topic()
	case kindBinary:
		x.Value = t.binary(t.size(maxString))
	case kindPair:
		x.Key, x.Value = t.text(maxString), t.text(maxString)
	}
	return x
}

// properties is a list that the table allows in the packet from the sender. In
// 3.x it is empty.
func (t *packetTape) properties(p PacketType, d Dialect) Properties {
	var list Properties
	if d.Version != V5 {
		return list
	}
	allowed := allowedProperties[d.From][p]
	for range t.below(12) {
		id := PropertyID(t.below(len(propertyTable)))
		repeats := id == PropUserProperty || id == PropSubscriptionID && allowed&severalIDs != 0
		if !allowed.Has(id) || list.mask.Has(id) && !repeats {
			continue
		}
		if err := list.Add(t.property(id)); err != nil {
			panic(err)
		}
	}
	return list
}

// ensure adds a property that has to be there.
func ensure(p *Properties, x Property) {
	if p.mask.Has(x.ID) {
		return
	}
	if err := p.Add(x); err != nil {
		panic(err)
	}
}

// reason is a reason code that the table allows, success where there is none.
func (t *packetTape) reason(p PacketType, d Dialect) ReasonCode {
	c := ReasonCode(t.byte())
	for range 256 {
		if c.AllowedIn(p, d.From) {
			return c
		}
		c++
	}
	return ReasonSuccess
}

// dialect is any version and sender, without options.
func (t *packetTape) dialect() Dialect {
	return Dialect{Version: V31 + Version(t.below(3)), From: Role(t.below(3))}
}

// packet makes a legal packet that the sender of d may send.
func (t *packetTape) packet(d Dialect) Packet {
	kind := PacketType(1 + t.below(15))
	for !d.permits(kind, headerTable[d.Version&3][kind].flags) {
		kind = kind%15 + 1
	}
	switch kind {
	case TypeConnect:
		return t.connect(d)
	case TypeConnAck:
		return t.connAck(d)
	case TypePublish:
		return t.publish(d)
	case TypeSubscribe:
		return t.subscribe(d)
	case TypeSubAck:
		return t.subAck(d)
	case TypeUnsubscribe:
		return t.unsubscribe(d)
	case TypeUnsubAck:
		return t.unsubAck(d)
	case TypePingReq, TypePingResp:
		return &Ping{Type: kind}
	case TypeDisconnect:
		p := &Disconnect{Props: t.properties(TypeDisconnect, d)}
		if d.Version == V5 {
			p.Code = t.reason(TypeDisconnect, d)
		}
		return p
	case TypeAuth:
		p := &Auth{Code: t.reason(TypeAuth, d), Props: t.properties(TypeAuth, d)}
		ensure(&p.Props, AuthMethod("method"))
		return p
	}
	return t.ack(kind, d)
}

func (t *packetTape) connect(d Dialect) Packet {
	p := &Connect{
		ClientID:   t.text(maxString),
		CleanStart: t.bool(),
		KeepAlive:  t.uint16(),
		Props:      t.properties(TypeConnect, d),
	}
	switch d.Version {
	case V31:
		if n := utf8.RuneCount(p.ClientID); n < 1 || n > 23 {
			p.ClientID = []byte("client")
		}
	case V311:
		p.CleanStart = p.CleanStart || len(p.ClientID) == 0
	case V5:
		if p.Props.mask.Has(PropAuthData) {
			ensure(&p.Props, AuthMethod("method"))
		}
	}
	if t.bool() {
		p.Will = Will{
			Topic:   t.topic(),
			Payload: t.binary(t.size(maxString)),
			QoS:     QoS(t.below(3)),
			Retain:  t.bool(),
			Props:   t.properties(typeWill, d),
		}
	}
	if t.bool() {
		p.Username = t.text(maxString)
	}
	if t.bool() && (p.Username != nil || d.Version == V5) {
		p.Password = t.binary(t.size(maxString))
	}
	return p
}

func (t *packetTape) connAck(d Dialect) Packet {
	p := &ConnAck{Props: t.properties(TypeConnAck, d)}
	if d.Version == V5 {
		p.Code = t.reason(TypeConnAck, d)
	} else {
		p.Code = returnCodes[t.below(len(returnCodes))]
	}
	p.SessionPresent = d.Version != V31 && p.Code == ReasonSuccess && t.bool()
	return p
}

func (t *packetTape) publish(d Dialect) Packet {
	p := &Publish{
		Topic:   t.topic(),
		Payload: t.binary(t.size(1 << 17)),
		QoS:     QoS(t.below(3)),
		Retain:  t.bool(),
		Props:   t.properties(TypePublish, d),
	}
	if p.QoS != QoS0 {
		p.ID, p.Dup = t.id(), t.bool()
	}
	if p.Props.mask.Has(PropTopicAlias) && t.bool() {
		p.Topic = []byte{}
	}
	return p
}

func (t *packetTape) ack(kind PacketType, d Dialect) Packet {
	p := &Ack{Type: kind, ID: t.id()}
	if d.Version == V5 {
		p.Code, p.Props = t.reason(kind, d), t.properties(kind, d)
	}
	p.Dup = d.Version == V31 && kind == TypePubRel && t.bool()
	return p
}

func (t *packetTape) subscribe(d Dialect) Packet {
	p := &Subscribe{ID: t.id(), Dup: d.Version == V31 && t.bool(), Props: t.properties(TypeSubscribe, d)}
	for range 1 + t.below(8) {
		s := Subscription{Filter: t.filter(d.Version == V5), QoS: QoS(t.below(3))}
		if d.Version == V5 {
			s.NoLocal = t.bool() && !isShared(s.Filter)
			s.RetainAsPublished = t.bool()
			s.RetainHandling = RetainHandling(t.below(3))
		}
		if err := p.Subscriptions.Add(s); err != nil {
			panic(err)
		}
	}
	return p
}

func (t *packetTape) unsubscribe(d Dialect) Packet {
	p := &Unsubscribe{ID: t.id(), Dup: d.Version == V31 && t.bool(), Props: t.properties(TypeUnsubscribe, d)}
	for range 1 + t.below(8) {
		if err := p.Filters.Add(t.filter(d.Version == V5)); err != nil {
			panic(err)
		}
	}
	return p
}

func (t *packetTape) subAck(d Dialect) Packet {
	p := &SubAck{ID: t.id(), Codes: []byte{}, Props: t.properties(TypeSubAck, d)}
	for range 1 + t.below(8) {
		c := [4]byte{0, 1, 2, 0x80}[t.below(4)]
		if d.Version == V5 {
			c = byte(t.reason(TypeSubAck, d))
		}
		p.Codes = append(p.Codes, c)
	}
	return p
}

func (t *packetTape) unsubAck(d Dialect) Packet {
	p := &UnsubAck{ID: t.id(), Props: t.properties(TypeUnsubAck, d)}
	if d.Version == V5 {
		for range 1 + t.below(8) {
			p.Codes = append(p.Codes, byte(t.reason(TypeUnsubAck, d)))
		}
	}
	return p
}
