// This file holds Client and the life of a connection: CONNECT, what is
// received, the events in their order, close. How messages are delivered is
// known in qos.go and incoming.go; what outlives a connection is session.go's;
// configuration and limits are config.go's, time alive.go's, authentication
// auth.go's.

package mqttcore

import "time"

// State is the state of a client's connection.
type State uint8

// The states.
const (
	StateDisconnected State = iota
	StateConnecting         // CONNECT was sent, or is being written
	StateConnected          // the server accepted
)

// String names the state.
func (s State) String() string {
	return nameOf([]string{"disconnected", "connecting", "connected"}, uint8(s))
}

// Client is the protocol engine of one MQTT client, without input, output,
// clock or goroutine: see the package documentation for the loop around it. It
// is used by one goroutine at a time.
type Client struct {
	cfg      Config
	s        *Session
	subs     *registry // nil: nothing was ever subscribed to
	progress *progress // nil: nobody wants to know
	lim      Limits
	stats    Stats
	state    State
	has      pending
	ev       Event // what the events in has need; of a packet only what its Kind has is set
	closed   struct {
		cause    Cause
		code     ReasonCode
		byPacket bool // whose properties are in ev
		err      error
	}

	base    time.Time // the latest time that was seen
	now     int64     // the same in unix nanoseconds
	expires int64     // not after the first expiry among queued messages; 0: none
	conn    connection
}

// connection is the state that must not survive a connection.
type connection struct {
	resume   [2]uint32 // next to be sent again: of the released, of the sent
	inflight int32     // exchanges that count for the server's receive maximum
	unacked  int32     // incoming ones that count for ours
	looked   int       // one more than the bytes of an incomplete packet that were looked at; 0: none was
	aliases  *aliases  // nil: none yet
	stream   stream
	auth     authState
	known    bool  // the server may have the session
	pings    int32 // PINGREQs not answered

	started  int64 // time of CONNECT
	lastSent int64
	lastRecv int64
	timed    int8 // for how many of them, the oldest, the time is known
	pinged   [3]int64
	told     int64 // time of the last EventKeepAliveDue
}

// pending is the set of events that wait, in the order in which they are told;
// the fates in listDone come before hasKeepAliveDue.
type pending uint8

const (
	hasAuthDone pending = 1 << iota
	hasConnected
	hasPacket
	hasEnd
	hasKeepAliveDue
	hasAborted
	hasClosed
)

// NewClient makes a client for a session, or for a new one when s is nil. It
// fails with an *Error when no legal CONNECT can be made of cfg, and with
// ErrSession when s belongs to another client identifier.
func NewClient(cfg Config, s *Session) (*Client, error) {
	if s == nil {
		s = new(Session)
	}
	c := &Client{s: s, base: time.Unix(0, 0)}
	if err := c.configure(cfg); err != nil {
		return nil, err
	}
	// What another client leaves: requests that were not told their connection
	// is lost, and messages that expire.
	c.dropRequests()
	c.tokensLost()
	c.expireQueued()
	return c, nil
}

// Configure replaces the configuration between two connections: a password or
// authentication data that has changed, a Clean Start for the first connection
// only, an older version for a server that refused. Session and live
// subscriptions stay, in 3.x without their identifiers; those with options of 5.0
// cannot be asked for again there. Queued messages whose topics the new version or
// options forbid are dropped. It fails like NewClient, with ErrConnected while
// there is a connection, and with ErrPending while events wait.
//
// A Clean Start is to stay until EventConnected: an attempt that was not answered
// may have ended the server's session, and what this one holds does not belong
// to the session that the server began instead.
func (c *Client) Configure(cfg Config) error {
	if c.state != StateDisconnected {
		return ErrConnected
	}
	if c.waiting() {
		return ErrPending
	}
	return c.configure(cfg)
}

