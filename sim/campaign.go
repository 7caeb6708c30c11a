package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mqttcore"
)

// Knobs are what a run is made of: drawn at its start, told first, and enough
// with the source to have the run again. Each run leaves some operations and
// faults out and does others more often: that reaches states that a run with
// everything in it does not.
type Knobs struct {
	Steps   int // of the world, with faults
	Faults  Faults
	Clients []ClientKnobs
	Broker  BrokerKnobs
}

// ClientKnobs are the knobs of one application.
type ClientKnobs struct {
	Version                                mqttcore.Version
	CleanStart, Manual, DropQueued, Oldest bool
	KeepAlive                              uint16
	Expiry                                 uint32
	ReceiveMaximum, Aliases                uint16
	Queue, Burst                           int
	Load                                   Load
}

// BrokerKnobs are the knobs of the broker.
type BrokerKnobs struct {
	ReceiveMaximum uint16
	Aliases        uint16
	AckDelay       time.Duration
	Restart        int  // chance in 10,000 a step that it crashes and keeps its sessions
	Amnesia        int  // the same, and it loses them
	Forget         int  // the same that it forgets one session
	Shrink         bool // the receive maximum changes between connections
	LowIDs         bool
	KeepAlive      uint16
	Odd, Talk      int  // of its Hostility
	Illegal        int  // the same
	Late           int  // the same, and each connection has a Receive Maximum of its own
	Lower          bool // the Maximum Packet Size changes between connections
	Refuse         int  // of a thousand messages, in 5.0: so many are refused
}

// Limits of what Draw draws, for those who want less.
type Limits struct {
	Clients  int              // most
	Steps    int              // of the world
	Version  mqttcore.Version // 0: any
	NoFaults bool
}

// Draw draws the knobs of a run.
func Draw(src Source, l Limits) Knobs {
	some := func(n int) int { // off in half of the runs
		if src.Intn(2) == 0 {
			return 0
		}
		return src.Intn(n + 1)
	}
	k := Knobs{Steps: l.Steps}
	if !l.NoFaults {
		k.Faults = Faults{
			Chunk: some(500), Cut: some(20), HalfOpen: some(4), Refuse: some(300),
			Latency: time.Duration(1+some(500)) * time.Millisecond, Jump: some(5), JumpBy: 30 * time.Second,
		}
	}
	k.Broker = BrokerKnobs{
		ReceiveMaximum: uint16(some(6)), Aliases: uint16(some(4)), AckDelay: time.Duration(some(200)) * time.Millisecond,
		Shrink: src.Intn(2) == 1,
	}
	if !l.NoFaults {
		k.Broker.Restart, k.Broker.Amnesia, k.Broker.Forget = some(10), some(4), some(4)
	}
	k.Broker.KeepAlive = uint16(some(1) * some(20))
	if src.Intn(3) == 2 {
		k.Broker.Odd, k.Broker.Talk = some(30), some(200)
	}
	k.Broker.Refuse, k.Broker.LowIDs = some(150), src.Intn(2) == 1 && k.Broker.Odd == 0
	for range 1 + src.Intn(max(1, l.Clients)) {
		c := ClientKnobs{
			Version: l.Version, CleanStart: src.Intn(5) == 4, Manual: src.Intn(3) == 2, DropQueued: src.Intn(3) == 2,
			Oldest: src.Intn(3) == 2, KeepAlive: uint16(some(20)), Expiry: uint32(some(1) * (1 + src.Intn(1000))),
			ReceiveMaximum: uint16(some(6)), Aliases: uint16(some(3)), Queue: 1 + src.Intn(40), Burst: 1 + src.Intn(400),
		}
		if c.Version == 0 {
			c.Version = [...]mqttcore.Version{mqttcore.V5, mqttcore.V311, mqttcore.V5, mqttcore.V31}[src.Intn(4)]
		}
		c.Load = Load{
			Every: time.Duration(1+src.Intn(2000)) * time.Millisecond, Topics: 1 + src.Intn(4),
			Publish: 1 + src.Intn(20), Subscribe: 1 + src.Intn(4), Unsubscribe: some(2), Ping: some(2),
			QoS: [3]int{some(3), some(5), some(5)}, Manual: 200 + src.Intn(800), Expire: some(300), React: some(200),
		}
		if !l.NoFaults {
			c.Load.Disconnect, c.Load.Crash, c.Load.Lose, c.Load.CrashAt = some(1), some(1), some(2), some(8)
		}
		k.Clients = append(k.Clients, c)
	}
	// These came later: what stands before them is drawn as ever.
	switch src.Intn(6) {
	case 4:
		k.Broker.Lower = true
	case 5: // it takes acknowledgements that wait, and windows that shrink
		k.Broker.Late, k.Broker.AckDelay = 200+src.Intn(800), time.Duration(100+src.Intn(900))*time.Millisecond
	}
	if !l.NoFaults && src.Intn(4) == 3 {
		k.Broker.Illegal = 1 + src.Intn(8)
	}
	for i := range k.Clients {
		load := &k.Clients[i].Load
		if load.Misuse = some(2); !l.NoFaults {
			load.FailCommit = some(8)
		}
	}
	return k
}

