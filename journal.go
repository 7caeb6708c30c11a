// This file holds the journal: what changed in a session, as a sequence of ops,
// and how a session is made from ops. It must not know connections, nor bytes
// (journal_binary.go).

package mqttcore

import "iter"

// OpKind is the kind of a change to a session.
type OpKind uint8

// The kinds of ops.
const (
	OpPut            OpKind = 1 + iota // a message was queued
	OpSent                             // it was given an identifier, to be sent
	OpRelease                          // it was received; from now on only its PUBREL matters
	OpHold                             // it was dropped, but its identifier stays taken
	OpDelete                           // it is done, or the held identifier is free
	OpPutIncoming                      // an incoming QoS 2 message was taken
	OpDeleteIncoming                   // it was released
	OpClear                            // the server does not know the session any more
	OpMeta                             // client identifier, expiry or existence changed
	opKinds
)

var opNames = [...]string{"none", "put", "sent", "release", "hold", "delete", "put incoming", "delete incoming", "clear", "meta"}

// String names the kind.
func (k OpKind) String() string { return nameOf(opNames[:], uint8(k)) }

// Op is one change to a session. Which fields count depends on the kind; the
// others are zero. The texts of one that NextOp gave alias the session and hold
// until the next call of a method of the client.
type Op struct {
	Kind OpKind
	Num  uint64 // put to delete: names the outgoing message; never 0
	ID   uint16 // sent, put incoming, delete incoming: the packet identifier

	// put
	Tag     uint64
	Expires int64 // end of the message expiry interval, in unix nanoseconds; 0: none
	QoS     QoS
	Retain  bool
	Topic   []byte     // empty in a snapshot when only the identifier matters
	Props   Properties // without topic alias
	Payload []byte

	// clear: what of the session goes
	Sent, Queued, Incoming bool

	// meta
	ClientID    []byte
	Expiry      uint32 // session expiry interval in seconds
	Established bool
	Tried       bool // a CONNECT with a client identifier was sent whose answer is not known
}

// fifo is a queue in a slice that takes at most about twice the space of what
// is in it at its longest, however slowly it is emptied.
type fifo[T any] struct {
	items []T
	next  int
}

func (q *fifo[T]) len() int       { return len(q.items) - q.next }
func (q *fifo[T]) all() []T       { return q.items[q.next:] }
func (q *fifo[T]) first() T       { return q.items[q.next] }
func (q *fifo[T]) clone() fifo[T] { return fifo[T]{items: append([]T(nil), q.all()...)} }

func (q *fifo[T]) push(v T) {
	if len(q.items) == cap(q.items) && q.next > len(q.items)/2 {
		q.items, q.next = q.items[:copy(q.items, q.all())], 0
	}
	q.items = append(q.items, v)
}

func (q *fifo[T]) pop() T {
	v := q.items[q.next]
	if q.next++; q.next == len(q.items) {
		q.items, q.next = q.items[:0], 0
	}
	return v
}

// journal is what a session has more when a journal is kept, or when it was
// made from one.
type journal struct {
	// ops are those not taken yet: kind, flags, identifier and record in one
	// word. The message is in the record, which is not used again before the op
	// is taken.
	ops   fifo[uint64]
	taken uint64        // number of ops taken
	metas fifo[meta]    // of the untaken ops of kind OpMeta
	limbo fifo[inLimbo] // freed records that untaken ops may name

	// last is the number given last. Ops name messages by numbers that are given
	// in order and never again: a journal is as large as what is in it, whatever
	// names it holds.
	last uint64
	// record finds a message by its number while ops are applied; nil once a
	// client uses the session.
	record map[uint64]uint32
}

// meta is what an op of kind OpMeta tells.
type meta struct {
	clientID    []byte
	expiry      uint32
	established bool
	tried       bool
}

// inLimbo is a freed record. It can be used again when so many ops are taken.
type inLimbo struct {
	record uint32
	taken  uint64
}

// maxOps is the number of untaken ops from which on calls fail with
// ErrPending.
const maxOps = 1 << 12

const (
	clearSent     = 0x10
	clearQueued   = 0x20
	clearIncoming = 0x40
	opEstablished = 0x08
	opTried       = 0x80
)

// note adds an op when a journal is kept.
func (s *Session) note(k OpKind, flags uint8, id uint16, i uint32) {
	if s.j != nil {
		s.addOp(k, flags, id, i)
	}
}

