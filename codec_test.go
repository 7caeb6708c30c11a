// This file tests the codec function by function: primitives, frames, topics,
// lists. Properties have codec_props_test.go; whole packets, and what is true
// of all of them, have codec_vectors_test.go.

package mqttcore

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestUvarint(t *testing.T) {
	tests := []struct {
		v    uint32
		wire string
	}{
		{0, "\x00"}, {1, "\x01"}, {127, "\x7f"},
		{128, "\x80\x01"}, {16383, "\xff\x7f"},
		{16384, "\x80\x80\x01"}, {2097151, "\xff\xff\x7f"},
		{2097152, "\x80\x80\x80\x01"}, {268435455, "\xff\xff\xff\x7f"},
	}
	for _, test := range tests {
		if got := AppendUvarint([]byte("dst"), test.v); string(got) != "dst"+test.wire {
			t.Errorf("AppendUvarint(%d) is %x", test.v, got[3:])
		}
		if got := SizeUvarint(test.v); got != len(test.wire) {
			t.Errorf("SizeUvarint(%d) is %d", test.v, got)
		}
		for _, tail := range []string{"", "\x00", "\xff\xff"} {
			if v, n := ConsumeUvarint([]byte(test.wire + tail)); v != test.v || n != len(test.wire) {
				t.Errorf("ConsumeUvarint(%x) is %d, %d", test.wire+tail, v, n)
			}
		}
		for n := range len(test.wire) {
			if _, got := ConsumeUvarint([]byte(test.wire[:n])); got != 0 {
				t.Errorf("ConsumeUvarint(%x) takes %d", test.wire[:n], got)
			}
		}
	}
	bad := []struct {
		wire string
		n    int
	}{
		{"\x80\x00", -2}, {"\xff\x00", -2}, {"\x80\x80\x00", -2}, {"\x80\x80\x80\x00", -2},
		{"\x80\x80\x80\x80", -1}, {"\xff\xff\xff\xff\x7f", -1}, {"\x80\x80\x80\x80\x80\x00", -1},
	}
	for _, test := range bad {
		if _, n := ConsumeUvarint([]byte(test.wire)); n != test.n {
			t.Errorf("ConsumeUvarint(%x) takes %d, want %d", test.wire, n, test.n)
		}
	}
}

func TestString(t *testing.T) {
	for _, s := range []string{"", "a", "\xff\x00", string(text65535)} {
		b, ok := AppendString([]byte("dst"), s)
		if !ok || len(b) != 3+2+len(s) {
			t.Fatalf("AppendString of %d bytes: %d bytes, %v", len(s), len(b), ok)
		}
		b = b[3:]
		got, n := ConsumeString(append(b, "tail"...))
		if string(got) != s || n != len(b) || got == nil || cap(got) != len(got) {
			t.Errorf("ConsumeString of %d bytes: %d bytes, %d taken, capacity %d", len(s), len(got), n, cap(got))
		}
		for _, cut := range []int{0, 1, len(b) - 1} {
			if got, n := ConsumeString(b[:min(cut, len(b)-1)]); got != nil || n != 0 {
				t.Errorf("ConsumeString of %d of %d bytes takes %d", cut, len(b), n)
			}
		}
	}
	if b, ok := AppendString([]byte("dst"), text65536); ok || string(b) != "dst" {
		t.Errorf("a string of 65,536 bytes is written as %d bytes", len(b))
	}
}

func TestFrameSize(t *testing.T) {
	tests := []struct {
		wire  string
		total int
		ok    bool
	}{
		{"", 0, false}, {"\x30", 0, false}, {"\x30\x80", 0, false}, {"\x30\xff\xff\xff", 0, false},
		{"\xc0\x00", 2, true}, {"\x30\x7f", 129, true}, {"\x30\x80\x01", 131, true}, {"\x30\x80\x01rest", 131, true},
		{"\x30\xff\xff\xff\x7f", MaxPacketSize, true},
		{"\x30\xff\xff\xff\xff", 0, false}, {"\x30\xff\xff\xff\xff\x01", 0, false},
	}
	for _, test := range tests {
		if total, ok := FrameSize([]byte(test.wire)); total != test.total || ok != test.ok {
			t.Errorf("FrameSize(%x) is %d, %v", test.wire, total, ok)
		}
	}
}

