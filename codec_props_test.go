// This file tests Properties: building, reading, rewriting. Which packet may
// carry what is in codec_tables_test.go.

package mqttcore

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// everyProperty is one property of each kind there is, all 27, with its bytes
// and a getter.
var everyProperty = []struct {
	p    Property
	wire string
	get  func(Properties) (any, bool)
}{
	{PayloadFormat(1), "\x01\x01", func(p Properties) (any, bool) { v, ok := p.PayloadFormat(); return v, ok }},
	{MessageExpiry(0x01020304), "\x02\x01\x02\x03\x04", func(p Properties) (any, bool) { v, ok := p.MessageExpiry(); return v, ok }},
	{ContentType("text"), "\x03\x00\x04text", func(p Properties) (any, bool) { v, ok := p.ContentType(); return v, ok }},
	{ResponseTopic("re"), "\x08\x00\x02re", func(p Properties) (any, bool) { v, ok := p.ResponseTopic(); return v, ok }},
	{CorrelationData("\xff\x00"), "\x09\x00\x02\xff\x00", func(p Properties) (any, bool) { v, ok := p.CorrelationData(); return v, ok }},
	{SubscriptionID(300), "\x0b\xac\x02", func(p Properties) (any, bool) { v, ok := p.SubscriptionID(); return v, ok }},
	{SessionExpiry(0xFFFFFFFF), "\x11\xff\xff\xff\xff", func(p Properties) (any, bool) { v, ok := p.SessionExpiry(); return v, ok }},
	{AssignedClientID("id"), "\x12\x00\x02id", func(p Properties) (any, bool) { v, ok := p.AssignedClientID(); return v, ok }},
	{ServerKeepAlive(0x0102), "\x13\x01\x02", func(p Properties) (any, bool) { v, ok := p.ServerKeepAlive(); return v, ok }},
	{AuthMethod("m"), "\x15\x00\x01m", func(p Properties) (any, bool) { v, ok := p.AuthMethod(); return v, ok }},
	{AuthData([]byte{0}), "\x16\x00\x01\x00", func(p Properties) (any, bool) { v, ok := p.AuthData(); return v, ok }},
	{RequestProblemInfo(0), "\x17\x00", func(p Properties) (any, bool) { v, ok := p.RequestProblemInfo(); return v, ok }},
	{WillDelay(5), "\x18\x00\x00\x00\x05", func(p Properties) (any, bool) { v, ok := p.WillDelay(); return v, ok }},
	{RequestResponseInfo(1), "\x19\x01", func(p Properties) (any, bool) { v, ok := p.RequestResponseInfo(); return v, ok }},
	{ResponseInfo("r"), "\x1a\x00\x01r", func(p Properties) (any, bool) { v, ok := p.ResponseInfo(); return v, ok }},
	{ServerReference("h:1"), "\x1c\x00\x03h:1", func(p Properties) (any, bool) { v, ok := p.ServerReference(); return v, ok }},
	{ReasonString("why"), "\x1f\x00\x03why", func(p Properties) (any, bool) { v, ok := p.ReasonString(); return v, ok }},
	{ReceiveMaximum(0xFFFF), "\x21\xff\xff", func(p Properties) (any, bool) { v, ok := p.ReceiveMaximum(); return v, ok }},
	{TopicAliasMaximum(10), "\x22\x00\x0a", func(p Properties) (any, bool) { v, ok := p.TopicAliasMaximum(); return v, ok }},
	{TopicAlias(7), "\x23\x00\x07", func(p Properties) (any, bool) { v, ok := p.TopicAlias(); return v, ok }},
	{MaximumQoS(1), "\x24\x01", func(p Properties) (any, bool) { v, ok := p.MaximumQoS(); return v, ok }},
	{RetainAvailable(0), "\x25\x00", func(p Properties) (any, bool) { v, ok := p.RetainAvailable(); return v, ok }},
	{UserProperty("k", "v"), "\x26\x00\x01k\x00\x01v", func(p Properties) (any, bool) { v, ok := p.UserProperty("k"); return v, ok }},
	{MaximumPacketSize(1 << 20), "\x27\x00\x10\x00\x00", func(p Properties) (any, bool) { v, ok := p.MaximumPacketSize(); return v, ok }},
	{WildcardAvailable(1), "\x28\x01", func(p Properties) (any, bool) { v, ok := p.WildcardAvailable(); return v, ok }},
	{SubscriptionIDsAvailable(0), "\x29\x00", func(p Properties) (any, bool) { v, ok := p.SubscriptionIDsAvailable(); return v, ok }},
	{SharedAvailable(1), "\x2a\x01", func(p Properties) (any, bool) { v, ok := p.SharedAvailable(); return v, ok }},
}

