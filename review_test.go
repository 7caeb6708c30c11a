// This file holds tests of what the scripts cannot say: clients that follow one
// another on a session, and configuration at the edge of its range.

package mqttcore

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// A QoS 1 token dies with its connection, also when the next connection is that
// of another client with the same session.
func TestTokenOfEarlierClient(t *testing.T) {
	s := new(Session)
	cfg := Config{ManualAck: true, Props: propsOf(SessionExpiry(60))}
	first := newRig(t, cfg, s, &ConnAck{})
	first.server(message("a", "1", QoS1, 7))
	first.lost()
	second := newRig(t, cfg, s, &ConnAck{SessionPresent: true})
	second.server(message("a", "2", QoS1, 9))
	out, err := second.c.Ack(nil, second.now, first.tokens[0], ReasonSuccess, Properties{})
	second.refused(ErrToken, out, err)
	second.log = nil
	second.do(second.c.Ack(nil, second.now, second.tokens[0], ReasonSuccess, Properties{}))
	second.want("> PUBACK id=9")
}

// A refusal in the form of 3.x, like every other, leaves what an earlier attempt
// may have made (MQTT-3.2.2-4).
func TestRefusedIn3AfterUnanswered(t *testing.T) {
	for _, unanswered := range []bool{false, true} {
		r := newRig(t, Config{Props: propsOf(SessionExpiry(60))}, nil, nil)
		if unanswered {
			r.do(r.c.Connect(nil, r.now))
			r.lost()
		}
		r.do(r.c.Connect(nil, r.now))
		r.input([]byte{0x20, 2, 0, 3}) // server unavailable
		r.connect(&ConnAck{SessionPresent: true})
		if got := r.c.State() == StateConnected; got != unanswered {
			t.Errorf("an attempt unanswered: %v; connected: %v", unanswered, got)
		}
	}
}

// The longest durations mean for ever, as those below 0 do.
func TestLongestTimeouts(t *testing.T) {
	for _, d := range []time.Duration{math.MaxInt64, -1} {
		r := newRig(t, Config{ConnectTimeout: d, PingTimeout: d, KeepAlive: 10}, nil, nil)
		r.do(r.c.Connect(nil, r.now))
		if at := r.c.Deadline(); !at.IsZero() {
			t.Errorf("%v: connecting, deadline %v", d, at)
		}
		r.now = r.now.Add(24 * time.Hour)
		r.do(r.c.Tick(nil, r.now), nil)
		r.server(&ConnAck{})
		r.now = r.now.Add(10 * time.Second)
		r.do(r.c.Tick(nil, r.now), nil)
		r.now = r.now.Add(9 * time.Second)
		r.do(r.c.Tick(nil, r.now), nil)
		r.want("> CONNECT me keepalive=10", "connected", "> PINGREQ")
	}
}

// However a connection ended, nothing of it is in the state afterwards.
func TestStateAfterDisconnect(t *testing.T) {
	var states [2][]byte
	for i := range states {
		r := newRig(t, Config{KeepAlive: 10, Props: propsOf(SessionExpiry(9))}, nil, &ConnAck{})
		if i == 0 {
			r.lost()
		} else {
			r.do(r.c.Disconnect(nil, r.now, nil))
		}
		states[i] = r.c.AppendState(nil, r.now.Add(time.Second))
	}
	if !bytes.Equal(states[0], states[1]) {
		t.Errorf("lost % x\ndisconnected % x", states[0], states[1])
	}
}

// AllowAnyReason lets any code into an AUTH, but none other than success and
// continue authentication asks for anything.
func TestAuthOfAnyReason(t *testing.T) {
	method := propsOf(AuthMethod("m"))
	r := newRig(t, Config{Options: AllowAnyReason, Props: method}, nil, nil)
	r.do(r.c.Connect(nil, r.now))
	r.log = nil
	r.input(Frame{Type: TypeAuth, Body: []byte{byte(ReasonNotAuthorized), 4, byte(PropAuthMethod), 0, 1, 'm'}}.AppendTo(nil))
	r.want("> DISCONNECT Malformed Packet",
		"closed: protocol violation, Malformed Packet, mqttcore: AUTH: reason code is not one of AUTH, or not of this sender (5.0:MQTT-3.15.2-1, Malformed Packet)")
}

