// This file turns packets into bytes, as strictly as decode.go reads them: a
// packet that may not be sent is refused and dst comes back as it was. It must
// not know the client.

package mqttcore

import (
	"slices"
	"unicode/utf8"
)

// SizeUvarint is the number of bytes, 1 to 4, of v as a variable byte integer.
func SizeUvarint(v uint32) int {
	switch {
	case v < 1<<7:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<21:
		return 3
	}
	return 4
}

// AppendUvarint appends v, at most 268,435,455, as a variable byte integer in
// its shortest form. Higher bits are lost.
func AppendUvarint(dst []byte, v uint32) []byte {
	if v < 1<<7 {
		return append(dst, byte(v))
	}
	if v < 1<<14 {
		return append(dst, byte(v)|0x80, byte(v>>7))
	}
	if v < 1<<21 {
		return append(dst, byte(v)|0x80, byte(v>>7)|0x80, byte(v>>14))
	}
	return append(dst, byte(v)|0x80, byte(v>>7)|0x80, byte(v>>14)|0x80, byte(v>>21)&0x7F)
}

// AppendString appends s with its length before it. ok is false, and dst as it
// was, when s is longer than 65,535 bytes.
func AppendString[T Text](dst []byte, s T) (_ []byte, ok bool) {
	if len(s) > maxString {
		return dst, false
	}
	dst = append(dst, byte(len(s)>>8), byte(len(s)))
	return append(dst, s...), true
}

// appendString is AppendString of a string whose length was checked.
func appendString(dst, s []byte) []byte {
	return append(append(dst, byte(len(s)>>8), byte(len(s))), s...)
}

// appendHeader appends the fixed header and makes room for the body.
func appendHeader(dst []byte, t PacketType, flags uint8, size int) []byte {
	return AppendUvarint(append(room(dst, size), byte(t)<<4|flags), uint32(size))
}

// room makes room for a packet whose body has the given size.
func room(dst []byte, size int) []byte {
	if cap(dst)-len(dst) < size+5 {
		return grow(dst, size)
	}
	return dst
}

// grow asks for no more than the packet takes, so that a buffer of Size bytes
// is large enough. It is not inlined, so that room is.
//
//go:noinline
func grow(dst []byte, size int) []byte { return slices.Grow(dst, sizeWithHeader(size)) }

// sizeWithHeader is the size of a packet whose body has the given size.
func sizeWithHeader(body int) int { return 1 + SizeUvarint(uint32(min(body, maxRemaining))) + body }

// refuse checks what every AppendTo does: the version, the rule found so far,
// the sender, and the size of the body.
func refuse(t PacketType, flags uint8, d Dialect, r rule, size int) error {
	d.Options = 0 // no tolerance concerns encoding
	switch {
	case r == ruleNone && size <= maxRemaining && d.permits(t, flags):
		return nil
	case d.Version-V31 > V5-V31:
		return ErrVersion
	}
	if first := firstByteFault(t, flags, d.From&3, uint8(d.Version&3), 0); first != ruleNone {
		r = first
	}
	if r == ruleNone && size > maxRemaining {
		r = ruleRemainingLength
	}
	if r != ruleNone {
		return fail(t, d, r, 0)
	}
	return nil
}

func (p *Connect) flags() uint8 {
	var f uint8
	if p.CleanStart {
		f |= connectClean
	}
	if p.Will.Topic != nil {
		f |= connectWill | uint8(p.Will.QoS)<<3
		if p.Will.Retain {
			f |= connectWillKeep
		}
	}
	if p.Username != nil {
		f |= connectUsername
	}
	if p.Password != nil {
		f |= connectPassword
	}
	return f
}

