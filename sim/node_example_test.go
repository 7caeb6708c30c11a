package sim_test

import (
	"fmt"
	"time"

	"mqttcore"
	"mqttcore/sim"
)

// mailbox is a broker of somebody's own: it takes messages at QoS 2, and has a
// fault that a test over one quiet connection does not show.
type mailbox struct {
	mail  []string
	known bool // the one client that it has
	links map[*sim.Conn]*link
}

// link is what it knows of a connection.
type link struct {
	in   []byte
	open map[uint16]bool // messages that are not released: lost with the connection
}

// Handle implements sim.Node.
func (b *mailbox) Handle(_ *sim.Host, e sim.Event) time.Time {
	switch e.Kind {
	case sim.Opened:
		b.links[e.Conn] = &link{open: map[uint16]bool{}}
	case sim.Lost:
		delete(b.links, e.Conn)
	case sim.Received:
		dialect := mqttcore.Dialect{Version: mqttcore.V311, From: mqttcore.FromClient}
		l := b.links[e.Conn]
		l.in = append(l.in, e.Data...)
		for {
			f, n, err := mqttcore.ConsumeFrame(l.in, dialect, 0)
			if err != nil {
				e.Conn.Close()
			}
			if n == 0 {
				break
			}
			if packet, err := mqttcore.Decode(f, dialect); err == nil {
				e.Conn.Write(b.answer(l, packet))
			}
			l.in = l.in[n:]
		}
	}
	return time.Time{} // it has no timers
}

// answer is what the broker says to a packet.
func (b *mailbox) answer(l *link, packet mqttcore.Packet) []byte {
	var answer mqttcore.Packet
	switch p := packet.(type) {
	case *mqttcore.Connect:
		answer = &mqttcore.ConnAck{SessionPresent: b.known && !p.CleanStart}
		b.known = true
	case *mqttcore.Publish:
		if !l.open[p.ID] {
			l.open[p.ID] = true
			b.mail = append(b.mail, string(p.Payload))
		}
		answer = &mqttcore.Ack{Type: mqttcore.TypePubRec, ID: p.ID}
	case *mqttcore.Ack:
		delete(l.open, p.ID)
		answer = &mqttcore.Ack{Type: mqttcore.TypePubComp, ID: p.ID}
	default:
		return nil
	}
	out, _ := answer.AppendTo(nil, mqttcore.Dialect{Version: mqttcore.V311, From: mqttcore.FromServer})
	return out
}

// Anything that is a Node takes part: here a broker of one's own is the peer of
// the client, in worlds that cut connections. The client sends again what was not
// acknowledged; the broker should know that it has it, and does not. The seed that
// shows it shows it again.
func ExampleNode() {
	run := func(seed uint64, faults sim.Faults) []string {
		world := sim.New(sim.Seed(seed), faults)
		broker := &mailbox{links: map[*sim.Conn]*link{}}
		server := world.Add("server", broker)
		client, err := mqttcore.NewClient(mqttcore.Config{Version: mqttcore.V311, ClientID: []byte("cellar")}, nil)
		if err != nil {
			fmt.Println(err)
		}
		world.Add("sensor", &sensor{client: client, broker: server, told: func(*sim.Host, *mqttcore.Event) {}})
		world.Run(time.Minute)
		return broker.mail
	}
	fmt.Printf("a quiet day: %q\n", run(1, sim.Faults{}))
	storm := sim.Faults{Latency: 100 * time.Millisecond, Cut: 50}
	for seed := uint64(1); seed < 1000; seed++ {
		if mail := run(seed, storm); len(mail) > 1 {
			fmt.Printf("another one: %q, and again: %q\n", mail, run(seed, storm))
			break
		}
	}
	// Output:
	// a quiet day: ["11"]
	// another one: ["11" "11"], and again: ["11" "11"]
}
