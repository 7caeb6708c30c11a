// This file holds what must hold of a client at any time, for FuzzClient: the
// effects of a call, the bytes that a client sends, and its own bookkeeping.

package mqttcore

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"time"
)

// model is what the bytes and events seen so far say about the client, without
// a look inside.
type model struct {
	tags map[uint64]*exchange // that have had no fate yet
	rx   map[uint16]bool      // received QoS 2 identifiers
	dead bool                 // a session that ends with its connection was left by a client that had one
	conn wire
}

// wire is what was seen of one connection.
type wire struct {
	begun, accepted, over bool            // CONNECT was seen, CONNACK, DISCONNECT
	flight                map[uint16]bool // PUBLISH sent and not settled
	limits                Limits
	topics                map[uint16]string    // by the client's alias
	partial               *Publish             // the message that comes in parts
	own                   map[uint16]*exchange // what the client subscribes to again by itself
}

// exchange is something that the client was given to do.
type exchange struct {
	kind           EventKind // of the event that tells of success
	id             uint16    // 0: not seen on the wire
	qos            QoS
	retain         bool
	released       bool // PUBREL was seen
	topic, payload string
	count          int // of filters
}

func newModel() model {
	return model{tags: map[uint64]*exchange{}, rx: map[uint16]bool{}}
}

// state appends the state of a client: as text in the strict mode, otherwise as
// [Client.AppendState] does, which takes a tenth of the time.
func (d *driver) state(dst []byte, c *Client) []byte {
	if d.strict {
		return dump(dst, c)
	}
	return c.AppendState(dst, d.now)
}

// both makes a call on both clients and compares what it did.
func (d *driver) both(call func(*Client, []byte) ([]byte, error)) {
	d.t.Helper()
	idle := d.a.c.State() == StateDisconnected
	d.before = d.state(d.before[:0], d.a.c)
	for _, s := range []*side{&d.a, &d.b} {
		const prefix = "prefix"
		dst := append(make([]byte, 0, 64), prefix...)
		out, err := call(s.c, dst)
		if string(dst) != prefix || !bytes.HasPrefix(out, dst) {
			d.t.Fatalf("what was in dst before the call was changed: %q, %q", dst, out)
		}
		s.out, s.err = out[len(prefix):], err
	}
	d.compare(idle)
}

// compare checks the effects of a call that both clients have seen. idle tells
// that there was no connection before.
func (d *driver) compare(idle bool) {
	d.t.Helper()
	if !bytes.Equal(d.a.out, d.b.out) || d.a.err != d.b.err && (d.a.err == nil || d.b.err == nil || d.a.err.Error() != d.b.err.Error()) {
		d.t.Fatalf("two clients, one call: %x, %v and %x, %v", d.a.out, d.a.err, d.b.out, d.b.err)
	}
	d.after, d.other = d.state(d.after[:0], d.a.c), d.state(d.other[:0], d.b.c)
	if err := d.a.err; err != nil {
		var misuse Misuse
		var fault *Error
		if !errors.As(err, &misuse) && !errors.As(err, &fault) {
			d.t.Fatalf("error of an unknown kind: %v", err)
		}
		if len(d.a.out) != 0 {
			d.t.Fatalf("%v, and bytes: %x", err, d.a.out)
		}
		if !bytes.Equal(d.before, d.after) {
			d.t.Fatalf("%v, and the state changed\nfrom %q\nto   %q", err, d.before, d.after)
		}
	}
	if idle && d.a.c.State() == StateDisconnected && len(d.a.out) != 0 {
		d.t.Fatalf("bytes without a connection: %x", d.a.out)
	}
	d.sent = append(d.sent, d.a.out...)
	if !bytes.Equal(d.after, d.other) {
		d.t.Fatalf("two clients, the same calls, two states\n%s\n%s", dump(nil, d.a.c), dump(nil, d.b.c))
	}
	d.invariants()
}

// deliverAll feeds what the server has sent, and drains the events.
func (d *driver) deliverAll() {
	d.t.Helper()
	for {
		taken := d.deliver()
		if d.lazy {
			return
		}
		d.settle()
		if !taken {
			return
		}
	}
}