// A queued topic that only 3.1 permits is not sent by a client of another
// version with the same session (MQTT-1.5.4-1), nor is one that the caller's
// options refuse.
func TestTopicOfEarlierClient(t *testing.T) {
	for _, test := range []struct {
		name, topic string
		next        Config
		sent        bool
	}{
		{"3.1 again", "\xff", Config{Version: V31}, true},
		{"ill-formed in 3.1.1", "\xff", Config{Version: V311}, false},
		{"ill-formed in 5.0", "\xff", Config{}, false},
		{"control character", "\x01", Config{}, true},
		{"control character refused", "\x01", Config{Options: RefuseControlChars}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := new(Session)
			first := newRig(t, Config{Version: V31}, s, &ConnAck{})
			first.publish(*message(test.topic, "x", QoS1, 0), 5)
			first.lost()
			first.publish(*message(test.topic, "y", QoS1, 0), 6)
			second := newRig(t, test.next, s, nil)
			second.drain()
			second.do(second.c.Connect(nil, second.now))
			second.server(&ConnAck{SessionPresent: test.next.Version != V31})
			sent, dropped := 0, 0
			for _, line := range second.log {
				switch {
				case strings.HasPrefix(line, "> PUBLISH"):
					sent++
				case strings.HasSuffix(line, ": not allowed, Topic Name invalid"):
					dropped++
				}
			}
			if sent+dropped != 2 || (sent == 2) != test.sent || sent == 1 {
				t.Errorf("%d sent, %d dropped\n%s", sent, dropped, strings.Join(second.log, "\n"))
			}
		})
	}
}

// A message without a topic, which a journal can hold, is not sent, neither for
// the first time nor again (3.1.1 and 5.0 MQTT-4.7.3-1).
func TestNoTopicInJournal(t *testing.T) {
	for _, v := range allVersions {
		s := new(Session)
		for _, op := range []Op{
			{Kind: OpMeta, ClientID: []byte("me"), Expiry: 60, Established: true},
			{Kind: OpPut, Num: 1, Tag: 1, QoS: QoS1},
			{Kind: OpPut, Num: 2, Tag: 2, QoS: QoS2},
			{Kind: OpPut, Num: 3, Tag: 3, QoS: QoS1},
			{Kind: OpSent, Num: 1, ID: 7},
			{Kind: OpSent, Num: 2, ID: 8},
		} {
			if err := s.Apply(&op); err != nil {
				t.Fatal(op.Kind, err)
			}
		}
		r := newRig(t, Config{Version: v}, s, nil)
		r.drain()
		r.want("dropped tag=3: not allowed, Topic Name invalid")
		r.do(r.c.Connect(nil, r.now))
		r.log = nil
		r.server(&ConnAck{SessionPresent: v != V31})
		if len(r.log) > 0 {
			r.log = r.log[1:] // connected
		}
		r.want("dropped tag=1: not allowed, Topic Name invalid", "dropped tag=2: not allowed, Topic Name invalid")
	}
}

// An acknowledgement that was given in 5.0 is sent in 3.1.1 too, without what only
// 5.0 can say; what it refused is taken then, as the journal tells.
func TestAckOfEarlierVersion(t *testing.T) {
	for _, code := range []ReasonCode{ReasonSuccess, ReasonQuotaExceeded} {
		s := new(Session)
		first := newRig(t, Config{ManualAck: true, Journal: true, Props: propsOf(SessionExpiry(60))}, s, &ConnAck{})
		first.server(message("a", "x", QoS2, 7))
		first.lost()
		first.do(first.c.Ack(nil, first.now, first.tokens[0], code, propsOf(ReasonString("r"))))
		second := newRig(t, Config{Version: V311, ManualAck: true, Journal: true}, s, &ConnAck{SessionPresent: true})
		second.server(message("a", "x", QoS2, 7), &Ack{Type: TypePubRel, ID: 7})
		second.want("> PUBREC id=7", "> PUBCOMP id=7")
		got := ""
		for op := new(Op); second.c.NextOp(op); {
			if op.ID != 0 {
				got += op.Kind.String() + ", "
			}
		}
		if want := "put incoming, delete incoming, "; got != want {
			t.Errorf("%v: ops %q, want %q", code, got, want)
		}
	}
}

