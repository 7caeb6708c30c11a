// This file fuzzes the client: a tape of bytes chooses calls, time and what the
// server sends. What must hold after each step is in fuzz_check_test.go.

package mqttcore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"
)

// tape is the fuzzer's input: it ends in zeros, and zero chooses what is
// harmless.
type tape struct{ b []byte }

func (t *tape) byte() byte {
	if len(t.b) == 0 {
		return 0
	}
	c := t.b[0]
	t.b = t.b[1:]
	return c
}

// n is a number below k, at most 256.
func (t *tape) n(k int) int { return int(t.byte()) % k }

func (t *tape) bool() bool { return t.byte()&1 == 1 }

func (t *tape) uint16() uint16 { return uint16(t.byte())<<8 | uint16(t.byte()) }

func (t *tape) bytes(n int) []byte {
	n = min(n, len(t.b))
	b := slices.Clone(t.b[:n])
	t.b = t.b[n:]
	return b
}

// id is a packet identifier, mostly one that is likely to be in use.
func (t *tape) id() uint16 {
	b := t.byte()
	if b < 0xF0 {
		return uint16(b & 15)
	}
	return t.uint16()
}

// FuzzClient drives two clients with the same calls. They differ in how the
// input is cut: the second gets it byte by byte. The seeds are in
// testdata/fuzz/FuzzClient.
func FuzzClient(f *testing.F) {
	for _, v := range readVectors(f) {
		for d := range v.dialects {
			if d.From == FromServer && len(v.in) < 64 {
				f.Add(tapeOf(d.Version, opConnected, v.in))
			}
		}
	}
	for v := V31; v <= V5; v++ {
		for code := range 256 {
			p := &ConnAck{Code: ReasonCode(code)}
			if in, err := p.AppendTo(nil, Dialect{Version: v, From: FromServer}); err == nil {
				f.Add(tapeOf(v, opConnect, in))
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			return
		}
		newDriver(t, b).run()
	})
}

// tapeOf is a tape on which a client of a version connects, with the answer or
// without as the op says, and gets what a server sends.
func tapeOf(v Version, op byte, in []byte) []byte {
	config := []byte{byte(V5 - v), 0, 0} // see config
	if v == V5 {
		config = append(config, 0)
	}
	return slices.Concat([]byte{0}, config, config, []byte{op, 0, opInput, byte(len(in))}, in)
}

// side is one of the two clients.
type side struct {
	c     *Client
	s     *Session
	in    []byte // received and not taken
	shown int    // how much of it the client has looked at
	taken []byte // taken while events of it wait
	out   []byte // of the last call
	err   error
}

// driver carries out what the tape says.
type driver struct {
	t        testing.TB
	tape     tape
	now      time.Time
	cfgs     [2]Config
	at       int // the configuration in use
	a, b     side
	before   []byte     // a's state before the call
	after    []byte     // and after it
	other    []byte     // b's
	fold     *Session   // what a's ops made
	tokens   []AckToken // of messages that were delivered
	sent     []byte     // output not looked at yet
	model    model
	lastTag  uint64
	lazy     bool // leave events where they are
	strict   bool // compare every field, not only what makes a difference
	lostWith error
}

func newDriver(t testing.TB, b []byte) *driver {
	d := &driver{t: t, tape: tape{b}, now: time.Unix(1_700_000_000, 0), lostWith: fmt.Errorf("cut")}
	first := d.tape.byte() // what both configurations have in common
	d.strict = first&0xE0 == 0xE0
	for i := range d.cfgs {
		d.cfgs[i] = d.config(first&1 != 0, first&2 != 0)
	}
	d.model = newModel()
	d.a.s, d.b.s, d.fold = new(Session), new(Session), new(Session)
	d.newClients()
	return d
}

