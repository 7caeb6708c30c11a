// This file measures the client: one benchmark a row of docs/performance.md.
// Each runs the whole cycle, events drained, on a connection of 3.1.1. It
// checks nothing.

package mqttcore

import (
	"math/rand/v2"
	"testing"
	"time"
)

// benchNow has a monotonic reading, as the times of a running program have.
var benchNow = time.Now()

// benchClient is a client whose connection was accepted.
func benchClient(b testing.TB) *Client {
	c, err := NewClient(Config{Version: V311, ClientID: []byte("bench"), CleanStart: true, KeepAlive: 60, MaxInflight: maxID}, nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err = c.Connect(nil, benchNow); err != nil {
		b.Fatal(err)
	}
	feed(b, c, nil, []byte{0x20, 2, 0, 0})
	return c
}

// feed gives the client one packet, drains the events and returns the answer.
func feed(b testing.TB, c *Client, dst, in []byte) []byte {
	out, n, err := c.Receive(dst, benchNow, in)
	if n != len(in) || err != nil {
		b.Fatal(n, err)
	}
	var ev Event
	for c.Next(&ev) {
		if ev.Kind == EventClosed {
			b.Fatal(ev.String())
		}
	}
	return out
}

// cycle is an outgoing message and the answers that it gets.
type cycle struct {
	c         *Client
	p         *Publish
	buf       []byte
	ev        Event
	first     [4]byte // PUBACK or PUBREC
	comp      [4]byte
	published int
}

func newCycle(b testing.TB, c *Client, q QoS) *cycle {
	p := benchPublishQoS0()
	p.QoS = q
	s := &cycle{c: c, p: p, buf: make([]byte, 0, 4096), comp: [4]byte{byte(TypePubComp) << 4, 2}}
	s.first = [4]byte{byte(TypePubAck) << 4, 2}
	if q == QoS2 {
		s.first[0] = byte(TypePubRec) << 4
	}
	return s
}

// publish sends the message and returns its identifier.
func (s *cycle) publish(b testing.TB) uint16 {
	out, err := s.c.Publish(s.buf, benchNow, s.p, 1)
	if err != nil {
		b.Fatal(err)
	}
	if s.p.QoS == QoS0 {
		return 0
	}
	at := 4 + len(s.p.Topic)
	return uint16(out[at])<<8 | uint16(out[at+1])
}

// finish answers it until it is done.
func (s *cycle) finish(b testing.TB, id uint16) {
	s.first[2], s.first[3] = byte(id>>8), byte(id)
	s.receive(b, s.first[:])
	if s.p.QoS == QoS2 {
		s.comp[2], s.comp[3] = byte(id>>8), byte(id)
		s.receive(b, s.comp[:])
	}
}

func (s *cycle) receive(b testing.TB, in []byte) {
	if _, _, err := s.c.Receive(s.buf, benchNow, in); err != nil {
		b.Fatal(err)
	}
	for s.c.Next(&s.ev) {
		s.published++
	}
}

func BenchmarkClient(b *testing.B) {
	b.Run("publish-qos0", func(b *testing.B) { clientPublish0(b) })
	b.Run("publish-qos1", func(b *testing.B) { clientCycle(b, QoS1) })
	b.Run("publish-qos2", func(b *testing.B) { clientCycle(b, QoS2) })
	b.Run("receive-qos0", func(b *testing.B) { clientReceive(b, QoS0) })
	b.Run("receive-qos1", func(b *testing.B) { clientReceive(b, QoS1) })
	b.Run("receive-qos2", func(b *testing.B) { clientReceive(b, QoS2) })
	b.Run("tick", func(b *testing.B) { clientTick(b) })
}

// BenchmarkInflight is the cycle at QoS 1 while other messages are under way.
// With stuck one of them is never acknowledged.
func BenchmarkInflight(b *testing.B) {
	for _, row := range []struct {
		name          string
		n             int
		random, stuck bool
	}{
		{"10", 10, false, false},
		{"10-random", 10, true, false},
		{"10-random-stuck", 10, true, true},
		{"65534", 65534, false, false},
		{"65534-random", 65534, true, false},
		{"65534-random-stuck", 65534, true, true},
	} {
		b.Run(row.name, func(b *testing.B) { clientInflight(b, row.n, row.random, row.stuck) })
	}
}

func clientPublish0(b *testing.B) {
	b.ReportAllocs()
	s := newCycle(b, benchClient(b), QoS0)
	for b.Loop() {
		s.publish(b)
	}
}

func clientCycle(b *testing.B, q QoS) {
	b.ReportAllocs()
	s := newCycle(b, benchClient(b), q)
	for b.Loop() {
		s.finish(b, s.publish(b))
	}
}

func clientReceive(b *testing.B, q QoS) {
	b.ReportAllocs()
	p := benchPublishQoS0()
	p.QoS = q
	if q != QoS0 {
		p.ID = 7
	}
	s := newCycle(b, benchClient(b), q)
	in, rel := mustAppend(p, server311), []byte{byte(TypePubRel)<<4 | 2, 2, 0, 7}
	for b.Loop() {
		s.receive(b, in)
		if q == QoS2 {
			s.receive(b, rel)
		}
	}
}

func clientTick(b *testing.B) {
	b.ReportAllocs()
	c := benchClient(b)
	for b.Loop() {
		c.Tick(nil, benchNow)
		if c.Deadline().IsZero() {
			b.Fatal("no deadline")
		}
	}
}

func clientInflight(b *testing.B, n int, random, stuck bool) {
	b.ReportAllocs()
	s := newCycle(b, benchClient(b), QoS1)
	s.c.cfg.MaxQueuedBytes = 1 << 30
	if stuck {
		s.publish(b)
		n--
	}
	ids := make([]uint16, n)
	for i := range ids {
		ids[i] = s.publish(b)
	}
	order := make([]uint16, 1<<16)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range order {
		order[i] = uint16(i % n)
		if random {
			order[i] = uint16(rng.IntN(n))
		}
	}
	i := 0
	for b.Loop() {
		at := order[i&0xFFFF]
		i++
		s.finish(b, ids[at])
		ids[at] = s.publish(b)
	}
}
