// This file holds the tables of 5.0 a second time, typed from the
// specification and not from props.go and reason.go, and tries every property
// and every reason code in every packet from every sender.

package mqttcore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// places are the packets that have properties or reason codes. A packet is
// begin, then (after the remaining length) fixed, the properties with their
// length, and rest.
var places = []struct {
	name        string
	packet      PacketType
	from        string // c, s or cs
	first       byte
	fixed, rest string // hex; CC stands for the reason code
	make        func(c ReasonCode, p Properties) Packet
}{
	{"CONNECT", TypeConnect, "c", 0x10, "00044D5154540502003C", "0000", func(_ ReasonCode, p Properties) Packet {
		return &Connect{CleanStart: true, KeepAlive: 60, Props: p}
	}},
	{"WILL", 0, "c", 0x10, "00044D5154540506003C000000", "0001770000", func(_ ReasonCode, p Properties) Packet {
		return &Connect{CleanStart: true, KeepAlive: 60, Will: Will{Topic: []byte("w"), Props: p}}
	}},
	{"CONNACK", TypeConnAck, "s", 0x20, "00CC", "", func(c ReasonCode, p Properties) Packet {
		return &ConnAck{Code: c, Props: p}
	}},
	{"PUBLISH", TypePublish, "cs", 0x30, "000161", "", func(_ ReasonCode, p Properties) Packet {
		return &Publish{Topic: []byte("a"), Props: p}
	}},
	{"PUBACK", TypePubAck, "cs", 0x40, "0001CC", "", func(c ReasonCode, p Properties) Packet {
		return &Ack{Type: TypePubAck, ID: 1, Code: c, Props: p}
	}},
	{"PUBREC", TypePubRec, "cs", 0x50, "0001CC", "", func(c ReasonCode, p Properties) Packet {
		return &Ack{Type: TypePubRec, ID: 1, Code: c, Props: p}
	}},
	{"PUBREL", TypePubRel, "cs", 0x62, "0001CC", "", func(c ReasonCode, p Properties) Packet {
		return &Ack{Type: TypePubRel, ID: 1, Code: c, Props: p}
	}},
	{"PUBCOMP", TypePubComp, "cs", 0x70, "0001CC", "", func(c ReasonCode, p Properties) Packet {
		return &Ack{Type: TypePubComp, ID: 1, Code: c, Props: p}
	}},
	{"SUBSCRIBE", TypeSubscribe, "c", 0x82, "0001", "00016100", func(_ ReasonCode, p Properties) Packet {
		l, _ := NewSubscriptions(Subscription{Filter: []byte("a")})
		return &Subscribe{ID: 1, Subscriptions: l, Props: p}
	}},
	{"SUBACK", TypeSubAck, "s", 0x90, "0001", "CC", func(c ReasonCode, p Properties) Packet {
		return &SubAck{ID: 1, Codes: []byte{byte(c)}, Props: p}
	}},
	{"UNSUBSCRIBE", TypeUnsubscribe, "c", 0xA2, "0001", "000161", func(_ ReasonCode, p Properties) Packet {
		l, _ := NewFilters("a")
		return &Unsubscribe{ID: 1, Filters: l, Props: p}
	}},
	{"UNSUBACK", TypeUnsubAck, "s", 0xB0, "0001", "CC", func(c ReasonCode, p Properties) Packet {
		return &UnsubAck{ID: 1, Codes: []byte{byte(c)}, Props: p}
	}},
	{"DISCONNECT", TypeDisconnect, "cs", 0xE0, "CC", "", func(c ReasonCode, p Properties) Packet {
		return &Disconnect{Code: c, Props: p}
	}},
	{"AUTH", TypeAuth, "cs", 0xF0, "CC", "", func(c ReasonCode, p Properties) Packet {
		return &Auth{Code: c, Props: p}
	}},
}

