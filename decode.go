// This file turns bytes into frames and frames into packets. Decoded packets
// borrow: their slices alias the frame, and nothing is allocated. What a
// string, property or reason code may be is decided elsewhere; this file knows
// layouts. It must not know the client.

package mqttcore

// FrameSize tells from the first bytes of a packet how large it is, header
// included. ok is false when b is too short to tell, or when its length is not
// legal ([ConsumeFrame] says which).
func FrameSize(b []byte) (total int, ok bool) {
	if len(b) < 2 {
		return 0, false
	}
	size, n := consumeUvarint(b[1:])
	if n <= 0 {
		return 0, false
	}
	return 1 + n + int(size), true
}

// Frame is a packet taken apart no further than its fixed header.
type Frame struct {
	Type  PacketType
	Flags uint8  // the low four bits of the first byte
	Body  []byte // all that follows the remaining length; aliases the input
}

// AppendTo writes the frame with the shortest remaining length. It writes
// anything that a length can express, legal or not, for proxies, and for tests
// that need illegal packets. A body over 268,435,455 bytes is not written.
func (f Frame) AppendTo(dst []byte) []byte {
	if len(f.Body) > maxRemaining {
		return dst
	}
	dst = append(dst, byte(f.Type)<<4|f.Flags&15)
	return append(AppendUvarint(dst, uint32(len(f.Body))), f.Body...)
}

// Clone returns the frame with a body of its own, so that every packet decoded
// from it owns its bytes too.
func (f Frame) Clone() Frame {
	f.Body = append([]byte(nil), f.Body...)
	return f
}

// ConsumeFrame takes the frame at the start of b. It returns the bytes taken,
// 0 when b holds less than a whole packet. limit is the size in bytes of the
// largest packet that is taken; 0 means no limit but the protocol's.
//
// What the first byte and the remaining length tell is checked as soon as they
// are there: a packet of a wrong type, sender, flags or size is refused with
// an *Error before it is buffered. The body is not looked at.
func ConsumeFrame(b []byte, d Dialect, limit uint32) (f Frame, n int, err error) {
	// Most packets are whole, smaller than 130 bytes, and legal in any version.
	if len(b) >= 2 && d.Version-V31 <= V5-V31 {
		size := int(b[1])
		total := 2 + size
		if size > 0 && size <= int(shortBodies[b[0]]) && total <= len(b) && (limit == 0 || uint32(total) <= limit) {
			return Frame{Type: PacketType(b[0] >> 4), Flags: b[0] & 15, Body: b[2:total:total]}, total, nil
		}
	}
	return consumeFrame(b, d, limit)
}

// consumeFrame is ConsumeFrame for every other input.
func consumeFrame(b []byte, d Dialect, limit uint32) (f Frame, n int, err error) {
	if len(b) < 2 || !d.permits(PacketType(b[0]>>4), b[0]) {
		return Frame{}, 0, firstByteError(b, d)
	}
	t := PacketType(b[0] >> 4)
	size, head := int(b[1]), 2
	if size >= 0x80 {
		v, k := consumeUvarint(b[1:])
		if k == 0 {
			return Frame{}, 0, nil
		}
		if k < 0 {
			return Frame{}, 0, fail(t, d, ruleRemainingLength, 4)
		}
		if d.Version == V5 && k != SizeUvarint(v) && d.Options&AllowLongLengths == 0 {
			return Frame{}, 0, fail(t, d, ruleShortestLength, 1)
		}
		size, head = int(v), 1+k
	}
	if size > int(longestBody[d.Version&3][t]) {
		return Frame{}, 0, fail(t, d, ruleLongBody, 1)
	}
	total := head + size
	if limit != 0 && uint32(total) > limit {
		return Frame{}, 0, fail(t, d, packetSizeRule(d), 1)
	}
	if len(b) < total {
		return Frame{}, 0, nil
	}
	return Frame{Type: t, Flags: b[0] & 15, Body: b[head:total:total]}, total, nil
}

// packetSizeRule is the rule that a packet above the receiver's limit breaks.
func packetSizeRule(d Dialect) rule {
	if d.From == FromClient {
		return rulePacketSizeServer
	}
	return rulePacketSize
}

