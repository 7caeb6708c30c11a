// This file asks that what may not be sent is refused on encode, whatever the
// caller put into a struct, and that every statement that the codec enforces is
// reached by some test case.

package mqttcore

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// propsOf makes a list that must be legal.
func propsOf(ps ...Property) Properties {
	p, err := NewProperties(ps...)
	if err != nil {
		panic(err)
	}
	return p
}

// subsOf makes a list that must be legal.
func subsOf(subs ...Subscription) Subscriptions {
	l, err := NewSubscriptions(subs...)
	if err != nil {
		panic(err)
	}
	return l
}

// filtersOf makes a list that must be legal.
func filtersOf(filters ...string) Filters {
	l, err := NewFilters(filters...)
	if err != nil {
		panic(err)
	}
	return l
}

var (
	text65536 = bytes.Repeat([]byte("x"), 65536)
	text65535 = text65536[:65535]
	// tooBig is never written to, so that it takes no memory.
	tooBig = make([]byte, 1<<28)
)

// illegalPacket is a struct that no dialect of the row may encode.
type illegalPacket struct {
	name     string
	packet   Packet
	versions string // as in the vectors
	sender   string
	rule     string // code in hex and statements, as in the vectors
}

// illegalPackets lists them, statement by statement.
func illegalPackets() []illegalPacket {
	topic := []byte("a/b")
	sub := subsOf(Subscription{Filter: []byte("a")})
	content := propsOf(ContentType("text"))
	alias := propsOf(TopicAlias(1))
	id := []byte("id")
	will := func(w Will) *Connect { return &Connect{ClientID: id, Will: w} }
	shared, _ := NewSubscriptions(Subscription{Filter: []byte("$share//a")})
	both := "both"
	return []illegalPacket{
		{"client identifier of 65,536 bytes", &Connect{ClientID: text65536}, "all", "client", "81 3.1:§2.5 3.1.1:§1.5.3 5.0:§1.5.4"},
		{"user name of 65,536 bytes", &Connect{ClientID: id, Username: text65536}, "all", "client", "81 3.1:§2.5 3.1.1:§1.5.3 5.0:§1.5.4"},
		{"password of 65,536 bytes", &Connect{ClientID: id, Username: id, Password: text65536}, "all", "client", "81 3.1:§2.5 3.1.1:§1.5.3 5.0:§1.5.4"},
		{"will topic of 65,536 bytes (MQTT-4.7.3-3)", will(Will{Topic: text65536}), "all", "client", "81 3.1:§2.5 3.1.1:§1.5.3 5.0:§1.5.4"},
		{"will payload of 65,536 bytes", will(Will{Topic: topic, Payload: text65536}), "all", "client", "81 3.1:§2.5 3.1.1:§1.5.3 5.0:§1.5.4"},
		{"ill-formed client identifier (MQTT-3.1.3-4)", &Connect{ClientID: []byte{0xFF}}, "3.1.1", "client", "81 3.1.1:MQTT-1.5.3-1"},
		{"ill-formed client identifier (MQTT-3.1.3-4)", &Connect{ClientID: []byte{0xFF}}, "5.0", "client", "81 5.0:MQTT-1.5.4-1"},
		{"U+0000 in the user name", &Connect{ClientID: id, Username: []byte{0}}, "3.1.1", "client", "81 3.1.1:MQTT-1.5.3-2"},
		{"U+0000 in the user name", &Connect{ClientID: id, Username: []byte{0}}, "5.0", "client", "81 5.0:MQTT-1.5.4-2"},
		{"password without a user name", &Connect{ClientID: id, Password: id}, "3.x", "client", "81 3.1:MQTT31-11 3.1.1:MQTT-3.1.2-22"},
		{"empty client identifier, session kept (MQTT-3.1.3-7)", &Connect{}, "3.x", "client", "85 3.1:MQTT31-02 3.1.1:MQTT-3.1.3-8"},
		{"empty client identifier (MQTT31-14)", &Connect{CleanStart: true}, "3.1", "client", "85 3.1:MQTT31-02"},
		{"client identifier of 24 characters", &Connect{ClientID: text65535[:24]}, "3.1", "client", "85 3.1:MQTT31-02"},
		{"will QoS 3", will(Will{Topic: topic, QoS: 3}), "all", "client", "81 3.1:§3.1 3.1.1:MQTT-3.1.2-14 5.0:MQTT-3.1.2-12"},
		{"empty will topic", will(Will{Topic: []byte{}}), "all", "client", "81 3.1:§3.3 3.1.1:MQTT-4.7.3-1 5.0:MQTT-4.7.3-1"},
		{"wildcard in the will topic (MQTT-4.7.0-1)", will(Will{Topic: []byte("a/+")}), "all", "client", "81 3.1:§3.3 3.1.1:MQTT-3.3.2-2 5.0:MQTT-3.3.2-2"},
		{"will QoS without a will", will(Will{QoS: 1}), "all", "client", "81 3.1:§3.1 3.1.1:MQTT-3.1.2-13 5.0:MQTT-3.1.2-11"},
		{"will retain without a will", will(Will{Retain: true}), "all", "client", "81 3.1:§3.1 3.1.1:MQTT-3.1.2-15 5.0:MQTT-3.1.2-13"},
		{"will payload without a will", will(Will{Payload: id}), "all", "client", "81 3.1:§3.3 3.1.1:MQTT-4.7.3-1 5.0:MQTT-4.7.3-1"},
		{"will properties without a will", will(Will{Props: content}), "5.0", "client", "81 5.0:MQTT-4.7.3-1"},
		{"properties in CONNECT", &Connect{ClientID: id, Props: propsOf(ReceiveMaximum(1))}, "3.x", "client", "82 3.1:§2.1 3.1.1:§2.2"},
		{"properties in a will", will(Will{Topic: topic, Props: content}), "3.x", "client", "82 3.1:§2.1 3.1.1:§2.2"},
		{"a property of PUBLISH in CONNECT", &Connect{ClientID: id, Props: content}, "5.0", "client", "81 5.0:§2.2.2.2"},
		{"a property of CONNECT in a will", will(Will{Topic: topic, Props: propsOf(ReceiveMaximum(1))}), "5.0", "client", "81 5.0:§2.2.2.2"},
		{"authentication data without a method", &Connect{ClientID: id, Props: propsOf(AuthData("x"))}, "5.0", "client", "82 5.0:§3.1.2.11.10"},
		{"CONNECT from a server", &Connect{ClientID: id}, "all", "server", "82 3.1:§2.1 3.1.1:§2.2.1 5.0:§2.1.2"},

		{"session present with a refusal", &ConnAck{SessionPresent: true, Code: ReasonNotAuthorized}, "3.1.1", "server", "82 3.1.1:MQTT-3.2.2-4"},
		{"session present with a refusal", &ConnAck{SessionPresent: true, Code: ReasonNotAuthorized}, "5.0", "server", "82 5.0:MQTT-3.2.2-6"},
		{"session present with a refusal", &ConnAck{SessionPresent: true, Code: ReasonNotAuthorized}, "3.1", "server", "82 3.1:§3.2"},
		{"session present in 3.1 (MQTT31-03)", &ConnAck{SessionPresent: true}, "3.1", "server", "81 3.1:§3.2"},
		{"a code that 3.x lacks", &ConnAck{Code: ReasonQuotaExceeded}, "3.x", "server", "81 3.1:§3.2 3.1.1:§3.2.2.3"},
		{"properties in CONNACK", &ConnAck{Props: propsOf(ReasonString("x"))}, "3.x", "server", "82 3.1:§2.1 3.1.1:§2.2"},
		{"CONNACK from a client", &ConnAck{}, "all", "client", "82 3.1:§2.1 3.1.1:§2.2.1 5.0:§2.1.2"},

		{"topic of 65,536 bytes (3.1.1 MQTT-4.7.3-3, 5.0 MQTT-4.7.3-3)", &Publish{Topic: text65536}, "all", both, "81 3.1:§2.5 3.1.1:§1.5.3 5.0:§1.5.4"},
		{"empty topic", &Publish{}, "3.x", both, "81 3.1:§3.3 3.1.1:MQTT-4.7.3-1"},
		{"empty topic, no alias", &Publish{}, "5.0", both, "82 5.0:§3.3.2.1"},
		{"empty topic with an alias, which 3.x lacks", &Publish{Props: alias}, "3.x", both, "81 3.1:§3.3 3.1.1:MQTT-4.7.3-1"},
		{"wildcard (MQTT-4.7.1-1)", &Publish{Topic: []byte("a/#")}, "all", both, "81 3.1:§3.3 3.1.1:MQTT-3.3.2-2 5.0:MQTT-3.3.2-2"},
		{"ill-formed topic (MQTT-3.3.2-1)", &Publish{Topic: []byte("a\xC3")}, "3.1.1", both, "81 3.1.1:MQTT-1.5.3-1"},
		{"ill-formed topic (MQTT-3.3.2-1)", &Publish{Topic: []byte("a\xC3")}, "5.0", both, "81 5.0:MQTT-1.5.4-1"},
		{"QoS 4", &Publish{Topic: topic, QoS: 4, ID: 1}, "all", both, "81 3.1:§2.1 3.1.1:MQTT-3.3.1-4 5.0:MQTT-3.3.1-4"},
		{"QoS 12", &Publish{Topic: topic, QoS: 12, ID: 1}, "all", both, "81 3.1:§2.1 3.1.1:MQTT-3.3.1-4 5.0:MQTT-3.3.1-4"},
		{"QoS 3", &Publish{Topic: topic, QoS: 3, ID: 1}, "all", both, "81 3.1:§2.1 3.1.1:MQTT-3.3.1-4 5.0:MQTT-3.3.1-4"},
		{"DUP at QoS 0", &Publish{Topic: topic, Dup: true}, "all", both, "82 3.1:§2.1 3.1.1:MQTT-3.3.1-2 5.0:MQTT-3.3.1-2"},
		{"identifier 0", &Publish{Topic: topic, QoS: 1}, "all", "client", "82 3.1:§2.4 3.1.1:MQTT-2.3.1-1 5.0:MQTT-2.2.1-3"},
		{"identifier 0", &Publish{Topic: topic, QoS: 1}, "all", "server", "82 3.1:§2.4 3.1.1:MQTT-2.3.1-1 5.0:MQTT-2.2.1-4"},
		{"identifier at QoS 0", &Publish{Topic: topic, ID: 1}, "all", both, "82 3.1:§2.4 3.1.1:MQTT-2.3.1-5 5.0:MQTT-2.2.1-2"},
		{"properties in PUBLISH", &Publish{Topic: topic, Props: content}, "3.x", both, "82 3.1:§2.1 3.1.1:§2.2"},
		{"subscription identifier from a client", &Publish{Topic: topic, Props: propsOf(SubscriptionID(1))}, "5.0", "client", "82 5.0:MQTT-3.3.4-6"},
		{"too long", &Publish{Topic: topic, Payload: tooBig}, "all", both, "81 3.1:§2.1 3.1.1:§2.2.3 5.0:§1.5.5"},

		{"identifier 0", &Ack{Type: TypePubAck}, "all", both, "82 3.1:§2.4 3.1.1:MQTT-2.3.1-6 5.0:MQTT-2.2.1-5"},
		{"DUP in PUBREL", &Ack{Type: TypePubRel, ID: 1, Dup: true}, "3.1.1", both, "81 3.1.1:MQTT-3.6.1-1"},
		{"DUP in PUBREL", &Ack{Type: TypePubRel, ID: 1, Dup: true}, "5.0", both, "81 5.0:MQTT-3.6.1-1"},
		{"DUP in PUBACK", &Ack{Type: TypePubAck, ID: 1, Dup: true}, "all", both, "81 3.1:§2.1 3.1.1:MQTT-2.2.2-2 5.0:MQTT-2.1.3-1"},
		{"DUP in PUBCOMP", &Ack{Type: TypePubComp, ID: 1, Dup: true}, "all", both, "81 3.1:§2.1 3.1.1:MQTT-2.2.2-2 5.0:MQTT-2.1.3-1"},
		{"PUBACK with a code", &Ack{Type: TypePubAck, ID: 1, Code: ReasonQuotaExceeded}, "3.x", both, "81 3.1:§3.4 3.1.1:§3.4.2"},
		{"PUBREC with a code", &Ack{Type: TypePubRec, ID: 1, Code: ReasonQuotaExceeded}, "3.x", both, "81 3.1:§3.5 3.1.1:§3.5.2"},
		{"PUBREL with a code", &Ack{Type: TypePubRel, ID: 1, Code: 0x92}, "3.x", both, "81 3.1:§3.6 3.1.1:§3.6.2"},
		{"PUBCOMP with a code", &Ack{Type: TypePubComp, ID: 1, Code: 0x92}, "3.x", both, "81 3.1:§3.7 3.1.1:§3.7.2"},
		{"properties in PUBACK", &Ack{Type: TypePubAck, ID: 1, Props: propsOf(ReasonString("x"))}, "3.x", both, "82 3.1:§2.1 3.1.1:§2.2"},
		{"a property of PUBLISH in PUBACK", &Ack{Type: TypePubAck, ID: 1, Props: alias}, "5.0", both, "81 5.0:§2.2.2.2"},

		{"no filter", &Subscribe{ID: 1}, "all", "client", "82 3.1:§3.8 3.1.1:MQTT-3.8.3-3 5.0:MQTT-3.8.3-2"},
		{"identifier 0", &Subscribe{Subscriptions: sub}, "all", "client", "82 3.1:§2.4 3.1.1:MQTT-2.3.1-1 5.0:MQTT-2.2.1-3"},
		{"options that 3.x lacks", &Subscribe{ID: 1, Subscriptions: subsOf(Subscription{Filter: id, NoLocal: true})}, "3.x", "client", "81 3.1:§3.8 3.1.1:MQTT-3.8.3-4"},
		{"empty share name", &Subscribe{ID: 1, Subscriptions: shared}, "5.0", "client", "82 5.0:MQTT-4.8.2-1"},
		{"DUP", &Subscribe{ID: 1, Dup: true, Subscriptions: sub}, "3.1.1", "client", "81 3.1.1:MQTT-3.8.1-1"},
		{"DUP", &Subscribe{ID: 1, Dup: true, Subscriptions: sub}, "5.0", "client", "81 5.0:MQTT-3.8.1-1"},
		{"two subscription identifiers", &Subscribe{ID: 1, Subscriptions: sub, Props: propsOf(SubscriptionID(1), SubscriptionID(2))}, "5.0", "client", "82 5.0:§3.8.2.1.2"},
		{"properties in SUBSCRIBE", &Subscribe{ID: 1, Subscriptions: sub, Props: propsOf(SubscriptionID(1))}, "3.x", "client", "82 3.1:§2.1 3.1.1:§2.2"},
		{"SUBSCRIBE from a server", &Subscribe{ID: 1, Subscriptions: sub}, "all", "server", "82 3.1:§2.1 3.1.1:§2.2.1 5.0:§2.1.2"},
		{"no filter", &Unsubscribe{ID: 1}, "all", "client", "82 3.1:§3.10 3.1.1:MQTT-3.10.3-2 5.0:MQTT-3.10.3-2"},
		{"identifier 0", &Unsubscribe{Filters: filtersOf("a")}, "all", "client", "82 3.1:§2.4 3.1.1:MQTT-2.3.1-1 5.0:MQTT-2.2.1-3"},
		{"DUP", &Unsubscribe{ID: 1, Dup: true, Filters: filtersOf("a")}, "3.1.1", "client", "81 3.1.1:MQTT-3.10.1-1"},
		{"DUP", &Unsubscribe{ID: 1, Dup: true, Filters: filtersOf("a")}, "5.0", "client", "81 5.0:MQTT-3.10.1-1"},
		{"UNSUBSCRIBE from a server", &Unsubscribe{ID: 1, Filters: filtersOf("a")}, "all", "server", "82 3.1:§2.1 3.1.1:§2.2.1 5.0:§2.1.2"},
		{"no code", &SubAck{ID: 1}, "all", "server", "82 3.1:§3.9 3.1.1:MQTT-3.8.4-5 5.0:MQTT-3.8.4-6"},
		{"identifier 0", &SubAck{Codes: []byte{0}}, "all", "server", "82 3.1:§2.4 3.1.1:MQTT-2.3.1-7 5.0:MQTT-2.2.1-6"},
		{"SUBACK from a client", &SubAck{ID: 1, Codes: []byte{0}}, "all", "client", "82 3.1:§2.1 3.1.1:§2.2.1 5.0:§2.1.2"},
		{"no code", &UnsubAck{ID: 1}, "5.0", "server", "82 5.0:MQTT-3.11.3-2"},
		{"codes", &UnsubAck{ID: 1, Codes: []byte{0}}, "3.x", "server", "81 3.1:§2.1 3.1.1:§2.2.3"},
		{"identifier 0", &UnsubAck{Codes: []byte{0}}, "5.0", "server", "82 5.0:MQTT-2.2.1-6"},
		{"UNSUBACK from a client", &UnsubAck{ID: 1, Codes: []byte{0}}, "5.0", "client", "82 5.0:§2.1.2"},
		{"PINGREQ from a server", &Ping{Type: TypePingReq}, "all", "server", "82 3.1:§2.1 3.1.1:§2.2.1 5.0:§2.1.2"},
		{"PINGRESP from a client", &Ping{Type: TypePingResp}, "all", "client", "82 3.1:§2.1 3.1.1:§2.2.1 5.0:§2.1.2"},
		{"DISCONNECT from a server", &Disconnect{}, "3.x", "server", "82 3.1:§2.1 3.1.1:§2.2.1"},
		{"DISCONNECT with a code", &Disconnect{Code: ReasonUnspecifiedError}, "3.x", "client", "81 3.1:§3.14 3.1.1:§3.14"},
		{"properties in DISCONNECT", &Disconnect{Props: propsOf(ReasonString("x"))}, "3.x", "client", "82 3.1:§2.1 3.1.1:§2.2"},
		{"session expiry from a server", &Disconnect{Props: propsOf(SessionExpiry(1))}, "5.0", "server", "82 5.0:MQTT-3.14.2-2"},
		{"server reference from a client", &Disconnect{Props: propsOf(ServerReference("x"))}, "5.0", "client", "82 5.0:§3.14.2.2.5"},
		{"AUTH before 5.0", &Auth{Code: 0x18, Props: propsOf(AuthMethod("m"))}, "3.x", both, "81 3.1:§2.1 3.1.1:§2.2.1"},
		{"authentication data before 5.0", &Connect{ClientID: id, Props: propsOf(AuthData("x"))}, "3.x", "client", "82 3.1:§2.1 3.1.1:§2.2"},
		{"payload format before 5.0", &Publish{Topic: topic, Payload: []byte{0xFF}, Props: propsOf(PayloadFormat(1))}, "3.x", both, "82 3.1:§2.1 3.1.1:§2.2"},
		{"payload format of a will before 5.0", will(Will{Topic: topic, Payload: []byte{0xFF}, Props: propsOf(PayloadFormat(1))}), "3.x", "client", "82 3.1:§2.1 3.1.1:§2.2"},
		{"no method", &Auth{Code: 0x18}, "5.0", both, "82 5.0:§3.15.2.2.2"},
		{"a property of CONNECT in AUTH", &Auth{Code: 0x18, Props: propsOf(AuthMethod("m"), ReceiveMaximum(1))}, "5.0", both, "81 5.0:§2.2.2.2"},
	}
}

