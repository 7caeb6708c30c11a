// This file puts packets, properties and the names of the protocol into words:
// one compact line each, for people, logs and diagrams. The same value always
// gives the same text. It never shows a password or authentication data, and
// it must not be used to compare or to parse.

package mqttcore

import (
	"strconv"
	"unicode/utf8"
)

const (
	maxShownPayload = 32 // bytes of a payload or of binary data
	maxShownName    = 64 // bytes of a topic or any other string
)

var packetNames = [16]string{
	"packet", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
	"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
}

// String returns the packet type's name as the specification writes it, as
// PUBLISH; for a type that does not exist it is "packet".
func (t PacketType) String() string {
	if int(t) < len(packetNames) {
		return packetNames[t]
	}
	return packetNames[0]
}

// String returns the version's number, as 3.1.1.
func (v Version) String() string {
	switch v {
	case V31:
		return "3.1"
	case V311:
		return "3.1.1"
	case V5:
		return "5.0"
	}
	return "version " + strconv.Itoa(int(v))
}

// String returns client, server or either.
func (r Role) String() string {
	switch r {
	case FromEither:
		return "either"
	case FromClient:
		return "client"
	case FromServer:
		return "server"
	}
	return "role " + strconv.Itoa(int(r))
}

// String returns the quality of service, as QoS 1.
func (q QoS) String() string { return "QoS " + strconv.Itoa(int(q)) }

// line is the text of a value that can append it.
func line(p interface {
	AppendText([]byte) ([]byte, error)
}) string {
	b, _ := p.AppendText(nil)
	return string(b)
}

// cut shortens b to n bytes, or to a little less where n is inside a character.
func cut(b []byte, n int) (head []byte, shortened bool) {
	if len(b) <= n {
		return b, false
	}
	for back := 0; back < utf8.UTFMax-1 && !utf8.RuneStart(b[n]); back++ {
		n--
	}
	return b[:n], true
}

// appendName appends a string: as it is where nothing in it could be mistaken
// for the text around it, else quoted.
func appendName(dst, s []byte) []byte {
	s, shortened := cut(s, maxShownName)
	plain := len(s) > 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRune(s[i:])
		i += n
		switch r {
		case ' ', '"', '\\', ',', '[', ']', '{', '}', utf8.RuneError:
			plain = false
		default:
			plain = plain && strconv.IsPrint(r)
		}
	}
	if plain {
		dst = append(dst, s...)
	} else {
		dst = strconv.AppendQuote(dst, string(s))
	}
	if shortened {
		dst = append(dst, "…"...)
	}
	return dst
}

// appendBytes appends bytes whose meaning is the application's: quoted where
// they are text, else in hexadecimal.
func appendBytes(dst, b []byte) []byte {
	b, shortened := cut(b, maxShownPayload)
	if isText(b) {
		dst = strconv.AppendQuote(dst, string(b))
	} else {
		const digits = "0123456789abcdef"
		dst = append(dst, "0x"...)
		for _, c := range b {
			dst = append(dst, digits[c>>4], digits[c&15])
		}
	}
	if shortened {
		dst = append(dst, "…"...)
	}
	return dst
}

func isText(b []byte) bool {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 || !strconv.IsPrint(r) && r != '\t' && r != '\n' && r != '\r' {
			return false
		}
		i += n
	}
	return true
}

func appendInt(dst []byte, label string, n int) []byte {
	return strconv.AppendInt(append(dst, label...), int64(n), 10)
}

func appendSize(dst []byte, label string, n int) []byte {
	dst = append(appendInt(dst, label, n), " byte"...)
	if n != 1 {
		dst = append(dst, 's')
	}
	return dst
}

func appendFlag(dst []byte, set bool, name string) []byte {
	if set {
		dst = append(dst, name...)
	}
	return dst
}

// appendMessage appends what PUBLISH and the will have in common.
func appendMessage(dst, payload []byte, props Properties) []byte {
	dst = appendSize(dst, " ", len(payload))
	if len(payload) > 0 {
		dst = appendBytes(append(dst, ' '), payload)
	}
	return appendProps(dst, props)
}

