// This file holds the fuzz targets of the codec. Their seeds are in
// testdata/fuzz. Run one with: go test -run '^$' -fuzz '^FuzzDecode$' .

package mqttcore

import (
	"bytes"
	"errors"
	"reflect"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// comparePackets compares packets by their contents: properties and lists by
// what they hold, wherever their bytes come from, and absent from empty.
var comparePackets = cmp.Options{
	cmp.Comparer(func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }),
	cmp.Transformer("Properties", func(p Properties) []Property { return slices.Collect(p.All()) }),
	cmp.Transformer("Subscriptions", func(l Subscriptions) []Subscription { return slices.Collect(l.All()) }),
	cmp.Transformer("Filters", func(l Filters) [][]byte { return slices.Collect(l.All()) }),
}

// fuzzDialect makes a dialect of any numbers; every version and sender is one.
func fuzzDialect(version, from uint8, options uint32) Dialect {
	return Dialect{Version: V31 + Version(version%3), From: Role(from % 3), Options: Options(options)}
}

const refusals = RefuseControlChars | RefuseInvalidPayload

// refusedBy returns the *Error that err has to be, after looking at its texts.
func refusedBy(t *testing.T, err error, size int) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *Error", err)
	}
	if e.Off < 0 || e.Off > size+5 {
		t.Errorf("offset %d in %d bytes: %v", e.Off, size, err)
	}
	if !e.Code.IsError() || e.Rule.Text() == "" || e.Rule.String() == "" || !strings.HasPrefix(e.Error(), "mqttcore: ") {
		t.Errorf("error %#v: %v", e, e)
	}
	return e
}

// heapBytes is how many bytes were allocated so far; small objects count when
// their block is full.
func heapBytes() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// boundedMemory runs f, which may be repeated, and fails when it allocates
// more than a small multiple of size.
func boundedMemory(t *testing.T, size int, f func()) {
	t.Helper()
	limit := uint64(4*size + 128<<10)
	var used uint64
	for range 3 { // others allocate too: only what is always there counts
		before := heapBytes()
		f()
		if used = heapBytes() - before; used <= limit {
			return
		}
	}
	t.Errorf("%d bytes allocated for %d", used, size)
}

// fullFrames has a frame of every packet type, with all fields in use.
var fullFrames = func() (frames [16]Frame) {
	for _, p := range samplePackets(V5) {
		f, _, err := ConsumeFrame(mustAppend(p, Dialect{Version: V5}), Dialect{Version: V5}, 0)
		if err != nil {
			panic(err)
		}
		frames[f.Type] = f
	}
	return frames
}()

// usedBefore returns a packet of the type that holds something already.
func usedBefore(t PacketType) Packet {
	p, err := Decode(fullFrames[t], Dialect{Version: V5})
	if err != nil {
		panic(err)
	}
	return p
}

