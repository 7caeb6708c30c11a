// This file holds a regression test for each defect of Qt MQTT's client that
// docs/qt.md lists: what that client gets wrong, shown to be right here.

package mqttcore

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// qtDefects are the tests by the names under which docs/qt.md lists them.
var qtDefects = []namedTest{
	{"TestQt", "keep-alive-0-pings-in-a-storm", qtKeepAliveOff},
	{"TestQt", "server-keep-alive-ignored", qtServerKeepAlive},
	{"TestQt", "unanswered-connect-hangs", qtConnectTimeout},
	{"TestQt", "session-restored-before-code-is-checked", qtRestoredTooEarly},
	{"TestQt", "session-present-with-clean-start-only-logged", qtCleanPresent},
	{"TestQt", "never-resent-after-reconnect", qtResend},
	{"TestQt", "identifiers-leak", qtIdentifiersLeak},
	{"TestQt", "incoming-qos2-delivered-twice", qtDeliveredTwice},
	{"TestQt", "pubrel-after-failed-pubrec", qtFailedPubRec},
	{"TestQt", "repeated-pubrec-not-answered", qtRepeatedPubRec},
	{"TestQt", "puback-accepted-for-qos2", qtPubAckForQoS2},
	{"TestQt", "pubrel-with-reason-kills-the-connection", qtPubRelReason},
	{"TestQt", "long-acknowledgements-misread", qtLongAcks},
	{"TestQt", "unknown-suback-loses-step", qtUnknownSubAck},
	{"TestQt", "empty-auth-never-finishes", qtEmptyAuth},
	{"TestQt", "reauthentication-limited-to-one-round", qtReauthRounds},
	{"TestQt", "disconnect-reason-lost", qtDisconnectReason},
	{"TestQt", "alias-tables-swapped", qtAliasMaxima},
	{"TestQt", "alias-tables-kept-across-connections", qtAliasKept},
	{"TestQt", "server-limits-not-checked", qtServerLimits},
	{"TestQt", "publish-before-connack-accepted", qtPublishFirst},
	{"TestQt", "unknown-and-duplicate-properties-accepted", qtProperties},
	{"TestQt", "ill-formed-utf8-accepted", qtUTF8},
	{"TestQt", "long-strings-truncated", qtLongStrings},
	{"TestQt", "empty-user-name-impossible", qtEmptyUsername},
	{"TestQt", "identifiers-shared-by-all-clients", qtIdentifiersShared},
	{"TestQt", "identifiers-reused-when-full", qtIdentifiersFull},
	{"TestQt", "shared-subscription-cannot-be-unsubscribed", qtUnsubscribeShared},
	{"TestQt", "unsuback-error-loses-local-state", qtUnsubAckError},
	{"TestQt", "wildcards-match-dollar-topics", qtDollarTopics},
	{"TestQt", "every-packet-copies-the-read-buffer", qtCopies},
	{"TestQt", "nothing-queued-offline", qtOffline},
}

func TestQt(t *testing.T) { runNamed(t, qtDefects) }

// qtLink is a client and what it said: a line "> packet" for each packet and
// "* event" for each event.
type qtLink struct {
	*testing.T
	c   *Client
	now time.Time
	log []string
}

// qtConnect makes a client on a session and has ack, if any, answer its
// CONNECT. What is said until then is not kept.
func qtConnect(t *testing.T, cfg Config, s *Session, ack *ConnAck) *qtLink {
	t.Helper()
	if cfg.ClientID == nil {
		cfg.ClientID = []byte("me")
	}
	c, err := NewClient(cfg, s)
	if err != nil {
		t.Fatal(err)
	}
	l := &qtLink{T: t, c: c, now: time.Unix(1000, 0)}
	l.connect(ack)
	l.log = nil
	return l
}

func (l *qtLink) connect(ack *ConnAck) {
	l.Helper()
	l.do(l.c.Connect(nil, l.now))
	if ack != nil {
		l.receive(ack)
	}
}

// lose ends the connection and begins another one.
func (l *qtLink) reconnect(ack *ConnAck) {
	l.Helper()
	l.c.Lost(l.now, nil)
	l.do(nil, nil)
	l.log = nil
	l.connect(ack)
}

