// This file holds what can happen in an exploration: moments, and the actions
// that lead from one to the next. What the client's process does of itself stands
// in explore_process.go, which actions are looked at in explore.go, what is
// checked in explore_promises.go.

package sim

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mqttcore"
)

// moment is a state of all: two that have the same sum go on alike. It is never
// changed, nor are the client and the broker in it, which other moments share.
type moment struct {
	now      time.Duration // since epoch
	process  *process
	server   *server
	up, down []byte // under way to the broker, to the client
	open     bool   // there is a connection
	ended    bool   // and the broker has closed its end
	dials    uint8  // connections so far
	sent     uint8  // messages of the client's that were published
	handed   uint8  // messages of the broker's that were published
	promises promises
}

// process is the client in its process, and its disk.
type process struct {
	c       *mqttcore.Client
	disk    []byte // a snapshot: the fold of the committed ops
	loose   bool   // there are ops that were not committed
	sum     sum
	checked atomic.Bool
}

// server is the broker.
type server struct {
	b     *Broker
	conns uint64 // how many connections were made with it; not in the sum
	sum   sum
}

func (m *moment) sum() sum {
	b := make([]byte, 0, 256)
	for _, s := range [...]sum{m.process.sum, m.server.sum} {
		for _, v := range s {
			b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24), byte(v>>32), byte(v>>40), byte(v>>48), byte(v>>56))
		}
	}
	e := brokerEncoder{b: b}
	e.text(string(m.up))
	e.text(string(m.down))
	e.flags(m.open, m.ended)
	e.num(uint64(m.dials), uint64(m.sent), uint64(m.handed))
	return hash(m.promises.appendState(e.b))
}

// ActionKind is what happens, but for a crash in the middle of it.
type ActionKind uint8

// The kinds of actions. In those before ActPublish nothing fails: as long as
// one of them is possible, there is more to come.
const (
	ActToClient   ActionKind = iota // a packet reaches the client
	ActEnd                          // the client learns that the broker has closed
	ActToBroker                     // a packet reaches the broker
	ActConnect                      // the client connects
	ActClientTick                   // the client's deadline comes
	ActBrokerTick                   // the broker's deadline comes
	ActPublish                      // the client publishes its next message
	ActDeliver                      // the broker has its next message for the client
	ActCut                          // the connection is cut
	ActCrash                        // the client's process dies and starts again
	ActForget                       // the broker ends the connection and the session
	actionKinds
)

var actionNames = [actionKinds]string{
	"a packet reaches the client", "the client learns that the broker has closed", "a packet reaches the broker",
	"the client connects", "the client's deadline comes", "the broker's deadline comes",
	"the client publishes", "the broker publishes", "the connection is cut", "the client crashes", "the broker loses its sessions",
}

// Action is something that happens.
type Action struct {
	Kind ActionKind
	// Crash tells at which point of what the client does its process dies: 0: it
	// does not; 1: between acting and committing; 2: between committing and
	// writing; 3: after writing, when there is more to write; 4: as 1, for what is
	// more; and so on.
	Crash uint8
}

// crashPoints are the points of a turn of the client's loop, from Action.Crash 1
// on, round and round.
var crashPoints = [...]string{"between acting and committing", "between committing and writing", "between two bursts"}

// String tells it in words.
func (a Action) String() string {
	text := "?"
	if a.Kind < actionKinds {
		text = actionNames[a.Kind]
	}
	if a.Crash > 0 {
		text += ", crash " + crashPoints[int(a.Crash-1)%len(crashPoints)]
	}
	return text
}

// play is what an exploration is about.
type play struct {
	scope    *Scope
	name     string // the client's
	config   mqttcore.Config
	broker   BrokerConfig
	toClient []*message
	rested   sync.Map // sums of settled clients whose identifiers were counted
}

func newPlay(s *Scope) *play {
	p := &play{scope: s, name: "c"}
	p.config = mqttcore.Config{Version: s.Version, ClientID: []byte(p.name), KeepAlive: s.KeepAlive,
		Journal: true, MaxInflight: s.Window}
	p.broker = BrokerConfig{ReceiveMaximum: s.Window, Unique: true, LowIDs: true}
	if s.Version == mqttcore.V5 {
		_ = p.config.Props.Add(mqttcore.SessionExpiry(forever))
		if s.Window > 0 {
			_ = p.config.Props.Add(mqttcore.ReceiveMaximum(s.Window))
		}
	}
	for i, q := range s.ToClient {
		m := &message{Publish: mqttcore.Publish{Topic: downTopic, Payload: payloadOf(i), QoS: q}, expires: never}
		m.own = m
		p.toClient = append(p.toClient, m)
	}
	return p
}