// appendProps appends the properties of a packet, when there are any.
func appendProps(dst []byte, p Properties) []byte {
	if len(p.wire) == 0 {
		return dst
	}
	dst, _ = p.AppendText(append(dst, ' '))
	return dst
}

// appendCode appends a reason code where it says more than success.
func appendCode(dst []byte, c ReasonCode) []byte {
	if c == ReasonSuccess {
		return dst
	}
	return append(append(dst, ' '), c.String()...)
}

// appendCodes appends the reason codes of SUBACK and UNSUBACK.
func appendCodes(dst, codes []byte, t PacketType) []byte {
	dst = append(dst, " ["...)
	for i, c := range codes {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if t == TypeSubAck && c <= byte(QoS2) {
			dst = appendInt(dst, "q", int(c))
		} else {
			dst = append(dst, ReasonCode(c).String()...)
		}
	}
	return append(dst, ']')
}

// AppendText appends the packet in one line. Of the password it shows the
// length.
func (p *Connect) AppendText(dst []byte) ([]byte, error) {
	dst = appendName(append(dst, "CONNECT "...), p.ClientID)
	dst = appendFlag(dst, p.CleanStart, " clean")
	dst = appendInt(dst, " keepalive=", int(p.KeepAlive))
	if p.Username != nil {
		dst = appendName(append(dst, " username="...), p.Username)
	}
	if p.Password != nil {
		dst = appendSize(dst, " password=", len(p.Password))
	}
	dst = appendProps(dst, p.Props)
	if w := &p.Will; w.Topic != nil {
		dst = appendName(append(dst, " will "...), w.Topic)
		dst = appendInt(dst, " q", int(w.QoS))
		dst = appendFlag(dst, w.Retain, " retain")
		dst = appendMessage(dst, w.Payload, w.Props)
	}
	return dst, nil
}

// AppendText appends the packet in one line.
func (p *ConnAck) AppendText(dst []byte) ([]byte, error) {
	dst = append(append(dst, "CONNACK "...), p.Code.String()...)
	dst = appendFlag(dst, p.SessionPresent, " session present")
	return appendProps(dst, p.Props), nil
}

// AppendText appends the packet in one line, with the beginning of the payload.
func (p *Publish) AppendText(dst []byte) ([]byte, error) {
	dst = appendName(append(dst, "PUBLISH "...), p.Topic)
	dst = appendInt(dst, " q", int(p.QoS))
	if p.ID != 0 {
		dst = appendInt(dst, " id=", int(p.ID))
	}
	dst = appendFlag(dst, p.Dup, " dup")
	dst = appendFlag(dst, p.Retain, " retain")
	return appendMessage(dst, p.Payload, p.Props), nil
}

// AppendText appends the packet in one line. Success is not mentioned.
func (p *Ack) AppendText(dst []byte) ([]byte, error) {
	dst = appendInt(append(dst, p.Type.String()...), " id=", int(p.ID))
	dst = appendFlag(dst, p.Dup, " dup")
	return appendProps(appendCode(dst, p.Code), p.Props), nil
}

// AppendText appends the packet in one line.
func (p *Subscribe) AppendText(dst []byte) ([]byte, error) {
	dst = appendInt(dst, "SUBSCRIBE id=", int(p.ID))
	dst = appendFlag(dst, p.Dup, " dup")
	dst = append(dst, " ["...)
	separator := ""
	for s := range p.Subscriptions.All() {
		dst, _ = s.AppendText(append(dst, separator...))
		separator = ", "
	}
	return appendProps(append(dst, ']'), p.Props), nil
}

// AppendText appends the packet in one line.
func (p *SubAck) AppendText(dst []byte) ([]byte, error) {
	dst = appendInt(dst, "SUBACK id=", int(p.ID))
	return appendProps(appendCodes(dst, p.Codes, TypeSubAck), p.Props), nil
}

// AppendText appends the packet in one line.
func (p *Unsubscribe) AppendText(dst []byte) ([]byte, error) {
	dst = appendInt(dst, "UNSUBSCRIBE id=", int(p.ID))
	dst = appendFlag(dst, p.Dup, " dup")
	dst = append(dst, " ["...)
	separator := ""
	for f := range p.Filters.All() {
		dst = appendName(append(dst, separator...), f)
		separator = ", "
	}
	return appendProps(append(dst, ']'), p.Props), nil
}

