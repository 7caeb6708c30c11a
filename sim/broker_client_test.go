// This file holds the tests of the broker with the real client: the stories that
// real brokers are put through, too.

package sim

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqttcore"
)

// peer is the real client as a node, with nothing around it.
type peer struct {
	t       testing.TB
	c       *mqttcore.Client
	h       *Host
	server  *Host
	conn    *Conn
	open    *Conn // conn, once it is connected
	in, out []byte
	events  []mqttcore.Event
	// cut, when set, is asked of each packet whether the connection ends before
	// it; sent is told what the client sends.
	cut  func(from mqttcore.Role, t mqttcore.PacketType) bool
	sent []mqttcore.PacketType
	lazy bool // sends no PINGREQ of itself
}

var errCut = errors.New("cut")

func (p *peer) Handle(h *Host, e Event) time.Time {
	p.h = h
	switch e.Kind {
	case Opened:
		p.in, p.open = p.in[:0], e.Conn
		p.do(p.c.Connect(p.out, h.Now()))
	case Received:
		p.in = append(p.in, e.Data...)
		for {
			if size, ok := mqttcore.FrameSize(p.in); ok && size <= len(p.in) && p.cut != nil &&
				p.cut(mqttcore.FromServer, mqttcore.PacketType(p.in[0]>>4)) {
				p.drop()
				break
			}
			out, n, _ := p.c.Receive(p.out, h.Now(), p.in)
			p.out = out
			p.drain()
			p.in = p.in[:copy(p.in, p.in[n:])]
			if n == 0 {
				break
			}
		}
		p.flush()
	case Lost:
		p.conn = nil
		p.c.Lost(h.Now(), e.Err)
		p.drain()
	case Tick:
		p.out = p.c.Tick(p.out, h.Now())
		p.drain()
		p.flush()
	}
	if p.lazy {
		return time.Time{}
	}
	return p.c.Deadline()
}

// do takes the result of a call of the client's.
func (p *peer) do(out []byte, err error) {
	if err != nil {
		p.t.Fatal(err)
	}
	p.out = out
	p.drain()
	p.flush()
}

func (p *peer) drain() {
	var ev mqttcore.Event
	for p.c.Next(&ev) {
		ev.Message.Payload, ev.Message.Topic = bytes.Clone(ev.Message.Payload), bytes.Clone(ev.Message.Topic)
		ev.Message.Props, ev.Props, ev.Codes = ev.Message.Props.Clone(), ev.Props.Clone(), bytes.Clone(ev.Codes)
		p.events = append(p.events, ev)
	}
}

// flush writes packet by packet.
func (p *peer) flush() {
	for p.conn != nil && len(p.out) > 0 {
		size, _ := mqttcore.FrameSize(p.out)
		t := mqttcore.PacketType(p.out[0] >> 4)
		if p.cut != nil && p.cut(mqttcore.FromClient, t) {
			p.drop()
			break
		}
		p.sent = append(p.sent, t)
		p.conn.Write(p.out[:size])
		p.out = p.out[size:]
	}
	p.out = p.out[:0]
	if p.conn != nil && p.conn == p.open && p.c.State() == mqttcore.StateDisconnected {
		p.conn.Close()
		p.conn = nil
	}
}

func (p *peer) drop() {
	if p.conn != nil {
		p.conn.Close()
		p.conn, p.out = nil, p.out[:0]
		p.c.Lost(p.h.Now(), errCut)
		p.drain()
	}
}

// stage is a world with a broker and peers.
type stage struct {
	t    *testing.T
	w    *World
	b    *Broker
	host *Host
	n    int
}

func newStage(t *testing.T, cfg BrokerConfig) *stage {
	s := &stage{t: t, w: New(Seed(1), Faults{}), b: NewBroker(cfg)}
	s.host = s.w.Add("broker", s.b)
	t.Cleanup(func() {
		for _, v := range s.b.Violations {
			t.Errorf("violation: %v", v)
		}
	})
	return s
}