// No number of a Rule makes its texts panic.
func TestRuleOfAnyNumber(t *testing.T) {
	for n := range 1 << 20 {
		if r := Rule(n); r.String() == "" {
			t.Errorf("%#x: no name", n)
		} else {
			r.Text()
		}
	}
}

// Subscriptions that wait to be asked for again are not, once Resubscribe is off.
func TestResubscribeSwitchedOff(t *testing.T) {
	for _, again := range []bool{true, false} {
		cfg := Config{Resubscribe: true}
		r := newRig(t, cfg, nil, &ConnAck{})
		r.subscribe(1, QoS1, Properties{}, "a")
		r.server(&SubAck{ID: 1, Codes: []byte{1}})
		r.lost()
		r.connect(&ConnAck{}) // it is asked for, and not answered
		r.lost()
		cfg.ClientID, cfg.Resubscribe = []byte("me"), again
		if err := r.c.Configure(cfg); err != nil {
			t.Fatal(err)
		}
		r.log = nil
		r.connect(&ConnAck{})
		asked := slices.ContainsFunc(r.log, func(s string) bool { return strings.HasPrefix(s, "> SUBSCRIBE") })
		if asked != again || r.c.More() {
			t.Errorf("Resubscribe %v: %v, more %v", again, r.log, r.c.More())
		}
	}
}

// After PUBCOMP an identifier is that of a new message (MQTT-4.3.3-12), also when
// the server did not wait for PUBREC; the token is stale then, and what waited
// behind the message for its turn is answered.
func TestPubRelBeforePubRec(t *testing.T) {
	props := propsOf(SessionExpiry(60))
	t.Run("undecided", func(t *testing.T) {
		r := newRig(t, Config{ManualAck: true, Props: props}, nil, &ConnAck{})
		r.server(message("a", "1", QoS2, 7), message("a", "2", QoS2, 8))
		r.do(r.c.Ack(nil, r.now, r.tokens[1], ReasonSuccess, Properties{}))
		r.log = nil
		r.server(&Ack{Type: TypePubRel, ID: 7})
		r.want("> PUBCOMP id=7 Packet Identifier not found", "> PUBREC id=8")
		out, err := r.c.Ack(nil, r.now, r.tokens[0], ReasonSuccess, Properties{})
		r.refused(ErrToken, out, err)
		r.server(message("a", "3", QoS2, 7))
		r.want(`message PUBLISH a q2 id=7 1 byte "3"`)
	})
	t.Run("decided while away", func(t *testing.T) {
		r := newRig(t, Config{ManualAck: true, Journal: true, Props: props}, nil, &ConnAck{})
		r.server(message("a", "1", QoS2, 7))
		r.lost()
		r.do(r.c.Ack(nil, r.now, r.tokens[0], ReasonSuccess, Properties{}))
		r.connect(&ConnAck{SessionPresent: true})
		r.log = nil
		r.server(&Ack{Type: TypePubRel, ID: 7}, message("a", "3", QoS2, 7))
		r.want("> PUBCOMP id=7 Packet Identifier not found", `message PUBLISH a q2 id=7 1 byte "3"`)
		ids := ""
		for op := new(Op); r.c.NextOp(op); {
			if op.ID != 0 {
				ids += op.Kind.String() + ", "
			}
		}
		if want := "put incoming, delete incoming, "; ids != want {
			t.Errorf("ops %q, want %q", ids, want)
		}
	})
}

