package sim_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mqttcore"
	"mqttcore/sim"
)

// visitor is one connection of a test through a gate, spoken by hand.
type visitor struct {
	t    *testing.T
	conn net.Conn
	in   []byte
	over chan error // what Serve returned
}

func visit(t *testing.T, g *sim.Gate) *visitor {
	here, there := net.Pipe()
	v := &visitor{t: t, conn: here, over: make(chan error, 1)}
	go func() { v.over <- g.Serve(there) }()
	return v
}

var fromClient = mqttcore.Dialect{Version: mqttcore.V5, From: mqttcore.FromClient}

func (v *visitor) say(p mqttcore.Packet) {
	v.t.Helper()
	b, err := p.AppendTo(nil, fromClient)
	if err == nil {
		_, err = v.conn.Write(b)
	}
	if err != nil {
		v.t.Error(err)
	}
}

// hear is the next packet, as text, or the error that comes instead.
func (v *visitor) hear() string {
	d := mqttcore.Dialect{Version: mqttcore.V5, From: mqttcore.FromServer}
	buf := make([]byte, 1000)
	for {
		f, n, err := mqttcore.ConsumeFrame(v.in, d, 0)
		if err != nil {
			return err.Error()
		}
		if n > 0 {
			v.in = v.in[n:]
			p, err := mqttcore.Decode(f, d)
			if err != nil {
				return err.Error()
			}
			return p.String()
		}
		n, err = v.conn.Read(buf)
		v.in = append(v.in, buf[:n]...)
		if err != nil {
			return err.Error()
		}
	}
}

func (v *visitor) expect(want ...string) {
	v.t.Helper()
	for _, w := range want {
		if got := v.hear(); got != w {
			v.t.Errorf("%s; want %s", got, w)
		}
	}
}

// connect is a CONNECT of 5.0 with a will on the topic "will".
func connect(id string, keepAlive uint16) *mqttcore.Connect {
	return &mqttcore.Connect{ClientID: []byte(id), CleanStart: true, KeepAlive: keepAlive,
		Will: mqttcore.Will{Topic: []byte("will"), Payload: []byte(id)}}
}

func subscribe(t *testing.T, filter string) *mqttcore.Subscribe {
	subs, err := mqttcore.NewSubscriptions(mqttcore.Subscription{Filter: []byte(filter), QoS: mqttcore.QoS1})
	if err != nil {
		t.Fatal(err)
	}
	return &mqttcore.Subscribe{ID: 1, Subscriptions: subs}
}

// The world's time is the clock's, which is a bubble's here: nobody waits.
func TestGate(t *testing.T) {
	const lag = 100 * time.Millisecond
	for _, c := range []struct {
		name   string
		faults sim.Faults
		run    func(t *testing.T, g *sim.Gate, b *sim.Broker)
	}{
		{"time passes", sim.Faults{}, func(t *testing.T, g *sim.Gate, _ *sim.Broker) {
			v, start := visit(t, g), time.Now()
			v.say(connect("silent", 20))
			v.expect("CONNACK Success")
			if d := time.Since(start); d > 2*time.Millisecond {
				t.Errorf("the answer took %v", d)
			}
			v.expect("DISCONNECT Keep Alive timeout", "EOF")
			if d := time.Since(start).Round(10 * time.Millisecond); d != 30*time.Second {
				t.Errorf("given up after %v; want 30 s", d)
			}
			if err := <-v.over; err != nil {
				t.Error(err)
			}
		}},
		{"latency", sim.Faults{Latency: lag}, func(t *testing.T, g *sim.Gate, _ *sim.Broker) {
			v, start := visit(t, g), time.Now()
			v.say(connect("far", 0))
			v.expect("CONNACK Success")
			if d := time.Since(start); d < 5*time.Millisecond || d > 4*lag {
				t.Errorf("connected after %v; want three times up to %v", d, lag)
			}
		}},
		{"refused", sim.Faults{Refuse: 1000}, func(t *testing.T, g *sim.Gate, _ *sim.Broker) {
			v := visit(t, g)
			v.expect("EOF")
			if err := <-v.over; err != nil {
				t.Error(err)
			}
		}},
		{"cut", sim.Faults{Cut: 1000}, func(t *testing.T, g *sim.Gate, _ *sim.Broker) {
			v := visit(t, g)
			v.say(connect("unlucky", 0))
			v.expect("EOF")
		}},
		{"the world ends it", sim.Faults{}, func(t *testing.T, g *sim.Gate, b *sim.Broker) {
			v := visit(t, g)
			v.say(connect("x", 0))
			v.expect("CONNACK Success")
			g.Do(func() { b.Disconnect("x", mqttcore.ReasonServerShuttingDown, "") })
			v.expect("DISCONNECT Server shutting down", "EOF")
		}},
		{"the guest ends it", sim.Faults{}, func(t *testing.T, g *sim.Gate, _ *sim.Broker) {
			watch, v := visit(t, g), visit(t, g)
			watch.say(connect("watch", 0))
			watch.say(subscribe(t, "will"))
			watch.expect("CONNACK Success", "SUBACK id=1 [q1]")
			v.say(connect("gone", 0))
			v.expect("CONNACK Success")
			v.conn.Close()
			watch.expect(`PUBLISH will q0 4 bytes "gone"`)
			if err := <-v.over; err != nil {
				t.Error(err)
			}
		}},
		{"the gate is closed", sim.Faults{}, func(t *testing.T, g *sim.Gate, _ *sim.Broker) {
			v := visit(t, g)
			v.say(connect("x", 10))
			v.expect("CONNACK Success")
			g.Close()
			g.Close()
			v.expect("EOF")
			if err := <-v.over; !errors.Is(err, sim.ErrGateClosed) {
				t.Errorf("%v; want ErrGateClosed", err)
			}
			late := visit(t, g)
			late.expect("EOF")
			if err := <-late.over; !errors.Is(err, sim.ErrGateClosed) {
				t.Errorf("%v; want ErrGateClosed", err)
			}
			g.Do(func() {}) // which must not wake the world, or the bubble never ends
		}},
		{"a slow reader", sim.Faults{Chunk: 500}, func(t *testing.T, g *sim.Gate, b *sim.Broker) {
			v := visit(t, g)
			v.say(connect("slow", 0))
			v.say(subscribe(t, "#"))
			v.expect("CONNACK Success", "SUBACK id=1 [q1]")
			for i := range 100 {
				g.Do(func() { b.Publish(&mqttcore.Publish{Topic: []byte("t"), Payload: make([]byte, 10000+i)}) })
			}
			for i := range 100 {
				if got := v.hear(); !strings.Contains(got, fmt.Sprint(" ", 10000+i, " bytes")) {
					t.Fatalf("%s; want a message of %d bytes", got, 10000+i)
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := sim.New(sim.Seed(1), c.faults)
				b := sim.NewBroker(sim.BrokerConfig{})
				g := sim.NewGate(w, w.Add("broker", b))
				defer g.Close()
				c.run(t, g, b)
			})
		})
	}
}