// TestFrameIllegal: a frame writes whatever a length can express.
func TestFrameIllegal(t *testing.T) {
	frames := []Frame{
		{Type: 0, Flags: 15, Body: []byte("x")},
		{Type: 15, Flags: 7},
		{Type: TypeConnAck, Flags: 2, Body: bytes.Repeat([]byte{1}, 300)},
		{Type: TypePublish, Flags: 6, Body: []byte{0xFF}},
	}
	for _, f := range frames {
		b := f.AppendTo([]byte("dst"))[3:]
		total, ok := FrameSize(b)
		if !ok || total != len(b) || b[0] != byte(f.Type)<<4|f.Flags || !bytes.HasSuffix(b, f.Body) {
			t.Errorf("%v is written as %x", f, b)
		}
	}
	if b := (Frame{Type: TypePublish, Body: tooBig}).AppendTo([]byte("dst")); string(b) != "dst" {
		t.Errorf("a body that no length can express is written as %d bytes", len(b))
	}
}

// TestConsumeFrameEarly: what the header tells is refused before the body is
// there, and the size before it is buffered.
func TestConsumeFrameEarly(t *testing.T) {
	tests := []struct {
		name  string
		wire  string
		from  Role
		limit uint32
		code  ReasonCode // 0: more bytes are wanted
	}{
		{"first byte, reserved type", "\x00", FromEither, 0, ReasonMalformedPacket},
		{"first byte, wrong sender", "\xc0", FromServer, 0, ReasonProtocolError},
		{"first byte, flags", "\xc1", FromClient, 0, ReasonMalformedPacket},
		{"first byte, QoS 3", "\x36", FromServer, 0, ReasonMalformedPacket},
		{"a letter", "G", FromClient, 0, ReasonMalformedPacket},
		{"length of a ping", "\xc0\x01", FromClient, 0, ReasonMalformedPacket},
		{"five bytes of length", "\x30\x80\x80\x80\x80", FromServer, 0, ReasonMalformedPacket},
		{"a byte over the limit", "\x30\x7f", FromServer, 128, ReasonPacketTooLarge},
		{"at the limit", "\x30\x7f", FromServer, 129, 0},
		{"the largest", "\x30\xff\xff\xff\x7f", FromServer, 0, 0},
		{"the largest at a limit", "\x30\xff\xff\xff\x7f", FromServer, MaxPacketSize, 0},
		{"the largest over a limit", "\x30\xff\xff\xff\x7f", FromServer, MaxPacketSize - 1, ReasonPacketTooLarge},
		{"nothing", "", FromServer, 1, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, v := range []Version{V311, V5} {
				_, n, err := ConsumeFrame([]byte(test.wire), Dialect{Version: v, From: test.from}, test.limit)
				if n != 0 || (err == nil) != (test.code == 0) || err != nil && !errors.Is(err, &Error{Code: test.code}) {
					t.Errorf("%v: %d, %v", v, n, err)
				}
			}
		})
	}
}

// TestConsumeFrameAliases: the body is the input, and cannot grow into what
// follows it.
func TestConsumeFrameAliases(t *testing.T) {
	b := []byte("\x30\x04\x00\x01axNEXT")
	f, n, err := ConsumeFrame(b, Dialect{Version: V311}, 0)
	if err != nil || n != 6 || &f.Body[0] != &b[2] || cap(f.Body) != len(f.Body) {
		t.Fatalf("%d, %v, capacity %d", n, err, cap(f.Body))
	}
	var p Publish
	if err := p.Decode(f, Dialect{Version: V311}); err != nil {
		t.Fatal(err)
	}
	if &p.Topic[0] != &b[4] || &p.Payload[0] != &b[5] || cap(p.Topic) != 1 || cap(p.Payload) != 1 {
		t.Errorf("the packet does not alias the input: %v", &p)
	}
	c := f.Clone()
	b[4] = 'z'
	if string(c.Body) != "\x00\x01ax" || string(p.Topic) != "z" {
		t.Errorf("the clone is %q, the packet %v", c.Body, &p)
	}
}

