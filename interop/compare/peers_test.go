// This file holds the libraries that are compared, each called as its own
// users call it. Which packets they are given is in packets_test.go.

package compare

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	gomqtt "github.com/256dpi/gomqtt/packet"
	vlapi "github.com/VolantMQ/vlapi/mqttp"
	paho5 "github.com/eclipse/paho.golang/packets"
	paho3 "github.com/eclipse/paho.mqtt.golang/packets"
	mochi "github.com/mochi-mqtt/server/v2/packets"

	"mqttcore"
)

// A library is one codec. The functions that decode and encode return are what
// is timed; all that can be kept from one packet to the next is kept in them.
type library struct {
	name   string
	module string // empty: the core
	manner string // how it goes about it
	speaks []mqttcore.Version
	// decode returns a function that decodes all packets of a stream and counts
	// them.
	decode func(d mqttcore.Dialect) func(stream []byte) (packets int, err error)
	// encode decodes the one packet in wire and returns a function that encodes
	// what was decoded. The bytes hold until the next call. nil: not measured.
	encode func(d mqttcore.Dialect, wire []byte) (func() ([]byte, error), error)
}

var (
	only3   = []mqttcore.Version{mqttcore.V31, mqttcore.V311}
	only311 = []mqttcore.Version{mqttcore.V311}
	only5   = []mqttcore.Version{mqttcore.V5}
	all     = []mqttcore.Version{mqttcore.V31, mqttcore.V311, mqttcore.V5}
)

const core = "mqttcore"

// libraries has the core first: it is what the others are compared with. What
// each of them checks is shown by faults_test.go.
var libraries = []library{
	{
		name: core, speaks: all, decode: decodeCore, encode: encodeCore,
		manner: "What it decodes aliases the input. It is as strict in encoding as in decoding. A packet holds its properties and filters as they are on the wire.",
	},
	{
		name: "mqttcore(built)", speaks: only5, encode: buildCore,
		manner: "The same, with properties and filters put into the packet anew each time.",
	},
	{
		name: "mochi", module: "github.com/mochi-mqtt/server/v2", speaks: all, decode: decodeMochi, encode: encodeMochi,
		manner: "What it decodes aliases the input; its server copies each packet before, which is not done here. " +
			"It checks more in functions named Validate, which its server calls afterwards and which are not called here. It encodes through pooled buffers.",
	},
	{
		name: "paho.golang", module: "github.com/eclipse/paho.golang", speaks: only5, decode: decodePaho5, encode: encodePaho5,
		manner: "It reads from an io.Reader, copies, and writes several buffers to an io.Writer.",
	},
	{
		name: "paho.mqtt.golang", module: "github.com/eclipse/paho.mqtt.golang", speaks: only311, decode: decodePaho3, encode: encodePaho3,
		manner: "It reads from an io.Reader, copies, and writes to an io.Writer.",
	},
	{
		name: "gomqtt", module: "github.com/256dpi/gomqtt", speaks: only3, decode: decodeGomqtt, encode: encodeGomqtt,
		manner: "It copies strings and payload, and encodes into a slice.",
	},
	{
		name: "vlapi", module: "github.com/VolantMQ/vlapi", speaks: all, decode: decodeVlapi, encode: encodeVlapi,
		manner: "It copies topic and payload, keeps properties in a map, checks topics with regular expressions, and encodes into a slice.",
	},
}

// into is one packet of each type, used again and again, as a program keeps
// them that does not want to allocate.
type into struct {
	connect     mqttcore.Connect
	connAck     mqttcore.ConnAck
	publish     mqttcore.Publish
	ack         mqttcore.Ack
	subscribe   mqttcore.Subscribe
	subAck      mqttcore.SubAck
	unsubscribe mqttcore.Unsubscribe
	unsubAck    mqttcore.UnsubAck
	ping        mqttcore.Ping
	disconnect  mqttcore.Disconnect
	auth        mqttcore.Auth
}

