// This file tests the registry of live subscriptions: what is in it, which of
// it a message is for, and how it comes back when the session was lost.

package mqttcore

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// live is the registry, sorted, as text.
func (r *rig) live() string {
	var all []string
	for l := range r.c.Subscriptions() {
		one, ok := r.c.Subscribed(l.Filter)
		if !ok || cmp.Diff(one, l) != "" {
			r.Errorf("Subscribed(%q) = %v, %v; want %v", l.Filter, one, ok, l)
		}
		s := fmt.Sprintf("%s q%d", l.Filter, l.Granted)
		if l.QoS != QoS(l.Granted) {
			s += fmt.Sprintf(" of %d", l.QoS)
		}
		if l.ID != 0 {
			s += fmt.Sprintf(" id=%d", l.ID)
		}
		all = append(all, s)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (r *rig) wantLive(want string) {
	r.Helper()
	if got := r.live(); got != want {
		r.Errorf("live: %s; want %s", got, want)
	}
}

// TestLiveSubscriptions goes through what SUBACK and UNSUBACK do to the registry.
func TestLiveSubscriptions(t *testing.T) {
	for _, v := range []Version{V31, V311, V5} {
		t.Run(v.String(), func(t *testing.T) {
			r := newRig(t, Config{Version: v}, nil, &ConnAck{})
			r.wantLive("")
			r.subscribe(1, QoS2, Properties{}, "a", "b", "$share/g/a")
			r.wantLive("") // asked for, not granted
			r.server(&SubAck{ID: 1, Codes: []byte{2, 1, 0}})
			r.wantLive("$share/g/a q0 of 2, a q2, b q1 of 2")

			// The same filter once more is sent, and replaces the one that is there.
			r.log = nil
			r.subscribe(2, QoS1, Properties{}, "a", "a")
			if len(r.log) != 1 {
				t.Errorf("not sent: %v", r.log)
			}
			r.server(&SubAck{ID: 2, Codes: []byte{1, 0}})
			r.wantLive("$share/g/a q0 of 2, a q0 of 1, b q1 of 2")

			r.unsubscribe(3, "a", "never")
			r.wantLive("$share/g/a q0 of 2, a q0 of 1, b q1 of 2") // not answered
			codes := []byte(nil)
			if v == V5 {
				codes = []byte{0, byte(ReasonNoSubscriptionExisted)}
			}
			r.server(&UnsubAck{ID: 3, Codes: codes})
			r.wantLive("$share/g/a q0 of 2, b q1 of 2") // the shared twin stays

			if v != V31 { // which knows no refusal
				r.subscribe(4, QoS0, Properties{}, "b", "c")
				r.server(&SubAck{ID: 4, Codes: []byte{0x80, 0x80}})
				r.wantLive("$share/g/a q0 of 2, b q1 of 2") // as it was
			}
			if v == V5 {
				r.unsubscribe(5, "b", "$share/g/a")
				r.server(&UnsubAck{ID: 5, Codes: []byte{byte(ReasonNotAuthorized), 0}})
				r.wantLive("b q1 of 2")
			}
			r.log = nil
			r.lost()
			want := "b q1 of 2" // the session lives
			if v == V5 {
				want = "" // without expiry it does not
			} else if v != V5 {
				want = "$share/g/a q0 of 2, b q1 of 2"
			}
			r.wantLive(want)
		})
	}
}

// TestMatches: a message is for those subscriptions whose identifier it has,
// and for those without identifier whose filter matches (5.0 §3.8.4).
func TestMatches(t *testing.T) {
	for _, row := range []struct {
		topic string
		ids   []uint32
		want  string
	}{
		{"a/b", nil, "+/b a/#"},
		{"a/b", []uint32{7}, "+/b a/# one/# two/#"}, // two have this identifier
		{"a/b", []uint32{7, 7, 9}, "+/b a/# one/# two/# three"},
		{"one/x", nil, ""}, // of a subscription with identifier, which is not named
		{"a/b", []uint32{1234}, "+/b a/#"},
		{"$SYS/b", nil, ""}, // # and + do not match $
		{"$SYS/x", nil, "$SYS/#"},
		{"s/1", nil, "$share/g/s/+"},
		{"b", nil, "b"},
		{"", nil, ""},
	} {
		r := newRig(t, Config{}, nil, &ConnAck{})
		r.subscribe(1, QoS1, Properties{}, "+/b", "a/#", "$SYS/#", "$share/g/s/+", "b")
		r.server(&SubAck{ID: 1, Codes: []byte{1, 1, 1, 1, 1}})
		r.subscribe(2, QoS1, propsOf(SubscriptionID(7)), "one/#", "two/#")
		r.server(&SubAck{ID: 2, Codes: []byte{1, 1}})
		r.subscribe(3, QoS1, propsOf(SubscriptionID(9)), "three")
		r.server(&SubAck{ID: 3, Codes: []byte{1}})
		if row.topic == "$SYS/b" {
			r.unsubscribe(4, "$SYS/#")
			r.server(&UnsubAck{ID: 4, Codes: []byte{0}})
		}
		ev := Event{Kind: EventMessage, subs: r.c.subs}
		if row.topic != "" {
			p := message(row.topic, "", QoS0, 0)
			for _, id := range row.ids {
				if err := p.Props.Add(SubscriptionID(id)); err != nil {
					t.Fatal(err)
				}
			}
			if _, _, err := r.c.Receive(nil, r.now, mustAppend(p, r.dialect(FromServer))); err != nil {
				t.Fatal(err)
			}
			if !r.c.Next(&ev) || ev.Kind != EventMessage {
				t.Fatalf("%s: %v", row.topic, &ev)
			}
		} else {
			ev.Kind = EventPong // Matches is for messages
		}
		var got []string
		for l := range ev.Matches() {
			got = append(got, string(l.Filter))
		}
		slices.Sort(got)
		want := strings.Fields(row.want)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s %v is for %v, want %v", row.topic, row.ids, got, want)
		}
		for range ev.Matches() {
			break // stopping early is no error
		}
	}
}

// resubscribing makes a rig with live subscriptions whose connection was lost.
func resubscribing(t testing.TB, cfg Config) *rig {
	t.Helper()
	cfg.Resubscribe = true
	cfg.Props = propsOf(SessionExpiry(60))
	r := newRig(t, cfg, nil, &ConnAck{})
	r.subscribe(1, QoS1, propsOf(SubscriptionID(5)), "a/#")
	r.server(&SubAck{ID: 1, Codes: []byte{1}})
	r.subscribe(2, QoS2, Properties{}, "b", "$share/g/c")
	r.server(&SubAck{ID: 2, Codes: []byte{0, 2}})
	r.lost()
	r.log = nil
	return r
}

const reconnect = "> CONNECT me keepalive=0 {Session Expiry Interval: 60}"

// TestResubscribe: what was live is asked for again when the session was lost,
// with its options and identifier, and only then.
func TestResubscribe(t *testing.T) {
	r := resubscribing(t, Config{})
	r.connect(&ConnAck{SessionPresent: true})
	r.want(reconnect, "connected session present")
	r.lost()
	r.log = nil
	r.connect(&ConnAck{})
	r.wantLive("")
	r.want(reconnect,
		"> SUBSCRIBE id=3 [a/# q1] {Subscription Identifier: 5}",
		"> SUBSCRIBE id=4 [b q2]",
		"> SUBSCRIBE id=5 [$share/g/c q2]",
		"connected")
	r.server(&SubAck{ID: 4, Codes: []byte{2}})
	r.wantLive("b q2")
	r.want(`resubscribed "b": Granted QoS 2`)

	// The connection ends in the middle: the rest is asked for on the next one,
	// whether the session is there or not.
	r.lost()
	r.connect(&ConnAck{SessionPresent: true})
	r.want("closed: transport invalid", reconnect,
		"> SUBSCRIBE id=6 [a/# q1] {Subscription Identifier: 5}",
		"> SUBSCRIBE id=7 [$share/g/c q2]",
		"connected session present")
	r.server(&SubAck{ID: 6, Codes: []byte{0x87}}, &SubAck{ID: 7, Codes: []byte{1}})
	r.wantLive("$share/g/c q1 of 2, b q2")
	r.want(`resubscribed "a/#": Not authorized`, `resubscribed "$share/g/c": Granted QoS 1`)

	r.lost()
	r.log = nil
	r.connect(&ConnAck{})
	r.want(reconnect, "> SUBSCRIBE id=8 [b q2]", "> SUBSCRIBE id=9 [$share/g/c q2]", "connected")
}

// TestResubscribeNot: without Config.Resubscribe nothing is asked for.
func TestResubscribeNot(t *testing.T) {
	r := resubscribing(t, Config{})
	r.c.cfg.Resubscribe = false
	r.connect(&ConnAck{})
	r.want(reconnect, "connected")
	r.wantLive("")
}

// TestResubscribeYields: a request of the caller's for a filter that is yet to
// be asked for takes its place; if the connection ends before the answer, it is
// as if it had not been made.
func TestResubscribeYields(t *testing.T) {
	r := resubscribing(t, Config{Burst: 1}) // one a call
	r.connect(&ConnAck{})
	if !r.c.More() {
		t.Error("nothing more to send")
	}
	r.unsubscribe(3, "$share/g/c")
	r.subscribe(4, QoS0, Properties{}, "b")
	for r.c.More() {
		r.do(r.c.Tick(nil, r.now), nil)
	}
	r.want(reconnect,
		"> SUBSCRIBE id=3 [a/# q1] {Subscription Identifier: 5}",
		"connected",
		"> UNSUBSCRIBE id=4 [$share/g/c]",
		"> SUBSCRIBE id=5 [b q0]")
	twin := &rig{TB: t, c: r.c.Clone(), now: r.now}
	r.server(&SubAck{ID: 3, Codes: []byte{1}}, &UnsubAck{ID: 4, Codes: []byte{0}}, &SubAck{ID: 5, Codes: []byte{0}})
	r.wantLive("a/# q1 id=5, b q0")
	r.lost()
	r.log = nil
	r.connect(&ConnAck{SessionPresent: true})
	r.want(reconnect, "connected session present")

	twin.lost()
	twin.connect(&ConnAck{})
	for twin.c.More() {
		twin.do(twin.c.Tick(nil, twin.now), nil)
	}
	slices.Sort(twin.log)
	twin.want(reconnect,
		"> SUBSCRIBE id=6 [a/# q1] {Subscription Identifier: 5}",
		"> SUBSCRIBE id=7 [$share/g/c q2]",
		"> SUBSCRIBE id=8 [b q2]",
		"closed: transport invalid",
		"connected",
		"dropped tag=3: connection lost",
		"dropped tag=4: connection lost")
}

// TestResubscribeLimits: what the server does not take any more is told, once.
func TestResubscribeLimits(t *testing.T) {
	for _, row := range []struct {
		name   string
		limits Properties
		want   []string
	}{
		{"nothing special", propsOf(WildcardAvailable(0), SharedAvailable(0), SubscriptionIDsAvailable(0)), []string{
			"> SUBSCRIBE id=3 [b q2]",
			"connected {Wildcard Subscription Available: 0, Shared Subscription Available: 0, Subscription Identifier Available: 0}",
			`resubscribed "a/#": Subscription Identifiers not supported`,
			`resubscribed "$share/g/c": Shared Subscriptions not supported`,
		}},
		{"no wildcards", propsOf(WildcardAvailable(0)), []string{
			"> SUBSCRIBE id=3 [b q2]",
			"> SUBSCRIBE id=4 [$share/g/c q2]",
			"connected {Wildcard Subscription Available: 0}",
			`resubscribed "a/#": Wildcard Subscriptions not supported`,
		}},
		{"small packets", propsOf(MaximumPacketSize(11)), []string{
			"> SUBSCRIBE id=3 [b q2]",
			"connected {Maximum Packet Size: 11}",
			`resubscribed "a/#": Packet too large`,
			`resubscribed "$share/g/c": Packet too large`,
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := resubscribing(t, Config{})
			r.connect(&ConnAck{Props: row.limits})
			r.want(append([]string{reconnect}, row.want...)...)
			if r.c.More() {
				t.Error("more to send")
			}
			r.lost()
			r.connect(&ConnAck{SessionPresent: true})
			for _, l := range r.log {
				if strings.HasPrefix(l, "resubscribed") {
					t.Errorf("told again: %s", l)
				}
			}
		})
	}
}

// TestResubscribeWaits: when all identifiers are taken, as 3.1.1 allows, which
// keeps its messages, the rest waits for one.
func TestResubscribeWaits(t *testing.T) {
	r := newRig(t, Config{Version: V311, Resubscribe: true, MaxInflight: 0xFFFF}, nil, &ConnAck{})
	r.subscribe(1, QoS1, Properties{}, "a", "b")
	r.server(&SubAck{ID: 1, Codes: []byte{1, 1}})
	p := message("t", "", QoS1, 0)
	for i := range maxID {
		if _, err := r.c.Publish(nil, r.now, p, 2); err != nil {
			t.Fatal(i, err)
		}
	}
	r.lost()
	r.connect(&ConnAck{})
	for i := 0; r.c.More(); i++ { // the messages again
		if i == 1000 {
			t.Fatal("More, but no identifier")
		}
		r.do(r.c.Tick(nil, r.now), nil)
	}
	r.log = nil
	r.server(&Ack{Type: TypePubAck, ID: 9}, &Ack{Type: TypePubAck, ID: 4})
	r.want("> SUBSCRIBE id=9 [a q1]", "published tag=2", "> SUBSCRIBE id=4 [b q1]", "published tag=2")
}

// TestRegistryLarge: many subscriptions come back in reasonable time, whatever
// the order of the answers.
func TestRegistryLarge(t *testing.T) {
	const n = 20_000
	r := newRig(t, Config{Version: V311, Resubscribe: true}, nil, &ConnAck{})
	for i := range n {
		r.subscribe(uint64(i), QoS1, Properties{}, fmt.Sprint("some/filter/", i))
	}
	for id := range uint16(n) {
		r.server(&SubAck{ID: id + 1, Codes: []byte{1}})
	}
	if len(r.c.subs.live) != n {
		t.Fatalf("%d live", len(r.c.subs.live))
	}
	r.lost()
	r.log = nil
	r.connect(&ConnAck{})
	for r.c.More() {
		r.do(r.c.Tick(nil, r.now), nil)
	}
	if len(r.log) != n+2 {
		t.Fatalf("%d lines", len(r.log))
	}
	for id := range uint16(maxID) {
		if r.c.s.out.ids.find(maxID-id) != 0 {
			r.server(&SubAck{ID: maxID - id, Codes: []byte{1}})
		}
	}
	if len(r.log) != 2*n+2 || len(r.c.subs.live) != n {
		t.Fatalf("%d lines, %d live", len(r.log), len(r.c.subs.live))
	}
}