// TestErrorOffset: an error says at which byte of the packet it is.
func TestErrorOffset(t *testing.T) {
	tests := []struct {
		name string
		wire string
		v    Version
		off  int
	}{
		{"flags", "\xc1\x00", V5, 0},
		{"remaining length", "\x30\x80\x80\x80\x80", V5, 4},
		{"topic", "\x30\x04\x00\x02a+", V311, 4},
		{"identifier", "\x32\x05\x00\x01a\x00\x00", V311, 5},
		{"property", "\x30\x08\x00\x01a\x03\x01\x01\x04x", V5, 8},
		{"property value", "\x30\x06\x00\x01a\x02\x01\x02", V5, 7},
		{"second filter", "\x82\x0b\x00\x01\x00\x01a\x00\x00\x02#a\x00", V311, 10},
		{"code", "\x90\x05\x00\x01\x00\x00\x03", V5, 6},
		{"level", "\x10\x0a\x00\x04MQTT\x09\x00\x00\x00", V5, 8},
		{"a byte too long", "\x40\x04\x00\x01\x00\x00", V311, 1},
		{"a byte too long, not there yet", "\x40\x03", V311, 1},
		{"the same, in a long length", "\x40\x83\x00\x00", V311, 1},
		{"a byte left", "\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00x", V5, 15},
		{"long packet", "\x30\x80\x01" + "\x00\x01+" + strings.Repeat("x", 125), V311, 5},
	}
	for _, test := range tests {
		_, _, err := decodeFirst([]byte(test.wire), Dialect{Version: test.v})
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if e.Off != test.off || e.Off >= len(test.wire) {
			t.Errorf("%s: byte %d, want %d (%v)", test.name, e.Off, test.off, err)
		}
		if e.Off > 0 && !strings.Contains(e.Error(), fmt.Sprintf("byte %d)", e.Off)) {
			t.Errorf("%s: the text lacks the byte: %v", test.name, err)
		}
	}
}

// TestAckOfAnyFrame: a frame that was put together by hand is an Ack by its type
// and flags, and by nothing else.
func TestAckOfAnyFrame(t *testing.T) {
	for _, v := range []Version{V31, V311, V5} {
		d := Dialect{Version: v}
		for n := range 1 << 16 {
			f := Frame{Type: PacketType(n >> 8), Flags: uint8(n), Body: []byte{0, 1}}
			want := f.Type >= TypePubAck && f.Type <= TypePubComp && d.permits(f.Type, f.Flags)
			var p Ack
			if err := p.Decode(f, d); (err == nil) != want {
				t.Fatalf("%v: type %d, flags %#x: %v", v, f.Type, f.Flags, err)
			}
		}
	}
}

