// This file takes a packet apart into rows, following the layout alone: it goes
// on where the codec would refuse, as far as there are bytes, so that what
// surrounds a violation can be shown. It judges nothing.

package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"mqttcore"
)

// row is a field of a packet. Rows follow one another without a gap.
type row struct {
	off, size    int
	field, value string
}

// walker goes through one packet. Once a field does not fit, it is stuck and
// takes nothing more.
type walker struct {
	b       []byte // the packet, or what there is of it
	end     int    // where the present field must have ended
	version mqttcore.Version
	full    bool // show long values whole
	at      int
	stuck   bool
	rows    []row
}

// layouts say what follows the fixed header, by packet type.
var layouts = [16]func(*walker){
	mqttcore.TypeConnect:     (*walker).connect,
	mqttcore.TypeConnAck:     (*walker).connAck,
	mqttcore.TypePublish:     (*walker).publish,
	mqttcore.TypePubAck:      (*walker).ack,
	mqttcore.TypePubRec:      (*walker).ack,
	mqttcore.TypePubRel:      (*walker).ack,
	mqttcore.TypePubComp:     (*walker).ack,
	mqttcore.TypeSubscribe:   (*walker).subscribe,
	mqttcore.TypeSubAck:      (*walker).listAck,
	mqttcore.TypeUnsubscribe: (*walker).unsubscribe,
	mqttcore.TypeUnsubAck:    (*walker).listAck,
	mqttcore.TypeDisconnect:  (*walker).codeAndProperties,
	mqttcore.TypeAuth:        (*walker).codeAndProperties,
}

// walk returns the rows of the packet b, which may be incomplete. Together they
// are all of b.
func walk(b []byte, v mqttcore.Version, full bool) []row {
	w := walker{b: b, end: len(b), version: v, full: full}
	w.header()
	if layout := layouts[w.packetType()]; layout != nil && !w.stuck {
		layout(&w)
	}
	if n := len(b) - w.at; n > 0 {
		w.add("(rest)", byteCount(n), n)
	}
	return w.rows
}

func (w *walker) packetType() mqttcore.PacketType { return mqttcore.PacketType(w.b[0] >> 4) }

// add makes a row of the next n bytes.
func (w *walker) add(field, value string, n int) {
	w.rows = append(w.rows, row{w.at, n, field, value})
	w.at += n
}

// left is how many bytes there still are for fields.
func (w *walker) left() int {
	if w.stuck {
		return 0
	}
	return w.end - w.at
}

// peek returns the next n bytes, or nil and is stuck.
func (w *walker) peek(n int) []byte {
	if w.stuck || w.end-w.at < n {
		w.stuck = true
		return nil
	}
	return w.b[w.at : w.at+n]
}

func (w *walker) header() {
	t, flags := w.packetType(), w.b[0]&15
	value := fmt.Sprintf("%s (%d)", t, t)
	switch {
	case t == mqttcore.TypePublish:
		value += ", " + list(
			mqttcore.QoS(flags>>1&3).String(),
			when(flags&8 != 0, "DUP"),
			when(flags&1 != 0, "RETAIN"))
	case flags != 0:
		value += fmt.Sprintf(", flags %04b", flags)
	}
	w.add("packet type and flags", value, 1)
	w.varint("remaining length")
}

// varint takes a variable byte integer, in its shortest form or not.
func (w *walker) varint(field string) (v int) {
	for n := 1; n <= 4; n++ {
		b := w.peek(n)
		if b == nil {
			return 0
		}
		v |= int(b[n-1]&0x7F) << (7 * (n - 1))
		if b[n-1] < 0x80 {
			value := strconv.Itoa(v)
			if n > mqttcore.SizeUvarint(uint32(v)) {
				value += ", not in its shortest form"
			}
			w.add(field, value, n)
			return v
		}
	}
	w.stuck = true
	return 0
}

func (w *walker) octet(field string, say func(uint8) string) uint8 {
	b := w.peek(1)
	if b == nil {
		return 0
	}
	w.add(field, say(b[0]), 1)
	return b[0]
}

// integer takes an unsigned integer of size bytes.
func (w *walker) integer(field string, size int) {
	var v uint64
	b := w.peek(size)
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	if b != nil {
		w.add(field, strconv.FormatUint(v, 10), size)
	}
}

