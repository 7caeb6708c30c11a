// Tests of what brokers refuse, announce and bound: refused connections, keep
// alive, packet sizes, session loss and take-over.

package interop

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"mqttcore"
	"mqttcore/interop/brokers"
)

// refused opens a connection that must be refused.
func refused(t *testing.T, h host, cfg mqttcore.Config) mqttcore.Event {
	t.Helper()
	p := newPeer(t, h, cfg)
	p.open()
	ev := p.waitClosed()
	if _, ok := p.take(mqttcore.EventConnected); ok {
		t.Error("the connection was accepted")
	}
	return ev
}

func TestBadPassword(t *testing.T) {
	t.Parallel()
	o := brokers.Options{Users: map[string]string{"anna": "right", "bob": "other"}}
	eachVersion(t, o, versions, func(t *testing.T, h host, v mqttcore.Version) {
		tests := []struct {
			name, user, password string
			ok                   bool
		}{
			{"right", "anna", "right", true},
			{"wrong password", "anna", "other", false},
			{"wrong name", "carl", "right", false},
			{"no name", "", "", false},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				cfg := clean(v)
				if test.user != "" {
					cfg.Username, cfg.Password = []byte(test.user), []byte(test.password)
				}
				if test.ok {
					p := newPeer(t, h, cfg)
					p.connect()
					p.settle()
					return
				}
				ev := refused(t, h, cfg)
				// Which of the two it is, brokers see differently.
				causes := []mqttcore.Cause{mqttcore.CauseNotAuthorized, mqttcore.CauseBadUsernameOrPassword}
				codes := []mqttcore.ReasonCode{mqttcore.ReasonNotAuthorized, mqttcore.ReasonBadUserNameOrPassword}
				if i := slices.Index(codes, ev.Code); i < 0 || causes[i] != ev.Cause {
					t.Errorf("%v; want bad user name or password, or not authorized", &ev)
				}
			})
		}
	})
}

// Mosquitto can be told not to assign identifiers. Mochi always assigns one.
func TestIdentifierRefused(t *testing.T) {
	t.Parallel()
	eachVersion(t, brokers.Options{RefuseEmptyID: true}, []mqttcore.Version{v311, v5}, func(t *testing.T, h host, v mqttcore.Version) {
		cfg := clean(v)
		cfg.ClientID = nil
		if ev := refused(t, h, cfg); ev.Cause != mqttcore.CauseIDRejected || ev.Code != mqttcore.ReasonClientIdentifierNotValid {
			t.Errorf("%v; want the identifier rejected", &ev)
		}
	}, mosquitto)
}

func TestIdentifierAssigned(t *testing.T) {
	t.Parallel()
	eachVersion(t, brokers.Options{}, withProps, func(t *testing.T, h host, v mqttcore.Version) {
		cfg := lasting(t, v)
		cfg.ClientID = nil
		p := newPeer(t, h, cfg)
		ev := p.connect()
		id, _ := ev.Props.AssignedClientID()
		if len(id) == 0 || !bytes.Equal(id, p.c.Session().ClientID()) {
			t.Fatalf("assigned %q, the session has %q", id, p.c.Session().ClientID())
		}
		topic := newTopic()
		p.subscribe(topic, mqttcore.QoS1)
		p.drop()
		resume(p, v) // with the identifier that was assigned
		p.publish(message(topic, mqttcore.QoS1, "to the same session"))
		p.wait(mqttcore.EventMessage)
	})
}

// Mochi can be told to take some versions only.
func TestVersionRefused(t *testing.T) {
	t.Parallel()
	eachVersion(t, brokers.Options{MinVersion: 5}, []mqttcore.Version{v31, v311}, func(t *testing.T, h host, v mqttcore.Version) {
		if ev := refused(t, h, clean(v)); ev.Cause != mqttcore.CauseInvalidProtocolVersion {
			t.Errorf("%v; want the version refused", &ev)
		}
	}, mochi)
}

