// This file tests what a journal is for: a client that a new process makes goes
// on where the last one ended; and that a journal is bounded, whoever takes its
// ops and when.

package mqttcore

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// process is a client with its journal on "disk".
type process struct {
	t   *testing.T
	c   *Client
	v   Version
	now time.Time
	log []byte
}

// start makes a client from the log, or from a snapshot of what the log holds.
func (p *process) start(cfg Config, compacted bool) {
	p.t.Helper()
	s := new(Session)
	if n, err := s.Replay(p.log); n != len(p.log) || err != nil {
		p.t.Fatal(n, err)
	}
	if compacted {
		s, p.log = restored(p.t, snapshot(s)), nil
		for op := range s.ops() {
			p.log, _ = op.AppendBinary(p.log)
		}
	}
	var err error
	if p.c, err = NewClient(cfg, s); err != nil {
		p.t.Fatal(err)
	}
	p.v = cfg.Version
	p.keep()
}

// keep takes the ops.
func (p *process) keep() {
	for op := new(Op); p.c.NextOp(op); {
		p.log, _ = op.AppendBinary(p.log)
	}
}

// events takes the events, as text, and the ops.
func (p *process) events() (texts []string) {
	for ev := new(Event); p.c.Next(ev); {
		texts = append(texts, ev.String())
	}
	p.keep()
	return texts
}

// done is what a call wrote, as text.
func (p *process) done(out []byte, err error) (texts []string) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	d := Dialect{Version: p.v, From: FromClient}
	for len(out) > 0 {
		f, n, err := ConsumeFrame(out, d, 0)
		if err != nil || n == 0 {
			p.t.Fatalf("%x: %v", out, err)
		}
		packet, err := Decode(f, d)
		if err != nil {
			p.t.Fatal(err)
		}
		texts = append(texts, packetText(packet))
		out = out[n:]
	}
	return texts
}

func (p *process) receive(packet Packet) []string {
	p.t.Helper()
	in, err := packet.AppendTo(nil, Dialect{Version: p.v, From: FromServer})
	if err != nil {
		p.t.Fatal(err)
	}
	out, n, err := p.c.Receive(nil, p.now, in)
	if n != len(in) {
		p.t.Fatalf("%d of %d bytes were taken", n, len(in))
	}
	return p.done(out, err)
}

func (p *process) publish(m *Publish, tag uint64) []string {
	p.t.Helper()
	return p.done(p.c.Publish(nil, p.now, m, tag))
}

func (p *process) connect(present bool) []string {
	p.t.Helper()
	p.done(p.c.Connect(nil, p.now))
	return p.receive(&ConnAck{SessionPresent: present && p.v != V31})
}

func (p *process) want(what string, got []string, want ...string) {
	p.t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		p.t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// TestRestore: identifiers, order, DUP and received identifiers outlive the
// process, on the wire.
func TestRestore(t *testing.T) {
	for _, v := range allVersions {
		for _, compacted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v compacted=%v", v, compacted), func(t *testing.T) {
				p := &process{t: t, now: time.Unix(1000, 0)}
				cfg := Config{Version: v, ClientID: []byte("me"), Journal: true, MaxInflight: 4}
				if v == V5 {
					cfg.Props = propsOf(SessionExpiry(1000))
				}
				p.start(cfg, false)
				p.connect(false)
				p.events()
				for i, q := range []QoS{QoS2, QoS1, QoS2, QoS1, QoS1, QoS2} {
					p.publish(message("t", fmt.Sprint(i), q, 0), uint64(i))
				}
				p.receive(&Ack{Type: TypePubRec, ID: 3})
				p.want("before", p.receive(message("in", "first", QoS2, 77)), "PUBREC id=77")
				p.events()
				p.receive(message("in", "released", QoS2, 78))
				p.events()
				p.receive(&Ack{Type: TypePubRel, ID: 78})
				p.events()

				p.start(cfg, compacted) // the process has died
				if n := p.c.Session().Len(); n != 6 {
					t.Fatalf("%d messages", n)
				}
				var tags []uint64
				for m := range p.c.Session().Outgoing() {
					tags = append(tags, m.Tag)
				}
				if want := []uint64{2, 0, 1, 3, 4, 5}; !slices.Equal(tags, want) {
					t.Errorf("tags %v, want %v", tags, want)
				}
				dup := ""
				if v == V31 {
					dup = " dup"
				}
				p.want("resumed", p.connect(true), "PUBREL id=3"+dup,
					`PUBLISH topic=t qos=2 id=1 dup payload=0`,
					`PUBLISH topic=t qos=1 id=2 dup payload=1`,
					`PUBLISH topic=t qos=1 id=4 dup payload=3`)
				connected := "connected session present"
				if v == V31 {
					connected = "connected"
				}
				p.want("events", p.events(), connected)
				p.want("a QoS 2 message that came before", p.receive(message("in", "first", QoS2, 77)), "PUBREC id=77")
				p.want("is not told again", p.events())
				p.want("a new one", p.receive(message("in", "new", QoS2, 78)), "PUBREC id=78")
				if n := len(p.events()); n != 1 {
					t.Errorf("a new QoS 2 message gave %d events", n)
				}
				p.want("the queue", p.receive(&Ack{Type: TypePubAck, ID: 2}), `PUBLISH topic=t qos=1 id=5 payload=4`)
				p.want("fate", p.events(), "published tag=1")
				p.want("the queue", p.receive(&Ack{Type: TypePubComp, ID: 3}), `PUBLISH topic=t qos=2 id=6 payload=5`)
				p.want("fate", p.events(), "published tag=2")
			})
		}
	}
}

