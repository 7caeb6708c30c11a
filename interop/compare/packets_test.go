// This file holds the packets of the comparison, and checks that every library
// reads and writes them rightly before anything is timed.

package compare

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqttcore"
)

// A row is what one line of the comparison is about: one packet, or a stream.
type row struct {
	name    string
	what    string
	dialect mqttcore.Dialect
	wire    []byte
	packets int
}

// must is for what cannot fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var (
	client311 = mqttcore.Dialect{Version: mqttcore.V311, From: mqttcore.FromClient}
	server311 = mqttcore.Dialect{Version: mqttcore.V311, From: mqttcore.FromServer}
	client5   = mqttcore.Dialect{Version: mqttcore.V5, From: mqttcore.FromClient}
	server5   = mqttcore.Dialect{Version: mqttcore.V5, From: mqttcore.FromServer}
)

const topic = "building/7/floor/3/temperature"

func one(name, what string, d mqttcore.Dialect, p mqttcore.Packet) row {
	return row{name: name, what: what, dialect: d, wire: must(p.AppendTo(nil, d)), packets: 1}
}

// rows are the packets, in the order of the tables.
var rows = func() []row {
	connect := mqttcore.Connect{
		ClientID: []byte("sensor-7-3-0001"), CleanStart: true, KeepAlive: 60,
		Username: []byte("sensor"), Password: []byte("correct horse battery"),
		Will: mqttcore.Will{Topic: []byte("building/7/floor/3/status"), Payload: []byte("offline"), QoS: mqttcore.QoS1, Retain: true},
	}
	connect5 := connect
	connect5.Props = must(mqttcore.NewProperties(mqttcore.SessionExpiry(3600), mqttcore.ReceiveMaximum(100),
		mqttcore.MaximumPacketSize(1<<20), mqttcore.UserProperty("model", "T1000")))
	connect5.Will.Props = must(mqttcore.NewProperties(mqttcore.WillDelay(30)))
	connAck := mqttcore.ConnAck{Props: must(mqttcore.NewProperties(
		mqttcore.SessionExpiry(3600), mqttcore.ReceiveMaximum(100), mqttcore.MaximumQoS(1), mqttcore.RetainAvailable(1),
		mqttcore.MaximumPacketSize(1<<20), mqttcore.AssignedClientID("auto-0123456789"), mqttcore.TopicAliasMaximum(16),
		mqttcore.ReasonString("welcome"), mqttcore.UserProperty("region", "north"), mqttcore.WildcardAvailable(1),
		mqttcore.SubscriptionIDsAvailable(1), mqttcore.SharedAvailable(1), mqttcore.ServerKeepAlive(60),
		mqttcore.ResponseInfo("answers/0123"), mqttcore.ServerReference("other:1883"),
		mqttcore.AuthMethod("SCRAM-SHA-256"), mqttcore.AuthData("0123456789abcdef")))}
	var plain, withOptions []mqttcore.Subscription
	for i := range 8 {
		s := mqttcore.Subscription{Filter: fmt.Appendf(nil, "building/7/floor/%d/+/#", i), QoS: mqttcore.QoS(i % 3)}
		plain = append(plain, s)
		s.RetainAsPublished = i&1 == 1
		withOptions = append(withOptions, s)
	}
	subscribe := mqttcore.Subscribe{ID: 4711, Subscriptions: must(mqttcore.NewSubscriptions(plain...))}
	subscribe5 := mqttcore.Subscribe{ID: 4711, Subscriptions: must(mqttcore.NewSubscriptions(withOptions...)),
		Props: must(mqttcore.NewProperties(mqttcore.SubscriptionID(7)))}
	publish := mqttcore.Publish{Topic: []byte(topic), Payload: make([]byte, 64)}
	publish5 := mqttcore.Publish{Topic: []byte(topic), Payload: make([]byte, 64), QoS: mqttcore.QoS1, ID: 4711, Props: must(mqttcore.NewProperties(
		mqttcore.PayloadFormat(0), mqttcore.MessageExpiry(3600), mqttcore.ContentType("application/json"),
		mqttcore.ResponseTopic("building/7/answers"), mqttcore.CorrelationData("0123456789abcdef"), mqttcore.UserProperty("unit", "celsius")))}
	pubAck := mqttcore.Ack{Type: mqttcore.TypePubAck, ID: 4711}
	return []row{
		one("publish-qos0-311", "PUBLISH, QoS 0, payload of 64 bytes, 3.1.1", server311, &publish),
		one("publish-qos1-50", "PUBLISH, QoS 1, payload of 64 bytes, 6 properties, 5.0", server5, &publish5),
		one("connect-311", "CONNECT with will, user name and password, 3.1.1", client311, &connect),
		one("connect-50", "the same with 4 properties, and one of the will, 5.0", client5, &connect5),
		one("connack-50", "CONNACK with all of its 17 properties, 5.0", server5, &connAck),
		one("subscribe-311", "SUBSCRIBE of 8 filters of 22 bytes, 3.1.1", client311, &subscribe),
		one("subscribe-50", "the same with a subscription identifier, 5.0", client5, &subscribe5),
		one("puback-311", "PUBACK, 3.1.1", server311, &pubAck),
		one("puback-50", "PUBACK of two bytes, 5.0", server5, &pubAck),
		mixed("stream-311", "1,000 packets, 1 MB: 7 of 10 are PUBLISH at QoS 0, 1 and 2, the others acknowledgements, 3.1.1", server311),
		mixed("stream-50", "the same with properties in every second PUBLISH, 5.0", server5),
	}
}()