// The server's keep alive wins. The client's clock runs ahead, so that nobody
// has to wait.
func TestServerKeepAlive(t *testing.T) {
	t.Parallel()
	const seconds = 10 // the least that mosquitto takes
	eachVersion(t, brokers.Options{MaxKeepAlive: seconds}, withProps, func(t *testing.T, h host, v mqttcore.Version) {
		for _, asked := range []uint16{0, 60, 3} {
			t.Run(fmt.Sprintf("asked for %d", asked), func(t *testing.T) {
				cfg := clean(v)
				cfg.KeepAlive = asked
				p := newPeer(t, h, cfg)
				p.connect()
				want := asked
				if asked == 0 || asked > seconds {
					want = seconds
				}
				if got := p.c.Limits().KeepAlive; got != want {
					t.Errorf("keep alive %d s; want %d", got, want)
				}
				for range 3 {
					p.skew += time.Duration(want)*time.Second - 100*time.Millisecond
					before := p.c.Stats().PingsSent
					p.run(20 * time.Millisecond)
					if p.c.Stats().PingsSent != before {
						t.Error("a PINGREQ before its time")
					}
					p.wait(mqttcore.EventPong)
				}
			})
		}
	})
}

// A client that is silent for one and a half times its keep alive is given up
// by the broker.
func TestSilentClient(t *testing.T) {
	t.Parallel()
	eachBroker(t, brokers.Options{}, func(t *testing.T, h host) {
		for _, v := range versions {
			t.Run(versionName(v), func(t *testing.T) {
				t.Parallel()
				cfg := clean(v)
				cfg.KeepAlive, cfg.ManualPing = 2, true
				p := newPeer(t, h, cfg)
				p.connect()
				start := time.Now()
				p.wait(mqttcore.EventKeepAliveDue)
				ev := p.waitClosed()
				if d := time.Since(start); d < 2900*time.Millisecond {
					t.Errorf("given up after %v", d)
				}
				want := mqttcore.CauseTransportInvalid
				if v == v5 && h.kind == mosquitto { // which says why
					want = mqttcore.CauseServerDisconnect
					if ev.Code != mqttcore.ReasonKeepAliveTimeout {
						t.Errorf("%v; want the keep alive timeout", &ev)
					}
				}
				if ev.Cause != want {
					t.Errorf("%v; want %v", &ev, want)
				}
			})
		}
		// Subtests in parallel end after this function, but before the broker does.
	})
}

// sized makes a message whose packet has n bytes.
func sized(t *testing.T, v mqttcore.Version, topic string, q mqttcore.QoS, n int) mqttcore.Publish {
	t.Helper()
	m := message(topic, q, "")
	m.ID = min(1, uint16(q))
	m.Payload = make([]byte, n-m.Size(mqttcore.Dialect{Version: v, From: fromClient})-1)
	for i := range m.Payload {
		m.Payload[i] = byte(i)
	}
	if got := m.Size(mqttcore.Dialect{Version: v, From: fromClient}); got != n {
		t.Fatalf("the packet has %d bytes; want %d", got, n)
	}
	return m
}

