// This file measures the broker together with the real client.

package sim

import (
	"fmt"
	"testing"
	"time"

	"mqttcore"
)

// BenchmarkBrokerAndClient is a client that publishes to itself, over a perfect
// network.
func BenchmarkBrokerAndClient(b *testing.B) {
	for _, v := range versions {
		for q := range mqttcore.QoS2 + 1 {
			b.Run(fmt.Sprintf("%s/QoS %d", versionName(v), q), func(b *testing.B) {
				w, broker := New(Seed(1), Faults{}), NewBroker(BrokerConfig{})
				server := w.Add("broker", broker)
				cfg := mqttcore.Config{Version: v, ClientID: []byte("a"), CleanStart: true}
				c, err := mqttcore.NewClient(cfg, nil)
				if err != nil {
					b.Fatal(err)
				}
				p := &looper{c: c, m: pub("x/y", "0123456789012345678901234567890123456789", q, 0)}
				h := w.Add("client", p)
				h.Dial(server)
				w.Run(time.Millisecond)
				before := broker.Stats
				b.ReportAllocs()
				for b.Loop() {
					w.Step()
				}
				packets := broker.Stats.Packets + broker.Stats.PacketsOut - before.Packets - before.PacketsOut
				b.ReportMetric(float64(packets)/b.Elapsed().Seconds(), "packets/s")
				if len(broker.Violations) > 0 {
					b.Fatal(broker.Violations[0])
				}
			})
		}
	}
}

// looper keeps twenty messages on their way to itself.
type looper struct {
	c       *mqttcore.Client
	in, out []byte
	m       *mqttcore.Publish
	ev      mqttcore.Event
}

func (p *looper) Handle(h *Host, e Event) time.Time {
	var err error
	now := h.Now()
	switch e.Kind {
	case Opened:
		p.out, err = p.c.Connect(p.out, now)
	case Received:
		p.in = append(p.in, e.Data...)
		in := p.in
		for {
			out, n, _ := p.c.Receive(p.out, now, in)
			p.out, in = out, in[n:]
			for p.c.Next(&p.ev) {
				switch p.ev.Kind {
				case mqttcore.EventConnected:
					p.out, err = p.c.Subscribe(p.out, now, sub(0, to("x/+", 2)), 1)
				case mqttcore.EventSubscribed:
					for range 20 {
						p.out, err = p.c.Publish(p.out, now, p.m, 1)
					}
				case mqttcore.EventMessage:
					p.out, err = p.c.Publish(p.out, now, p.m, 1)
				}
			}
			if n == 0 {
				break
			}
		}
		p.in = p.in[:copy(p.in, in)]
	}
	if err != nil {
		panic(err)
	}
	if e.Conn != nil {
		e.Conn.Write(p.out)
	}
	p.out = p.out[:0]
	return time.Time{}
}
