// This file holds the storage of what is under way: outgoing records in one
// slab, linked into lists by index, the pool of packet identifiers, and the
// set of received identifiers. Everything here takes constant time. It knows no
// rule of delivery (qos.go, incoming.go) and nothing of connections (state.go).

package mqttcore

import "slices"

// record is an outgoing exchange: a QoS 1 or 2 message, or a request
// (SUBSCRIBE, UNSUBSCRIBE) that waits for its acknowledgement. It fills one
// cache line.
type record struct {
	// buf is topic, properties and payload of a message, without topic alias; of
	// a request its filters. There expires is the subscription identifier.
	buf      []byte
	tag      uint64
	num      uint64 // its number in the journal, 0 without one
	expires  int64  // end of the message expiry interval, in unix nanoseconds; 0: none
	epoch    uint32 // the connection on which it was last sent, and charged
	propsLen uint32 // of a request: the number of its filters
	topicLen uint16
	id       uint16 // 0: never sent
	list     listID
	flags    uint8 // QoS and RETAIN as in the fixed header, or isSubscribe, isUnsubscribe
	why      DropReason
	code     ReasonCode
}

func (r *record) topic() []byte   { return r.buf[:r.topicLen] }
func (r *record) props() []byte   { return r.buf[r.topicLen : uint32(r.topicLen)+r.propsLen] }
func (r *record) payload() []byte { return r.buf[uint32(r.topicLen)+r.propsLen:] }
func (r *record) qos() QoS        { return QoS(r.flags & flagQoS >> 1) }

// What a request is, in flags.
const (
	isSubscribe   = 0x10
	isUnsubscribe = 0x20
	isOwn         = 0x40 // of the client's own accord: it has no tag
)

// fate is the kind of event that tells how the exchange ended.
func (r *record) fate() EventKind {
	switch {
	case r.why != DropNone:
		return EventDropped
	case r.flags&isOwn != 0:
		return EventResubscribed
	case r.flags&isSubscribe != 0:
		return EventSubscribed
	case r.flags&isUnsubscribe != 0:
		return EventUnsubscribed
	}
	return EventPublished
}

// event fills in what a record tells of its fate.
func (r *record) event(ev *Event) {
	ev.Kind, ev.Tag, ev.Why, ev.Code, ev.Filter = r.fate(), r.tag, r.why, r.code, nil
	if r.flags&isOwn != 0 {
		ev.Tag, ev.Filter = 0, ownFilter(r)
	}
}

// listID names the list that a record is in.
type listID uint8

const (
	listFree     listID = iota
	listQueued          // messages never sent
	listSent            // PUBLISH sent, in the order of sending
	listReleased        // PUBREL due or sent, in the order of the PUBRECs
	listHeld            // dropped, but the identifier must not be used again
	listRequests        // SUBSCRIBE and UNSUBSCRIBE sent
	listDone            // fate known, its event not yet taken
	listCount
	listLimbo = listCount // freed, but an untaken op names it; no list of its own
)

type neighbours[T uint16 | uint32] struct{ prev, next T }

type list struct {
	head, tail uint32 // 0: empty
	n          int32
}

// records is the slab. Index 0 is no record. The neighbours of a record in its
// list stand apart from it: to touch theirs is to touch little memory, however
// many records there are.
type records struct {
	slab  []record
	near  []neighbours[uint32]
	lists [listCount]list // the free ones are linked one way: they have no prev and no tail
	ids   idPool
	bytes int // of the messages that are queued
}

// keepBuf is the capacity up to which the buffer of a finished record is kept
// for the next one.
const keepBuf = 4096

// get takes a free record and puts it at the end of a list.
func (s *records) get(to listID) uint32 {
	l := &s.lists[listFree]
	i := l.head
	if i == 0 {
		i = s.extend()
	} else {
		l.head = s.near[i].next
		l.n--
		r := &s.slab[i]
		*r = record{buf: r.buf[:0]}
	}
	s.link(i, to)
	return i
}

// next is the record that follows in the list of record i.
func (s *records) next(i uint32) uint32 { return s.near[i].next }

// at is the list in which record i is, and listFree for no record.
func (s *records) at(i uint32) listID {
	if i == 0 {
		return listFree
	}
	return s.slab[i].list
}

// extend adds a record to the slab, in no list.
func (s *records) extend() uint32 {
	if len(s.slab) == 0 {
		s.slab, s.near = make([]record, 1, 4), make([]neighbours[uint32], 1, 4)
	}
	s.slab, s.near = append(s.slab, record{}), append(s.near, neighbours[uint32]{})
	return uint32(len(s.slab) - 1)
}

// put gives a record back.
func (s *records) put(i uint32) {
	s.unlink(i)
	s.free(i)
}

// free is put for a record that is in no list. The record that was used last is
// the next to be used again: it is still in the cache.
func (s *records) free(i uint32) {
	r, l := &s.slab[i], &s.lists[listFree]
	if cap(r.buf) > keepBuf {
		r.buf = nil
	}
	r.list, s.near[i].next = listFree, l.head
	l.head = i
	l.n++
}