// ends is a node that keeps why its connections were lost.
type ends struct{ errs chan error }

func (n ends) Handle(_ *sim.Host, e sim.Event) time.Time {
	if e.Kind == sim.Lost {
		n.errs <- e.Err
	}
	return time.Time{}
}

// broken is a connection that fails at once.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error)  { return 0, b.err }
func (b broken) Write([]byte) (int, error) { return 0, b.err }
func (b broken) Close() error              { return nil }

func TestGateEnds(t *testing.T) {
	for _, c := range []struct {
		name      string
		err, want error
	}{
		{"orderly", io.EOF, sim.ErrPeer},
		{"reset", io.ErrUnexpectedEOF, sim.ErrCut},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := sim.New(sim.Seed(1), sim.Faults{})
				n := ends{make(chan error, 1)}
				g := sim.NewGate(w, w.Add("node", n))
				defer g.Close()
				if err := g.Serve(broken{c.err}); err != nil {
					t.Error(err)
				}
				if got := <-n.errs; !errors.Is(got, c.want) {
					t.Errorf("lost for %v; want %v", got, c.want)
				}
			})
		})
	}
}

// Many come and go at the same time: for the race detector.
func TestGateCrowd(t *testing.T) {
	w := sim.New(sim.Seed(1), sim.Faults{Latency: 2 * time.Millisecond, Cut: 100, Chunk: 300})
	b := sim.NewBroker(sim.BrokerConfig{})
	g := sim.NewGate(w, w.Add("broker", b))
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			for range 10 {
				v := visit(t, g)
				b, err := connect(fmt.Sprint(i), 0).AppendTo(nil, fromClient)
				if err != nil {
					t.Error(err)
				}
				v.conn.Write(b) // which a cut may prevent
				v.hear()
				v.conn.Close()
				<-v.over
			}
		})
	}
	all.Wait()
	connects := uint64(0)
	g.Do(func() { connects = b.Stats.Connects })
	if connects < 20 {
		t.Errorf("%d connections were accepted", connects)
	}
	g.Close()
}

// clock is a node that strikes once a second for whoever is there.
type clock struct {
	conn    *sim.Conn
	strikes atomic.Int64
	lost    atomic.Bool
}

func (c *clock) Handle(h *sim.Host, e sim.Event) time.Time {
	switch e.Kind {
	case sim.Opened:
		c.conn = e.Conn
	case sim.Lost:
		c.lost.Store(true)
	case sim.Tick:
		c.strikes.Add(1)
		c.conn.Write([]byte("!"))
	}
	return h.Now().Add(time.Second)
}

// The world of a pipe has the clock's time, until the pipe is closed.
func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(clock)
		conn := sim.Pipe(c)
		start := time.Now()
		if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start).Round(100 * time.Millisecond); d != 5*time.Second {
			t.Errorf("it struck five after %v", d)
		}
		conn.Close()
		if !c.lost.Load() {
			t.Error("the node was not told the end")
		}
		before := c.strikes.Load()
		time.Sleep(time.Hour)
		if n := c.strikes.Load() - before; n > 0 {
			t.Errorf("it struck %d times for nobody", n)
		}
	})
}

// A program without a socket talks to the model broker.
func ExampleGate() {
	world := sim.New(sim.Seed(1), sim.Faults{})
	broker := sim.NewBroker(sim.BrokerConfig{ReceiveMaximum: 10})
	gate := sim.NewGate(world, world.Add("broker", broker))
	defer gate.Close()

	conn, there := net.Pipe()
	go gate.Serve(there)

	d := mqttcore.Dialect{Version: mqttcore.V5, From: mqttcore.FromClient}
	hello, err := (&mqttcore.Connect{ClientID: []byte("guest"), CleanStart: true}).AppendTo(nil, d)
	if err != nil {
		fmt.Println(err)
		return
	}
	conn.Write(hello)
	answer := make([]byte, 8)
	io.ReadFull(conn, answer)
	fmt.Printf("% x\n", answer)
	gate.Do(func() { fmt.Println(broker.Sessions()[0].ClientID, "is connected") })
	conn.Close()
	// Output:
	// 20 06 00 00 03 21 00 0a
	// guest is connected
}