// firstByteError is what is wrong with the first byte, or nil when it is
// legal, or not there yet.
func firstByteError(b []byte, d Dialect) error {
	switch {
	case d.Version-V31 > V5-V31:
		return ErrVersion
	case len(b) == 0 || d.permits(PacketType(b[0]>>4), b[0]):
		return nil
	}
	return d.headerError(PacketType(b[0]>>4), b[0])
}

// is is what every Decode begins with: that the frame is of the type, and that
// its first byte is legal, for frames that ConsumeFrame did not see. If not,
// wrong says why.
func (f Frame) is(t PacketType, d Dialect) bool {
	return f.Type == t && d.permits(t, f.Flags)
}

func (f Frame) wrong(t PacketType, d Dialect) error {
	if f.Type != t && d.Version-V31 <= V5-V31 {
		return ErrPacketType
	}
	return d.headerError(t, f.Flags)
}

// ConsumeUvarint decodes the variable byte integer at the start of b. n is the
// bytes taken: 0 when b ends too early, -1 for more than four bytes, -2 when it
// is not in its shortest form (MQTT-1.5.5-1).
func ConsumeUvarint(b []byte) (v uint32, n int) {
	v, n = consumeUvarint(b)
	if n > 1 && b[n-1] == 0 {
		return 0, -2
	}
	return v, n
}

// consumeUvarint also takes longer forms than the shortest.
func consumeUvarint(b []byte) (v uint32, n int) {
	for i, c := range b {
		if i == 4 {
			break
		}
		v |= uint32(c&0x7F) << (7 * i)
		if c < 0x80 {
			return v, i + 1
		}
	}
	if len(b) >= 4 {
		return 0, -1
	}
	return 0, 0
}

// ConsumeString takes the string or binary data at the start of b, which its
// length in two bytes precedes. s aliases b and is not nil; n is the bytes
// taken, 0 when b ends too early. What the bytes are is not checked.
func ConsumeString(b []byte) (s []byte, n int) {
	if len(b) < 2 {
		return nil, 0
	}
	n = 2 + (int(b[0])<<8 | int(b[1]))
	if len(b) < n {
		return nil, 0
	}
	return b[2:n:n], n
}

// Decode allocates the packet of the frame's type and decodes it: for tools;
// where speed counts, decode into a struct that is used again.
func Decode(f Frame, d Dialect) (Packet, error) {
	if d.Version-V31 > V5-V31 {
		return nil, ErrVersion
	}
	var p Packet
	switch f.Type {
	case TypeConnect:
		p = new(Connect)
	case TypeConnAck:
		p = new(ConnAck)
	case TypePublish:
		p = new(Publish)
	case TypePubAck, TypePubRec, TypePubRel, TypePubComp:
		p = new(Ack)
	case TypeSubscribe:
		p = new(Subscribe)
	case TypeSubAck:
		p = new(SubAck)
	case TypeUnsubscribe:
		p = new(Unsubscribe)
	case TypeUnsubAck:
		p = new(UnsubAck)
	case TypePingReq, TypePingResp:
		p = new(Ping)
	case TypeDisconnect:
		p = new(Disconnect)
	case TypeAuth:
		p = new(Auth)
	default:
		return nil, fail(f.Type, d, rulePacketType, 0)
	}
	if err := p.Decode(f, d); err != nil {
		return nil, err
	}
	return p, nil
}

// ConnectVersion tells the version of a CONNECT frame by its protocol name and
// level, for servers, who do not know it before. The error of a name and level
// that no version has is an *Error with ReasonUnsupportedProtocolVersion. A server
// has ConsumeFrame take the frame as of V31, which forbids least in the fixed
// header, and once more as of the version that this tells. The mark of a bridge in
// the level (see [AllowBridgeLevel]) is passed over here: it is for Decode to take
// or to refuse.
func ConnectVersion(f Frame) (Version, error) {
	if f.Type != TypeConnect {
		return 0, ErrPacketType
	}
	d := Dialect{Version: V5}
	name, n := ConsumeString(f.Body)
	if n == 0 || n == len(f.Body) {
		return 0, failAt(f, d, ruleTruncated, 0)
	}
	switch level := Version(f.Body[n] &^ bridgeLevel); {
	case string(name) == "MQTT" && (level == V311 || level == V5):
		return level, nil
	case string(name) == "MQIsdp" && level == V31:
		return V31, nil
	case string(name) == "MQTT" || string(name) == "MQIsdp":
		return 0, failAt(f, d, ruleProtocolLevel, n)
	}
	return 0, failAt(f, d, ruleProtocolName, 2)
}

