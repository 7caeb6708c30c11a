package sim_test

import (
	"fmt"
	"time"

	"mqttcore"
	"mqttcore/sim"
)

// sensor is a client around the core, whole: it connects, and connects again a
// second after it has lost the connection, until its reading is published.
type sensor struct {
	client *mqttcore.Client
	broker *sim.Host
	conn   *sim.Conn
	in     []byte
	redial time.Time
	given  bool // the reading, to the client
	told   func(h *sim.Host, ev *mqttcore.Event)
}

// Handle implements sim.Node.
func (s *sensor) Handle(h *sim.Host, e sim.Event) time.Time {
	var out []byte
	now := h.Now()
	switch e.Kind {
	case sim.Started:
		s.conn = h.Dial(s.broker)
	case sim.Opened:
		s.in = nil
		out, _ = s.client.Connect(nil, now)
	case sim.Received:
		s.in = append(s.in, e.Data...)
		for n := -1; n != 0; s.in = s.in[n:] {
			out, n, _ = s.client.Receive(out, now, s.in)
			out = s.events(h, out)
		}
	case sim.Lost:
		s.client.Lost(now, e.Err)
		s.conn, s.redial = nil, now.Add(time.Second)
		s.events(h, nil)
	case sim.Tick:
		if s.conn == nil && !now.Before(s.redial) {
			s.conn = h.Dial(s.broker)
		}
		out = s.events(h, s.client.Tick(nil, now))
	}
	if s.conn == nil {
		return s.redial
	}
	s.conn.Write(out)
	return s.client.Deadline()
}

func (s *sensor) events(h *sim.Host, out []byte) []byte {
	for ev := new(mqttcore.Event); s.client.Next(ev); {
		s.told(h, ev)
		if ev.Kind == mqttcore.EventConnected && !s.given {
			s.given = true
			reading := mqttcore.Publish{Topic: []byte("cellar/celsius"), Payload: []byte("11"), QoS: mqttcore.QoS2}
			out, _ = s.client.Publish(out, h.Now(), &reading, 77)
		}
	}
	return out
}

// A sensor publishes a reading at QoS 2. The broker's machine restarts in the
// middle of it; the reading arrives once.
func ExampleBroker() {
	world := sim.New(sim.Seed(1), sim.Faults{Latency: 100 * time.Millisecond})
	broker := sim.NewBroker(sim.BrokerConfig{ReceiveMaximum: 10})
	broker.OnPublish = func(client string, p *mqttcore.Publish) { fmt.Printf("%s published %v\n", client, p) }
	server := world.Add("server", broker)

	expiry, _ := mqttcore.NewProperties(mqttcore.SessionExpiry(3600))
	client, err := mqttcore.NewClient(mqttcore.Config{ClientID: []byte("cellar"), Props: expiry}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	world.Add("sensor", &sensor{client: client, broker: server, told: func(h *sim.Host, ev *mqttcore.Event) {
		fmt.Printf("%s %v\n", h.Now().Format("05.000"), ev)
	}})

	for broker.Stats.Accepted == 0 {
		world.Step()
	}
	world.Crash(server)
	world.Run(time.Minute)
	fmt.Println(len(broker.Violations), "violations, settled", broker.Sessions()[0].Settled())
	// Output:
	// 00.256 connected {Receive Maximum: 10}
	// cellar published PUBLISH cellar/celsius q2 2 bytes "11"
	// 00.380 closed: transport invalid, sim: connection reset
	// 01.627 connected session present {Receive Maximum: 10}
	// 01.863 published tag=77
	// 0 violations, settled true
}
