// This file tests how a client measures a server's silence where the caller looks
// at the same bytes again, or does not look at the events in between.

package mqttcore

import (
	"testing"
	"time"
)

// TestLookedAtAgain: bytes of an unfinished packet that are presented again are
// no sign of life, however often; those that are new are (5.0 §3.1.2.10, 3.1.1
// §3.1.2.10).
func TestLookedAtAgain(t *testing.T) {
	whole := mustAppend(message("a", "1234", QoS0, 0), Dialect{Version: V311})
	for _, test := range []struct {
		name  string
		start int   // bytes that are there before the PINGREQ
		looks []int // bytes that are there, a second apart, after it
		lives bool
	}{
		{"none", 3, nil, false},
		{"the same", 3, []int{3}, false},
		{"the same, again and again", 3, []int{3, 3, 3, 3}, false},
		{"fewer", 3, []int{2, 1}, false},
		{"fewer, and the same again", 3, []int{2, 3}, false},
		{"nothing, and the same again", 3, []int{0, 3}, false},
		{"nothing after nothing", 0, []int{0, 0}, false},
		{"the first", 0, []int{0, 1}, true},
		{"one more", 3, []int{4}, true},
		{"one more after the same", 3, []int{3, 4}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, Config{Version: V311, KeepAlive: 10, PingTimeout: 5 * time.Second}, nil, &ConnAck{})
			look := func(n int) {
				out, taken, err := r.c.Receive(nil, r.now, whole[:n:n])
				if taken != 0 {
					t.Fatalf("%d of %d bytes are taken", taken, n)
				}
				r.do(out, err)
			}
			if test.start > 0 {
				look(test.start)
			}
			r.now = r.now.Add(10 * time.Second)
			end := r.now.Add(5 * time.Second)
			r.do(r.c.Tick(nil, r.now), nil)
			for _, n := range test.looks {
				r.now = r.now.Add(time.Second)
				look(n)
			}
			if at := r.c.Deadline(); at.After(end) != test.lives || at.Before(end) {
				t.Errorf("the deadline is %v after the end", at.Sub(end))
			}
			r.now = end
			r.do(r.c.Tick(nil, r.now), nil)
			if test.lives {
				r.want("> PINGREQ")
			} else {
				r.want("> PINGREQ", "closed: keep alive timeout")
			}
		})
	}
}

// TestKeepAliveDueUntaken: when the connection ends before it was told that a
// PINGREQ is due, none is due any more, and none on the next connection before
// its time (5.0 MQTT-3.1.2-20, 3.1.1 MQTT-3.1.2-23).
func TestKeepAliveDueUntaken(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(*rig)
		want []string
	}{
		{"lost", (*rig).lost, []string{"closed: transport invalid"}},
		{"disconnected", func(r *rig) { r.do(r.c.Disconnect(nil, r.now, nil)) },
			[]string{"> DISCONNECT", "closed: local disconnect"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, Config{Version: V311, KeepAlive: 10, ManualPing: true}, nil, &ConnAck{})
			r.now = r.now.Add(10 * time.Second)
			if out := r.c.Tick(nil, r.now); len(out) != 0 {
				t.Fatalf("% x", out)
			}
			test.end(r)
			r.want(test.want...)
			r.connect(&ConnAck{})
			r.log = nil
			r.do(r.c.Tick(nil, r.now), nil)
			r.want()
			r.now = r.now.Add(10 * time.Second)
			r.do(r.c.Tick(nil, r.now), nil)
			r.want("keep alive due")
		})
	}
}
