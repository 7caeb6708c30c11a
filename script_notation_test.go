// This file holds the notation in which scripts write packets, properties and
// events: one line of words each, read and written. It drives no client
// (script_test.go). testdata/script/README.md describes the notation.

package mqttcore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// fields are the words of a line: its first word, and what follows as key=value
// or key alone. Properties stand behind the words prop and willprop.
type fields struct {
	name        string
	keys        []string
	vals        map[string][]string
	props, will []Property
	hasProps    bool
	hasWill     bool
	used        map[string]bool
}

// splitWords cuts a line at blanks outside of quotes.
func splitWords(line string) (words []string, err error) {
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimLeft(line, " ") {
		end := 0
		for end < len(line) && line[end] != ' ' {
			if line[end] != '"' {
				end++
				continue
			}
			q, err := strconv.QuotedPrefix(line[end:])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", line[end:], err)
			}
			end += len(q)
		}
		words = append(words, line[:end])
		line = line[end:]
	}
	return words, nil
}

// unvalue reads a value: "quoted", hex:00FF, x*20 for twenty x, or as it stands.
func unvalue(s string) (string, error) {
	if strings.HasPrefix(s, `"`) {
		return strconv.Unquote(s)
	}
	if h, ok := strings.CutPrefix(s, "hex:"); ok {
		b, err := hex.DecodeString(h)
		return string(b), err
	}
	if len(s) > 2 && s[1] == '*' {
		if n, err := strconv.Atoi(s[2:]); err == nil {
			return strings.Repeat(s[:1], n), nil
		}
	}
	return s, nil
}

// value writes what unvalue reads.
func value(b []byte) string {
	if len(b) > 16 && bytes.Count(b, b[:1]) == len(b) && b[0] > ' ' && b[0] < 0x7F && b[0] != '"' {
		return fmt.Sprintf("%c*%d", b[0], len(b))
	}
	if !utf8.Valid(b) {
		return "hex:" + hex.EncodeToString(b)
	}
	s := string(b)
	if back, err := unvalue(s); err != nil || back != s || strings.ContainsAny(s, " \"\\:,") || s == "" ||
		strconv.Quote(s) != `"`+s+`"` {
		return strconv.Quote(s)
	}
	return s
}

func parseFields(line string) (*fields, error) {
	words, err := splitWords(line)
	if err != nil || len(words) == 0 {
		return nil, fmt.Errorf("%q: no words (%v)", line, err)
	}
	f := &fields{name: words[0], vals: map[string][]string{}, used: map[string]bool{}}
	var section *[]Property
	for _, w := range words[1:] {
		switch w {
		case "prop":
			section, f.hasProps = &f.props, true
			continue
		case "willprop":
			section, f.hasWill = &f.will, true
			continue
		}
		key, val, _ := strings.Cut(w, "=")
		if section != nil {
			x, err := parseProperty(key, val)
			if err != nil {
				return nil, err
			}
			*section = append(*section, x)
			continue
		}
		f.keys = append(f.keys, key)
		f.vals[key] = append(f.vals[key], val)
	}
	return f, nil
}

func (f *fields) has(key string) bool {
	f.used[key] = true
	return len(f.vals[key]) > 0
}

func (f *fields) raw(key string) string {
	if !f.has(key) {
		return ""
	}
	return f.vals[key][0]
}

// bytes is nil where the key is missing.
func (f *fields) bytes(key string) []byte {
	if !f.has(key) {
		return nil
	}
	s, err := unvalue(f.raw(key))
	if err != nil {
		panic(err)
	}
	return append([]byte{}, s...)
}