func (p *Connect) bodySize(v Version) int {
	n := 2 + len(protocolName(v)) + 4 + 2 + len(p.ClientID)
	if v == V5 {
		n += p.Props.size()
	}
	if p.Will.Topic != nil {
		n += 4 + len(p.Will.Topic) + len(p.Will.Payload)
		if v == V5 {
			n += p.Will.Props.size()
		}
	}
	if p.Username != nil {
		n += 2 + len(p.Username)
	}
	if p.Password != nil {
		n += 2 + len(p.Password)
	}
	return n
}

// Size is the encoded size in bytes.
func (p *Connect) Size(d Dialect) int { return sizeWithHeader(p.bodySize(d.Version)) }

func (p *Connect) fault(d Dialect) rule {
	if r := p.Props.fault(TypeConnect, d); r != ruleNone {
		return r
	}
	switch {
	case len(p.ClientID) > maxString || len(p.Username) > maxString || len(p.Password) > maxString:
		return ruleLongString
	case p.Password != nil && p.Username == nil && d.Version != V5:
		return rulePasswordAlone
	case p.Props.mask&(PropAuthMethod.Mask()|PropAuthData.Mask()) == PropAuthData.Mask():
		return ruleAuthData
	}
	if r := stringFault(p.ClientID, d); r != ruleNone {
		return r
	}
	if r := stringFault(p.Username, d); r != ruleNone {
		return r
	}
	if p.Will.Topic == nil {
		if r := p.Will.absentFault(); r != ruleNone {
			return r
		}
	} else {
		if r := p.Will.Props.fault(typeWill, d); r != ruleNone {
			return r
		}
		if r := p.Will.fault(d); r != ruleNone {
			return r
		}
	}
	return clientIDFault(p, d.Version)
}

// fault checks a will on decode and on encode, but for its properties.
func (w *Will) fault(d Dialect) rule {
	switch {
	case w.QoS > QoS2:
		return ruleWillQoS3
	case len(w.Topic) > maxString || len(w.Payload) > maxString:
		return ruleLongString
	case len(w.Topic) == 0:
		return ruleTopicEmpty
	}
	if r := topicFault(w.Topic, d); r != ruleNone {
		return r
	}
	if d.Options&RefuseInvalidPayload != 0 {
		return payloadFault(w.Payload, w.Props)
	}
	return ruleNone
}

// absentFault is the rule that forbids the fields of a will that has no topic:
// they would be lost.
func (w *Will) absentFault() rule {
	switch {
	case w.QoS != QoS0:
		return ruleWillQoS
	case w.Retain:
		return ruleWillRetain
	case w.Payload != nil || len(w.Props.wire) > 0:
		return ruleTopicEmpty
	}
	return ruleNone
}

// clientIDFault is the rule by which a server has to refuse the identifier.
func clientIDFault(p *Connect, v Version) rule {
	switch v {
	case V31:
		if n := utf8.RuneCount(p.ClientID); n < 1 || n > 23 {
			return ruleClientID
		}
	case V311:
		if len(p.ClientID) == 0 && !p.CleanStart {
			return ruleClientID
		}
	}
	return ruleNone
}

// payloadFault checks a payload against its payload format indicator.
func payloadFault(payload []byte, props Properties) rule {
	if f, _ := props.PayloadFormat(); f == 1 && !plainText(payload) && !utf8.Valid(payload) {
		return rulePayloadFormat
	}
	return ruleNone
}

// AppendTo appends the packet to dst.
func (p *Connect) AppendTo(dst []byte, d Dialect) ([]byte, error) {
	size := p.bodySize(d.Version)
	if err := refuse(TypeConnect, 0, d, p.fault(d), size); err != nil {
		return dst, err
	}
	dst = appendHeader(dst, TypeConnect, 0, size)
	name := protocolName(d.Version)
	dst = append(append(dst, 0, byte(len(name))), name...)
	dst = append(dst, byte(d.Version), p.flags(), byte(p.KeepAlive>>8), byte(p.KeepAlive))
	if d.Version == V5 {
		dst = p.Props.append(dst)
	}
	dst = appendString(dst, p.ClientID)
	if p.Will.Topic != nil {
		if d.Version == V5 {
			dst = p.Will.Props.append(dst)
		}
		dst = appendString(appendString(dst, p.Will.Topic), p.Will.Payload)
	}
	if p.Username != nil {
		dst = appendString(dst, p.Username)
	}
	if p.Password != nil {
		dst = appendString(dst, p.Password)
	}
	return dst, nil
}