// config is a configuration of which a legal CONNECT can be made.
func (d *driver) config(journal, anonymous bool) Config {
	t := &d.tape
	cfg := Config{Version: [...]Version{V5, V311, V31}[t.n(3)], ClientID: []byte("me")}
	bits := t.byte()
	cfg.CleanStart = bits&1 != 0
	cfg.ManualPing = bits&2 != 0
	cfg.DropQueued = bits&4 != 0
	if bits&8 != 0 {
		cfg.Burst = 60
	}
	if bits&16 != 0 {
		cfg.MaxQueued, cfg.MaxQueuedBytes = 3, 200
	}
	if bits&32 != 0 {
		cfg.MaxPacketSize, cfg.MaxIncoming = 300, 3
	}
	if bits&64 != 0 {
		cfg.MaxInflight = 2
	}
	if bits&128 != 0 {
		cfg.Options = AllowSessionPresent | AllowReservedFlags | AllowAnyReason | AllowShortConnAck
		cfg.Will = &Will{Topic: []byte("w"), QoS: QoS1}
		cfg.PingTimeout, cfg.ConnectTimeout = -1, -1
	}
	bits = t.byte()
	cfg.KeepAlive = uint16(bits&3) * 10
	cfg.ManualAck = bits&4 != 0
	cfg.Progress = bits&8 != 0
	cfg.Resubscribe = bits&16 != 0
	if bits&32 != 0 {
		cfg.TopicAliases = 2
	}
	if bits&64 != 0 {
		cfg.StreamAbove = 30
	}
	cfg.DropOldest = bits&128 != 0
	cfg.Journal = journal
	if cfg.Version == V5 {
		bits = t.byte()
		for i, p := range []Property{SessionExpiry(0xFFFFFFFF), ReceiveMaximum(2), TopicAliasMaximum(2), AuthMethod("m"),
			RequestProblemInfo(0), RequestResponseInfo(1), MaximumPacketSize(200), SessionExpiry(5)} {
			if bits>>i&1 != 0 {
				_ = cfg.Props.Add(p) // the second expiry may be one too many
			}
		}
	}
	if anonymous && cfg.Version != V31 {
		cfg.ClientID = nil
		cfg.CleanStart = cfg.CleanStart || cfg.Version == V311
	}
	return cfg
}

// newClients makes the clients of the configuration in use, for the sessions
// that there are. The connection of the old ones ends with them.
func (d *driver) newClients() {
	cfg := d.renamed(d.at)
	if _, err := NewClient(*cfg, d.a.s.clone()); err != nil && cfg.Version == V31 {
		cfg.Version = V311
	}
	for _, s := range []*side{&d.a, &d.b} {
		c, err := NewClient(*cfg, s.s)
		if err != nil {
			d.t.Fatalf("NewClient: %v", err)
		}
		s.c, s.in, s.shown, s.taken = c, nil, 0, nil
	}
	d.model.conn = wire{}
	d.model.dead = d.a.s.Established() && d.a.s.Expiry() == 0
	d.finish() // messages that the configuration forbids are dropped
}

// renamed is a configuration with the client identifier of the session: it may
// be one that a server assigned to the other configuration, and one that 3.1
// does not permit.
func (d *driver) renamed(at int) *Config {
	cfg := &d.cfgs[at]
	if len(cfg.ClientID) > 0 && len(d.a.s.clientID) > 0 {
		cfg.ClientID = bytes.Clone(d.a.s.clientID)
	}
	return cfg
}

// configure changes the configuration of the clients that there are.
func (d *driver) configure() {
	at := d.tape.n(2)
	cfg := d.renamed(at)
	d.both(func(c *Client, dst []byte) ([]byte, error) { return dst, c.Configure(*cfg) })
	if d.a.err == nil {
		d.at = at
	}
}

// cloned puts a copy of the first client in the place of the second.
func (d *driver) cloned() {
	d.b.c = d.a.c.Clone()
	d.b.s = d.b.c.Session()
}

// views looks at what can be seen of a client without a change.
func (d *driver) views() {
	c := d.a.c
	for l := range c.Subscriptions() {
		if got, ok := c.Subscribed(l.Filter); !ok || got.QoS != l.QoS {
			d.t.Fatalf("%q is among the subscriptions, and Subscribed says %v, %+v", l.Filter, ok, got)
		}
	}
	n := 0
	for m := range d.a.s.Outgoing() {
		x := d.model.tags[m.Tag]
		if x == nil || m.State != OutgoingReleased && (string(m.Message.Topic) != x.topic || string(m.Message.Payload) != x.payload) {
			d.t.Fatalf("%+v is outgoing, and what was published is %+v", m, x)
		}
		n++
	}
	if n > len(d.model.tags) {
		d.t.Fatalf("%d messages are outgoing, %d tags have had no fate", n, len(d.model.tags))
	}
}