func (s *Session) addOp(k OpKind, flags uint8, id uint16, i uint32) {
	switch k {
	case OpPut:
		s.j.last++
		s.out.slab[i].num = s.j.last
	case OpMeta:
		s.j.metas.push(meta{s.clientID, s.expiry, s.established, s.tried})
	}
	s.j.ops.push(uint64(k)<<56 | uint64(flags)<<48 | uint64(id)<<32 | uint64(i))
}

// num is the number of the message in record i. Without a journal it is that of
// the record.
func (s *Session) num(i uint32) uint64 {
	if s.j == nil {
		return uint64(i)
	}
	return s.out.slab[i].num
}

// untaken is the number of ops that wait.
func (s *Session) untaken() int {
	if s.j == nil {
		return 0
	}
	return s.j.ops.len()
}

// nextOp takes the oldest op. What the one before it was the last to name is
// free from now on.
func (s *Session) nextOp(op *Op) bool {
	j := s.j
	if j == nil {
		return false
	}
	for j.limbo.len() > 0 && j.limbo.first().taken <= j.taken {
		s.out.free(j.limbo.pop().record)
	}
	if j.ops.len() == 0 {
		return false
	}
	e := j.ops.pop()
	j.taken++
	i, flags := uint32(e), uint8(e>>48)
	*op = Op{Kind: OpKind(e >> 56), ID: uint16(e >> 32)}
	switch op.Kind {
	case OpPut:
		s.out.slab[i].op(op)
		op.Num = s.out.slab[i].num
	case OpSent, OpRelease, OpHold, OpDelete:
		op.Num = s.out.slab[i].num
	case OpClear:
		op.Sent, op.Queued, op.Incoming = flags&clearSent != 0, flags&clearQueued != 0, flags&clearIncoming != 0
	case OpMeta:
		m := j.metas.pop()
		op.ClientID, op.Expiry, op.Established, op.Tried = m.clientID, m.expiry, m.established, m.tried
	}
	return true
}

// op fills in what a put says of a record.
func (r *record) op(op *Op) {
	op.Tag, op.Expires = r.tag, r.expires
	op.QoS, op.Retain = r.qos(), r.flags&flagRetain != 0
	op.Topic, op.Payload = r.topic(), r.payload()
	op.Props, _ = ParseProperties(r.props())
}

// adopt makes the session one that a client uses: with a journal or without,
// and with a pool of identifiers.
func (s *Session) adopt(journaled bool) {
	s.used = true
	switch {
	case !journaled && s.j != nil:
		for s.j.limbo.len() > 0 {
			s.out.free(s.j.limbo.pop().record)
		}
		s.j = nil
	case journaled && s.j == nil:
		s.j = new(journal)
		for i := range s.out.slab {
			s.out.slab[i].num = uint64(i)
		}
		s.j.last = uint64(max(len(s.out.slab), 1) - 1)
	}
	if s.j != nil {
		s.j.record = nil
	}
	if p := &s.out.ids; p.free == 0 { // unless a client used it before, nothing is in the list of free ones
		for id := 1; id < len(p.slot); id++ {
			if p.slot[id] == 0 {
				p.giveBack(uint16(id))
			}
		}
	}
}

// ops yields the shortest journal that makes the session. One Op is used for
// all.
func (s *Session) ops() iter.Seq[*Op] {
	return func(yield func(*Op) bool) {
		op := &Op{Kind: OpMeta, ClientID: s.clientID, Expiry: s.expiry, Established: s.established, Tried: s.tried}
		if !yield(op) {
			return
		}
		step := func(o Op) bool {
			*op = o
			return yield(op)
		}
		for _, l := range [...]listID{listReleased, listSent, listHeld, listQueued} {
			for i := s.out.lists[l].head; i != 0; i = s.out.next(i) {
				r := &s.out.slab[i]
				num := s.num(i)
				put := Op{Kind: OpPut, Num: num}
				r.op(&put)
				if l == listReleased || l == listHeld {
					put.Topic, put.Props, put.Payload = nil, Properties{}, nil
				}
				if !step(put) ||
					l != listQueued && !step(Op{Kind: OpSent, Num: num, ID: r.id}) ||
					l == listReleased && !step(Op{Kind: OpRelease, Num: num}) ||
					l == listHeld && !step(Op{Kind: OpHold, Num: num}) {
					return
				}
			}
		}
		for _, id := range s.inbox.takenIDs() {
			if !step(Op{Kind: OpPutIncoming, ID: id}) {
				return
			}
		}
	}
}