func TestConnectVersion(t *testing.T) {
	tests := []struct {
		body string
		v    Version
		code ReasonCode
	}{
		{"\x00\x06MQIsdp\x03", V31, 0},
		{"\x00\x04MQTT\x04", V311, 0},
		{"\x00\x04MQTT\x05", V5, 0},
		{"\x00\x04MQTT\x05 and what follows", V5, 0},
		{"\x00\x04MQTT\x84", V311, 0}, // a bridge
		{"\x00\x06MQIsdp\x83", V31, 0},
		{"\x00\x04MQTT\x83", 0, ReasonUnsupportedProtocolVersion},
		{"\x00\x04MQTT\x03", 0, ReasonUnsupportedProtocolVersion},
		{"\x00\x04MQTT\x06", 0, ReasonUnsupportedProtocolVersion},
		{"\x00\x06MQIsdp\x04", 0, ReasonUnsupportedProtocolVersion},
		{"\x00\x04mqtt\x04", 0, ReasonUnsupportedProtocolVersion},
		{"\x00\x00\x04", 0, ReasonUnsupportedProtocolVersion},
		{"\x00\x04MQTT", 0, ReasonMalformedPacket},
		{"\x00\x04MQ", 0, ReasonMalformedPacket},
		{"", 0, ReasonMalformedPacket},
	}
	for _, test := range tests {
		v, err := ConnectVersion(Frame{Type: TypeConnect, Body: []byte(test.body)})
		if v != test.v || (err == nil) != (test.code == 0) || err != nil && !errors.Is(err, &Error{Code: test.code}) {
			t.Errorf("%q: %v, %v", test.body, v, err)
		}
	}
	for body, want := range map[string]rule{"\x00\x04MQTT\x06": ruleProtocolLevel, "\x00\x04MQTx\x05": ruleProtocolName} {
		if _, err := ConnectVersion(Frame{Type: TypeConnect, Body: []byte(body)}); ruleOf(err) != want {
			t.Errorf("%q: %v", body, err)
		}
	}
	if _, err := ConnectVersion(Frame{Type: TypePublish}); !errors.Is(err, ErrPacketType) {
		t.Errorf("of a PUBLISH: %v", err)
	}
}

// TestStringScan: the check of strings, eight bytes at a time, says of every
// byte at every place what a check rune by rune says (MQTT-1.5.4-1,
// MQTT-1.5.4-2, MQTT-3.3.2-2).
func TestStringScan(t *testing.T) {
	d := Dialect{Version: V5}
	for size := range 25 {
		b := bytes.Repeat([]byte("a"), size)
		for i := range b {
			for c := range 256 {
				b[i] = byte(c)
				want := ruleNone
				switch {
				case c >= 0x80:
					want = ruleUTF8
				case c == 0:
					want = ruleNUL
				}
				if got := stringFault(b, d); got != want {
					t.Fatalf("stringFault(%q) is %d, want %d", b, got, want)
				}
				if c == '#' || c == '+' {
					want = ruleTopicWildcard
				}
				if got := topicFault(b, d); got != want {
					t.Fatalf("topicFault(%q) is %d, want %d", b, got, want)
				}
			}
			b[i] = 'a'
		}
	}
}

// TestControlChars tries every code point under RefuseControlChars.
func TestControlChars(t *testing.T) {
	refused := func(r rune) bool {
		return r <= 0x1F || 0x7F <= r && r <= 0x9F || 0xFDD0 <= r && r <= 0xFDEF || r%0x10000 >= 0xFFFE
	}
	for r := rune(0); r <= 0x10FFFF; r++ {
		if 0xD800 <= r && r <= 0xDFFF {
			continue
		}
		s := []byte("ab" + string(r))
		for _, v := range []Version{V31, V311, V5} {
			if got := stringFault(s, Dialect{Version: v, Options: RefuseControlChars}) != ruleNone; got != refused(r) {
				t.Fatalf("%v: %U is refused: %v", v, r, got)
			}
			if got := stringFault(s, Dialect{Version: v}) != ruleNone; got != (r == 0 && v != V31) {
				t.Fatalf("%v: %U is refused without the option: %v", v, r, got)
			}
		}
	}
}

