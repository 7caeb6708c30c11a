// This file holds the budgets of the codec: what may allocate (nothing that is
// decoded into a struct used again or encoded into a buffer with room), and how
// large the structs are.

package mqttcore

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"unsafe"
)

// samplePackets is at least one legal packet of every type that the version
// has, with all fields in use.
func samplePackets(v Version) []Packet {
	props := func(ps ...Property) Properties {
		if v != V5 {
			return Properties{}
		}
		return mustProperties(ps...)
	}
	reason, user := ReasonString("because"), UserProperty("k", "v")
	sub := func(filters ...string) (l Subscriptions) {
		for i, f := range filters {
			s := Subscription{Filter: []byte(f), QoS: QoS(i % 3)}
			if v == V5 {
				s.NoLocal, s.RetainAsPublished, s.RetainHandling = i == 0, true, RetainSendIfNew
			}
			if err := l.Add(s); err != nil {
				panic(err)
			}
		}
		return l
	}
	unsub, err := NewFilters("a/+/c", "$share/g/a/#", "b")
	if err != nil {
		panic(err)
	}
	all := []Packet{
		&Connect{
			ClientID: []byte("client"), CleanStart: true, KeepAlive: 60, Username: []byte("user"), Password: []byte{0, 1, 2},
			Will:  Will{Topic: []byte("will/topic"), Payload: []byte("gone"), QoS: QoS1, Retain: true, Props: props(WillDelay(5), PayloadFormat(1), user)},
			Props: props(SessionExpiry(100), ReceiveMaximum(10), AuthMethod("m"), AuthData("d"), user),
		},
		&ConnAck{Code: ReasonNotAuthorized, Props: props(reason, user, ServerKeepAlive(30))},
		&Publish{Topic: []byte("a/b"), Payload: []byte("zero"), Retain: true},
		&Publish{Topic: []byte("a/b/ü"), Payload: []byte("two"), QoS: QoS2, ID: 7, Dup: true, Props: props(TopicAlias(3), MessageExpiry(9), CorrelationData("x"), user, user)},
		&Subscribe{ID: 8, Subscriptions: sub("a/+/c", "#", "b"), Props: props(SubscriptionID(300), user)},
		&SubAck{ID: 8, Codes: []byte{0, 1, 0x80}, Props: props(reason)},
		&Unsubscribe{ID: 9, Filters: unsub, Props: props(user)},
		&Ping{Type: TypePingReq},
		&Ping{Type: TypePingResp},
		&Disconnect{Props: props(reason)},
	}
	for t := TypePubAck; t <= TypePubComp; t++ {
		all = append(all, &Ack{Type: t, ID: 10}, &Ack{Type: t, ID: 11, Props: props(reason, user)})
	}
	unsubAck := &UnsubAck{ID: 9}
	if v == V5 {
		unsubAck.Codes = []byte{0, 0x11, 0x80}
		all = append(all, &Auth{Code: ReasonContinueAuthentication, Props: props(AuthMethod("m"), AuthData("d"))})
	}
	return append(all, unsubAck)
}

// eachSample runs f for every sample packet, encoded, of every version.
func eachSample(t *testing.T, f func(t *testing.T, p Packet, wire []byte, d Dialect)) {
	for _, v := range []Version{V31, V311, V5} {
		for i, p := range samplePackets(v) {
			d := Dialect{Version: v}
			t.Run(fmt.Sprintf("%d/%v/%d", v, p.PacketType(), i), func(t *testing.T) { f(t, p, mustAppend(p, d), d) })
		}
	}
}

// wantAllocs fails when f allocates more than want times.
func wantAllocs(t *testing.T, want float64, f func()) {
	t.Helper()
	if got := testing.AllocsPerRun(100, f); got > want {
		t.Errorf("%v allocations, want %v", got, want)
	}
}

func TestCodecAllocatesNothing(t *testing.T) {
	eachSample(t, func(t *testing.T, p Packet, wire []byte, d Dialect) {
		buf := make([]byte, 0, p.Size(d)) // room for this packet and no more
		wantAllocs(t, 0, func() {
			if b, err := p.AppendTo(buf, d); err != nil || len(b) != p.Size(d) {
				t.Fatal(b, err)
			}
		})
		wantAllocs(t, 0, func() {
			f, n, err := ConsumeFrame(wire, d, 0)
			if err != nil || n != len(wire) {
				t.Fatal(n, err)
			}
			if err := p.Decode(f, d); err != nil {
				t.Fatal(err)
			}
		})
		wantAllocs(t, 0, func() {
			for i := range wire {
				if _, n, err := ConsumeFrame(wire[:i], d, 0); n != 0 || err != nil {
					t.Fatal(n, err)
				}
			}
		})
		if p, ok := p.(*Publish); ok {
			wantAllocs(t, 0, func() {
				if b, err := p.AppendHeader(buf, d); err != nil || len(b)+len(p.Payload) != len(wire) {
					t.Fatal(b, err)
				}
			})
		}
	})
}