// do notes what a call appended, and the events that came with it.
func (l *qtLink) do(out []byte, err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
	d := Dialect{Version: l.c.cfg.Version, From: FromClient}
	for len(out) > 0 {
		f, n, err := ConsumeFrame(out, d, MaxPacketSize)
		if err != nil || n == 0 {
			l.Fatalf("the client sends % x: %v", out, err)
		}
		p, err := Decode(f, d)
		if err != nil {
			l.Fatalf("the client sends % x: %v", out, err)
		}
		l.log = append(l.log, "> "+p.String())
		out = out[n:]
	}
	var ev Event
	for l.c.Next(&ev) {
		l.log = append(l.log, "* "+ev.String())
	}
}

// receive has the server send packets.
func (l *qtLink) receive(packets ...Packet) {
	l.Helper()
	var in []byte
	for _, p := range packets {
		var err error
		if in, err = p.AppendTo(in, Dialect{Version: l.c.cfg.Version, From: FromServer}); err != nil {
			l.Fatal(err)
		}
	}
	l.bytes(in)
}

// bytes has the server send bytes.
func (l *qtLink) bytes(in []byte) {
	l.Helper()
	for len(in) > 0 && l.c.State() != StateDisconnected {
		out, n, err := l.c.Receive(nil, l.now, in)
		l.do(out, err)
		if n == 0 {
			return
		}
		in = in[n:]
	}
}

// publish has the client send a message to topic a.
func (l *qtLink) publish(q QoS, tag uint64) {
	l.Helper()
	l.do(l.c.Publish(nil, l.now, &Publish{Topic: []byte("a"), QoS: q}, tag))
}

// subscribe has the client subscribe.
func (l *qtLink) subscribe(tag uint64, subs ...Subscription) {
	l.Helper()
	list, err := NewSubscriptions(subs...)
	if err != nil {
		l.Fatal(err)
	}
	l.do(l.c.Subscribe(nil, l.now, &Subscribe{Subscriptions: list}, tag))
}

// after lets time pass until the client wants to be called, or d if that is
// sooner.
func (l *qtLink) after(d time.Duration) {
	l.Helper()
	end := l.now.Add(d)
	if due := l.c.Deadline(); !due.IsZero() && due.Before(end) {
		end = due
	}
	l.now = end
	l.do(l.c.Tick(nil, l.now), nil)
}

// want compares what was said with lines, and forgets it.
func (l *qtLink) want(lines ...string) {
	l.Helper()
	if diff := cmp.Diff(lines, l.log); diff != "" {
		l.Errorf("the client said (-want +got)\n%s", diff)
	}
	l.log = nil
}

var (
	qtAccept  = &ConnAck{}
	qtPresent = &ConnAck{SessionPresent: true}
)

// qtKeep is a session that outlives its connection.
func qtKeep(t *testing.T) Config { return Config{Props: mustProps(t, SessionExpiry(3600))} }

func qtKeepAliveOff(t *testing.T) {
	l := qtConnect(t, Config{KeepAlive: 0}, nil, qtAccept)
	for range 10 {
		l.after(time.Hour)
	}
	l.want()
	if d := l.c.Deadline(); !d.IsZero() {
		t.Error("a timer runs:", d)
	}
}

func qtServerKeepAlive(t *testing.T) {
	l := qtConnect(t, Config{KeepAlive: 600}, nil, &ConnAck{Props: mustProps(t, ServerKeepAlive(10))})
	l.after(time.Hour)
	l.want("> PINGREQ")
	if d := l.now.Sub(time.Unix(1000, 0)); d != 10*time.Second {
		t.Error("after", d)
	}
}

func qtConnectTimeout(t *testing.T) {
	l := qtConnect(t, Config{ConnectTimeout: 5 * time.Second}, nil, nil)
	l.after(time.Hour)
	l.want("* closed: connect timeout")
	if d := l.now.Sub(time.Unix(1000, 0)); d != 5*time.Second {
		t.Error("after", d)
	}
}