// protocolName is the protocol name of CONNECT.
func protocolName(v Version) string {
	if v == V31 {
		return "MQIsdp"
	}
	return "MQTT"
}

const (
	connectReserved = 0x01
	connectClean    = 0x02
	connectWill     = 0x04
	connectWillQoS  = 0x18
	connectWillKeep = 0x20
	connectPassword = 0x40
	connectUsername = 0x80

	bridgeLevel = 0x80 // in the protocol level, not the flags
)

// Decode decodes a CONNECT of the dialect's version. A client identifier that
// only a server can judge is refused last, with 0x85: all fields are set then.
func (p *Connect) Decode(f Frame, d Dialect) error {
	if !f.is(TypeConnect, d) {
		return f.wrong(TypeConnect, d)
	}
	b := f.Body
	name, i := ConsumeString(b)
	if i == 0 {
		return failAt(f, d, ruleTruncated, 0)
	}
	if string(name) != protocolName(d.Version) {
		return failAt(f, d, ruleProtocolName, 2)
	}
	if len(b) < i+1 {
		return failAt(f, d, ruleTruncated, i)
	}
	level := b[i]
	if d.Options&AllowBridgeLevel != 0 {
		level &^= bridgeLevel
	}
	if Version(level) != d.Version {
		return failAt(f, d, ruleProtocolLevel, i)
	}
	if len(b) < i+4 {
		return failAt(f, d, ruleTruncated, i+1)
	}
	flags := b[i+1]
	if r := connectFlagsFault(flags, d.Version); r != ruleNone {
		return failAt(f, d, r, i+1)
	}
	*p = Connect{CleanStart: flags&connectClean != 0, KeepAlive: uint16(b[i+2])<<8 | uint16(b[i+3])}
	i += 4
	if d.Version == V5 {
		n, r, off := p.Props.consume(b[i:], TypeConnect, d)
		if r != ruleNone {
			return failAt(f, d, r, i+off)
		}
		if p.Props.mask&(PropAuthMethod.Mask()|PropAuthData.Mask()) == PropAuthData.Mask() {
			return failAt(f, d, ruleAuthData, i)
		}
		i += n
	}
	var r rule
	if p.ClientID, i, r = fieldText(b, i, d); r != ruleNone {
		return failAt(f, d, r, i)
	}
	if flags&connectWill != 0 {
		if i, r = p.Will.decode(b, i, flags, d); r != ruleNone {
			return failAt(f, d, r, i)
		}
	}
	// In 3.1 the remaining length wins over the flags of these two fields.
	if flags&connectUsername != 0 && !(d.Version == V31 && i == len(b)) {
		if p.Username, i, r = fieldText(b, i, d); r != ruleNone {
			return failAt(f, d, r, i)
		}
	}
	if flags&connectPassword != 0 && !(d.Version == V31 && i == len(b)) {
		var n int
		if p.Password, n = ConsumeString(b[i:]); n == 0 {
			return failAt(f, d, ruleTruncated, i)
		}
		i += n
	}
	if i != len(b) {
		return failAt(f, d, ruleTrailing, i)
	}
	if r := clientIDFault(p, d.Version); r != ruleNone {
		return failAt(f, d, r, 2+len(name)+4)
	}
	return nil
}

func connectFlagsFault(flags uint8, v Version) rule {
	switch {
	case flags&connectReserved != 0 && v != V31:
		return ruleConnectReserved
	case flags&connectWillQoS == connectWillQoS && (flags&connectWill != 0 || v != V31):
		return ruleWillQoS3
	case flags&connectWill == 0 && flags&connectWillQoS != 0 && v != V31:
		return ruleWillQoS
	case flags&connectWill == 0 && flags&connectWillKeep != 0 && v != V31:
		return ruleWillRetain
	case flags&connectPassword != 0 && flags&connectUsername == 0 && v != V5:
		return rulePasswordAlone
	}
	return ruleNone
}