// valid reports whether an op can be at all, whatever the session.
func (op *Op) valid() bool {
	switch op.Kind {
	case OpPut:
		size := len(op.Topic) + op.Props.Len() + len(op.Payload)
		return op.Num != 0 && (op.QoS == QoS1 || op.QoS == QoS2) && size <= maxRemaining &&
			len(op.Topic) <= maxString && topicFault(op.Topic, Dialect{Version: V31}) == ruleNone &&
			!op.Props.Mask().Has(PropTopicAlias) &&
			op.Props.fault(TypePublish, Dialect{Version: V5, From: FromClient}) == ruleNone
	case OpSent:
		return op.Num != 0 && op.ID != 0
	case OpRelease, OpHold, OpDelete:
		return op.Num != 0
	case OpPutIncoming, OpDeleteIncoming:
		return op.ID != 0
	case OpMeta:
		return len(op.ClientID) <= maxString
	}
	return op.Kind == OpClear
}

// Apply does to the session what op says. A new session becomes by all ops of a
// journal, or of a snapshot and the journal after it, what the journaled one
// was. It copies the texts of op.
//
// It fails with ErrCorrupt when the op does not fit the session, and with
// ErrInUse when a client has used the session; nothing changed then.
func (s *Session) Apply(op *Op) error {
	switch {
	case s.used:
		return ErrInUse
	case !op.valid():
		return ErrCorrupt
	case s.j == nil:
		s.j = &journal{record: map[uint64]uint32{}}
	}
	o, j := &s.out, s.j
	i := j.record[op.Num] // 0: there is no such message
	list := o.at(i)
	fits := true
	switch op.Kind {
	case OpPut:
		fits = i == 0
	case OpSent:
		fits = list == listQueued && o.ids.claim(op.ID, i)
	case OpRelease:
		fits = list == listSent && o.slab[i].qos() == QoS2
	case OpHold:
		fits = list == listSent
	case OpDelete:
		fits = i != 0
	case OpPutIncoming, OpDeleteIncoming:
		fits = (s.inbox.find(op.ID) != 0) == (op.Kind == OpDeleteIncoming)
	}
	if !fits {
		return ErrCorrupt
	}
	switch op.Kind {
	case OpPut:
		i = o.get(listQueued)
		o.slab[i].num = op.Num
		if op.Num < 1<<63 { // as all are that this package gives
			j.last = max(j.last, op.Num)
		}
		j.record[op.Num] = i
		p := Publish{Topic: op.Topic, Payload: op.Payload, QoS: op.QoS, Retain: op.Retain, Props: op.Props}
		s.fill(i, &p, op.Tag, op.Expires)
	case OpSent:
		o.bytes -= len(o.slab[i].buf)
		o.slab[i].id = op.ID
		o.move(i, listSent)
	case OpRelease:
		o.move(i, listReleased)
	case OpHold:
		o.move(i, listHeld)
	case OpDelete:
		s.unput(i)
	case OpPutIncoming:
		s.incoming().put(op.ID, QoS2, inReceived)
	case OpDeleteIncoming:
		s.inbox.remove(s.inbox.find(op.ID))
	case OpClear:
		for l, gone := range [listCount]bool{listSent: op.Sent, listReleased: op.Sent, listHeld: op.Sent, listQueued: op.Queued} {
			for gone && o.lists[l].head != 0 {
				s.unput(o.lists[l].head)
			}
		}
		if op.Incoming {
			s.inbox.clear()
		}
	case OpMeta:
		s.clientID = append([]byte(nil), op.ClientID...)
		s.expiry, s.established, s.tried = op.Expiry, op.Established, op.Tried
	}
	return nil
}

// unput takes the message in record i out of a session that no client uses.
func (s *Session) unput(i uint32) {
	r := &s.out.slab[i]
	if r.list == listQueued {
		s.out.bytes -= len(r.buf)
	}
	if r.id != 0 {
		s.out.ids.slot[r.id] = 0
		r.id = 0
	}
	delete(s.j.record, s.out.slab[i].num)
	s.out.put(i)
}