func qtRestoredTooEarly(t *testing.T) {
	l := qtConnect(t, qtKeep(t), nil, qtAccept)
	l.reconnect(nil)
	l.log = nil
	l.receive(&ConnAck{Code: ReasonServerUnavailable})
	l.want("* closed: server unavailable, Server unavailable")
	// Session present beside a refusal breaks the protocol (MQTT-3.2.2-6).
	l.connect(nil)
	l.log = nil
	l.bytes([]byte{0x20, 3, 1, 0x88, 0})
	for _, line := range l.log {
		if strings.HasPrefix(line, "* connected") {
			t.Error(line)
		}
	}
	if l.c.State() != StateDisconnected {
		t.Error(l.c.State())
	}
}

func qtCleanPresent(t *testing.T) {
	l := qtConnect(t, Config{CleanStart: true}, nil, nil)
	l.receive(qtPresent)
	l.want("> DISCONNECT Protocol Error",
		"* closed: protocol violation, Protocol Error, mqttcore: CONNACK: session present after a clean start (5.0:MQTT-3.2.2-2, Protocol Error)")
}

func qtResend(t *testing.T) {
	l := qtConnect(t, qtKeep(t), nil, qtAccept)
	l.publish(QoS1, 1)
	l.publish(QoS2, 2)
	l.publish(QoS2, 3)
	l.receive(&Ack{Type: TypePubRec, ID: 3})
	l.reconnect(qtPresent)
	l.want("> CONNECT me keepalive=0 {Session Expiry Interval: 3600}",
		"> PUBREL id=3", "> PUBLISH a q1 id=1 dup 0 bytes", "> PUBLISH a q2 id=2 dup 0 bytes",
		"* connected session present")
	l.receive(&Ack{Type: TypePubComp, ID: 3}, &Ack{Type: TypePubAck, ID: 1}, &Ack{Type: TypePubRec, ID: 2}, &Ack{Type: TypePubComp, ID: 2})
	l.want("* published tag=3", "* published tag=1", "> PUBREL id=2", "* published tag=2")
}

func qtIdentifiersLeak(t *testing.T) {
	l := qtConnect(t, Config{MaxInflight: 1}, nil, qtAccept)
	// Each connection ends with a message under way, many more times than there
	// are identifiers.
	for range 1<<16 + 10 {
		if _, err := l.c.Publish(nil, l.now, &Publish{Topic: []byte("a"), QoS: QoS1}, 7); err != nil {
			t.Fatal(err)
		}
		l.reconnect(qtAccept)
	}
	l.log = nil
	l.publish(QoS1, 1)
	if len(l.log) != 1 {
		t.Error(l.log)
	}
}

func qtDeliveredTwice(t *testing.T) {
	l := qtConnect(t, qtKeep(t), nil, qtAccept)
	m := &Publish{Topic: []byte("b"), QoS: QoS2, ID: 9}
	l.receive(m)
	l.want("> PUBREC id=9", "* message PUBLISH b q2 id=9 0 bytes")
	l.receive(m)
	l.want("> PUBREC id=9")
	l.reconnect(qtPresent)
	l.log = nil
	m.Dup = true
	l.receive(m)
	l.want("> PUBREC id=9")
	l.receive(&Ack{Type: TypePubRel, ID: 9})
	l.want("> PUBCOMP id=9")
}

func qtFailedPubRec(t *testing.T) {
	l := qtConnect(t, qtKeep(t), nil, qtAccept)
	l.publish(QoS2, 1)
	l.want("> PUBLISH a q2 id=1 0 bytes")
	l.receive(&Ack{Type: TypePubRec, ID: 1, Code: ReasonQuotaExceeded})
	l.want("* dropped tag=1: refused, Quota exceeded")
}

func qtRepeatedPubRec(t *testing.T) {
	l := qtConnect(t, Config{}, nil, qtAccept)
	l.publish(QoS2, 1)
	l.log = nil
	l.receive(&Ack{Type: TypePubRec, ID: 1}, &Ack{Type: TypePubRec, ID: 1})
	l.want("> PUBREL id=1", "> PUBREL id=1")
}

func qtPubAckForQoS2(t *testing.T) {
	l := qtConnect(t, qtKeep(t), nil, qtAccept)
	l.publish(QoS2, 1)
	l.log = nil
	l.receive(&Ack{Type: TypePubAck, ID: 1})
	if l.c.State() != StateDisconnected || l.log[0] != "> DISCONNECT Protocol Error" {
		t.Error(l.log)
	}
	if n := l.c.Session().Len(); n != 1 {
		t.Errorf("%d messages are kept, want 1", n)
	}
}