func (p *into) decode(f mqttcore.Frame, d mqttcore.Dialect) error {
	switch f.Type {
	case mqttcore.TypeConnect:
		return p.connect.Decode(f, d)
	case mqttcore.TypeConnAck:
		return p.connAck.Decode(f, d)
	case mqttcore.TypePublish:
		return p.publish.Decode(f, d)
	case mqttcore.TypePubAck, mqttcore.TypePubRec, mqttcore.TypePubRel, mqttcore.TypePubComp:
		return p.ack.Decode(f, d)
	case mqttcore.TypeSubscribe:
		return p.subscribe.Decode(f, d)
	case mqttcore.TypeSubAck:
		return p.subAck.Decode(f, d)
	case mqttcore.TypeUnsubscribe:
		return p.unsubscribe.Decode(f, d)
	case mqttcore.TypeUnsubAck:
		return p.unsubAck.Decode(f, d)
	case mqttcore.TypePingReq, mqttcore.TypePingResp:
		return p.ping.Decode(f, d)
	case mqttcore.TypeDisconnect:
		return p.disconnect.Decode(f, d)
	}
	return p.auth.Decode(f, d)
}

func decodeCore(d mqttcore.Dialect) func([]byte) (int, error) {
	p := new(into)
	return func(in []byte) (packets int, err error) {
		for ; len(in) > 0; packets++ {
			f, n, err := mqttcore.ConsumeFrame(in, d, 0)
			if err == nil && n == 0 {
				err = io.ErrUnexpectedEOF
			}
			if err == nil {
				err = p.decode(f, d)
			}
			if err != nil {
				return packets, err
			}
			in = in[n:]
		}
		return packets, nil
	}
}

// decodeOne decodes the one packet in wire with the core.
func decodeOne(d mqttcore.Dialect, wire []byte) (mqttcore.Packet, error) {
	f, n, err := mqttcore.ConsumeFrame(wire, d, 0)
	if err == nil && n != len(wire) {
		err = fmt.Errorf("a packet of %d bytes in %d", n, len(wire))
	}
	if err != nil {
		return nil, err
	}
	return mqttcore.Decode(f, d)
}

func encodeCore(d mqttcore.Dialect, wire []byte) (func() ([]byte, error), error) {
	p, err := decodeOne(d, wire)
	buf := make([]byte, 0, 4096)
	return func() ([]byte, error) { return p.AppendTo(buf, d) }, err
}

// A rebuilder makes a list of a packet anew from its parts.
type rebuilder func() error

func rebuildProperties(p *mqttcore.Properties) rebuilder {
	var parts []mqttcore.Property
	for x := range p.All() {
		parts = append(parts, x)
	}
	own := new(mqttcore.Properties)
	return func() error {
		own.Reset()
		for _, x := range parts {
			if err := own.Add(x); err != nil {
				return err
			}
		}
		*p = *own
		return nil
	}
}

func rebuildSubscriptions(l *mqttcore.Subscriptions) rebuilder {
	var parts []mqttcore.Subscription
	for s := range l.All() {
		parts = append(parts, s)
	}
	own := new(mqttcore.Subscriptions)
	return func() error {
		own.Reset()
		for _, s := range parts {
			if err := own.Add(s); err != nil {
				return err
			}
		}
		*l = *own
		return nil
	}
}

// buildCore is encodeCore for packets with lists, which are made anew each
// time.
func buildCore(d mqttcore.Dialect, wire []byte) (func() ([]byte, error), error) {
	p, err := decodeOne(d, wire)
	if err != nil {
		return nil, err
	}
	var rebuild []rebuilder
	switch p := p.(type) {
	case *mqttcore.Connect:
		rebuild = []rebuilder{rebuildProperties(&p.Props), rebuildProperties(&p.Will.Props)}
	case *mqttcore.ConnAck:
		rebuild = []rebuilder{rebuildProperties(&p.Props)}
	case *mqttcore.Publish:
		rebuild = []rebuilder{rebuildProperties(&p.Props)}
	case *mqttcore.Subscribe:
		rebuild = []rebuilder{rebuildProperties(&p.Props), rebuildSubscriptions(&p.Subscriptions)}
	default:
		return nil, nil
	}
	buf := make([]byte, 0, 4096)
	return func() ([]byte, error) {
		for _, f := range rebuild {
			if err := f(); err != nil {
				return nil, err
			}
		}
		return p.AppendTo(buf, d)
	}, nil
}

