// This file holds the ledger's messages: what was promised of them, and what
// came of it. Requests and connections stand in ledger_wire.go.

package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"mqttcore"
)

// Ledger is the oracle: what was promised, and what came of it. It is told by
// the applications and by the broker, after each step, and stops believing at
// the first contradiction.
type Ledger struct {
	// Failure is the first contradiction, or nil.
	Failure error
	// Strict is unset where the broker is somebody else's, who may err: a
	// connection may end with a protocol violation that nobody told of.
	Strict bool
	// Strangers is set in runs with a broker that sends messages of its own.
	Strangers bool
	// Limits is set in runs with a broker that takes now more and now less.
	Limits bool
	// Every is after how many steps of an application the complete comparisons
	// are made; 0 is 64.
	Every int

	apps     []appRow
	names    map[string]int
	messages []messageRow
	requests []requestRow // by tag
	counters []Counter
	steps    int
	scratch  [3][]byte
	name     []byte // of a counter
	ids      []uint16
}

// Contradiction is what an oracle found: something came to pass that must not.
type Contradiction struct {
	Client string // whose exchange shows it
	Text   string
}

// Error implements error.
func (c *Contradiction) Error() string { return c.Client + ": " + c.Text }

// Counter is how often a rare state was reached.
type Counter struct {
	Name string
	N    int
}

type appRow struct {
	app   *App
	name  string
	got   []uint8  // deliveries at QoS 2, by message
	came  []uint8  // set for messages whose event came
	due   []uint8  // copies of QoS 1 and 2 that the broker owes, by message
	owed  []uint8  // copies of QoS 2 that it ever took on, by message
	owes  int      // messages with due > 0
	order []uint32 // last first delivery, by publisher, topic and QoS
	// stale is set when the broker forgot the session and the client does not
	// know it yet. When it then connects to a session that another attempt of its
	// own made anew, it cannot know: its promises are blurred from then on. It is
	// the protocol's gap, not the client's.
	stale, blurred bool
	nums           map[uint64]numRow // by the numbers that ops give
	held           map[uint64]uint16 // messages of which the identifier is all that is left
	up             int               // epoch of the application in which it was last connected
	illegal        uint64            // number of the connection over which something illegal came last
	right          mqttcore.ReasonCode
}

// numRow is what a message is called elsewhere.
type numRow struct {
	tag uint64
	id  uint16 // 0: never sent
}

type messageRow struct {
	app      int
	topic    int
	qos      mqttcore.QoS
	durable  bool   // its put was committed: from here on it must not be lost
	sent     bool   // so was its identifier
	sentOn   uint64 // number of the connection that it was to be sent on then; 0: there was none
	fate     bool
	accepted uint8 // by the broker, as new
	excused  bool  // its session was lost on the way
}

// maxTopics is how many topics an application may publish to.
const maxTopics = 64

// tagBit marks tags of requests, which are no message numbers.
const tagBit = 1 << 63

func (l *Ledger) fail(a *App, format string, args ...any) {
	l.contradict(l.apps[a.id].name, format, args...)
}

func (l *Ledger) contradict(client, format string, args ...any) {
	if l.Failure == nil {
		l.Failure = &Contradiction{Client: client, Text: fmt.Sprintf(format, args...)}
	}
}

// seen counts a rare state, whose name is given in parts.
func (l *Ledger) seen(name ...string) {
	l.name = l.name[:0]
	for _, part := range name {
		l.name = append(l.name, part...)
	}
	i, ok := slices.BinarySearchFunc(l.counters, l.name, func(c Counter, name []byte) int {
		switch {
		case c.Name < string(name):
			return -1
		case c.Name > string(name):
			return 1
		}
		return 0
	})
	if !ok {
		l.counters = slices.Insert(l.counters, i, Counter{Name: string(l.name)})
	}
	l.counters[i].N++
}