// move takes a record from its list to the end of another.
func (s *records) move(i uint32, to listID) {
	s.unlink(i)
	s.link(i, to)
}

func (s *records) link(i uint32, to listID) {
	l := &s.lists[to]
	s.slab[i].list = to
	s.near[i] = neighbours[uint32]{prev: l.tail}
	if l.tail != 0 {
		s.near[l.tail].next = i
	} else {
		l.head = i
	}
	l.tail = i
	l.n++
}

func (s *records) unlink(i uint32) {
	l, n := &s.lists[s.slab[i].list], s.near[i]
	if n.prev != 0 {
		s.near[n.prev].next = n.next
	} else {
		l.head = n.next
	}
	if n.next != 0 {
		s.near[n.next].prev = n.prev
	} else {
		l.tail = n.prev
	}
	l.n--
}

// idPool hands out packet identifiers, the one that has been free for longest
// first, and finds the record of one that is taken. It grows with the number
// that are taken at once.
type idPool struct {
	// slot is indexed by identifier: a record and idTaken, or the next free
	// identifier.
	slot        []uint32
	first, last uint16 // of the free ones; 0: none
	free        int32
}

const (
	idTaken  = 1 << 31
	maxID    = 0xFFFF
	firstIDs = 16 // identifiers that go round before one is used again
)

// take returns a free identifier for record i, or 0 when all are taken.
func (p *idPool) take(i uint32) uint16 {
	if p.free == 0 && !p.grow(max(2*len(p.slot), firstIDs+1)) {
		return 0
	}
	id := p.first
	p.first = uint16(p.slot[id])
	p.free--
	if p.free == 0 {
		p.last = 0
	}
	p.slot[id] = i | idTaken
	return id
}

// grow makes room for the identifiers below n.
func (p *idPool) grow(n int) bool {
	n = min(n, maxID+1)
	from := max(len(p.slot), 1)
	if n <= from {
		return false
	}
	slot := make([]uint32, n)
	copy(slot, p.slot)
	p.slot = slot
	for id := from; id < n; id++ {
		p.giveBack(uint16(id))
	}
	return true
}

// giveBack frees an identifier.
func (p *idPool) giveBack(id uint16) {
	p.slot[id] = 0
	if p.last != 0 {
		p.slot[p.last] = uint32(id)
	} else {
		p.first = id
	}
	p.last = id
	p.free++
}

// claim takes a given identifier for record i, in a pool that gives none out
// yet, and returns false when it is taken.
func (p *idPool) claim(id uint16, i uint32) bool {
	if int(id) >= len(p.slot) {
		n := min(max(int(id)+1, 2*len(p.slot), firstIDs+1), maxID+1)
		p.slot = append(p.slot, make([]uint32, n-len(p.slot))...)
	}
	if p.slot[id] != 0 {
		return false
	}
	p.slot[id] = i | idTaken
	return true
}

// find returns the record that has the identifier, or 0.
func (p *idPool) find(id uint16) uint32 {
	if int(id) >= len(p.slot) || p.slot[id]&idTaken == 0 {
		return 0
	}
	return p.slot[id] &^ idTaken
}

// available reports whether take would find an identifier.
func (p *idPool) available() bool { return p.free > 0 || len(p.slot) <= maxID }

// inRecord is an incoming message that is not finished: at QoS 2 from its
// PUBLISH to its PUBREL, at QoS 1 while the application has not acknowledged
// it.
type inRecord struct {
	token AckToken // 0: the application has no say
	epoch uint32   // the connection on whose receive maximum it counts
	id    uint16
	list  inListID
	qos   QoS
	acked bool // the application has decided
	code  ReasonCode
}

// taken reports whether the message is the application's: a repeat must not be
// delivered, also after a restart.
func (r *inRecord) taken() bool {
	return r.list == inReceived || r.qos == QoS2 && r.acked && !r.code.IsError()
}

// inListID names the list that an inRecord is in.
type inListID uint8

const (
	inReceived inListID = iota // PUBREC sent, PUBREL awaited
	inWaiting                  // QoS 2, PUBREC not sent, in the order of arrival on this connection
	inWaiting1                 // QoS 1, PUBACK not sent, in the order of arrival
	inAway                     // QoS 2, PUBREC not sent, not seen on this connection
	inListCount
)

// inbox is the incoming messages: a slab in lists, and an open hash table from
// the identifier of a QoS 2 message to its place in the slab. A nil inbox is
// empty.
type inbox struct {
	slab  []inRecord // index 0 is none
	near  []neighbours[uint16]
	props [][]byte // of acknowledgements that have to wait, as far as there are any
	table []uint32 // identifier<<16 | place; 0: empty. Its length is a power of two.
	lists [inListCount]struct{ head, tail uint16 }
	free  uint16
	keyed uint16 // entries of the table
	// tokens is the number of the last one given out. It is kept here, for a token
	// of one client must not be taken by the next one that has the session.
	tokens uint64
	n      int32
}

