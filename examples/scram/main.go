// Scram shows MQTT 5.0's enhanced authentication with SCRAM-SHA-256: the client
// proves that it knows a password without saying it, and the server that it
// knows the user; later, while messages flow, they do so again.
//
//	go run ./examples/scram
//
// draws three conversations with a broker in the same process as ladders: one
// that succeeds, one with a wrong password, and one with somebody who only
// pretends to be the server. scram.go is the mechanism, login.go the part
// between it and a mqttcore.Client; these two are there to be copied.
//
// Who can read the exchange can try passwords at leisure, and without channel
// binding an attacker in the middle can stay there: use it inside TLS. This
// demonstration prints the messages of the exchange, which a program in earnest
// keeps to itself.
package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"time"

	"mqttcore"
	"mqttcore/trace"
)

func main() {
	if err := demonstrate(os.Stdout, rand.Text); err != nil {
		fmt.Fprintf(os.Stderr, "scram: %v\n", err)
		os.Exit(1)
	}
}

// demonstrate holds the three conversations. Its error is that of one which
// ends in another way than it should.
func demonstrate(w io.Writer, nonce func() string) error {
	known, err := newCredentials("pencil", "a salt of its own", minIterations)
	if err != nil {
		return err
	}
	guess, err := authProperties("v=AAAA")
	if err != nil {
		return err
	}
	forge := func(p mqttcore.Packet) mqttcore.Packet {
		if p.PacketType() == mqttcore.TypeConnAck {
			return &mqttcore.ConnAck{Props: guess}
		}
		return p
	}
	for _, scene := range []struct {
		title, password string
		meddle          func(mqttcore.Packet) mqttcore.Packet
		want            mqttcore.Cause
	}{
		{"The right password, and again on the same connection", "pencil", nil, mqttcore.CauseLocalDisconnect},
		{"A wrong password: the server refuses", "crayon", nil, mqttcore.CauseNotAuthorized},
		{"A server that cannot prove itself: the client refuses, and sends it nothing", "pencil", forge, mqttcore.CauseLocalDisconnect},
	} {
		b := &broker{users: map[string]credentials{"user": known}, nonce: nonce, meddle: scene.meddle}
		t, err := newTalk(&login{user: "user", password: scene.password, nonce: nonce}, b)
		if err != nil {
			return err
		}
		// A message that waits for the connection.
		if err := t.publish("waiting", 1); err != nil {
			return err
		}
		if err := t.connect(); err != nil {
			return err
		}
		if t.c.State() == mqttcore.StateConnected {
			if err := t.reauthenticate(); err != nil {
				return err
			}
			t.out, err = t.c.Disconnect(t.out, t.now, nil)
			if err != nil {
				return err
			}
			t.drain()
			if err := t.run(); err != nil {
				return err
			}
		}
		ladder := t.rec.Ladder()
		ladder.Width = 100
		fmt.Fprintf(w, "%s\n\n%v\n", scene.title, ladder)
		if t.cause != scene.want {
			return fmt.Errorf("%s: %v", scene.title, t.cause)
		}
	}
	return nil
}

// talk is a client and a broker with nothing between them but two slices of
// bytes, in a time of its own.
type talk struct {
	c     *mqttcore.Client
	login *login
	b     *broker
	rec   trace.Recorder
	now   time.Time
	out   []byte // for the broker
	cause mqttcore.Cause
	told  []string // kinds of events
}

func newTalk(l *login, b *broker) (*talk, error) {
	props, err := l.begin()
	if err != nil {
		return nil, err
	}
	c, err := mqttcore.NewClient(mqttcore.Config{ClientID: []byte("scram"), CleanStart: true, KeepAlive: 60, Props: props}, nil)
	return &talk{c: c, login: l, b: b, now: time.Unix(0, 0)}, err
}

// connect authenticates, or fails to.
func (t *talk) connect() (err error) {
	if t.out, err = t.c.Connect(t.out, t.now); err != nil {
		return err
	}
	t.note(mqttcore.FromClient, t.login.scram.first())
	return t.run()
}

// reauthenticate authenticates anew, with messages before, in between and after.
func (t *talk) reauthenticate() (err error) {
	if err := t.publish("before", 2); err != nil {
		return err
	}
	if t.out, err = t.login.again(t.c, t.out, t.now); err != nil {
		return err
	}
	t.note(mqttcore.FromClient, t.login.scram.first())
	if err := t.publish("while", 3); err != nil {
		return err
	}
	if err := t.run(); err != nil {
		return err
	}
	if err := t.publish("after", 4); err != nil {
		return err
	}
	return t.run()
}

func (t *talk) publish(topic string, tag uint64) (err error) {
	t.out, err = t.c.Publish(t.out, t.now, &mqttcore.Publish{Topic: []byte(topic), QoS: mqttcore.QoS1}, tag)
	return err
}

// run is the loop around the client: it writes, reads, takes packet after packet
// with their events, until neither side has more to say.
func (t *talk) run() error {
	for len(t.out) > 0 {
		t.rec.Sent(t.now, t.out)
		t.now = t.now.Add(time.Millisecond)
		in, err := t.b.serve(t.out)
		if err != nil {
			return err
		}
		t.out = t.out[:0]
		t.rec.Received(t.now, in)
		for taken := -1; taken != 0; in = in[taken:] {
			t.out, taken, _ = t.c.Receive(t.out, t.now, in) // closed, it takes nothing
			t.drain()
		}
		t.out = t.c.Tick(t.out, t.now)
		t.drain()
	}
	return nil
}

func (t *talk) drain() {
	for ev := new(mqttcore.Event); t.c.Next(ev); {
		t.told = append(t.told, ev.Kind.String())
		t.rec.Note(t.now, mqttcore.FromClient, ev.String())
		if data, ok := ev.Props.AuthData(); ok && ev.Kind != mqttcore.EventConnected {
			t.note(mqttcore.FromServer, string(data))
		}
		t.out = t.login.on(t.c, t.out, t.now, ev)
		if ev.Kind == mqttcore.EventClosed {
			t.cause = ev.Cause
		}
	}
}

// note shows a message of SCRAM.
func (t *talk) note(side mqttcore.Role, message string) { t.rec.Note(t.now, side, message) }