// deliver calls Receive once, for the twin with one byte more each time, and
// tells whether a packet was taken.
func (d *driver) deliver() bool {
	d.t.Helper()
	was, waiting := d.a.c.State(), d.a.c.waiting()
	d.before = d.state(d.before[:0], d.a.c)
	a, b := &d.a, &d.b
	var n, m int
	cut := len(a.in)
	first := min(b.shown+1, cut)
	if d.cfg().StreamAbove != 0 { // whose parts are those that come in
		if cut > 0 && d.tape.bool() {
			cut = 1 + d.tape.n(cut)
		}
		first = cut
	}
	a.out, n, a.err = a.c.Receive(nil, d.now, a.in[:cut:cut])
	b.out = nil
	for k := first; k <= cut; k++ {
		b.out, m, b.err = b.c.Receive(b.out, d.now, b.in[:k:k])
		if m != 0 && m != k && first != cut {
			d.t.Fatalf("Receive takes %d of %d bytes", m, k)
		}
		if m != 0 || b.err != nil || b.c.State() != was {
			break
		}
	}
	if n > 0 {
		b.shown = 0
	} else if b.err == nil {
		b.shown = cut
	}
	if n != m {
		d.t.Fatalf("Receive takes %d bytes at once, or %d one by one", n, m)
	}
	want := error(nil)
	switch {
	case was == StateDisconnected:
		want = ErrClosed
	case waiting:
		want = ErrPending
	}
	if a.err != want {
		d.t.Fatalf("Receive fails with %v, want %v", a.err, want)
	}
	for _, s := range []*side{a, b} {
		if n > 0 {
			s.taken = s.in[:n:n]
		}
		s.in = s.in[n:]
		if want == nil && s.c.State() == StateDisconnected {
			s.in = nil
		}
	}
	d.compare(was == StateDisconnected)
	return n > 0
}

// tickAtDeadline checks that a Tick at the deadline gets on, and that a second
// one has nothing to do.
func (d *driver) tickAtDeadline() {
	d.t.Helper()
	deadline := d.a.c.Deadline()
	if deadline.IsZero() {
		return
	}
	d.now = deadline
	waited := d.a.c.waiting()
	d.both(d.tick)
	if next := d.a.c.Deadline(); !next.IsZero() && !next.After(deadline) && len(d.a.out) == 0 && d.a.c.waiting() == waited {
		d.t.Fatalf("Tick at the deadline %v did nothing, and the next deadline is %v", deadline, next)
	}
	if d.a.c.More() {
		return
	}
	d.both(d.tick)
	if len(d.a.out) != 0 || !bytes.Equal(d.before, d.after) {
		d.t.Fatalf("a second Tick at the same time: %x\n%q\n%q", d.a.out, d.before, d.after)
	}
}

// finish takes all events and looks at the output.
func (d *driver) finish() {
	d.drain()
	d.look()
}

// settle takes the events, unless they are to wait, and looks at the output.
func (d *driver) settle() {
	if !d.lazy {
		d.drain()
	}
	if !d.a.c.waiting() {
		d.look()
	}
}

func (d *driver) drain() {
	d.t.Helper()
	for d.next1() {
	}
	var op, op2 Op
	for d.a.c.NextOp(&op) {
		if !d.b.c.NextOp(&op2) || !reflect.DeepEqual(op, op2) {
			d.t.Fatalf("two clients, two ops: %+v and %+v", op, op2)
		}
		b, _ := op.AppendBinary(nil)
		if n, err := d.fold.Replay(b); n != len(b) || err != nil {
			d.t.Fatalf("%+v does not apply: %v", op, err)
		}
	}
	if d.b.c.NextOp(&op2) {
		d.t.Fatalf("one client has no op, the other %+v", op2)
	}
	if d.cfg().Journal {
		live, _ := d.a.s.AppendBinary(nil)
		if fold, _ := d.fold.AppendBinary(nil); !bytes.Equal(live, fold) {
			d.t.Fatalf("the session is not what its ops make\n%x\n%x", live, fold)
		}
	}
}