// len is the number of messages.
func (s *inbox) len() int32 {
	if s == nil {
		return 0
	}
	return s.n
}

func (s *inbox) slot(id uint16) int {
	return int(uint32(id)*0x9E3779B1>>8) & (len(s.table) - 1)
}

// find returns the place of the QoS 2 message with the identifier, or 0.
func (s *inbox) find(id uint16) uint16 {
	if s == nil || s.keyed == 0 {
		return 0
	}
	for i := s.slot(id); ; i = (i + 1) & (len(s.table) - 1) {
		e := s.table[i]
		if e == 0 || uint16(e>>16) == id {
			return uint16(e)
		}
	}
}

// put adds a message; one of QoS 2 must not be there yet.
func (s *inbox) put(id uint16, q QoS, to inListID) uint16 {
	i := s.free
	if i != 0 {
		s.free = s.next(i)
	} else {
		if len(s.slab) == 0 {
			s.slab, s.near = make([]inRecord, 1, 4), make([]neighbours[uint16], 1, 4)
		}
		s.slab, s.near = append(s.slab, inRecord{}), append(s.near, neighbours[uint16]{})
		i = uint16(len(s.slab) - 1)
	}
	s.slab[i] = inRecord{id: id, qos: q}
	s.link(i, to)
	s.n++
	if q == QoS2 {
		s.key(uint32(id)<<16 | uint32(i))
	}
	return i
}

// key adds an entry to the table.
func (s *inbox) key(e uint32) {
	if int(s.keyed)*2 >= len(s.table) {
		old := s.table
		s.table = make([]uint32, max(8, 2*len(old)))
		for _, e := range old {
			if e != 0 {
				s.insert(e)
			}
		}
	}
	s.insert(e)
	s.keyed++
}

func (s *inbox) insert(e uint32) {
	i := s.slot(uint16(e >> 16))
	for s.table[i] != 0 {
		i = (i + 1) & (len(s.table) - 1)
	}
	s.table[i] = e
}

// next is the message that follows in the list of the one at a place.
func (s *inbox) next(at uint16) uint16 { return s.near[at].next }

// ackProps are the properties of the acknowledgement that waits at a place.
func (s *inbox) ackProps(at uint16) []byte {
	if int(at) < len(s.props) {
		return s.props[at]
	}
	return nil
}

func (s *inbox) setAckProps(at uint16, p Properties) {
	for p.Len() > 0 && int(at) >= len(s.props) {
		s.props = append(s.props, nil)
	}
	if int(at) < len(s.props) {
		s.props[at] = p.AppendTo(s.props[at][:0])
	}
}

func (s *inbox) link(at uint16, to inListID) {
	l := &s.lists[to]
	s.slab[at].list = to
	s.near[at] = neighbours[uint16]{prev: l.tail}
	if l.tail != 0 {
		s.near[l.tail].next = at
	} else {
		l.head = at
	}
	l.tail = at
}

func (s *inbox) unlink(at uint16) {
	l, n := &s.lists[s.slab[at].list], s.near[at]
	if n.prev != 0 {
		s.near[n.prev].next = n.next
	} else {
		l.head = n.next
	}
	if n.next != 0 {
		s.near[n.next].prev = n.prev
	} else {
		l.tail = n.prev
	}
}

// move takes a message from its list to the end of another.
func (s *inbox) move(at uint16, to inListID) {
	s.unlink(at)
	s.link(at, to)
}

// remove takes out the message at a place.
func (s *inbox) remove(at uint16) {
	s.unlink(at)
	r := &s.slab[at]
	if r.qos == QoS2 {
		s.unkey(r.id)
	}
	*r = inRecord{}
	s.setAckProps(at, Properties{})
	s.near[at].next = s.free
	s.free = at
	s.n--
}

// unkey takes an identifier out of the table and closes the gap: an entry
// behind it may stand only where a search from its own slot still reaches it.
func (s *inbox) unkey(id uint16) {
	mask := len(s.table) - 1
	gap := s.slot(id)
	for uint16(s.table[gap]>>16) != id {
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; s.table[i] != 0; i = (i + 1) & mask {
		home := s.slot(uint16(s.table[i] >> 16))
		if (i-home)&mask >= (i-gap)&mask {
			s.table[gap] = s.table[i]
			gap = i
		}
	}
	s.table[gap] = 0
	s.keyed--
}

// takenIDs are the identifiers of the messages that are the application's, in
// ascending order: they are a set, whatever the order in which they came.
func (s *inbox) takenIDs() []uint16 {
	if s == nil {
		return nil
	}
	var ids []uint16
	for l := range s.lists {
		for at := s.lists[l].head; at != 0; at = s.next(at) {
			if s.slab[at].taken() {
				ids = append(ids, s.slab[at].id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// clear forgets all messages and keeps the space.
func (s *inbox) clear() {
	if s == nil {
		return
	}
	for l := range s.lists {
		for s.lists[l].head != 0 {
			s.remove(s.lists[l].head)
		}
	}
}