func (c *Client) configure(cfg Config) error {
	s := c.s
	if len(s.clientID) != 0 && len(cfg.ClientID) != 0 && string(s.clientID) != string(cfg.ClientID) {
		return ErrSession
	}
	cfg.setDefaults()
	p := cfg.connect(s.clientID)
	if _, err := p.AppendTo(nil, Dialect{Version: cfg.Version, From: FromClient, Options: cfg.Options}); err != nil {
		return err
	}
	c.cfg = cfg
	if cfg.Version != V5 {
		c.subs.unname()
	}
	c.lim = c.limits(Properties{})
	if c.progress = nil; cfg.Progress {
		c.progress = new(progress)
	}
	s.adopt(cfg.Journal)
	if len(s.clientID) == 0 && len(cfg.ClientID) > 0 {
		s.clientID = cfg.ClientID
		s.note(OpMeta, 0, 0, 0)
	}
	c.dropMisfits()
	return nil
}

func (c *Client) dialect(from Role) Dialect {
	return Dialect{Version: c.cfg.Version, From: from, Options: c.cfg.Options}
}

// clock takes the caller's time. It never goes back. Where it is too far from
// the last one to tell by how much, it begins anew: a zero time came first.
func (c *Client) clock(now time.Time) {
	switch {
	case now == c.base && c.now != 0:
	case c.now == 0:
		c.base, c.now = now, max(now.UnixNano(), 1)
	default:
		switch d := now.Sub(c.base); {
		case d == never:
			c.base, c.now = now, max(now.UnixNano(), c.now)
		case d > 0:
			c.base, c.now = now, min(after(c.now, d), never-1)
		}
	}
}

// State is the state of the connection.
func (c *Client) State() State { return c.state }

// Limits are those of the connection, or of the last one.
func (c *Client) Limits() Limits { return c.lim }

// Stats are the counters so far.
func (c *Client) Stats() Stats { return c.stats }

// Session is the session that the client works on.
func (c *Client) Session() *Session { return c.s }

// Connect begins a connection: the caller has opened a transport, or opens one
// now and writes the CONNECT that is appended to dst. It fails with
// ErrConnected, or with ErrPending while events of the last connection wait.
func (c *Client) Connect(dst []byte, now time.Time) ([]byte, error) {
	if c.state != StateDisconnected {
		return dst, ErrConnected
	}
	if c.waiting() {
		return dst, ErrPending
	}
	p := c.cfg.connect(c.s.clientID)
	out, err := p.AppendTo(dst, c.dialect(FromClient))
	if err != nil {
		return dst, err
	}
	c.clock(now)
	c.s.epoch++
	c.state = StateConnecting
	c.ev = Event{} // it holds the input that the last message came in
	c.conn = connection{started: c.now, lastSent: c.now, lastRecv: c.now}
	c.conn.auth.busy = c.cfg.Props.Mask().Has(PropAuthMethod)
	c.conn.known = c.s.established || c.s.tried
	if !c.s.established && c.cfg.Version == V5 && len(p.ClientID) > 0 {
		// A process that dies before it knows the answer must not close the
		// connection because the session exists (MQTT-3.2.2-4). One that has no
		// name cannot be asked for again.
		c.s.setMeta(c.s.clientID, c.s.expiry, false, true)
	}
	c.lim = c.limits(Properties{})
	c.stats.Connects++
	return c.end(out, len(dst)), nil
}