// placed is the packet of places[i] on the wire.
func placed(i int, code ReasonCode, props []byte) []byte {
	part := func(s string) []byte {
		b, err := hex.DecodeString(strings.Replace(s, "CC", fmt.Sprintf("%02X", uint8(code)), 1))
		if err != nil {
			panic(err)
		}
		return b
	}
	body := append(part(places[i].fixed), byte(len(props)))
	body = append(append(body, props...), part(places[i].rest)...)
	return append([]byte{places[i].first, byte(len(body))}, body...)
}

// sendersOf are the roles that send a packet.
func sendersOf(from string) []Role {
	switch from {
	case "c":
		return []Role{FromClient}
	case "s":
		return []Role{FromServer}
	}
	return []Role{FromClient, FromServer}
}

// listed reports whether name is in the list, for that sender: "PUBLISH:s" is
// for a server's PUBLISH only.
func listed(list, name string, from Role) bool {
	suffix := map[Role]string{FromClient: ":c", FromServer: ":s"}[from]
	words := strings.Fields(list)
	if from == FromEither {
		return listed(list, name, FromClient) || listed(list, name, FromServer)
	}
	return slices.Contains(words, name) || slices.Contains(words, name+suffix)
}

// propertyFacts are the 27 properties.
var propertyFacts = []struct {
	id   PropertyID
	name string
	in   string
	good string   // a value
	bad  []string // values that are refused
}{
	{0x01, "Payload Format Indicator", "PUBLISH WILL", "01", []string{"02", "FF"}},
	{0x02, "Message Expiry Interval", "PUBLISH WILL", "00000000", nil},
	{0x03, "Content Type", "PUBLISH WILL", "000161", []string{"0001FF", "000100"}},
	{0x08, "Response Topic", "PUBLISH WILL", "000161", []string{"0000", "00012B", "000123", "0001C0"}},
	{0x09, "Correlation Data", "PUBLISH WILL", "0001FF", nil},
	{0x0B, "Subscription Identifier", "PUBLISH:s SUBSCRIBE", "8001", []string{"00", "8100", "FFFFFFFF01"}},
	{0x11, "Session Expiry Interval", "CONNECT CONNACK DISCONNECT:c", "FFFFFFFF", nil},
	{0x12, "Assigned Client Identifier", "CONNACK", "000161", []string{"0001FF"}},
	{0x13, "Server Keep Alive", "CONNACK", "0000", nil},
	{0x15, "Authentication Method", "CONNECT CONNACK AUTH", "000161", []string{"0001FF"}},
	{0x16, "Authentication Data", "CONNECT CONNACK AUTH", "0001FF", nil},
	{0x17, "Request Problem Information", "CONNECT", "00", []string{"02"}},
	{0x18, "Will Delay Interval", "WILL", "00000001", nil},
	{0x19, "Request Response Information", "CONNECT", "01", []string{"02"}},
	{0x1A, "Response Information", "CONNACK", "000161", []string{"0001FF"}},
	{0x1C, "Server Reference", "CONNACK DISCONNECT:s", "000161", []string{"0001FF"}},
	{0x1F, "Reason String", "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH", "000161", []string{"0001FF"}},
	{0x21, "Receive Maximum", "CONNECT CONNACK", "0001", []string{"0000"}},
	{0x22, "Topic Alias Maximum", "CONNECT CONNACK", "0000", nil},
	{0x23, "Topic Alias", "PUBLISH", "0001", []string{"0000"}},
	{0x24, "Maximum QoS", "CONNACK", "01", []string{"02"}},
	{0x25, "Retain Available", "CONNACK", "00", []string{"02"}},
	{0x26, "User Property", "CONNECT CONNACK PUBLISH WILL PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK DISCONNECT AUTH", "00016B0000", []string{"0001FF0000", "00000001FF"}},
	{0x27, "Maximum Packet Size", "CONNECT CONNACK", "00000001", []string{"00000000"}},
	{0x28, "Wildcard Subscription Available", "CONNACK", "01", []string{"02"}},
	{0x29, "Subscription Identifier Available", "CONNACK", "01", []string{"02"}},
	{0x2A, "Shared Subscription Available", "CONNACK", "00", []string{"02"}},
}

