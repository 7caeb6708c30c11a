// This file holds runnable examples of the codec.

package mqttcore_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"

	mqtt "mqttcore"
)

// A stream of bytes is taken apart frame by frame. Decoding into a struct that
// is used again allocates nothing.
func ExampleConsumeFrame() {
	stream := []byte("\x30\x0a\x00\x04roomwarm" + "\x30\x0a\x00\x04roomcold" + "\x30\x0a\x00")
	d := mqtt.Dialect{Version: mqtt.V311, From: mqtt.FromServer}

	var p mqtt.Publish
	for {
		f, n, err := mqtt.ConsumeFrame(stream, d, 1<<20)
		if err != nil {
			fmt.Println(err)
			return
		}
		if n == 0 {
			fmt.Println(len(stream), "bytes wait for the rest of their packet")
			return
		}
		stream = stream[n:]
		if f.Type == mqtt.TypePublish {
			if err := p.Decode(f, d); err != nil {
				fmt.Println(err)
				return
			}
			fmt.Printf("%s: %s\n", p.Topic, p.Payload)
		}
	}
	// Output:
	// room: warm
	// room: cold
	// 3 bytes wait for the rest of their packet
}

// A packet is appended to a buffer of the caller's, in any version.
func ExamplePublish_AppendTo() {
	p := mqtt.Publish{Topic: []byte("a/b"), Payload: []byte("hello"), QoS: mqtt.QoS1, ID: 10}
	for _, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
		b, err := p.AppendTo(nil, mqtt.Dialect{Version: v, From: mqtt.FromClient})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("% x\n", b)
	}
	// Output:
	// 32 0c 00 03 61 2f 62 00 0a 68 65 6c 6c 6f
	// 32 0d 00 03 61 2f 62 00 0a 00 68 65 6c 6c 6f
}

// A large payload need not be copied: the header goes before it.
func ExamplePublish_AppendHeader() {
	p := mqtt.Publish{Topic: []byte("a"), Payload: []byte("large!")}
	header, err := p.AppendHeader(nil, mqtt.Dialect{Version: mqtt.V311, From: mqtt.FromClient})
	if err != nil {
		fmt.Println(err)
		return
	}
	packet := net.Buffers{header, p.Payload}
	_, err = packet.WriteTo(hex.Dumper(os.Stdout))
	fmt.Println(err)
	// Output:
	// 00000000  30 09 00 01 61 6c 61 72  67 65 21 <nil>
}

// What may not be sent is refused, and the buffer comes back as it was.
func ExampleError() {
	p := mqtt.Publish{Topic: []byte("rooms/+"), Payload: []byte("x")}
	b, err := p.AppendTo([]byte("before"), mqtt.Dialect{Version: mqtt.V5, From: mqtt.FromClient})
	fmt.Printf("%s\n%v\n", b, err)

	var e *mqtt.Error
	if errors.As(err, &e) {
		fmt.Printf("%v, 0x%02X, %v\n", e.Type, uint8(e.Code), e.Rule)
	}
	// Output:
	// before
	// mqttcore: PUBLISH: topic name contains a wildcard (5.0:MQTT-3.3.2-2, Malformed Packet)
	// PUBLISH, 0x81, 5.0:MQTT-3.3.2-2
}