func (p *ConnAck) bodySize(v Version) int {
	if v == V5 {
		return 2 + p.Props.size()
	}
	return 2
}

// Size is the encoded size in bytes.
func (p *ConnAck) Size(d Dialect) int { return sizeWithHeader(p.bodySize(d.Version)) }

// AppendTo appends the packet to dst. In 3.x the code must be one that
// [ReasonCode.ReturnCode] knows.
func (p *ConnAck) AppendTo(dst []byte, d Dialect) ([]byte, error) {
	code, r := uint8(p.Code), p.Props.fault(TypeConnAck, d)
	known := p.Code.AllowedIn(TypeConnAck, d.From)
	if d.Version != V5 {
		code, known = p.Code.ReturnCode()
	}
	var flags uint8
	if p.SessionPresent && d.Version != V31 {
		flags = 1
	}
	switch {
	case !known:
		r = ruleReasonConnAck
	case p.SessionPresent && p.Code != ReasonSuccess:
		r = rulePresentWithError
	case p.SessionPresent && d.Version == V31:
		r = ruleConnAckFlags
	}
	size := p.bodySize(d.Version)
	if err := refuse(TypeConnAck, 0, d, r, size); err != nil {
		return dst, err
	}
	dst = append(appendHeader(dst, TypeConnAck, 0, size), flags, code)
	if d.Version == V5 {
		dst = p.Props.append(dst)
	}
	return dst, nil
}

func (p *Publish) flags() uint8 {
	f := uint8(p.QoS&3) << 1 // fault refuses what is above 2
	if p.Dup {
		f |= flagDup
	}
	if p.Retain {
		f |= flagRetain
	}
	return f
}

func (p *Publish) bodySize(v Version) int {
	n := 2 + len(p.Topic) + len(p.Payload)
	if p.QoS != QoS0 {
		n += 2
	}
	if v == V5 {
		n += p.Props.size()
	}
	return n
}

// Size is the encoded size in bytes.
func (p *Publish) Size(d Dialect) int { return sizeWithHeader(p.bodySize(d.Version)) }

// emptyTopicFault is the rule that forbids a PUBLISH without a topic.
func emptyTopicFault(p *Publish, v Version) rule {
	switch {
	case v != V5:
		return ruleTopicEmpty
	case !p.Props.mask.Has(PropTopicAlias):
		return ruleTopicNoAlias
	}
	return ruleNone
}

// publishIDRule is the rule that a PUBLISH above QoS 0 without an identifier
// breaks.
func publishIDRule(d Dialect) rule {
	if d.From == FromServer {
		return rulePacketIDServer
	}
	return rulePacketID
}

func (p *Publish) fault(d Dialect) rule {
	switch {
	case p.QoS > QoS2:
		return ruleQoS3
	case p.Dup && p.QoS == QoS0:
		return ruleDupQoS0
	case p.QoS == QoS0 && p.ID != 0:
		return rulePacketIDQoS0
	case p.QoS != QoS0 && p.ID == 0:
		return publishIDRule(d)
	case len(p.Topic) > maxString:
		return ruleLongString
	}
	if !plainTopic(p.Topic) || d.Options&RefuseControlChars != 0 {
		if r := topicFault(p.Topic, d); r != ruleNone {
			return r
		}
	}
	if len(p.Topic) == 0 {
		if r := emptyTopicFault(p, d.Version); r != ruleNone {
			return r
		}
	}
	if len(p.Props.wire) == 0 {
		return ruleNone
	}
	if r := p.Props.fault(TypePublish, d); r != ruleNone {
		return r
	}
	if d.Options&RefuseInvalidPayload != 0 {
		return payloadFault(p.Payload, p.Props)
	}
	return ruleNone
}