// cfg is the configuration of the clients, with the defaults filled in.
func (d *driver) cfg() *Config { return &d.a.c.cfg }

// run carries out the tape, then ends the session and looks whether every tag
// had its fate.
func (d *driver) run() {
	for steps := 0; len(d.tape.b) > 0 && steps < 500; steps++ {
		op := d.tape.byte()
		d.lazy = op&0x80 != 0
		ops[int(op&0x7F)%len(ops)](d)
		d.settle()
	}
	d.lazy = false
	d.finish()
	d.lost()
	d.finish()
	id := d.cfgs[d.at].ClientID
	if len(d.a.s.clientID) > 0 { // assigned, perhaps to a client of the other configuration
		id = d.a.s.clientID
	}
	d.cfgs[d.at] = Config{ClientID: id, CleanStart: true, DropQueued: true, Journal: d.cfg().Journal}
	d.newClients()
	d.connect()
	last := &ConnAck{}
	if len(d.a.s.ClientID()) == 0 {
		last.Props = mustProperties(AssignedClientID("you"))
	}
	d.send(last)
	if d.a.c.State() != StateConnected {
		d.t.Fatal("the last connection was not accepted")
	}
	d.lost() // what was queued while there was no session ends with this one
	d.finish()
	if len(d.model.tags) != 0 || d.a.s.Len() != 0 || d.a.s.inbox.len() != 0 {
		d.t.Fatalf("left after the session ended: tags %v, %d messages, %d identifiers", d.model.tags, d.a.s.Len(), d.a.s.inbox.len())
	}
	if p := &d.a.s.out.ids; len(p.slot) > 0 && int(p.free) != len(p.slot)-1 {
		d.t.Fatalf("%d of %d identifiers are free after the session ended", p.free, len(p.slot)-1)
	}
}

// These are the places in ops that tapeOf has to know.
const (
	opConnect   = 2
	opInput     = 28
	opConnected = 33
)

// ops are what a byte of the tape can mean.
var ops = [...]func(*driver){
	func(d *driver) {},
	(*driver).sleep,
	opConnect: (*driver).connect,
	func(d *driver) { d.send(&ConnAck{}) },
	func(d *driver) { d.send(&ConnAck{SessionPresent: true}) },
	func(d *driver) { d.send(d.connAck()) },
	(*driver).publish,
	(*driver).publish,
	(*driver).publishBad,
	(*driver).subscribe,
	(*driver).unsubscribe,
	func(d *driver) { d.both(func(c *Client, dst []byte) ([]byte, error) { return c.Ping(dst, d.now) }) },
	(*driver).disconnect,
	(*driver).auth,
	(*driver).lost,
	func(d *driver) { d.both(d.tick) },
	(*driver).tickAtDeadline,
	(*driver).deliverAll,
	(*driver).answer,
	(*driver).answer,
	(*driver).answer,
	(*driver).wrongAnswer,
	(*driver).serverPublish,
	(*driver).serverPublish,
	func(d *driver) { d.send(&Ack{Type: TypePubRel, ID: d.tape.id()}) },
	func(d *driver) { d.send(&Ping{Type: TypePingResp}) },
	(*driver).serverDisconnect,
	(*driver).serverAuth,
	opInput: func(d *driver) { d.input(d.tape.bytes(d.tape.n(64))) },
	(*driver).frame,
	(*driver).next,
	func(d *driver) { d.at = d.tape.n(2); d.lost(); d.finish(); d.newClients() },
	func(d *driver) { d.at = d.tape.n(2); d.finish(); d.newClients() },
	opConnected: (*driver).connected,
	(*driver).ack,
	(*driver).ack,
	(*driver).crash,
	(*driver).configure,
	(*driver).cloned,
	(*driver).views,
}

func (d *driver) sleep() {
	steps := [...]time.Duration{time.Millisecond, time.Second, 5 * time.Second, 10 * time.Second, 31 * time.Second,
		time.Hour, -time.Second, -time.Hour, 1, -1, 0, 24 * 365 * time.Hour}
	d.now = d.now.Add(steps[d.tape.n(len(steps))])
}

func (d *driver) tick(c *Client, dst []byte) ([]byte, error) { return c.Tick(dst, d.now), nil }