// RareStates are the names of the [Counter]s that a campaign of some thousand
// runs with all versions and faults must have reached: one that has not did not
// look where it should.
func RareStates() []string {
	states := []string{
		"a session that was made anew behind the client's back",
		"accepted again",
		"backlog over quota",
		"broker lost its sessions",
		"broker restarted",
		"closed: connect timeout",
		"closed: keep alive timeout",
		"closed: protocol violation",
		"closed: server disconnect",
		"crash after write",
		"crash before act",
		"crash between act and commit",
		"crash between commit and write",
		"delivered again",
		"dropped: expired",
		"dropped: not allowed",
		"dropped: overflow",
		"dropped: refused",
		"dropped: session ended",
		"dropped: session lost",
		"failed commit",
		"failed commit that is on disk",
		"failed commit that is torn",
		"illegal packet answered",
		"more than a burst",
		"request dropped",
		"resumed while queued",
		"resumed while released",
		"resumed while sent",
		"session ended",
		"session present",
		"stale token",
		"unknown message",
	}
	for _, name := range Oddities() {
		states = append(states, "odd: "+name)
	}
	for i := range misuses {
		states = append(states, "misuse: "+misuses[i].name)
	}
	slices.Sort(states)
	return states
}

// String tells the knobs in one line.
func (k Knobs) String() string {
	type plain Knobs // without this method
	return fmt.Sprintf("%+v", plain(k))
}

// config is the client's configuration for the knobs.
func (k ClientKnobs) config(id string) mqttcore.Config {
	cfg := mqttcore.Config{
		Version: k.Version, ClientID: []byte(id), CleanStart: k.CleanStart, KeepAlive: k.KeepAlive,
		ManualAck: k.Manual, DropQueued: k.DropQueued, DropOldest: k.Oldest, MaxQueued: k.Queue, Burst: k.Burst,
		TopicAliases: k.Aliases,
	}
	if k.Version == mqttcore.V5 {
		add := func(p mqttcore.Property) { _ = cfg.Props.Add(p) }
		if k.Expiry > 0 {
			add(mqttcore.SessionExpiry(k.Expiry))
		}
		if k.ReceiveMaximum > 0 {
			add(mqttcore.ReceiveMaximum(k.ReceiveMaximum))
		}
		if k.Aliases > 0 {
			add(mqttcore.TopicAliasMaximum(k.Aliases))
		}
	}
	return cfg
}

// Report is what came of a run.
type Report struct {
	Knobs    Knobs
	Err      error // the contradiction that was found, or nil
	Step     uint64
	Hash     uint64
	Virtual  time.Duration // how long the run was in the world's time
	Messages int
	Packets  uint64 // that the broker received and sent
	Counts   Counts
	Counters []Counter
	Stats    BrokerStats
}

// sizes are Maximum Packet Sizes: unlimited, too small for a message with an expiry
// interval, and for any message.
var sizes = [...]uint32{0, 25, 20}

// calm is how much virtual time a world has to settle when the faults stop.
const calm = 2 * time.Hour

// errUnsettled is the failure of a world that does not converge.
var errUnsettled = errors.New("sim: the world does not settle")

// Run makes a world by the knobs, lets it run with faults, stops them, and sees
// whether all comes to its end. watch may be nil; it is given the world before
// it starts.
func Run(src Source, k Knobs, watch func(*World)) Report {
	w := New(src, k.Faults)
	if watch != nil {
		watch(w)
	}
	l := &Ledger{Strict: true, Strangers: k.Broker.Odd > 0, Limits: k.Broker.Lower}
	b := NewBroker(BrokerConfig{
		ReceiveMaximum: k.Broker.ReceiveMaximum, TopicAliasMaximum: k.Broker.Aliases, Aliases: k.Broker.Aliases,
		AckDelay: k.Broker.AckDelay, MaxKeepAlive: k.Broker.KeepAlive, Unique: true, LowIDs: k.Broker.LowIDs,
		Hostile: Hostility{Odd: k.Broker.Odd, Talk: k.Broker.Talk, Illegal: k.Broker.Illegal, Late: k.Broker.Late},
	})
	b.Config.RefusePublish = func(client string, p *mqttcore.Publish) mqttcore.ReasonCode {
		if k.Broker.Refuse == 0 {
			return mqttcore.ReasonSuccess
		}
		i, ok := l.names[client]
		n, _ := messageOf(p.Payload)
		// It says the same when the message comes again.
		if ok && k.Clients[i].Version == mqttcore.V5 && int(n*2654435761%1000) < k.Broker.Refuse {
			return mqttcore.ReasonQuotaExceeded
		}
		return mqttcore.ReasonSuccess
	}
	if k.Broker.Late > 0 {
		b.Config.Hostile.Shrink = 4
	}
	watchBroker(b, l)
	server := w.Add("broker", b)
	apps := make([]*App, len(k.Clients))
	for i, c := range k.Clients {
		id := fmt.Sprintf("c%d", i)
		apps[i] = &App{Config: c.config(id), Server: server, Ledger: l, Load: c.Load}
		w.Add(id, apps[i])
	}
	for range k.Steps {
		if !w.Step() || l.Failure != nil {
			break
		}
		switch n := src.Intn(10000); {
		case n >= 10000-k.Broker.Restart:
			b.Config.LoseSessions = false
			w.Crash(server)
			l.seen("broker restarted")
		case n < 10000-k.Broker.Restart && n >= 10000-k.Broker.Restart-k.Broker.Amnesia:
			b.Config.LoseSessions = true
			w.Crash(server)
			l.seen("broker lost its sessions")
		case n < k.Broker.Forget && n > 0:
			b.Forget(fmt.Sprintf("c%d", src.Intn(len(apps))))
		case k.Broker.Shrink && n > 5000 && n < 5100:
			b.Config.ReceiveMaximum = uint16(1 + src.Intn(6))
		case k.Broker.Lower && n > 4000 && n < 4050:
			b.Config.MaximumPacketSize = sizes[n%len(sizes)]
		}
	}
	err := settle(w, l, b, apps)
	return Report{
		Knobs: k, Err: err, Step: w.Steps(), Hash: w.Hash(), Virtual: w.now, Messages: l.Messages(), Counts: w.Counts(),
		Packets: b.Stats.Packets + b.Stats.PacketsOut, Counters: l.Counters(), Stats: b.Stats,
	}
}