// TestRestoreExpiry: the message expiry interval goes on while no process runs.
func TestRestoreExpiry(t *testing.T) {
	p := &process{t: t, now: time.Unix(1000, 0)}
	cfg := Config{ClientID: []byte("me"), Journal: true, MaxInflight: 1, Props: propsOf(SessionExpiry(1000))}
	cfg.Version = V5
	p.start(cfg, false)
	for i, expiry := range []uint32{100, 30, 200} {
		p.publish(message("t", fmt.Sprint(i), QoS1, 0, MessageExpiry(expiry)), uint64(i))
	}
	p.keep()
	p.start(cfg, true)
	p.now = p.now.Add(40 * time.Second)
	p.want("with what remains", p.connect(false), `PUBLISH topic=t qos=1 id=1 payload=0 prop MessageExpiryInterval=60`)
	p.want("events", p.events(), "connected")
	p.now = p.now.Add(10 * time.Second)
	p.want("the second has expired", p.receive(&Ack{Type: TypePubAck, ID: 1}), `PUBLISH topic=t qos=1 id=2 payload=2 prop MessageExpiryInterval=150`)
	got := p.events()
	slices.Sort(got)
	p.want("fates", got, "dropped tag=1: expired", "published tag=0")
}

// TestRestoreOtherVersion: a session of 5.0 goes on in 3.1.1, but for messages
// that 3.1.1 cannot express.
func TestRestoreOtherVersion(t *testing.T) {
	p := &process{t: t, now: time.Unix(1000, 0)}
	cfg := Config{Version: V5, ClientID: []byte("me"), Journal: true, Props: propsOf(SessionExpiry(1000))}
	p.start(cfg, false)
	p.connect(false)
	p.events()
	p.publish(message("t", "plain", QoS1, 0), 1)
	p.publish(message("t", "rich", QoS2, 0, UserProperty("k", "v")), 2)
	p.publish(message("t", "released", QoS2, 0, UserProperty("k", "v")), 3)
	p.receive(&Ack{Type: TypePubRec, ID: 3})
	p.receive(message("in", "", QoS2, 9))
	p.events()

	p.start(Config{Version: V311, ClientID: []byte("me"), Journal: true}, true)
	p.want("resumed", p.connect(true), "PUBREL id=3", `PUBLISH topic=t qos=1 id=1 dup payload=plain`)
	p.want("events", p.events(), "connected session present", "dropped tag=2: not allowed, "+ReasonUnsupportedProtocolVersion.String())
	p.want("incoming", p.receive(message("in", "", QoS2, 9)), "PUBREC id=9")
	p.want("is not told again", p.events())
	p.want("its identifier is held", p.publish(message("t", "new", QoS1, 0), 4), `PUBLISH topic=t qos=1 id=4 payload=new`)

	if _, err := NewClient(Config{ClientID: []byte("other")}, restored(t, snapshot(p.c.Session()))); err != ErrSession {
		t.Errorf("a client of another identifier: %v", err)
	}
}

