// This file holds the application: its loop, its crashes, and what it does with
// the client. What it does wrong on purpose stands in app_misuse.go, what its
// disk does wrong in app_disk.go, and what is expected of it all in the ledger.

package sim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"mqttcore"
)

// App is a node with the real client: an application that publishes,
// subscribes and receives, over a session that it keeps on a disk. Its loop is
// the one that the mqttcore package documents: act, commit the journal together
// with the effects, write. It may crash at every point of the loop.
type App struct {
	Config mqttcore.Config // Journal is set by the node
	Server *Host
	Ledger *Ledger
	Load   Load

	id      int // in the ledger
	h       *Host
	c       *mqttcore.Client
	disk    *mqttcore.Session // what is durable: the fold of the committed ops
	conn    *Conn
	in, out []byte
	group   []byte         // ops, as they are torn
	ev      mqttcore.Event // used again and again, as are op to image
	op      mqttcore.Op
	pub     mqttcore.Publish
	sub     mqttcore.Subscribe
	unsub   mqttcore.Unsubscribe
	text    []byte // a filter
	image   []byte // of the disk
	effects []effect
	held    []effect  // messages that wait for their acknowledgement, which makes them durable
	command time.Time // when the next one is due
	dial    time.Time // zero: not to dial
	quiet   bool      // no more commands
	epoch   int       // restarts
	pings   uint64    // that are accounted for
	over    bool      // the client has no connection: it was told so, or never had one
	said    int       // how long out was when it was told
	tries   int       // commands given
}

// Load says what an application does; weights of commands, 0 is never.
type Load struct {
	Every                                                          time.Duration // most between two commands
	Publish, Subscribe, Unsubscribe, Disconnect, Ping, Crash, Lose int
	QoS                                                            [3]int // weights
	Topics                                                         int
	Misuse                                                         int // weight of calls that must fail
	CrashAt                                                        int // chance in a thousand of a crash at each of the four points of a turn; below 250
	FailCommit                                                     int // chance in a thousand that the disk refuses a turn
	Manual                                                         int // chance in a thousand that a message is acknowledged at once, with manual acknowledgement
	Expire                                                         int // chance in a thousand that a message has an expiry interval, in 5.0
	React                                                          int // chance in a thousand that a packet makes it publish, in the same turn
}

// effect is something that the application does because of an event; it is
// durable when the turn is committed.
type effect struct {
	kind    mqttcore.EventKind
	tag     uint64
	message uint32
	qos     mqttcore.QoS
	token   mqttcore.AckToken
	why     mqttcore.DropReason
}

// payloadSize is the size of the payloads: the number of the message.
const payloadSize = 8

// appendPayload writes the number of a message.
func appendPayload(b []byte, message uint32) []byte {
	return append(binary.BigEndian.AppendUint32(b, message), "mqtt"...)
}

// messageOf reads it.
func messageOf(b []byte) (uint32, bool) {
	if len(b) != payloadSize || string(b[4:]) != "mqtt" {
		return 0, false
	}
	return binary.BigEndian.Uint32(b), true
}

// appendTopic writes the name of a topic, long enough for a topic alias.
func appendTopic(b []byte, i int) []byte {
	return strconv.AppendInt(append(b, "topic/"...), int64(i), 10)
}

// topicOf reads it.
func topicOf(b []byte) (int, bool) {
	digits, ok := bytes.CutPrefix(b, []byte("topic/"))
	i, err := strconv.Atoi(string(digits))
	return i, ok && err == nil
}

// Handle implements [Node].
func (a *App) Handle(h *Host, e Event) time.Time {
	a.h = h
	switch e.Kind {
	case Started:
		a.disk = new(mqttcore.Session)
		a.id = a.Ledger.join(string(a.Config.ClientID))
		a.restore()
	case Crashed:
		a.conn = nil
		a.restore()
	case Opened:
		if e.Conn == a.conn {
			a.turn(func() {
				var err error
				a.over = false
				if a.out, err = a.c.Connect(a.out, h.Now()); err != nil {
					a.Ledger.fail(a, "Connect: %v", err)
				}
			})
		}
	case Received:
		if e.Conn == a.conn {
			a.in = append(a.in, e.Data...)
			a.turn(nil)
		}
	case Lost:
		if e.Conn == a.conn {
			a.Ledger.left(a, e.Err)
			a.conn = nil
			a.c.Lost(h.Now(), e.Err)
			a.turn(nil)
			a.redial()
		}
	case Tick:
		a.tick()
	}
	return a.deadline()
}