// readMochi reads the next packet as mochi's server does, from what is behind
// r in in, but without its copy of the bytes.
func readMochi(r *bytes.Reader, in []byte, d mqttcore.Dialect, pk *mochi.Packet) error {
	*pk = mochi.Packet{ProtocolVersion: byte(d.Version)}
	first, err := r.ReadByte()
	if err != nil {
		return err
	}
	if err := pk.FixedHeader.Decode(first); err != nil {
		return err
	}
	if pk.FixedHeader.Remaining, _, err = mochi.DecodeLength(r); err != nil {
		return err
	}
	start := len(in) - r.Len()
	if pk.FixedHeader.Remaining > r.Len() {
		return io.ErrUnexpectedEOF
	}
	body := in[start : start+pk.FixedHeader.Remaining]
	if _, err := r.Seek(int64(len(body)), io.SeekCurrent); err != nil {
		return err
	}
	switch pk.FixedHeader.Type {
	case mochi.Connect:
		return pk.ConnectDecode(body)
	case mochi.Connack:
		return pk.ConnackDecode(body)
	case mochi.Publish:
		return pk.PublishDecode(body)
	case mochi.Puback:
		return pk.PubackDecode(body)
	case mochi.Pubrec:
		return pk.PubrecDecode(body)
	case mochi.Pubrel:
		return pk.PubrelDecode(body)
	case mochi.Pubcomp:
		return pk.PubcompDecode(body)
	case mochi.Subscribe:
		return pk.SubscribeDecode(body)
	case mochi.Suback:
		return pk.SubackDecode(body)
	case mochi.Unsubscribe:
		return pk.UnsubscribeDecode(body)
	case mochi.Unsuback:
		return pk.UnsubackDecode(body)
	case mochi.Pingreq:
		return pk.PingreqDecode(body)
	case mochi.Pingresp:
		return pk.PingrespDecode(body)
	case mochi.Disconnect:
		return pk.DisconnectDecode(body)
	case mochi.Auth:
		return pk.AuthDecode(body)
	}
	return mochi.ErrNoValidPacketAvailable
}

func decodeMochi(d mqttcore.Dialect) func([]byte) (int, error) {
	r, pk := new(bytes.Reader), new(mochi.Packet)
	return func(in []byte) (packets int, err error) {
		for r.Reset(in); r.Len() > 0; packets++ {
			if err := readMochi(r, in, d, pk); err != nil {
				return packets, err
			}
		}
		return packets, nil
	}
}

func encodeMochi(d mqttcore.Dialect, wire []byte) (func() ([]byte, error), error) {
	pk := new(mochi.Packet)
	err := readMochi(bytes.NewReader(wire), wire, d, pk)
	pk.Mods.AllowResponseInfo = true
	encode := map[byte]func(*bytes.Buffer) error{
		mochi.Connect: pk.ConnectEncode, mochi.Connack: pk.ConnackEncode, mochi.Publish: pk.PublishEncode,
		mochi.Puback: pk.PubackEncode, mochi.Pubrec: pk.PubrecEncode, mochi.Pubrel: pk.PubrelEncode, mochi.Pubcomp: pk.PubcompEncode,
		mochi.Subscribe: pk.SubscribeEncode, mochi.Suback: pk.SubackEncode, mochi.Pingresp: pk.PingrespEncode,
	}[pk.FixedHeader.Type]
	if err == nil && encode == nil {
		err = errors.New("no such row")
	}
	buf := new(bytes.Buffer)
	return func() ([]byte, error) {
		buf.Reset()
		err := encode(buf)
		return buf.Bytes(), err
	}, err
}

