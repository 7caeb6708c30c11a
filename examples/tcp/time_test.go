// This file tests what depends on time, with a clock that does not run while
// anything else does.

package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mqttcore"
)

// packets tells the types of what a client says, until nobody is there.
func packets(conn net.Conn) <-chan mqttcore.PacketType {
	types := make(chan mqttcore.PacketType, 10)
	go func() {
		defer close(types)
		for in := make([]byte, 1000); ; {
			if _, err := conn.Read(in); err != nil {
				return
			}
			types <- mqttcore.PacketType(in[0] >> 4)
		}
	}()
	return types
}

// Whoever was held up takes the answer that has come, before he says that there
// was none; and a moment is left for one that is still to be read.
func TestHeldUp(t *testing.T) {
	const timeout = 300 * time.Millisecond
	for _, c := range []struct {
		name   string
		heldUp time.Duration
		answer time.Duration
		want   string
	}{
		{"held up", timeout + 100*time.Millisecond, 100 * time.Millisecond, "pong"},
		{"held up to the deadline", timeout, timeout, "pong"},
		{"a moment late", 0, timeout + moment/2, "pong"},
		{"held up, no answer", timeout + 100*time.Millisecond, 2 * timeout, "closed: keep alive timeout"},
		{"not held up, too late", 0, timeout + 2*moment, "closed: keep alive timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 20 { // which of several things that wait is taken first is random
				synctest.Test(t, func(t *testing.T) {
					ours, theirs := net.Pipe()
					defer theirs.Close()
					cfg := config(mqttcore.V311)
					cfg.PingTimeout = timeout
					var heard []string
					conn := start(t, Options{
						Dial:    func(context.Context) (net.Conn, error) { return ours, nil },
						Config:  cfg,
						OnEvent: func(ev *mqttcore.Event) { heard = append(heard, ev.String()) },
						Backoff: mqttcore.Backoff{Min: time.Hour, Max: time.Hour},
					})
					said := packets(theirs)
					<-said
					theirs.Write([]byte{0x20, 2, 0, 0})
					synctest.Wait()
					go func() {
						time.Sleep(c.answer)
						theirs.Write([]byte{0xd0, 0})
					}()
					conn.command(t.Context(), false, func(client *mqttcore.Client, out []byte, now time.Time, _ uint64) ([]byte, error) {
						out, err := client.Ping(out, now)
						time.Sleep(c.heldUp)
						return out, err
					})
					if got := <-said; got != mqttcore.TypePingReq {
						t.Errorf("the client said %v", got)
					}
					time.Sleep(timeout + 10*moment)
					synctest.Wait()
					if len(heard) < 2 || !strings.HasPrefix(heard[1], c.want) {
						t.Errorf("the events are %q, want %s", heard, c.want)
					}
					closeConn(t, conn)
				})
				if t.Failed() {
					return
				}
			}
		})
	}
}

// The pauses grow while the broker hangs up on the connections that it has
// accepted, and are short again after one that has lasted.
func TestBackoff(t *testing.T) {
	const s = time.Second
	attempts := [5]struct {
		lasts   time.Duration // -1: no connection
		ceiling time.Duration // of the pause that follows
	}{{steady, 2 * s}, {0, 4 * s}, {steady - 1, 8 * s}, {-1, 16 * s}, {0, 20 * s}}
	const rounds = 50
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		var pauses []time.Duration
		done := make(chan struct{})
		conn := start(t, Options{
			Dial: func(context.Context) (net.Conn, error) {
				lasts := attempts[dials%len(attempts)].lasts
				dials++
				if lasts < 0 {
					return nil, errors.New("no")
				}
				ours, theirs := net.Pipe()
				go func() {
					<-packets(theirs)
					theirs.Write([]byte{0x20, 2, 0, 0})
					time.Sleep(lasts)
					theirs.Close()
				}()
				return ours, nil
			},
			Config:  mqttcore.Config{Version: mqttcore.V311, ClientID: []byte("tester")},
			Backoff: mqttcore.Backoff{Min: s, Max: 20 * s},
			OnRetry: func(_ error, pause time.Duration) {
				if pauses = append(pauses, pause); len(pauses) == rounds*len(attempts) {
					close(done)
				}
			},
		})
		<-done
		closeConn(t, conn)
		for i, a := range attempts {
			var longest time.Duration
			for r := range rounds {
				longest = max(longest, pauses[r*len(attempts)+i])
			}
			if longest > a.ceiling || longest < a.ceiling*2/3 {
				t.Errorf("the longest of %d pauses after attempt %d is %v, want up to %v", rounds, i, longest, a.ceiling)
			}
		}
	})
}
