// This file measures the codec: one benchmark a row of docs/performance.md,
// and the floors that they are judged against. It checks nothing.

package mqttcore

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

// The dialects of the benchmarks: what a client sends and what it receives.
var (
	client311 = Dialect{Version: V311, From: FromClient}
	client5   = Dialect{Version: V5, From: FromClient}
	server311 = Dialect{Version: V311, From: FromServer}
	server5   = Dialect{Version: V5, From: FromServer}
)

const (
	benchTopic  = "building/7/floor/3/temperature"
	benchFilter = "building/7/floor/3/+/#"
)

// benchPayload is a payload of n bytes.
func benchPayload(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func mustProperties(ps ...Property) Properties {
	p, err := NewProperties(ps...)
	if err != nil {
		panic(err)
	}
	return p
}

func mustAppend(p Packet, d Dialect) []byte {
	b, err := p.AppendTo(nil, d)
	if err != nil {
		panic(err)
	}
	return b
}

func benchPublishQoS0() *Publish {
	return &Publish{Topic: []byte(benchTopic), Payload: benchPayload(64)}
}

func benchPublishProps() *Publish {
	return &Publish{Topic: []byte(benchTopic), Payload: benchPayload(64), QoS: QoS1, ID: 4711, Props: mustProperties(
		PayloadFormat(0),
		MessageExpiry(3600),
		ContentType("application/json"),
		ResponseTopic("building/7/answers"),
		CorrelationData("0123456789abcdef"),
		UserProperty("unit", "celsius"),
	)}
}

func benchConnect() *Connect {
	return &Connect{
		ClientID: []byte("sensor-7-3-0001"), CleanStart: true, KeepAlive: 60,
		Username: []byte("sensor"), Password: []byte("correct horse battery"),
		Will:  Will{Topic: []byte("building/7/floor/3/status"), Payload: []byte("offline"), QoS: QoS1, Retain: true, Props: mustProperties(WillDelay(30))},
		Props: mustProperties(SessionExpiry(3600), ReceiveMaximum(100), MaximumPacketSize(1<<20), UserProperty("model", "T1000")),
	}
}

// benchConnAck has each of the seventeen properties of CONNACK once.
func benchConnAck() *ConnAck {
	return &ConnAck{SessionPresent: false, Props: mustProperties(
		SessionExpiry(3600), ReceiveMaximum(100), MaximumQoS(1), RetainAvailable(1), MaximumPacketSize(1<<20),
		AssignedClientID("auto-0123456789"), TopicAliasMaximum(16), ReasonString("welcome"), UserProperty("region", "north"),
		WildcardAvailable(1), SubscriptionIDsAvailable(1), SharedAvailable(1), ServerKeepAlive(60),
		ResponseInfo("answers/0123"), ServerReference("other:1883"), AuthMethod("SCRAM-SHA-256"), AuthData("0123456789abcdef"),
	)}
}

func benchSubscribe() *Subscribe {
	p := &Subscribe{ID: 4711, Props: mustProperties(SubscriptionID(7))}
	for i := range 8 {
		s := Subscription{Filter: []byte(benchFilter), QoS: QoS(i % 3), RetainAsPublished: i&1 == 1}
		s.Filter[len("building/7/floor/")] = byte('0' + i)
		if err := p.Subscriptions.Add(s); err != nil {
			panic(err)
		}
	}
	return p
}

func benchPubAck() *Ack { return &Ack{Type: TypePubAck, ID: 4711} }

// The loops are written out once for each packet type, so that no call goes
// through an interface. They count to b.N: [testing.B.Loop] keeps every result
// of a call alive, and stores a frame and an error for it, which takes as long
// as a fifth of decoding a PUBACK. No call here can be optimised away: each is
// too large to be inlined.

func BenchmarkDecode(b *testing.B) {
	b.Run("publish-qos0-311", func(b *testing.B) { decodePublish(b, benchPublishQoS0(), server311) })
	b.Run("publish-qos0-50", func(b *testing.B) { decodePublish(b, benchPublishQoS0(), server5) })
	b.Run("publish-qos1-50-props6", func(b *testing.B) { decodePublish(b, benchPublishProps(), server5) })
	b.Run("connect-50-will", func(b *testing.B) { decodeConnect(b, benchConnect(), client5) })
	b.Run("connack-50-props17", func(b *testing.B) { decodeConnAck(b, benchConnAck(), server5) })
	b.Run("subscribe-50-8", func(b *testing.B) { decodeSubscribe(b, benchSubscribe(), client5) })
	b.Run("puback-311", func(b *testing.B) { decodeAck(b, benchPubAck(), server311) })
	b.Run("puback-50", func(b *testing.B) { decodeAck(b, benchPubAck(), server5) })
}

func BenchmarkEncode(b *testing.B) {
	b.Run("publish-qos0-311", func(b *testing.B) { encodePublish(b, benchPublishQoS0(), client311) })
	b.Run("publish-qos0-50", func(b *testing.B) { encodePublish(b, benchPublishQoS0(), client5) })
	b.Run("publish-qos1-50-props6", func(b *testing.B) { encodePublish(b, benchPublishProps(), client5) })
	b.Run("connect-50-will", func(b *testing.B) { encodeConnect(b, benchConnect(), client5) })
	b.Run("connack-50-props17", func(b *testing.B) { encodeConnAck(b, benchConnAck(), server5) })
	b.Run("subscribe-50-8", func(b *testing.B) { encodeSubscribe(b, benchSubscribe(), client5) })
	b.Run("puback-311", func(b *testing.B) { encodeAck(b, benchPubAck(), client311) })
	b.Run("puback-50", func(b *testing.B) { encodeAck(b, benchPubAck(), client5) })
}

func decodePublish(b *testing.B, from *Publish, d Dialect) {
	b.ReportAllocs()
	wire := mustAppend(from, d)
	var p Publish
	b.ResetTimer()
	for range b.N {
		f, _, err := ConsumeFrame(wire, d, 0)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Decode(f, d); err != nil {
			b.Fatal(err)
		}
	}
}

func decodeConnect(b *testing.B, from *Connect, d Dialect) {
	b.ReportAllocs()
	wire := mustAppend(from, d)
	var p Connect
	b.ResetTimer()
	for range b.N {
		f, _, err := ConsumeFrame(wire, d, 0)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Decode(f, d); err != nil {
			b.Fatal(err)
		}
	}
}

func decodeConnAck(b *testing.B, from *ConnAck, d Dialect) {
	b.ReportAllocs()
	wire := mustAppend(from, d)
	var p ConnAck
	b.ResetTimer()
	for range b.N {
		f, _, err := ConsumeFrame(wire, d, 0)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Decode(f, d); err != nil {
			b.Fatal(err)
		}
	}
}

func decodeSubscribe(b *testing.B, from *Subscribe, d Dialect) {
	b.ReportAllocs()
	wire := mustAppend(from, d)
	var p Subscribe
	b.ResetTimer()
	for range b.N {
		f, _, err := ConsumeFrame(wire, d, 0)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Decode(f, d); err != nil {
			b.Fatal(err)
		}
	}
}

func decodeAck(b *testing.B, from *Ack, d Dialect) {
	b.ReportAllocs()
	wire := mustAppend(from, d)
	var p Ack
	b.ResetTimer()
	for range b.N {
		f, _, err := ConsumeFrame(wire, d, 0)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.Decode(f, d); err != nil {
			b.Fatal(err)
		}
	}
}

func encodePublish(b *testing.B, p *Publish, d Dialect) {
	b.ReportAllocs()
	buf := make([]byte, 0, 4096)
	b.ResetTimer()
	for range b.N {
		if _, err := p.AppendTo(buf, d); err != nil {
			b.Fatal(err)
		}
	}
}

func encodeConnect(b *testing.B, p *Connect, d Dialect) {
	b.ReportAllocs()
	buf := make([]byte, 0, 4096)
	b.ResetTimer()
	for range b.N {
		if _, err := p.AppendTo(buf, d); err != nil {
			b.Fatal(err)
		}
	}
}

func encodeConnAck(b *testing.B, p *ConnAck, d Dialect) {
	b.ReportAllocs()
	buf := make([]byte, 0, 4096)
	b.ResetTimer()
	for range b.N {
		if _, err := p.AppendTo(buf, d); err != nil {
			b.Fatal(err)
		}
	}
}

func encodeSubscribe(b *testing.B, p *Subscribe, d Dialect) {
	b.ReportAllocs()
	buf := make([]byte, 0, 4096)
	b.ResetTimer()
	for range b.N {
		if _, err := p.AppendTo(buf, d); err != nil {
			b.Fatal(err)
		}
	}
}

func encodeAck(b *testing.B, p *Ack, d Dialect) {
	b.ReportAllocs()
	buf := make([]byte, 0, 4096)
	b.ResetTimer()
	for range b.N {
		if _, err := p.AppendTo(buf, d); err != nil {
			b.Fatal(err)
		}
	}
}

const (
	streamPackets = 1000
	streamBytes   = 1 << 20
)

// benchStream is what a busy client receives: of ten packets seven are PUBLISH
// at QoS 0, 1 and 2, with payloads of 64 bytes to about 5 KiB, and three are
// acknowledgements. In 5.0 every second PUBLISH has properties. It is exactly
// streamBytes long: the last PUBLISH fills it up.
func benchStream(d Dialect) []byte {
	acks := [...]Packet{
		&Ack{Type: TypePubAck, ID: 1},
		&Ack{Type: TypePubRec, ID: 2},
		&Ack{Type: TypePubRel, ID: 3},
		&Ack{Type: TypePubComp, ID: 4},
		&SubAck{ID: 5, Codes: []byte{0, 1, 2}},
		&Ack{Type: TypePubAck, ID: 6},
		&Ping{Type: TypePingResp},
	}
	sizes := [...]int{64, 200, 1200, 400, 64, 3000, 800, 64, 5200, 2850}
	props := [...]Properties{
		{},
		mustProperties(MessageExpiry(60), ContentType("text/plain")),
		{},
		mustProperties(TopicAlias(3), UserProperty("unit", "celsius")),
	}
	var b []byte
	publishes := 0
	for i := range streamPackets - 1 {
		if i%10 >= 7 {
			b = append(b, mustAppend(acks[i%len(acks)], d)...)
			continue
		}
		p := &Publish{Topic: []byte(benchTopic), Payload: benchPayload(sizes[publishes%len(sizes)]), QoS: QoS(publishes % 3)}
		if p.QoS != QoS0 {
			p.ID = uint16(i + 1)
		}
		if d.Version == V5 {
			p.Props = props[publishes%len(props)]
		}
		b = append(b, mustAppend(p, d)...)
		publishes++
	}
	last := &Publish{Topic: []byte(benchTopic)}
	for len(b)+last.Size(d) < streamBytes {
		last.Payload = make([]byte, len(last.Payload)+streamBytes-len(b)-last.Size(d))
	}
	return append(b, mustAppend(last, d)...)
}

// decodeInto keeps a struct of each type that a client receives in a stream.
type decodeInto struct {
	publish  Publish
	ack      Ack
	subAck   SubAck
	unsubAck UnsubAck
	ping     Ping
}

// decode decodes f into the struct of its type.
func (s *decodeInto) decode(f Frame, d Dialect) error {
	switch f.Type {
	case TypePublish:
		return s.publish.Decode(f, d)
	case TypePubAck, TypePubRec, TypePubRel, TypePubComp:
		return s.ack.Decode(f, d)
	case TypeSubAck:
		return s.subAck.Decode(f, d)
	case TypeUnsubAck:
		return s.unsubAck.Decode(f, d)
	case TypePingResp:
		return s.ping.Decode(f, d)
	}
	return ErrPacketType
}

func BenchmarkStream(b *testing.B) {
	b.Run("311", func(b *testing.B) { decodeStream(b, server311) })
	b.Run("50", func(b *testing.B) { decodeStream(b, server5) })
}

func decodeStream(b *testing.B, d Dialect) {
	stream := benchStream(d)
	b.ReportAllocs()
	b.SetBytes(int64(len(stream)))
	var into decodeInto
	b.ResetTimer()
	for range b.N {
		packets := 0
		for in := stream; len(in) > 0; packets++ {
			f, n, err := ConsumeFrame(in, d, 0)
			if err == nil {
				err = into.decode(f, d)
			}
			if err != nil || n == 0 {
				b.Fatal(n, err)
			}
			in = in[n:]
		}
		if packets != streamPackets {
			b.Fatal(packets)
		}
	}
}

// walkHeader is the least that reading a packet can cost: it takes type and
// remaining length, and of a PUBLISH it finds and checks the topic.
//
//go:noinline
func walkHeader(b []byte) (n int, topic []byte, ok bool) {
	size, i := 0, 1
	for shift := 0; ; shift += 7 {
		c := b[i]
		i++
		size |= int(c&0x7F) << shift
		if c < 0x80 {
			break
		}
	}
	if b[0]>>4 != byte(TypePublish) {
		return i + size, nil, true
	}
	end := i + 2 + int(b[i])<<8 + int(b[i+1])
	topic = b[i+2 : end]
	return i + size, topic, utf8.Valid(topic)
}

// BenchmarkFloor is what the rows above are judged against, in the same run.
func BenchmarkFloor(b *testing.B) {
	b.Run("walk-publish-qos0-311", func(b *testing.B) { walkStream(b, mustAppend(benchPublishQoS0(), server311)) })
	b.Run("walk-puback-311", func(b *testing.B) { walkStream(b, mustAppend(benchPubAck(), server311)) })
	b.Run("walk-stream-311", func(b *testing.B) { walkStream(b, benchStream(server311)) })
	b.Run("walk-stream-50", func(b *testing.B) { walkStream(b, benchStream(server5)) })
	b.Run("memcpy-publish-qos0-311", func(b *testing.B) { copyBytes(b, mustAppend(benchPublishQoS0(), client311)) })
	b.Run("memcpy-publish-qos1-50-props6", func(b *testing.B) { copyBytes(b, mustAppend(benchPublishProps(), client5)) })
	b.Run("memcpy-connect-50-will", func(b *testing.B) { copyBytes(b, mustAppend(benchConnect(), client5)) })
	b.Run("memcpy-connack-50-props17", func(b *testing.B) { copyBytes(b, mustAppend(benchConnAck(), server5)) })
	b.Run("memcpy-subscribe-50-8", func(b *testing.B) { copyBytes(b, mustAppend(benchSubscribe(), client5)) })
	b.Run("memcpy-puback-311", func(b *testing.B) { copyBytes(b, mustAppend(benchPubAck(), client311)) })
}

func walkStream(b *testing.B, stream []byte) {
	b.ResetTimer()
	for range b.N {
		for in := stream; len(in) > 0; {
			n, _, ok := walkHeader(in)
			if !ok {
				b.Fatal("topic")
			}
			in = in[n:]
		}
	}
}

func copyBytes(b *testing.B, src []byte) {
	buf := make([]byte, 0, 4096)
	b.ResetTimer()
	for range b.N {
		buf = append(buf[:0], src...)
	}
	if !bytes.Equal(buf, src) {
		b.Fatal("copy")
	}
}