// Mosquitto announces its limit, and holds it to the byte. Mochi has one that
// it does not announce (5.0 §3.2.2.3.6), so that its clients cannot obey.
func TestServerPacketSize(t *testing.T) {
	t.Parallel()
	const size = 2000
	eachVersion(t, brokers.Options{MaxPacketSize: size}, withProps, func(t *testing.T, h host, v mqttcore.Version) {
		topic := newTopic()
		to, p := newPeer(t, h, clean(v)), newPeer(t, h, clean(v))
		to.connect()
		to.subscribe(topic, mqttcore.QoS2)
		early := sized(t, v, topic, mqttcore.QoS1, size+1) // queued when the limit is not known yet
		if _, err := p.c.Publish(nil, p.now(), &early, 77); err != nil {
			t.Fatal(err)
		}
		p.connect()
		if ev := p.wait(mqttcore.EventDropped); ev.Tag != 77 || ev.Why != mqttcore.DropNotAllowed || ev.Code != mqttcore.ReasonPacketTooLarge {
			t.Errorf("%v; want tag 77 dropped for its size", &ev)
		}
		if got := p.c.Limits().MaximumPacketSize; got != size {
			t.Fatalf("limit %d; want %d", got, size)
		}
		for q := range mqttcore.QoS2 + 1 {
			for _, n := range []int{size - 1, size} {
				m := sized(t, v, topic, q, n)
				p.publish(m)
				if got := to.wait(mqttcore.EventMessage).Message; !bytes.Equal(got.Payload, m.Payload) {
					t.Errorf("QoS %d: %s", q, short(got.Payload))
				}
			}
			m := sized(t, v, topic, q, size+1)
			out, err := p.c.Publish([]byte{1}, p.now(), &m, 78)
			if !errors.Is(err, mqttcore.ErrTooLarge) || len(out) != 1 {
				t.Errorf("QoS %d, one byte more: %v, %d bytes; want ErrTooLarge", q, err, len(out)-1)
			}
		}
		l, err := mqttcore.NewSubscriptions(mqttcore.Subscription{Filter: bytes.Repeat([]byte("f"), size)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.c.Subscribe(nil, p.now(), &mqttcore.Subscribe{Subscriptions: l}, 79); !errors.Is(err, mqttcore.ErrTooLarge) {
			t.Errorf("SUBSCRIBE: %v; want ErrTooLarge", err)
		}
		p.settle()
		unsettled(t, p)
	}, mosquitto)
}

// What is over the client's own limit is not sent to it.
func TestClientPacketSize(t *testing.T) {
	t.Parallel()
	const size = 2000
	eachVersion(t, brokers.Options{}, withProps, func(t *testing.T, h host, v mqttcore.Version) {
		topic := newTopic()
		cfg := clean(v)
		cfg.Props = props(t, v, mqttcore.MaximumPacketSize(size))
		to, from := newPeer(t, h, cfg), newPeer(t, h, clean(v))
		to.connect()
		to.subscribe(topic, mqttcore.QoS1)
		from.connect()
		for i, n := range []int{size + 1, size, size + 100, 20} {
			m := sized(t, v, topic, mqttcore.QoS1, n)
			if h.kind == mochi { // which adds a message expiry of its own
				m.Props = props(t, v, mqttcore.MessageExpiry(1000))
				m.Payload = m.Payload[:max(0, len(m.Payload)-m.Props.Len())]
			}
			from.publish(m)
			if i%2 == 0 {
				continue
			}
			if got := to.wait(mqttcore.EventMessage).Message; !bytes.Equal(got.Payload, m.Payload) {
				t.Errorf("a message of %d bytes; want that of %d", len(got.Payload), len(m.Payload))
			}
		}
		to.none()
	})
}

// The broker forgets a session in the middle of a handshake.
func TestSessionLost(t *testing.T) {
	t.Parallel()
	eachVersion(t, brokers.Options{}, []mqttcore.Version{v311, v5}, func(t *testing.T, h host, v mqttcore.Version) {
		topic := newTopic()
		cfg := lasting(t, v)
		p := newPeer(t, h, cfg)
		p.faults = at(cut, fromServer, mqttcore.TypePubComp, 0)
		p.connect()
		tag := p.send(message(topic, mqttcore.QoS2, "in PUBREL"))
		p.waitClosed()

		cfg.CleanStart, cfg.Props = true, mqttcore.Properties{}
		other := newPeer(t, h, cfg)
		other.connect()
		other.disconnect(nil)

		p.faults = faults{}
		if ev := p.connect(); ev.SessionPresent {
			t.Fatal("the session is still present")
		}
		if v == v5 {
			if ev := p.wait(mqttcore.EventDropped); ev.Tag != tag || ev.Why != mqttcore.DropSessionLost {
				t.Errorf("%v; want tag %d dropped with the session", &ev, tag)
			}
		} else if ev := p.wait(mqttcore.EventPublished); ev.Tag != tag { // 3.1.1 sends it again whatever happened
			t.Errorf("%v; want tag %d", &ev, tag)
		}
		p.settle()
		unsettled(t, p)
	})
}

func TestTakeOver(t *testing.T) {
	t.Parallel()
	eachVersion(t, brokers.Options{}, versions, func(t *testing.T, h host, v mqttcore.Version) {
		cfg := clean(v)
		first, second := newPeer(t, h, cfg), newPeer(t, h, cfg)
		first.connect()
		second.connect()
		ev := first.waitClosed()
		switch {
		case v == v5:
			if ev.Cause != mqttcore.CauseServerDisconnect || ev.Code != mqttcore.ReasonSessionTakenOver {
				t.Errorf("%v; want the session taken over", &ev)
			}
		case h.kind == mochi: // sends a DISCONNECT, which 3.x does not have
			if ev.Cause != mqttcore.CauseProtocolViolation {
				t.Errorf("%v; want a violation", &ev)
			}
		case ev.Cause != mqttcore.CauseTransportInvalid:
			t.Errorf("%v; want the end of the transport", &ev)
		}
		second.settle()
	})
}