// topicTests are names and filters, and whether they are legal as such.
var topicTests = []struct {
	s            string
	name, filter bool
}{
	{"a", true, true}, {"/", true, true}, {"//", true, true}, {"a/b/c", true, true}, {" ", true, true},
	{"a/", true, true}, {"/a", true, true}, {"ÄÖ/ü", true, true}, {"\U0010FFFF", true, true}, {"\uFEFF", true, true},
	{"$SYS/a", true, true}, {"$", true, true}, {"$share", true, true}, {"$sharex/", true, true},
	{"$share/g/a", true, true}, {"$share/g/a/b", true, true}, {"$share/g//", true, true},
	{"$share/g", true, false}, {"$share/g/", true, false}, {"$share//a", true, false}, {"$share/", true, false},
	{"", false, false},
	{"#", false, true}, {"+", false, true}, {"a/#", false, true}, {"/#", false, true}, {"+/+", false, true},
	{"+/a/#", false, true}, {"a/+/b", false, true}, {"/+", false, true}, {"+/", false, true}, {"$SYS/#", false, true},
	{"$share/g/#", false, true}, {"$share/g/+/a", false, true}, {"$share/g/$SYS/#", false, true},
	{"##", false, false}, {"a#", false, false}, {"#a", false, false}, {"#/", false, false}, {"a/#/b", false, false},
	{"++", false, false}, {"a+", false, false}, {"+a", false, false}, {"a/b+/c", false, false}, {"a/+b/c", false, false},
	{"$share/+/a", false, false}, {"$share/g+/a", false, false}, {"$share/#/a", false, false}, {"$share/#", false, false},
	{"$share/g/a#", false, false}, {"$share/g/#/a", false, false},
	{"a\x00", false, false}, {"\xff", false, false}, {"\xed\xa0\x80", false, false}, {"\xc0\x80", false, false}, {"\xf4\x90\x80\x80", false, false},
	{string(text65535), true, true}, {string(text65536), false, false},
	{strings.Repeat("/", 65535), true, true}, {strings.Repeat("+/", 32767) + "#", false, true},
}

// TestTopics checks names (MQTT-3.3.2-2, MQTT-4.7.3-1, MQTT-4.7.3-2,
// MQTT-4.7.3-3) and filters (MQTT-4.7.1-1, MQTT-4.7.1-2, MQTT-4.8.2-1,
// MQTT-4.8.2-2), alone and in packets.
func TestTopics(t *testing.T) {
	d := Dialect{Version: V5, From: FromClient}
	for _, test := range topicTests {
		s := test.s[:min(len(test.s), 40)]
		if err := CheckTopicName([]byte(test.s)); (err == nil) != test.name {
			t.Errorf("name %q: %v", s, err)
		}
		if _, err := (&Publish{Topic: []byte(test.s)}).AppendTo(nil, d); (err == nil) != test.name {
			t.Errorf("PUBLISH to %q: %v", s, err)
		}
		if err := CheckTopicFilter([]byte(test.s)); (err == nil) != test.filter {
			t.Errorf("filter %q: %v", s, err)
		}
		l, err := NewSubscriptions(Subscription{Filter: []byte(test.s)})
		if err == nil {
			_, err = (&Subscribe{ID: 1, Subscriptions: l}).AppendTo(nil, d)
		}
		if (err == nil) != test.filter {
			t.Errorf("SUBSCRIBE to %q: %v", s, err)
		}
	}
}

// TestFilterScan: the check of filters says of all short strings of four
// characters, at several places of a longer filter, what a check level by level
// says (MQTT-4.7.1-1, MQTT-4.7.1-2, 3.1.1 MQTT-4.7.1-2, MQTT-4.7.1-3).
func TestFilterScan(t *testing.T) {
	legal := func(s string) bool {
		levels := strings.Split(s, "/")
		for i, level := range levels {
			if strings.ContainsAny(level, "+#") && level != "+" && (level != "#" || i != len(levels)-1) {
				return false
			}
		}
		return s != ""
	}
	const letters = "a/+#"
	for size := range 6 {
		for n := range 1 << (2 * size) {
			var mid string
			for k := range size {
				mid += letters[n>>(2*k)&3:][:1]
			}
			for _, ends := range [][2]string{{"", ""}, {"abcdefg", ""}, {"abcdef/", ""}, {"abcde/", "/bcdefghijklm"}, {"/", "abcdefghi"}} {
				filter := ends[0] + mid + ends[1]
				want := legal(filter)
				if err := CheckTopicFilter([]byte(filter)); (err == nil) != want {
					t.Fatalf("CheckTopicFilter(%q): %v", filter, err)
				}
				wire, _ := AppendString([]byte{0, 1}, filter)
				f := Frame{Type: TypeSubscribe, Flags: 2, Body: append(wire, 0)}
				for _, v := range []Version{V31, V311} {
					if _, err := Decode(f, Dialect{Version: v}); (err == nil) != want {
						t.Fatalf("%v: SUBSCRIBE to %q: %v", v, filter, err)
					}
				}
			}
		}
	}
}