// Receive takes at most one packet from the start of in, the bytes received
// and not yet taken, and returns how many bytes it took: 0 when there is no
// whole packet, which is no error. What the client answers is appended to dst.
// Called again with nothing new it goes on with output that waits (see More).
//
// It fails with ErrPending while events wait, or too many ops (see NextOp), and
// with ErrClosed when there is no connection. What the server does wrong is no
// error of this call: it ends the connection with EventClosed.
func (c *Client) Receive(dst []byte, now time.Time, in []byte) (out []byte, n int, err error) {
	if c.state == StateDisconnected {
		return dst, 0, ErrClosed
	}
	if c.waiting() || c.choked() {
		return dst, 0, ErrPending
	}
	c.clock(now)
	before, looked := len(dst), c.conn.looked
	c.conn.looked = max(looked, len(in)+1)
	var fault error
	if len(in) > 0 {
		dst, n, fault = c.take(dst, in, c.dialect(FromServer))
	}
	c.stats.BytesIn += uint64(n)
	if c.state != StateDisconnected {
		if n > 0 {
			c.conn.looked = 0
		}
		if n > 0 || len(in) >= max(looked, 1) {
			c.conn.lastRecv = c.now
		}
	}
	if fault != nil {
		dst = c.violation(dst, fault)
	} else if n == 0 && len(in) >= looked || n > 0 && c.conn.stream.on {
		// A look at what came last, or a part of a message. If output went on
		// here, it would depend on the way the input is cut into pieces.
		return dst, n, nil
	}
	return c.end(dst, before), n, nil
}

// take does what the start of in demands. The error is the violation that ends
// the connection.
func (c *Client) take(dst, in []byte, d Dialect) (out []byte, n int, fault error) {
	if c.conn.stream.on {
		return c.chunk(dst, in, d)
	}
	// What the first byte tells comes first, so that the way the input is cut
	// into pieces makes no difference.
	t := PacketType(in[0] >> 4)
	if r := c.typeFault(t); r != ruleNone {
		return dst, 0, fail(t, d, r, 0)
	}
	f, n, err := ConsumeFrame(in, d, c.cfg.MaxPacketSize)
	switch {
	case err != nil:
		return dst, 0, err
	case c.cfg.StreamAbove != 0 && c.streams(in):
		n, fault = c.beginStream(in, d)
		return dst, n, fault
	case n == 0:
		return dst, 0, nil
	}
	c.stats.PacketsIn++
	dst, fault = c.packet(dst, f, d)
	return dst, n, fault
}

// typeFault is the rule that forbids a packet of type t in the present state.
func (c *Client) typeFault(t PacketType) rule {
	switch {
	case t == TypeAuth && c.cfg.Version == V5 && !c.cfg.Props.Mask().Has(PropAuthMethod):
		return ruleAuthNone
	case t == TypeAuth && c.cfg.Version == V5 && (!c.conn.auth.busy || c.conn.auth.turn):
		return ruleAuthStart
	case c.state == StateConnecting && t != TypeConnAck && t != TypeAuth:
		return ruleFirstPacket
	case c.state == StateConnected && t == TypeConnAck:
		return ruleSecondConnAck
	}
	return ruleNone
}

// packet does what one packet demands. The error is the violation that ends
// the connection.
func (c *Client) packet(dst []byte, f Frame, d Dialect) ([]byte, error) {
	switch f.Type {
	case TypePublish:
		return c.onPublish(dst, f, d)
	case TypePubAck, TypePubRec, TypePubComp:
		return c.onAck(dst, f, d)
	case TypePubRel:
		return c.onPubRel(dst, f, d)
	case TypeConnAck:
		return dst, c.onConnAck(f, d)
	case TypeSubAck, TypeUnsubAck:
		return dst, c.onRequestAck(f, d)
	case TypePingResp:
		return dst, c.onPingResp(f, d)
	case TypeAuth:
		return dst, c.onAuth(f, d)
	default: // the frame's direction leaves DISCONNECT
		var p Disconnect
		if err := p.Decode(f, d); err != nil {
			return dst, err
		}
		c.closedBy(CauseServerDisconnect, p.Code, p.Props)
		return dst, nil
	}
}

// refusalIn3 reads a CONNACK that refuses a 5.0 CONNECT in the form of 3.x,
// with a return code or, as some servers do, a reason code.
func refusalIn3(body []byte) (ReasonCode, bool) {
	if len(body) != 2 || body[1] == 0 {
		return 0, false
	}
	if c, ok := ReasonOfReturnCode(body[1]); ok {
		return c, true
	}
	c := ReasonCode(body[1])
	return c, c.AllowedIn(TypeConnAck, FromServer)
}