// first is the moment with which all begins.
func (p *play) first() *moment {
	st := p.player()
	st.m = moment{process: new(process)}
	empty := new(mqttcore.Session)
	st.disk, _ = empty.AppendBinary(nil)
	st.restore()
	st.b = NewBroker(p.broker)
	return st.finish()
}

// player is where a moment goes on. A goroutine has one of its own.
type player struct {
	play  *play
	watch *Watch // nil: nobody looks
	world World
	host  *Host

	m      moment           // which becomes the next one
	c      *mqttcore.Client // nil: the client has done nothing yet
	disk   []byte
	loose  bool
	b      *Broker // nil: the broker has done nothing yet
	conn   *Conn   // the broker's end
	conns  uint64  // connections that were made with the broker
	err    error
	points int  // of the client's loop that were passed
	crash  int  // at which of them it dies; 0: at none
	barred bool // it may not: no connection is left
	// What the process or the broker has become where that was known before.
	reborn           *process
	left             *server
	rebirths         map[string]*process // by disk
	known, knownLeft *server             // a broker, and what became of it when the connection ended
	leaves           bool                // this will be that

	out     []byte
	scratch []byte
	ev      mqttcore.Event
	effects []outcome

	onPublish, onDeliver, onDiscard func(string, *mqttcore.Publish)
	onCopy                          func(string, *Conn, *mqttcore.Publish)
	onEnd                           func(string)
	onViolation                     func(Violation)
}

func (p *play) player() *player {
	st := &player{play: p, rebirths: map[string]*process{}}
	st.host = &Host{Name: "broker", w: &st.world, at: never}
	st.onPublish, st.onDeliver, st.onDiscard = st.accepted, st.owed, st.excused
	st.onCopy, st.onEnd, st.onViolation = st.copied, st.ended, st.violation
	return st
}

// begin takes a moment to go on from.
func (st *player) begin(m *moment, crash int) {
	st.m, st.c, st.b, st.conn, st.err = *m, nil, nil, nil, nil
	st.disk, st.loose = m.process.disk, m.process.loose
	st.conns = m.server.conns
	st.points, st.crash, st.barred = 0, crash, false
	st.reborn, st.left, st.leaves = nil, nil, false
	st.out, st.effects = st.out[:0], st.effects[:0]
	st.world.now = m.now
}

// finish is the moment that it has become.
func (st *player) finish() *moment {
	m := st.m
	later := st.world.now != m.now
	m.now = st.world.now
	switch {
	case st.reborn != nil:
		m.process = st.reborn
	case st.c != nil || later:
		c := st.c
		if c == nil {
			c = m.process.c
		}
		m.process = st.processOf(c)
	}
	switch {
	case st.left != nil:
		m.server = st.left
	case st.b != nil || later:
		s := &server{b: st.b, conns: st.conns}
		if st.b == nil {
			s.b = m.server.b
		}
		b := s.b.AppendState(st.scratch[:0], st.now())
		s.sum, st.scratch = hash(b), b
		if st.leaves {
			st.known, st.knownLeft = m.server, s
		}
		m.server = s
	}
	return &m
}

func (st *player) now() time.Time { return epoch.Add(st.world.now) }

func (st *player) note(client bool, text string) {
	if st.watch != nil && st.watch.OnNote != nil {
		st.watch.OnNote(st.now(), client, text)
	}
}

// broker is the broker, to be changed.
func (st *player) broker() *Broker {
	if st.b != nil {
		return st.b
	}
	st.b = st.m.server.b.Clone(func(c *Conn) *Conn {
		st.conn = &Conn{host: st.host, id: c.id, sent: true} // nothing is scheduled
		return st.conn
	})
	b := st.b
	b.host, b.now = st.host, st.world.now
	b.OnPublish, b.OnDeliver, b.OnDiscard = st.onPublish, st.onDeliver, st.onDiscard
	b.OnCopy, b.OnEnd, b.OnViolation = st.onCopy, st.onEnd, st.onViolation
	return b
}