// TestMatch: wildcards (MQTT-4.7.1-1, MQTT-4.7.1-2), the first level that
// begins with $ (MQTT-4.7.2-1), and no normalisation (MQTT-4.7.3-4).
func TestMatch(t *testing.T) {
	tests := []struct {
		filter, name string
		want         bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a", "A", false}, {"a", "a/b", false}, {"a/b", "a", false},
		{"a/b", "a/b", true}, {"a/b/c", "a/b", false}, {"a", "ab", false}, {"ab", "a", false},
		{"/", "/", true}, {"/a", "a", false}, {"a", "/a", false}, {"a/", "a", false}, {"a", "a/", false}, {"a/", "a/", true},
		{"//", "/", false}, {"/", "//", false},
		{"#", "a", true}, {"#", "a/b/c", true}, {"#", "/", true}, {"#", "/a", true},
		{"a/#", "a", true}, {"a/#", "a/", true}, {"a/#", "a/b", true}, {"a/#", "a/b/c", true}, {"a/#", "ab", false}, {"a/#", "b", false},
		{"a/#", "/a", false}, {"/#", "/", true}, {"/#", "a", false}, {"/#", "/a/b", true},
		{"a/b/#", "a", false}, {"a/b/#", "a/b", true},
		{"+", "a", true}, {"+", "a/b", false}, {"+", "/a", false}, {"+", "/", false}, {"+/", "a/", true}, {"+/", "/", true},
		{"/+", "/a", true}, {"/+", "/", true}, {"/+", "a", false}, {"+/+", "/a", true}, {"+/+", "a", false}, {"+/+", "a/b/c", false},
		{"a/+", "a", false}, {"a/+", "a/", true}, {"a/+", "a/b", true}, {"a/+", "a/b/c", false}, {"a/+/c", "a/b/c", true}, {"a/+/c", "a//c", true},
		{"a/+/c", "a/b/d", false}, {"+/b/#", "a/b", true}, {"+/b/#", "a/b/c/d", true}, {"+/b/#", "a/c", false},
		{"+/#", "a", true}, {"+/#", "a/b", true}, {"+/#", "/", true}, {"a/+/#", "a", false}, {"a/+/#", "a/b", true},
		{"#", "$SYS/a", false}, {"+/a", "$SYS/a", false}, {"+", "$SYS", false}, {"+/#", "$SYS/a", false}, {"#", "$", false},
		{"$SYS/#", "$SYS/a", true}, {"$SYS/#", "$SYS", true}, {"$SYS/+", "$SYS/a", true}, {"$SYS/a", "$SYS/a", true}, {"a/#", "a/$b", true}, {"a/+", "a/$b", true},
		{"$share/g/a", "a", true}, {"$share/g/a", "$share/g/a", false}, {"$share/g/a/+", "a/b", true}, {"$share/g/#", "a/b", true},
		{"$share/g/#", "$SYS/a", false}, {"$share/g/$SYS/#", "$SYS/a", true}, {"$share/g//a", "/a", true}, {"$share", "$share", true},
		{"Ä/+", "Ä/ö", true}, {"e\u0301", "\u00e9", false}, {"\uFEFFa", "a", false},
	}
	for _, test := range tests {
		if got := Match([]byte(test.filter), []byte(test.name)); got != test.want {
			t.Errorf("Match(%q, %q) is %v", test.filter, test.name, got)
		}
	}
}

