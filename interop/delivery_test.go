// Tests of what brokers deliver on connections that hold: payloads, qualities
// of service, properties, retained messages, wills, kinds of subscriptions.

package interop

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqttcore"
	"mqttcore/interop/brokers"
)

// payloads are what messages carry. The sizes put the whole packet on both
// sides of where its length takes another byte, at a topic of 16 bytes or so.
func payloads() map[string][]byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	m := map[string][]byte{"empty": {}, "every byte": all, "zero": {0}, "not UTF-8": {0xFF, 0xC0, 0x80}}
	for _, n := range []int{127, 16383, 1 << 18, 2097151} {
		for d := -32; d <= 32; d += 8 {
			if n > 1<<17 && d != 0 {
				continue
			}
			m[fmt.Sprintf("%d bytes", n+d)] = bytes.Repeat([]byte("0123456789abcdef"), (n+d)/16+1)[:n+d]
		}
	}
	return m
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	all := payloads()
	eachVersion(t, brokers.Options{}, versions, func(t *testing.T, h host, v mqttcore.Version) {
		for pub := range mqttcore.QoS2 + 1 {
			for sub := range mqttcore.QoS2 + 1 {
				t.Run(fmt.Sprintf("published at %d, subscribed at %d", pub, sub), func(t *testing.T) {
					topic := newTopic()
					to, from := newPeer(t, h, clean(v)), newPeer(t, h, clean(v))
					to.connect()
					to.subscribe(topic, sub)
					from.connect()
					for _, name := range slices.Sorted(maps.Keys(all)) {
						payload := all[name]
						from.publish(mqttcore.Publish{Topic: []byte(topic), QoS: pub, Payload: payload})
						got := to.wait(mqttcore.EventMessage).Message
						if !bytes.Equal(got.Payload, payload) {
							t.Errorf("%s: %s; want %s", name, short(got.Payload), short(payload))
						}
						got.ID, got.Payload, got.Props = 0, nil, mqttcore.Properties{}
						want := mqttcore.Publish{Topic: []byte(topic), QoS: min(pub, sub)}
						if d := cmp.Diff(want, got, cmp.AllowUnexported(mqttcore.Properties{})); d != "" {
							t.Errorf("%s: (-want +got)\n%s", name, d)
						}
					}
					to.none()
					to.disconnect(nil)
					from.disconnect(nil)
				})
			}
		}
	})
}

// A client that hears its own messages has exchanges of both directions under
// way, with the same identifiers.
func TestOwnMessages(t *testing.T) {
	t.Parallel()
	eachVersion(t, brokers.Options{}, versions, func(t *testing.T, h host, v mqttcore.Version) {
		p := newPeer(t, h, clean(v))
		p.connect()
		topic := newTopic()
		p.subscribe(topic, mqttcore.QoS2)
		const n = 50
		want := map[string]int{}
		for i := range n {
			s := fmt.Sprint(i)
			want[s] = 1
			p.send(message(topic, mqttcore.QoS(1+i%2), s))
		}
		for range n {
			p.wait(mqttcore.EventPublished)
		}
		got := map[string]int{}
		for range n {
			got[string(p.wait(mqttcore.EventMessage).Message.Payload)]++
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("messages (-want +got)\n%s", d)
		}
		p.none()
	})
}

func TestProperties(t *testing.T) {
	t.Parallel()
	eachVersion(t, brokers.Options{}, withProps, func(t *testing.T, h host, v mqttcore.Version) {
		to, from := newPeer(t, h, clean(v)), newPeer(t, h, clean(v))
		topic := newTopic()
		to.connect()
		to.subscribe(topic, mqttcore.QoS2)
		from.connect()
		user := []mqttcore.Property{
			mqttcore.UserProperty("b", "1"), mqttcore.UserProperty("a", "2"), mqttcore.UserProperty("b", "3"),
			mqttcore.UserProperty("", ""), mqttcore.UserProperty("b", "1"), mqttcore.UserProperty("é", "\U0001F600"),
		}
		sent := append([]mqttcore.Property{
			mqttcore.PayloadFormat(1), mqttcore.ContentType("text/plain"), mqttcore.ResponseTopic("answer/here"),
			mqttcore.CorrelationData([]byte{0, 1, 0xFF}), mqttcore.MessageExpiry(1000),
		}, user...)
		m := message(topic, mqttcore.QoS2, "with properties")
		m.Props = props(t, v, sent...)
		from.publish(m)
		got := to.wait(mqttcore.EventMessage).Message.Props

		var gotUser []mqttcore.Property
		for k, x := range got.UserProperties() {
			gotUser = append(gotUser, mqttcore.UserProperty(k, x))
		}
		if d := cmp.Diff(user, gotUser); d != "" {
			t.Errorf("user properties, in order (-want +got)\n%s", d)
		}
		for _, want := range sent[:4] {
			if g, ok := got.Get(want.ID); !ok || !cmp.Equal(want, g) {
				t.Errorf("%v: %v; want %v", want.ID, g, want)
			}
		}
		if s, ok := got.MessageExpiry(); !ok || s > 1000 || s < 990 {
			t.Errorf("message expiry %d, %v; want a little less than 1000", s, ok)
		}
	})
}

