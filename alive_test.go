// This file tests what scripts cannot say of time and sizes: several PINGREQs
// at once, times that no clock tells, and a server that takes next to nothing.

package mqttcore

import (
	"strconv"
	"testing"
	"time"
)

// TestRoundTrips: each PINGRESP answers the oldest PINGREQ.
func TestRoundTrips(t *testing.T) {
	r := newRig(t, Config{Version: V311, ManualPing: true, PingTimeout: -1}, nil, &ConnAck{})
	after := func(d time.Duration) { r.now = r.now.Add(d) }
	for range 4 {
		r.do(r.c.Ping(nil, r.now))
		after(time.Second)
	}
	for range 4 {
		after(time.Second)
		r.server(&Ping{Type: TypePingResp})
	}
	r.do(r.c.Ping(nil, r.now))
	after(3 * time.Second)
	r.server(&Ping{Type: TypePingResp})
	r.want("> PINGREQ", "> PINGREQ", "> PINGREQ", "> PINGREQ",
		"pong after 5s", "pong after 5s", "pong after 5s",
		"pong after 0s", // it was sent while three were under way
		"> PINGREQ", "pong after 3s")
}

// TestZeroTime: a client that got the zero time first goes on when the time is
// told, also from a clock chip without a battery, which begins in 1970.
func TestZeroTime(t *testing.T) {
	for _, begins := range []time.Time{scriptStart, time.Unix(0, 5e8), time.Unix(0, 0), time.Unix(-1e9, 0)} {
		r := newRig(t, Config{Version: V311, KeepAlive: 60}, nil, nil)
		r.now = time.Time{}
		r.connect(&ConnAck{})
		r.now = begins
		r.do(r.c.Tick(nil, r.now), nil)
		for range 2 {
			r.server(&Ping{Type: TypePingResp})
			r.log = nil
			r.now = r.now.Add(60 * time.Second)
			r.do(r.c.Tick(nil, r.now), nil)
			r.want("> PINGREQ")
			if d := r.c.Deadline(); !d.Equal(r.now.Add(defaultPingTimeout)) {
				t.Errorf("from %v: deadline %v after the PINGREQ", begins, d.Sub(r.now))
			}
		}
	}
}

// TestZeroTimeExpiry: a lifetime of 0 is over at once at the zero time, too; it
// is not taken for none (5.0 §3.3.2.3.3).
func TestZeroTimeExpiry(t *testing.T) {
	r := newRig(t, Config{}, nil, nil)
	r.now = time.Time{}
	r.publish(*message("a", "", QoS1, 0, MessageExpiry(0)), 1)
	if d := r.c.Deadline(); d.IsZero() {
		t.Error("no deadline, and one is due")
	}
	r.do(r.c.Tick(nil, r.now), nil)
	r.want("dropped tag=1: expired")
}

// TestClockFromZero: a clock that begins at the zero time, as those of tests do,
// goes on from there.
func TestClockFromZero(t *testing.T) {
	r := newRig(t, Config{Version: V311, KeepAlive: 60}, nil, nil)
	r.now = time.Time{}
	r.connect(&ConnAck{})
	r.log = nil
	for range 2 {
		r.want()
		r.now = r.now.Add(30 * time.Second)
		r.do(r.c.Tick(nil, r.now), nil)
	}
	r.want("> PINGREQ")
	if d := r.c.Deadline(); !d.Equal(r.now.Add(defaultPingTimeout)) {
		t.Errorf("deadline %v after it", d.Sub(r.now))
	}
}

// TestEndOfTime: at times that cannot be told apart any more nothing is given
// up.
func TestEndOfTime(t *testing.T) {
	r := newRig(t, Config{Version: V311, KeepAlive: 60}, nil, &ConnAck{})
	for _, d := range []time.Duration{1<<63 - 1, time.Hour, 1<<63 - 1} {
		r.now = r.now.Add(d)
		r.do(r.c.Tick(nil, r.now), nil)
	}
	if r.c.State() != StateConnected {
		t.Errorf("%v", r.log)
	}
}

// TestTinyMaximumPacketSize: where a reason code does not fit, the form without
// one is sent, and no DISCONNECT where that does not fit (MQTT-3.2.2-15).
func TestTinyMaximumPacketSize(t *testing.T) {
	for size, want := range map[uint32][]string{
		5: {"> PUBCOMP id=9 Packet Identifier not found", "> PUBREL id=9 Packet Identifier not found", "> DISCONNECT Protocol Error"},
		4: {"> PUBCOMP id=9", "> PUBREL id=9", "> DISCONNECT Protocol Error"},
		2: {"> PUBCOMP id=9", "> PUBREL id=9"}, // MQTT cannot do without these
	} {
		r := newRig(t, Config{Version: V5}, nil, &ConnAck{Props: propsOf(MaximumPacketSize(size))})
		r.server(&Ack{Type: TypePubRel, ID: 9}, &Ack{Type: TypePubRec, ID: 9}, &ConnAck{})
		if n := len(r.log); n > 0 {
			r.log = r.log[:n-1] // how it was closed
		}
		t.Run(strconv.Itoa(int(size)), func(t *testing.T) { r.TB = t; r.want(want...) })
	}
}

// TestTinyMaximumPacketSizeAck: a refusal cannot go without its code.
func TestTinyMaximumPacketSizeAck(t *testing.T) {
	r := newRig(t, Config{Version: V5, ManualAck: true}, nil, &ConnAck{Props: propsOf(MaximumPacketSize(4))})
	r.server(message("a", "m", QoS1, 9))
	r.log = nil
	out, err := r.c.Ack(nil, r.now, r.tokens[0], ReasonQuotaExceeded, Properties{})
	r.refused(ErrTooLarge, out, err)
	r.do(r.c.Ack(nil, r.now, r.tokens[0], ReasonSuccess, Properties{}))
	r.want("> PUBACK id=9")
}