func qtPubRelReason(t *testing.T) {
	l := qtConnect(t, Config{}, nil, qtAccept)
	l.receive(&Publish{Topic: []byte("b"), QoS: QoS2, ID: 9})
	l.log = nil
	l.receive(&Ack{Type: TypePubRel, ID: 9, Code: ReasonPacketIdentifierNotFound, Props: mustProps(t, ReasonString("why"))})
	l.want("> PUBCOMP id=9")
	if l.c.State() != StateConnected {
		t.Error(l.c.State())
	}
}

func qtLongAcks(t *testing.T) {
	l := qtConnect(t, Config{}, nil, qtAccept)
	const count = 300
	var subs Subscriptions
	var filters Filters
	for i := range count {
		filter := []byte(strings.Repeat("x", i+1))
		if err := errors.Join(subs.Add(Subscription{Filter: filter}), filters.Add(filter)); err != nil {
			t.Fatal(err)
		}
	}
	l.do(l.c.Subscribe(nil, l.now, &Subscribe{Subscriptions: subs}, 1))
	l.do(l.c.Unsubscribe(nil, l.now, &Unsubscribe{Filters: filters}, 2))
	l.log = nil
	var in []byte
	in, _ = (&SubAck{ID: 1, Codes: make([]byte, count)}).AppendTo(in, Dialect{Version: V5})
	in, _ = (&UnsubAck{ID: 2, Codes: make([]byte, count)}).AppendTo(in, Dialect{Version: V5})
	in = append(in, 0xD0, 0) // in step still
	codes := 0
	var ev Event
	for len(in) > 0 {
		_, n, err := l.c.Receive(nil, l.now, in)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		in = in[n:]
		for l.c.Next(&ev) {
			codes += len(ev.Codes)
		}
	}
	if codes != 2*count || l.c.State() != StateConnected {
		t.Error(codes, l.c.State())
	}
}

func qtUnknownSubAck(t *testing.T) {
	l := qtConnect(t, Config{}, nil, qtAccept)
	l.receive(&SubAck{ID: 77, Codes: make([]byte, 200)}, &Publish{Topic: []byte("b")})
	l.want("* message PUBLISH b q0 0 bytes")
}

func qtEmptyAuth(t *testing.T) {
	l := qtConnect(t, Config{Props: mustProps(t, AuthMethod("m"))}, nil, &ConnAck{Props: mustProps(t, AuthMethod("m"))})
	l.do(l.c.Auth(nil, l.now, &Auth{Code: ReasonReAuthenticate, Props: mustProps(t, AuthMethod("m"))}))
	l.log = nil
	// It names no method, which is an error (MQTT-4.12.0-5): an end, too.
	l.bytes([]byte{0xF0, 0})
	if l.c.State() != StateDisconnected || l.log[0] != "> DISCONNECT Protocol Error" {
		t.Error(l.log)
	}
}

func qtReauthRounds(t *testing.T) {
	l := qtConnect(t, Config{Props: mustProps(t, AuthMethod("m"))}, nil, &ConnAck{Props: mustProps(t, AuthMethod("m"))})
	step := func(code ReasonCode, data string) *Auth {
		return &Auth{Code: code, Props: mustProps(t, AuthMethod("m"), AuthData(data))}
	}
	for range 2 {
		l.do(l.c.Auth(nil, l.now, step(ReasonReAuthenticate, "0")))
		for range 3 {
			l.receive(step(ReasonContinueAuthentication, "server"))
			l.do(l.c.Auth(nil, l.now, step(ReasonContinueAuthentication, "client")))
		}
		l.receive(step(ReasonSuccess, "end"))
	}
	const props = " {Authentication Method: m, Authentication Data: "
	ask, reply := "* auth challenge"+props+"6 bytes}", "> AUTH Continue authentication"+props+"6 bytes}"
	round := []string{"> AUTH Re-authenticate" + props + "1 byte}", ask, reply, ask, reply, ask, reply, "* auth done" + props + "3 bytes}"}
	l.want(append(round, round...)...)
}

