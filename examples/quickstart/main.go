// Quickstart holds one conversation with an MQTT broker: it connects,
// subscribes, publishes at QoS 0, 1 and 2, waits until the three messages come
// back, and prints the exchange as a ladder.
//
//	go run ./examples/quickstart                           # a model broker in this process
//	go run ./examples/quickstart -broker 127.0.0.1:1883
//
// Function drive is the loop that a mqttcore.Client is made for, whole, and
// there to be copied; what is said stands in converse.
package main

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"mqttcore"
	"mqttcore/sim"
	"mqttcore/trace"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// drive is the loop around a client, from Connect to the end of the connection.
// It tells each event to on, whose commands append to out. The read buffer
// begins with size bytes, at least 5, and grows for a larger packet.
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

		// Read until the client's deadline, or, when it has more to write, only
		// what is there. A read whose deadline has passed would see nothing.
		deadline, soon := c.Deadline(), time.Now().Add(time.Millisecond)
		if c.More() || !deadline.IsZero() && deadline.Before(soon) {
			deadline = soon
		}
		conn.SetReadDeadline(deadline)
		n, err = conn.Read(in[len(in):cap(in)])
		now = time.Now()
		rec.Received(now, in[len(in):len(in)+n])

		// Take packet after packet, and the events of each, which borrow its
		// bytes, before the next. Then move the rest to the front.
		rest := in[:len(in)+n]
		for taken := -1; taken != 0; rest = rest[taken:] {
			out, taken, _ = c.Receive(out, now, rest) // closed, it takes nothing
			drain()
		}
		in = append(in[:0], rest...)
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

// converse says what there is to say, until the awaited payloads have come back.
// Its error tells why it came to no end.
func converse(conn net.Conn, version mqttcore.Version, size int, rec *trace.Recorder) (failed error) {
	id := []byte("quickstart-" + rand.Text()[:8])
	c, err := mqttcore.NewClient(mqttcore.Config{
		Version: version, ClientID: id, CleanStart: true, KeepAlive: 30, MaxPacketSize: 1 << 20}, nil)
	if err != nil {
		return err
	}
	topic := append([]byte("mqttcore/"), id...)
	subs, _ := mqttcore.NewSubscriptions(mqttcore.Subscription{Filter: topic, QoS: mqttcore.QoS2})
	awaited := map[string]bool{"QoS 0": true, "QoS 1": true, "QoS 2": true}
	err = drive(conn, c, size, rec, func(out []byte, now time.Time, ev *mqttcore.Event) []byte {
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
		case mqttcore.EventDropped, mqttcore.EventClosed:
			if ev.Cause != mqttcore.CauseLocalDisconnect {
				err = errors.New(ev.String())
			}
		}
		failed = cmp.Or(err, failed) // the last says why it is over
		if failed != nil || len(awaited) == 0 && c.Session().Len() == 0 {
			out, _ = c.Disconnect(out, now, nil) // it fails where the connection is over
		}
		return out
	})
	return cmp.Or(failed, err)
}

// run is the command, its line and the connection that it asks for.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(stderr)
	broker := flags.String("broker", "", "`address` of the broker; without it, a model broker in this process")
	version := flags.Uint("v", 5, "protocol `version`: 3 for 3.1, 4 for 3.1.1, 5 for 5.0")
	secure := flags.Bool("tls", false, "speak TLS; needs -broker")
	insecure := flags.Bool("insecure", false, "with -tls, take any certificate")
	buffer := flags.Int("buffer", 4096, "`bytes` that the read buffer begins with")
	timeout := flags.Duration("timeout", 30*time.Second, "how long all of it may take")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case *version < 3 || *version > 5 || *secure && *broker == "" || flags.NArg() > 0:
		fmt.Fprintln(stderr, "quickstart: -v is 3, 4 or 5, -tls needs -broker, and nothing follows the flags")
		return 2
	}
	var conn net.Conn
	var err error
	switch dialer := (&net.Dialer{Timeout: *timeout}); {
	case *broker == "":
		conn = sim.Pipe(sim.NewBroker(sim.BrokerConfig{}))
	case *secure:
		conn, err = tls.DialWithDialer(dialer, "tcp", *broker, &tls.Config{InsecureSkipVerify: *insecure})
	default:
		conn, err = dialer.Dial("tcp", *broker)
	}
	if err != nil {
		fmt.Fprintln(stderr, "quickstart: cannot reach a broker:", err)
		return 1
	}
	defer conn.Close()
	alarm := time.AfterFunc(*timeout, func() { conn.Close() })
	var rec trace.Recorder
	err = converse(conn, mqttcore.Version(*version), max(*buffer, 5), &rec)
	fmt.Fprint(stdout, rec.Ladder())
	if !alarm.Stop() {
		err = fmt.Errorf("not done within %v", *timeout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "quickstart:", err)
		return 1
	}
	return 0
}