// TestEncodeRefuses: an illegal struct gives its error, and dst comes back as
// it was, untouched behind its end too.
func TestEncodeRefuses(t *testing.T) {
	for _, c := range illegalPackets() {
		words := strings.Fields(c.rule)
		for _, version := range vectorVersions[c.versions] {
			for _, from := range vectorSenders[c.sender] {
				d := Dialect{Version: version, From: from}
				for _, d.Options = range []Options{0, RefuseInvalidPayload} {
					w := mustVerdict(t, words)
					room := append(make([]byte, 0, 64), "dst"...)
					out, err := c.packet.AppendTo(room, d)
					w.wantRefusal(t, c.packet.PacketType().String()+": "+c.name, d, err)
					if string(out) != "dst" || &out[0] != &room[0] || !bytes.Equal(room[3:64], make([]byte, 61)) {
						t.Errorf("%v: %s: dst is %q", c.packet.PacketType(), c.name, out[:min(len(out), 80)])
					}
					if p, ok := c.packet.(*Publish); ok {
						out, err = p.AppendHeader(room, d)
						w.wantRefusal(t, "header: "+c.name, d, err)
						if string(out) != "dst" {
							t.Errorf("header: %s: dst is %q", c.name, out)
						}
					}
					var e *Error
					if errors.As(err, &e) && (e.Type != c.packet.PacketType() || e.Off != 0) {
						t.Errorf("%s: the error is of %v, byte %d", c.name, e.Type, e.Off)
					}
				}
			}
		}
	}
}