// decode decodes the will at b[i:]. On failure the index is where the fault is.
func (w *Will) decode(b []byte, i int, flags uint8, d Dialect) (int, rule) {
	w.QoS = QoS(flags & connectWillQoS >> 3)
	w.Retain = flags&connectWillKeep != 0
	if d.Version == V5 {
		n, r, off := w.Props.consume(b[i:], typeWill, d)
		if r != ruleNone {
			return i + off, r
		}
		i += n
	}
	topic, n := ConsumeString(b[i:])
	if n == 0 {
		return i, ruleTruncated
	}
	w.Topic = topic
	i += n
	payload, n := ConsumeString(b[i:])
	if n == 0 {
		return i, ruleTruncated
	}
	w.Payload = payload
	if r := w.fault(d); r == rulePayloadFormat {
		return i + 2, r
	} else if r != ruleNone {
		return i - len(topic), r
	}
	return i + n, ruleNone
}

// fieldText takes a string at b[i:]. On failure next is where the fault is.
func fieldText(b []byte, i int, d Dialect) (s []byte, next int, r rule) {
	s, n := ConsumeString(b[i:])
	if n == 0 {
		return nil, i, ruleTruncated
	}
	if r := stringFault(s, d); r != ruleNone {
		return nil, i + 2, r
	}
	return s, i + n, ruleNone
}

// Decode decodes a CONNACK.
func (p *ConnAck) Decode(f Frame, d Dialect) error {
	if !f.is(TypeConnAck, d) {
		return f.wrong(TypeConnAck, d)
	}
	b := f.Body
	if len(b) < 2 {
		return failAt(f, d, ruleTruncated, len(b))
	}
	flags := b[0]
	if d.Version == V31 {
		flags = 0
	}
	if flags > 1 {
		return failAt(f, d, ruleConnAckFlags, 0)
	}
	*p = ConnAck{SessionPresent: flags == 1, Code: ReasonCode(b[1])}
	if d.Version != V5 {
		code, ok := ReasonOfReturnCode(b[1])
		if !ok {
			return failAt(f, d, ruleReasonConnAck, 1)
		}
		p.Code = code
	} else if !codeOK(p.Code, TypeConnAck, d) {
		return failAt(f, d, ruleReasonConnAck, 1)
	}
	if p.SessionPresent && p.Code != ReasonSuccess {
		if d.Options&AllowPresentWithError == 0 {
			return failAt(f, d, rulePresentWithError, 0)
		}
		p.SessionPresent = false
	}
	if d.Version != V5 || len(b) == 2 && d.Options&AllowShortConnAck != 0 {
		if len(b) > 2 {
			return failAt(f, d, ruleTrailing, 2)
		}
		return nil
	}
	return p.Props.consumeRest(f, 2, d)
}

// consumeRest decodes the properties at f.Body[i:], which must be the last
// field.
func (p *Properties) consumeRest(f Frame, i int, d Dialect) error {
	n, r, off := p.consume(f.Body[i:], f.Type, d)
	if r != ruleNone {
		return failAt(f, d, r, i+off)
	}
	if i+n != len(f.Body) {
		return failAt(f, d, ruleTrailing, i+n)
	}
	return nil
}

// codeOK reports whether a packet read in the dialect may carry the code.
func codeOK(c ReasonCode, t PacketType, d Dialect) bool {
	return c.AllowedIn(t, d.From) || d.Options&AllowAnyReason != 0 && c.Known()
}