func TestRetained(t *testing.T) {
	t.Parallel()
	eachVersion(t, brokers.Options{}, versions, func(t *testing.T, h host, v mqttcore.Version) {
		topic := newTopic()
		live, from := newPeer(t, h, clean(v)), newPeer(t, h, clean(v))
		live.connect()
		live.subscribe(topic, mqttcore.QoS2)
		from.connect()
		retained := func(payload string) {
			m := message(topic, mqttcore.QoS1, payload)
			m.Retain = true
			from.publish(m)
		}
		expect := func(what string, p *peer, payload string, retain bool) {
			t.Helper()
			m := p.wait(mqttcore.EventMessage).Message
			if string(m.Payload) != payload || m.Retain != retain {
				t.Errorf("%s: %s, retain %v; want %q, %v", what, short(m.Payload), m.Retain, payload, retain)
			}
		}
		fresh := func(s mqttcore.Subscription) *peer {
			p := newPeer(t, h, clean(v))
			p.connect()
			s.Filter, s.QoS = []byte(topic), mqttcore.QoS2
			p.subscribeTo(s)
			return p
		}
		retained("first")
		expect("live", live, "first", false)
		retained("second")
		expect("live", live, "second", false)
		expect("new", fresh(mqttcore.Subscription{}), "second", true)
		if v == v5 {
			fresh(mqttcore.Subscription{RetainHandling: mqttcore.RetainDoNotSend}).none()
			p := fresh(mqttcore.Subscription{RetainHandling: mqttcore.RetainSendIfNew, RetainAsPublished: true})
			expect("if new", p, "second", true)
			p.subscribeTo(mqttcore.Subscription{Filter: []byte(topic), QoS: mqttcore.QoS2,
				RetainHandling: mqttcore.RetainSendIfNew, RetainAsPublished: true})
			p.none()
			retained("third")
			expect("retain as published", p, "third", true)
			expect("live", live, "third", false)
		}
		retained("") // clears it
		expect("live", live, "", false)
		fresh(mqttcore.Subscription{}).none()
	})
}

func TestWill(t *testing.T) {
	t.Parallel()
	type ending struct {
		name  string
		fires bool
		end   func(*peer)
		only5 bool
		not   string // the broker that gets it wrong
	}
	endings := []ending{
		{name: "cut", fires: true, end: func(p *peer) { p.drop() }},
		{name: "reset", fires: true, end: func(p *peer) { p.wire.faults.reset = true; p.drop() }},
		{name: "normal disconnect", end: func(p *peer) { p.disconnect(nil) }},
		// Mochi takes a DISCONNECT of one byte, the reason code, for one without.
		{name: "with will, short", fires: true, only5: true, not: mochi, end: func(p *peer) {
			p.disconnect(&mqttcore.Disconnect{Code: mqttcore.ReasonDisconnectWithWill})
		}},
		{name: "with will, long", fires: true, only5: true, end: func(p *peer) {
			p.disconnect(&mqttcore.Disconnect{Code: mqttcore.ReasonDisconnectWithWill,
				Props: props(p.t, v5, mqttcore.ReasonString("because"))})
		}},
	}
	eachVersion(t, brokers.Options{}, versions, func(t *testing.T, h host, v mqttcore.Version) {
		for _, e := range endings {
			if e.only5 && v != v5 || e.not == h.kind {
				continue
			}
			t.Run(e.name, func(t *testing.T) {
				topic := newTopic()
				to := newPeer(t, h, clean(v))
				to.connect()
				to.subscribe(topic, mqttcore.QoS2)
				cfg := clean(v)
				cfg.Will = &mqttcore.Will{Topic: []byte(topic), Payload: []byte{'g', 0, 0xFF}, QoS: mqttcore.QoS1, Retain: true,
					Props: props(t, v, mqttcore.UserProperty("k", "v"))}
				p := newPeer(t, h, cfg)
				p.connect()
				p.settle()
				e.end(p)
				if !e.fires {
					time.Sleep(100 * time.Millisecond)
					to.none()
					return
				}
				m := to.wait(mqttcore.EventMessage).Message
				if !bytes.Equal(m.Payload, cfg.Will.Payload) || m.QoS != mqttcore.QoS1 {
					t.Errorf("%v; want the will %q at QoS 1", &m, cfg.Will.Payload)
				}
				if x, _ := m.Props.UserProperty("k"); v == v5 && string(x) != "v" {
					t.Errorf("user property %q; want that of the will", x)
				}
				late := newPeer(t, h, clean(v))
				late.connect()
				late.subscribe(topic, mqttcore.QoS0)
				if m := late.wait(mqttcore.EventMessage).Message; !m.Retain || !bytes.Equal(m.Payload, cfg.Will.Payload) {
					t.Errorf("%v; want the will, retained", &m)
				}
			})
		}
	})
}