// TestTokenOfEarlierProcess: a token that a process took to its grave names no
// message of the next one.
func TestTokenOfEarlierProcess(t *testing.T) {
	cfg := Config{ManualAck: true, Props: propsOf(SessionExpiry(60))}
	first := newRig(t, cfg, nil, &ConnAck{})
	first.server(message("a", "", QoS2, 7))
	b, err := first.c.Session().AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := new(Session)
	if err := s.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	second := newRig(t, cfg, s, nil)
	second.now = first.now.Add(time.Millisecond)
	second.connect(&ConnAck{SessionPresent: true})
	second.server(message("a", "", QoS2, 9))
	out, err := second.c.Ack(nil, second.now, first.tokens[0], 0, Properties{})
	second.refused(ErrToken, out, err)
	second.do(second.c.Ack(nil, second.now, second.tokens[0], 0, Properties{}))
}

// TestAckWhileOpsWait: an acknowledgement is refused while too many ops wait,
// and given afterwards.
func TestAckWhileOpsWait(t *testing.T) {
	r := newRig(t, Config{ManualAck: true, Journal: true, MaxQueued: 1 << 20, MaxQueuedBytes: 1 << 30}, nil, &ConnAck{})
	r.server(message("a", "", QoS2, 7))
	for p := message("t", "", QoS1, 0); ; {
		if _, err := r.c.Publish(nil, r.now, p, 1); err != nil {
			break
		}
	}
	before := dumpState(r.c)
	out, err := r.c.Ack(nil, r.now, r.tokens[0], 0, Properties{})
	r.refused(ErrPending, out, err)
	if dumpState(r.c) != before {
		t.Error("the state has changed")
	}
	for op := new(Op); r.c.NextOp(op); {
	}
	r.log = nil
	r.do(r.c.Ack(nil, r.now, r.tokens[0], 0, Properties{}))
	if len(r.log) == 0 || r.log[0] != "> PUBREC id=7" {
		t.Errorf("%q", r.log)
	}
}

// TestAuthAtFirstByte: an AUTH that is not due is refused before it is there.
func TestAuthAtFirstByte(t *testing.T) {
	r := newRig(t, withMethod, nil, &ConnAck{Props: withMethod.Props})
	r.input([]byte{0xF0, 0xFF, 0xFF, 0xFF, 0x7F})
	r.want("> DISCONNECT Protocol Error", "closed: protocol violation, Protocol Error, mqttcore: AUTH: AUTH outside an authentication that the client started (5.0:MQTT-4.12.0-3, Protocol Error)")
}

// TestRefusedBefore: the properties of an acknowledgement that was given on one
// connection do not go out with the answer to the repeat on the next one.
func TestRefusedBefore(t *testing.T) {
	r := newRig(t, Config{ManualAck: true, Props: propsOf(SessionExpiry(60))}, nil, &ConnAck{})
	r.server(message("a", "", QoS2, 7))
	r.do(r.c.Ack(nil, r.now, r.tokens[0], 0, propsOf(ReasonString("well"))))
	r.lost()
	r.connect(&ConnAck{SessionPresent: true})
	r.log = nil
	r.server(message("a", "", QoS2, 7))
	r.want("> PUBREC id=7")
}

// TestMaxIncomingBounded: places of incoming messages are 16 bits wide, whatever
// is asked for.
func TestMaxIncomingBounded(t *testing.T) {
	if r := newRig(t, Config{MaxIncoming: 1 << 20}, nil, nil); r.c.cfg.MaxIncoming != 0xFFFF {
		t.Error(r.c.cfg.MaxIncoming)
	}
}

// TestFilterOfAnswered: the filter that an event names is not that of the next
// request, which goes out before the event is taken, nor that of a request of a
// copy of the client.
func TestFilterOfAnswered(t *testing.T) {
	r := resubscribing(t, Config{Burst: 1}) // one a call
	r.connect(&ConnAck{})
	r.log = nil
	in := mustAppend(&SubAck{ID: 3, Codes: []byte{1}}, r.dialect(FromServer))
	if _, _, err := r.c.Receive(nil, r.now, in); err != nil {
		t.Fatal(err)
	}
	twin := &rig{TB: t, c: r.c.Clone(), now: r.now}
	r.subscribe(9, QoS0, Properties{}, "xxx")
	r.want(`> SUBSCRIBE id=5 [xxx q0]`, `resubscribed "a/#": Granted QoS 1`)
	twin.drain()
	twin.want(`resubscribed "a/#": Granted QoS 1`)
}