// mustVerdict reads a code and statements.
func mustVerdict(t *testing.T, words []string) *verdict {
	t.Helper()
	v, err := parseVector("all both bad 00 ! " + strings.Join(words, " "))
	if err != nil {
		t.Fatal(err)
	}
	return &v.verdict
}

// badVersions are the versions that do not exist.
func badVersions() (all []Version) {
	for v := range 256 {
		if v < 3 || v > 5 {
			all = append(all, Version(v))
		}
	}
	return all
}

// TestEncodeMisuse: a version that does not exist and a struct without a type
// are the caller's mistakes, in every packet and both ways.
func TestEncodeMisuse(t *testing.T) {
	packets := []Packet{
		&Connect{}, &ConnAck{}, &Publish{Topic: []byte("a")}, &Ack{Type: TypePubAck, ID: 1},
		&Subscribe{ID: 1, Subscriptions: subsOf(Subscription{Filter: []byte("a")})}, &SubAck{ID: 1, Codes: []byte{0}},
		&Unsubscribe{ID: 1, Filters: filtersOf("a")}, &UnsubAck{ID: 1, Codes: []byte{0}}, &Ping{Type: TypePingReq},
		&Disconnect{}, &Auth{Code: 0x18, Props: propsOf(AuthMethod("m"))},
	}
	for _, p := range packets {
		for _, version := range badVersions() {
			d := Dialect{Version: version}
			if out, err := p.AppendTo([]byte("dst"), d); !errors.Is(err, ErrVersion) || string(out) != "dst" {
				t.Errorf("%T of version %d: %q, %v", p, version, out, err)
			}
			f := Frame{Type: p.PacketType(), Flags: firstFlags(p.PacketType())}
			if err := p.Decode(f, d); !errors.Is(err, ErrVersion) {
				t.Errorf("%T of version %d: %v", p, version, err)
			}
			if _, err := Decode(f, d); !errors.Is(err, ErrVersion) {
				t.Errorf("Decode of %T, version %d: %v", p, version, err)
			}
		}
		other := TypePingResp
		if p.PacketType() == TypePingReq {
			other = TypeConnect
		}
		if err := p.Decode(Frame{Type: other}, Dialect{Version: V5}); !errors.Is(err, ErrPacketType) {
			t.Errorf("%T takes %v: %v", p, other, err)
		}
	}
	for _, version := range badVersions() {
		d := Dialect{Version: version}
		if _, n, err := ConsumeFrame([]byte{0xC0, 0}, d, 0); n != 0 || !errors.Is(err, ErrVersion) {
			t.Errorf("version %d: %d, %v", version, n, err)
		}
		if _, err := Decode(Frame{}, d); !errors.Is(err, ErrVersion) {
			t.Errorf("version %d, type 0: %v", version, err)
		}
		if _, err := (&Publish{Topic: []byte("a")}).AppendHeader(nil, d); !errors.Is(err, ErrVersion) {
			t.Errorf("version %d: header: %v", version, err)
		}
	}
	for _, p := range []Packet{&Ack{ID: 1}, &Ack{Type: TypePublish, ID: 1}, &Ping{}, &Ping{Type: TypeAuth}} {
		if out, err := p.AppendTo([]byte("dst"), Dialect{Version: V5}); !errors.Is(err, ErrPacketType) || string(out) != "dst" {
			t.Errorf("%v: %q, %v", p, out, err)
		}
	}
}