// deadline is when the node wants to be woken.
func (a *App) deadline() time.Time {
	t, ack := a.c.Deadline(), time.Time{}
	if a.quiet && len(a.held) > 0 {
		ack = a.h.Now().Add(time.Second)
	}
	for _, d := range [...]time.Time{a.dial, a.command, ack} {
		if !d.IsZero() && (t.IsZero() || d.Before(t)) {
			t = d
		}
	}
	return t
}

func (a *App) src() Source { return a.h.w.src }

// redial schedules the next connection.
func (a *App) redial() {
	a.dial = a.h.Now().Add(time.Duration(1+a.src().Intn(2000)) * time.Millisecond)
}

func (a *App) nextCommand() {
	a.command = time.Time{}
	if !a.quiet {
		most := int(a.Load.Every/time.Millisecond) + 1
		a.command = a.h.Now().Add(time.Duration(1+a.src().Intn(most)) * time.Millisecond)
	}
}

// restore starts the process from what the disk holds.
func (a *App) restore() {
	a.image, _ = a.disk.AppendBinary(a.image[:0])
	s := new(mqttcore.Session)
	if err := s.UnmarshalBinary(a.image); err != nil {
		a.Ledger.fail(a, "the snapshot does not load: %v", err)
	}
	cfg := a.Config
	cfg.Journal = true
	c, err := mqttcore.NewClient(cfg, s)
	if err != nil {
		a.Ledger.fail(a, "NewClient: %v", err)
		return
	}
	a.c = c
	a.in, a.out, a.effects, a.held = a.in[:0], a.out[:0], a.effects[:0], a.held[:0]
	a.over, a.said = true, 0
	a.epoch++
	a.nextCommand()
	a.redial()
}

// The points of the loop at which the process may die, and what they are called.
const (
	beforeAct = iota
	beforeCommit
	beforeWrite
	afterWrite
)

var crashes = [...]string{
	beforeAct:    "crash before act",
	beforeCommit: "crash between act and commit",
	beforeWrite:  "crash between commit and write",
	afterWrite:   "crash after write",
}

// doom is the point at which the process dies in this round of the loop; mostly
// it is none of them.
func (a *App) doom() int {
	if a.Load.CrashAt == 0 {
		return len(crashes)
	}
	return (999 - a.src().Intn(1000)) / a.Load.CrashAt
}

// crash is what happens at a point of the loop.
func (a *App) crash(point, doom int) bool {
	if point != doom {
		return false
	}
	a.h.w.count.Crashes++
	a.Ledger.seen(crashes[point])
	a.h.Note(crashes[point])
	a.die()
	return true
}

// die ends the process, and starts it again. What it has written may be lost with
// it or arrive.
func (a *App) die() {
	if a.conn != nil {
		if a.src().Intn(2) == 0 {
			a.conn.Abort()
		} else {
			a.conn.Close()
		}
		a.conn = nil
	}
	a.restore()
}

func (a *App) tick() {
	now := a.h.Now()
	if !a.dial.IsZero() && !now.Before(a.dial) {
		a.dial = time.Time{}
		if a.conn == nil {
			a.conn = a.h.Dial(a.Server)
			a.in = a.in[:0]
		}
	}
	a.turn(func() {
		a.out = a.c.Tick(a.out, now)
		if a.quiet {
			a.acknowledge()
		}
		if a.command.IsZero() || now.Before(a.command) {
			return
		}
		a.nextCommand()
		a.do()
	})
}

