// This file starts the simulator's model broker inside this process.

package brokers

import (
	"fmt"
	"net"
	"sync"

	"mqttcore"
	"mqttcore/sim"
)

// Model starts the model broker of package sim in this process, in real time
// and over a perfect network. It speaks 3.1, 3.1.1 and 5.0. What it finds wrong
// with what clients send is in its log.
//
// Where the protocol leaves a server the choice, it is configured as mosquitto
// is by default.
func Model(o Options) (*Broker, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	b := &Broker{Addr: l.Addr().String()}
	if o.MaxKeepAlive == 0 {
		o.MaxKeepAlive = 0xFFFF // so that there is one
	}
	m := sim.NewBroker(sim.BrokerConfig{
		Users:             o.Users,
		MaximumPacketSize: o.MaxPacketSize,
		MaxKeepAlive:      o.MaxKeepAlive,
		RefuseEmptyID:     o.RefuseEmptyID,
		MinVersion:        mqttcore.Version(o.MinVersion),
		ReceiveMaximum:    20,
		TopicAliasMaximum: 10,
		NoMatching:        true,
		Copies:            o.Copies,
	})
	m.OnViolation = func(v sim.Violation) { fmt.Fprintln(&b.log, v) }
	w := sim.New(sim.Seed(1), sim.Faults{})
	g := sim.NewGate(w, w.Add("broker", m))
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { _ = g.Serve(conn) })
		}
	})
	b.close = func() error {
		err := l.Close()
		g.Close()
		serving.Wait()
		return err
	}
	return b, nil
}