// restored updates the model by what a crash has lost: requests, and messages
// that the application has not acknowledged.
func (d *driver) restored() {
	for tag, x := range d.model.tags {
		if x.kind != EventPublished {
			delete(d.model.tags, tag)
		}
	}
	kept := map[uint16]bool{}
	for _, id := range d.a.s.inbox.takenIDs() {
		kept[id] = true
	}
	if !d.cfgs[0].ManualAck && !d.cfgs[1].ManualAck && !reflect.DeepEqual(d.model.rx, kept) {
		d.t.Fatalf("received identifiers before the crash %v, and after it %v", d.model.rx, kept)
	}
	d.model.rx = kept
	d.tokens = nil
}

func (d *driver) next() { d.next1() }

// next1 takes one event of each client.
func (d *driver) next1() bool {
	d.t.Helper()
	ev := Event{Tag: 99, RTT: 99, Codes: []byte("old"), Err: ErrAuth, SessionPresent: true, Cause: 9, Why: 9, Code: 9,
		Props: mustProperties(ContentType("old")), Message: Publish{Topic: []byte("old"), ID: 9}}
	old, ev2 := ev, ev
	ok, ok2 := d.a.c.Next(&ev), d.b.c.Next(&ev2)
	if ok != ok2 || !reflect.DeepEqual(ev, ev2) {
		d.t.Fatalf("two clients, two events: %v %s and %v %s", ok, &ev, ok2, &ev2)
	}
	if !ok {
		if !reflect.DeepEqual(old, ev) {
			d.t.Fatalf("Next returns false and sets %s", &ev)
		}
		if d.a.c.waiting() {
			d.t.Fatal("Next returns false while events wait")
		}
		for _, s := range []*side{&d.a, &d.b} {
			for i := range s.taken { // the caller's buffer is used again
				s.taken[i] = 0xAA
			}
			s.taken = nil
		}
		return false
	}
	d.see(&ev)
	d.invariants()
	return true
}

// see updates the model by an event.
func (d *driver) see(ev *Event) {
	m := &d.model
	switch ev.Kind {
	case EventConnected:
		m.conn.accepted, m.conn.limits = true, d.a.c.Limits()
		cfg := d.cfg()
		if cfg.CleanStart || !ev.SessionPresent && cfg.Version != V31 || m.dead {
			clear(m.rx)
		}
		m.dead = false
	case EventClosed:
		if m.conn.accepted && d.a.s.Expiry() == 0 {
			clear(m.rx)
		}
		if ev.Cause == CauseNone {
			d.t.Fatal("closed without a cause")
		}
	case EventMessage:
		if !m.conn.accepted {
			d.t.Fatal("a message without a connection")
		}
		if ev.Message.QoS == QoS2 && m.rx[ev.Message.ID] {
			d.t.Fatalf("the QoS 2 message %d is delivered twice", ev.Message.ID)
		}
		if ev.Partial {
			m.conn.partial = &Publish{ID: ev.Message.ID, QoS: ev.Message.QoS, Payload: make([]byte, ev.Size)}
		} else {
			d.arrived(ev, &ev.Message)
		}
		if len(ev.Message.Topic) == 0 {
			d.t.Fatal("a message without a topic")
		}
		for l := range ev.Matches() {
			if _, ok := d.a.c.Subscribed(l.Filter); !ok {
				d.t.Fatalf("%s matches %q, which is not subscribed to", ev, l.Filter)
			}
		}
	case EventChunk:
		p := m.conn.partial
		if p == nil || len(ev.Message.Payload) == 0 || len(ev.Message.Payload) > len(p.Payload) {
			d.t.Fatalf("%s: there is no such part", ev)
		}
		p.Payload = p.Payload[len(ev.Message.Payload):]
	case EventMessageEnd, EventMessageAborted:
		p := m.conn.partial
		if p == nil || ev.Kind == EventMessageEnd && len(p.Payload) != 0 {
			d.t.Fatalf("%s at the wrong time", ev)
		}
		m.conn.partial = nil
		if ev.Kind == EventMessageEnd {
			d.arrived(ev, p)
		}
	case EventPublished, EventSubscribed, EventUnsubscribed, EventDropped:
		x := m.tags[ev.Tag]
		if x == nil {
			d.t.Fatalf("%s: no such tag, or not for the first time", ev)
		}
		if ev.Kind != EventDropped && ev.Kind != x.kind || (ev.Kind == EventDropped) != (ev.Why != DropNone) {
			d.t.Fatalf("%s: want %s", ev, x.kind)
		}
		if x.kind == EventPublished && x.id == 0 && ev.Kind != EventDropped && !bytes.Contains(d.sent, []byte(x.payload)) {
			d.t.Fatalf("%s: it was never sent", ev)
		}
		delete(m.conn.flight, x.id)
		delete(m.tags, ev.Tag)
	}
}