func (s *stage) peer(cfg mqttcore.Config) *peer {
	s.n++
	if cfg.ClientID == nil {
		cfg.ClientID = fmt.Appendf(nil, "peer-%d", s.n)
	}
	c, err := mqttcore.NewClient(cfg, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	p := &peer{t: s.t, c: c, server: s.host}
	s.w.Add(string(cfg.ClientID), p)
	return p
}

func (s *stage) run() { s.w.Run(20 * time.Millisecond) }

// connect opens a connection and returns what the client was told of it.
func (s *stage) connect(p *peer) mqttcore.Event {
	s.t.Helper()
	p.sent = nil
	p.conn = p.h.Dial(s.host)
	s.run()
	return p.take(mqttcore.EventConnected)
}

// take is the first event of a kind, which must have come.
func (p *peer) take(k mqttcore.EventKind) mqttcore.Event {
	p.t.Helper()
	i := slices.IndexFunc(p.events, func(ev mqttcore.Event) bool { return ev.Kind == k })
	if i < 0 {
		p.t.Fatalf("no %v among %v", k, p.events)
	}
	ev := p.events[i]
	p.events = slices.Delete(p.events, i, i+1)
	return ev
}

// none expects that no event is left.
func (p *peer) none() {
	p.t.Helper()
	for _, ev := range p.events {
		p.t.Errorf("one event too many: %v", &ev)
	}
}

func (p *peer) publish(topic, payload string, q mqttcore.QoS, tag uint64, ps ...mqttcore.Property) {
	p.t.Helper()
	m := pub(topic, payload, q, 0, ps...)
	p.do(p.c.Publish(p.out, p.h.Now(), m, tag))
}

func (s *stage) subscribe(p *peer, ss ...mqttcore.Subscription) {
	s.t.Helper()
	p.do(p.c.Subscribe(p.out, p.h.Now(), sub(0, ss...), 1))
	s.run()
	p.take(mqttcore.EventSubscribed)
}

func lasting(v mqttcore.Version) mqttcore.Config {
	cfg := mqttcore.Config{Version: v, KeepAlive: 60}
	if v == v5 {
		cfg.Props = list([]mqttcore.Property{mqttcore.SessionExpiry(1000)})
	}
	return cfg
}

func passing(v mqttcore.Version) mqttcore.Config {
	return mqttcore.Config{Version: v, CleanStart: true, KeepAlive: 60}
}

// settled expects that no exchange is unfinished at either end.
func (s *stage) settled(ps ...*peer) {
	s.t.Helper()
	for _, info := range s.b.Sessions() {
		if !info.Settled() {
			s.t.Errorf("%+v is not settled", info)
		}
	}
	for _, p := range ps {
		if n := p.c.Session().Len(); n != 0 {
			s.t.Errorf("%d messages are left in a client's session", n)
		}
	}
}

func before(from mqttcore.Role, t mqttcore.PacketType) func(mqttcore.Role, mqttcore.PacketType) bool {
	return func(f mqttcore.Role, got mqttcore.PacketType) bool { return f == from && got == t }
}

func TestBrokerWithClientDelivers(t *testing.T) {
	eachVersion(t, func(t *testing.T, v mqttcore.Version) {
		for published := range mqttcore.QoS2 + 1 {
			for granted := range mqttcore.QoS2 + 1 {
				s := newStage(t, BrokerConfig{})
				p, from := s.peer(passing(v)), s.peer(passing(v))
				s.connect(p)
				s.subscribe(p, to("x/#", granted))
				s.connect(from)
				for _, payload := range []string{"", "a", "\x00\xFF", string(bytes.Repeat([]byte("b"), 100000))} {
					from.publish("x/y", payload, published, 5)
					s.run()
					m := p.take(mqttcore.EventMessage).Message
					if string(m.Payload) != payload || m.QoS != min(published, granted) {
						t.Errorf("published at %d, granted %d: QoS %d, %d bytes; want %d bytes", published, granted, m.QoS, len(m.Payload), len(payload))
					}
					if published > mqttcore.QoS0 {
						from.take(mqttcore.EventPublished)
					}
				}
				p.none()
				from.none()
				s.settled(p, from)
			}
		}
	})
}

func TestBrokerWithClientResumes(t *testing.T) {
	const fromClient, fromServer = mqttcore.FromClient, mqttcore.FromServer
	const publish = mqttcore.TypePublish
	tests := []struct {
		name   string
		from   mqttcore.Role // who ends the connection before
		at     mqttcore.PacketType
		qos    mqttcore.QoS
		in     bool // the message comes to the client under test
		sent   []mqttcore.PacketType
		copies int
	}{
		{"out, before PUBLISH", fromClient, publish, 1, false, []mqttcore.PacketType{publish}, 1},
		{"out, before PUBACK", fromServer, puback, 1, false, []mqttcore.PacketType{publish}, 2},
		{"out, before PUBLISH", fromClient, publish, 2, false, []mqttcore.PacketType{publish, pubrel}, 1},
		{"out, before PUBREC", fromServer, pubrec, 2, false, []mqttcore.PacketType{publish, pubrel}, 1},
		{"out, before PUBREL", fromClient, pubrel, 2, false, []mqttcore.PacketType{pubrel}, 1},
		{"out, before PUBCOMP", fromServer, pubcomp, 2, false, []mqttcore.PacketType{pubrel}, 1},
		{"in, before PUBLISH", fromServer, publish, 1, true, []mqttcore.PacketType{puback}, 1},
		{"in, before PUBACK", fromClient, puback, 1, true, []mqttcore.PacketType{puback}, 2},
		{"in, before PUBLISH", fromServer, publish, 2, true, []mqttcore.PacketType{pubrec, pubcomp}, 1},
		{"in, before PUBREC", fromClient, pubrec, 2, true, []mqttcore.PacketType{pubrec, pubcomp}, 1},
		{"in, before PUBREL", fromServer, pubrel, 2, true, []mqttcore.PacketType{pubcomp}, 1},
		{"in, before PUBCOMP", fromClient, pubcomp, 2, true, []mqttcore.PacketType{pubcomp}, 1},
	}
	eachVersion(t, func(t *testing.T, v mqttcore.Version) {
		for _, test := range tests {
			t.Run(fmt.Sprintf("QoS %d %s", test.qos, test.name), func(t *testing.T) {
				s := newStage(t, BrokerConfig{})
				p, other := s.peer(lasting(v)), s.peer(passing(v))
				from, receiver := p, other
				if test.in {
					from, receiver = other, p
				}
				s.connect(p)
				s.connect(other)
				s.subscribe(receiver, to("x", 2))
				p.cut = before(test.from, test.at)
				from.publish("x", "once", test.qos, 7)
				s.run()
				if ev := p.take(mqttcore.EventClosed); ev.Err != errCut {
					t.Fatalf("%v; want the cut", &ev)
				}
				p.cut = nil
				if ev := s.connect(p); ev.SessionPresent != (v != v31) {
					t.Errorf("session present %v", ev.SessionPresent)
				}
				if ev := from.take(mqttcore.EventPublished); ev.Tag != 7 {
					t.Errorf("%v; want tag 7", &ev)
				}
				for range test.copies {
					receiver.take(mqttcore.EventMessage)
				}
				p.none()
				other.none()
				if d := cmp.Diff(test.sent, p.sent[1:]); d != "" {
					t.Errorf("sent after the cut (-want +got)\n%s", d)
				}
				s.settled(p, other)
			})
		}
	})
}

func TestBrokerWithClientStories(t *testing.T) {
	props := func(ps ...mqttcore.Property) mqttcore.Properties { return list(ps) }
	tests := []struct {
		name string
		in   []mqttcore.Version
		cfg  BrokerConfig
		run  func(s *stage, v mqttcore.Version)
	}{
		{"own messages, both ways at once", versions, BrokerConfig{ReceiveMaximum: 3}, func(s *stage, v mqttcore.Version) {
			p := s.peer(passing(v))
			s.connect(p)
			s.subscribe(p, to("x", 2))
			for i := range 50 {
				p.publish("x", fmt.Sprint(i), mqttcore.QoS(1+i%2), uint64(i))
			}
			s.run()
			for range 50 {
				p.take(mqttcore.EventMessage)
				p.take(mqttcore.EventPublished)
			}
			p.none()
			s.settled(p)
		}},
		{"retained", versions, BrokerConfig{}, func(s *stage, v mqttcore.Version) {
			p := s.peer(passing(v))
			s.connect(p)
			p.do(p.c.Publish(p.out, p.h.Now(), retain(pub("x", "kept", 1, 0)), 1))
			s.subscribe(p, to("x", 1))
			if m := p.take(mqttcore.EventMessage).Message; !m.Retain || string(m.Payload) != "kept" {
				s.t.Errorf("%v; want the retained message", &m)
			}
		}},
		{"will", versions, BrokerConfig{}, func(s *stage, v mqttcore.Version) {
			cfg := passing(v)
			cfg.Will = &mqttcore.Will{Topic: []byte("w"), Payload: []byte("gone"), QoS: 1}
			p, q := s.peer(cfg), s.peer(passing(v))
			s.connect(q)
			s.subscribe(q, to("w", 2))
			s.connect(p)
			p.do(p.c.Disconnect(p.out, p.h.Now(), nil))
			s.run()
			q.none()
			s.connect(p)
			p.drop()
			s.run()
			if m := q.take(mqttcore.EventMessage).Message; string(m.Payload) != "gone" || m.QoS != 1 {
				s.t.Errorf("%v; want the will", &m)
			}
		}},
		{"server keep alive", only5, BrokerConfig{MaxKeepAlive: 10}, func(s *stage, v mqttcore.Version) {
			p := s.peer(passing(v))
			s.connect(p)
			if got := p.c.Limits().KeepAlive; got != 10 {
				s.t.Errorf("keep alive %d; want 10", got)
			}
			s.w.Run(time.Minute)
			if n := p.c.Stats().PingsSent; n != 6 || p.c.State() != mqttcore.StateConnected {
				s.t.Errorf("%d pings, %v; want 6, connected", n, p.c.State())
			}
		}},
		{"a silent client", versions, BrokerConfig{}, func(s *stage, v mqttcore.Version) {
			p := s.peer(passing(v))
			p.lazy = true
			s.connect(p)
			s.w.Run(89 * time.Second)
			p.none()
			s.w.Run(2 * time.Second)
			ev := p.take(mqttcore.EventClosed)
			want := mqttcore.CauseTransportInvalid
			if v == v5 {
				want = mqttcore.CauseServerDisconnect
			}
			if ev.Cause != want {
				s.t.Errorf("%v; want %v", &ev, want)
			}
			if s.b.Stats.KeepAliveTimeouts != 1 {
				s.t.Error("no timeout was counted")
			}
		}},
		{"refused", versions, BrokerConfig{Users: map[string]string{"anna": "right"}}, func(s *stage, v mqttcore.Version) {
			p := s.peer(passing(v))
			p.conn = p.h.Dial(s.host)
			s.run()
			if ev := p.take(mqttcore.EventClosed); ev.Cause != mqttcore.CauseBadUsernameOrPassword {
				s.t.Errorf("%v; want the password refused", &ev)
			}
		}},
		{"assigned identifier", only5, BrokerConfig{}, func(s *stage, v mqttcore.Version) {
			cfg := lasting(v)
			cfg.ClientID = []byte{}
			p := s.peer(cfg)
			s.connect(p)
			p.drop()
			if ev := s.connect(p); !ev.SessionPresent || string(p.c.Session().ClientID()) != "assigned-1" {
				s.t.Errorf("%v, %q; want the session of the assigned identifier", &ev, p.c.Session().ClientID())
			}
		}},
		{"packet size", only5, BrokerConfig{MaximumPacketSize: 100}, func(s *stage, v mqttcore.Version) {
			p := s.peer(passing(v))
			p.publish("x", string(make([]byte, 200)), 1, 7) // before the limit is known
			s.connect(p)
			if ev := p.take(mqttcore.EventDropped); ev.Tag != 7 || ev.Code != mqttcore.ReasonPacketTooLarge {
				s.t.Errorf("%v; want tag 7 dropped for its size", &ev)
			}
			p.publish("x", string(make([]byte, 100-8)), 1, 8)
			s.run()
			p.take(mqttcore.EventPublished)
			if _, err := p.c.Publish(nil, p.h.Now(), pub("x", string(make([]byte, 100-7)), 1, 0), 9); !errors.Is(err, mqttcore.ErrTooLarge) {
				s.t.Errorf("%v; want ErrTooLarge", err)
			}
		}},
		{"aliases both ways", only5, BrokerConfig{TopicAliasMaximum: 2, Aliases: 2}, func(s *stage, v mqttcore.Version) {
			cfg := passing(v)
			cfg.TopicAliases, cfg.Props = 5, props(mqttcore.TopicAliasMaximum(3))
			p := s.peer(cfg)
			s.connect(p)
			s.subscribe(p, to("#", 0))
			for i := range 30 {
				topic := fmt.Sprint("x/", i%4%3)
				p.publish(topic, "", 0, 0)
				s.run()
				if m := p.take(mqttcore.EventMessage).Message; string(m.Topic) != topic {
					s.t.Errorf("topic %q; want %q", m.Topic, topic)
				}
			}
		}},
		{"shared, and identifiers", only5, BrokerConfig{}, func(s *stage, v mqttcore.Version) {
			ps := []*peer{s.peer(passing(v)), s.peer(passing(v))}
			for _, p := range ps {
				s.connect(p)
				s.subscribe(p, to("$share/g/x", 2))
				p.do(p.c.Subscribe(p.out, p.h.Now(), numbered(sub(0, to("+", 0)), 9), 1))
			}
			s.run()
			for i := range 10 {
				ps[0].publish("x", fmt.Sprint(i), 2, 5)
			}
			s.run()
			for _, p := range ps {
				shared, plain := 0, 0
				for _, ev := range p.events {
					if n, ok := ev.Message.Props.SubscriptionID(); ev.Kind == mqttcore.EventMessage && ok && n == 9 {
						plain++
					} else if ev.Kind == mqttcore.EventMessage {
						shared++
					}
				}
				if shared != 5 || plain != 10 {
					s.t.Errorf("%d shared, %d others; want 5, 10", shared, plain)
				}
			}
			s.settled(ps...)
		}},
		{"session lost", not31, BrokerConfig{}, func(s *stage, v mqttcore.Version) {
			p := s.peer(lasting(v))
			s.connect(p)
			p.cut = before(mqttcore.FromServer, pubcomp)
			p.publish("x", "m", 2, 7)
			s.run()
			p.cut = nil
			s.b.Forget(string(p.c.Session().ClientID()))
			if ev := s.connect(p); ev.SessionPresent {
				s.t.Error("session present")
			}
			if v == v5 {
				if ev := p.take(mqttcore.EventDropped); ev.Tag != 7 || ev.Why != mqttcore.DropSessionLost {
					s.t.Errorf("%v; want tag 7 dropped with the session", &ev)
				}
			} else {
				p.take(mqttcore.EventPublished)
			}
			s.settled(p)
		}},
		{"take-over", versions, BrokerConfig{}, func(s *stage, v mqttcore.Version) {
			cfg := passing(v)
			cfg.ClientID = []byte("same")
			p, q := s.peer(cfg), s.peer(cfg)
			s.connect(p)
			s.connect(q)
			if ev := p.take(mqttcore.EventClosed); v == v5 && ev.Code != mqttcore.ReasonSessionTakenOver {
				s.t.Errorf("%v; want the session taken over", &ev)
			}
		}},
		{"authentication, and again", only5, BrokerConfig{Auth: &AuthScript{Method: "m", Rounds: []AuthRound{{[]byte("q"), []byte("a")}, {[]byte("q"), []byte("a")}}}}, func(s *stage, v mqttcore.Version) {
			cfg := passing(v)
			cfg.Props = props(mqttcore.AuthMethod("m"))
			p := s.peer(cfg)
			p.conn = p.h.Dial(s.host)
			for round := range 2 {
				for range 2 {
					s.run()
					p.take(mqttcore.EventAuthChallenge)
					p.do(p.c.Auth(p.out, p.h.Now(), &mqttcore.Auth{Code: mqttcore.ReasonContinueAuthentication, Props: props(mqttcore.AuthMethod("m"), mqttcore.AuthData("a"))}))
				}
				s.run()
				p.take(mqttcore.EventAuthDone)
				if round == 0 {
					p.take(mqttcore.EventConnected)
					p.do(p.c.Auth(p.out, p.h.Now(), &mqttcore.Auth{Code: mqttcore.ReasonReAuthenticate, Props: props(mqttcore.AuthMethod("m"), mqttcore.AuthData("b"))}))
				}
			}
			p.none()
		}},
		{"redirect", versions, BrokerConfig{Redirect: mqttcore.ReasonUseAnotherServer, Reference: "there"}, func(s *stage, v mqttcore.Version) {
			p := s.peer(passing(v))
			p.conn = p.h.Dial(s.host)
			s.run()
			ev := p.take(mqttcore.EventClosed)
			if where, _ := ev.Props.ServerReference(); ev.Cause != mqttcore.CauseServerUnavailable || v == v5 && string(where) != "there" {
				s.t.Errorf("%v; want another server", &ev)
			}
		}},
	}
	for _, test := range tests {
		for _, v := range test.in {
			t.Run(test.name+"/"+versionName(v), func(t *testing.T) { test.run(newStage(t, test.cfg), v) })
		}
	}
}

// Each illegal packet ends the connection, with the client's DISCONNECT in 5.0,
// and the session goes on unharmed.
func TestBrokerIllegalPackets(t *testing.T) {
	for i, row := range illegalTable {
		for _, v := range versions {
			if row.in>>(v-v31)&1 == 0 {
				continue
			}
			t.Run(row.name+"/"+versionName(v), func(t *testing.T) {
				s := newStage(t, BrokerConfig{})
				p := s.peer(lasting(v))
				s.connect(p)
				s.b.act(func() {
					l := s.b.sessions[0].link
					l.out = append(l.out, illegalTable[i].bytes...)
					l.mark()
				})
				s.run()
				if ev := p.take(mqttcore.EventClosed); ev.Cause != mqttcore.CauseProtocolViolation {
					t.Errorf("%v; want a protocol violation", &ev)
				}
				s.connect(p)
				s.settled(p)
			})
		}
	}
}