func (c *Client) onConnAck(f Frame, d Dialect) error {
	if d.Version == V5 {
		if code, ok := refusalIn3(f.Body); ok {
			c.notAccepted()
			c.close(causeOfRefusal(code), code, nil)
			return nil
		}
	}
	var p ConnAck
	if err := p.Decode(f, d); err != nil {
		return err
	}
	lim := c.limits(p.Props)
	if p.Code != ReasonSuccess {
		c.lim = lim
		c.notAccepted()
		c.closedBy(causeOfRefusal(p.Code), p.Code, p.Props)
		return nil
	}
	if r := c.acceptFault(&p, d.Version); r != ruleNone {
		if p.SessionPresent { // else the server may have begun one for this attempt
			c.notAccepted()
		}
		return fail(TypeConnAck, d, r, 0)
	}
	c.lim = lim
	s := c.s
	if c.cfg.CleanStart || !p.SessionPresent && d.Version != V31 {
		c.subs.sessionLost(c.cfg.Resubscribe)
	}
	c.subs.connected()
	switch {
	case c.cfg.CleanStart, !p.SessionPresent && d.Version == V5:
		s.forget(DropSessionLost, c.cfg.DropQueued && s.established)
	case s.established && s.expiry == 0:
		// The session of a process that died did not end when it should have,
		// with its connection (3.1.1 MQTT-3.1.2-6, 5.0 §3.1.2.11.2).
		s.forget(DropSessionEnded, c.cfg.DropQueued)
	case !p.SessionPresent && d.Version == V311:
		// 3.1.1 has the client send again whatever the server says, but the
		// server's own identifiers start anew (3.1.1 MQTT-4.4.0-1), and it has
		// none of ours.
		s.forgetIncoming()
		for s.out.lists[listHeld].head != 0 {
			s.unhold(s.out.lists[listHeld].head)
		}
	}
	id := s.clientID
	if assigned, ok := p.Props.AssignedClientID(); ok && len(id) == 0 {
		id = assigned
	}
	s.setMeta(id, lim.SessionExpiry, true, false)
	c.state = StateConnected
	c.conn.resume = [2]uint32{s.out.lists[listReleased].head, s.out.lists[listSent].head}
	c.ev.SessionPresent, c.ev.Props = p.SessionPresent, p.Props
	c.has |= hasConnected
	if n := min(c.cfg.TopicAliases, lim.TopicAliasMaximum); n > 0 {
		c.aliases().assigned = newAliasTable(n)
	}
	if c.conn.auth.busy {
		c.conn.auth = authState{}
		c.has |= hasAuthDone
	}
	return nil
}

// notAccepted notes that this attempt made no session. What an earlier attempt,
// whose answer never came, may have made is there as before.
func (c *Client) notAccepted() {
	s := c.s
	s.setMeta(s.clientID, s.expiry, s.established, c.conn.known && !s.established)
}

// acceptFault is the rule that forbids to go on with a CONNACK that accepts.
func (c *Client) acceptFault(p *ConnAck, v Version) rule {
	if p.SessionPresent && c.cfg.Options&AllowSessionPresent == 0 {
		if c.cfg.CleanStart {
			return ruleCleanPresent
		}
		if v == V5 && !c.conn.known {
			return ruleSessionPresent
		}
	}
	if v != V5 {
		return ruleNone
	}
	mask := p.Props.Mask()
	if asked, _ := c.cfg.Props.RequestResponseInfo(); asked == 0 && mask.Has(PropResponseInfo) {
		return ruleResponseInfo
	}
	if len(c.s.clientID) == 0 {
		if id, _ := p.Props.AssignedClientID(); len(id) == 0 {
			return ruleAssignedID
		}
	}
	return c.methodFault(p.Props)
}

// problemFault is the rule that forbids diagnostics which the client declined.
func (c *Client) problemFault(props Properties) rule {
	const diagnostics = 1<<PropReasonString | 1<<PropUserProperty
	if props.Mask()&diagnostics != 0 {
		if asked, ok := c.cfg.Props.RequestProblemInfo(); ok && asked == 0 {
			return ruleProblemInfo
		}
	}
	return ruleNone
}