func qtDisconnectReason(t *testing.T) {
	l := qtConnect(t, Config{}, nil, qtAccept)
	l.receive(&Disconnect{Code: ReasonServerMoved, Props: mustProps(t, ServerReference("other:1883"), ReasonString("gone"))})
	l.want(`* closed: server disconnect, Server moved {Server Reference: other:1883, Reason String: gone}`)
}

// The client takes 2 aliases, the server 1.
func qtAliasMaxima(t *testing.T) {
	cfg := Config{Props: mustProps(t, TopicAliasMaximum(2))}
	l := qtConnect(t, cfg, nil, &ConnAck{Props: mustProps(t, TopicAliasMaximum(1))})
	l.receive(&Publish{Topic: []byte("b"), Props: mustProps(t, TopicAlias(2))}, &Publish{Props: mustProps(t, TopicAlias(2))})
	const line = "* message PUBLISH b q0 0 bytes {Topic Alias: 2}"
	l.want(line, line)
	for alias, want := range map[uint16]error{1: nil, 2: ErrTopicAlias} {
		p := &Publish{Topic: []byte("a"), Props: mustProps(t, TopicAlias(alias))}
		if _, err := l.c.Publish(nil, l.now, p, 0); !errors.Is(err, want) {
			t.Errorf("alias %d: %v", alias, err)
		}
	}
	l.receive(&Publish{Topic: []byte("b"), Props: mustProps(t, TopicAlias(3))})
	if len(l.log) == 0 || l.log[0] != "> DISCONNECT Topic Alias invalid" {
		t.Error(l.log)
	}
}

func qtAliasKept(t *testing.T) {
	cfg := qtKeep(t)
	if err := cfg.Props.Add(TopicAliasMaximum(2)); err != nil {
		t.Fatal(err)
	}
	l := qtConnect(t, cfg, nil, &ConnAck{Props: mustProps(t, TopicAliasMaximum(1))})
	l.receive(&Publish{Topic: []byte("b"), Props: mustProps(t, TopicAlias(1))})
	l.reconnect(qtPresent)
	l.log = nil
	// The server's maximum is 0 again, and what alias 1 meant is forgotten.
	p := &Publish{Topic: []byte("a"), Props: mustProps(t, TopicAlias(1))}
	if _, err := l.c.Publish(nil, l.now, p, 0); !errors.Is(err, ErrTopicAlias) {
		t.Error(err)
	}
	l.receive(&Publish{Props: mustProps(t, TopicAlias(1))})
	if len(l.log) == 0 || l.log[0] != "> DISCONNECT Protocol Error" {
		t.Error(l.log)
	}
}

func qtServerLimits(t *testing.T) {
	l := qtConnect(t, Config{}, nil, &ConnAck{Props: mustProps(t, MaximumQoS(1), RetainAvailable(0), MaximumPacketSize(30),
		WildcardAvailable(0), SharedAvailable(0), SubscriptionIDsAvailable(0))})
	for _, c := range []struct {
		name string
		p    Publish
		want error
	}{
		{"QoS 2", Publish{QoS: QoS2}, ErrNotSupported},
		{"retained", Publish{Retain: true}, ErrNotSupported},
		{"large", Publish{Payload: make([]byte, 30)}, ErrTooLarge},
		{"aliased", Publish{Props: mustProps(t, TopicAlias(1))}, ErrTopicAlias},
	} {
		c.p.Topic = []byte("a")
		if out, err := l.c.Publish(nil, l.now, &c.p, 1); !errors.Is(err, c.want) || len(out) > 0 {
			t.Errorf("%s: % x, %v", c.name, out, err)
		}
	}
	for _, c := range []struct {
		filter string
		props  Properties
	}{
		{"a/#", Properties{}},
		{"$share/g/a", Properties{}},
		{"a", mustProps(t, SubscriptionID(1))},
	} {
		subs, err := NewSubscriptions(Subscription{Filter: []byte(c.filter)})
		if err != nil {
			t.Fatal(err)
		}
		s := &Subscribe{Subscriptions: subs, Props: c.props}
		if out, err := l.c.Subscribe(nil, l.now, s, 1); !errors.Is(err, ErrNotSupported) || len(out) > 0 {
			t.Errorf("%s: % x, %v", c.filter, out, err)
		}
	}
}