// AppendTo appends the packet to dst.
func (p *Publish) AppendTo(dst []byte, d Dialect) ([]byte, error) {
	// What nearly all packets are costs no call of fault.
	legal := plainTopic(p.Topic) && uint(len(p.Topic))-1 < maxString &&
		p.QoS <= QoS2 && !p.Dup && (p.ID != 0) == (p.QoS != QoS0) &&
		(len(p.Props.wire) == 0 || p.Props.fault(TypePublish, d) == ruleNone) &&
		d.Options == 0 && d.Version-V31 <= V5-V31
	size := p.bodySize(d.Version)
	if !legal || size > maxRemaining {
		if r := p.fault(d); r != ruleNone || size > maxRemaining || d.Version-V31 > V5-V31 {
			return dst, refuse(TypePublish, p.flags(), d, r, size)
		}
	}
	dst = AppendUvarint(append(room(dst, size), byte(TypePublish)<<4|p.flags()), uint32(size))
	dst = appendString(dst, p.Topic)
	if p.QoS != QoS0 {
		dst = append(dst, byte(p.ID>>8), byte(p.ID))
	}
	if d.Version == V5 {
		dst = p.Props.append(dst)
	}
	return append(dst, p.Payload...), nil
}

// AppendHeader appends all of the packet but its payload, which the caller
// writes after it without copying: net.Buffers{header, p.Payload}.
func (p *Publish) AppendHeader(dst []byte, d Dialect) ([]byte, error) {
	size := p.bodySize(d.Version)
	if r := p.fault(d); r != ruleNone || size > maxRemaining || d.Version-V31 > V5-V31 {
		return dst, refuse(TypePublish, p.flags(), d, r, size)
	}
	dst = slices.Grow(dst, sizeWithHeader(size)-len(p.Payload))
	return p.appendFields(dst, d.Version, size), nil
}

// appendFields appends all but the payload of a packet whose body has the
// given size.
func (p *Publish) appendFields(dst []byte, v Version, size int) []byte {
	dst = AppendUvarint(append(dst, byte(TypePublish)<<4|p.flags()), uint32(size))
	dst = appendString(dst, p.Topic)
	if p.QoS != QoS0 {
		dst = append(dst, byte(p.ID>>8), byte(p.ID))
	}
	if v == V5 {
		dst = p.Props.append(dst)
	}
	return dst
}

// bodySize chooses the shortest form of 5.0: without properties, and without
// the reason code where that is success.
func (p *Ack) bodySize(v Version) int {
	switch {
	case v != V5:
		return 2
	case len(p.Props.wire) > 0:
		return 3 + p.Props.size()
	case p.Code != ReasonSuccess:
		return 3
	}
	return 2
}

// Size is the encoded size in bytes.
func (p *Ack) Size(d Dialect) int { return sizeWithHeader(p.bodySize(d.Version)) }

func (p *Ack) flags() uint8 {
	if p.Type != TypePubRel {
		return 0
	}
	if p.Dup {
		return 2 | flagDup
	}
	return 2
}

func (p *Ack) fault(d Dialect) rule {
	switch {
	case p.ID == 0:
		return ruleAckPacketID
	case p.Dup && p.Type != TypePubRel:
		return ruleFlags
	case p.Dup && d.Version != V31:
		return ruleFlagsPubRel
	case p.Code != ReasonSuccess && (d.Version != V5 || !p.Code.AllowedIn(p.Type, d.From)):
		return ackReasonRule(p.Type)
	case len(p.Props.wire) > 0:
		return p.Props.fault(p.Type, d)
	}
	return ruleNone
}