// Counters are the rare states that were reached, by name.
func (l *Ledger) Counters() []Counter { return l.counters }

// Messages is the number of messages so far.
func (l *Ledger) Messages() int { return len(l.messages) }

// join enters an application, at its start.
func (l *Ledger) join(name string) int {
	if l.names == nil {
		l.names = make(map[string]int)
	}
	if i, ok := l.names[name]; ok {
		return i
	}
	l.names[name] = len(l.apps)
	l.apps = append(l.apps, appRow{name: name})
	return len(l.apps) - 1
}

// message enters a message that is about to be published.
func (l *Ledger) message(a *App, topic int, q mqttcore.QoS) uint32 {
	l.messages = append(l.messages, messageRow{app: a.id, topic: topic, qos: q})
	return uint32(len(l.messages) - 1)
}

// refused takes back the last message, which Publish did not accept.
func (l *Ledger) refused(n uint32) {
	if int(n) == len(l.messages)-1 {
		l.messages = l.messages[:n]
	}
}

// op is told of each op that was committed.
func (l *Ledger) op(a *App, op *mqttcore.Op) {
	row := &l.apps[a.id]
	switch op.Kind {
	case mqttcore.OpPut:
		if row.nums == nil {
			row.nums = map[uint64]numRow{}
		}
		row.nums[op.Num] = numRow{tag: op.Tag}
		if op.Tag < uint64(len(l.messages)) {
			l.messages[op.Tag].durable = true
		}
	case mqttcore.OpSent:
		num, ok := row.nums[op.Num]
		if ok {
			num.id = op.ID
			row.nums[op.Num] = num
		}
		if ok && num.tag < uint64(len(l.messages)) {
			m := &l.messages[num.tag]
			if m.sent = true; a.conn != nil {
				m.sentOn = a.conn.id
			}
		}
	case mqttcore.OpHold:
		if row.held == nil {
			row.held = map[uint64]uint16{}
		}
		row.held[op.Num] = row.nums[op.Num].id
	case mqttcore.OpDelete:
		delete(row.nums, op.Num)
		delete(row.held, op.Num)
	case mqttcore.OpClear:
		if op.Sent {
			clear(row.held)
		}
	}
}

// effect is told of each effect that was committed.
func (l *Ledger) effect(a *App, f effect) {
	switch f.kind {
	case mqttcore.EventMessage:
		l.delivered(a, f)
	case mqttcore.EventConnected:
		l.apps[a.id].stale = false // it knows now, also after a crash
	case mqttcore.EventPublished, mqttcore.EventDropped:
		if f.tag >= uint64(len(l.messages)) {
			l.fail(a, "a fate for tag %d, which nobody gave", f.tag)
			return
		}
		m := &l.messages[f.tag]
		switch {
		case m.fate:
			l.fail(a, "message %d has two fates", f.tag)
		case !m.durable:
			l.fail(a, "message %d has a fate and was never accepted", f.tag)
		case f.kind == mqttcore.EventPublished && m.accepted == 0:
			l.fail(a, "message %d is published, and the broker never had it", f.tag)
		case m.sent && (f.why == mqttcore.DropExpired || f.why == mqttcore.DropOverflow):
			l.fail(a, "message %d was sent, and dropped as if it had not been: %v", f.tag, f.why)
		case f.why == mqttcore.DropNotAllowed && !l.Limits:
			l.fail(a, "message %d was dropped for what the broker does not take, and it takes all", f.tag)
		case !m.sent && !a.Config.DropQueued && (f.why == mqttcore.DropSessionLost || f.why == mqttcore.DropSessionEnded):
			l.fail(a, "message %d was never sent, and went with the session", f.tag)
		}
		m.fate = true
		if f.kind == mqttcore.EventDropped {
			l.seen("dropped: ", f.why.String())
		}
	}
}