// TestPropertyTable tries every property in every packet from every sender,
// on decode and on encode: alone, twice, cut short, and with each bad value.
func TestPropertyTable(t *testing.T) {
	known := map[PropertyID]bool{}
	for _, fact := range propertyFacts {
		known[fact.id] = true
		if fact.id.String() != fact.name {
			t.Errorf("%#x is %q, want %q", uint8(fact.id), fact.id, fact.name)
		}
		value, _ := hex.DecodeString(fact.good)
		one := append([]byte{byte(fact.id)}, value...)
		for i, place := range places {
			// What else the packet needs, so that only the property is judged.
			var needs []byte
			if place.name == "AUTH" && fact.id != PropAuthMethod || place.name == "CONNECT" && fact.id == PropAuthData {
				needs = []byte{byte(PropAuthMethod), 0, 1, 'm'}
			}
			code := ReasonSuccess
			if place.name == "AUTH" {
				code = ReasonContinueAuthentication
			}
			for _, from := range append(sendersOf(place.from), FromEither) {
				d := Dialect{Version: V5, From: from}
				allowed := listed(fact.in, place.name, from)
				table := fact.id.AllowedIn(place.packet, from)
				if place.name == "WILL" {
					table = fact.id.AllowedInWill()
				}
				if table != allowed {
					t.Errorf("%v in %s from %v: AllowedIn is %v", fact.id, place.name, from, table)
				}
				try := func(what string, block []byte, want bool) {
					t.Helper()
					block = append(slices.Clip(needs), block...)
					wire := placed(i, code, block)
					_, _, err := decodeFirst(wire, d)
					if (err == nil) != want {
						t.Errorf("%v in %s from %v, %s: decode: %v", fact.id, place.name, from, what, err)
					}
					var e *Error
					if err != nil && (!errors.As(err, &e) || !e.Code.IsError() || e.Rule.String() == "5.0:-" || e.Rule.Text() == "") {
						t.Errorf("%v in %s from %v, %s: error %#v", fact.id, place.name, from, what, err)
					}
					props, err := ParseProperties(block)
					if err == nil {
						p := place.make(code, props)
						var b []byte
						if b, err = p.AppendTo(nil, d); err == nil && !bytes.Equal(b, wire) {
							t.Errorf("%v in %s from %v, %s: encodes to %x, want %x", fact.id, place.name, from, what, b, wire)
						}
					}
					if (err == nil) != want {
						t.Errorf("%v in %s from %v, %s: encode: %v", fact.id, place.name, from, what, err)
					}
				}
				try("alone", one, allowed)
				again := fact.id == 0x26 || fact.id == 0x0B && place.name == "PUBLISH"
				try("twice", append(slices.Clip(one), one...), allowed && again)
				for n := 1; n < len(one); n++ {
					try("cut short", one[:n], false)
				}
				for _, bad := range fact.bad {
					value, _ := hex.DecodeString(bad)
					try("value "+bad, append([]byte{byte(fact.id)}, value...), false)
				}
			}
		}
	}
	for id := range PropertyID(255) {
		if !known[id] && (id.AllowedIn(TypePublish, FromEither) || id.AllowedInWill() || id.String() != "unknown property") {
			t.Errorf("property %#x exists", uint8(id))
		}
	}
}