// TestJournalPrefix: after each op, not only after the last, the fold is what
// the session was: metas that follow each other do not blur.
func TestJournalPrefix(t *testing.T) {
	c, err := NewClient(Config{ClientID: []byte("me"), Journal: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)
	for _, call := range []func(){
		func() { c.Connect(nil, now) },
		func() { c.Receive(nil, now, []byte{0x20, 3, 0, 0, 0}) },
		func() { c.Lost(now, nil) }, // the session ends with it
	} {
		call()
		for ev := new(Event); c.Next(ev); {
		}
	}
	var got []string
	for op := new(Op); c.NextOp(op); {
		got = append(got, fmt.Sprint(op.Kind, " ", op.Tried, " ", op.Established))
	}
	want := []string{"meta false false", "meta true false", "clear false false", "meta false true", "clear false false", "meta false false"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestJournalSwitch: a journal can begin at a session that has none, with a
// snapshot; and end.
func TestJournalSwitch(t *testing.T) {
	cfg := Config{Version: V311, ClientID: []byte("me")}
	c, err := NewClient(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)
	for i := range 4 {
		if _, err := c.Publish(nil, now, message("t", fmt.Sprint(i), QoS1, 0), uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if c.NextOp(new(Op)) {
		t.Error("an op without a journal")
	}
	s := c.Session()
	cfg.Journal = true
	if c, err = NewClient(cfg, s); err != nil {
		t.Fatal(err)
	}
	replica := restored(t, snapshot(s))
	feed311(t, c, now)
	for op := new(Op); c.NextOp(op); {
		if err := replica.Apply(op); err != nil {
			t.Fatalf("%+v: %v", op, err)
		}
	}
	if !bytes.Equal(snapshot(replica), snapshot(s)) {
		t.Error("the fold is not the session")
	}

	c.Receive(nil, now, []byte{0x40, 2, 0, 1})
	for ev := new(Event); c.Next(ev); {
	}
	c.Lost(now, nil)
	cfg.Journal = false
	if c, err = NewClient(cfg, s); err != nil {
		t.Fatal(err)
	}
	if c.NextOp(new(Op)) {
		t.Error("an op without a journal")
	}
	if err := checkSession(s); err != nil {
		t.Error(err)
	}
}

// feed311 connects a client of 3.1.1 to a server that knows the session.
func feed311(t *testing.T, c *Client, now time.Time) {
	t.Helper()
	if _, err := c.Connect(nil, now); err != nil {
		t.Fatal(err)
	}
	if _, n, err := c.Receive(nil, now, []byte{0x20, 2, 1, 0}); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	for ev := new(Event); c.Next(ev); {
	}
}

// TestJournalUntaken: while too many ops wait, calls fail and nothing is lost.
func TestJournalUntaken(t *testing.T) {
	c, err := NewClient(Config{Version: V311, ClientID: []byte("me"), Journal: true, MaxQueued: 1 << 20, MaxQueuedBytes: 1 << 30}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)
	feed311(t, c, now)
	published := 0
	for {
		before := dumpState(c)
		out, err := c.Publish([]byte("mark"), now, message("t", fmt.Sprint(published), QoS1, 0), uint64(published))
		if err != nil {
			if !errors.Is(err, ErrPending) || string(out) != "mark" || before != dumpState(c) {
				t.Fatalf("%q, %v, or a state that has changed", out, err)
			}
			break
		}
		if published++; published > 2*maxOps {
			t.Fatal("no end")
		}
	}
	if n := c.Session().untaken(); n < maxOps || n > maxOps+2 {
		t.Errorf("%d ops wait", n)
	}
	// Nothing makes them more, but for the end of the connection.
	puback := []byte{0x40, 2, 0, 1}
	if out, n, err := c.Receive(nil, now, puback); n != 0 || len(out) != 0 || !errors.Is(err, ErrPending) {
		t.Errorf("Receive: %x, %d, %v", out, n, err)
	}
	for range 100 {
		c.Lost(now, nil)
		for ev := new(Event); c.Next(ev); {
		}
		if _, err := c.Connect(nil, now); err != nil {
			t.Fatal(err)
		}
		c.Tick(nil, now)
	}
	if n := c.Session().untaken(); n > maxOps+2 {
		t.Errorf("%d ops wait", n)
	}
	replica := new(Session)
	for op := new(Op); c.NextOp(op); {
		if err := replica.Apply(op); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(snapshot(replica), snapshot(c.Session())) {
		t.Error("the fold is not the session")
	}
	if n := replica.Len(); n != published {
		t.Errorf("%d messages of %d", n, published)
	}
	if _, n, err := c.Receive(nil, now, []byte{0x20, 2, 1, 0}); n != 4 || err != nil {
		t.Errorf("not to be gone on with: %d, %v", n, err)
	}
}

// TestJournalLag: ops that are taken late tell what was, although the messages
// are done with; and a reader that never catches up makes nothing grow.
func TestJournalLag(t *testing.T) {
	const lag, rounds = 50, 20000
	s := newCycle(t, benchClient(t), QoS1)
	c, err := NewClient(Config{Version: V311, ClientID: []byte("bench"), Journal: true}, s.c.Session())
	if err != nil {
		t.Fatal(err)
	}
	s.c = c
	feed311(t, c, benchNow)
	var op Op
	for c.NextOp(&op) {
	}
	sub := mustAppend(&SubAck{ID: 1, Codes: []byte{0}}, server311)
	next := 0
	for i := range rounds {
		s.p.Payload = fmt.Appendf(nil, "%05d", i)
		id := s.publish(t) // put, sent
		for k := range s.buf[:cap(s.buf)] {
			s.buf[:cap(s.buf)][k] = 0xA5 // dst is the caller's: no op may point there
		}
		s.finish(t, id) // delete
		if i%7 == 0 {   // a request, which no op names
			out, err := c.Subscribe(nil, benchNow, someSubscribe, 1)
			if err != nil {
				t.Fatal(err)
			}
			copy(sub[2:4], out[2:4])
			s.receive(t, sub)
		}
		for c.Session().untaken() > lag {
			if !c.NextOp(&op) {
				t.Fatal("no op")
			}
			switch want := fmt.Sprintf("%05d", next); op.Kind {
			case OpPut:
				if string(op.Payload) != want || string(op.Topic) != string(s.p.Topic) {
					t.Fatalf("put of %q, want %s", op.Payload, want)
				}
			case OpDelete:
				next++
			}
		}
	}
	if next < rounds-lag {
		t.Fatalf("%d messages were seen", next)
	}
	ses := c.Session()
	for name, n := range map[string]int{
		"slab": len(ses.out.slab), "ops": cap(ses.j.ops.items), "limbo": cap(ses.j.limbo.items), "neighbours": len(ses.out.near),
	} {
		if n > 4*lag {
			t.Errorf("%s has %d places for %d ops", name, n, lag)
		}
	}
	if err := checkSession(ses); err != nil {
		t.Error(err)
	}
}

// TestJournalAliasing: what ops name stays as it was until they are taken,
// though the records are free for new messages.
func TestJournalAliasing(t *testing.T) {
	s := newCycle(t, benchClient(t), QoS2)
	c, err := NewClient(Config{Version: V311, ClientID: []byte("bench"), Journal: true}, s.c.Session())
	if err != nil {
		t.Fatal(err)
	}
	s.c = c
	feed311(t, c, benchNow)
	for op := new(Op); c.NextOp(op); {
	}
	var want, got []string
	for i := range 300 {
		s.p.Payload = bytes.Repeat([]byte{byte('a' + i%26)}, 1+i%60)
		want = append(want, string(s.p.Payload))
		s.finish(t, s.publish(t))
		scribble(s.p.Payload)
	}
	for op := new(Op); c.NextOp(op); {
		if op.Kind == OpPut {
			got = append(got, string(op.Payload))
		}
	}
	if !slices.Equal(want, got) {
		t.Error("the ops tell other messages than were published")
	}
	if n := c.Session().out.lists[listFree].n; int(n) != len(c.Session().out.slab)-1 {
		t.Errorf("%d records are free of %d", n, len(c.Session().out.slab)-1)
	}
}

// TestJournalAllocs: nothing is allocated in the steady state, journal and all.
func TestJournalAllocs(t *testing.T) {
	for _, q := range []QoS{QoS1, QoS2} {
		f := journaledCycle(t, q, true)
		for range 200 {
			f()
		}
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("QoS %d: %v allocations, want none", q, n)
		}
	}
}

// TestJournalRequests: requests make no ops, so that they must not wait for ops
// to be taken.
func TestJournalRequests(t *testing.T) {
	c, err := NewClient(Config{Version: V311, ClientID: []byte("me"), Journal: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	feed311(t, c, benchNow) // whose ops stay where they are
	ack := mustAppend(&SubAck{ID: 1, Codes: []byte{0}}, server311)
	for range 1000 {
		out, err := c.Subscribe(nil, benchNow, someSubscribe, 1)
		if err != nil {
			t.Fatal(err)
		}
		copy(ack[2:4], out[2:4])
		feed(t, c, nil, ack)
	}
	if n := len(c.Session().out.slab); n > 4 {
		t.Errorf("%d records for one request at a time", n)
	}
}

// A journal that somebody else made may have the largest number in it: those
// that are given next can be encoded.
func TestJournalAnyNumber(t *testing.T) {
	var s Session
	for _, n := range []uint64{1<<64 - 1, 1} {
		if err := s.Apply(&Op{Kind: OpPut, Num: n, QoS: QoS1, Topic: []byte("a")}); err != nil {
			t.Fatal(err)
		}
	}
	base := snapshot(&s)
	r := newRig(t, Config{Journal: true}, &s, nil)
	var log []byte
	for tag := range uint64(3) {
		r.publish(*message("b", "", QoS1, 0), tag)
	}
	var op Op
	for r.c.NextOp(&op) {
		var err error
		if log, err = op.AppendBinary(log); err != nil {
			t.Errorf("%v %d: %v", op.Kind, op.Num, err)
		}
	}
	var again Session
	if err := again.UnmarshalBinary(base); err != nil {
		t.Fatal(err)
	}
	if n, err := again.Replay(log); n != len(log) || err != nil {
		t.Errorf("%d of %d bytes, %v", n, len(log), err)
	}
	if !bytes.Equal(snapshot(&again), snapshot(&s)) {
		t.Error("the journal makes another session")
	}
}
