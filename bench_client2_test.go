// This file holds the budgets of what a client does beside the plain cycle:
// aliases, manual acknowledgement, progress, streams; and the benchmarks of what
// must not cost more when much is under way.

package mqttcore

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// engine is a client at work, with room for what it sends.
type engine struct {
	testing.TB
	c    *Client
	buf  []byte
	ev   Event
	last AckToken
	in   [4]byte
}

func newEngine(t testing.TB, cfg Config, ack *ConnAck) *engine {
	r := newRig(t, cfg, nil, ack)
	return &engine{TB: t, c: r.c, buf: make([]byte, 0, 512<<10)}
}

func (e *engine) drain() {
	for e.c.Next(&e.ev) {
		if e.ev.Token != 0 {
			e.last = e.ev.Token
		}
	}
}

func (e *engine) publish(p *Publish) []byte {
	out, err := e.c.Publish(e.buf, scriptStart, p, 1)
	if err != nil {
		e.Fatal(err)
	}
	e.drain()
	return out
}

func (e *engine) receive(in []byte) {
	for len(in) > 0 {
		_, n, err := e.c.Receive(e.buf, scriptStart, in)
		if err != nil || n == 0 {
			e.Fatal(n, err)
		}
		in = in[n:]
		e.drain()
	}
}

func (e *engine) ack(t AckToken) {
	if _, err := e.c.Ack(e.buf, scriptStart, t, ReasonSuccess, Properties{}); err != nil {
		e.Fatal(err)
	}
	e.drain()
}

// finish acknowledges a message of QoS 1 or 2 that was sent as out.
func (e *engine) finish(out []byte, q QoS) {
	size, k := consumeUvarint(out[1:])
	_, n, _ := ConsumeFrame(out, Dialect{Version: V5, From: FromClient}, MaxPacketSize)
	if int(size)+1+k != n {
		e.Fatal("more than one packet")
	}
	at := 1 + k + stringSize(out[1+k:])
	e.in = [4]byte{byte(TypePubAck) << 4, 2, out[at], out[at+1]}
	if q == QoS2 {
		e.in[0] = byte(TypePubRec) << 4
		e.receive(e.in[:])
		e.in[0] = byte(TypePubComp) << 4
	}
	e.receive(e.in[:])
}

// TestFeatureAllocs: nothing is allocated for a message once a connection has
// warmed up.
func TestFeatureAllocs(t *testing.T) {
	topics := make([]*Publish, 16)
	for i := range topics {
		topics[i] = message(fmt.Sprintf("some/topic/%02d", i), "payload", QoS0, 0, ContentType("t"))
	}
	publishing := func(cfg Config, q QoS) func(t *testing.T) func() {
		return func(t *testing.T) func() {
			e := newEngine(t, cfg, aliasing(8))
			i := 0
			return func() {
				p := *topics[i%len(topics)]
				p.QoS = q
				i += 5
				if out := e.publish(&p); q != QoS0 {
					e.finish(out, q)
				}
			}
		}
	}
	receiving := func(cfg Config, q QoS) func(t *testing.T) func() {
		return func(t *testing.T) func() {
			e := newEngine(t, cfg, &ConnAck{})
			in, rel := served(message("some/topic", string(make([]byte, 300)), q, uint16(min(q, 1))*7)), []byte{0x62, 2, 0, 7}
			return func() {
				e.receive(in[:100])
				if cfg.StreamAbove == 0 {
					e.Fatal("it has to come at once")
				}
				e.receive(in[100:200])
				e.receive(in[200:])
				if cfg.ManualAck && q != QoS0 {
					e.ack(e.last)
				}
				if q == QoS2 {
					e.receive(rel)
				}
			}
		}
	}
	acking := func(q QoS) func(t *testing.T) func() {
		return func(t *testing.T) func() {
			e := newEngine(t, Config{ManualAck: true}, &ConnAck{})
			in, rel := served(message("some/topic", "payload", q, 7)), []byte{0x62, 2, 0, 7}
			return func() {
				e.receive(in)
				e.ack(e.last)
				if q == QoS2 {
					e.receive(rel)
				}
			}
		}
	}
	const above = 64
	for _, row := range []struct {
		name string
		run  func(t *testing.T) func()
	}{
		{"automatic aliases, QoS 0", publishing(Config{TopicAliases: 8}, QoS0)},
		{"automatic aliases, QoS 1", publishing(Config{TopicAliases: 8}, QoS1)},
		{"automatic aliases, QoS 2", publishing(Config{TopicAliases: 8}, QoS2)},
		{"progress out, QoS 1", publishing(Config{Progress: true}, QoS1)},
		{"progress out, QoS 2", publishing(Config{Progress: true}, QoS2)},
		{"manual acknowledgement, QoS 1", acking(QoS1)},
		{"manual acknowledgement, QoS 2", acking(QoS2)},
		{"stream, QoS 0", receiving(Config{StreamAbove: above}, QoS0)},
		{"stream, QoS 1", receiving(Config{StreamAbove: above}, QoS1)},
		{"stream, QoS 2, progress", receiving(Config{StreamAbove: above, Progress: true}, QoS2)},
		{"stream, QoS 2, manual acknowledgement", receiving(Config{StreamAbove: above, ManualAck: true}, QoS2)},
		{"inbound aliases", func(t *testing.T) func() {
			e := newEngine(t, Config{Props: propsOf(TopicAliasMaximum(4))}, &ConnAck{})
			a := served(message("topic/a", "", QoS0, 0, TopicAlias(1)))
			b := served(message("topic/b", "", QoS0, 0, TopicAlias(1)))
			again := served(message("", "", QoS0, 0, TopicAlias(1)))
			return func() { e.receive(a); e.receive(again); e.receive(b); e.receive(again) }
		}},
		{"a queue that drops the oldest", func(t *testing.T) func() {
			e := newEngine(t, Config{DropOldest: true, MaxQueued: 10}, nil)
			p := message("topic/a", "payload", QoS1, 0)
			return func() { e.publish(p) }
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := row.run(t)
			for range 200 {
				f()
			}
			if n := testing.AllocsPerRun(100, f); n != 0 {
				t.Errorf("%v allocations, want none", n)
			}
		})
	}
}