// Properties are built in their order, and read by getters or by an iterator.
func ExampleNewProperties() {
	p, err := mqtt.NewProperties(
		mqtt.ContentType("text/plain"),
		mqtt.MessageExpiry(60),
		mqtt.UserProperty("unit", "degree"),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	seconds, ok := p.MessageExpiry()
	fmt.Println(seconds, ok)
	for x := range p.All() {
		fmt.Println(x.ID)
	}
	// Output:
	// 60 true
	// Content Type
	// Message Expiry Interval
	// User Property
}

// A bridge rewrites one property and leaves all others as they came.
func ExampleProperties_AppendWithout() {
	in, err := mqtt.NewProperties(mqtt.TopicAlias(7), mqtt.UserProperty("k", "v"), mqtt.MessageExpiry(60))
	if err != nil {
		fmt.Println(err)
		return
	}
	drop := mqtt.PropTopicAlias.Mask() | mqtt.PropMessageExpiry.Mask()
	out, err := mqtt.ParseProperties(in.AppendWithout(nil, drop))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := out.Add(mqtt.MessageExpiry(59)); err != nil {
		fmt.Println(err)
		return
	}
	for x := range out.All() {
		fmt.Println(x.ID, x.Num)
	}
	// Output:
	// User Property 0
	// Message Expiry Interval 59
}

// A decoded packet borrows the bytes of its frame; of a clone it owns them.
func ExampleFrame_Clone() {
	d := mqtt.Dialect{Version: mqtt.V311, From: mqtt.FromServer}
	buffer := []byte("\x30\x04\x00\x01ax")
	f, _, err := mqtt.ConsumeFrame(buffer, d, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	var borrowed, owned mqtt.Publish
	if err := errors.Join(borrowed.Decode(f, d), owned.Decode(f.Clone(), d)); err != nil {
		fmt.Println(err)
		return
	}
	buffer[4] = 'z'
	fmt.Printf("%s %s\n", borrowed.Topic, owned.Topic)
	// Output: z a
}

// A server learns the version from the first packet, and answers what it cannot
// take.
func ExampleConnectVersion() {
	accept := func(b []byte) (answer []byte, err error) {
		d := mqtt.Dialect{Version: mqtt.V31, From: mqtt.FromClient} // forbids least in the fixed header
		f, n, err := mqtt.ConsumeFrame(b, d, 1000)
		if err != nil || n == 0 {
			return nil, err // n == 0: read more
		}
		v, err := mqtt.ConnectVersion(f)
		if err == nil {
			d.Version = v
			f, _, err = mqtt.ConsumeFrame(b, d, 1000)
		}
		var p mqtt.Connect
		if err == nil {
			err = p.Decode(f, d)
		}
		connAck := mqtt.ConnAck{Code: mqtt.ReasonSuccess}
		var e *mqtt.Error
		if errors.As(err, &e) {
			connAck.Code = e.Code // AppendTo refuses those that 3.x has no code for
		} else if err != nil {
			return nil, err // no CONNECT
		}
		answer, none := connAck.AppendTo(nil, mqtt.Dialect{Version: d.Version, From: mqtt.FromServer})
		return answer, errors.Join(err, none)
	}
	for _, in := range []string{
		"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03abc",
		"\x10\x0c\x00\x04MQTT\x04\x00\x00\x3c\x00\x00", // no identifier, and a session to keep
		"\x10\x0c\x00\x04MQTT\x09\x02\x00\x3c\x00\x00",
	} {
		answer, err := accept([]byte(in))
		fmt.Printf("% x\n", answer)
		if err != nil {
			fmt.Println("close:", err)
		}
	}
	// Output:
	// 20 03 00 00 00
	// 20 02 00 02
	// close: mqttcore: CONNECT: client identifier is one that the server must refuse (3.1.1:MQTT-3.1.3-8, Client Identifier not valid, byte 12)
	// 20 02 00 01
	// close: mqttcore: CONNECT: protocol level is not that of the version (5.0:MQTT-3.1.2-2, Unsupported Protocol Version, byte 8)
}

// A deviation seen in the field is tolerated by name.
func ExampleOptions() {
	b := []byte("\x42\x02\x00\x01") // PUBACK with the flags of QoS 1
	d := mqtt.Dialect{Version: mqtt.V311, From: mqtt.FromServer}
	_, _, err := mqtt.ConsumeFrame(b, d, 0)
	fmt.Println(err)

	d.Options = mqtt.AllowReservedFlags
	_, n, err := mqtt.ConsumeFrame(b, d, 0)
	fmt.Println(n, err)
	// Output:
	// mqttcore: PUBACK: reserved flags of the fixed header are set (3.1.1:MQTT-2.2.2-2, Malformed Packet)
	// 4 <nil>
}

// One subscription with all its options, as it stands on the wire.
func ExampleSubscribe() {
	list, err := mqtt.NewSubscriptions(mqtt.Subscription{
		Filter: []byte("a/#"), QoS: mqtt.QoS1, NoLocal: true, RetainHandling: mqtt.RetainSendIfNew,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	p := mqtt.Subscribe{ID: 1, Subscriptions: list}
	b, err := p.AppendTo(nil, mqtt.Dialect{Version: mqtt.V5, From: mqtt.FromClient})
	fmt.Printf("% x %v\n", b, err)
	// Output: 82 09 00 01 00 00 03 61 2f 23 15 <nil>
}

func ExampleMatch() {
	for _, filter := range []string{"#", "$SYS/+", "a/+/c", "a/b/c/#", "$share/workers/a/#"} {
		fmt.Println(filter, mqtt.Match([]byte(filter), []byte("a/b/c")))
	}
	// Output:
	// # true
	// $SYS/+ false
	// a/+/c true
	// a/b/c/# true
	// $share/workers/a/# true
}

func ExampleSplitShared() {
	group, filter, ok := mqtt.SplitShared([]byte("$share/workers/a/#"))
	fmt.Printf("%s %s %v\n", group, filter, ok)
	// Output: workers a/# true
}

func ExampleReasonCode() {
	c := mqtt.ReasonNotAuthorized
	old, ok := c.ReturnCode()
	fmt.Println(c, c.IsError(), old, ok)
	fmt.Println(c.AllowedIn(mqtt.TypePubAck, mqtt.FromServer), c.AllowedIn(mqtt.TypePubRel, mqtt.FromServer))
	// Output:
	// Not authorized true 5 true
	// true false
}
