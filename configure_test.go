package mqttcore

import (
	"errors"
	"testing"
)

// TestConfigure: what a client is told may change between two connections; what
// it has, stays.
func TestConfigure(t *testing.T) {
	live := func(r *rig) (n int) {
		for range r.c.Subscriptions() {
			n++
		}
		return n
	}
	first := Config{ClientID: []byte("me"), CleanStart: true, Password: []byte("old"), Props: mustProps(t, SessionExpiry(100))}
	r := newRig(t, first, nil, &ConnAck{})
	var subs Subscriptions
	if err := subs.Add(Subscription{Filter: []byte("a")}); err != nil {
		t.Fatal(err)
	}
	r.do(r.c.Subscribe(nil, r.now, &Subscribe{Subscriptions: subs}, 1))
	r.server(&SubAck{ID: 1, Codes: []byte{0}})
	r.do(r.c.Publish(nil, r.now, &Publish{Topic: []byte("t"), QoS: QoS1}, 2))
	if err := r.c.Configure(first); !errors.Is(err, ErrConnected) {
		t.Errorf("with a connection: %v, want ErrConnected", err)
	}
	r.c.Lost(r.now, nil)
	if err := r.c.Configure(first); !errors.Is(err, ErrPending) {
		t.Errorf("with events that wait: %v, want ErrPending", err)
	}
	r.do(nil, nil)

	// The first connection was clean (MQTT-3.1.2-4), the later ones resume
	// (MQTT-4.4.0-1), with a new password.
	then := first
	then.CleanStart, then.Password = false, []byte("new")
	for name, bad := range map[string]struct {
		cfg  Config
		want error
	}{
		"another client identifier": {Config{ClientID: []byte("you")}, ErrSession},
		"properties in 3.1.1":       {Config{Version: V311, ClientID: []byte("me"), Props: then.Props}, &Error{Code: ReasonProtocolError}},
	} {
		if err := r.c.Configure(bad.cfg); !errors.Is(err, bad.want) {
			t.Errorf("%s: %v, want %v", name, err, bad.want)
		}
	}
	if err := r.c.Configure(then); err != nil {
		t.Fatal(err)
	}
	out, err := r.c.Connect(nil, r.now)
	if err != nil {
		t.Fatal(err)
	}
	var p Connect
	f, _, _ := ConsumeFrame(out, r.dialect(FromClient), 0)
	if err := p.Decode(f, r.dialect(FromClient)); err != nil || p.CleanStart || string(p.Password) != "new" {
		t.Errorf("CONNECT is %v (%v)", &p, err)
	}
	r.log = nil
	r.server(&ConnAck{SessionPresent: true})
	r.want("> PUBLISH t q1 id=2 dup 0 bytes", "connected session present")
	if n := live(r); n != 1 {
		t.Errorf("%d live subscriptions, want 1", n)
	}
}

// TestAuthDoneFirst: what is queued does not go out before the caller has seen
// how the authentication ended: it may be the server that fails (5.0 §4.12).
func TestAuthDoneFirst(t *testing.T) {
	props := mustProps(t, AuthMethod("m"))
	r := newRig(t, Config{Props: props}, nil, nil)
	r.do(r.c.Publish(nil, r.now, &Publish{Topic: []byte("t"), QoS: QoS1}, 1))
	r.do(r.c.Connect(nil, r.now))
	b, err := (&ConnAck{Props: props}).AppendTo(nil, r.dialect(FromServer))
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := r.c.Receive(nil, r.now, b)
	if err != nil || len(out) != 0 || r.c.More() {
		t.Fatalf("with CONNACK: sent % x (%v), more is %v", out, err, r.c.More())
	}
	var ev Event
	if !r.c.Next(&ev) || ev.Kind != EventAuthDone || !r.c.More() {
		t.Fatalf("the first event is %v, more is %v", &ev, r.c.More())
	}
	if out = r.c.Tick(nil, r.now); len(out) == 0 || PacketType(out[0]>>4) != TypePublish {
		t.Errorf("after EventAuthDone: sent % x", out)
	}
}