// tell lets the broker handle something, and takes what it writes.
func (st *player) tell(e Event) {
	b := st.broker()
	if e.Conn = st.conn; e.Kind == Lost {
		e.Conn.over = true
	}
	b.Handle(st.host, e)
	c := st.conn
	if c == nil || !st.m.open {
		return
	}
	if len(c.out) > 0 {
		st.m.down = slices.Concat(st.m.down, c.out)
		c.out = nil
	}
	if c.over {
		st.m.ended, st.m.up = true, nil
	}
}

// lost ends the connection at the broker. What comes of a broker that did nothing
// else is the same each time.
func (st *player) lost(err error) {
	switch {
	case st.m.ended:
	case st.b != nil || st.world.now != st.m.now:
		st.tell(Event{Kind: Lost, Err: err})
	case st.known == st.m.server:
		st.left = st.knownLeft
	default:
		st.broker()
		st.tell(Event{Kind: Lost, Err: err})
		st.leaves = true
	}
	st.over()
}

// over is what is left of a connection that has ended.
func (st *player) over() {
	st.m.open, st.m.ended, st.m.up, st.m.down = false, false, nil, nil
	for i := range st.m.promises.up {
		st.m.promises.up[i] &^= upFirst
	}
}

// packet is the first packet of what is under way, and the rest.
func packet(b []byte) (first, rest []byte) {
	n := len(b)
	if size, ok := mqttcore.FrameSize(b); ok {
		n = min(n, size)
	}
	return b[:n:n], b[n:]
}

// toBroker delivers a packet.
func (st *player) toBroker() {
	p, rest := packet(st.m.up)
	if st.m.up = rest; len(rest) == 0 {
		st.m.up = nil
	}
	st.data(true, p)
	st.tell(Event{Kind: Received, Data: p})
}

func (st *player) data(client bool, b []byte) {
	if st.watch != nil && st.watch.OnData != nil {
		st.watch.OnData(st.now(), int(st.m.dials), client, b)
	}
}

func (st *player) cut(text string) {
	if st.watch != nil && st.watch.OnCut != nil {
		st.watch.OnCut(st.now(), text)
	}
}

// spare reports whether a connection may still fail.
func (m *moment) spare(s *Scope) bool { return int(m.dials) <= s.Reconnects }

// possible reports whether an action can happen.
func (st *player) possible(k ActionKind, m *moment) bool {
	scope := st.play.scope
	spare := m.spare(scope)
	switch k {
	case ActToClient:
		return m.open && len(m.down) > 0
	case ActEnd:
		return m.open && m.ended && len(m.down) == 0
	case ActToBroker:
		return m.open && !m.ended && len(m.up) > 0
	case ActConnect:
		return !m.open && spare
	case ActClientTick, ActBrokerTick: // to wait while something is under way is a fault
		if !spare && len(m.up)+len(m.down) > 0 {
			return false
		}
		at := [...]time.Duration{m.clientDeadline(), m.server.b.deadline()}
		own := at[k-ActClientTick]
		return own != never && own <= min(at[0], at[1])
	case ActPublish:
		return int(m.sent) < len(scope.ToBroker) && (m.process.c.State() == mqttcore.StateConnected ||
			!slices.Contains(scope.ToBroker[m.sent:scope.published(m.sent, scope.ToBroker)], mqttcore.QoS0))
	case ActDeliver:
		return int(m.handed) < len(scope.ToClient) && m.server.b.byID[st.play.name] != nil
	case ActCut:
		return m.open && spare
	case ActCrash:
		return !m.open || spare
	case ActForget:
		return m.server.b.byID[st.play.name] != nil && (!m.open || spare)
	}
	return false
}

func (m *moment) clientDeadline() time.Duration {
	t := m.process.c.Deadline()
	if t.IsZero() {
		return never
	}
	return max(t.Sub(epoch), m.now)
}

