// This file holds the client's process in an exploration: the turns of its loop,
// the points at which it may die, and its disk. What it acts on stands in
// explore_play.go.

package sim

import (
	"bytes"
	"slices"

	"mqttcore"
)

// processOf is a process with the client c, and what is on the disk.
func (st *player) processOf(c *mqttcore.Client) *process {
	p := &process{c: c, disk: st.disk, loose: st.loose}
	b := c.AppendState(st.scratch[:0], st.now())
	if p.loose { // else it is the session's
		b = append(b, st.disk...)
	}
	p.sum, st.scratch = hash(b), b
	return p
}

// outcome is what the application does because of an event.
type outcome struct {
	kind   mqttcore.EventKind
	why    mqttcore.DropReason
	tag    uint64
	number int // of the message
}

// turn is one round of the client's loop: act, commit, write, again while there
// is more. It returns false when the process died in it.
func (st *player) turn(act func(c *mqttcore.Client)) bool {
	if st.c == nil {
		st.c = st.m.process.c.Clone()
	}
	c := st.c
	before := c.State()
	for round := 0; round == 0 || c.More(); round++ {
		if round == 0 {
			act(c)
		} else {
			st.out = c.Tick(st.out, st.now())
		}
		st.events()
		if st.dies() {
			return false
		}
		st.commit()
		if st.dies() {
			return false
		}
		st.write(before)
		if round > 1000 {
			st.fail("there is more to send for ever")
			return true
		}
		if c.More() && st.dies() {
			return false
		}
	}
	if c.State() == mqttcore.StateDisconnected && st.m.open {
		st.leave()
	}
	return true
}

// arrive delivers all that is under way to the broker.
func (st *player) arrive() {
	for st.m.open && !st.m.ended && len(st.m.up) > 0 {
		st.toBroker()
	}
}

// leave closes the connection: what was written arrives.
func (st *player) leave() {
	st.arrive()
	st.cut("closed by the client")
	st.lost(ErrPeer)
}

// events takes the client's events.
func (st *player) events() {
	ev := &st.ev
	for st.c.Next(ev) {
		if st.watch != nil {
			st.note(true, ev.String())
		}
		number := -1
		switch ev.Kind {
		case mqttcore.EventMessage:
			n, ok := st.arrived(ev)
			if !ok {
				continue
			}
			number = n
		case mqttcore.EventConnected:
			st.connected(ev)
		case mqttcore.EventClosed:
			if ev.Cause == mqttcore.CauseProtocolViolation {
				st.fail("closed: %v", ev)
			}
		}
		st.effects = append(st.effects, outcome{ev.Kind, ev.Why, ev.Tag, number})
	}
}

// commit makes the turn durable: the ops, and the effects of the events. The
// fold of the ops must be the session.
func (st *player) commit() {
	var disk *mqttcore.Session
	var op mqttcore.Op
	for st.c.NextOp(&op) {
		if disk == nil {
			disk = new(mqttcore.Session)
			if err := disk.UnmarshalBinary(st.disk); err != nil {
				st.fail("the snapshot does not load: %v", err)
			}
		}
		if err := disk.Apply(&op); err != nil {
			st.fail("%v does not apply: %v", op.Kind, err)
		}
		st.op(&op)
		if op.Kind == mqttcore.OpSent {
			st.numbered(disk, op.ID)
		}
	}
	if disk != nil {
		st.disk, _ = disk.AppendBinary(nil)
	}
	b, _ := st.c.Session().AppendBinary(st.scratch[:0])
	if st.scratch = b; !bytes.Equal(b, st.disk) {
		st.fail("the fold of the ops is not the session")
	}
	st.loose = false
	for i := range st.effects {
		switch f := &st.effects[i]; f.kind {
		case mqttcore.EventMessage:
			st.delivered(f.number)
		case mqttcore.EventConnected:
			st.m.promises.stale = false // it knows now, also after a crash
		case mqttcore.EventPublished, mqttcore.EventDropped:
			st.fate(f)
		}
	}
	st.effects = st.effects[:0]
}

// numbered notes that the message with an identifier is sent.
func (st *player) numbered(disk *mqttcore.Session, id uint16) {
	for m := range disk.Outgoing() {
		if m.Message.ID == id {
			if st.m.promises.up[m.Tag] |= upSent; st.m.open {
				st.m.promises.up[m.Tag] |= upFirst
			}
		}
	}
}

// write sends what the client has to say. before is its state when the turn
// began.
func (st *player) write(before mqttcore.State) {
	if len(st.out) == 0 {
		return
	}
	if before == mqttcore.StateDisconnected && st.c.State() == before {
		st.fail("there are %d bytes without a connection", len(st.out))
	}
	if st.m.open && !st.m.ended {
		st.m.up = slices.Concat(st.m.up, st.out)
	}
	st.out = st.out[:0]
}

// dies is what happens at a point of the loop. What was written before arrives: that
// it is lost is the same as ActCrash before or after the turn.
func (st *player) dies() bool {
	st.points++
	if st.points != st.crash {
		return false
	}
	st.barred = st.m.open && !st.m.spare(st.play.scope)
	st.note(true, "crash "+crashPoints[(st.crash-1)%len(crashPoints)])
	st.arrive()
	st.die()
	return true
}

// die ends the process, and starts it again.
func (st *player) die() {
	st.out, st.effects = st.out[:0], st.effects[:0]
	if st.m.open {
		st.cut("the client's process is gone")
		st.lost(ErrCut)
	}
	st.reborn = st.rebirths[string(st.disk)]
	if st.reborn != nil {
		return
	}
	st.restore()
	st.reborn = st.processOf(st.c)
	if len(st.rebirths) >= maxRebirths {
		clear(st.rebirths)
	}
	st.rebirths[string(st.disk)] = st.reborn
}

// maxRebirths is how many restored processes are kept, to be used again.
const maxRebirths = 1 << 12

// restore starts the process from what the disk holds.
func (st *player) restore() {
	s := new(mqttcore.Session)
	if err := s.UnmarshalBinary(st.disk); err != nil {
		st.fail("the snapshot does not load: %v", err)
	}
	c, err := mqttcore.NewClient(st.play.config, s)
	if err != nil {
		st.fail("NewClient: %v", err)
		return
	}
	st.c = c
	b, _ := s.AppendBinary(st.scratch[:0])
	st.scratch, st.loose = b, !bytes.Equal(b, st.disk)
}
