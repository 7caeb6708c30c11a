// This file holds the journal: what changed in a session as a sequence of ops,
// their binary form, and the snapshot, which is the shortest sequence of ops
// that makes the session. It must not know connections.
//
// A record on disk, integers big-endian:
//
//	offset  size
//	0       1     0xD5
//	1       1     format version, 1
//	2       1     kind of op
//	3       1     flags: bit 0 RETAIN, bits 1-2 QoS, bit 3 established,
//	              bit 4 sent, bit 5 queued, bit 6 incoming (what a clear clears)
//	4       4     size of the body
//	8       4     CRC-32 (IEEE) of the 8 bytes before
//	12      n     body, by kind:
//	              put         slot 4, tag 8, expires 8, topic length 2,
//	                          properties length 4, topic, properties, payload
//	              sent        slot 4, identifier 2
//	              release, hold, delete   slot 4
//	              put incoming, delete incoming   identifier 2
//	              clear       nothing
//	              meta        session expiry interval 4, client identifier
//	12+n    4     CRC-32 (IEEE) of the body
//
// A snapshot is a header of the same form, kind 0x7F, whose body is the op
// records.

package mqttcore

import (
	"hash/crc32"
	"iter"
)

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
	opSnapshot       OpKind = 0x7F
)

var opNames = [...]string{"none", "put", "sent", "release", "hold", "delete", "put incoming", "delete incoming", "clear", "meta"}

// String names the kind.
func (k OpKind) String() string { return nameOf(opNames[:], uint8(k)) }

// Op is one change to a session. Which fields count depends on the kind. The
// texts alias the session and hold until the next call of a method of the
// client.
type Op struct {
	Kind OpKind
	Slot uint32 // names the outgoing message, from its put to its delete
	ID   uint16 // sent, put incoming, delete incoming

	// put
	Tag     uint64
	Expires int64 // end of the message expiry interval, in unix nanoseconds; 0: none
	QoS     QoS
	Retain  bool
	Topic   []byte
	Props   Properties // without topic alias
	Payload []byte

	// clear: what of the session goes
	Sent, Queued, Incoming bool

	// meta
	ClientID    []byte
	Expiry      uint32 // session expiry interval in seconds
	Established bool
}

// ErrCorrupt is the error of bytes that are no journal or snapshot of a known
// format, or not one that fits the session.
const ErrCorrupt Misuse = "mqttcore: the journal or snapshot is damaged"

// journal is the ops that were not taken yet. An entry is kind, flags,
// identifier and slot in one word; the rest is in the record, which is not used
// again before the op is taken.
type journal struct {
	ops   []uint64
	next  int
	limbo []uint32 // freed records that untaken ops name
}

// maxOps is the number of untaken ops from which on calls fail with
// ErrPending.
const maxOps = 1 << 12

const (
	clearSent     = 0x10
	clearQueued   = 0x20
	clearIncoming = 0x40
	opEstablished = 0x08
)

// note adds an op when a journal is kept.
func (s *Session) note(k OpKind, flags uint8, id uint16, slot uint32) {
	if s.j != nil {
		s.j.ops = append(s.j.ops, uint64(k)<<56|uint64(flags)<<48|uint64(id)<<32|uint64(slot))
	}
}

// untaken is the number of ops that wait.
func (s *Session) untaken() int {
	if s.j == nil {
		return 0
	}
	return len(s.j.ops) - s.j.next
}