// TestPublishWaitsItsTurn: a message is not sent at once while something goes
// before it: the caller's sight of EventAuthDone (5.0 §4.12), or a subscription
// that was lost with the session. There is no other room for it then.
func TestPublishWaitsItsTurn(t *testing.T) {
	p := message("t", "", QoS1, 0)
	cfg := withMethod
	cfg.MaxQueued = 1
	r := newRig(t, cfg, nil, nil)
	r.do(r.c.Connect(nil, r.now))
	in := mustAppend(&ConnAck{Props: propsOf(AuthMethod("m"))}, r.dialect(FromServer))
	if _, _, err := r.c.Receive(nil, r.now, in); err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, ErrQueueFull} {
		if out, err := r.c.Publish(nil, r.now, p, 1); err != want || len(out) != 0 {
			t.Errorf("publish %d before EventAuthDone: % x, %v, want %v", i, out, err, want)
		}
	}

	s := resubscribing(t, Config{Burst: 1, Resubscribe: true}) // one a call
	s.connect(&ConnAck{})
	s.log = nil
	s.publish(*p, 2)
	if len(s.log) != 1 || s.log[0][:11] != "> SUBSCRIBE" {
		t.Errorf("%q; want the next subscription", s.log)
	}
}

// A message that the application has not answered keeps its turn when the next
// connection acknowledges by itself (MQTT-4.6.0-3).
func TestOrderAfterManualAck(t *testing.T) {
	props := propsOf(SessionExpiry(100))
	r := newRig(t, Config{Props: props, ManualAck: true}, nil, &ConnAck{})
	r.server(message("a", "", QoS2, 1))
	r.lost()
	if err := r.c.Configure(Config{Props: props, ClientID: []byte("me")}); err != nil {
		t.Fatal(err)
	}
	r.connect(&ConnAck{SessionPresent: true})
	again := message("a", "", QoS2, 1)
	again.Dup = true
	r.log = nil
	r.server(again, message("b", "", QoS2, 2))
	r.want("message PUBLISH b q2 id=2 0 bytes")
	r.log = nil
	r.do(r.c.Ack(nil, r.now, r.tokens[0], ReasonSuccess, Properties{}))
	r.want("> PUBREC id=1", "> PUBREC id=2")
	r.log = nil
	r.server(&Ack{Type: TypePubRel, ID: 2}, &Ack{Type: TypePubRel, ID: 1})
	r.want("> PUBCOMP id=2", "> PUBCOMP id=1")
	if r.c.conn.unacked != 0 || r.c.s.inbox.len() != 0 {
		t.Errorf("%d not acknowledged, %d identifiers held", r.c.conn.unacked, r.c.s.inbox.len())
	}
}

// A refusal for which the next connection's server has no room is none there
// (MQTT-3.2.2-15).
func TestRefusalWithoutRoom(t *testing.T) {
	r := newRig(t, Config{Props: propsOf(SessionExpiry(100)), ManualAck: true}, nil, &ConnAck{})
	r.server(message("a", "", QoS2, 1))
	r.lost()
	r.do(r.c.Ack(nil, r.now, r.tokens[0], ReasonQuotaExceeded, Properties{}))
	r.connect(&ConnAck{SessionPresent: true, Props: propsOf(MaximumPacketSize(4))})
	r.log = nil
	r.server(message("a", "", QoS2, 1), &Ack{Type: TypePubRel, ID: 1})
	r.want("> PUBREC id=1", "> PUBCOMP id=1")
}