// valueOf is what the getter of x returns.
func valueOf(x Property, like any) any {
	switch like.(type) {
	case uint8:
		return uint8(x.Num)
	case uint16:
		return uint16(x.Num)
	case uint32:
		return x.Num
	}
	return x.Value
}

func TestPropertiesEach(t *testing.T) {
	if len(everyProperty) != 27 {
		t.Fatalf("%d properties", len(everyProperty))
	}
	for _, test := range everyProperty {
		t.Run(test.p.ID.String(), func(t *testing.T) {
			p, err := NewProperties(test.p)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.AppendTo([]byte("dst")); string(got) != "dst"+test.wire {
				t.Errorf("is %x, want %x", got[3:], test.wire)
			}
			if p.Len() != len(test.wire) || p.Mask() != test.p.ID.Mask() || !p.Mask().Has(test.p.ID) {
				t.Errorf("%d bytes, mask %x", p.Len(), p.Mask())
			}
			q, err := ParseProperties([]byte(test.wire))
			if err != nil || !q.Equal(p) {
				t.Fatalf("parsed: %v, %v", q, err)
			}
			for _, p := range []Properties{p, q, q.Clone()} {
				v, ok := test.get(p)
				if diff := cmp.Diff(valueOf(test.p, v), v); !ok || diff != "" {
					t.Errorf("getter: %v\n%s", ok, diff)
				}
				if x, ok := p.Get(test.p.ID); !ok || cmp.Diff(test.p, x) != "" {
					t.Errorf("Get: %v, %v", x, ok)
				}
			}
			if diff := cmp.Diff([]Property{test.p}, slices.Collect(q.All())); diff != "" {
				t.Error(diff)
			}
			if v, ok := test.get(Properties{}); ok || !bytes.Equal(toBytes(v), nil) {
				t.Errorf("of no properties: %v, %v", v, ok)
			}
			// The getters of all others find nothing here, and find theirs behind it.
			for _, other := range everyProperty {
				if other.p.ID == test.p.ID {
					continue
				}
				if v, ok := other.get(p); ok {
					t.Errorf("%v is found: %v", other.p.ID, v)
				}
				both, err := NewProperties(test.p, other.p)
				if err != nil {
					t.Fatal(err)
				}
				if v, ok := other.get(both); !ok || cmp.Diff(valueOf(other.p, v), v) != "" {
					t.Errorf("%v behind it is %v, %v", other.p.ID, v, ok)
				}
			}
		})
	}
}

// toBytes is v when it is bytes, or nil when it is 0.
func toBytes(v any) []byte {
	switch v := v.(type) {
	case []byte:
		return v
	case uint8, uint16, uint32:
		if v != uint8(0) && v != uint16(0) && v != uint32(0) {
			return []byte{1}
		}
	}
	return nil
}

func TestPropertiesAll(t *testing.T) {
	var all []Property
	wire := ""
	for _, x := range everyProperty {
		all = append(all, x.p)
		wire += x.wire
	}
	p, err := NewProperties(all...)
	if err != nil || string(p.AppendTo(nil)) != wire {
		t.Fatalf("%x, %v", p.AppendTo(nil), err)
	}
	if diff := cmp.Diff(all, slices.Collect(p.All())); diff != "" {
		t.Error(diff)
	}
	for range p.All() {
		break
	}
	for _, drop := range everyProperty {
		got, err := ParseProperties(p.AppendWithout(nil, drop.p.ID.Mask()))
		var want Properties
		if err2 := want.AddFrom(p, drop.p.ID.Mask()); err != nil || err2 != nil || !got.Equal(want) {
			t.Errorf("without %v: %v, %v", drop.p.ID, err, err2)
		}
		if got.Mask().Has(drop.p.ID) || got.Len() != p.Len()-len(drop.wire) {
			t.Errorf("without %v: %d bytes, mask %x", drop.p.ID, got.Len(), got.Mask())
		}
	}
	if got := p.AppendWithout([]byte("dst"), 0); string(got) != "dst"+wire {
		t.Errorf("without nothing: %x", got)
	}
	if got := p.AppendWithout([]byte("dst"), ^PropertyMask(0)); string(got) != "dst" {
		t.Errorf("without anything: %x", got)
	}
}