// BenchmarkScale is the cost of a message, in ns, while few or many others are
// under way: sent again on another connection; sent and acknowledged when
// almost all identifiers are taken by others that are stuck; acknowledged by
// the application, the last message first, or in random order, which also
// measures the cache.
func BenchmarkScale(b *testing.B) {
	for _, n := range []int{10, 65_534} {
		b.Run(fmt.Sprint("resume/", n), func(b *testing.B) { scaleResume(b, n) })
		b.Run(fmt.Sprint("identifiers-taken/", n), func(b *testing.B) { scaleTaken(b, n) })
		for q := QoS1; q <= QoS2; q++ {
			b.Run(fmt.Sprintf("ack-backwards-qos%d/%d", q, n), func(b *testing.B) { scaleAck(b, n, q, false) })
			b.Run(fmt.Sprintf("ack-random-qos%d/%d", q, n), func(b *testing.B) { scaleAck(b, n, q, true) })
		}
	}
}

// perMessage reports the time since start for each of n messages a loop.
func perMessage(b *testing.B, n int, spent time.Duration) {
	b.ReportMetric(float64(spent.Nanoseconds())/float64(n)/float64(b.N), "ns/msg")
}

func scaleResume(b *testing.B, n int) {
	e := newEngine(b, Config{Props: propsOf(SessionExpiry(60))}, &ConnAck{})
	p := message("some/topic", "a payload of a usual size, some sixty-four bytes of it, no more.", QoS1, 0)
	for range n {
		e.publish(p)
	}
	accept := served(&ConnAck{SessionPresent: true})
	var spent time.Duration
	for b.Loop() {
		e.c.Lost(scriptStart, nil)
		e.drain()
		if _, err := e.c.Connect(e.buf, scriptStart); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		e.receive(accept)
		for e.c.More() {
			e.c.Tick(e.buf, scriptStart)
		}
		spent += time.Since(start)
	}
	if got := int(e.c.Stats().Resent); got != n*b.N {
		b.Fatal(got)
	}
	perMessage(b, n, spent)
}

func scaleTaken(b *testing.B, n int) {
	e := newEngine(b, Config{}, &ConnAck{})
	p := message("some/topic", "a payload of a usual size, some sixty-four bytes of it, no more.", QoS1, 0)
	for range n {
		e.publish(p)
	}
	for b.Loop() {
		e.finish(e.publish(p), QoS1)
	}
}

func scaleAck(b *testing.B, n int, q QoS, random bool) {
	e := newEngine(b, Config{ManualAck: true}, &ConnAck{})
	in := served(message("t", "", q, 1))
	rel := [4]byte{0x62, 2}
	tokens := make([]AckToken, n)
	rng := rand.New(rand.NewPCG(1, 2))
	round := func() time.Duration {
		order := rng.Perm(n)
		for i := range order {
			if !random {
				order[i] = n - 1 - i
			}
		}
		start := time.Now()
		for i := range tokens {
			id := i + 1
			in[5], in[6] = byte(id>>8), byte(id)
			e.receive(in)
			tokens[i] = e.last
		}
		for _, i := range order {
			e.ack(tokens[i])
		}
		if q == QoS2 {
			for i := range n {
				id := i + 1
				rel[2], rel[3] = byte(id>>8), byte(id)
				e.receive(rel[:])
			}
		}
		return time.Since(start)
	}
	round()
	var spent time.Duration
	for b.Loop() {
		spent += round()
	}
	perMessage(b, n, spent)
}
