// This file holds the examples of the client. Brokers in them are the bytes
// that they say.

package mqttcore_test

import (
	"errors"
	"fmt"
	"time"

	"mqttcore"
)

// The whole loop around a Client. A program has a net.Conn where this one has
// lists of bytes, and the clock where this one counts.
func Example() {
	client, err := mqttcore.NewClient(mqttcore.Config{ClientID: []byte("cellar"), KeepAlive: 60}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Unix(0, 0)
	broker := []string{
		"\x20\x03\x00",     // the beginning of a CONNACK,
		"\x00\x00",         // and its end
		"\x40\x02\x00\x01", // PUBACK
	}
	var in []byte
	var ev mqttcore.Event
	out, err := client.Connect(nil, now)
	for err == nil {
		fmt.Printf("write [% x]\n", out) // conn.Write(out)
		out = out[:0]
		if client.State() == mqttcore.StateDisconnected {
			break
		}

		in = append(in, broker[0]...) // conn.Read, until client.Deadline()
		broker = broker[1:]
		now = now.Add(time.Millisecond)

		for n := -1; n != 0; in = in[n:] {
			out, n, _ = client.Receive(out, now, in)
			for client.Next(&ev) {
				fmt.Println(&ev)
				switch ev.Kind {
				case mqttcore.EventConnected:
					reading := mqttcore.Publish{Topic: []byte("cellar/celsius"), Payload: []byte("11"), QoS: mqttcore.QoS1}
					out, err = client.Publish(out, now, &reading, 77)
				case mqttcore.EventPublished:
					out, err = client.Disconnect(out, now, nil)
				}
			}
		}
		out = client.Tick(out, now)
	}
	// Output:
	// write [10 13 00 04 4d 51 54 54 05 00 00 3c 00 00 06 63 65 6c 6c 61 72]
	// write []
	// connected
	// write [32 15 00 0e 63 65 6c 6c 61 72 2f 63 65 6c 73 69 75 73 00 01 00 31 31]
	// published tag=77
	// closed: local disconnect
	// write [e0 00]
}

// connect makes a client and takes it through Connect and the given CONNACK.
func connect(cfg mqttcore.Config, s *mqttcore.Session, now time.Time, connack string) (*mqttcore.Client, error) {
	client, err := mqttcore.NewClient(cfg, s)
	if err != nil {
		return nil, err
	}
	if _, err := client.Connect(nil, now); err != nil {
		return nil, err
	}
	_, _, err = client.Receive(nil, now, []byte(connack))
	return client, err
}

// tell prints the events that wait.
func tell(client *mqttcore.Client) {
	for ev := new(mqttcore.Event); client.Next(ev); {
		fmt.Println(ev)
	}
}

// A client that goes on when its transport is lost: what was not acknowledged
// is sent again, and settled once.
func ExampleClient() {
	now := time.Unix(0, 0)
	cfg := mqttcore.Config{Version: mqttcore.V311, ClientID: []byte("me")}
	client, err := connect(cfg, nil, now, "\x20\x02\x00\x00")
	if err != nil {
		fmt.Println(err)
		return
	}
	tell(client)
	message := mqttcore.Publish{Topic: []byte("a"), Payload: []byte("once"), QoS: mqttcore.QoS2}
	out, err := client.Publish(nil, now, &message, 1)
	fmt.Printf("write [% x], error %v\n", out, err)

	client.Lost(now, errors.New("cable cut"))
	tell(client)

	out, err = client.Connect(nil, now)
	fmt.Printf("write [% x], error %v\n", out, err)
	for _, packet := range []string{
		"\x20\x02\x01\x00", // CONNACK, session present
		"\x50\x02\x00\x01", // PUBREC
		"\x70\x02\x00\x01", // PUBCOMP
	} {
		out, _, err = client.Receive(nil, now, []byte(packet))
		fmt.Printf("write [% x], error %v\n", out, err)
		tell(client)
	}
	// Output:
	// connected
	// write [34 09 00 01 61 00 01 6f 6e 63 65], error <nil>
	// closed: transport invalid, cable cut
	// write [10 0e 00 04 4d 51 54 54 04 00 00 00 00 02 6d 65], error <nil>
	// write [3c 09 00 01 61 00 01 6f 6e 63 65], error <nil>
	// connected session present
	// write [62 02 00 01], error <nil>
	// write [], error <nil>
	// published tag=1
}

// A Session outlives not only a connection but also its Client.
func ExampleSession() {
	now := time.Unix(0, 0)
	var session mqttcore.Session
	cfg := mqttcore.Config{Version: mqttcore.V311, ClientID: []byte("me")}
	client, err := mqttcore.NewClient(cfg, &session)
	if err != nil {
		fmt.Println(err)
		return
	}
	message := mqttcore.Publish{Topic: []byte("a"), Payload: []byte("hi"), QoS: mqttcore.QoS1}
	out, err := client.Publish(nil, now, &message, 5) // offline: it waits
	fmt.Printf("write [% x], error %v\n", out, err)
	fmt.Println("messages:", session.Len(), "established:", session.Established())

	cfg.KeepAlive = 30
	client, err = mqttcore.NewClient(cfg, &session)
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err = client.Connect(nil, now)
	fmt.Printf("write [% x], error %v\n", out, err)
	out, _, err = client.Receive(nil, now, []byte("\x20\x02\x00\x00"))
	fmt.Printf("write [% x], error %v\n", out, err)
	fmt.Println("messages:", session.Len(), "established:", session.Established())

	cfg.ClientID = []byte("another")
	_, err = mqttcore.NewClient(cfg, &session)
	fmt.Println(err)
	// Output:
	// write [], error <nil>
	// messages: 1 established: false
	// write [10 0e 00 04 4d 51 54 54 04 00 00 1e 00 02 6d 65], error <nil>
	// write [32 07 00 01 61 00 01 68 69], error <nil>
	// messages: 1 established: true
	// mqttcore: the session is of another client identifier
}

// A refusal has the same cause and code in every version.
func ExampleClient_Connect() {
	now := time.Unix(0, 0)
	for _, version := range []mqttcore.Version{mqttcore.V311, mqttcore.V5} {
		client, err := mqttcore.NewClient(mqttcore.Config{
			Version: version, ClientID: []byte("me"),
			Username: []byte("bob"), Password: []byte("secret"),
		}, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		out, err := client.Connect(nil, now)
		fmt.Printf("write %d bytes, error %v\n", len(out), err)
		_, err = client.Connect(nil, now)
		fmt.Println(err)
		refusal := "\x20\x02\x00\x04"
		if version == mqttcore.V5 {
			refusal = "\x20\x03\x00\x86\x00"
		}
		if _, _, err := client.Receive(nil, now, []byte(refusal)); err != nil {
			fmt.Println(err)
		}
		tell(client)
		fmt.Println(client.State())
	}
	// Output:
	// write 29 bytes, error <nil>
	// mqttcore: there is a connection already
	// closed: bad user name or password, Bad User Name or Password
	// disconnected
	// write 30 bytes, error <nil>
	// mqttcore: there is a connection already
	// closed: bad user name or password, Bad User Name or Password
	// disconnected
}

// The server takes one message at a time: the second waits in the session.
func ExampleClient_Publish() {
	now := time.Unix(0, 0)
	client, err := connect(mqttcore.Config{ClientID: []byte("me")}, nil, now,
		"\x20\x06\x00\x00\x03\x21\x00\x01") // Receive Maximum 1
	if err != nil {
		fmt.Println(err)
		return
	}
	tell(client)
	for i, payload := range []string{"first", "second"} {
		message := mqttcore.Publish{Topic: []byte("t"), Payload: []byte(payload), QoS: mqttcore.QoS1}
		out, err := client.Publish(nil, now, &message, uint64(i))
		fmt.Printf("write [% x], error %v, window %d\n", out, err, client.Window())
	}
	out, _, err := client.Receive(nil, now, []byte("\x40\x02\x00\x01")) // PUBACK
	fmt.Printf("write [% x], error %v, window %d\n", out, err, client.Window())
	tell(client)

	// What is not legal is refused; nothing changes, and nothing is written.
	out, err = client.Publish(nil, now, &mqttcore.Publish{Topic: []byte("t/#")}, 2)
	fmt.Printf("write [% x], error %v\n", out, err)
	// Output:
	// connected {Receive Maximum: 1}
	// write [32 0b 00 01 74 00 01 00 66 69 72 73 74], error <nil>, window 0
	// write [], error <nil>, window 0
	// write [32 0c 00 01 74 00 02 00 73 65 63 6f 6e 64], error <nil>, window 0
	// published tag=0
	// write [], error mqttcore: PUBLISH: topic name contains a wildcard (5.0:MQTT-3.3.2-2, Malformed Packet)
}

// Two subscriptions, the answer, and a message.
func ExampleClient_Subscribe() {
	now := time.Unix(0, 0)
	client, err := connect(mqttcore.Config{ClientID: []byte("me")}, nil, now, "\x20\x03\x00\x00\x00")
	if err != nil {
		fmt.Println(err)
		return
	}
	tell(client)
	subs, err := mqttcore.NewSubscriptions(
		mqttcore.Subscription{Filter: []byte("news/+"), QoS: mqttcore.QoS1},
		mqttcore.Subscription{Filter: []byte("secrets/#"), QoS: mqttcore.QoS2},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := client.Subscribe(nil, now, &mqttcore.Subscribe{Subscriptions: subs}, 9)
	fmt.Printf("write %d bytes, error %v\n", len(out), err)

	in := []byte("\x90\x05\x00\x01\x00\x01\x87" + // SUBACK: QoS 1, not authorized
		"\x32\x0d\x00\x06news/a\x00\x05\x00hi") // PUBLISH, identifier 5
	var ev mqttcore.Event
	for n := -1; n != 0; in = in[n:] {
		out, n, err = client.Receive(nil, now, in)
		fmt.Printf("write [% x], error %v\n", out, err)
		for client.Next(&ev) {
			switch ev.Kind {
			case mqttcore.EventSubscribed:
				for i, code := range ev.Codes {
					fmt.Println("filter", i, mqttcore.ReasonCode(code), mqttcore.ReasonCode(code).IsError())
				}
			case mqttcore.EventMessage:
				fmt.Printf("%s says %q\n", ev.Message.Topic, ev.Message.Payload)
			}
		}
	}
	// Output:
	// connected
	// write 26 bytes, error <nil>
	// write [], error <nil>
	// filter 0 Granted QoS 1 false
	// filter 1 Not authorized true
	// write [40 02 00 05], error <nil>
	// news/a says "hi"
	// write [], error <nil>
}

// A server that breaks the protocol is told so, and the caller learns which
// statement it broke.
func ExampleClient_Receive() {
	now := time.Unix(0, 0)
	client, err := connect(mqttcore.Config{ClientID: []byte("me")}, nil, now, "\x20\x03\x00\x00\x00")
	if err != nil {
		fmt.Println(err)
		return
	}
	tell(client)
	out, n, err := client.Receive(nil, now, []byte("\x36\x04\x00\x01t\x00")) // QoS 3
	fmt.Printf("write [% x], taken %d, error %v\n", out, n, err)
	var ev mqttcore.Event
	for client.Next(&ev) {
		var broken *mqttcore.Error
		if errors.As(ev.Err, &broken) {
			fmt.Println(ev.Cause, broken.Code, broken.Rule)
		}
	}
	_, _, err = client.Receive(nil, now, []byte("\xd0\x00"))
	fmt.Println(err)
	// Output:
	// connected
	// write [e0 01 81], taken 0, error <nil>
	// protocol violation Malformed Packet 5.0:MQTT-3.3.1-4
	// mqttcore: there is no connection to receive from
}

// Time is the caller's: the client says until when it can wait, and what is due
// then.
func ExampleClient_Tick() {
	now := time.Unix(0, 0)
	client, err := connect(mqttcore.Config{ClientID: []byte("me"), KeepAlive: 60}, nil, now, "\x20\x03\x00\x00\x00")
	if err != nil {
		fmt.Println(err)
		return
	}
	tell(client)
	for client.State() == mqttcore.StateConnected {
		fmt.Println("wait", client.Deadline().Sub(now))
		now = client.Deadline()
		out := client.Tick(nil, now)
		fmt.Printf("write [% x]\n", out)
		tell(client)
	}
	// Output:
	// connected
	// wait 1m0s
	// write [c0 00]
	// wait 10s
	// write []
	// closed: keep alive timeout
}

// DISCONNECT may say why, and have the server publish the will nevertheless.
func ExampleClient_Disconnect() {
	now := time.Unix(0, 0)
	client, err := connect(mqttcore.Config{
		ClientID: []byte("me"),
		Will:     &mqttcore.Will{Topic: []byte("status"), Payload: []byte("gone")},
	}, nil, now, "\x20\x03\x00\x00\x00")
	if err != nil {
		fmt.Println(err)
		return
	}
	tell(client)
	out, err := client.Disconnect(nil, now, &mqttcore.Disconnect{Code: mqttcore.ReasonDisconnectWithWill})
	fmt.Printf("write [% x], error %v\n", out, err)
	tell(client)
	// Output:
	// connected
	// write [e0 01 04], error <nil>
	// closed: local disconnect, Disconnect with Will Message
}

// An Event is read by its kind, and prints as a line.
func ExampleEvent() {
	ev := mqttcore.Event{Kind: mqttcore.EventDropped, Tag: 3, Why: mqttcore.DropRefused, Code: mqttcore.ReasonQuotaExceeded}
	fmt.Println(&ev)
	ev = mqttcore.Event{Kind: mqttcore.EventClosed, Cause: mqttcore.CauseServerDisconnect, Code: mqttcore.ReasonServerShuttingDown}
	fmt.Println(&ev)
	// Output:
	// dropped tag=3: refused, Quota exceeded
	// closed: server disconnect, Server shutting down
}