// TestPropertiesUser: order and repetition of user properties are kept.
func TestPropertiesUser(t *testing.T) {
	p := propsOf(UserProperty("b", "1"), ReasonString("r"), UserProperty("a", "2"), UserProperty("b", "3"), UserProperty("", ""))
	var got []string
	for k, v := range p.UserProperties() {
		got = append(got, string(k)+"="+string(v))
	}
	if diff := cmp.Diff([]string{"b=1", "a=2", "b=3", "="}, got); diff != "" {
		t.Error(diff)
	}
	for range p.UserProperties() {
		break
	}
	if v, ok := p.UserProperty("b"); string(v) != "1" || !ok {
		t.Errorf("b is %q, %v", v, ok)
	}
	if v, ok := p.UserProperty(""); string(v) != "" || v == nil || !ok {
		t.Errorf("the empty name is %q, %v", v, ok)
	}
	if _, ok := p.UserProperty("c"); ok {
		t.Error("c is found")
	}
	if got := p.AppendWithout(nil, PropUserProperty.Mask()); string(got) != "\x1f\x00\x01r" {
		t.Errorf("without user properties: %x", got)
	}
}

func TestPropertiesSubscriptionIDs(t *testing.T) {
	p := propsOf(SubscriptionID(1), ContentType("x"), SubscriptionID(268435455), SubscriptionID(1))
	if diff := cmp.Diff([]uint32{1, 268435455, 1}, slices.Collect(p.SubscriptionIDs())); diff != "" {
		t.Error(diff)
	}
	for range p.SubscriptionIDs() {
		break
	}
	for range propsOf(ContentType("x")).SubscriptionIDs() {
		t.Error("there is none")
	}
	if v, ok := p.SubscriptionID(); v != 1 || !ok || p.Mask() != PropSubscriptionID.Mask()|PropContentType.Mask() {
		t.Errorf("the first is %d, %v, mask %x", v, ok, p.Mask())
	}
	q, err := ParseProperties(p.AppendTo(nil))
	if err != nil || !q.Equal(p) {
		t.Errorf("%v, %v", q, err)
	}
	for from, ok := range map[Role]bool{FromServer: true, FromClient: false, FromEither: true} {
		if _, err := (&Publish{Topic: []byte("a"), Props: q}).AppendTo(nil, Dialect{Version: V5, From: from}); (err == nil) != ok {
			t.Errorf("PUBLISH from %v: %v", from, err)
		}
	}
}