// arrived updates the model by a whole message.
func (d *driver) arrived(ev *Event, p *Publish) {
	if p.QoS == QoS2 {
		d.model.rx[p.ID] = true
	}
	if (ev.Token != 0) != (d.cfg().ManualAck && p.QoS != QoS0) {
		d.t.Fatalf("%s: token %d", ev, ev.Token)
	}
	if ev.Token != 0 {
		d.tokens = append(d.tokens, ev.Token)
	}
}

// look reads the output as a strict server does.
func (d *driver) look() {
	d.t.Helper()
	dialect := Dialect{Version: d.a.c.cfg.Version, From: FromClient}
	for len(d.sent) > 0 {
		f, n, err := ConsumeFrame(d.sent, dialect, 0)
		if err != nil || n == 0 {
			d.t.Fatalf("output %x: %v", d.sent, err)
		}
		p, err := Decode(f, dialect)
		if err != nil {
			d.t.Fatalf("output %x: %v", d.sent[:n], err)
		}
		w := &d.model.conn
		if limit := w.limits.MaximumPacketSize; limit >= 4 && n > int(limit) {
			d.t.Fatalf("%s has %d bytes, the server takes %d", p, n, limit)
		}
		d.sent = d.sent[n:]
		if w.over || (f.Type == TypeConnect) == w.begun {
			d.t.Fatalf("%s at the wrong time", p)
		}
		if !w.accepted && f.Type != TypeConnect && f.Type != TypeAuth && f.Type != TypeDisconnect {
			d.t.Fatalf("%s before CONNACK", p)
		}
		d.packet(p)
	}
}

// packet checks one packet of the client's and updates the model.
func (d *driver) packet(p Packet) {
	m := &d.model
	switch p := p.(type) {
	case *Connect:
		m.conn.begun = true
	case *Disconnect:
		m.conn.over = true
	case *Ack:
		switch p.Type {
		case TypePubRec:
			if p.Code.IsError() {
				delete(m.rx, p.ID)
			}
		case TypePubComp:
			delete(m.rx, p.ID)
		case TypePubRel:
			for _, x := range m.tags {
				if x.kind == EventPublished && x.id == p.ID {
					x.released = true
				}
			}
		}
	case *Subscribe:
		d.fresh(p.ID, p)
		if m.request(p.ID) == nil {
			if m.conn.own == nil {
				m.conn.own = map[uint16]*exchange{}
			}
			m.conn.own[p.ID] = &exchange{kind: EventSubscribed, id: p.ID, count: p.Subscriptions.Len()}
		}
	case *Unsubscribe:
		d.fresh(p.ID, p)
	case *Publish:
		d.alias(p)
		if p.QoS == QoS0 {
			return
		}
		x := m.tags[binary.BigEndian.Uint64(p.Payload)]
		if x == nil {
			return // its fate was told in the same step
		}
		if p.Dup {
			if x.id != p.ID || x.released {
				d.t.Fatalf("%s is sent again, and was %+v", p, *x)
			}
		} else {
			d.fresh(p.ID, p)
			if x.id != 0 {
				d.t.Fatalf("%s is sent again without DUP", p)
			}
			x.id = p.ID
		}
		if string(p.Topic) != x.topic || string(p.Payload) != x.payload || p.QoS != x.qos || p.Retain != x.retain {
			d.t.Fatalf("%s, and what was published is %+v", p, *x)
		}
		if m.conn.flight == nil {
			m.conn.flight = map[uint16]bool{}
		}
		m.conn.flight[p.ID] = true
		if len(m.conn.flight) > int(m.conn.limits.ReceiveMaximum) {
			d.t.Fatalf("%d messages under way, the server takes %d", len(m.conn.flight), m.conn.limits.ReceiveMaximum)
		}
	}
}

// request is the request under way that has the identifier.
func (m *model) request(id uint16) *exchange {
	for _, x := range m.tags {
		if x.id == id && x.kind != EventPublished {
			return x
		}
	}
	return nil
}