func (l *Ledger) delivered(a *App, f effect) {
	row := &l.apps[a.id]
	if int(f.message) >= len(l.messages) {
		l.fail(a, "message %d was never sent", f.message)
		return
	}
	if f.qos == mqttcore.QoS0 {
		return
	}
	row.due = grow(row.due, f.message)
	if f.qos == mqttcore.QoS2 {
		row.got, row.owed = grow(row.got, f.message), grow(row.owed, f.message)
		n := &row.got[f.message]
		if *n < 255 {
			*n++
		}
		if *n > row.owed[f.message] && l.Strict && !row.blurred {
			l.fail(a, "QoS 2 message %d came once too often (%d times)", f.message, *n)
		}
	}
	if row.due[f.message] > 0 {
		row.due[f.message]--
		if row.due[f.message] == 0 {
			row.owes--
		}
	}
}

// topic is told under which topic a message comes.
func (l *Ledger) topic(a *App, n uint32, name []byte) {
	if i, ok := topicOf(name); int(n) < len(l.messages) && (!ok || i != l.messages[n].topic) {
		l.fail(a, "message %d came with the topic %q", n, name)
	}
}

// arrived is told of each message when its event comes, durable or not: those
// of one publisher, topic and QoS come in order, repeats aside.
func (l *Ledger) arrived(a *App, n uint32, q mqttcore.QoS) {
	row := &l.apps[a.id]
	if int(n) >= len(l.messages) {
		return // delivered will say so
	}
	if row.came = grow(row.came, n); row.came[n] != 0 {
		if q != mqttcore.QoS0 {
			l.seen("delivered again")
		}
		return
	}
	row.came[n] = 1
	m := &l.messages[n]
	if m.excused || m.accepted > 1 || row.blurred || l.apps[m.app].blurred {
		return // repeats come when they come
	}
	key := ((m.app*maxTopics+m.topic)*3+int(m.qos))*3 + int(q)
	if key >= len(row.order) {
		row.order = append(row.order, make([]uint32, key+64-len(row.order))...)
	}
	if row.order[key] > n+1 {
		l.fail(a, "message %d came after %d, which was published later", n, row.order[key]-1)
	}
	row.order[key] = n + 1
}

// grow makes room for index n.
func grow(b []uint8, n uint32) []uint8 {
	for int(n) >= len(b) {
		b = append(b, make([]uint8, max(64, len(b)))...)
	}
	return b
}

// Accepted is told by the broker that a client's message is new to it.
func (l *Ledger) Accepted(client string, payload []byte, q mqttcore.QoS) {
	n, ok := messageOf(payload)
	if !ok || int(n) >= len(l.messages) {
		return
	}
	m := &l.messages[n]
	if m.accepted < 255 {
		m.accepted++
	}
	switch {
	case m.qos != q:
		l.contradict(l.apps[m.app].name, "message %d was published at QoS %d and arrived at %d", n, m.qos, q)
	case q == mqttcore.QoS2 && m.accepted > 1 && !m.excused && l.Strict && !l.apps[m.app].blurred:
		l.contradict(l.apps[m.app].name, "QoS 2 message %d reached the broker %d times", n, m.accepted)
	case q != mqttcore.QoS0 && !m.durable:
		l.contradict(l.apps[m.app].name, "message %d was written before it was committed", n)
	}
	if m.accepted > 1 {
		l.seen("accepted again")
	}
}

// Owed is told by the broker that it has taken on to deliver a message to a
// client's session, with QoS q, which is 1 or 2.
func (l *Ledger) Owed(client string, payload []byte, q mqttcore.QoS) {
	i, ok := l.names[client]
	n, mine := messageOf(payload)
	if !ok || !mine {
		return
	}
	row := &l.apps[i]
	row.due = grow(row.due, n)
	if row.due[n] == 0 {
		row.owes++
	}
	row.due[n]++
	if q == mqttcore.QoS2 {
		row.owed = grow(row.owed, n)
		row.owed[n]++
	}
}