func qtPublishFirst(t *testing.T) {
	l := qtConnect(t, Config{}, nil, nil)
	l.receive(&Publish{Topic: []byte("b")}, qtAccept)
	if l.c.State() != StateDisconnected || len(l.log) != 2 || l.log[0] != "> DISCONNECT Protocol Error" ||
		!strings.HasPrefix(l.log[1], "* closed: protocol violation") {
		t.Error(l.log)
	}
}

// qtRefused has the server send a packet that breaks a statement.
func qtRefused(t *testing.T, statement string, in []byte) {
	t.Helper()
	l := qtConnect(t, Config{}, nil, qtAccept)
	l.bytes(in)
	if len(l.log) != 2 || !strings.HasPrefix(l.log[0], "> DISCONNECT ") || !strings.Contains(l.log[1], statement) {
		t.Errorf("% x: %q, want %s", in, l.log, statement)
	}
}

func qtProperties(t *testing.T) {
	qtRefused(t, "§2.2.2.2", []byte("\x30\x06\x00\x01b\x02\x7f\x00"))
	qtRefused(t, "§2.2.2.2", []byte("\x30\x07\x00\x01b\x03\x21\x00\x01"))
	qtRefused(t, "§3.3.2.3.9", []byte("\x30\x0c\x00\x01b\x08\x03\x00\x01x\x03\x00\x01x"))
	if _, err := NewProperties(ContentType("a"), ContentType("b")); !errors.As(err, new(*Error)) {
		t.Error("duplicate when sending:", err)
	}
}

func qtUTF8(t *testing.T) {
	qtRefused(t, "MQTT-1.5.4-1", []byte("\x30\x04\x00\x01\xff\x00"))
	qtRefused(t, "MQTT-1.5.4-1", []byte("\x30\x06\x00\x03\xed\xa0\x80\x00"))
	qtRefused(t, "MQTT-1.5.4-1", []byte("\x30\x0a\x00\x01b\x06\x26\x00\x01\xc0\x00\x00"))
	l := qtConnect(t, Config{}, nil, qtAccept)
	if _, err := l.c.Publish(nil, l.now, &Publish{Topic: []byte("\xff")}, 0); !errors.As(err, new(*Error)) {
		t.Error("topic when sending:", err)
	}
}

func qtLongStrings(t *testing.T) {
	l := qtConnect(t, Config{}, nil, qtAccept)
	for n, fits := range map[int]bool{0xFFFF: true, 0x10000: false, 0x10001: false} {
		out, err := l.c.Publish(nil, l.now, &Publish{Topic: bytes.Repeat([]byte("x"), n)}, 0)
		if fits && (err != nil || len(out) != 1+3+2+n+1) || !fits && (len(out) > 0 || !errors.As(err, new(*Error))) {
			t.Errorf("a topic of %d: %d bytes, %v", n, len(out), err)
		}
	}
	if _, err := NewClient(Config{ClientID: []byte("me"), Username: make([]byte, 0x10000)}, nil); !errors.As(err, new(*Error)) {
		t.Error("user name:", err)
	}
}

func qtEmptyUsername(t *testing.T) {
	for want, cfg := range map[string]Config{
		"> CONNECT me keepalive=0":                              {},
		`> CONNECT me keepalive=0 username=""`:                  {Username: []byte{}},
		`> CONNECT me keepalive=0 username="" password=0 bytes`: {Username: []byte{}, Password: []byte{}},
	} {
		l := qtConnect(t, cfg, nil, qtAccept)
		l.reconnect(nil)
		l.want(want)
	}
}

func qtIdentifiersShared(t *testing.T) {
	for range 3 {
		l := qtConnect(t, Config{}, nil, qtAccept)
		l.publish(QoS1, 1)
		l.publish(QoS1, 2)
		l.want("> PUBLISH a q1 id=1 0 bytes", "> PUBLISH a q1 id=2 0 bytes")
	}
}