// alias puts the topic in the place of a topic alias.
func (d *driver) alias(p *Publish) {
	w := &d.model.conn
	a, ok := p.Props.TopicAlias()
	if !ok {
		return
	}
	if a > w.limits.TopicAliasMaximum || p.QoS != QoS0 && d.cfg().TopicAliases == 0 {
		d.t.Fatalf("%s: the server takes aliases up to %d", p, w.limits.TopicAliasMaximum)
	}
	if w.topics == nil {
		w.topics = map[uint16]string{}
	}
	if len(p.Topic) > 0 {
		w.topics[a] = string(p.Topic)
	} else if p.Topic = []byte(w.topics[a]); len(p.Topic) == 0 {
		d.t.Fatalf("%s: the alias stands for nothing", p)
	}
}

// fresh checks that an identifier is nobody else's.
func (d *driver) fresh(id uint16, p Packet) {
	for tag, x := range d.model.tags {
		if x.id == id && (x.kind == EventPublished || p.PacketType() == TypePublish) {
			d.t.Fatalf("%s: tag %d has the identifier already", p, tag)
		}
	}
}

// invariants looks at the client's own bookkeeping.
func (d *driver) invariants() {
	d.t.Helper()
	c := d.a.c
	if w := c.Window(); w < 0 || w > int(c.lim.ReceiveMaximum) {
		d.t.Fatalf("the window is %d, the receive maximum %d", w, c.lim.ReceiveMaximum)
	}
	if err := checkSession(c.s); err != nil {
		d.t.Fatal(err)
	}
	if c.state == StateConnected {
		charged := 0
		for _, l := range []listID{listSent, listReleased} {
			for i := c.s.out.lists[l].head; i != 0; i = c.s.out.next(i) {
				if c.s.out.slab[i].epoch == c.s.epoch {
					charged++
				}
			}
		}
		if charged != int(c.conn.inflight) {
			d.t.Fatalf("%d exchanges are charged, %d are counted", charged, c.conn.inflight)
		}
	}
	tags := 0
	for l := listQueued; l < listCount; l++ {
		for i := c.s.out.lists[l].head; i != 0; i = c.s.out.next(i) {
			if l == listHeld || c.s.out.slab[i].flags&isOwn != 0 {
				continue
			}
			tags++
			if tag := c.s.out.slab[i].tag; d.model.tags[tag] == nil && tag != d.lastTag {
				d.t.Fatalf("tag %d has had its fate and is there still", tag)
			}
		}
	}
	if c.has&hasPacket != 0 {
		switch c.ev.Kind {
		case EventPublished, EventSubscribed, EventUnsubscribed, EventDropped:
			tags++ // told by the packet at hand
		}
	}
	if tags < len(d.model.tags) {
		d.t.Fatalf("%d tags are there, %d have had no fate", tags, len(d.model.tags))
	}
}

// checkSession checks the links, counters and identifiers of a session.
func checkSession(s *Session) error {
	o, records, taken, queued := &s.out, 0, 0, 0
	for l := range o.lists {
		n, prev := int32(0), uint32(0)
		for i := o.lists[l].head; i != 0; i = o.next(i) {
			r := &o.slab[i]
			if r.list != listID(l) || listID(l) != listFree && o.near[i].prev != prev {
				return fmt.Errorf("record %d is linked wrongly into list %d", i, l)
			}
			if listID(l) != listFree && r.id != 0 {
				taken++
				if o.ids.find(r.id) != i {
					return fmt.Errorf("identifier %d is not that of record %d", r.id, i)
				}
			}
			if listID(l) == listQueued {
				queued += len(r.buf)
			}
			prev = i
			n++
		}
		if listID(l) == listFree {
			prev = o.lists[l].tail // of which only the head counts
		}
		if o.lists[l].tail != prev || o.lists[l].n != n {
			return fmt.Errorf("list %d ends wrongly or has a wrong count", l)
		}
		records += int(n)
	}
	if s.j != nil {
		records += s.j.limbo.len()
	}
	if len(o.slab) > 0 && records != len(o.slab)-1 {
		return fmt.Errorf("%d records of %d are in a list", records, len(o.slab)-1)
	}
	if queued != o.bytes {
		return fmt.Errorf("%d bytes are queued, %d are counted", queued, o.bytes)
	}
	if err := checkPool(&o.ids, taken); err != nil {
		return err
	}
	return checkInbox(s.inbox)
}