func (f *fields) num(key string) int64 {
	if !f.has(key) {
		return 0
	}
	n, err := strconv.ParseInt(f.raw(key), 0, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// flag is a word alone, or with =no for its absence.
func (f *fields) flag(key string) bool { return f.has(key) && f.raw(key) != "no" }

func (f *fields) codes(key string) []byte {
	b := []byte{}
	for _, s := range strings.Split(f.raw(key), ",") {
		if s == "" {
			continue
		}
		n, err := strconv.ParseUint(s, 0, 8)
		if err != nil {
			panic(err)
		}
		b = append(b, byte(n))
	}
	return b
}

// unknown is an error when a word of the line was not understood.
func (f *fields) unknown() error {
	for _, k := range f.keys {
		if !f.used[k] {
			return fmt.Errorf("%s: unknown word %q", f.name, k)
		}
	}
	return nil
}

// propertyWord is the specification's name without blanks.
func propertyWord(id PropertyID) string { return strings.ReplaceAll(id.String(), " ", "") }

func parseProperty(name, val string) (Property, error) {
	for id, row := range propertyTable {
		if row.name == "" || propertyWord(PropertyID(id)) != name {
			continue
		}
		x := Property{ID: PropertyID(id)}
		switch row.kind {
		case kindString, kindTopic, kindBinary:
			s, err := unvalue(val)
			x.Value = []byte(s)
			return x, err
		case kindPair:
			k, v, _ := strings.Cut(val, ":")
			key, err := unvalue(k)
			s, err2 := unvalue(v)
			x.Key, x.Value = []byte(key), []byte(s)
			return x, errors.Join(err, err2)
		}
		n, err := strconv.ParseUint(val, 0, 32)
		x.Num = uint32(n)
		return x, err
	}
	return Property{}, fmt.Errorf("no property is called %q", name)
}

func propsText(word string, p Properties) string {
	if p.Len() == 0 {
		return ""
	}
	s := " " + word
	for x := range p.All() {
		s += " " + propertyWord(x.ID) + "="
		switch propertyTable[x.ID].kind {
		case kindString, kindTopic, kindBinary:
			s += value(x.Value)
		case kindPair:
			s += value(x.Key) + ":" + value(x.Value)
		default:
			s += strconv.FormatUint(uint64(x.Num), 10)
		}
	}
	return s
}

func parseSubscriptions(f *fields) (Subscriptions, error) {
	var list Subscriptions
	f.has("filter")
	for _, val := range f.vals["filter"] {
		name, opts, _ := strings.Cut(val, ":")
		filter, err := unvalue(name)
		if err != nil {
			panic(err)
		}
		s := Subscription{Filter: []byte(filter)}
		for _, o := range strings.Split(opts, ":") {
			switch o {
			case "nl":
				s.NoLocal = true
			case "rap":
				s.RetainAsPublished = true
			case "rh0", "rh1", "rh2", "rh3":
				s.RetainHandling = RetainHandling(o[2] - '0')
			case "0", "1", "2", "3":
				s.QoS = QoS(o[0] - '0')
			default:
				return list, fmt.Errorf("filter=%s: unknown option %q", val, o)
			}
		}
		if err := list.Add(s); err != nil {
			return list, err
		}
	}
	return list, nil
}

func parseFilters(f *fields) (Filters, error) {
	var list Filters
	f.has("filter")
	for _, val := range f.vals["filter"] {
		filter, err := unvalue(val)
		if err != nil {
			panic(err)
		}
		if err := list.Add([]byte(filter)); err != nil {
			return list, err
		}
	}
	return list, nil
}

func parseConnect(f *fields, p *Connect) error {
	if f.has("id") {
		p.ClientID = f.bytes("id")
	}
	if f.has("clean") {
		p.CleanStart = f.flag("clean")
	}
	if f.has("keepalive") {
		p.KeepAlive = uint16(f.num("keepalive"))
	}
	if f.has("user") {
		p.Username = f.bytes("user")
	}
	if f.has("pass") {
		p.Password = f.bytes("pass")
	}
	if f.has("will") {
		p.Will = Will{
			Topic: f.bytes("will"), Payload: f.bytes("willpayload"),
			QoS: QoS(f.num("willqos")), Retain: f.flag("willretain"),
		}
	}
	var err, err2 error
	if f.hasProps {
		p.Props, err = NewProperties(f.props...)
	}
	if f.hasWill {
		p.Will.Props, err2 = NewProperties(f.will...)
	}
	return errors.Join(err, err2)
}

func parsePublish(f *fields, p *Publish) (err error) {
	p.Topic, p.Payload, p.ID = f.bytes("topic"), f.bytes("payload"), uint16(f.num("id"))
	p.QoS, p.Dup, p.Retain = QoS(f.num("qos")), f.flag("dup"), f.flag("retain")
	p.Props, err = NewProperties(f.props...)
	return err
}

// parsePacket makes the packet that a line writes. Only what no struct can hold
// is an error; the encoder judges the rest.
func parsePacket(line string) (p Packet, err error) {
	f, err := parseFields(line)
	if err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: %v", line, r)
		}
		if err == nil {
			err = f.unknown()
		}
	}()
	props, err := NewProperties(f.props...)
	if err != nil {
		return nil, err
	}
	id, code := uint16(f.num("id")), ReasonCode(f.num("code"))
	switch f.name {
	case "CONNECT":
		p := new(Connect)
		return p, parseConnect(f, p)
	case "CONNACK":
		return &ConnAck{SessionPresent: f.flag("present"), Code: code, Props: props}, nil
	case "PUBLISH":
		p := new(Publish)
		return p, parsePublish(f, p)
	case "SUBSCRIBE":
		list, err := parseSubscriptions(f)
		return &Subscribe{ID: id, Dup: f.flag("dup"), Subscriptions: list, Props: props}, err
	case "SUBACK":
		return &SubAck{ID: id, Codes: f.codes("codes"), Props: props}, nil
	case "UNSUBSCRIBE":
		list, err := parseFilters(f)
		return &Unsubscribe{ID: id, Dup: f.flag("dup"), Filters: list, Props: props}, err
	case "UNSUBACK":
		return &UnsubAck{ID: id, Codes: f.codes("codes"), Props: props}, nil
	case "DISCONNECT":
		return &Disconnect{Code: code, Props: props}, nil
	case "AUTH":
		return &Auth{Code: code, Props: props}, nil
	case "PINGREQ", "PINGRESP":
		return &Ping{Type: packetTypeOf(f.name)}, nil
	case "PUBACK", "PUBREC", "PUBREL", "PUBCOMP":
		return &Ack{Type: packetTypeOf(f.name), ID: id, Code: code, Dup: f.flag("dup"), Props: props}, nil
	}
	return nil, fmt.Errorf("%s: no packet", f.name)
}