// Excused is told by the broker that it will not deliver a message that it
// owes: it has expired, or is larger than the client takes.
func (l *Ledger) Excused(client string, payload []byte) {
	i, ok := l.names[client]
	n, mine := messageOf(payload)
	if !ok || !mine {
		return
	}
	if row := &l.apps[i]; int(n) < len(row.due) && row.due[n] > 0 {
		if row.due[n]--; row.due[n] == 0 {
			row.owes--
		}
	}
}

// Ended is told by the broker that it has forgotten a client's session.
func (l *Ledger) Ended(client string) {
	if i, ok := l.names[client]; ok {
		row := &l.apps[i]
		clear(row.due)
		row.owes, row.stale = 0, true
		l.seen("session ended")
		// In 3.x a client sends again what it sent to a session that is lost: the
		// promise of QoS 2 holds while sessions live.
		if row.app != nil {
			for m := range row.app.c.Session().Outgoing() {
				if m.Tag < uint64(len(l.messages)) {
					l.messages[m.Tag].excused = true
				}
			}
		}
	}
}

// connected and closed watch the connections.
func (l *Ledger) connected(a *App, ev *mqttcore.Event) {
	row := &l.apps[a.id]
	row.app, row.up = a, a.epoch
	resumed := ev.SessionPresent || a.Config.Version == mqttcore.V31 && !a.Config.CleanStart
	if row.stale && resumed {
		row.blurred = true
		l.seen("a session that was made anew behind the client's back")
	}
	if ev.SessionPresent {
		l.seen("session present")
	}
	if resumed {
		for m := range a.c.Session().Outgoing() {
			l.seen("resumed while ", m.State.String())
		}
	}
}

func (l *Ledger) closed(a *App, ev *mqttcore.Event) {
	l.seen("closed: ", ev.Cause.String())
	row, s := &l.apps[a.id], a.c.Session()
	if a.c.State() == mqttcore.StateDisconnected && row.up == a.epoch && s.Expiry() == 0 && s.Established() {
		l.fail(a, "a session of no expiry outlives its connection")
	}
	if ev.Cause == mqttcore.CauseProtocolViolation {
		l.violated(a, ev)
	}
}

// Violation is told by the broker what a client did that it must not.
func (l *Ledger) Violation(v Violation) {
	if i, ok := l.names[v.Client]; ok && l.apps[i].blurred {
		return
	}
	l.contradict(v.Client, "%s: %s", v.Rule, v.Text)
}

// unknown is told of messages that no application sent: a hostile broker did.
func (l *Ledger) unknown(a *App, ev *mqttcore.Event) {
	if l.Strict && !l.Strangers {
		l.fail(a, "a message that nobody sent: %v", ev)
	}
	l.seen("unknown message")
}

// step is told after each turn of an application's loop.
func (l *Ledger) step(a *App) {
	c := a.c
	if c.Window() < 0 || c.Window() > int(c.Limits().ReceiveMaximum) {
		l.fail(a, "the window is %d of %d", c.Window(), c.Limits().ReceiveMaximum)
	}
	if n := c.Stats().PingsSent; c.State() == mqttcore.StateConnected && c.Limits().KeepAlive == 0 && n > a.pings {
		l.fail(a, "a ping without keep alive, and nobody asked for it")
	}
	if c.State() == mqttcore.StateConnected && c.Window() == 0 && c.Session().Len() > int(c.Limits().ReceiveMaximum) {
		l.seen("backlog over quota")
	}
	l.steps++
	every := l.Every
	if every == 0 {
		every = 64
	}
	if l.steps%every == 0 {
		l.complete(a)
	}
}