// checkPool checks the pool, of whose identifiers so many are taken.
func checkPool(p *idPool, taken int) error {
	free, last := 0, uint16(0)
	for id := p.first; id != 0; id = uint16(p.slot[id]) {
		if p.slot[id]&idTaken != 0 {
			return fmt.Errorf("identifier %d is free and taken", id)
		}
		last = id
		free++
	}
	if free != int(p.free) || last != p.last {
		return fmt.Errorf("%d identifiers are free, the last is %d; counted %d, %d", free, last, p.free, p.last)
	}
	if len(p.slot) > 0 && free+taken != len(p.slot)-1 {
		return fmt.Errorf("%d free and %d taken identifiers, want %d", free, taken, len(p.slot)-1)
	}
	return nil
}

func checkInbox(s *inbox) error {
	if s == nil {
		return nil
	}
	n, keyed := int32(0), uint16(0)
	for l := range s.lists {
		prev := uint16(0)
		for at := s.lists[l].head; at != 0; at = s.next(at) {
			r := &s.slab[at]
			if s.near[at].prev != prev || r.list != inListID(l) || r.qos == QoS2 && s.find(r.id) != at {
				return fmt.Errorf("received identifier %d is not found where it is", r.id)
			}
			if r.qos == QoS2 {
				keyed++
			}
			prev = at
			n++
		}
		if s.lists[l].tail != prev {
			return fmt.Errorf("list %d ends with %d, counted %d", l, prev, s.lists[l].tail)
		}
	}
	if s.n != n || s.keyed != keyed {
		return fmt.Errorf("%d received messages, %d by identifier; counted %d, %d", n, keyed, s.n, s.keyed)
	}
	entries := uint16(0)
	for _, e := range s.table {
		if e != 0 {
			entries++
		}
	}
	if entries != keyed {
		return fmt.Errorf("the table has %d entries, want %d", entries, keyed)
	}
	return nil
}

// dump appends all that is in a value, one way or another reachable, as text.
// Of a Client it leaves out the configuration, and what belonged to events that
// were taken.
func dump(b []byte, v any) []byte {
	return dumpValue(b, reflect.ValueOf(v))
}

// namesOf keeps what reflection takes long to tell.
var namesOf sync.Map

func fieldNames(t reflect.Type) []string {
	if names, ok := namesOf.Load(t); ok {
		return names.([]string)
	}
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Name
	}
	namesOf.Store(t, names)
	return names
}

func dumpValue(b []byte, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return append(b, "nil "...)
		}
		return dumpValue(b, v.Elem())
	case reflect.Interface:
		if v.IsNil() {
			return append(b, "nil "...)
		}
		return dumpValue(b, v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			b = dumpValue(b, v.Field(0)) // all but the zone
			return dumpValue(b, v.Field(1))
		}
		b = append(b, '{')
		client := v.Type() == reflect.TypeFor[Client]()
		for i, name := range fieldNames(v.Type()) {
			if client && (name == "cfg" || name == "ev" && v.FieldByName("has").Uint() == 0) {
				continue
			}
			b = append(append(b, name...), ':')
			b = dumpValue(b, v.Field(i))
		}
		return append(b, "} "...)
	case reflect.Map: // an index over a slice that is shown itself
		b = append(strconv.AppendInt(append(b, "map of "...), int64(v.Len()), 10), ' ')
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
			if v.IsNil() {
				return append(b, "nil "...)
			}
			return append(hex.AppendEncode(b, v.Bytes()), ' ')
		}
		b = append(b, '[')
		for i := range v.Len() {
			b = dumpValue(b, v.Index(i))
		}
		return append(b, "] "...)
	case reflect.String:
		return append(append(b, v.String()...), ' ')
	case reflect.Bool:
		b = strconv.AppendBool(b, v.Bool())
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		b = strconv.AppendUint(b, v.Uint(), 10)
	default:
		b = strconv.AppendInt(b, v.Int(), 10)
	}
	return append(b, ' ')
}