// turn is one round of the loop: act, commit, write, again while there is more.
func (a *App) turn(act func()) {
	full := false // more ops wait than a client lets wait: the rest of the input is for after the commit
	for more := true; more; more = a.c.More() || full {
		doom := a.doom()
		if a.crash(beforeAct, doom) {
			return
		}
		if act != nil {
			act()
			act = nil
		}
		a.events()
		in, again := a.in, full
		for full = false; len(in) > 0; {
			out, n, err := a.c.Receive(a.out, a.h.Now(), in)
			a.out, in = out, in[n:]
			a.events()
			if !a.quiet && a.h.w.chance(a.Load.React) {
				a.attempt(a.publish)
				a.events()
			}
			if err != nil || n == 0 {
				full = errors.Is(err, mqttcore.ErrPending) && !(again && len(in) == len(a.in))
				break
			}
		}
		a.in = a.in[:copy(a.in, in)]
		if a.c.More() {
			a.Ledger.seen("more than a burst")
			a.out = a.c.Tick(a.out, a.h.Now())
			a.events()
		}
		if a.crash(beforeCommit, doom) {
			return
		}
		if a.h.w.chance(a.Load.FailCommit) {
			a.failCommit()
			return
		}
		a.commit()
		if a.crash(beforeWrite, doom) {
			return
		}
		if a.over && len(a.out) > a.said {
			a.Ledger.fail(a, "%d bytes after the connection was over: %x", len(a.out)-a.said, a.out[a.said:])
		}
		if a.conn != nil {
			a.conn.Write(a.out)
		}
		a.out, a.said = a.out[:0], 0
		if a.crash(afterWrite, doom) {
			return
		}
		if a.c.State() == mqttcore.StateDisconnected && a.conn != nil && a.conn.User == closed {
			a.conn.Close()
			a.conn = nil
			a.redial()
		}
	}
}

// closed marks a connection that the client has given up.
var closed = new(int)

// events takes the client's events.
func (a *App) events() {
	ev := &a.ev
	for a.c.Next(ev) {
		if a.h.w.OnNote != nil {
			a.h.Note(ev.String())
		}
		if a.over && ev.Kind != mqttcore.EventDropped {
			a.Ledger.fail(a, "after the connection was over: %v", ev)
		}
		f := effect{kind: ev.Kind, tag: ev.Tag, why: ev.Why, token: ev.Token}
		switch ev.Kind {
		case mqttcore.EventMessage:
			n, ok := messageOf(ev.Message.Payload)
			if !ok {
				a.Ledger.unknown(a, ev)
				f.kind = mqttcore.EventNone
			}
			f.message, f.qos = n, ev.Message.QoS
			if ok {
				a.Ledger.topic(a, n, ev.Message.Topic)
				a.Ledger.arrived(a, n, f.qos)
			}
			if f.token != 0 {
				a.held = append(a.held, f)
				continue
			}
		case mqttcore.EventConnected:
			a.Ledger.connected(a, ev)
			a.pings = a.c.Stats().PingsSent
		case mqttcore.EventClosed:
			a.Ledger.closed(a, ev)
			a.over, a.said = true, len(a.out)
			if a.conn != nil {
				a.conn.User = closed
			}
		case mqttcore.EventSubscribed, mqttcore.EventUnsubscribed:
			a.Ledger.answered(a, ev)
			continue
		case mqttcore.EventPublished, mqttcore.EventDropped:
			if ev.Tag&tagBit != 0 {
				a.Ledger.answered(a, ev)
				continue
			}
		case mqttcore.EventPong:
			if ev.RTT < 0 {
				a.Ledger.fail(a, "an answer before its question: %v", ev)
			}
			continue
		default:
			continue
		}
		a.effects = append(a.effects, f)
	}
}

// commit makes the turn durable: the ops, and the effects of the events.
func (a *App) commit() {
	op := &a.op
	for a.c.NextOp(op) {
		if err := a.disk.Apply(op); err != nil {
			a.Ledger.fail(a, "%v does not apply: %v", op.Kind, err)
		}
		a.Ledger.op(a, op)
	}
	for _, f := range a.effects {
		a.Ledger.effect(a, f)
	}
	a.effects = a.effects[:0]
	a.Ledger.step(a)
}

// do gives one command, chosen by weight.
func (a *App) do() {
	l := &a.Load
	weights := [...]int{1, l.Publish, l.Subscribe, l.Unsubscribe, l.Disconnect, l.Ping, l.Crash, l.Lose, l.Misuse}
	sum := 0
	for _, w := range weights {
		sum += w
	}
	pick := a.src().Intn(sum)
	k := 0
	for ; k < len(weights) && pick >= weights[k]; k++ {
		pick -= weights[k]
	}
	now := a.h.Now()
	switch k {
	case 1:
		a.attempt(a.publish)
	case 2:
		a.attempt(a.subscribe)
	case 3:
		a.attempt(a.unsubscribe)
	case 4:
		a.attempt(a.disconnect)
	case 5:
		a.attempt(a.ping)
	case 6:
		a.h.w.count.Crashes++
		a.h.Note("crash")
		a.die()
	case 7:
		if a.conn != nil {
			a.conn.Abort()
			a.conn = nil
			a.c.Lost(now, ErrCut)
			a.redial()
		}
	case 8:
		a.misuse()
	}
	a.acknowledge()
}