func (d *driver) connect() {
	d.both(func(c *Client, dst []byte) ([]byte, error) { return c.Connect(dst, d.now) })
	if d.a.err == nil {
		d.a.in, d.b.in = nil, nil
		d.b.shown = 0
		d.model.conn = wire{}
	}
}

// connected is the shortest way to a connection that goes on with the session.
func (d *driver) connected() {
	d.lost()
	d.finish()
	d.connect()
	p := &ConnAck{SessionPresent: d.a.s.Established() && d.cfg().Version != V31 && !d.cfg().CleanStart, Props: d.method()}
	if d.tape.bool() && d.cfg().Version == V5 {
		_ = p.Props.Add(TopicAliasMaximum(2))
		_ = p.Props.Add(ReceiveMaximum(3))
	}
	d.send(p)
}

func (d *driver) lost() {
	d.both(func(c *Client, dst []byte) ([]byte, error) { c.Lost(d.now, d.lostWith); return dst, nil })
}

// method is the authentication method of the configuration, if it has one.
func (d *driver) method() (p Properties) {
	if m, ok := d.cfg().Props.AuthMethod(); ok {
		p = mustProperties(AuthMethod(m))
	}
	return p
}

// crash throws the clients away, after they have told all, and goes on with
// what the journal, or a snapshot, has kept.
func (d *driver) crash() {
	d.finish()
	d.at = d.tape.n(2)
	from := d.a.s
	if d.cfg().Journal {
		from = d.fold
	}
	snapshot, _ := from.AppendBinary(nil)
	for _, s := range []**Session{&d.a.s, &d.b.s, &d.fold} {
		*s = new(Session)
		if err := (*s).UnmarshalBinary(snapshot); err != nil {
			d.t.Fatal(err)
		}
	}
	d.restored()
	d.newClients()
}

// ack acknowledges a message that was delivered.
func (d *driver) ack() {
	token := AckToken(d.tape.n(3))
	if n := len(d.tokens); n > 0 {
		token = d.tokens[d.tape.n(n)]
	}
	bits, code, props := d.tape.byte(), ReasonSuccess, Properties{}
	if bits&7 == 7 {
		code = ReasonQuotaExceeded
	}
	if bits&8 != 0 {
		props = mustProperties(ReasonString("because it is so"), UserProperty("k", "v"))
	}
	d.both(func(c *Client, dst []byte) ([]byte, error) { return c.Ack(dst, d.now, token, code, props) })
}

func (d *driver) disconnect() {
	p := []*Disconnect{nil, {}, {Code: ReasonDisconnectWithWill}, {Props: mustProperties(SessionExpiry(0))},
		{Props: mustProperties(SessionExpiry(60))}, {Code: ReasonGrantedQoS1}}[d.tape.n(6)]
	d.both(func(c *Client, dst []byte) ([]byte, error) { return c.Disconnect(dst, d.now, p) })
}

func (d *driver) auth() {
	p := &Auth{Code: ReasonContinueAuthentication, Props: d.method()}
	if d.tape.bool() {
		p.Code = ReasonReAuthenticate
	}
	d.both(func(c *Client, dst []byte) ([]byte, error) { return c.Auth(dst, d.now, p) })
}

func (d *driver) tag() uint64 { d.lastTag++; return d.lastTag }

// publish publishes a message that is legal as far as the version goes; its
// payload begins with its tag.
func (d *driver) publish() {
	bits, tag := d.tape.byte(), d.tag()
	topics := []string{"a", "some/longer/topic", "another/topic", "a topic"}
	if d.cfg().Version == V31 {
		topics[3] = "caf\xE9" // which the other versions forbid
	}
	p := &Publish{
		Topic:   []byte(topics[int(bits>>2&1)+int(tag&2)]),
		Payload: append(binary.BigEndian.AppendUint64(nil, tag), make([]byte, int(bits>>3&1)*90)...),
		QoS:     QoS(bits & 3 % 3),
		Retain:  bits&16 != 0,
		ID:      77, // to be ignored, as DUP is
		Dup:     bits&32 != 0,
	}
	if bits&64 != 0 {
		p.Props = mustProperties(UserProperty("k", "v"), MessageExpiry(uint32(d.tape.n(20))), ContentType("text"))
	}
	if bits&128 != 0 {
		_ = p.Props.Add(TopicAlias(uint16(1 + d.tape.n(3))))
	}
	d.give(p, tag)
}