// A message of QoS 1 goes out without the topic alias that it was published
// with, and only what goes out counts for the server's Maximum Packet Size
// (MQTT-3.2.2-15).
func TestSizeWithoutAlias(t *testing.T) {
	r := newRig(t, Config{}, nil, &ConnAck{Props: propsOf(MaximumPacketSize(20), TopicAliasMaximum(5))})
	r.publish(*message("abc", "", QoS0, 0, TopicAlias(1)), 0)
	for _, topic := range []string{"abc", ""} {
		out, err := r.c.Publish(nil, r.now, message(topic, "0123456789", QoS1, 0, TopicAlias(1)), 1)
		if len(out) != 20 || err != nil {
			t.Errorf("topic %q: % x, %v", topic, out, err)
		}
		out, err = r.c.Publish(nil, r.now, message(topic, "0123456789X", QoS1, 0, TopicAlias(1)), 2)
		r.refused(ErrTooLarge, out, err)
	}
	long := strings.Repeat("t", 1000)
	r = newRig(t, Config{MaxQueuedBytes: math.MaxInt}, nil, &ConnAck{Props: propsOf(TopicAliasMaximum(5))})
	r.publish(*message(long, "", QoS0, 0, TopicAlias(1)), 0)
	huge := message("", "", QoS1, 0, TopicAlias(1))
	huge.Payload = make([]byte, maxRemaining-len(long)) // with the alias it fits, with its topic it does not
	out, err := r.c.Publish(nil, r.now, huge, 3)
	r.refused(ErrTooLarge, out, err)
}

// The session of a CONNECT without client identifier has no name by which it
// could be asked for again: it cannot be present later (MQTT-3.2.2-4).
func TestUnansweredWithoutID(t *testing.T) {
	for _, id := range []string{"", "x"} {
		r := newRig(t, Config{ClientID: []byte{}}, nil, nil)
		r.do(r.c.Connect(nil, r.now))
		r.lost()
		ack := &ConnAck{SessionPresent: true}
		if id == "" {
			ack.Props = propsOf(AssignedClientID("fresh"))
		}
		if err := r.c.Configure(Config{ClientID: []byte(id)}); err != nil {
			t.Fatal(err)
		}
		r.connect(ack)
		if r.c.State() != StateDisconnected {
			t.Errorf("client identifier %q: %q", id, r.log)
		}
	}
}

// What was published while there was no session is not lost with one.
func TestDropQueuedWithoutSession(t *testing.T) {
	for _, cfg := range []Config{{DropQueued: true}, {DropQueued: true, CleanStart: true}, {DropQueued: true, CleanStart: true, Version: V311}} {
		r := newRig(t, cfg, nil, nil)
		for i := range uint16(2) { // the first session of the client, and one after it
			r.log = nil
			r.publish(*message("a", "", QoS1, 0), 1)
			r.connect(&ConnAck{})
			r.server(&Ack{Type: TypePubAck, ID: i + 1})
			if got := r.log[len(r.log)-1]; got != "published tag=1" {
				t.Errorf("%v: %q", cfg.Version, r.log)
			}
			r.lost()
		}
	}
}

// The largest bounds are bounds like others.
func TestLargestBounds(t *testing.T) {
	r := newRig(t, Config{MaxQueued: math.MaxInt, MaxQueuedBytes: math.MaxInt, Burst: math.MaxInt}, nil, nil)
	r.publish(*message("a", "1", QoS1, 0), 1)
	r.do(r.c.Connect(nil, r.now))
	out, _, err := r.c.Receive([]byte{0xC0, 0}, r.now, mustAppend(&ConnAck{}, r.dialect(FromServer)))
	r.log = nil
	r.do(out, err)
	r.want("> PINGREQ", `> PUBLISH a q1 id=1 1 byte "1"`, "connected")
}

// What a process left that died during a clean session is not used in the next
// one (3.1.1 MQTT-3.1.2-6, 5.0 §3.1.2.11.2).
func TestCleanSessionOfDeadProcess(t *testing.T) {
	for _, v := range []Version{V31, V311, V5} {
		s := new(Session)
		a := newRig(t, Config{Version: v, CleanStart: v != V5}, s, &ConnAck{})
		a.publish(*message("a", "1", QoS1, 0), 1)
		a.server(message("t", "in", QoS2, 7))
		b := newRig(t, Config{Version: v}, s, nil)
		b.connect(&ConnAck{SessionPresent: v == V5})
		b.server(message("t", "other", QoS2, 7))
		connected := "connected"
		if v == V5 {
			connected += " session present"
		}
		b.want("> CONNECT me keepalive=0", connected, "dropped tag=1: session ended",
			"> PUBREC id=7", `message PUBLISH t q2 id=7 5 bytes "other"`)
	}
}