// TestPropertiesRefuse: what no packet may have is refused by Add and by
// ParseProperties, and changes nothing.
func TestPropertiesRefuse(t *testing.T) {
	tests := []struct {
		name string
		p    Property
		err  error
	}{
		{"unknown identifier", Property{ID: 0x04}, &Error{Code: ReasonMalformedPacket}},
		{"identifier 0", Property{}, &Error{Code: ReasonMalformedPacket}},
		{"identifier out of the table", Property{ID: 0xFF}, &Error{Code: ReasonMalformedPacket}},
		{"repeated", ContentType("y"), &Error{Code: ReasonProtocolError}},
		{"payload format 2", PayloadFormat(2), &Error{Code: ReasonProtocolError}},
		{"maximum QoS 2", MaximumQoS(2), &Error{Code: ReasonProtocolError}},
		{"receive maximum 0", ReceiveMaximum(0), &Error{Code: ReasonProtocolError}},
		{"maximum packet size 0", MaximumPacketSize(0), &Error{Code: ReasonProtocolError}},
		{"subscription identifier 0", SubscriptionID(0), &Error{Code: ReasonProtocolError}},
		{"topic alias 0 (MQTT-3.3.2-8)", TopicAlias(0), &Error{Code: ReasonTopicAliasInvalid}},
		{"subscription identifier above the largest", SubscriptionID(268435456), ErrProperty},
		{"topic alias above the largest", Property{ID: PropTopicAlias, Num: 65536}, ErrProperty},
		{"keep alive above the largest", Property{ID: PropServerKeepAlive, Num: 65536}, ErrProperty},
		{"ill-formed string", ReasonString("\xff"), &Error{Code: ReasonMalformedPacket}},
		{"U+0000", ReasonString("\x00"), &Error{Code: ReasonMalformedPacket}},
		{"ill-formed name (MQTT-1.5.7-1)", UserProperty("\xff", ""), &Error{Code: ReasonMalformedPacket}},
		{"ill-formed value (MQTT-1.5.7-1)", UserProperty("", "\xff"), &Error{Code: ReasonMalformedPacket}},
		{"string of 65,536 bytes", ReasonString(text65536), &Error{Code: ReasonMalformedPacket}},
		{"binary data of 65,536 bytes", CorrelationData(text65536), &Error{Code: ReasonMalformedPacket}},
		{"name of 65,536 bytes", UserProperty(text65536, ""), &Error{Code: ReasonMalformedPacket}},
		{"value of 65,536 bytes", UserProperty("", text65536), &Error{Code: ReasonMalformedPacket}},
		{"wildcard in the response topic (MQTT-3.3.2-14)", ResponseTopic("a/+"), &Error{Code: ReasonProtocolError}},
		{"empty response topic", ResponseTopic(""), &Error{Code: ReasonProtocolError}},
	}
	for _, test := range tests {
		p := propsOf(ContentType("x"), SubscriptionID(5))
		before := p.Clone()
		if err := p.Add(test.p); !errors.Is(err, test.err) {
			t.Errorf("%s: %v", test.name, err)
		}
		if !p.Equal(before) || p.Mask() != before.Mask() {
			t.Errorf("%s: the list changed", test.name)
		}
		if q, err := NewProperties(ContentType("x"), test.p); !errors.Is(err, test.err) || q.Len() != 0 {
			t.Errorf("%s: NewProperties: %v", test.name, err)
		}
	}
	for _, b := range []string{"\x00", "\x04\x00", "\x2b\x00", "\x01", "\x01\x02", "\x03\x00", "\x03\x00\x01", "\x0b\x80", "\x0b\x00", "\x0b\x80\x00", "\x26\x00\x00", "\x01\x00\x01\x00", "\x1f\x00\x01\xff"} {
		if p, err := ParseProperties([]byte(b)); err == nil || p.Len() != 0 {
			t.Errorf("ParseProperties(%x): %v", b, p)
		}
	}
	var p Properties
	if err := p.AddFrom(propsOf(ContentType("x"), PayloadFormat(1)), 0); err != nil {
		t.Fatal(err)
	}
	if err := p.AddFrom(propsOf(ReasonString("r"), PayloadFormat(1), MessageExpiry(1)), 0); !errors.Is(err, &Error{Code: ReasonProtocolError}) {
		t.Errorf("repeated by AddFrom: %v", err)
	}
}

// TestPropertiesLongest: values of 65,535 bytes are legal.
func TestPropertiesLongest(t *testing.T) {
	for _, x := range []Property{ReasonString(text65535), ResponseTopic(text65535), AuthData(text65535), UserProperty(text65535, text65535)} {
		p, err := NewProperties(x)
		if err != nil {
			t.Errorf("%v: %v", x.ID, err)
			continue
		}
		if q, err := ParseProperties(p.AppendTo(nil)); err != nil || cmp.Diff([]Property{x}, slices.Collect(q.All())) != "" {
			t.Errorf("%v: parsed: %v", x.ID, err)
		}
	}
}