// nextOp takes the oldest op. After the last one, the records in limbo are
// free.
func (s *Session) nextOp(op *Op) bool {
	if s.untaken() == 0 {
		if j := s.j; j != nil {
			j.ops, j.next = j.ops[:0], 0
			for _, i := range j.limbo {
				s.out.free(i)
			}
			j.limbo = j.limbo[:0]
		}
		return false
	}
	e := s.j.ops[s.j.next]
	s.j.next++
	flags := uint8(e >> 48)
	*op = Op{Kind: OpKind(e >> 56), ID: uint16(e >> 32), Slot: uint32(e)}
	switch op.Kind {
	case OpPut:
		s.out.slab[op.Slot].op(op)
	case OpClear:
		op.Sent, op.Queued, op.Incoming = flags&clearSent != 0, flags&clearQueued != 0, flags&clearIncoming != 0
	case OpMeta:
		op.ClientID, op.Expiry, op.Established = s.clientID, s.expiry, s.established
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

// ops yields the shortest journal that makes the session. One Op is used for
// all.
func (s *Session) ops() iter.Seq[*Op] {
	return func(yield func(*Op) bool) {
		op := &Op{Kind: OpMeta, ClientID: s.clientID, Expiry: s.expiry, Established: s.established}
		if !yield(op) {
			return
		}
		step := func(o Op) bool {
			*op = o
			return yield(op)
		}
		for _, l := range [...]listID{listReleased, listSent, listHeld, listQueued} {
			for i := s.out.lists[l].head; i != 0; i = s.out.slab[i].next {
				r := &s.out.slab[i]
				put := Op{Kind: OpPut, Slot: i}
				r.op(&put)
				if l == listReleased || l == listHeld {
					put.Topic, put.Props, put.Payload = nil, Properties{}, nil
				}
				if !step(put) ||
					l != listQueued && !step(Op{Kind: OpSent, Slot: i, ID: r.id}) ||
					l == listReleased && !step(Op{Kind: OpRelease, Slot: i}) ||
					l == listHeld && !step(Op{Kind: OpHold, Slot: i}) {
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

// Apply does to the session what op says; a session that no client uses
// becomes by all ops what the journaled one was. It fails with ErrCorrupt, and
// changes nothing, when the op does not fit the session.
func (s *Session) Apply(op *Op) error {
	o := &s.out
	in := func(lists ...listID) bool {
		if int(op.Slot) >= len(o.slab) || op.Slot == 0 {
			return false
		}
		for _, l := range lists {
			if o.slab[op.Slot].list == l {
				return true
			}
		}
		return false
	}
	switch op.Kind {
	case OpPut:
		if op.Slot == 0 || op.Slot > maxSlots || op.QoS == QoS0 || op.QoS > QoS2 || len(op.Topic) > maxString ||
			int(op.Slot) < len(o.slab) && o.slab[op.Slot].list != listFree {
			return ErrCorrupt
		}
		for int(op.Slot) >= len(o.slab) {
			o.extend()
		}
		o.use(op.Slot, listQueued)
		p := Publish{Topic: op.Topic, Payload: op.Payload, QoS: op.QoS, Retain: op.Retain, Props: op.Props}
		s.fill(op.Slot, &p, op.Tag, op.Expires)
	case OpSent:
		if !in(listQueued) || op.ID == 0 {
			return ErrCorrupt
		}
		o.bytes -= len(o.slab[op.Slot].buf)
		o.slab[op.Slot].id = op.ID
		o.move(op.Slot, listSent)
	case OpRelease:
		if !in(listSent) || o.slab[op.Slot].qos() != QoS2 {
			return ErrCorrupt
		}
		o.move(op.Slot, listReleased)
	case OpHold:
		if !in(listSent) {
			return ErrCorrupt
		}
		o.move(op.Slot, listHeld)
	case OpDelete:
		if !in(listQueued, listSent, listReleased, listHeld) {
			return ErrCorrupt
		}
		if o.slab[op.Slot].list == listQueued {
			o.bytes -= len(o.slab[op.Slot].buf)
		}
		o.put(op.Slot)
	case OpPutIncoming:
		if op.ID == 0 || s.inbox.find(op.ID) != 0 {
			return ErrCorrupt
		}
		s.incoming().put(op.ID, QoS2, inReceived)
	case OpDeleteIncoming:
		at := s.inbox.find(op.ID)
		if at == 0 {
			return ErrCorrupt
		}
		s.inbox.remove(at)
	case OpClear:
		for l, gone := range [listCount]bool{listSent: op.Sent, listReleased: op.Sent, listHeld: op.Sent, listQueued: op.Queued} {
			for gone && o.lists[l].head != 0 {
				o.put(o.lists[l].head)
			}
		}
		if op.Queued {
			o.bytes = 0
		}
		if op.Incoming {
			s.inbox.clear()
		}
	case OpMeta:
		s.clientID = append([]byte(nil), op.ClientID...)
		s.expiry, s.established = op.Expiry, op.Established
	default:
		return ErrCorrupt
	}
	return nil
}

// maxSlots bounds the slots that a journal may name, and by that the memory
// that a damaged one can ask for.
const maxSlots = 1 << 22

const (
	opMagic   = 0xD5
	opFormat  = 1
	opHeader  = 12
	opTrailer = 4
)

// AppendBinary appends the op in the journal's format. The error is nil.
func (op *Op) AppendBinary(dst []byte) ([]byte, error) {
	var flags uint8
	for bit, set := range [...]bool{op.Retain, false, false, op.Established, op.Sent, op.Queued, op.Incoming} {
		if set {
			flags |= 1 << bit
		}
	}
	at := len(dst)
	dst = append(dst, opMagic, opFormat, byte(op.Kind), flags|uint8(op.QoS&3)<<1, 0, 0, 0, 0, 0, 0, 0, 0)
	switch op.Kind {
	case OpPut:
		dst = appendUint64(appendUint64(appendUint32(dst, op.Slot), op.Tag), uint64(op.Expires))
		dst = append(dst, byte(len(op.Topic)>>8), byte(len(op.Topic)))
		dst = append(appendUint32(dst, uint32(op.Props.Len())), op.Topic...)
		dst = append(op.Props.AppendTo(dst), op.Payload...)
	case OpSent:
		dst = append(appendUint32(dst, op.Slot), byte(op.ID>>8), byte(op.ID))
	case OpRelease, OpHold, OpDelete:
		dst = appendUint32(dst, op.Slot)
	case OpPutIncoming, OpDeleteIncoming:
		dst = append(dst, byte(op.ID>>8), byte(op.ID))
	case OpMeta:
		dst = append(appendUint32(dst, op.Expiry), op.ClientID...)
	}
	return seal(dst, at), nil
}

// seal completes the record that begins at dst[at:] with its size and sums.
func seal(dst []byte, at int) []byte {
	head, body := dst[at:at+opHeader], dst[at+opHeader:]
	copy(head[4:], appendUint32(nil, uint32(len(body))))
	copy(head[8:], appendUint32(nil, crc32.ChecksumIEEE(head[:8])))
	return appendUint32(dst, crc32.ChecksumIEEE(body))
}

// unseal takes the record at the start of b. n is 0 when b ends too early.
func unseal(b []byte) (kind OpKind, flags uint8, body []byte, n int, err error) {
	if len(b) > 0 && b[0] != opMagic || len(b) > 1 && b[1] != opFormat {
		return 0, 0, nil, 0, ErrCorrupt
	}
	if len(b) < opHeader {
		return 0, 0, nil, 0, nil
	}
	if be32(b[8:]) != crc32.ChecksumIEEE(b[:8]) {
		return 0, 0, nil, 0, ErrCorrupt
	}
	size := uint64(be32(b[4:]))
	if uint64(len(b)) < opHeader+size+opTrailer {
		return 0, 0, nil, 0, nil
	}
	end := opHeader + int(size)
	body = b[opHeader:end:end]
	if be32(b[end:]) != crc32.ChecksumIEEE(body) {
		return 0, 0, nil, 0, ErrCorrupt
	}
	return OpKind(b[2]), b[3], body, end + opTrailer, nil
}

// ConsumeOp decodes the op at the start of b and returns the bytes taken, or 0
// when b ends in the middle of it, as a torn write leaves it. The texts of op
// alias b. Bytes that are no op are ErrCorrupt.
func ConsumeOp(b []byte, op *Op) (n int, err error) {
	kind, flags, body, n, err := unseal(b)
	if n == 0 || err != nil {
		return 0, err
	}
	if !op.decode(kind, flags, body) {
		return 0, ErrCorrupt
	}
	return n, nil
}

// UnmarshalBinary decodes exactly one op. Its texts alias b.
func (op *Op) UnmarshalBinary(b []byte) error {
	n, err := ConsumeOp(b, op)
	if err == nil && n != len(b) {
		return ErrCorrupt
	}
	return err
}

func (op *Op) decode(kind OpKind, flags uint8, b []byte) bool {
	*op = Op{
		Kind: kind, Retain: flags&1 != 0, QoS: QoS(flags >> 1 & 3), Established: flags&opEstablished != 0,
		Sent: flags&clearSent != 0, Queued: flags&clearQueued != 0, Incoming: flags&clearIncoming != 0,
	}
	switch kind {
	case OpPut:
		if len(b) < 26 {
			return false
		}
		op.Slot, op.Tag, op.Expires = be32(b), be64(b[4:]), int64(be64(b[12:]))
		t, p := int(b[20])<<8|int(b[21]), int64(be32(b[22:]))
		b = b[26:]
		if int64(len(b)) < int64(t)+p {
			return false
		}
		var err error
		op.Topic, op.Payload = b[:t:t], b[t+int(p):]
		op.Props, err = ParseProperties(b[t : t+int(p) : t+int(p)])
		return err == nil
	case OpSent:
		if len(b) != 6 {
			return false
		}
		op.Slot, op.ID = be32(b), uint16(b[4])<<8|uint16(b[5])
	case OpRelease, OpHold, OpDelete:
		if len(b) != 4 {
			return false
		}
		op.Slot = be32(b)
	case OpPutIncoming, OpDeleteIncoming:
		if len(b) != 2 {
			return false
		}
		op.ID = uint16(b[0])<<8 | uint16(b[1])
	case OpClear:
		return len(b) == 0
	case OpMeta:
		if len(b) < 4 || len(b) > 4+maxString {
			return false
		}
		op.Expiry, op.ClientID = be32(b), b[4:]
	default:
		return false
	}
	return true
}

// Replay applies the ops in b, the bytes of a journal. It returns how many
// bytes it took: fewer than len(b) when the last op is torn, whose bytes the
// caller cuts off. On ErrCorrupt the ops before the damage are applied.
func (s *Session) Replay(b []byte) (n int, err error) {
	var op Op
	for n < len(b) {
		k, err := ConsumeOp(b[n:], &op)
		if err == nil && k > 0 {
			err = s.Apply(&op)
		}
		if err != nil || k == 0 {
			return n, err
		}
		n += k
	}
	return n, nil
}

// AppendBinary appends a snapshot of the session: all of it, with untaken ops
// in it already. Received messages whose acknowledgement the application has
// not decided are left out: they come again. The error is nil.
func (s *Session) AppendBinary(dst []byte) ([]byte, error) {
	at := len(dst)
	dst = append(dst, opMagic, opFormat, byte(opSnapshot), 0, 0, 0, 0, 0, 0, 0, 0, 0)
	for op := range s.ops() {
		dst, _ = op.AppendBinary(dst)
	}
	return seal(dst, at), nil
}

// UnmarshalBinary makes the session what the snapshot b holds. On ErrCorrupt
// nothing changed. The session must not be in use by a client.
func (s *Session) UnmarshalBinary(b []byte) error {
	n, err := s.ConsumeBinary(b)
	if err == nil && n != len(b) {
		return ErrCorrupt
	}
	return err
}

// ConsumeBinary is UnmarshalBinary for a snapshot at the start of b, which a
// journal may follow in the same file; n is its size.
func (s *Session) ConsumeBinary(b []byte) (n int, err error) {
	kind, _, body, n, err := unseal(b)
	if err != nil || n == 0 || kind != opSnapshot {
		return 0, ErrCorrupt
	}
	var fresh Session
	k, err := fresh.Replay(body)
	if err != nil || k != len(body) {
		return 0, ErrCorrupt
	}
	fresh.j = s.j
	*s = fresh
	return n, nil
}

// adopt makes the identifier pool of a restored session.
func (s *Session) adopt() error {
	p := &s.out.ids
	if len(p.slot) > 0 {
		return nil // a client used the session before
	}
	highest := 0
	for l := range s.out.lists {
		for i := s.out.lists[l].head; i != 0; i = s.out.slab[i].next {
			highest = max(highest, int(s.out.slab[i].id))
		}
	}
	if highest == 0 {
		return nil
	}
	p.slot = make([]uint32, max(highest, firstIDs)+1)
	for _, l := range [...]listID{listReleased, listSent, listHeld} {
		for i := s.out.lists[l].head; i != 0; i = s.out.slab[i].next {
			id := s.out.slab[i].id
			if id == 0 || p.slot[id] != 0 {
				return ErrCorrupt
			}
			p.slot[id] = i | idTaken
		}
	}
	for id := 1; id < len(p.slot); id++ {
		if p.slot[id] == 0 {
			p.giveBack(uint16(id))
		}
	}
	return nil
}

func appendUint32(b []byte, v uint32) []byte {
	return append(b, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

func appendUint64(b []byte, v uint64) []byte {
	return appendUint32(appendUint32(b, uint32(v>>32)), uint32(v))
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func be64(b []byte) uint64 { return uint64(be32(b))<<32 | uint64(be32(b[4:])) }