// watchBroker has the broker tell the ledger what it does.
func watchBroker(b *Broker, l *Ledger) {
	b.OnPublish = func(client string, p *mqttcore.Publish) { l.Accepted(client, p.Payload, p.QoS) }
	b.OnDeliver = func(client string, p *mqttcore.Publish) {
		if p.QoS != mqttcore.QoS0 {
			l.Owed(client, p.Payload, p.QoS)
		}
	}
	b.OnDiscard = func(client string, p *mqttcore.Publish) { l.Excused(client, p.Payload) }
	b.OnEnd = l.Ended
	b.OnViolation = l.Violation
	b.OnIllegal = l.Illegal
	b.OnOddity = func(name string) {
		if !strings.HasPrefix(name, "illegal: ") { // "illegal packet answered" counts them
			l.seen("odd: ", name)
		}
	}
	b.OnCopy = l.Copy
}

// settle stops the faults and the commands, and sees whether all comes to its
// end.
func settle(w *World, l *Ledger, b *Broker, apps []*App) error {
	if l.Failure != nil {
		return l.Failure
	}
	w.Faults = Faults{}
	b.Config.Hostile, b.Config.MaximumPacketSize = Hostility{}, 0
	w.Heal(func(c *Conn) bool { // with keep alive, or while connecting, both sides find out themselves
		a, ok := c.host.node.(*App)
		return ok && a.c.State() == mqttcore.StateConnected && a.c.Limits().KeepAlive == 0
	})
	for _, a := range apps {
		a.Quiet()
	}
	for end := w.Now().Add(calm); ; {
		pass(w, l, 10*time.Second)
		if l.Failure != nil {
			return l.Failure
		}
		err := settled(l, b)
		if err == nil {
			return rest(w, l, b)
		}
		if w.Now().After(end) {
			return fmt.Errorf("%w: %w", errUnsettled, err)
		}
	}
}

// busy is how many steps of a world without faults and commands are too many for
// a few minutes.
const busy = 1_000_000

// pass lets time pass, until something is wrong.
func pass(w *World, l *Ledger, d time.Duration) {
	end, steps := w.now+d, 0
	for l.Failure == nil && w.next() <= end && w.Step() {
		if steps++; steps == busy {
			l.contradict("world", "%d steps in less than %v, and nobody asked for anything", busy, d)
		}
	}
	w.now = max(w.now, end)
}

// rest sees whether a world that has settled stays as it is: keep alive keeps the
// connections, and no identifier is missing.
func rest(w *World, l *Ledger, b *Broker) error {
	pass(w, l, 2*time.Minute) // the clocks that went wrong are past it
	before := b.Stats
	pass(w, l, 2*time.Minute)
	if l.Failure == nil && b.Stats.KeepAliveTimeouts != before.KeepAliveTimeouts {
		return &Contradiction{"broker", "keep alive does not keep a connection"}
	}
	if l.Failure == nil && w.steps%32 == 0 { // this takes time
		l.identifiers(fewIDs)
	}
	if l.Failure == nil && w.steps%4096 == 0 { // and this a hundred times as much
		l.identifiers(1 << 16)
	}
	return l.Failure
}

func settled(l *Ledger, b *Broker) error {
	if err := l.Settled(); err != nil {
		return err
	}
	for _, s := range b.Sessions() {
		s.Incoming = max(0, s.Incoming-l.heldBy(s.ClientID))
		if !s.Settled() {
			return &Contradiction{s.ClientID, fmt.Sprintf("the broker's session is not settled: %+v", s)}
		}
	}
	return nil
}