// mixed is what a busy client receives.
func mixed(name, what string, d mqttcore.Dialect) row {
	acks := []mqttcore.Packet{
		&mqttcore.Ack{Type: mqttcore.TypePubAck, ID: 1},
		&mqttcore.Ack{Type: mqttcore.TypePubRec, ID: 2},
		&mqttcore.Ack{Type: mqttcore.TypePubRel, ID: 3},
		&mqttcore.Ack{Type: mqttcore.TypePubComp, ID: 4},
		&mqttcore.SubAck{ID: 5, Codes: []byte{0, 1, 2}},
		&mqttcore.Ping{Type: mqttcore.TypePingResp},
	}
	sizes := []int{64, 200, 1200, 400, 64, 3000, 800, 64, 5200, 2850}
	r := row{name: name, what: what, dialect: d, packets: 1000}
	publishes := 0
	for i := range r.packets {
		p := acks[i%len(acks)]
		if i%10 < 7 {
			m := &mqttcore.Publish{Topic: []byte(topic), Payload: make([]byte, sizes[publishes%len(sizes)]), QoS: mqttcore.QoS(publishes % 3)}
			if m.QoS != mqttcore.QoS0 {
				m.ID = uint16(i + 1)
			}
			if d.Version == mqttcore.V5 {
				switch publishes % 4 {
				case 1:
					m.Props = must(mqttcore.NewProperties(mqttcore.MessageExpiry(60), mqttcore.ContentType("text/plain")))
				case 3:
					m.Props = must(mqttcore.NewProperties(mqttcore.TopicAlias(3), mqttcore.UserProperty("unit", "celsius")))
				}
			}
			p = m
			publishes++
		}
		r.wire = must(p.AppendTo(r.wire, d))
	}
	return r
}

// sameData compares strings and data. Only for user name and password, present
// and empty is another thing than absent.
var sameData = cmp.Options{
	cmp.FilterPath(orAbsent, cmp.Comparer(func(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) })),
	cmp.FilterPath(func(p cmp.Path) bool { return !orAbsent(p) }, cmp.Comparer(bytes.Equal)),
	cmp.Comparer(func(a, b mqttcore.Properties) bool { return a.Len() == 0 && b.Len() == 0 }),    // in views there are none
	cmp.Comparer(func(a, b mqttcore.Subscriptions) bool { return a.Len() == 0 && b.Len() == 0 }), // likewise
	cmp.Comparer(func(a, b mqttcore.Filters) bool { return a.Len() == 0 && b.Len() == 0 }),       // likewise
}

func orAbsent(p cmp.Path) bool {
	field := p.Last().String()
	return field == ".Username" || field == ".Password"
}

// measured yields the libraries that a row has.
func (r row) measured(yield func(library) bool) {
	for _, l := range libraries {
		if slices.Contains(l.speaks, r.dialect.Version) && !yield(l) {
			return
		}
	}
}

// TestPeers: every library takes the packets of the rows, and what it encodes
// of them is the packet again.
func TestPeers(t *testing.T) {
	for _, r := range rows {
		for l := range r.measured {
			t.Run(r.name+"/"+l.name, func(t *testing.T) {
				if l.decode != nil {
					if n, err := l.decode(r.dialect)(r.wire); n != r.packets || err != nil {
						t.Fatalf("%d packets of %d: %v", n, r.packets, err)
					}
					if _, err := l.decode(r.dialect)(r.wire[:len(r.wire)-1]); err == nil {
						t.Error("takes the last packet without its last byte")
					}
				}
				for rest := r.wire; len(rest) > 0; {
					n, _ := mqttcore.FrameSize(rest)
					roundTrip(t, l, r.dialect, rest[:n])
					rest = rest[n:]
				}
			})
		}
	}
}

func roundTrip(t *testing.T, l library, d mqttcore.Dialect, wire []byte) {
	t.Helper()
	encode, err := l.encode(d, wire)
	if err != nil {
		t.Fatalf("%x: %v", wire, err)
	}
	if encode == nil {
		return
	}
	for range 2 { // the second time nothing of the first may be in the way
		out, err := encode()
		if err != nil {
			t.Fatalf("%x: %v", wire, err)
		}
		want := must(decodeOne(d, wire))
		got, err := decodeOne(d, out)
		if err != nil {
			t.Fatalf("%x is encoded as %x: %v", wire, out, err)
		}
		if diff := cmp.Diff(viewCore(want), viewCore(got), sameData); diff != "" {
			t.Fatalf("%x is encoded as %x: (-want +got)\n%s", wire, out, diff)
		}
	}
}
