// This file shows how a program tests its own socket code with testing/synctest:
// real goroutines and a real net.Conn, in a bubble where an hour takes no time.
// The core itself needs no such thing: it is told the time, and starts nothing.

package mqttcore_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"mqttcore"
)

// drive is a program's adapter, whole: it serves one connection, until that is
// over or the client is.
func drive(conn net.Conn, client *mqttcore.Client, told func(*mqttcore.Event)) error {
	defer conn.Close()
	drain := func() {
		for ev := new(mqttcore.Event); client.Next(ev); {
			told(ev)
		}
	}
	out, err := client.Connect(nil, time.Now())
	var in []byte
	for chunk := make([]byte, 4096); err == nil; {
		if len(out) > 0 {
			if _, err = conn.Write(out); err != nil {
				break
			}
			out = out[:0]
		}
		if client.State() == mqttcore.StateDisconnected {
			return nil
		}
		// The zero time is none, here as there. A deadline that has passed would
		// read nothing.
		deadline, soon := client.Deadline(), time.Now().Add(time.Millisecond)
		if client.More() || !deadline.IsZero() && deadline.Before(soon) {
			deadline = soon
		}
		if err = conn.SetReadDeadline(deadline); err != nil {
			break
		}
		read, failed := conn.Read(chunk)
		in = append(in, chunk[:read]...)
		if !errors.Is(failed, os.ErrDeadlineExceeded) {
			err = failed
		}
		now := time.Now()
		for n := -1; n != 0; in = in[n:] {
			out, n, _ = client.Receive(out, now, in)
			drain()
		}
		out = client.Tick(out, now)
		drain()
	}
	client.Lost(time.Now(), err)
	drain()
	return err
}

// TestExampleSynctest is an example that has to be a test, for a bubble wants a
// testing.T. The adapter keeps a connection alive for a day, with a ping every 30
// seconds, and gives it up when the broker, which the test plays, answers no
// more. The test waits for nothing of that.
func TestExampleSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, err := mqttcore.NewClient(mqttcore.Config{
			Version: mqttcore.V311, ClientID: []byte("cellar"), KeepAlive: 30, PingTimeout: 10 * time.Second}, nil)
		if err != nil {
			t.Fatal(err)
		}
		here, there := net.Pipe()
		defer there.Close()
		began, cause, driven := time.Now(), mqttcore.CauseNone, make(chan error, 1)
		go func() {
			driven <- drive(here, client, func(ev *mqttcore.Event) {
				if ev.Kind == mqttcore.EventClosed {
					cause = ev.Cause
				}
			})
		}()
		dialect := mqttcore.Dialect{Version: mqttcore.V311, From: mqttcore.FromClient}
		var in []byte
		// expect reads the next packet, which is to be of type p and to come at that
		// time.
		expect := func(p mqttcore.PacketType, after time.Duration) {
			t.Helper()
			for chunk := make([]byte, 100); ; {
				f, n, err := mqttcore.ConsumeFrame(in, dialect, 0)
				if err != nil {
					t.Fatal(err)
				}
				if n > 0 {
					in = in[n:]
					if at := time.Since(began); f.Type != p || at != after {
						t.Fatalf("%v after %v; want %v after %v", f.Type, at, p, after)
					}
					return
				}
				if n, err = there.Read(chunk); err != nil {
					t.Fatalf("%v after %v; want %v after %v", err, time.Since(began), p, after)
				}
				in = append(in, chunk[:n]...)
			}
		}
		say := func(packet string) {
			if _, err := io.WriteString(there, packet); err != nil {
				t.Fatal(err)
			}
		}

		expect(mqttcore.TypeConnect, 0)
		say("\x20\x02\x00\x00") // CONNACK
		alive := time.Duration(0)
		for alive < 24*time.Hour {
			alive += 30 * time.Second
			expect(mqttcore.TypePingReq, alive)
			say("\xD0\x00") // PINGRESP
		}
		expect(mqttcore.TypePingReq, alive+30*time.Second)
		if err := <-driven; err != nil {
			t.Errorf("the adapter ended with %v", err)
		}
		if at := time.Since(began) - alive; at != 40*time.Second || cause != mqttcore.CauseKeepAliveTimeout {
			t.Errorf("%v after the last answer: %v", at, cause)
		}
	})
}