// reasonFacts are the 43 reason codes. 0x8C in DISCONNECT and 0x9B in that
// of a client are choices, where tables and text of 5.0 disagree.
var reasonFacts = []struct {
	code ReasonCode
	name string
	in   string
}{
	{0x00, "Success", "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH:s"},
	{0x01, "Granted QoS 1", "SUBACK"},
	{0x02, "Granted QoS 2", "SUBACK"},
	{0x04, "Disconnect with Will Message", "DISCONNECT:c"},
	{0x10, "No matching subscribers", "PUBACK:s PUBREC:s"},
	{0x11, "No subscription existed", "UNSUBACK"},
	{0x18, "Continue authentication", "AUTH"},
	{0x19, "Re-authenticate", "AUTH:c"},
	{0x80, "Unspecified error", "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT"},
	{0x81, "Malformed Packet", "CONNACK DISCONNECT"},
	{0x82, "Protocol Error", "CONNACK DISCONNECT"},
	{0x83, "Implementation specific error", "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT"},
	{0x84, "Unsupported Protocol Version", "CONNACK"},
	{0x85, "Client Identifier not valid", "CONNACK"},
	{0x86, "Bad User Name or Password", "CONNACK"},
	{0x87, "Not authorized", "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT:s"},
	{0x88, "Server unavailable", "CONNACK"},
	{0x89, "Server busy", "CONNACK DISCONNECT:s"},
	{0x8A, "Banned", "CONNACK"},
	{0x8B, "Server shutting down", "DISCONNECT:s"},
	{0x8C, "Bad authentication method", "CONNACK DISCONNECT"},
	{0x8D, "Keep Alive timeout", "DISCONNECT:s"},
	{0x8E, "Session taken over", "DISCONNECT:s"},
	{0x8F, "Topic Filter invalid", "SUBACK UNSUBACK DISCONNECT:s"},
	{0x90, "Topic Name invalid", "CONNACK PUBACK PUBREC DISCONNECT"},
	{0x91, "Packet Identifier in use", "PUBACK PUBREC SUBACK UNSUBACK"},
	{0x92, "Packet Identifier not found", "PUBREL PUBCOMP"},
	{0x93, "Receive Maximum exceeded", "DISCONNECT"},
	{0x94, "Topic Alias invalid", "DISCONNECT"},
	{0x95, "Packet too large", "CONNACK DISCONNECT"},
	{0x96, "Message rate too high", "DISCONNECT"},
	{0x97, "Quota exceeded", "CONNACK PUBACK PUBREC SUBACK DISCONNECT"},
	{0x98, "Administrative action", "DISCONNECT"},
	{0x99, "Payload format invalid", "CONNACK PUBACK PUBREC DISCONNECT"},
	{0x9A, "Retain not supported", "CONNACK DISCONNECT:s"},
	{0x9B, "QoS not supported", "CONNACK DISCONNECT"},
	{0x9C, "Use another server", "CONNACK DISCONNECT:s"},
	{0x9D, "Server moved", "CONNACK DISCONNECT:s"},
	{0x9E, "Shared Subscriptions not supported", "SUBACK DISCONNECT:s"},
	{0x9F, "Connection rate exceeded", "CONNACK DISCONNECT:s"},
	{0xA0, "Maximum connect time", "DISCONNECT:s"},
	{0xA1, "Subscription Identifiers not supported", "SUBACK DISCONNECT:s"},
	{0xA2, "Wildcard Subscriptions not supported", "SUBACK DISCONNECT:s"},
}