// complete makes the comparisons that cost time.
func (l *Ledger) complete(a *App) {
	b := &l.scratch
	b[0], _ = a.c.Session().AppendBinary(b[0][:0])
	b[1], _ = a.disk.AppendBinary(b[1][:0])
	if !bytes.Equal(b[0], b[1]) {
		l.fail(a, "the fold of the ops is not the session")
	}
	l.outgoing(a)
	t := a.c.Deadline()
	if a.c.More() {
		return
	}
	c := a.c.Clone()
	if a.h != nil && (t.IsZero() || a.h.Now().Before(t)) {
		if b[2] = c.Tick(b[2][:0], a.h.Now()); len(b[2]) != 0 {
			l.fail(a, "there is more to send than More tells")
		}
		if !c.Deadline().Equal(t) {
			l.fail(a, "a Tick before the deadline moves it")
		}
	}
	if !t.IsZero() {
		b[0] = c.AppendState(b[0][:0], t)
		b[2] = c.Tick(b[2][:0], t)
		b[1] = c.AppendState(b[1][:0], t)
		if len(b[2]) == 0 && bytes.Equal(b[0], b[1]) {
			l.fail(a, "a Tick at the deadline does nothing")
		}
		if c.More() {
			return
		}
		b[2] = c.Tick(b[2][:0], t)
		b[0] = c.AppendState(b[0][:0], t)
		if len(b[2]) != 0 || !bytes.Equal(b[0], b[1]) {
			l.fail(a, "a second Tick at the deadline does something")
		}
	}
}

// fewIDs is how many packet identifiers are more than the applications use.
const fewIDs = 512

// identifiers takes packet identifiers of each application that rests, until it
// has at least that many, and all from 1 to the highest that it was given: then
// none of them is lost. Where one is missing it goes on to the last, and counts.
func (l *Ledger) identifiers(least int) {
	var s mqttcore.Subscribe
	_ = s.Subscriptions.Add(mqttcore.Subscription{Filter: []byte("a")})
	for i := range l.apps {
		a := l.apps[i].app
		c := a.c.Clone()
		if c.State() != mqttcore.StateConnected {
			continue
		}
		given, n, highest, err := make([]bool, 1<<16), 0, 0, error(nil)
		for _, id := range l.apps[i].held { // it has these, and none of them is to be given out
			given[id] = true
			highest = max(highest, int(id))
			n++
		}
		for n < least || n < highest {
			if l.scratch[0], err = c.Subscribe(l.scratch[0][:0], a.h.Now(), &s, 0); err != nil {
				break
			}
			id := binary.BigEndian.Uint16(l.scratch[0][2:]) // behind the fixed header
			if id == 0 || given[id] {
				l.fail(a, "packet identifier %d is given out again", id)
				return
			}
			given[id] = true
			highest = max(highest, int(id))
			n++
		}
		if err != nil && n != 0xFFFF {
			l.fail(a, "%d packet identifiers are free: %v", n, err)
		}
	}
}

// Settled reports whether all has come to its end: every application is
// connected, every message that was accepted has its fate, and every session got
// what the broker owes it. It is asked when the faults have stopped and time has
// passed.
func (l *Ledger) Settled() error {
	for i := range l.apps {
		row := &l.apps[i]
		if row.app == nil || row.app.c.State() != mqttcore.StateConnected {
			return &Contradiction{row.name, "is not connected"}
		}
		l.complete(row.app)
		if n := row.app.c.Session().Len(); n != 0 {
			return &Contradiction{row.name, fmt.Sprintf("%d messages are not finished", n)}
		}
		if row.owes != 0 && !row.blurred {
			n := slices.IndexFunc(row.due, func(v uint8) bool { return v > 0 })
			return &Contradiction{row.name, fmt.Sprintf("%d messages did not arrive, the first is %d", row.owes, n)}
		}
	}
	if err := l.unanswered(); err != nil {
		return err
	}
	for n := range l.messages {
		if m := &l.messages[n]; m.durable && !m.fate {
			return &Contradiction{l.apps[m.app].name, fmt.Sprintf("message %d has no fate", n)}
		}
	}
	return l.Failure
}