// AppendText appends the packet in one line.
func (p *UnsubAck) AppendText(dst []byte) ([]byte, error) {
	dst = appendInt(dst, "UNSUBACK id=", int(p.ID))
	if len(p.Codes) > 0 {
		dst = appendCodes(dst, p.Codes, TypeUnsubAck)
	}
	return appendProps(dst, p.Props), nil
}

// AppendText appends the packet's name.
func (p *Ping) AppendText(dst []byte) ([]byte, error) {
	return append(dst, p.Type.String()...), nil
}

// AppendText appends the packet in one line. A normal disconnection is not
// mentioned.
func (p *Disconnect) AppendText(dst []byte) ([]byte, error) {
	return appendProps(appendCode(append(dst, "DISCONNECT"...), p.Code), p.Props), nil
}

// AppendText appends the packet in one line.
func (p *Auth) AppendText(dst []byte) ([]byte, error) {
	dst = append(append(dst, "AUTH "...), p.Code.String()...)
	return appendProps(dst, p.Props), nil
}

// AppendText appends the properties in their order, in braces.
func (p Properties) AppendText(dst []byte) ([]byte, error) {
	separator := "{"
	for x := range p.All() {
		dst, _ = x.AppendText(append(dst, separator...))
		separator = ", "
	}
	if len(p.wire) == 0 {
		dst = append(dst, '{')
	}
	return append(dst, '}'), nil
}

// AppendText appends the property's name and value. Of authentication data it
// shows the length.
func (x Property) AppendText(dst []byte) ([]byte, error) {
	dst = append(append(dst, x.ID.String()...), ": "...)
	kind := kindNone
	if int(x.ID) < len(propertyTable) {
		kind = propertyTable[x.ID].kind
	}
	switch {
	case x.ID == PropAuthData:
		return appendSize(dst, "", len(x.Value)), nil
	case kind == kindPair:
		return appendName(append(appendName(dst, x.Key), '='), x.Value), nil
	case kind == kindBinary:
		return appendBytes(dst, x.Value), nil
	case kind == kindString || kind == kindTopic:
		return appendName(dst, x.Value), nil
	}
	return strconv.AppendUint(dst, uint64(x.Num), 10), nil
}

// AppendText appends the filter, the QoS and those options that are not 0.
func (s Subscription) AppendText(dst []byte) ([]byte, error) {
	dst = appendInt(appendName(dst, s.Filter), " q", int(s.QoS))
	dst = appendFlag(dst, s.NoLocal, " no local")
	dst = appendFlag(dst, s.RetainAsPublished, " retain as published")
	if s.RetainHandling != RetainSend {
		dst = appendInt(dst, " retain handling ", int(s.RetainHandling))
	}
	return dst, nil
}

// String returns what AppendText appends.
func (p *Connect) String() string { return line(p) }

// String returns what AppendText appends.
func (p *ConnAck) String() string { return line(p) }

// String returns what AppendText appends.
func (p *Publish) String() string { return line(p) }

// String returns what AppendText appends.
func (p *Ack) String() string { return line(p) }

// String returns what AppendText appends.
func (p *Subscribe) String() string { return line(p) }

// String returns what AppendText appends.
func (p *SubAck) String() string { return line(p) }

// String returns what AppendText appends.
func (p *Unsubscribe) String() string { return line(p) }

// String returns what AppendText appends.
func (p *UnsubAck) String() string { return line(p) }

// String returns what AppendText appends.
func (p *Ping) String() string { return line(p) }

// String returns what AppendText appends.
func (p *Disconnect) String() string { return line(p) }

// String returns what AppendText appends.
func (p *Auth) String() string { return line(p) }

// String returns what AppendText appends.
func (p Properties) String() string { return line(p) }

// String returns what AppendText appends.
func (x Property) String() string { return line(x) }

// String returns what AppendText appends.
func (s Subscription) String() string { return line(s) }