// do does an action.
func (st *player) do(k ActionKind) {
	switch k {
	case ActToClient:
		p, rest := packet(st.m.down)
		if st.m.down = rest; len(rest) == 0 {
			st.m.down = nil
		}
		st.data(false, p)
		st.turn(func(c *mqttcore.Client) {
			out, n, err := c.Receive(st.out, st.now(), p)
			if st.out = out; err != nil || n != len(p) && c.State() != mqttcore.StateDisconnected {
				st.fail("Receive took %d of %d bytes: %v", n, len(p), err)
			}
		})
	case ActEnd:
		st.cut("closed by the broker")
		st.over()
		st.gone(ErrPeer)
	case ActToBroker:
		st.toBroker()
	case ActConnect:
		st.m.dials++
		st.broker()
		st.conns++
		st.conn = &Conn{host: st.host, id: st.conns, sent: true}
		st.m.open = true
		st.tell(Event{Kind: Opened})
		st.turn(func(c *mqttcore.Client) {
			var err error
			if st.out, err = c.Connect(st.out, st.now()); err != nil {
				st.fail("Connect: %v", err)
			}
		})
	case ActClientTick:
		st.world.now = st.m.clientDeadline()
		st.turn(func(c *mqttcore.Client) { st.out = c.Tick(st.out, st.now()) })
	case ActBrokerTick:
		st.world.now = st.m.server.b.deadline()
		st.tell(Event{Kind: Tick})
	case ActPublish:
		st.publish()
	case ActDeliver:
		st.deliver()
	case ActCut:
		st.cut("connection reset")
		st.lost(ErrCut)
		st.gone(ErrCut)
	case ActCrash:
		st.note(true, "crash")
		st.die()
	case ActForget:
		open := st.m.open
		if open {
			st.cut("the broker is gone")
		}
		st.note(false, "loses its sessions")
		b := st.broker()
		b.Config.LoseSessions = true
		if st.conn != nil {
			st.conn.over = true
		}
		st.over()
		b.Handle(st.host, Event{Kind: Crashed})
		if b.Config.LoseSessions = false; open {
			st.gone(ErrCut)
		}
	}
}

// published is how many messages of a direction are published after the next
// action that publishes, from the n-th on.
func (s *Scope) published(n uint8, list []mqttcore.QoS) int {
	if s.AtOnce {
		return len(list)
	}
	return int(n) + 1
}

// publish publishes the client's next message, or all.
func (st *player) publish() {
	scope, first := st.play.scope, int(st.m.sent)
	end := scope.published(st.m.sent, scope.ToBroker)
	st.m.sent = uint8(end)
	st.turn(func(c *mqttcore.Client) {
		for n := first; n < end; n++ {
			p := mqttcore.Publish{Topic: upTopic, Payload: payloadOf(n), QoS: scope.ToBroker[n]}
			if st.watch != nil {
				st.note(true, fmt.Sprintf("publishes message %d at QoS %d", n, p.QoS))
			}
			var err error
			if st.out, err = c.Publish(st.out, st.now(), &p, uint64(n)); err != nil {
				st.fail("Publish: %v", err)
			}
		}
	})
}

// deliver gives the broker its next message for the client, or all.
func (st *player) deliver() {
	scope, first := st.play.scope, int(st.m.handed)
	end := scope.published(st.m.handed, scope.ToClient)
	st.m.handed = uint8(end)
	for _, m := range st.play.toClient[first:end] {
		if st.watch != nil {
			st.note(false, fmt.Sprintf("publishes message %s at QoS %d", m.Payload, m.QoS))
		}
		st.broker().byID[st.play.name].deliver(m, m.QoS, false, nil, nil)
	}
	st.tell(Event{Kind: Tick})
}

// gone tells the client that the transport is gone.
func (st *player) gone(err error) {
	st.turn(func(c *mqttcore.Client) { c.Lost(st.now(), err) })
}

// all does all that can happen in a moment, each to its end and with a crash at
// each point of the client's loop. Where it is not settled, what happens when
// nothing fails is the first.
func (st *player) all(m *moment) (r result) {
	st.begin(m, 0)
	st.check(m)
	if r.settled = st.settled(m); r.settled {
		st.identifiers(m)
	}
	if r.err = st.err; r.err != nil {
		return r
	}
	for k := range actionKinds {
		if k == ActPublish && len(r.steps) == 0 && !r.settled {
			r.err = &Contradiction{st.play.name, "nothing more can happen, and it has not settled"}
			return r
		}
		if !st.possible(k, m) {
			continue
		}
		for crash, points := 0, 0; crash <= points; crash++ {
			a := Action{k, uint8(crash)}
			next := st.one(m, a)
			if st.barred {
				break
			}
			if crash == 0 {
				points = st.points
			}
			r.steps = append(r.steps, step{a, next.sum(), next})
			if r.err = st.err; r.err != nil {
				return r
			}
		}
	}
	return r
}

// one is what an action leads to. A panic contradicts a promise, too.
func (st *player) one(m *moment, a Action) (next *moment) {
	defer func() {
		if v := recover(); v != nil {
			st.fail("panic: %v", v)
			next = m
		}
	}()
	st.begin(m, int(a.Crash))
	st.do(a.Kind)
	return st.finish()
}