// publishBad publishes what is most probably not legal.
func (d *driver) publishBad() {
	d.give(&Publish{Topic: d.tape.bytes(d.tape.n(8)), Payload: make([]byte, d.tape.n(8)), QoS: QoS(d.tape.n(5)),
		Props: mustProperties(SubscriptionID(3))}, d.tag())
}

func (d *driver) give(p *Publish, tag uint64) {
	d.both(func(c *Client, dst []byte) ([]byte, error) { return c.Publish(dst, d.now, p, tag) })
	if d.a.err == nil && p.QoS != QoS0 {
		d.model.tags[tag] = &exchange{kind: EventPublished, qos: p.QoS, topic: string(p.Topic), payload: string(p.Payload), retain: p.Retain}
	}
}

// filterOf is a topic filter, one of a few, so that they meet again.
func filterOf(tag uint64, i int, deep bool) string {
	filter := []string{"in/topic", "in/+", "a", "+/b"}[(tag+uint64(i))%4]
	if deep {
		filter += "/#"
	}
	return filter
}

func (d *driver) subscribe() {
	tag, bits := d.tag(), d.tape.byte()
	s := &Subscribe{ID: 77, Dup: true}
	for i := range int(bits & 3) {
		filter := filterOf(tag, i, bits&8 != 0)
		if bits&4 != 0 {
			filter = "$share/g/" + filter
		}
		if err := s.Subscriptions.Add(Subscription{Filter: []byte(filter), QoS: QoS(bits >> 5 % 3)}); err != nil {
			d.t.Fatal(err)
		}
	}
	if bits&16 != 0 {
		s.Props = mustProperties(SubscriptionID(9))
	}
	d.both(func(c *Client, dst []byte) ([]byte, error) { return c.Subscribe(dst, d.now, s, tag) })
	if d.a.err == nil {
		d.model.tags[tag] = &exchange{kind: EventSubscribed, count: s.Subscriptions.Len(), id: d.a.s.out.slab[d.a.s.out.lists[listRequests].tail].id}
	}
}

func (d *driver) unsubscribe() {
	tag, n := d.tag(), d.tape.n(3)
	u := &Unsubscribe{ID: 77, Dup: true}
	for i := range n {
		if err := u.Filters.Add([]byte(filterOf(tag, i, tag&4 != 0))); err != nil {
			d.t.Fatal(err)
		}
	}
	d.both(func(c *Client, dst []byte) ([]byte, error) { return c.Unsubscribe(dst, d.now, u, tag) })
	if d.a.err == nil {
		d.model.tags[tag] = &exchange{kind: EventUnsubscribed, count: n, id: d.a.s.out.slab[d.a.s.out.lists[listRequests].tail].id}
	}
}

// send lets the server send a packet.
func (d *driver) send(p Packet) {
	b, err := p.AppendTo(nil, Dialect{Version: d.cfg().Version})
	if err != nil {
		// The version cannot say this: the shortest thing that is like it.
		b = []byte{byte(p.PacketType()) << 4, 2, 0, 0}
	}
	d.input(b)
}

func (d *driver) input(b []byte) {
	d.a.in = append(d.a.in, b...)
	d.b.in = append(d.b.in, b...)
	if !d.lazy {
		d.deliverAll()
	}
}

func (d *driver) frame() {
	first := d.tape.byte()
	d.input(Frame{Type: PacketType(first >> 4), Flags: first & 15, Body: d.tape.bytes(d.tape.n(32))}.AppendTo(nil))
}

func (d *driver) connAck() *ConnAck {
	t := &d.tape
	p := &ConnAck{Code: [...]ReasonCode{0, 0, 0, ReasonServerBusy, ReasonNotAuthorized, ReasonUnsupportedProtocolVersion}[t.n(6)], Props: d.method()}
	bits := t.uint16()
	for i, x := range []Property{ReceiveMaximum(1), MaximumQoS(uint8(bits >> 14 & 1)), RetainAvailable(0), MaximumPacketSize(40),
		AssignedClientID("assigned"), TopicAliasMaximum(2), ServerKeepAlive(uint16(bits >> 13 & 5)), SessionExpiry(uint32(bits >> 12 & 1)),
		WildcardAvailable(0), SharedAvailable(0), SubscriptionIDsAvailable(0), ResponseInfo("r"), ReasonString("why")} {
		if bits>>i&1 != 0 {
			_ = p.Props.Add(x)
		}
	}
	p.SessionPresent = bits&0x8000 != 0 && p.Code == ReasonSuccess
	return p
}