// Older versions know no subscription identifiers.
func TestIdentifiersInOlderVersion(t *testing.T) {
	r := newRig(t, Config{Resubscribe: true, Props: propsOf(SessionExpiry(60))}, nil, &ConnAck{})
	r.subscribe(1, QoS1, propsOf(SubscriptionID(5)), "a/#")
	r.server(&SubAck{ID: 1, Codes: []byte{1}})
	r.lost()
	if err := r.c.Configure(Config{Version: V311, ClientID: []byte("me"), Resubscribe: true}); err != nil {
		t.Fatal(err)
	}
	r.connect(&ConnAck{SessionPresent: true})
	r.c.Receive(nil, r.now, mustAppend(message("a/b", "x", QoS0, 0), r.dialect(FromServer)))
	var ev Event
	r.c.Next(&ev)
	if n := len(slices.Collect(ev.Matches())); n != 1 {
		t.Errorf("%d matches", n)
	}
	r.lost()
	r.log = nil
	r.connect(&ConnAck{})
	r.want("> CONNECT me keepalive=0", "> SUBSCRIBE id=2 [a/# q1]", "connected")
}

// A PUBREL is a step also when a PUBREC asks for it.
func TestPubRelAskedFor(t *testing.T) {
	r := newRig(t, Config{Progress: true, Burst: 1, Props: propsOf(SessionExpiry(60))}, nil, &ConnAck{})
	r.publish(*message("a", "1", QoS2, 0), 1)
	r.publish(*message("a", "2", QoS2, 0), 2)
	r.server(&Ack{Type: TypePubRec, ID: 1}, &Ack{Type: TypePubRec, ID: 2})
	r.lost()
	r.connect(&ConnAck{SessionPresent: true})
	r.log = nil
	r.server(&Ack{Type: TypePubRec, ID: 2})
	r.want("> PUBREL id=2", "progress: received, message of client tag=2 id=2", "progress: released, message of client tag=2 id=2")
	if n := r.c.Stats().Resent; n != 2 {
		t.Errorf("%d sent again", n)
	}
}

// A method may be empty, and is none the less to be repeated (MQTT-4.12.0-5).
func TestEmptyMethod(t *testing.T) {
	for _, c := range []struct {
		ack  *ConnAck
		want State
	}{
		{&ConnAck{}, StateDisconnected},
		{&ConnAck{Props: propsOf(AuthMethod(""))}, StateConnected},
	} {
		r := newRig(t, Config{Props: propsOf(AuthMethod(""))}, nil, nil)
		r.connect(c.ack)
		if got := r.c.State(); got != c.want {
			t.Errorf("%v: %v; want %v", c.ack, got, c.want)
		}
	}
}

// Whether a server takes the DISCONNECT that follows a CONNECT without an answer,
// and ends the session with it (5.0 §3.14.2.2.2), is not known: the next CONNACK
// tells (MQTT-3.2.2-2).
func TestDisconnectWhileConnecting(t *testing.T) {
	r := newRig(t, Config{Props: propsOf(SessionExpiry(60))}, nil, &ConnAck{})
	r.publish(*message("a", "1", QoS1, 0), 1)
	r.lost()
	r.do(r.c.Connect(nil, r.now))
	r.log = nil
	r.do(r.c.Disconnect(nil, r.now, &Disconnect{Props: propsOf(SessionExpiry(0))}))
	r.want("> DISCONNECT {Session Expiry Interval: 0}", "closed: local disconnect")
	r.connect(&ConnAck{SessionPresent: true})
	r.want("> CONNECT me keepalive=0 {Session Expiry Interval: 60}", `> PUBLISH a q1 id=1 dup 1 byte "1"`, "connected session present")
}