// Decode decodes a PUBLISH.
func (p *Publish) Decode(f Frame, d Dialect) error {
	// Most need no look at sender and options.
	if (f.Type != TypePublish || !d.always(TypePublish, f.Flags)) && !f.is(TypePublish, d) {
		return f.wrong(TypePublish, d)
	}
	b := f.Body
	if len(b) < 2 {
		return failAt(f, d, ruleTruncated, 0)
	}
	n := int(b[0])<<8 | int(b[1])
	i := 2 + n
	if i > len(b) {
		return failAt(f, d, ruleTruncated, 0)
	}
	topic := b[2:i:i]
	if !plainTopic(topic) || d.Options&RefuseControlChars != 0 {
		if r := topicFault(topic, d); r != ruleNone {
			return failAt(f, d, r, 2)
		}
	}
	qos := QoS(f.Flags & flagQoS >> 1)
	id := uint16(0)
	if qos != QoS0 {
		if len(b)-i < 2 {
			return failAt(f, d, ruleTruncated, i)
		}
		id = uint16(b[i])<<8 | uint16(b[i+1])
		if id == 0 {
			return failAt(f, d, publishIDRule(d), i)
		}
		i += 2
	}
	p.Topic = topic
	p.ID, p.QoS = id, qos
	p.Dup = f.Flags&flagDup != 0 && qos != QoS0
	p.Retain = f.Flags&flagRetain != 0
	p.Props = Properties{}
	if d.Version == V5 {
		k, r, off := p.Props.consume(b[i:], TypePublish, d)
		if r != ruleNone {
			return failAt(f, d, r, i+off)
		}
		i += k
	}
	p.Payload = b[i:]
	if n == 0 {
		if r := emptyTopicFault(p, d.Version); r != ruleNone {
			return failAt(f, d, r, 0)
		}
	}
	if d.Options&RefuseInvalidPayload != 0 {
		if r := payloadFault(p.Payload, p.Props); r != ruleNone {
			return failAt(f, d, r, i)
		}
	}
	return nil
}

// Decode decodes a PUBACK, PUBREC, PUBREL or PUBCOMP and sets Type.
func (p *Ack) Decode(f Frame, d Dialect) error {
	// Most are of two bytes.
	flags := ackFlags[f.Type]
	if b := f.Body; len(b) == 2 && uint16(f.Flags) == flags && d.Version-V31 <= V5-V31 {
		if id := uint16(b[0])<<8 | uint16(b[1]); id != 0 {
			p.Type, p.Dup, p.Code, p.ID = f.Type, false, ReasonSuccess, id
			if p.Props.wire != nil { // most have none before either
				p.Props = Properties{}
			}
			return nil
		}
	}
	return p.decode(f, d)
}

// decode is Decode for every other input.
func (p *Ack) decode(f Frame, d Dialect) error {
	if f.Type < TypePubAck || f.Type > TypePubComp {
		return ErrPacketType
	}
	if !f.is(f.Type, d) {
		return f.wrong(f.Type, d)
	}
	b := f.Body
	if len(b) < 2 {
		return failAt(f, d, ruleTruncated, 0)
	}
	id := uint16(b[0])<<8 | uint16(b[1])
	if id == 0 {
		return failAt(f, d, ruleAckPacketID, 0)
	}
	p.Type, p.Code, p.ID = f.Type, ReasonSuccess, id
	p.Dup = f.Type == TypePubRel && f.Flags&flagDup != 0
	p.Props = Properties{}
	switch {
	case len(b) == 2:
		return nil
	case d.Version != V5:
		return failAt(f, d, ruleTrailing, 2)
	}
	p.Code = ReasonCode(b[2])
	if !codeOK(p.Code, f.Type, d) {
		return failAt(f, d, ackReasonRule(f.Type), 2)
	}
	if len(b) == 3 {
		return nil
	}
	return p.Props.consumeRest(f, 3, d)
}

// ackReasonRule is the rule on the reason codes of an Ack.
func ackReasonRule(t PacketType) rule { return ruleReasonPubAck + rule(t-TypePubAck) }

// head decodes what SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK begin with.
func (p *Properties) head(f Frame, r rule, d Dialect) (id uint16, i int, err error) {
	b := f.Body
	if len(b) < 2 {
		return 0, 0, failAt(f, d, ruleTruncated, 0)
	}
	id = uint16(b[0])<<8 | uint16(b[1])
	if id == 0 {
		return 0, 0, failAt(f, d, r, 0)
	}
	*p = Properties{}
	i = 2
	if d.Version == V5 {
		n, r, off := p.consume(b[i:], f.Type, d)
		if r != ruleNone {
			return 0, 0, failAt(f, d, r, i+off)
		}
		i += n
	}
	return id, i, nil
}