// TestMatchDeep: the deepest names take no longer than their length asks for.
func TestMatchDeep(t *testing.T) {
	name := bytes.Repeat([]byte("/"), 65535)
	plus := bytes.Repeat([]byte("+/"), 32767)
	start := time.Now()
	for _, test := range []struct {
		filter []byte
		want   bool
	}{
		{name, true}, {name[:65534], false}, {[]byte("#"), true}, {append(slices.Clone(plus), '#'), true}, {plus, false},
		{append(bytes.Repeat([]byte("/"), 65000), '#'), true}, {append(bytes.Repeat([]byte("/"), 65000), '+'), false},
	} {
		if Match(test.filter, name) != test.want {
			t.Errorf("a filter of %d bytes: %v", len(test.filter), !test.want)
		}
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestSplitShared(t *testing.T) {
	tests := []struct {
		filter, group, rest string
		ok                  bool
	}{
		{"$share/g/a", "g", "a", true}, {"$share/g/a/b/#", "g", "a/b/#", true}, {"$share/g//", "g", "/", true},
		{"$share/a group/+", "a group", "+", true}, {"$share/g/$SYS/a", "g", "$SYS/a", true},
		{"a", "", "a", false}, {"$share", "", "$share", false}, {"$share/g", "", "$share/g", false},
		{"$share/g/", "", "$share/g/", false}, {"$share//a", "", "$share//a", false}, {"$share/+/a", "", "$share/+/a", false},
		{"$Share/g/a", "", "$Share/g/a", false}, {"", "", "", false},
	}
	for _, test := range tests {
		group, rest, ok := SplitShared([]byte(test.filter))
		if string(group) != test.group || string(rest) != test.rest || ok != test.ok {
			t.Errorf("SplitShared(%q) is %q, %q, %v", test.filter, group, rest, ok)
		}
	}
}

func TestSubscriptions(t *testing.T) {
	want := []Subscription{
		{Filter: []byte("a/b"), QoS: QoS1, NoLocal: true, RetainAsPublished: true, RetainHandling: RetainDoNotSend},
		{Filter: []byte("a/b")},
		{Filter: []byte("$share/g/#"), QoS: QoS2, RetainHandling: RetainSendIfNew},
	}
	l, err := NewSubscriptions(want...)
	if err != nil || l.Len() != 3 {
		t.Fatalf("%d, %v", l.Len(), err)
	}
	if diff := cmp.Diff(want, slices.Collect(l.All())); diff != "" {
		t.Error(diff)
	}
	for range l.All() {
		break
	}
	if o := want[0].Options(); o != 0x2D {
		t.Errorf("options %#x", o)
	}
	bad := []Subscription{
		{Filter: []byte("")}, {Filter: []byte("a#")}, {Filter: text65536},
		{Filter: []byte("a"), QoS: 3}, {Filter: []byte("a"), RetainHandling: 3},
		{Filter: []byte("a"), QoS: 4}, {Filter: []byte("a"), RetainHandling: 4}, {Filter: []byte("a"), QoS: 0x80}, {Filter: []byte("$share/g/a"), NoLocal: true},
	}
	before := l
	for _, s := range bad {
		var e *Error
		if err := l.Add(s); !errors.As(err, &e) || l.Len() != 3 || !l.Equal(before) {
			t.Errorf("%v: %v, %d subscriptions", s, err, l.Len())
		}
		if got, err := NewSubscriptions(s); err == nil || got.Len() != 0 {
			t.Errorf("%v: %v", s, err)
		}
	}
	l.Reset()
	if l.Len() != 0 || l.Equal(before) {
		t.Error("Reset leaves something")
	}
	allocs := testing.AllocsPerRun(100, func() {
		l.Reset()
		for _, s := range want {
			if err := l.Add(s); err != nil {
				t.Error(err)
			}
		}
	})
	if allocs != 0 || l.Len() != 3 {
		t.Errorf("refilling allocates %v times", allocs)
	}

	// A decoded list is not appended to in place.
	raw := []byte("\x82\x06\x00\x01\x00\x01a\x00NEXT")
	f, _, _ := ConsumeFrame(raw, Dialect{Version: V311}, 0)
	var p Subscribe
	if err := p.Decode(f, Dialect{Version: V311}); err != nil {
		t.Fatal(err)
	}
	if err := p.Subscriptions.Add(Subscription{Filter: []byte("b"), QoS: QoS1}); err != nil || string(raw[8:]) != "NEXT" {
		t.Errorf("%v, %q", err, raw)
	}
	out, err := p.AppendTo(nil, Dialect{Version: V311})
	if err != nil || string(out) != "\x82\x0a\x00\x01\x00\x01a\x00\x00\x01b\x01" {
		t.Errorf("%x, %v", out, err)
	}
	if p.Subscriptions.Reset(); p.Subscriptions.Len() != 0 {
		t.Error("Reset leaves something")
	}
}

func TestFilters(t *testing.T) {
	want := []string{"a/b", "$share/g/#", "+"}
	l, err := NewFilters(want...)
	if err != nil || l.Len() != 3 {
		t.Fatalf("%d, %v", l.Len(), err)
	}
	var got []string
	for f := range l.All() {
		got = append(got, string(f))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for range l.All() {
		break
	}
	before := l
	for _, f := range []string{"", "+a", string(text65536), "\xff/+a"} {
		if err := l.Add([]byte(f)); err == nil || !l.Equal(before) {
			t.Errorf("%.10q: %v", f, err)
		}
	}
	if _, err := NewFilters("a", ""); err == nil {
		t.Error("an empty filter is taken")
	}
	l.Reset()
	if l.Len() != 0 || l.Equal(before) {
		t.Error("Reset leaves something")
	}
}

// TestListsOf31: filters that only 3.1 permits, whose strings are opaque, can be
// listed, and are written in 3.1 only.
func TestListsOf31(t *testing.T) {
	for _, filter := range []string{"caf\xe9/#", "\x00"} {
		subs, err := NewSubscriptions(Subscription{Filter: []byte(filter)})
		if err != nil {
			t.Fatal(err)
		}
		filters, err := NewFilters(filter)
		if err != nil {
			t.Fatal(err)
		}
		want := map[Version]rule{V31: ruleNone, V311: ruleUTF8, V5: ruleUTF8}
		if filter == "\x00" {
			want[V311], want[V5] = ruleNUL, ruleNUL
		}
		for _, p := range []Packet{&Subscribe{ID: 1, Subscriptions: subs}, &Unsubscribe{ID: 1, Filters: filters}} {
			for version, r := range want {
				if _, err := p.AppendTo(nil, Dialect{Version: version}); ruleOf(err) != r || (err == nil) != (r == ruleNone) {
					t.Errorf("%q in %v: %v", filter, version, err)
				}
			}
		}
	}
}

// TestListsAcrossVersions: what only one version permits is refused when it is
// written in another.
func TestListsAcrossVersions(t *testing.T) {
	tests := []struct {
		name     string
		wire     string
		from, to Version
		ok       bool
	}{
		{"plain", "\x82\x06\x00\x01\x00\x01a\x00", V31, V5, true},
		{"U+0000, which 3.1 permits", "\x82\x06\x00\x01\x00\x01\x00\x00", V31, V311, false},
		{"ill-formed, which 3.1 permits", "\x82\x06\x00\x01\x00\x01\xff\x00", V31, V5, false},
		{"$share//a, which 3.1.1 permits", "\x82\x0e\x00\x01\x00\x09$share//a\x00", V311, V5, false},
		{"$share//a, which 3.1.1 permits", "\x82\x0e\x00\x01\x00\x09$share//a\x00", V311, V31, true},
		{"options, which 5.0 has", "\x82\x07\x00\x01\x00\x00\x01a\x08", V5, V311, false},
	}
	for _, test := range tests {
		f, n, err := ConsumeFrame([]byte(test.wire), Dialect{Version: test.from}, 0)
		if n != len(test.wire) || err != nil {
			t.Fatalf("%s: %d, %v", test.name, n, err)
		}
		var p Subscribe
		if err := p.Decode(f, Dialect{Version: test.from}); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if _, err := p.AppendTo(nil, Dialect{Version: test.to}); (err == nil) != test.ok {
			t.Errorf("%s: %v to %v: %v", test.name, test.from, test.to, err)
		}
	}
}