func qtIdentifiersFull(t *testing.T) {
	l := qtConnect(t, Config{}, nil, qtAccept)
	taken := make([]bool, 0x10000)
	var p Publish
	for i := range 0xFFFF {
		out, err := l.c.Publish(nil, l.now, &Publish{Topic: []byte("a"), QoS: QoS1}, uint64(i))
		if err != nil {
			t.Fatal(i, err)
		}
		d := Dialect{Version: V5, From: FromClient}
		f, _, err := ConsumeFrame(out, d, MaxPacketSize)
		if err := errors.Join(err, p.Decode(f, d)); err != nil {
			t.Fatal(i, err)
		}
		if taken[p.ID] {
			t.Fatalf("message %d: identifier %d is taken", i, p.ID)
		}
		taken[p.ID] = true
	}
	l.publish(QoS1, 0xFFFF)
	l.want() // it waits
	filters, err := NewFilters("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.c.Unsubscribe(nil, l.now, &Unsubscribe{Filters: filters}, 1); !errors.Is(err, ErrNoIdentifier) {
		t.Error(err)
	}
	l.receive(&Ack{Type: TypePubAck, ID: 4711})
	l.want("> PUBLISH a q1 id=4711 0 bytes", "* published tag=4710")
}

func qtUnsubscribeShared(t *testing.T) {
	l := qtConnect(t, Config{}, nil, qtAccept)
	filters, err := NewFilters("$share/g/a/+")
	if err != nil {
		t.Fatal(err)
	}
	l.do(l.c.Unsubscribe(nil, l.now, &Unsubscribe{Filters: filters}, 1))
	l.receive(&UnsubAck{ID: 1, Codes: []byte{0}})
	l.want("> UNSUBSCRIBE id=1 [$share/g/a/+]", "* unsubscribed tag=1: Success")
}

func qtUnsubAckError(t *testing.T) {
	l := qtConnect(t, Config{}, nil, qtAccept)
	l.subscribe(1, Subscription{Filter: []byte("a/#"), QoS: QoS1})
	l.receive(&SubAck{ID: 1, Codes: []byte{1}})
	filters, err := NewFilters("a/#")
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		code ReasonCode
		live bool
	}{{ReasonNotAuthorized, true}, {ReasonSuccess, false}} {
		l.do(l.c.Unsubscribe(nil, l.now, &Unsubscribe{Filters: filters}, 2))
		l.receive(&UnsubAck{ID: uint16(2 + i), Codes: []byte{byte(c.code)}})
		if _, live := l.c.Subscribed([]byte("a/#")); live != c.live {
			t.Errorf("after %v: subscribed %v", c.code, live)
		}
	}
}

func qtDollarTopics(t *testing.T) {
	for _, c := range []struct {
		filter, name string
		want         bool
	}{
		{"#", "$SYS/uptime", false},
		{"+/uptime", "$SYS/uptime", false},
		{"$SYS/#", "$SYS/uptime", true},
		{"$SYS/+", "$SYS/uptime", true},
		{"#", "a/$SYS", true},
	} {
		if got := Match([]byte(c.filter), []byte(c.name)); got != c.want {
			t.Errorf("%s and %s: %v", c.filter, c.name, got)
		}
	}
}

// The payload of the event is that of the input, in its place.
func qtCopies(t *testing.T) {
	l := qtConnect(t, Config{}, nil, qtAccept)
	p := &Publish{Topic: []byte("b"), Payload: make([]byte, 1<<20)}
	in, err := p.AppendTo(nil, Dialect{Version: V5, From: FromServer})
	if err != nil {
		t.Fatal(err)
	}
	var ev Event
	if allocs := testing.AllocsPerRun(10, func() {
		if _, n, err := l.c.Receive(nil, l.now, in); n != len(in) || err != nil || !l.c.Next(&ev) {
			t.Fatal(n, err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations a message", allocs)
	}
	in[len(in)-1] = 42
	if ev.Message.Payload[len(p.Payload)-1] != 42 {
		t.Error("the payload was copied")
	}
}

func qtOffline(t *testing.T) {
	l := qtConnect(t, qtKeep(t), nil, qtAccept)
	l.c.Lost(l.now, nil)
	l.do(nil, nil)
	l.log = nil
	l.publish(QoS1, 1)
	l.publish(QoS2, 2)
	l.want()
	l.connect(qtPresent)
	l.want("> CONNECT me keepalive=0 {Session Expiry Interval: 3600}",
		"> PUBLISH a q1 id=1 0 bytes", "> PUBLISH a q2 id=2 0 bytes", "* connected session present")
}