// TestCodecRules: every statement that the codec enforces is broken by some
// vector or some illegal struct, in every version that has it.
func TestCodecRules(t *testing.T) {
	hit := map[Rule]bool{}
	note := func(err error) {
		var e *Error
		if errors.As(err, &e) {
			hit[Rule(e.Rule.Version())<<8|Rule(ruleOf(err))] = true
		}
	}
	for _, v := range readVectors(t) {
		for d := range v.dialects {
			_, _, err := decodeFirst(v.in, d)
			note(err)
			d.Options = v.options
			_, _, err = decodeFirst(v.in, d)
			note(err)
		}
	}
	for _, c := range illegalPackets() {
		for _, version := range vectorVersions[c.versions] {
			for _, from := range vectorSenders[c.sender] {
				_, err := c.packet.AppendTo(nil, Dialect{Version: version, From: from})
				note(err)
			}
		}
	}
	for _, version := range []Version{V31, V311, V5} {
		for _, from := range []Role{FromClient, FromServer} {
			_, _, err := ConsumeFrame([]byte{0x30, 5}, Dialect{Version: version, From: from}, 6)
			note(err)
		}
	}
	codec := []rule{rowPropertyValue, rowPropertyDuplicate}
	for r := ruleRemainingLength; r < ruleFirstPacket; r++ {
		codec = append(codec, r)
	}
	for _, r := range codec {
		row := &ruleTable[r]
		for version, statement := range map[Version]string{V31: row.v31, V311: row.v311, V5: row.v5} {
			property := version == V5 && slices.Contains(codec[:2], r)
			if (statement != "" || property) && !hit[Rule(version)<<8|Rule(r)] {
				t.Errorf("nothing breaks %v %s: %s", version, statement, row.text)
			}
		}
	}
}