// answer lets the server answer one of the exchanges under way as it should.
func (d *driver) answer() {
	var open []*exchange
	for _, x := range d.model.tags {
		if x.id != 0 {
			open = append(open, x)
		}
	}
	for _, x := range d.model.conn.own {
		open = append(open, x)
	}
	if len(open) == 0 {
		return
	}
	slices.SortFunc(open, func(x, y *exchange) int { return int(x.id) - int(y.id) })
	x := open[d.tape.n(len(open))]
	delete(d.model.conn.own, x.id)
	code, refused := ReasonSuccess, d.tape.n(8) == 7
	if refused && d.cfg().Version == V5 {
		code = ReasonQuotaExceeded
	}
	codes := make([]byte, x.count)
	switch {
	case x.kind == EventSubscribed:
		if refused && x.count > 0 && d.cfg().Version != V31 {
			codes[x.count-1] = byte(ReasonUnspecifiedError)
		}
		d.send(&SubAck{ID: x.id, Codes: codes})
	case x.kind == EventUnsubscribed:
		if d.cfg().Version != V5 {
			codes = nil
		}
		d.send(&UnsubAck{ID: x.id, Codes: codes})
	case x.qos == QoS1:
		d.send(&Ack{Type: TypePubAck, ID: x.id, Code: code})
	case x.released:
		d.send(&Ack{Type: TypePubComp, ID: x.id})
	default:
		d.send(&Ack{Type: TypePubRec, ID: x.id, Code: code})
	}
}

func (d *driver) wrongAnswer() {
	t := &d.tape
	p := &Ack{Type: TypePubAck + PacketType(t.n(4)), ID: max(1, t.id())}
	bits := t.byte()
	if d.cfg().Version == V5 {
		p.Code = [...]ReasonCode{0, ReasonPacketIdentifierNotFound, ReasonNoMatchingSubscribers, ReasonUnspecifiedError}[bits&3]
		if bits&4 != 0 {
			p.Props = mustProperties(ReasonString("because"))
		}
	}
	switch bits >> 3 & 7 {
	case 0:
		d.send(&SubAck{ID: p.ID, Codes: make([]byte, t.n(4))})
	case 1:
		d.send(&UnsubAck{ID: p.ID, Codes: make([]byte, t.n(4))})
	default:
		d.send(p)
	}
}

func (d *driver) serverPublish() {
	t := &d.tape
	bits := t.byte()
	p := &Publish{Topic: []byte("in/topic"), Payload: make([]byte, [...]int{0, 1, 3, 60}[bits>>2&3]), QoS: QoS(bits & 3 % 3), Retain: bits&16 != 0}
	if p.QoS != QoS0 {
		p.ID, p.Dup = max(1, t.id()), bits&32 != 0
	}
	if bits&64 != 0 && d.cfg().Version == V5 {
		p.Props = mustProperties(SubscriptionID(9), SubscriptionID(10))
	}
	if bits&128 != 0 && d.cfg().Version == V5 {
		_ = p.Props.Add(TopicAlias(uint16(1 + t.n(3))))
		if t.bool() {
			p.Topic = nil
		}
	}
	d.send(p)
}

func (d *driver) serverDisconnect() {
	if d.cfg().Version != V5 {
		d.input([]byte{0xE0, 0})
		return
	}
	d.send(&Disconnect{Code: [...]ReasonCode{0, ReasonServerShuttingDown, ReasonSessionTakenOver}[d.tape.n(3)]})
}

func (d *driver) serverAuth() {
	p := &Auth{Code: ReasonContinueAuthentication, Props: mustProperties(AuthMethod([...]string{"m", "m", "m", "other"}[d.tape.n(4)]))}
	if d.tape.bool() {
		p.Code = ReasonSuccess
	}
	d.send(p)
}