// AppendTo appends the packet to dst, in 5.0 in its shortest form.
func (p *Ack) AppendTo(dst []byte, d Dialect) ([]byte, error) {
	if p.Type < TypePubAck || p.Type > TypePubComp {
		return dst, ErrPacketType
	}
	// Nearly all are of the form that every version has.
	if p.Code == ReasonSuccess && len(p.Props.wire) == 0 && p.ID != 0 && !p.Dup && d.Version-V31 <= V5-V31 {
		return append(dst, byte(p.Type)<<4|p.flags(), 2, byte(p.ID>>8), byte(p.ID)), nil
	}
	size := p.bodySize(d.Version)
	if err := refuse(p.Type, p.flags(), d, p.fault(d), size); err != nil {
		return dst, err
	}
	dst = appendHeader(dst, p.Type, p.flags(), size)
	dst = append(dst, byte(p.ID>>8), byte(p.ID))
	if size > 2 {
		dst = append(dst, byte(p.Code))
	}
	if size > 3 {
		dst = p.Props.append(dst)
	}
	return dst, nil
}

// requestFlags are the flags of SUBSCRIBE and UNSUBSCRIBE.
func requestFlags(dup bool) uint8 {
	if dup {
		return 2 | flagDup
	}
	return 2
}

// listSize is the body size of the packets that have an identifier, properties
// and a list.
func listSize(props *Properties, list []byte, v Version) int {
	if v == V5 {
		return 2 + props.size() + len(list)
	}
	return 2 + len(list)
}

// appendListPacket appends such a packet once r, its fault so far, is none.
func appendListPacket(dst []byte, t PacketType, flags uint8, id uint16, props *Properties, list []byte, d Dialect, r rule) ([]byte, error) {
	if r == ruleNone {
		r = props.fault(t, d)
	}
	if id == 0 {
		r = rulePacketID
		if t == TypeSubAck || t == TypeUnsubAck {
			r = ruleSubAckPacketID
		}
	}
	size := listSize(props, list, d.Version)
	if err := refuse(t, flags, d, r, size); err != nil {
		return dst, err
	}
	dst = append(appendHeader(dst, t, flags, size), byte(id>>8), byte(id))
	if d.Version == V5 {
		dst = props.append(dst)
	}
	return append(dst, list...), nil
}

// Size is the encoded size in bytes.
func (p *Subscribe) Size(d Dialect) int {
	return sizeWithHeader(listSize(&p.Props, p.Subscriptions.list.wire, d.Version))
}

// AppendTo appends the packet to dst.
func (p *Subscribe) AppendTo(dst []byte, d Dialect) ([]byte, error) {
	l := &p.Subscriptions.list
	return appendListPacket(dst, TypeSubscribe, requestFlags(p.Dup), p.ID, &p.Props, l.wire, d, l.fault(TypeSubscribe, d))
}

// Size is the encoded size in bytes.
func (p *Unsubscribe) Size(d Dialect) int {
	return sizeWithHeader(listSize(&p.Props, p.Filters.list.wire, d.Version))
}

// AppendTo appends the packet to dst.
func (p *Unsubscribe) AppendTo(dst []byte, d Dialect) ([]byte, error) {
	l := &p.Filters.list
	return appendListPacket(dst, TypeUnsubscribe, requestFlags(p.Dup), p.ID, &p.Props, l.wire, d, l.fault(TypeUnsubscribe, d))
}

// codesFault is the rule that forbids the codes of a SUBACK or UNSUBACK, and
// the index of the code.
func codesFault(codes []byte, t PacketType, d Dialect) (rule, int) {
	empty, wrong := ruleSubAckCodes, ruleReasonSubAck
	if t == TypeUnsubAck {
		empty, wrong = ruleUnsubAckCodes, ruleReasonUnsubAck
	}
	if len(codes) == 0 {
		return empty, 0
	}
	for i, c := range codes {
		if d.Version != V5 {
			if c > 2 && c != 0x80 {
				return wrong, i
			}
		} else if !codeOK(ReasonCode(c), t, d) {
			return wrong, i
		}
	}
	return ruleNone, 0
}