// counted returns the string or binary data at the present place plus skip, and
// the bytes it takes with its length.
func (w *walker) counted(skip int) (s []byte, size int) {
	b := w.peek(skip + 2)
	if b == nil {
		return nil, 0
	}
	size = 2 + (int(b[skip])<<8 | int(b[skip+1]))
	if b = w.peek(skip + size); b == nil {
		return nil, 0
	}
	return b[skip+2:], size
}

func (w *walker) str(field string) {
	if s, n := w.counted(0); n > 0 {
		w.add(field, w.quote(s), n)
	}
}

func (w *walker) binary(field string) {
	if s, n := w.counted(0); n > 0 {
		w.add(field, w.data(s), n)
	}
}

// properties takes a property length and the properties.
func (w *walker) properties(of string) {
	if w.version != mqttcore.V5 {
		return
	}
	n := w.varint(of + "property length")
	packetEnd := w.end
	w.end = min(w.at+n, packetEnd)
	for w.left() > 0 {
		w.property()
	}
	w.end = packetEnd
}

// property takes one property: identifier and value in one row.
func (w *walker) property() {
	id := w.peek(1)[0]
	field := mqttcore.PropertyID(id).String()
	form := formNone
	if int(id) < len(propertyForms) {
		form = propertyForms[id]
	}
	// The value is walked with the identifier already taken, and joined to it.
	w.at++
	rows := len(w.rows)
	switch form {
	case formByte:
		w.integer(field, 1)
	case formUint16:
		w.integer(field, 2)
	case formUint32:
		w.integer(field, 4)
	case formVarint:
		w.varint(field)
	case formString:
		w.str(field)
	case formBinary:
		w.binary(field)
	case formPair:
		key, n := w.counted(0)
		if value, m := w.counted(n); n > 0 && m > 0 {
			w.add(field, w.quote(key)+" = "+w.quote(value), n+m)
		}
	default:
		w.stuck = true
	}
	if len(w.rows) == rows {
		w.at--
		return
	}
	w.rows[rows].off--
	w.rows[rows].size++
}

func (w *walker) connect() {
	w.str("protocol name")
	w.octet("protocol level", func(level uint8) string {
		for _, v := range [...]mqttcore.Version{mqttcore.V31, mqttcore.V311, mqttcore.V5} {
			if level == uint8(v) {
				return fmt.Sprintf("%d, MQTT %s", level, v)
			}
		}
		return fmt.Sprintf("%d, unknown", level)
	})
	flags := w.octet("connect flags", w.connectFlags)
	w.integer("keep alive", 2)
	w.properties("")
	w.str("client identifier")
	if flags&0x04 != 0 {
		w.properties("will ")
		w.str("will topic")
		w.binary("will payload")
	}
	// In 3.1 these two may be missing even though a flag announces them.
	mayEnd := w.version == mqttcore.V31
	if flags&0x80 != 0 && !(mayEnd && w.left() == 0) {
		w.str("user name")
	}
	if flags&0x40 != 0 && !(mayEnd && w.left() == 0) {
		w.binary("password")
	}
}

func (w *walker) connectFlags(o uint8) string {
	clean := "clean session"
	if w.version == mqttcore.V5 {
		clean = "clean start"
	}
	return fmt.Sprintf("%08b ", o) + list(
		when(o&0x80 != 0, "user name"),
		when(o&0x40 != 0, "password"),
		when(o&0x20 != 0, "will retain"),
		when(o&0x18 != 0, "will "+mqttcore.QoS(o>>3&3).String()),
		when(o&0x04 != 0, "will"),
		when(o&0x02 != 0, clean),
		when(o&0x01 != 0, "reserved"))
}

func (w *walker) connAck() {
	w.octet("connect acknowledge flags", func(o uint8) string {
		return fmt.Sprintf("%08b ", o) + list(when(o&1 != 0, "session present"), when(o > 1, "reserved bits set"))
	})
	if w.version != mqttcore.V5 {
		w.octet("return code", func(o uint8) string {
			if c, ok := mqttcore.ReasonOfReturnCode(o); ok {
				return fmt.Sprintf("%d, %s", o, c)
			}
			return fmt.Sprintf("%d, reserved", o)
		})
		return
	}
	w.codeAndProperties()
}

func (w *walker) publish() {
	w.str("topic name")
	if w.b[0]&6 != 0 {
		w.packetID()
	}
	w.properties("")
	if n := w.left(); n > 0 {
		w.add("payload", w.data(w.peek(n)), n)
	}
}

func (w *walker) packetID() { w.integer("packet identifier", 2) }

func (w *walker) ack() {
	w.packetID()
	w.codeAndProperties()
}