// TestReasonTable tries all 256 codes in every packet that has one, from every
// sender, on decode and on encode (MQTT-3.2.2-8, MQTT-3.4.2-1, MQTT-3.5.2-1,
// MQTT-3.6.2-1, MQTT-3.7.2-1, MQTT-3.9.3-2, MQTT-3.11.3-2, MQTT-3.14.2-1,
// MQTT-3.15.2-1).
func TestReasonTable(t *testing.T) {
	facts := map[ReasonCode]string{}
	for _, fact := range reasonFacts {
		facts[fact.code] = fact.in
		if fact.code.String() != fact.name || !fact.code.Known() || fact.code.IsError() != (fact.code >= 0x80) {
			t.Errorf("%#x is %q, known %v, error %v", uint8(fact.code), fact.code, fact.code.Known(), fact.code.IsError())
		}
	}
	if len(facts) != 43 {
		t.Errorf("%d codes", len(facts))
	}
	method := []byte{byte(PropAuthMethod), 0, 1, 'm'}
	for i, place := range places {
		if !strings.Contains(place.fixed+place.rest, "CC") {
			continue
		}
		var block []byte
		if place.name == "AUTH" {
			block = method
		}
		props, _ := ParseProperties(block)
		for c := range 256 {
			code := ReasonCode(c)
			for _, from := range append(sendersOf(place.from), FromEither) {
				d := Dialect{Version: V5, From: from}
				want := listed(facts[code], place.name, from)
				if code.AllowedIn(place.packet, from) != want {
					t.Errorf("%#x in %s from %v: AllowedIn is %v", c, place.name, from, !want)
				}
				_, _, err := decodeFirst(placed(i, code, block), d)
				if (err == nil) != want {
					t.Errorf("%#x in %s from %v: decode: %v", c, place.name, from, err)
				}
				out, err := place.make(code, props).AppendTo(nil, d)
				if (err == nil) != want {
					t.Errorf("%#x in %s from %v: encode: %x, %v", c, place.name, from, out, err)
				}
				d.Options = AllowAnyReason
				_, _, err = decodeFirst(placed(i, code, block), d)
				if (err == nil) != (facts[code] != "") {
					t.Errorf("%#x in %s from %v with AllowAnyReason: %v", c, place.name, from, err)
				}
				if _, ok := facts[code]; !ok && (code.Known() || code.String() != fmt.Sprintf("reason %#02x", c)) {
					t.Errorf("%#x is known, as %q", c, code)
				}
			}
		}
	}
}

// TestReturnCodes tries all codes in the CONNACK and SUBACK of 3.x (3.1.1
// MQTT-3.9.3-2).
func TestReturnCodes(t *testing.T) {
	want := map[ReasonCode]uint8{0x00: 0, 0x84: 1, 0x85: 2, 0x88: 3, 0x86: 4, 0x87: 5}
	for c := range 256 {
		code, ok := ReasonCode(c).ReturnCode()
		if w, known := want[ReasonCode(c)]; ok != known || code != w {
			t.Errorf("ReturnCode of %#x is %d, %v", c, code, ok)
		}
		reason, ok := ReasonOfReturnCode(uint8(c))
		if ok != (c < 6) || ok && want[reason] != uint8(c) {
			t.Errorf("ReasonOfReturnCode(%d) is %v, %v", c, reason, ok)
		}
		for _, version := range []Version{V31, V311} {
			d := Dialect{Version: version, From: FromServer}
			if _, _, err := decodeFirst([]byte{0x20, 2, 0, byte(c)}, d); (err == nil) != (c < 6) {
				t.Errorf("%v: CONNACK with %d: %v", version, c, err)
			}
			_, known := want[ReasonCode(c)]
			out, err := (&ConnAck{Code: ReasonCode(c)}).AppendTo(nil, d)
			if (err == nil) != known || known && !bytes.Equal(out, []byte{0x20, 2, 0, want[ReasonCode(c)]}) {
				t.Errorf("%v: CONNACK of %#x: %x, %v", version, c, out, err)
			}
			granted := c < 3 || c == 0x80
			if _, _, err := decodeFirst([]byte{0x90, 3, 0, 1, byte(c)}, d); (err == nil) != granted {
				t.Errorf("%v: SUBACK with %#x: %v", version, c, err)
			}
			if _, err := (&SubAck{ID: 1, Codes: []byte{byte(c)}}).AppendTo(nil, d); (err == nil) != granted {
				t.Errorf("%v: SUBACK of %#x: %v", version, c, err)
			}
		}
	}
}