func TestListsAllocateNothing(t *testing.T) {
	var p ConnAck
	wire := mustAppend(benchConnAck(), server5)
	f, _, err := ConsumeFrame(wire, server5, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Decode(f, server5); err != nil {
		t.Fatal(err)
	}
	props := p.Props
	buf := make([]byte, 0, 1024)
	sub := benchSubscribe()
	filters, err := NewFilters("a", "b/+")
	if err != nil {
		t.Fatal(err)
	}
	var build Properties
	var subs Subscriptions
	key, value := UserProperty("key", "value"), ReasonString("because")
	one, two := Subscription{Filter: []byte("a/b")}, Subscription{Filter: []byte("c"), QoS: QoS2}

	for _, test := range []struct {
		name string
		run  func() bool
	}{
		{"getters", func() bool {
			s, ok1 := props.AuthMethod()
			n, ok2 := props.ServerKeepAlive()
			_, ok3 := props.UserProperty("region")
			_, ok4 := props.ContentType()
			_, ok5 := props.Get(PropServerReference)
			return ok1 && ok2 && ok3 && !ok4 && ok5 && len(s) > 0 && n == 60
		}},
		{"all", func() bool {
			n := 0
			for x := range props.All() {
				n += int(x.ID)
			}
			for range props.UserProperties() {
				n++
			}
			for range props.SubscriptionIDs() {
				n++
			}
			return n > 17
		}},
		{"rewriting", func() bool {
			return len(props.AppendWithout(buf, PropReasonString.Mask())) < len(props.AppendTo(buf))
		}},
		{"building again", func() bool {
			build.Reset()
			return build.Add(key) == nil && build.Add(value) == nil
		}},
		{"subscriptions", func() bool {
			n := 0
			for s := range sub.Subscriptions.All() {
				n += len(s.Filter)
			}
			return n > 8
		}},
		{"subscriptions again", func() bool {
			subs.Reset()
			return subs.Add(one) == nil && subs.Add(two) == nil
		}},
		{"filters", func() bool {
			n := 0
			for f := range filters.All() {
				n += len(f)
			}
			return n == 4
		}},
		{"match", func() bool {
			return Match([]byte("$share/g/a/+/c/#"), []byte("a/b/c")) && !Match([]byte("#"), []byte("$SYS/x"))
		}},
		{"checks", func() bool {
			return CheckTopicName([]byte("a/ü")) == nil && CheckTopicFilter([]byte("$share/g/a/+/ü")) == nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantAllocs(t, 0, func() {
				if !test.run() {
					t.Fatal("wrong result")
				}
			})
		})
	}
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestDeclaredLengths shows that what a peer declares costs nothing: memory
// follows the bytes that have come.
func TestDeclaredLengths(t *testing.T) {
	for _, test := range []struct {
		name string
		wire []byte
	}{
		{"remaining length", []byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, 'a'}},
		{"topic", []byte{0x30, 3, 0xFF, 0xFF, 'a'}},
		{"properties", []byte{0x30, 7, 0, 1, 'a', 0xFF, 0xFF, 0xFF, 0x7F}},
		{"user property", []byte{0x30, 9, 0, 1, 'a', 5, 0x26, 0xFF, 0xFF, 'k', 'v'}},
		{"filter", []byte{0x82, 6, 0, 1, 0, 0xFF, 0xFF, 'a'}},
		{"client identifier", []byte{0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 5, 0, 0, 0, 0, 0xFF, 0xFF}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := Dialect{Version: V5}
			bytes := allocated(func() {
				f, n, err := ConsumeFrame(test.wire, d, 0)
				if n == 0 && err == nil {
					return
				}
				if err == nil {
					_, err = Decode(f, d)
				}
				if e := (*Error)(nil); !errors.As(err, &e) {
					t.Errorf("error %v", err)
				}
			})
			if bytes > 16<<10 {
				t.Errorf("%d bytes allocated for %d", bytes, len(test.wire))
			}
		})
	}
}

// TestSizes pins the sizes of what is passed along and kept in numbers, so that
// growth is a decision.
func TestSizes(t *testing.T) {
	if strconv.IntSize != 64 {
		t.Skip("sizes are those of 64-bit machines")
	}
	for _, test := range []struct {
		name      string
		got, want uintptr
	}{
		{"Dialect", unsafe.Sizeof(Dialect{}), 8},
		{"Frame", unsafe.Sizeof(Frame{}), 32},
		{"Error", unsafe.Sizeof(Error{}), 16},
		{"Properties", unsafe.Sizeof(Properties{}), 32},
		{"Property", unsafe.Sizeof(Property{}), 56},
		{"Subscription", unsafe.Sizeof(Subscription{}), 32},
		{"Subscriptions", unsafe.Sizeof(Subscriptions{}), 32},
		{"Filters", unsafe.Sizeof(Filters{}), 32},
		{"Connect", unsafe.Sizeof(Connect{}), 200},
		{"Will", unsafe.Sizeof(Will{}), 88},
		{"ConnAck", unsafe.Sizeof(ConnAck{}), 40},
		{"Publish", unsafe.Sizeof(Publish{}), 88},
		{"Ack", unsafe.Sizeof(Ack{}), 40},
		{"Subscribe", unsafe.Sizeof(Subscribe{}), 72},
		{"SubAck", unsafe.Sizeof(SubAck{}), 64},
		{"Unsubscribe", unsafe.Sizeof(Unsubscribe{}), 72},
		{"UnsubAck", unsafe.Sizeof(UnsubAck{}), 64},
		{"Ping", unsafe.Sizeof(Ping{}), 1},
		{"Disconnect", unsafe.Sizeof(Disconnect{}), 40},
		{"Auth", unsafe.Sizeof(Auth{}), 40},
	} {
		if test.got != test.want {
			t.Errorf("%s has %d bytes, not %d", test.name, test.got, test.want)
		}
	}
}