func packetTypeOf(name string) PacketType {
	for t := TypeConnect; t <= TypeAuth; t++ {
		if t.String() == name {
			return t
		}
	}
	return 0
}

func flagText(set bool, word string) string {
	if set {
		return " " + word
	}
	return ""
}

func codeText(c ReasonCode) string {
	if c == 0 {
		return ""
	}
	return fmt.Sprintf(" code=0x%02X", uint8(c))
}

func codesText(codes []byte) string {
	if len(codes) == 0 {
		return ""
	}
	s := make([]string, len(codes))
	for i, c := range codes {
		s[i] = strconv.Itoa(int(c))
		if c > 2 {
			s[i] = fmt.Sprintf("0x%02X", c)
		}
	}
	return " codes=" + strings.Join(s, ",")
}

func publishText(p *Publish) string {
	s := ""
	if p.Topic != nil {
		s += " topic=" + value(p.Topic)
	}
	s += fmt.Sprintf(" qos=%d", p.QoS)
	if p.ID != 0 {
		s += fmt.Sprintf(" id=%d", p.ID)
	}
	s += flagText(p.Dup, "dup") + flagText(p.Retain, "retain")
	if len(p.Payload) > 0 {
		s += " payload=" + value(p.Payload)
	}
	return s + propsText("prop", p.Props)
}