// violation ends the connection because of what the server did. In 5.0 it is
// told, unless it takes no packet of three bytes.
func (c *Client) violation(dst []byte, fault error) []byte {
	code := ReasonProtocolError
	if e, ok := fault.(*Error); ok && e.Code.AllowedIn(TypeDisconnect, FromClient) {
		code = e.Code
	}
	if c.cfg.Version == V5 && c.fits(3) {
		p := Disconnect{Code: code}
		dst, _ = p.AppendTo(dst, Dialect{Version: V5, From: FromClient})
	}
	c.close(CauseProtocolViolation, code, fault)
	return dst
}

// close ends the connection. Requests end with it, and the session if it is
// one that does not outlive its connection.
func (c *Client) close(cause Cause, code ReasonCode, err error) {
	accepted := c.state == StateConnected
	c.state = StateDisconnected
	if c.conn.stream.on && c.conn.stream.deliver {
		c.has |= hasAborted
	}
	c.conn = connection{}
	c.closed.cause, c.closed.code, c.closed.err = cause, code, err
	c.closed.byPacket = false
	c.has |= hasClosed
	c.has &^= hasKeepAliveDue
	c.dropRequests()
	c.tokensLost()
	if accepted && c.s.expiry == 0 {
		c.subs.sessionLost(c.cfg.Resubscribe)
		c.s.forget(DropSessionEnded, c.cfg.DropQueued)
		c.s.setMeta(c.s.clientID, 0, false, false)
	}
}

// closedBy ends the connection by a packet of the server's that has props.
func (c *Client) closedBy(cause Cause, code ReasonCode, props Properties) {
	c.close(cause, code, nil)
	c.ev.Props = props
	c.closed.byPacket = true
}

// Disconnect ends the connection from this side. d may be nil for a normal
// disconnection, which discards the will; ReasonDisconnectWithWill and the
// error codes keep it. While connecting it cancels the attempt. After it
// nothing is sent (MQTT-3.14.4-1): the caller writes what was appended and
// closes the transport (MQTT-3.14.4-2).
//
// It fails with ErrNotConnected, with ErrExpiry for a session expiry that
// CONNECT's 0 forbids, with ErrTooLarge, or with an *Error for a code or
// property that a client may not send.
func (c *Client) Disconnect(dst []byte, now time.Time, d *Disconnect) ([]byte, error) {
	if c.state == StateDisconnected {
		return dst, ErrNotConnected
	}
	var p Disconnect
	if d != nil {
		p = *d
	}
	expiry, has := p.Props.SessionExpiry()
	if has && expiry != 0 {
		if asked, _ := c.cfg.Props.SessionExpiry(); asked == 0 {
			return dst, ErrExpiry
		}
	}
	out, err := p.AppendTo(dst, c.dialect(FromClient))
	if err != nil {
		return dst, err
	}
	if !c.fits(len(out) - len(dst)) {
		return dst, ErrTooLarge
	}
	c.clock(now)
	if has && c.state == StateConnected { // else the next CONNACK tells whether the server took it
		c.s.setMeta(c.s.clientID, expiry, c.s.established, c.s.tried)
	}
	c.close(CauseLocalDisconnect, p.Code, nil)
	return c.end(out, len(dst)), nil
}

// Lost tells that the transport is gone, or that bytes from dst could not be
// written. What was read before that is for Receive first: after Lost it takes
// nothing. cause goes to EventClosed. Without a connection Lost does nothing.
func (c *Client) Lost(now time.Time, cause error) {
	if c.state == StateDisconnected {
		return
	}
	c.clock(now)
	c.close(CauseTransportInvalid, 0, cause)
}

// fits reports whether the server takes a packet of n bytes.
func (c *Client) fits(n int) bool {
	return c.lim.MaximumPacketSize == 0 || uint64(n) <= uint64(c.lim.MaximumPacketSize)
}