// TestEncodeLargest: a remaining length of 268,435,455 is written, and one more
// is not.
func TestEncodeLargest(t *testing.T) {
	d := Dialect{Version: V311, From: FromClient}
	p := &Publish{Topic: []byte("a"), Payload: tooBig[:maxRemaining-3]}
	if b, err := p.AppendHeader(nil, d); err != nil || string(b) != "\x30\xff\xff\xff\x7f\x00\x01a" || p.Size(d) != MaxPacketSize {
		t.Errorf("the largest: %x, %v, %d bytes", b, err, p.Size(d))
	}
	p.Payload = tooBig[:maxRemaining-2]
	if _, err := p.AppendHeader(nil, d); ruleOf(err) != ruleRemainingLength {
		t.Errorf("one more: %v", err)
	}
	for _, pt := range []PacketType{TypeConnect, TypeSubscribe, TypeUnsubscribe} {
		flags := firstFlags(pt)
		if err := refuse(pt, flags, d, ruleNone, maxRemaining); err != nil {
			t.Errorf("%v: the largest: %v", pt, err)
		}
		if err := refuse(pt, flags, d, ruleNone, maxRemaining+1); ruleOf(err) != ruleRemainingLength {
			t.Errorf("%v: one more: %v", pt, err)
		}
	}
}
