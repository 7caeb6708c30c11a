// Quickstart holds one conversation with an MQTT broker: it connects,
// subscribes, publishes at QoS 0, 1 and 2, waits until the three messages come
// back, and prints the exchange as a ladder.
//
//	go run ./examples/quickstart                           # a model broker in this process
//	go run ./examples/quickstart -broker 127.0.0.1:1883
//
// It shows the loop that a mqttcore.Client is made for. Function drive is that
// loop, whole, and there to be copied; what is said stands in converse.
package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"slices"
	"time"

	"mqttcore"
	"mqttcore/trace"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// drive is the loop around a client, from Connect to the end of the
// connection. It tells the events to on, whose commands append to out. The read
// buffer begins with size bytes, at least 5, and grows for a larger packet.
func drive(conn net.Conn, c *mqttcore.Client, size int, rec *trace.Recorder,
	on func(out []byte, now time.Time, ev *mqttcore.Event) []byte) error {
	now := time.Now()           // one time for all that a turn of the loop does
	in := make([]byte, 0, size) // received and not yet taken
	out, err := c.Connect(nil, now)
	if err != nil {
		return err
	}
	drain := func() {
		for ev := new(mqttcore.Event); c.Next(ev); {
			rec.Note(now, mqttcore.FromClient, ev.String())
			out = on(out, now, ev)
		}
	}
	for {
		// Write all that there is: what cannot be written loses the connection.
		conn.SetWriteDeadline(now.Add(10 * time.Second))
		n, err := conn.Write(out)
		rec.Sent(now, out[:n])
		if out = out[:0]; err != nil {
			c.Lost(now, err)
			drain()
		}
		if c.State() == mqttcore.StateDisconnected {
			return err
		}

		// Wait for input until the client's deadline, or, when more output
		// waits, just long enough to see whether there is any: a read whose
		// deadline has passed sees nothing, and the write may have taken long.
		deadline, soon := c.Deadline(), time.Now().Add(time.Millisecond)
		if c.More() || !deadline.IsZero() && deadline.Before(soon) {
			deadline = soon
		}
		conn.SetReadDeadline(deadline)
		n, err = conn.Read(in[len(in):cap(in)])
		now = time.Now()
		rec.Received(now, in[len(in):len(in)+n])

		// Take packet after packet. The events of one borrow its bytes, and
		// come before the next. A connection that is closed takes nothing.
		rest := in[:len(in)+n]
		for taken := -1; taken != 0; rest = rest[taken:] {
			out, taken, _ = c.Receive(out, now, rest)
			drain()
		}
		in = append(in[:0], rest...) // move the rest to the front
		if whole, _ := mqttcore.FrameSize(in); whole > cap(in) && c.State() != mqttcore.StateDisconnected {
			in = slices.Grow(in, whole-len(in)) // at most Config.MaxPacketSize
		}

		// Do what is due, and tell when the transport is gone.
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			c.Lost(now, err)
		}
		out = c.Tick(out, now)
		drain()
	}
}

// converse says what there is to say. Its error tells why it came to no end.
func converse(conn net.Conn, o *options, rec *trace.Recorder) (failed error) {
	id := []byte("quickstart-" + rand.Text()[:8])
	topic := append([]byte("mqttcore/"), id...)
	c, err := mqttcore.NewClient(mqttcore.Config{Version: mqttcore.Version(o.version),
		ClientID: id, CleanStart: true, KeepAlive: 30, MaxPacketSize: 1 << 20}, nil)
	if err != nil {
		return err
	}
	subs, _ := mqttcore.NewSubscriptions(mqttcore.Subscription{Filter: topic, QoS: mqttcore.QoS2})
	filters, _ := mqttcore.NewFilters(topic)
	awaited := map[string]bool{"QoS 0": true, "QoS 1": true, "QoS 2": true} // payloads
	leaving := false
	err = drive(conn, c, max(o.buffer, 5), rec, func(out []byte, now time.Time, ev *mqttcore.Event) []byte {
		var err error
		switch ev.Kind {
		case mqttcore.EventConnected:
			out, err = c.Subscribe(out, now, &mqttcore.Subscribe{Subscriptions: subs}, 0)
		case mqttcore.EventSubscribed:
			if mqttcore.ReasonCode(ev.Codes[0]).IsError() {
				err = errors.New(ev.String())
			}
			for q := mqttcore.QoS0; q <= mqttcore.QoS2 && err == nil; q++ {
				out, err = c.Publish(out, now, &mqttcore.Publish{Topic: topic, Payload: []byte(q.String()), QoS: q}, uint64(q))
			}
		case mqttcore.EventMessage:
			delete(awaited, string(ev.Message.Payload))
		case mqttcore.EventUnsubscribed:
			out, err = c.Disconnect(out, now, nil)
		case mqttcore.EventDropped, mqttcore.EventClosed:
			if ev.Cause != mqttcore.CauseLocalDisconnect {
				err = errors.New(ev.String())
			}
		}
		if !leaving && len(awaited) == 0 && c.Session().Len() == 0 && err == nil {
			leaving = true
			out, err = c.Unsubscribe(out, now, &mqttcore.Unsubscribe{Filters: filters}, 3)
		}
		if err != nil {
			failed = err
			out, _ = c.Disconnect(out, now, nil) // when there is still a connection
		}
		return out
	})
	return cmp.Or(failed, err)
}
