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

// Mosquitto and the model can be told not to assign identifiers. Mochi always
// assigns one.
func TestIdentifierRefused(t *testing.T) {
	t.Parallel()
	eachVersion(t, brokers.Options{RefuseEmptyID: true}, []mqttcore.Version{v311, v5}, func(t *testing.T, h host, v mqttcore.Version) {
		cfg := clean(v)
		cfg.ClientID = nil
		want := mqttcore.Event{Cause: mqttcore.CauseIDRejected, Code: mqttcore.ReasonClientIdentifierNotValid}
		if v == v5 && h.kind == mosquitto { // 2.0 says in 5.0 that it does not say why
			want = mqttcore.Event{Cause: mqttcore.CauseUnknown, Code: mqttcore.ReasonUnspecifiedError}
		}
		if ev := refused(t, h, cfg); ev.Cause != want.Cause || ev.Code != want.Code {
			t.Errorf("%v; want %v, %v", &ev, want.Cause, want.Code)
		}
	}, mosquitto, model)
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

// Mochi and the model can be told to take some versions only.
func TestVersionRefused(t *testing.T) {
	t.Parallel()
	eachVersion(t, brokers.Options{MinVersion: 5}, []mqttcore.Version{v31, v311}, func(t *testing.T, h host, v mqttcore.Version) {
		if ev := refused(t, h, clean(v)); ev.Cause != mqttcore.CauseInvalidProtocolVersion {
			t.Errorf("%v; want the version refused", &ev)
		}
	}, mochi, model)
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
					before := p.c.Stats().PingsSent
					p.skew += time.Duration(want)*time.Second - 2*time.Second
					p.run(20 * time.Millisecond)
					if p.c.Stats().PingsSent != before {
						t.Error("a PINGREQ before its time")
					}
					p.skew += 2 * time.Second
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
		start := time.Now()
		var silent []*peer
		for _, v := range versions {
			cfg := clean(v)
			cfg.KeepAlive, cfg.ManualPing = 2, true
			p := newPeer(t, h, cfg)
			p.connect()
			silent = append(silent, p)
		}
		for i, p := range silent {
			p.wait(mqttcore.EventKeepAliveDue)
			ev := p.waitClosed()
			if d := time.Since(start); d < 2*time.Second {
				t.Errorf("%s: given up after %v", versionName(versions[i]), d)
			}
			// In 5.0 a broker may say why; only the model does.
			if ev.Cause != mqttcore.CauseTransportInvalid && ev.Code != mqttcore.ReasonKeepAliveTimeout {
				t.Errorf("%s: %v; want the end of the transport", versionName(versions[i]), &ev)
			}
		}
	})
}

// sized makes a message whose packet has n bytes, 200 at least.
func sized(t *testing.T, v mqttcore.Version, topic string, q mqttcore.QoS, n int, ps ...mqttcore.Property) mqttcore.Publish {
	t.Helper()
	d := mqttcore.Dialect{Version: v, From: fromClient}
	m := message(topic, q, "")
	m.ID, m.Props = min(1, uint16(q)), props(t, v, ps...)
	m.Payload = make([]byte, n-m.Size(d)-1) // the length takes a byte more than that of an empty message
	for i := range m.Payload {
		m.Payload[i] = byte(i)
	}
	if got := m.Size(d); got != n {
		t.Fatalf("the packet has %d bytes; want %d", got, n)
	}
	return m
}

// Mosquitto and the model announce their limit, and hold it to the byte. Mochi
// has one that it does not announce (5.0 §3.2.2.3.6), so that its clients cannot
// obey.
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
	}, mosquitto, model)
}

// What is over the client's own limit is not sent to it.
func TestClientPacketSize(t *testing.T) {
	t.Parallel()
	const size = 2000
	eachVersion(t, brokers.Options{}, withProps, func(t *testing.T, h host, v mqttcore.Version) {
		// Mosquitto forgets the first byte of the packet and sends one byte too
		// much, which comes last here. Mochi adds a message expiry to what has none.
		over, ps := size+2, []mqttcore.Property{mqttcore.MessageExpiry(1000)}
		topic := newTopic()
		cfg := clean(v)
		cfg.Props = props(t, v, mqttcore.MaximumPacketSize(size))
		to, from := newPeer(t, h, cfg), newPeer(t, h, clean(v))
		to.connect()
		to.subscribe(topic, mqttcore.QoS1)
		from.connect()
		for _, n := range []int{over, size, over + 100, size - 1} {
			m := sized(t, v, topic, mqttcore.QoS1, n, ps...)
			from.publish(m)
			if n >= over {
				continue
			}
			if got := to.wait(mqttcore.EventMessage).Message; !bytes.Equal(got.Payload, m.Payload) {
				t.Errorf("a message of %d bytes; want that of %d", len(got.Payload), len(m.Payload))
			}
		}
		to.none()
		// The byte too much is refused. A mosquitto that learned to count sends none.
		from.publish(sized(t, v, topic, mqttcore.QoS1, size+1, ps...))
		to.run(100 * time.Millisecond)
		if ev, ok := to.take(mqttcore.EventMessage); ok {
			t.Errorf("%v; want no message of %d bytes", &ev, size+1)
		}
		if ev, ok := to.take(mqttcore.EventClosed); ok && (h.kind != mosquitto || ev.Code != mqttcore.ReasonPacketTooLarge) {
			t.Errorf("%v; want the packet refused for its size", &ev)
		}
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
		if h.kind == mochi { // closes the connection before it deletes the session
			time.Sleep(500 * time.Millisecond)
		}

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
		want := mqttcore.CauseTransportInvalid
		switch {
		case v == v5 && ev.Cause == mqttcore.CauseServerDisconnect: // which mosquitto 2.0 leaves out
			want = mqttcore.CauseServerDisconnect
			if ev.Code != mqttcore.ReasonSessionTakenOver {
				t.Errorf("%v; want the session taken over", &ev)
			}
		case v != v5 && h.kind == mochi: // sends a DISCONNECT, which 3.x does not have
			want = mqttcore.CauseProtocolViolation
		}
		if ev.Cause != want {
			t.Errorf("%v; want %v", &ev, want)
		}
		second.settle()
	})
}
