// This file holds what scripts cannot show of enhanced authentication (5.0
// §4.12): any number of rounds, every packet that must not come, and commands
// given in the middle of the events. The rest is in testdata/script, 26 and 27.

package mqttcore

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// authStep is an AUTH of the method m.
func authStep(code ReasonCode, data string) *Auth {
	return &Auth{Code: code, Props: propsOf(AuthMethod("m"), AuthData(data))}
}

func accepting(data string) *ConnAck {
	return &ConnAck{Props: propsOf(AuthMethod("m"), AuthData(data))}
}

var withMethod = Config{Props: propsOf(AuthMethod("m"), AuthData("0"), SessionExpiry(100))}

// TestAuthenticationRounds goes any number of rounds, before CONNACK and after
// it (MQTT-4.12.0-2, MQTT-4.12.0-3, MQTT-4.12.1-1). What each side says comes
// through as it is, and once each.
func TestAuthenticationRounds(t *testing.T) {
	const props = " {Authentication Method: m, Authentication Data: "
	for _, rounds := range []int{0, 1, 2, 100} {
		t.Run(fmt.Sprint(rounds), func(t *testing.T) {
			r := newRig(t, withMethod, nil, nil)
			var data [][]byte // of the challenges
			converse := func() {
				for n := range rounds {
					in := mustAppend(authStep(ReasonContinueAuthentication, fmt.Sprint("server", n)), r.dialect(FromServer))
					out, k, err := r.c.Receive(nil, r.now, in)
					var ev Event
					if err != nil || k != len(in) || len(out) != 0 || !r.c.Next(&ev) || ev.Kind != EventAuthChallenge || r.c.Next(&Event{}) {
						t.Fatalf("% x, %d, %v: %v", out, k, err, &ev)
					}
					d, _ := ev.Props.AuthData()
					data = append(data, bytes.Clone(d))
					// The answer may be given while the challenge is read, or later.
					answer := authStep(ReasonContinueAuthentication, string(d)+"!")
					if out, err = r.c.Auth(out, r.now, answer); err != nil {
						t.Fatal(err)
					}
					if want := mustAppend(answer, r.dialect(FromClient)); !bytes.Equal(out, want) {
						t.Fatalf("sent % x, want % x", out, want)
					}
					if out, err = r.c.Auth(nil, r.now, answer); len(out) != 0 || !errors.Is(err, ErrAuth) {
						t.Fatalf("an answer to nothing: % x, %v", out, err)
					}
				}
			}
			r.do(r.c.Connect(nil, r.now))
			converse()
			r.server(accepting("end"))
			r.want("> CONNECT me keepalive=0 {Authentication Method: m, Authentication Data: 1 byte, Session Expiry Interval: 100}",
				"auth done"+props+"3 bytes}", "connected"+props+"3 bytes}")
			for range 2 {
				r.do(r.c.Auth(nil, r.now, authStep(ReasonReAuthenticate, "again")))
				converse()
				r.server(authStep(ReasonSuccess, "end"))
				r.want("> AUTH Re-authenticate"+props+"5 bytes}", "auth done"+props+"3 bytes}")
			}
			for i, d := range data {
				if want := fmt.Sprint("server", i%rounds); string(d) != want {
					t.Errorf("challenge %d: %q, want %q", i, d, want)
				}
			}
			if len(data) != 3*rounds {
				t.Errorf("%d challenges, want %d", len(data), 3*rounds)
			}
		})
	}
}