func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	eachVersion(t, brokers.Options{}, versions, func(t *testing.T, h host, v mqttcore.Version) {
		p := newPeer(t, h, clean(v))
		p.connect()
		topic := newTopic()
		p.subscribe(topic+"/+", mqttcore.QoS1)
		p.subscribe(topic+"/keep/#", mqttcore.QoS0)
		p.publish(message(topic+"/a", mqttcore.QoS1, "1"))
		p.wait(mqttcore.EventMessage)
		f, err := mqttcore.NewFilters(topic+"/+", topic+"/none")
		if err != nil {
			t.Fatal(err)
		}
		p.do(p.c.Unsubscribe(p.out, p.now(), &mqttcore.Unsubscribe{Filters: f}, 99))
		ev := p.wait(mqttcore.EventUnsubscribed)
		var want []byte
		if v == v5 {
			want = []byte{byte(mqttcore.ReasonSuccess), byte(mqttcore.ReasonNoSubscriptionExisted)}
		}
		if ev.Tag != 99 || !slices.Equal(ev.Codes, want) {
			t.Errorf("%v, codes % x; want tag 99, codes % x", &ev, ev.Codes, want)
		}
		p.publish(message(topic+"/a", mqttcore.QoS1, "2"))
		p.none()
		p.publish(message(topic+"/keep/it", mqttcore.QoS1, "3"))
		if m := p.wait(mqttcore.EventMessage).Message; string(m.Payload) != "3" {
			t.Errorf("%v; want the message of the other filter", &m)
		}
	})
}

func TestSharedSubscription(t *testing.T) {
	t.Parallel()
	eachVersion(t, brokers.Options{}, withProps, func(t *testing.T, h host, v mqttcore.Version) {
		topic := newTopic()
		var members []*peer
		for range 3 {
			p := newPeer(t, h, clean(v))
			p.connect()
			p.subscribe("$share/group/"+topic, mqttcore.QoS2)
			members = append(members, p)
		}
		from := newPeer(t, h, clean(v))
		from.connect()
		want, got := map[string]int{}, map[string]int{}
		for i := range 60 {
			s := fmt.Sprint(i)
			want[s] = 1
			from.publish(message(topic, mqttcore.QoS2, s))
		}
		busy := 0
		for _, p := range members {
			p.settle()
			p.run(100 * time.Millisecond)
			n := 0
			for ev, ok := p.take(mqttcore.EventMessage); ok; ev, ok = p.take(mqttcore.EventMessage) {
				got[string(ev.Message.Payload)]++
				n++
			}
			if n > 0 {
				busy++
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("messages over all members (-want +got)\n%s", d)
		}
		if busy < 2 {
			t.Errorf("%d of 3 members got all; want a share each", busy)
		}
	})
}

func TestSubscriptionIDs(t *testing.T) {
	t.Parallel()
	eachVersion(t, brokers.Options{}, withProps, func(t *testing.T, h host, v mqttcore.Version) {
		p := newPeer(t, h, clean(v))
		p.connect()
		topic := newTopic()
		p.subscribe(topic+"/#", mqttcore.QoS1, mqttcore.SubscriptionID(1))
		p.subscribe(topic+"/+", mqttcore.QoS2, mqttcore.SubscriptionID(268435455))
		p.publish(message(topic+"/x", mqttcore.QoS2, "both"))
		// One copy with both identifiers, or one a subscription (5.0 §3.3.4).
		ids := map[uint32]int{}
		for len(ids) < 2 {
			for id := range p.wait(mqttcore.EventMessage).Message.Props.SubscriptionIDs() {
				ids[id]++
			}
		}
		if d := cmp.Diff(map[uint32]int{1: 1, 268435455: 1}, ids); d != "" {
			t.Errorf("identifiers (-want +got)\n%s", d)
		}
		p.none()
	})
}

func TestMessageExpiry(t *testing.T) {
	t.Parallel()
	eachVersion(t, brokers.Options{}, withProps, func(t *testing.T, h host, v mqttcore.Version) {
		topic := newTopic()
		to, from := newPeer(t, h, lasting(t, v)), newPeer(t, h, clean(v))
		to.connect()
		to.subscribe(topic, mqttcore.QoS1)
		to.drop()
		from.connect()
		for _, s := range []uint32{1, 600} {
			m := message(topic, mqttcore.QoS1, fmt.Sprint(s))
			m.Props = props(t, v, mqttcore.MessageExpiry(s))
			from.publish(m)
		}
		time.Sleep(3 * time.Second)
		if ev := to.connect(); !ev.SessionPresent {
			t.Error("no session present")
		}
		m := to.wait(mqttcore.EventMessage).Message
		if s, _ := m.Props.MessageExpiry(); string(m.Payload) != "600" || s > 598 || s < 500 {
			t.Errorf("%v, %d s left; want the message that lives for 600 s, with less than that left", &m, s)
		}
		to.none()
	})
}