// Size is the encoded size in bytes.
func (p *SubAck) Size(d Dialect) int { return sizeWithHeader(listSize(&p.Props, p.Codes, d.Version)) }

// AppendTo appends the packet to dst.
func (p *SubAck) AppendTo(dst []byte, d Dialect) ([]byte, error) {
	strict := d
	strict.Options = 0
	r, _ := codesFault(p.Codes, TypeSubAck, strict)
	return appendListPacket(dst, TypeSubAck, 0, p.ID, &p.Props, p.Codes, d, r)
}

// Size is the encoded size in bytes.
func (p *UnsubAck) Size(d Dialect) int {
	return sizeWithHeader(listSize(&p.Props, p.Codes, d.Version))
}

// AppendTo appends the packet to dst. In 3.x it has no codes.
func (p *UnsubAck) AppendTo(dst []byte, d Dialect) ([]byte, error) {
	strict := d
	strict.Options = 0
	r := ruleNone
	switch {
	case d.Version == V5:
		r, _ = codesFault(p.Codes, TypeUnsubAck, strict)
	case len(p.Codes) > 0:
		r = ruleTrailing
	}
	return appendListPacket(dst, TypeUnsubAck, 0, p.ID, &p.Props, p.Codes, d, r)
}

// Size is the encoded size in bytes, 2.
func (p *Ping) Size(Dialect) int { return 2 }

// AppendTo appends the packet to dst.
func (p *Ping) AppendTo(dst []byte, d Dialect) ([]byte, error) {
	if p.Type != TypePingReq && p.Type != TypePingResp {
		return dst, ErrPacketType
	}
	if err := refuse(p.Type, 0, d, ruleNone, 0); err != nil {
		return dst, err
	}
	return append(dst, byte(p.Type)<<4, 0), nil
}

// bodySize chooses the shortest form.
func (p *Disconnect) bodySize(v Version) int {
	switch {
	case v != V5:
		return 0
	case len(p.Props.wire) > 0:
		return 1 + p.Props.size()
	case p.Code != ReasonNormalDisconnection:
		return 1
	}
	return 0
}

// Size is the encoded size in bytes.
func (p *Disconnect) Size(d Dialect) int { return sizeWithHeader(p.bodySize(d.Version)) }

// AppendTo appends the packet to dst, in 5.0 in its shortest form.
func (p *Disconnect) AppendTo(dst []byte, d Dialect) ([]byte, error) {
	r := p.Props.fault(TypeDisconnect, d)
	if p.Code != ReasonNormalDisconnection && (d.Version != V5 || !p.Code.AllowedIn(TypeDisconnect, d.From)) {
		r = ruleReasonDisconnect
	}
	size := p.bodySize(d.Version)
	if err := refuse(TypeDisconnect, 0, d, r, size); err != nil {
		return dst, err
	}
	dst = appendHeader(dst, TypeDisconnect, 0, size)
	if size > 0 {
		dst = append(dst, byte(p.Code))
	}
	if size > 1 {
		dst = p.Props.append(dst)
	}
	return dst, nil
}

// Size is the encoded size in bytes.
func (p *Auth) Size(Dialect) int { return sizeWithHeader(1 + p.Props.size()) }

// AppendTo appends the packet to dst.
func (p *Auth) AppendTo(dst []byte, d Dialect) ([]byte, error) {
	r := p.Props.fault(TypeAuth, d)
	switch {
	case !p.Code.AllowedIn(TypeAuth, d.From):
		r = ruleReasonAuth
	case !p.Props.mask.Has(PropAuthMethod):
		r = ruleAuthMethod
	}
	size := 1 + p.Props.size()
	if err := refuse(TypeAuth, 0, d, r, size); err != nil {
		return dst, err
	}
	dst = append(appendHeader(dst, TypeAuth, 0, size), byte(p.Code))
	return p.Props.append(dst), nil
}