func decodePaho5(mqttcore.Dialect) func([]byte) (int, error) {
	r := new(bytes.Reader)
	return func(in []byte) (packets int, err error) {
		for r.Reset(in); r.Len() > 0; packets++ {
			if _, err := paho5.ReadPacket(r); err != nil {
				return packets, err
			}
		}
		return packets, nil
	}
}

func encodePaho5(_ mqttcore.Dialect, wire []byte) (func() ([]byte, error), error) {
	p, err := paho5.ReadPacket(bytes.NewReader(wire))
	buf := new(bytes.Buffer)
	return func() ([]byte, error) {
		buf.Reset()
		_, err := p.WriteTo(buf)
		return buf.Bytes(), err
	}, err
}

func decodePaho3(mqttcore.Dialect) func([]byte) (int, error) {
	r := new(bytes.Reader)
	return func(in []byte) (packets int, err error) {
		for r.Reset(in); r.Len() > 0; packets++ {
			if _, err := paho3.ReadPacket(r); err != nil {
				return packets, err
			}
		}
		return packets, nil
	}
}

func encodePaho3(_ mqttcore.Dialect, wire []byte) (func() ([]byte, error), error) {
	p, err := paho3.ReadPacket(bytes.NewReader(wire))
	buf := new(bytes.Buffer)
	return func() ([]byte, error) {
		buf.Reset()
		err := p.Write(buf)
		return buf.Bytes(), err
	}, err
}

// readGomqtt reads the first packet of in, as the library's own Decoder does
// with what it has buffered.
func readGomqtt(in []byte) (p gomqtt.Generic, n int, err error) {
	n, t := gomqtt.DetectPacket(in)
	if n <= 0 || n > len(in) {
		return nil, 0, io.ErrUnexpectedEOF
	}
	if p, err = t.New(); err == nil {
		_, err = p.Decode(in[:n])
	}
	return p, n, err
}

func decodeGomqtt(mqttcore.Dialect) func([]byte) (int, error) {
	return func(in []byte) (packets int, err error) {
		for ; len(in) > 0; packets++ {
			_, n, err := readGomqtt(in)
			if err != nil {
				return packets, err
			}
			in = in[n:]
		}
		return packets, nil
	}
}

func encodeGomqtt(_ mqttcore.Dialect, wire []byte) (func() ([]byte, error), error) {
	p, _, err := readGomqtt(wire)
	buf := make([]byte, len(wire))
	return func() ([]byte, error) {
		n, err := p.Encode(buf[:p.Len()])
		return buf[:n], err
	}, err
}

// readVlapi reads the first packet of in. The library wants a packet alone, and
// leaves finding its end to the caller.
func readVlapi(d mqttcore.Dialect, in []byte) (p vlapi.IFace, size int, err error) {
	length, n := binary.Uvarint(in[1:])
	if n <= 0 || length > uint64(len(in)) || 1+n+int(length) > len(in) {
		return nil, 0, io.ErrUnexpectedEOF
	}
	size = 1 + n + int(length)
	p, _, err = vlapi.Decode(vlapi.ProtocolVersion(d.Version), in[:size])
	return p, size, err
}

func decodeVlapi(d mqttcore.Dialect) func([]byte) (int, error) {
	return func(in []byte) (packets int, err error) {
		for ; len(in) > 0; packets++ {
			_, n, err := readVlapi(d, in)
			if err != nil {
				return packets, err
			}
			in = in[n:]
		}
		return packets, nil
	}
}

func encodeVlapi(d mqttcore.Dialect, wire []byte) (func() ([]byte, error), error) {
	p, _, err := readVlapi(d, wire)
	buf := make([]byte, len(wire)) // never other than 0 where a property length of 0 stands, which is not written
	return func() ([]byte, error) {
		size, err := p.Size()
		if err != nil {
			return nil, err
		}
		n, err := p.Encode(buf[:size])
		return buf[:n], err
	}, err
}