// packetText writes what parsePacket reads.
func packetText(p Packet) string {
	s := p.PacketType().String()
	switch p := p.(type) {
	case *Connect:
		s += " id=" + value(p.ClientID) + flagText(p.CleanStart, "clean") + fmt.Sprintf(" keepalive=%d", p.KeepAlive)
		if p.Username != nil {
			s += " user=" + value(p.Username)
		}
		if p.Password != nil {
			s += " pass=" + value(p.Password)
		}
		if w := &p.Will; w.Topic != nil {
			s += fmt.Sprintf(" will=%s willqos=%d", value(w.Topic), w.QoS) + flagText(w.Retain, "willretain")
			if len(w.Payload) > 0 {
				s += " willpayload=" + value(w.Payload)
			}
		}
		s += propsText("prop", p.Props) + propsText("willprop", p.Will.Props)
	case *ConnAck:
		s += flagText(p.SessionPresent, "present") + codeText(p.Code) + propsText("prop", p.Props)
	case *Publish:
		s += publishText(p)
	case *Ack:
		s += fmt.Sprintf(" id=%d", p.ID) + flagText(p.Dup, "dup") + codeText(p.Code) + propsText("prop", p.Props)
	case *Subscribe:
		s += fmt.Sprintf(" id=%d", p.ID) + flagText(p.Dup, "dup")
		for sub := range p.Subscriptions.All() {
			s += fmt.Sprintf(" filter=%s:%d", value(sub.Filter), sub.QoS)
			if sub.NoLocal {
				s += ":nl"
			}
			if sub.RetainAsPublished {
				s += ":rap"
			}
			if sub.RetainHandling != 0 {
				s += fmt.Sprintf(":rh%d", sub.RetainHandling)
			}
		}
		s += propsText("prop", p.Props)
	case *Unsubscribe:
		s += fmt.Sprintf(" id=%d", p.ID) + flagText(p.Dup, "dup")
		for filter := range p.Filters.All() {
			s += " filter=" + value(filter)
		}
		s += propsText("prop", p.Props)
	case *SubAck:
		s += fmt.Sprintf(" id=%d", p.ID) + codesText(p.Codes) + propsText("prop", p.Props)
	case *UnsubAck:
		s += fmt.Sprintf(" id=%d", p.ID) + codesText(p.Codes) + propsText("prop", p.Props)
	case *Disconnect:
		s += codeText(p.Code) + propsText("prop", p.Props)
	case *Auth:
		s += codeText(p.Code) + propsText("prop", p.Props)
	}
	return s
}

// eventText writes an event with all of its fields.
func eventText(e *Event) string {
	s := strings.ReplaceAll(e.Kind.String(), " ", "-") + flagText(e.SessionPresent, "present")
	switch e.Kind {
	case EventMessage:
		s += publishText(&e.Message)
	case EventPublished, EventSubscribed, EventUnsubscribed, EventDropped:
		s += fmt.Sprintf(" tag=%d", e.Tag)
	case EventPong:
		s += " rtt=" + e.RTT.String()
	case EventProgress:
		s += fmt.Sprintf(" tag=%d id=%d status=%s from=%v", e.Tag, e.ID, value([]byte(e.Status.String())), e.From)
	case EventChunk:
		s += " payload=" + value(e.Message.Payload)
	}
	if e.Partial {
		s += fmt.Sprintf(" partial size=%d", e.Size)
	}
	if e.Filter != nil {
		s += " filter=" + value(e.Filter)
	}
	if e.Cause != CauseNone {
		s += " cause=" + value([]byte(e.Cause.String()))
	}
	if e.Why != DropNone {
		s += " why=" + value([]byte(e.Why.String()))
	}
	s += codeText(e.Code) + codesText(e.Codes)
	if e.Err != nil {
		s += " " + errorText(e.Err)
	}
	return s + propsText("prop", e.Props)
}

// misuses are the errors of calls by their names.
var misuses = map[Misuse]string{
	ErrPending: "ErrPending", ErrClosed: "ErrClosed", ErrConnected: "ErrConnected",
	ErrNotConnected: "ErrNotConnected", ErrQueueFull: "ErrQueueFull", ErrNoIdentifier: "ErrNoIdentifier",
	ErrSession: "ErrSession", ErrNotSupported: "ErrNotSupported", ErrTooLarge: "ErrTooLarge",
	ErrTopicAlias: "ErrTopicAlias", ErrAuth: "ErrAuth", ErrExpiry: "ErrExpiry", ErrToken: "ErrToken",
	ErrVersion: "ErrVersion", ErrPacketType: "ErrPacketType", ErrProperty: "ErrProperty",
}

func errorText(err error) string {
	var e *Error
	var m Misuse
	switch {
	case errors.As(err, &e):
		_, rule, _ := strings.Cut(e.Rule.String(), ":")
		return fmt.Sprintf("rule=%s 0x%02X", rule, uint8(e.Code))
	case errors.As(err, &m) && misuses[m] != "":
		return misuses[m]
	}
	return "err=" + strconv.Quote(err.Error())
}