// TestPropertiesReuse: a list that owns its space is filled again without an
// allocation, and one that was decoded is not written into.
func TestPropertiesReuse(t *testing.T) {
	x, y := UserProperty("name", "value"), ContentType("text/plain")
	p := propsOf(x, y)
	allocs := testing.AllocsPerRun(100, func() {
		p.Reset()
		if p.Len() != 0 || p.Mask() != 0 || p.Add(y) != nil || p.Add(x) != nil {
			t.Error("refilling fails")
		}
	})
	if allocs != 0 || !p.Equal(propsOf(y, x)) {
		t.Errorf("refilling allocates %v times; %v", allocs, p)
	}
	raw := []byte("\x01\x01NEXT")
	q, err := ParseProperties(raw[:2])
	if err != nil {
		t.Fatal(err)
	}
	c := q.Clone()
	if err := q.Add(MessageExpiry(1)); err != nil || string(raw) != "\x01\x01NEXT" {
		t.Errorf("%v, %q", err, raw)
	}
	if !q.Equal(propsOf(PayloadFormat(1), MessageExpiry(1))) || !c.Equal(propsOf(PayloadFormat(1))) {
		t.Errorf("%v; the clone %v", q, c)
	}
	r, _ := ParseProperties(raw[:2])
	r.Reset()
	if err := r.Add(MaximumQoS(0)); err != nil || string(raw) != "\x01\x01NEXT" {
		t.Errorf("after Reset: %v, %q", err, raw)
	}
	raw[1] = 0
	if v, _ := c.PayloadFormat(); v != 1 {
		t.Error("the clone aliases its origin")
	}
}

// TestPropertiesLong: a list whose length takes two, three and four bytes.
func TestPropertiesLong(t *testing.T) {
	d := Dialect{Version: V5, From: FromServer}
	for _, size := range []int{127, 128, 16383, 16384, 2097151, 2097152} {
		var p Properties
		for p.Len() < size {
			n := min(size-p.Len()-5, 65535)
			if rest := size - p.Len() - 5 - n; rest > 0 && rest < 5 {
				n -= 5
			}
			if err := p.Add(UserProperty("", text65535[:n])); err != nil {
				t.Fatal(err)
			}
		}
		if p.Len() != size {
			t.Fatalf("%d bytes, want %d", p.Len(), size)
		}
		pub := &Publish{Topic: []byte("a"), Payload: []byte("x"), Props: p}
		b, err := pub.AppendTo(nil, d)
		if err != nil || len(b) != pub.Size(d) {
			t.Fatalf("%d: %d bytes, Size %d, %v", size, len(b), pub.Size(d), err)
		}
		q, n, err := decodeFirst(b, d)
		if err != nil || n != len(b) || !q.(*Publish).Props.Equal(p) || string(q.(*Publish).Payload) != "x" {
			t.Errorf("%d: %d, %v", size, n, err)
		}
	}
}

// TestPropertiesChanged: when the bytes that a list aliases are changed behind
// its back, what it returns means nothing, and nothing panics.
func TestPropertiesChanged(t *testing.T) {
	var wire []byte
	for _, x := range everyProperty {
		wire = append(wire, x.wire...)
	}
	subs := []byte("\x82\x10\x00\x01\x00\x05a/b/c\x00\x00\x03d/#\x01")
	seed := uint32(1)
	random := func(n int) int {
		seed = seed*1664525 + 1013904223
		return int(seed>>8) % n
	}
	for range 2000 {
		b := slices.Clone(wire)
		p, err := ParseProperties(b)
		if err != nil {
			t.Fatal(err)
		}
		for range 1 + random(8) {
			b[random(len(b))] = byte(random(256))
		}
		if random(4) == 0 {
			b[random(len(b))] = 0xFF
		}
		for _, x := range everyProperty {
			x.get(p)
			p.AppendWithout(nil, x.p.ID.Mask())
		}
		for range p.All() {
		}
		for range p.UserProperties() {
		}
		for range p.SubscriptionIDs() {
		}
		_ = p.String()

		b = slices.Clone(subs)
		f, _, _ := ConsumeFrame(b, Dialect{Version: V311}, 0)
		var s Subscribe
		if err := s.Decode(f, Dialect{Version: V311}); err != nil {
			t.Fatal(err)
		}
		for range 1 + random(4) {
			b[4+random(len(b)-4)] = byte(random(256))
		}
		for range s.Subscriptions.All() {
		}
		_ = s.String()
	}
}