// acknowledge decides some of the messages that wait: the effect and the
// acknowledgement are of the same turn.
func (a *App) acknowledge() {
	for len(a.held) > 0 && (a.quiet || a.src().Intn(1000) < max(1, a.Load.Manual)) {
		i := a.src().Intn(len(a.held))
		f := a.held[i]
		out, err := a.c.Ack(a.out, a.h.Now(), f.token, mqttcore.ReasonSuccess, mqttcore.Properties{})
		if errors.Is(err, mqttcore.ErrPending) {
			return // more than goes into one commit: the others are for another turn
		}
		a.held[i] = a.held[len(a.held)-1]
		a.held = a.held[:len(a.held)-1]
		if err != nil {
			a.Ledger.seen("stale token")
			continue
		}
		a.out = out
		a.effects = append(a.effects, f)
	}
}

// filter is a topic filter, until the next one.
func (a *App) filter() []byte {
	if a.src().Intn(4) == 3 {
		a.text = append(a.text[:0], "topic/+"...)
	} else {
		a.text = appendTopic(a.text[:0], a.src().Intn(max(1, a.Load.Topics)))
	}
	return a.text
}

func (a *App) subscribe() (err error) {
	a.sub.Subscriptions.Reset()
	n := 1 + a.src().Intn(2)
	for range n {
		_ = a.sub.Subscriptions.Add(mqttcore.Subscription{Filter: a.filter(), QoS: mqttcore.QoS(a.src().Intn(3))})
	}
	tag := a.Ledger.request(a, mqttcore.EventSubscribed, n)
	a.out, err = a.c.Subscribe(a.out, a.h.Now(), &a.sub, tag)
	a.Ledger.requested(tag, err)
	return err
}

func (a *App) unsubscribe() (err error) {
	a.unsub.Filters.Reset()
	n := 1 + a.src().Intn(2)
	for range n {
		_ = a.unsub.Filters.Add(a.filter())
	}
	tag := a.Ledger.request(a, mqttcore.EventUnsubscribed, n)
	a.out, err = a.c.Unsubscribe(a.out, a.h.Now(), &a.unsub, tag)
	a.Ledger.requested(tag, err)
	return err
}

func (a *App) disconnect() (err error) {
	a.out, err = a.c.Disconnect(a.out, a.h.Now(), nil)
	return err
}

func (a *App) ping() (err error) {
	if a.out, err = a.c.Ping(a.out, a.h.Now()); err == nil {
		a.pings++
	}
	return err
}

func (a *App) publish() error {
	sum := a.Load.QoS[0] + a.Load.QoS[1] + a.Load.QoS[2]
	pick, q := a.src().Intn(max(1, sum)), 0
	for ; q < 2 && pick >= a.Load.QoS[q]; q++ {
		pick -= a.Load.QoS[q]
	}
	topic := a.src().Intn(max(1, a.Load.Topics))
	n := a.Ledger.message(a, topic, mqttcore.QoS(q))
	p := &a.pub
	p.Topic, p.Payload = appendTopic(p.Topic[:0], topic), appendPayload(p.Payload[:0], n)
	p.QoS, p.Props = mqttcore.QoS(q), mqttcore.Properties{}
	p.Dup, p.ID = n%3 == 0, uint16(n) // ignored
	if a.Config.Version == mqttcore.V5 && a.h.w.chance(a.Load.Expire) {
		_ = p.Props.Add(mqttcore.MessageExpiry(uint32(1 + a.src().Intn(20))))
	}
	var err error
	a.out, err = a.c.Publish(a.out, a.h.Now(), p, uint64(n))
	if err != nil {
		a.Ledger.refused(n)
	}
	return err
}

// Quiet stops the commands, so that the world can converge.
func (a *App) Quiet() {
	a.quiet, a.command = true, time.Time{}
	a.Load.CrashAt, a.Load.FailCommit = 0, 0
	a.h.handle(Event{Kind: Tick})
}

// Client is the client, for looking.
func (a *App) Client() *mqttcore.Client { return a.c }