// TestFirstByteWhileAuthenticating gives the first byte of every packet to a
// client that waits for CONNACK, with a method and without, at each step of the
// authentication: AUTH and CONNACK may go on, all else ends the connection at
// once (MQTT-3.2.0-1, MQTT-3.14.0-1, MQTT-4.12.0-6).
func TestFirstByteWhileAuthenticating(t *testing.T) {
	steps := []struct {
		name         string
		method, auth bool // AUTH may come
		begin        func(r *rig)
	}{
		{"no method", false, false, func(*rig) {}},
		{"after CONNECT", true, true, func(*rig) {}},
		{"the client's turn", true, false, func(r *rig) { r.server(authStep(ReasonContinueAuthentication, "")) }},
		{"the server's turn", true, true, func(r *rig) {
			r.server(authStep(ReasonContinueAuthentication, ""))
			r.do(r.c.Auth(nil, r.now, authStep(ReasonContinueAuthentication, "")))
		}},
	}
	for _, s := range steps {
		for first := range 16 {
			cfg := Config{}
			if s.method {
				cfg = withMethod
			}
			r := newRig(t, cfg, nil, nil)
			r.do(r.c.Connect(nil, r.now))
			s.begin(r)
			r.log = nil
			r.input([]byte{byte(first) << 4})
			legal := first == int(TypeConnAck) || first == int(TypeAuth) && s.auth
			if closed := r.c.State() == StateDisconnected; closed == legal {
				t.Errorf("%s, %v: closed %t", s.name, PacketType(first), closed)
			}
			if !legal && (len(r.log) != 2 || r.log[0] != "> DISCONNECT Protocol Error" && r.log[0] != "> DISCONNECT Malformed Packet") {
				t.Errorf("%s, %v: %q", s.name, PacketType(first), r.log)
			}
		}
	}
}

// TestGivingUp has the client disconnect when it learns that the
// authentication succeeded, because it does not believe it: the event that it
// gave up comes last, and only once, and the next connection is a new one
// (MQTT-4.12.1-2).
func TestGivingUp(t *testing.T) {
	giveUp := func(r *rig) (kinds []EventKind) {
		r.Helper()
		var ev Event
		for r.c.Next(&ev) {
			kinds = append(kinds, ev.Kind)
			if ev.Kind == EventAuthDone {
				out, err := r.c.Disconnect(nil, r.now, &Disconnect{Code: ReasonImplementationSpecificError})
				if err != nil || !bytes.Equal(out, []byte{0xE0, 1, 0x83}) {
					r.Fatalf("% x, %v", out, err)
				}
			}
		}
		if r.c.State() != StateDisconnected {
			r.Errorf("the state is %v", r.c.State())
		}
		return kinds
	}
	take := func(r *rig, p Packet) {
		r.Helper()
		if _, _, err := r.c.Receive(nil, r.now, mustAppend(p, r.dialect(FromServer))); err != nil {
			r.Fatal(err)
		}
	}
	r := newRig(t, withMethod, nil, nil)
	r.do(r.c.Connect(nil, r.now))
	take(r, accepting(""))
	if got, want := fmt.Sprint(giveUp(r)), fmt.Sprint([]EventKind{EventAuthDone, EventConnected, EventClosed}); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	r.connect(accepting(""))
	r.do(r.c.Auth(nil, r.now, authStep(ReasonReAuthenticate, "")))
	take(r, authStep(ReasonSuccess, ""))
	if got, want := fmt.Sprint(giveUp(r)), fmt.Sprint([]EventKind{EventAuthDone, EventClosed}); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	r.log = nil
	r.connect(accepting(""))
	if r.c.State() != StateConnected || len(r.log) != 3 {
		t.Errorf("%v, %q", r.c.State(), r.log)
	}
}

// Before 5.0 there is no authentication of this kind (3.1.1 §2.2.1), and
// without a method in CONNECT none either (MQTT-4.12.0-7).
func TestNoAuthentication(t *testing.T) {
	for _, v := range []Version{V31, V311, V5} {
		r := newRig(t, Config{Version: v}, nil, &ConnAck{})
		for _, code := range []ReasonCode{ReasonContinueAuthentication, ReasonReAuthenticate, ReasonSuccess} {
			out, err := r.c.Auth(nil, r.now, authStep(code, ""))
			r.refused(ErrAuth, out, err)
			if out, err := r.c.Auth(nil, r.now, &Auth{Code: code}); len(out) != 0 || err == nil {
				t.Errorf("%v, %v without a method: % x, %v", v, code, out, err)
			}
		}
		if r.c.State() != StateConnected {
			t.Errorf("%v: %v", v, r.c.State())
		}
		r.input([]byte{0xF0})
		if r.c.State() != StateDisconnected {
			t.Errorf("%v: an AUTH is taken", v)
		}
	}
}