// Decode decodes a SUBSCRIBE.
func (p *Subscribe) Decode(f Frame, d Dialect) error {
	if !f.is(TypeSubscribe, d) {
		return f.wrong(TypeSubscribe, d)
	}
	id, i, err := p.Props.head(f, rulePacketID, d)
	if err != nil {
		return err
	}
	p.ID, p.Dup = id, f.Flags&flagDup != 0
	if r, off := p.Subscriptions.list.consume(f.Body[i:], TypeSubscribe, d); r != ruleNone {
		return failAt(f, d, r, i+off)
	}
	return nil
}

// Decode decodes an UNSUBSCRIBE.
func (p *Unsubscribe) Decode(f Frame, d Dialect) error {
	if !f.is(TypeUnsubscribe, d) {
		return f.wrong(TypeUnsubscribe, d)
	}
	id, i, err := p.Props.head(f, rulePacketID, d)
	if err != nil {
		return err
	}
	p.ID, p.Dup = id, f.Flags&flagDup != 0
	if r, off := p.Filters.list.consume(f.Body[i:], TypeUnsubscribe, d); r != ruleNone {
		return failAt(f, d, r, i+off)
	}
	return nil
}

// Decode decodes a SUBACK.
func (p *SubAck) Decode(f Frame, d Dialect) error {
	if !f.is(TypeSubAck, d) {
		return f.wrong(TypeSubAck, d)
	}
	id, i, err := p.Props.head(f, ruleSubAckPacketID, d)
	if err != nil {
		return err
	}
	p.ID = id
	p.Codes = f.Body[i:]
	if r, off := codesFault(p.Codes, TypeSubAck, d); r != ruleNone {
		return failAt(f, d, r, i+off)
	}
	return nil
}

// Decode decodes an UNSUBACK.
func (p *UnsubAck) Decode(f Frame, d Dialect) error {
	if !f.is(TypeUnsubAck, d) {
		return f.wrong(TypeUnsubAck, d)
	}
	id, i, err := p.Props.head(f, ruleSubAckPacketID, d)
	if err != nil {
		return err
	}
	p.ID = id
	p.Codes = f.Body[i:]
	if d.Version != V5 {
		p.Codes = nil
		if i != len(f.Body) {
			return failAt(f, d, ruleTrailing, i)
		}
		return nil
	}
	if r, off := codesFault(p.Codes, TypeUnsubAck, d); r != ruleNone {
		return failAt(f, d, r, i+off)
	}
	return nil
}

// Decode decodes a PINGREQ or PINGRESP and sets Type.
func (p *Ping) Decode(f Frame, d Dialect) error {
	if f.Type != TypePingReq && f.Type != TypePingResp {
		return ErrPacketType
	}
	if !f.is(f.Type, d) {
		return f.wrong(f.Type, d)
	}
	if len(f.Body) != 0 {
		return failAt(f, d, ruleTrailing, 0)
	}
	p.Type = f.Type
	return nil
}

// Decode decodes a DISCONNECT.
func (p *Disconnect) Decode(f Frame, d Dialect) error {
	if !f.is(TypeDisconnect, d) {
		return f.wrong(TypeDisconnect, d)
	}
	*p = Disconnect{}
	b := f.Body
	if len(b) == 0 {
		return nil
	}
	if d.Version != V5 {
		return failAt(f, d, ruleTrailing, 0)
	}
	p.Code = ReasonCode(b[0])
	if !codeOK(p.Code, TypeDisconnect, d) {
		return failAt(f, d, ruleReasonDisconnect, 0)
	}
	if len(b) == 1 {
		return nil
	}
	return p.Props.consumeRest(f, 1, d)
}

// Decode decodes an AUTH.
func (p *Auth) Decode(f Frame, d Dialect) error {
	if !f.is(TypeAuth, d) {
		return f.wrong(TypeAuth, d)
	}
	*p = Auth{}
	b := f.Body
	if len(b) == 0 {
		return failAt(f, d, ruleAuthMethod, 0)
	}
	p.Code = ReasonCode(b[0])
	if !codeOK(p.Code, TypeAuth, d) {
		return failAt(f, d, ruleReasonAuth, 0)
	}
	if err := p.Props.consumeRest(f, 1, d); err != nil {
		return err
	}
	if !p.Props.mask.Has(PropAuthMethod) {
		return failAt(f, d, ruleAuthMethod, 1)
	}
	return nil
}