// addSamples calls add with one packet of every type and version, and with
// every vector, with its options and without.
func addSamples(f *testing.F, add func(version, from uint8, options uint32, wire []byte)) {
	for _, v := range []Version{V31, V311, V5} {
		for _, p := range samplePackets(v) {
			add(uint8(v-V31), 0, 0, mustAppend(p, Dialect{Version: v}))
		}
	}
	for _, v := range readVectors(f) {
		for d := range v.dialects {
			add(uint8(d.Version-V31), uint8(d.From), 0, v.in)
			if v.options != 0 {
				add(uint8(d.Version-V31), uint8(d.From), uint32(v.options), v.in)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	addSamples(f, func(version, from uint8, options uint32, wire []byte) { f.Add(version, from, options, wire) })
	f.Fuzz(func(t *testing.T, version, from uint8, options uint32, data []byte) {
		d := fuzzDialect(version, from, options)
		var frame Frame
		var n int
		var err error
		boundedMemory(t, len(data), func() { frame, n, err = ConsumeFrame(data, d, 0) })
		if err != nil {
			refusedBy(t, err, len(data))
			return
		}
		if total, ok := FrameSize(data); n > 0 && (!ok || total != n) {
			t.Fatalf("FrameSize %d, %v; %d bytes taken", total, ok, n)
		}
		if n == 0 {
			return
		}
		checkDecode(t, frame, data[:n], d)
	})
}

// checkDecode checks all that holds of a frame, which wire is, whether it
// decodes or not.
func checkDecode(t *testing.T, frame Frame, wire []byte, d Dialect) {
	before := bytes.Clone(wire)
	var p Packet
	var err error
	boundedMemory(t, len(wire), func() { p, err = Decode(frame, d) })
	used := usedBefore(frame.Type)
	usedErr := used.Decode(frame.Clone(), d)
	if !bytes.Equal(wire, before) {
		t.Fatalf("decoding wrote to its input: %x, was %x", wire, before)
	}
	if err != nil {
		if e, u := refusedBy(t, err, len(wire)), refusedBy(t, usedErr, len(wire)); *e != *u {
			t.Errorf("into a struct used before: %v; into a new one: %v", usedErr, err)
		}
		return
	}
	if usedErr != nil || !reflect.DeepEqual(p, used) {
		t.Fatalf("into a struct used before (%v):\n%s", usedErr, cmp.Diff(p, used, comparePackets))
	}
	text, textErr := p.AppendText(nil)
	if textErr != nil || string(text) != p.String() || bytes.ContainsAny(text, "\n\r\x00") {
		t.Errorf("text %q, %v; String %q", text, textErr, p.String())
	}

	checkLists(t, p, d)

	room := append(make([]byte, 0, 8), "before"...)
	enc, err := p.AppendTo(room, d)
	if err != nil {
		refusedBy(t, err, 0)
		if d.Options&^refusals == 0 {
			t.Fatalf("what was decoded is refused: %v\n%x", err, wire)
		}
		if len(enc) != len(room) || &enc[0] != &room[0] {
			t.Errorf("dst changed to %x", enc)
		}
		return
	}
	if !bytes.HasPrefix(enc, room) {
		t.Fatalf("dst was overwritten: %x", enc)
	}
	enc = enc[len(room):]
	if p.Size(d) != len(enc) {
		t.Errorf("Size %d, encoded %d bytes", p.Size(d), len(enc))
	}
	if p, ok := p.(*Publish); ok {
		head, err := p.AppendHeader(nil, d)
		if err != nil || !bytes.Equal(append(head, p.Payload...), enc) {
			t.Errorf("AppendHeader %x, %v", head, err)
		}
	}
	if !bytes.Equal(enc, wire) {
		checkOtherForm(t, frame, p, wire, enc, d)
	}
}

// checkLists builds the list of a SUBSCRIBE or UNSUBSCRIBE again from what it
// yields.
func checkLists(t *testing.T, p Packet, d Dialect) {
	var same bool
	var n int
	var err error
	switch p := p.(type) {
	case *Subscribe:
		var l Subscriptions
		l, err = NewSubscriptions(slices.Collect(p.Subscriptions.All())...)
		same, n = l.Equal(p.Subscriptions), l.Len()-p.Subscriptions.Len()
	case *Unsubscribe:
		var l Filters
		l, err = NewFilters(slices.Collect(p.Filters.All())...)
		same, n = l.Equal(p.Filters), l.Len()-p.Filters.Len()
	default:
		return
	}
	if err != nil && d.Version == V31 {
		return // 3.1 has filters that later versions forbid
	}
	if err != nil || !same || n != 0 {
		t.Errorf("built again: %v, %d more; from %v", err, n, p)
	}
}

// checkOtherForm checks a packet that is not encoded as it was received: there
// must be several forms of it, and enc must be the canonical one.
func checkOtherForm(t *testing.T, frame Frame, p Packet, wire, enc []byte, d Dialect) {
	switch minimal := len(frame.AppendTo(nil)) == len(wire); {
	case !minimal && (d.Version != V5 || d.Options&AllowLongLengths != 0):
	case d.Version == V31:
	case d.Version == V5 && len(enc) < len(wire) && frame.Type >= TypePubAck && frame.Type <= TypePubComp:
	case d.Version == V5 && len(enc) < len(wire) && frame.Type == TypeDisconnect:
	case d.Options&^refusals != 0:
	default:
		t.Fatalf("encoded as %x, was %x", enc, wire)
	}
	d.Options &= refusals
	f, n, err := ConsumeFrame(enc, d, uint32(len(enc)))
	if err != nil || n != len(enc) {
		t.Fatalf("canonical form %x: %d bytes taken, %v", enc, n, err)
	}
	again, err := Decode(f, d)
	if err != nil {
		t.Fatalf("canonical form %x: %v", enc, err)
	}
	if diff := cmp.Diff(p, again, comparePackets); diff != "" {
		t.Fatalf("canonical form %x of %x decodes to another packet:\n%s", enc, wire, diff)
	}
	if enc2, err := again.AppendTo(nil, d); err != nil || !bytes.Equal(enc, enc2) {
		t.Fatalf("canonical form %x encodes as %x, %v", enc, enc2, err)
	}
}

func FuzzSplit(f *testing.F) {
	addSamples(f, func(version, from uint8, _ uint32, wire []byte) {
		f.Add(version, from, uint32(0), append(bytes.Clone(wire), wire...), []byte{1, 3, 2})
	})
	f.Fuzz(func(t *testing.T, version, from uint8, limit uint32, data, cuts []byte) {
		d := fuzzDialect(version, from, 0)
		want, wantErr := consumeAll(data, d, limit, nil)
		got, gotErr := consumeAll(data, d, limit, cuts)
		if diff := cmp.Diff(want, got, comparePackets); diff != "" {
			t.Fatalf("frames differ:\n%s", diff)
		}
		if diff := cmp.Diff(wantErr, gotErr); diff != "" {
			t.Fatalf("errors differ:\n%s", diff)
		}
		checkPrefixes(t, data, d, limit)
	})
}

// consumeAll takes frames from a stream that arrives in pieces of the sizes in
// cuts, over and over; without cuts it arrives whole.
func consumeAll(data []byte, d Dialect, limit uint32, cuts []byte) (frames []Frame, err error) {
	start, end, next := 0, 0, 0
	for end < len(data) {
		if len(cuts) == 0 {
			end = len(data)
		} else {
			end = min(end+1+int(cuts[next%len(cuts)]), len(data))
			next++
		}
		for {
			f, n, err := ConsumeFrame(data[start:end], d, limit)
			if err != nil {
				return frames, err
			}
			if n == 0 {
				break
			}
			frames = append(frames, f)
			start += n
		}
	}
	return frames, nil
}

// checkPrefixes checks that the first frame is taken when it is whole and not
// earlier, and that a wrong one is refused with one error however much is there.
func checkPrefixes(t *testing.T, data []byte, d Dialect, limit uint32) {
	f, n, err := ConsumeFrame(data, d, limit)
	for i := range min(len(data), 300) {
		fi, ni, erri := ConsumeFrame(data[:i], d, limit)
		switch {
		case erri != nil && (err == nil || *refusedBy(t, erri, i) != *refusedBy(t, err, i)):
			t.Fatalf("%d bytes: %v; all: %v", i, erri, err)
		case n > 0 && i >= n && (ni != n || !reflect.DeepEqual(fi, f)):
			t.Fatalf("%d bytes: %d taken, all: %d", i, ni, n)
		case (n == 0 || i < n) && ni != 0:
			t.Fatalf("%d bytes: %d taken too early", i, ni)
		}
		if total, ok := FrameSize(data[:i]); ok && n > 0 && total != n {
			t.Fatalf("%d bytes: FrameSize %d, want %d", i, total, n)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	for kind := range byte(15) {
		for dialect := range byte(9) {
			f.Add([]byte{dialect / 3, dialect % 3, kind, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18})
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := packetTape(data)
		d := in.dialect()
		p := in.packet(d)
		wire, err := p.AppendTo(nil, d)
		if err != nil {
			t.Fatalf("%v %v: %v: %v", d.Version, d.From, p, err)
		}
		if p.Size(d) != len(wire) {
			t.Errorf("%v: Size %d, encoded %d bytes", p, p.Size(d), len(wire))
		}
		frame, n, err := ConsumeFrame(wire, d, uint32(len(wire)))
		if err != nil || n != len(wire) {
			t.Fatalf("%v: %d of %d bytes taken, %v", p, n, len(wire), err)
		}
		if _, _, err := ConsumeFrame(wire, d, uint32(len(wire)-1)); err == nil {
			t.Errorf("%v: taken beyond the limit", p)
		}
		got, err := Decode(frame, d)
		if err != nil {
			t.Fatalf("%v: %x: %v", p, wire, err)
		}
		if diff := cmp.Diff(p, got, comparePackets); diff != "" {
			t.Fatalf("%v: sent (-), received (+):\n%s", d.Version, diff)
		}
		// What a role may send, a reader that does not know the role takes.
		checkDecode(t, frame, wire, Dialect{Version: d.Version})
		checkDecode(t, frame, wire, d)
	})
}

// propertyGetters are the getters of single properties, by identifier.
var propertyGetters = map[PropertyID]func(Properties) (any, bool){
	PropPayloadFormat:            func(p Properties) (any, bool) { return got(p.PayloadFormat()) },
	PropMessageExpiry:            func(p Properties) (any, bool) { return got(p.MessageExpiry()) },
	PropContentType:              func(p Properties) (any, bool) { return got(p.ContentType()) },
	PropResponseTopic:            func(p Properties) (any, bool) { return got(p.ResponseTopic()) },
	PropCorrelationData:          func(p Properties) (any, bool) { return got(p.CorrelationData()) },
	PropSubscriptionID:           func(p Properties) (any, bool) { return got(p.SubscriptionID()) },
	PropSessionExpiry:            func(p Properties) (any, bool) { return got(p.SessionExpiry()) },
	PropAssignedClientID:         func(p Properties) (any, bool) { return got(p.AssignedClientID()) },
	PropServerKeepAlive:          func(p Properties) (any, bool) { return got(p.ServerKeepAlive()) },
	PropAuthMethod:               func(p Properties) (any, bool) { return got(p.AuthMethod()) },
	PropAuthData:                 func(p Properties) (any, bool) { return got(p.AuthData()) },
	PropRequestProblemInfo:       func(p Properties) (any, bool) { return got(p.RequestProblemInfo()) },
	PropWillDelay:                func(p Properties) (any, bool) { return got(p.WillDelay()) },
	PropRequestResponseInfo:      func(p Properties) (any, bool) { return got(p.RequestResponseInfo()) },
	PropResponseInfo:             func(p Properties) (any, bool) { return got(p.ResponseInfo()) },
	PropServerReference:          func(p Properties) (any, bool) { return got(p.ServerReference()) },
	PropReasonString:             func(p Properties) (any, bool) { return got(p.ReasonString()) },
	PropReceiveMaximum:           func(p Properties) (any, bool) { return got(p.ReceiveMaximum()) },
	PropTopicAliasMaximum:        func(p Properties) (any, bool) { return got(p.TopicAliasMaximum()) },
	PropTopicAlias:               func(p Properties) (any, bool) { return got(p.TopicAlias()) },
	PropMaximumQoS:               func(p Properties) (any, bool) { return got(p.MaximumQoS()) },
	PropRetainAvailable:          func(p Properties) (any, bool) { return got(p.RetainAvailable()) },
	PropMaximumPacketSize:        func(p Properties) (any, bool) { return got(p.MaximumPacketSize()) },
	PropWildcardAvailable:        func(p Properties) (any, bool) { return got(p.WildcardAvailable()) },
	PropSubscriptionIDsAvailable: func(p Properties) (any, bool) { return got(p.SubscriptionIDsAvailable()) },
	PropSharedAvailable:          func(p Properties) (any, bool) { return got(p.SharedAvailable()) },
}

// got gives the values of all getters one type: uint64 or []byte.
func got[T uint8 | uint16 | uint32 | []byte](v T, ok bool) (any, bool) {
	if b, isBytes := any(v).([]byte); isBytes {
		return b, ok
	}
	return uint32(reflect.ValueOf(v).Uint()), ok
}

func FuzzProperties(f *testing.F) {
	for _, p := range samplePackets(V5) {
		if props := reflect.ValueOf(p).Elem().FieldByName("Props"); props.IsValid() {
			f.Add(props.Interface().(Properties).AppendTo(nil), uint64(PropUserProperty.Mask()))
		}
	}
	all := benchConnAck().Props
	f.Add(all.AppendTo(nil), uint64(PropServerKeepAlive.Mask()|PropAuthData.Mask()))
	f.Fuzz(func(t *testing.T, data []byte, drop uint64) {
		p, err := ParseProperties(data)
		if err != nil {
			refusedBy(t, err, len(data))
			return
		}
		list := slices.Collect(p.All())
		built, err := NewProperties(list...)
		if err != nil || !p.Equal(built) || p.Mask() != built.Mask() || p.Len() != len(data) {
			t.Fatalf("built again: %x, %v; from %x", built.AppendTo(nil), err, data)
		}
		checkGetters(t, p, list)

		mask := PropertyMask(drop)
		var kept []Property
		for _, x := range list {
			if !mask.Has(x.ID) {
				kept = append(kept, x)
			}
		}
		wire := p.AppendWithout([]byte("before"), mask)
		rest, err := ParseProperties(wire[len("before"):])
		if err != nil || rest.Mask() != p.Mask()&^mask {
			t.Fatalf("AppendWithout %x: %v", wire, err)
		}
		if diff := cmp.Diff(kept, slices.Collect(rest.All()), comparePackets); diff != "" {
			t.Fatalf("AppendWithout %b:\n%s", drop, diff)
		}
		var from Properties
		if err := from.AddFrom(p, mask); err != nil || !from.Equal(rest) {
			t.Fatalf("AddFrom %b: %v, %v", drop, from, err)
		}
		clone := p.Clone()
		built.Reset()
		if !clone.Equal(p) || clone.Mask() != p.Mask() || built.Len() != 0 || built.Mask() != 0 {
			t.Fatalf("clone %v, reset %v", clone, built)
		}
	})
}

// checkGetters checks each getter against the list of all properties.
func checkGetters(t *testing.T, p Properties, list []Property) {
	first := map[PropertyID]Property{}
	var ids []uint32
	var pairs [][2]string
	for _, x := range list {
		if _, seen := first[x.ID]; !seen {
			first[x.ID] = x
		}
		switch x.ID {
		case PropSubscriptionID:
			ids = append(ids, x.Num)
		case PropUserProperty:
			pairs = append(pairs, [2]string{string(x.Key), string(x.Value)})
			if v, ok := p.UserProperty(string(x.Key)); !ok || v == nil {
				t.Errorf("no UserProperty %q", x.Key)
			}
		}
	}
	for id, get := range propertyGetters {
		want, present := first[id]
		v, ok := get(p)
		if ok != present || p.Mask().Has(id) != present {
			t.Errorf("%v: %v, in the list: %v", id, ok, present)
		}
		if present && want.Value != nil && !bytes.Equal(v.([]byte), want.Value) {
			t.Errorf("%v: %q, want %q", id, v, want.Value)
		}
		if present && want.Value == nil && v != want.Num {
			t.Errorf("%v: %v, want %v", id, v, want.Num)
		}
		if x, ok := p.Get(id); ok != present || !cmp.Equal(x, want, comparePackets) {
			t.Errorf("Get(%v): %v, %v", id, x, ok)
		}
	}
	if diff := cmp.Diff(ids, slices.Collect(p.SubscriptionIDs())); diff != "" {
		t.Errorf("SubscriptionIDs:\n%s", diff)
	}
	var gotPairs [][2]string
	for k, v := range p.UserProperties() {
		gotPairs = append(gotPairs, [2]string{string(k), string(v)})
	}
	if diff := cmp.Diff(pairs, gotPairs); diff != "" {
		t.Errorf("UserProperties:\n%s", diff)
	}
}

// naiveMatch says what the specification says, level by level.
func naiveMatch(filter, name []string) bool {
	switch {
	case len(filter) == 0:
		return len(name) == 0
	case filter[0] == "#":
		return true // also no level at all: a/# matches a
	case len(name) == 0:
		return false
	case filter[0] != "+" && filter[0] != name[0]:
		return false
	}
	return naiveMatch(filter[1:], name[1:])
}

// naiveFilter says whether filter is a topic filter, shared ones of 5.0 with
// their rules; rest is what names are matched with.
func naiveFilter(filter string) (rest string, ok bool) {
	levels := strings.Split(filter, "/")
	if levels[0] == "$share" && len(levels) > 1 {
		if levels[1] == "" || strings.ContainsAny(levels[1], "+#") || len(levels) < 3 {
			return "", false
		}
		levels = levels[2:]
	}
	for i, level := range levels {
		if strings.Contains(level, "+") && level != "+" || strings.Contains(level, "#") && (level != "#" || i != len(levels)-1) {
			return "", false
		}
	}
	rest = strings.Join(levels, "/")
	return rest, rest != "" && naiveText(filter)
}

func naiveText(s string) bool {
	return strings.ToValidUTF8(s, "") == s && !strings.Contains(s, "\x00") && len(s) <= 65535
}

func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{"sport/tennis/player1/#", "sport/tennis/player1"},
		{"sport/+", "sport/"},
		{"+/+", "/finance"},
		{"#", "$SYS/uptime"},
		{"$SYS/#", "$SYS"},
		{"$share/consumers/sport/+", "sport/x"},
		{"$share/a", "a"},
		{"a+", "a"},
		{"ü/#", "ü/中"},
		{"a//b", "a//b"},
		{"a/b#", "a/b#"},
		{"long/filter/with/+/many/levels/#", "long/filter/with/some/many/levels/and/more"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Add("a/#/b", "#/a")
	f.Fuzz(func(t *testing.T, filter, name string) {
		got := Match([]byte(filter), []byte(name)) // must not panic on anything
		rest, ok := naiveFilter(filter)
		if err := CheckTopicFilter([]byte(filter)); (err == nil) != ok {
			t.Fatalf("filter %q: %v, want legal %v", filter, err, ok)
		}
		nameOK := name != "" && naiveText(name) && !strings.ContainsAny(name, "+#")
		if err := CheckTopicName([]byte(name)); (err == nil) != nameOK {
			t.Fatalf("name %q: %v, want legal %v", name, err, nameOK)
		}
		if len(filter) <= 65535 && len(name) <= 65535 {
			checkInPackets(t, filter, ok, name, nameOK)
		}
		if !ok || !nameOK {
			return
		}
		_, split, shared := SplitShared([]byte(filter))
		if string(split) != rest || shared != (rest != filter) {
			t.Fatalf("SplitShared(%q) = %q, %v; want %q", filter, split, shared, rest)
		}
		want := naiveMatch(strings.Split(rest, "/"), strings.Split(name, "/"))
		if name[0] == '$' && (rest[0] == '+' || rest[0] == '#') {
			want = false
		}
		if got != want {
			t.Fatalf("Match(%q, %q) = %v", filter, name, got)
		}
	})
}

// TestWordwise puts every byte at every place of strings of every small length,
// and compares the checks of eight bytes at a time with what they stand for.
func TestWordwise(t *testing.T) {
	for size := range 35 {
		for i := range size {
			for c := range 256 {
				b := bytes.Repeat([]byte("a"), size)
				b[i] = byte(c)
				text := c > 0 && c < 0x80
				if plainText(b) != text {
					t.Fatalf("plainText(%q)", b)
				}
				if plainTopic(b) != (text && c >= ',') {
					t.Fatalf("plainTopic(%q)", b)
				}
				if asciiName(b) != (text && c != '#' && c != '+') {
					t.Fatalf("asciiName(%q)", b)
				}
				if i > 0 {
					b[i-1] = '/'
				}
				if _, ok := naiveFilter(string(b)); plainFilter(b) != (ok && text) {
					t.Fatalf("plainFilter(%q)", b)
				}
			}
		}
	}
}

// checkInPackets checks that packets are decoded by the same rules as
// CheckTopicFilter and CheckTopicName.
func checkInPackets(t *testing.T, filter string, filterOK bool, name string, nameOK bool) {
	d := Dialect{Version: V5}
	body, _ := AppendString([]byte{0, 1, 0}, filter)
	if err := new(Unsubscribe).Decode(Frame{TypeUnsubscribe, 2, body}, d); (err == nil) != filterOK {
		t.Fatalf("UNSUBSCRIBE %q: %v, want legal %v", filter, err, filterOK)
	}
	if err := new(Subscribe).Decode(Frame{TypeSubscribe, 2, append(body, 1)}, d); (err == nil) != filterOK {
		t.Fatalf("SUBSCRIBE %q: %v, want legal %v", filter, err, filterOK)
	}
	body, _ = AppendString(nil, name)
	if err := new(Publish).Decode(Frame{TypePublish, 0, append(body, 0)}, d); (err == nil) != nameOK {
		t.Fatalf("PUBLISH %q: %v, want legal %v", name, err, nameOK)
	}
	_, err := (&Publish{Topic: []byte(name)}).AppendTo(nil, d)
	if (err == nil) != nameOK {
		t.Fatalf("encoding PUBLISH %q: %v, want legal %v", name, err, nameOK)
	}
}

func FuzzFrame(f *testing.F) {
	addSamples(f, func(version, from uint8, options uint32, wire []byte) {
		if len(wire) >= 2 {
			f.Add(version, from, options, wire[0]>>4, wire[0]&15, wire[2:])
			f.Add(version, from, options, wire[0]>>4, wire[0]&15^2, wire[2:])
		}
	})
	f.Fuzz(func(t *testing.T, version, from uint8, options uint32, kind, flags uint8, body []byte) {
		d := fuzzDialect(version, from, options)
		frame := Frame{Type: PacketType(kind), Flags: flags, Body: body}
		p, err := Decode(frame, d) // of a frame that ConsumeFrame did not see
		if _, verr := ConnectVersion(frame); verr != nil && !errors.Is(verr, ErrPacketType) {
			refusedBy(t, verr, len(body))
		}
		if kind > 15 || flags > 15 {
			return
		}
		wire := frame.AppendTo(nil)
		got, n, ferr := ConsumeFrame(wire, d, 0)
		if ferr != nil {
			refusedBy(t, ferr, len(wire))
			if err == nil {
				t.Fatalf("%x is refused (%v), and its frame decodes to %v", wire, ferr, p)
			}
			return
		}
		if n != len(wire) || got.Type != frame.Type || got.Flags != flags || !bytes.Equal(got.Body, body) {
			t.Fatalf("%x: %d bytes, %v", wire, n, got)
		}
		checkDecode(t, got, wire, d)
	})
}