// codeAndProperties takes the reason code and properties that end the packets
// that may leave them out.
func (w *walker) codeAndProperties() {
	if w.version == mqttcore.V5 && w.left() > 0 {
		w.octet("reason code", reason)
		if w.left() > 0 {
			w.properties("")
		}
	}
}

func (w *walker) subscribe() {
	w.packetID()
	w.properties("")
	for w.left() > 0 {
		w.str("topic filter")
		if w.version == mqttcore.V5 {
			w.octet("subscription options", subscriptionOptions)
		} else {
			w.octet("requested QoS", func(o uint8) string {
				return mqttcore.QoS(o&3).String() + when(o > 3, ", reserved bits set")
			})
		}
	}
}

func subscriptionOptions(o uint8) string {
	return fmt.Sprintf("%08b ", o) + list(
		mqttcore.QoS(o&3).String(),
		when(o&0x04 != 0, "no local"),
		when(o&0x08 != 0, "retain as published"),
		fmt.Sprintf("retain handling %d", o>>4&3),
		when(o&0xC0 != 0, "reserved bits set"))
}

func (w *walker) unsubscribe() {
	w.packetID()
	w.properties("")
	for w.left() > 0 {
		w.str("topic filter")
	}
}

// listAck takes a SUBACK or an UNSUBACK, which in 3.x has no codes.
func (w *walker) listAck() {
	w.packetID()
	w.properties("")
	subAck := w.packetType() == mqttcore.TypeSubAck
	for w.left() > 0 && (subAck || w.version == mqttcore.V5) {
		w.octet("reason code", func(o uint8) string {
			if subAck && o == 0 {
				return "0x00 Granted QoS 0"
			}
			return reason(o)
		})
	}
}

func reason(o uint8) string { return fmt.Sprintf("0x%02X %s", o, mqttcore.ReasonCode(o)) }

// quote shows a string; data shows bytes that may be one.
func (w *walker) quote(s []byte) string {
	const most = 60
	if w.full || len(s) <= most {
		return strconv.Quote(string(s))
	}
	n := most
	for n > most-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return strconv.Quote(string(s[:n])) + "…, " + byteCount(len(s))
}

func (w *walker) data(s []byte) string {
	text := utf8.Valid(s)
	for _, c := range s {
		text = text && (c >= ' ' && c != 0x7F || isBlank(c))
	}
	if !text || len(s) == 0 {
		return byteCount(len(s))
	}
	return w.quote(s)
}

func byteCount(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return strconv.Itoa(n) + " bytes"
}

func when(is bool, s string) string {
	if is {
		return s
	}
	return ""
}

// list joins what is not empty.
func list(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		if p != "" && b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p)
	}
	return b.String()
}

// form is how the value of a property is written.
type form uint8

const (
	formNone form = iota
	formByte
	formUint16
	formUint32
	formVarint
	formString
	formBinary
	formPair
)

// propertyForms is indexed by property identifier.
var propertyForms = [...]form{
	mqttcore.PropPayloadFormat:            formByte,
	mqttcore.PropMessageExpiry:            formUint32,
	mqttcore.PropContentType:              formString,
	mqttcore.PropResponseTopic:            formString,
	mqttcore.PropCorrelationData:          formBinary,
	mqttcore.PropSubscriptionID:           formVarint,
	mqttcore.PropSessionExpiry:            formUint32,
	mqttcore.PropAssignedClientID:         formString,
	mqttcore.PropServerKeepAlive:          formUint16,
	mqttcore.PropAuthMethod:               formString,
	mqttcore.PropAuthData:                 formBinary,
	mqttcore.PropRequestProblemInfo:       formByte,
	mqttcore.PropWillDelay:                formUint32,
	mqttcore.PropRequestResponseInfo:      formByte,
	mqttcore.PropResponseInfo:             formString,
	mqttcore.PropServerReference:          formString,
	mqttcore.PropReasonString:             formString,
	mqttcore.PropReceiveMaximum:           formUint16,
	mqttcore.PropTopicAliasMaximum:        formUint16,
	mqttcore.PropTopicAlias:               formUint16,
	mqttcore.PropMaximumQoS:               formByte,
	mqttcore.PropRetainAvailable:          formByte,
	mqttcore.PropUserProperty:             formPair,
	mqttcore.PropMaximumPacketSize:        formUint32,
	mqttcore.PropWildcardAvailable:        formByte,
	mqttcore.PropSubscriptionIDsAvailable: formByte,
	mqttcore.PropSharedAvailable:          formByte,
}