// end is how calls that may emit bytes end: with what waits to be sent, and an
// account of what was.
func (c *Client) end(dst []byte, before int) []byte {
	// Before the caller has seen how an authentication ended, nothing goes out:
	// it may not trust the server.
	if c.state == StateConnected && c.has&hasAuthDone == 0 && c.backlog() {
		dst = c.pump(dst, before)
	}
	return c.account(dst, before)
}

// account notes what was sent.
func (c *Client) account(dst []byte, before int) []byte {
	if n := len(dst) - before; n > 0 {
		if c.state != StateDisconnected { // a DISCONNECT leaves nothing behind
			c.conn.lastSent = c.now
		}
		c.stats.BytesOut += uint64(n)
	}
	return dst
}

// NextOp moves the next change to the session to *op, or returns false when
// there is none, or when Config.Journal is not set. The texts of *op hold until
// another method is called. While over 4,096 ops wait, calls fail with
// ErrPending.
func (c *Client) NextOp(op *Op) bool { return c.s.nextOp(op) }

// waiting reports whether events wait to be taken.
func (c *Client) waiting() bool {
	return c.has != 0 || c.s.out.lists[listDone].head != 0 || c.progress.untold() > 0
}

// Next moves the next event to *ev, or returns false when there is none. Every
// field of *ev is set.
func (c *Client) Next(ev *Event) bool {
	if !c.waiting() {
		return false
	}
	done := c.s.out.lists[listDone].head
	switch {
	case c.has&hasAuthDone != 0:
		c.has &^= hasAuthDone
		*ev = Event{Kind: EventAuthDone, Props: c.ev.Props}
	case c.has&hasConnected != 0:
		c.has &^= hasConnected
		*ev = Event{Kind: EventConnected, SessionPresent: c.ev.SessionPresent, Props: c.ev.Props}
	case c.progress.untold() > 0:
		c.progress.tell(ev, c.ev.Props)
	case c.has&hasPacket != 0:
		c.has &^= hasPacket
		c.packetEvent(ev)
	case c.has&hasEnd != 0:
		c.has &^= hasEnd
		*ev = Event{}
		ev.Kind, ev.Token = EventMessageEnd, c.ev.Token
	case done != 0:
		r := &c.s.out.slab[done]
		*ev = Event{}
		r.event(ev)
		c.s.free(done)
	case c.has&hasKeepAliveDue != 0:
		c.has &^= hasKeepAliveDue
		*ev = Event{Kind: EventKeepAliveDue}
	case c.has&hasAborted != 0:
		c.has &^= hasAborted
		*ev = Event{Kind: EventMessageAborted}
	case c.has&hasClosed != 0:
		c.has &^= hasClosed
		*ev = Event{Kind: EventClosed, Cause: c.closed.cause, Code: c.closed.code, Err: c.closed.err}
		if c.closed.byPacket {
			ev.Props = c.ev.Props
		}
	}
	return true
}

// packetEvent sets *ev to the event of a packet. Of c.ev only those fields are
// copied that the kind of event has: the others are of earlier ones.
func (c *Client) packetEvent(ev *Event) {
	at := &c.ev
	*ev = Event{}
	ev.Kind = at.Kind
	switch at.Kind {
	case EventMessage:
		ev.Message, ev.subs = at.Message, c.subs
		if ev.Partial, ev.Size = at.Partial, at.Size; !ev.Partial { // else it goes with the end
			ev.Token = at.Token
		}
	case EventChunk:
		ev.Message.Payload = at.Message.Payload
	case EventPong:
		ev.RTT = at.RTT
	case EventAuthChallenge, EventAuthDone:
		ev.Props = at.Props
	default:
		ev.Tag, ev.Why, ev.Code, ev.Filter = at.Tag, at.Why, at.Code, at.Filter
		ev.Props, ev.Codes = at.Props, at.Codes
	}
}
