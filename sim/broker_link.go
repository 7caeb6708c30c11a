// This file holds the broker's end of a connection: taking packets off the
// stream, which of them may come when, what is written back, and how it ends.
// What CONNECT and AUTH mean stands in broker_connect.go, what outlives the
// connection in broker_session.go.

package sim

import (
	"errors"
	"slices"
	"time"

	"mqttcore"
)

type linkState uint8

const (
	linkOpened         linkState = iota // CONNECT is to come
	linkAuthenticating                  // CONNECT came, and AUTH is to come
	linkConnected
	linkDone // DISCONNECT came: nothing may follow but the end
	linkOver // it has ended, or will when what is written has been sent
)

const (
	connectPatience = 30 * time.Second // for CONNECT, and for each answer of an authentication
	closePatience   = 5 * time.Second  // for a client that said DISCONNECT to close
	illegalPatience = 10 * time.Second // for a client that was sent something illegal to close
)

// link is the broker's end of a connection.
type link struct {
	b     *Broker
	conn  *Conn
	state linkState
	s     *session // nil until CONNECT is accepted
	d     mqttcore.Dialect
	in    []byte // the beginning of a packet
	out   []byte
	dirty bool
	// mute: something illegal was sent, and nothing can follow it.
	mute bool

	alarm time.Duration
	until time.Duration // when patience ends
	heard time.Duration // when something last came

	connect *mqttcore.Connect // while authenticating
	auth    *AuthScript       // nil: no method
	round   int               // of the authentication; -1: none is under way

	// What the broker announced, and the client obeys.
	receiveMaximum  uint16
	maxPacket       uint32
	aliasMaximum    uint16
	maximumQoS      mqttcore.QoS
	noRetain        bool
	noWildcards     bool
	noShared        bool
	noIdentifiers   bool
	keepAlive       time.Duration // silence that ends the connection; 0: none does
	connectedExpiry uint32        // what CONNECT asked for

	// What the client announced, and the broker obeys.
	quota       int
	largest     uint32 // 0: no limit
	problemInfo bool
	aliasesOut  [][]byte // by number-1: the topics that the client knows
	nextAlias   int

	aliasesIn [][]byte // by number-1: the topics that the broker knows
	unacked   int      // messages of the client's that count against receiveMaximum
	resentTo  uint32   // how far into the old messages the client's resends have come
	relTo     uint32   // the same of its PUBRELs
	acks      []heldAck
	// What the client has still to answer, in order.
	toAck, toRec, toRel []uint16
	// Answers that the client owes to what only malice sends.
	provoked []provocation
}

// heldAck is an acknowledgement that AckDelay holds back.
type heldAck struct {
	at   time.Duration
	t    mqttcore.PacketType
	id   uint16
	code mqttcore.ReasonCode
}

// provocation is an answer that a client may give to an oddity.
type provocation struct {
	t  mqttcore.PacketType
	id uint16
}

func (b *Broker) open(c *Conn) {
	l := &link{b: b, conn: c, alarm: never, until: b.now + connectPatience, heard: b.now, round: -1, problemInfo: true}
	c.User = l
	b.links = append(b.links, l)
	b.arm(l)
}

// receive takes what arrived, packet by packet.
func (l *link) receive(data []byte) {
	l.heard = l.b.now
	in := data
	if len(l.in) > 0 {
		l.in = append(l.in, data...)
		in = l.in
	}
	for len(in) > 0 && l.state < linkDone {
		n := l.take(in)
		if n == 0 {
			break
		}
		in = in[n:]
	}
	if l.state == linkDone && len(in) > 0 {
		l.violate(l.rule("MQTT-3.14.4-1"), "bytes after DISCONNECT")
		l.over()
	}
	if l.state >= linkDone {
		in = nil
	}
	l.in = append(l.in[:0], in...)
}

// take handles the packet at the start of in and returns its size, 0 when it is
// not whole, or when the connection has ended.
func (l *link) take(in []byte) int {
	if l.state == linkOpened {
		return l.takeConnect(in)
	}
	f, n, err := mqttcore.ConsumeFrame(in, l.d, l.maxPacket)
	if err != nil {
		l.malformed(err)
		return 0
	}
	if n == 0 {
		return 0
	}
	l.b.Stats.Packets++
	if l.state == linkAuthenticating && f.Type != mqttcore.TypeAuth && f.Type != mqttcore.TypeDisconnect {
		l.fault(mqttcore.ReasonProtocolError, "5.0:MQTT-3.1.2-30", f.Type.String()+" during authentication")
		return 0
	}
	l.packet(f)
	if h := &l.b.Config.Hostile; (h.Odd > 0 || h.Illegal > 0) && l.state == linkConnected && !l.mute {
		l.mischief()
	}
	return n
}

func (l *link) packet(f mqttcore.Frame) {
	switch f.Type {
	case mqttcore.TypePublish:
		l.publish(f)
	case mqttcore.TypePubAck, mqttcore.TypePubRec, mqttcore.TypePubRel, mqttcore.TypePubComp:
		p := &l.b.ack
		if l.decoded(p, f) {
			l.acknowledged(p)
		}
	case mqttcore.TypeSubscribe:
		p := new(mqttcore.Subscribe)
		if l.decoded(p, f) {
			l.subscribe(p)
		}
	case mqttcore.TypeUnsubscribe:
		p := new(mqttcore.Unsubscribe)
		if l.decoded(p, f) {
			l.unsubscribe(p)
		}
	case mqttcore.TypePingReq:
		if l.decoded(&mqttcore.Ping{}, f) {
			l.send(&mqttcore.Ping{Type: mqttcore.TypePingResp})
		}
	case mqttcore.TypeDisconnect:
		p := new(mqttcore.Disconnect)
		if l.decoded(p, f) {
			l.disconnected(p)
		}
	case mqttcore.TypeAuth:
		p := new(mqttcore.Auth)
		if l.decoded(p, f) {
			l.authenticate(p)
		}
	case mqttcore.TypeConnect:
		l.fault(mqttcore.ReasonProtocolError, l.rule("MQTT-3.1.0-2"), "second CONNECT")
	}
}

// decoded decodes p from f, and answers what is wrong with it.
func (l *link) decoded(p mqttcore.Packet, f mqttcore.Frame) bool {
	err := p.Decode(f, l.d)
	if err != nil {
		l.malformed(err)
	}
	return err == nil
}

// rule names a statement of 5.0 as the version that is spoken does.
func (l *link) rule(statement string) string {
	if l.d.Version != mqttcore.V5 {
		for _, row := range statements {
			switch {
			case row.v5 != statement:
			case l.d.Version == mqttcore.V31:
				return "3.1:" + row.v31
			default:
				return "3.1.1:" + row.v311
			}
		}
	}
	return "5.0:" + statement
}

// statements are those that are checked in every version, and their names.
var statements = [...]struct{ v5, v311, v31 string }{
	{"MQTT-2.2.1-3", "MQTT-2.3.1-2", "§2.4"},
	{"MQTT-2.2.1-5", "MQTT-2.3.1-6", "§2.4"},
	{"MQTT-3.1.0-1", "MQTT-3.1.0-1", "§3.1"},
	{"MQTT-3.1.0-2", "MQTT-3.1.0-2", "§3.1"},
	{"MQTT-3.3.1-1", "MQTT-3.3.1-1", "§2.1"},
	{"MQTT-3.14.4-1", "MQTT-3.14.4-2", "§3.14"},
	{"MQTT-4.3.2-3", "MQTT-4.3.2-1", "§4.1"},
	{"MQTT-4.3.3-3", "MQTT-4.3.3-1", "§4.1"},
	{"MQTT-4.3.3-4", "MQTT-4.3.3-1", "§4.1"},
	{"MQTT-4.3.3-6", "MQTT-4.3.3-1", "§4.1"},
	{"MQTT-4.6.0-1", "MQTT-4.6.0-1", "§4.2"},
	{"MQTT-4.6.0-2", "MQTT-4.6.0-2", "§4.2"},
	{"MQTT-4.6.0-3", "MQTT-4.6.0-3", "§4.2"},
	{"MQTT-4.6.0-4", "MQTT-4.6.0-4", "§4.2"},
}

// violate notes what the client should not have sent.
func (l *link) violate(rule, text string) { l.b.violation(l.name(), rule, text) }

func (l *link) name() string {
	switch {
	case l.s != nil:
		return l.s.id
	case l.connect != nil:
		return string(l.connect.ClientID)
	}
	return ""
}

// malformed answers a packet that does not decode.
func (l *link) malformed(err error) {
	var e *mqttcore.Error
	if !errors.As(err, &e) {
		panic("sim: the broker misuses the codec: " + err.Error())
	}
	if e.Code == mqttcore.ReasonPacketTooLarge && l.d.Version != mqttcore.V5 {
		l.disconnect(e.Code, "") // 3.x has no way to announce it
		return
	}
	l.fault(e.Code, e.Rule.String(), e.Type.String()+": "+e.Rule.Text())
}

// fault notes a violation and ends the connection for it.
func (l *link) fault(code mqttcore.ReasonCode, rule, text string) {
	l.violate(rule, text)
	l.disconnect(code, "")
}

// disconnect ends the connection from this side. Before a successful CONNACK
// there is no DISCONNECT, but a CONNACK that refuses (MQTT-3.14.0-1).
func (l *link) disconnect(code mqttcore.ReasonCode, reference string) {
	switch {
	case l.state == linkOpened || l.state == linkAuthenticating:
		l.refuse(code, reference)
		return
	case l.state == linkConnected && l.d.Version == mqttcore.V5:
		p := &mqttcore.Disconnect{Code: code, Props: l.remarks(true)}
		if !code.AllowedIn(mqttcore.TypeDisconnect, mqttcore.FromServer) {
			p.Code = mqttcore.ReasonProtocolError
		}
		if reference != "" {
			l.add(&p.Props, mqttcore.ServerReference(reference))
		}
		l.send(p)
	}
	l.over()
}

// add adds a property that cannot be wrong.
func (l *link) add(p *mqttcore.Properties, x mqttcore.Property) {
	if err := p.Add(x); err != nil {
		panic("sim: " + err.Error())
	}
}

// disconnected handles DISCONNECT.
func (l *link) disconnected(p *mqttcore.Disconnect) {
	if l.s != nil {
		if expiry, ok := p.Props.SessionExpiry(); ok {
			if expiry != 0 && l.connectedExpiry == 0 {
				l.fault(mqttcore.ReasonProtocolError, "5.0:§3.14.2.2.2", "session expiry raised from 0 by DISCONNECT")
				return
			}
			l.s.expiry = l.b.capped(expiry)
		}
		if p.Code == mqttcore.ReasonNormalDisconnection {
			l.s.will = nil // MQTT-3.14.4-3
		}
	}
	l.detach()
	l.state, l.until = linkDone, l.b.now+closePatience
	l.b.arm(l)
}

// over ends the connection: what is written is still sent.
func (l *link) over() {
	if l.state == linkOver {
		return
	}
	l.detach()
	l.state = linkOver
	l.mark()
	if i := slices.Index(l.b.links, l); i >= 0 {
		l.b.links = slices.Delete(l.b.links, i, i+1)
	}
}

// detach leaves the session alone.
func (l *link) detach() {
	if s := l.s; s != nil && s.link == l {
		s.link = nil
		l.state = linkDone
		s.left()
	}
}

// due implements sleeper.
func (l *link) due() time.Duration {
	at := never
	switch l.state {
	case linkOver:
		return never
	case linkConnected:
		if l.keepAlive > 0 {
			at = l.heard + l.keepAlive
		}
		if len(l.acks) > 0 {
			at = min(at, l.acks[0].at)
		}
		if l.mute || l.round >= 0 {
			at = min(at, l.until)
		}
		return at
	}
	return l.until
}

func (l *link) alarmed() *time.Duration { return &l.alarm }

// ring implements sleeper.
func (l *link) ring() {
	for len(l.acks) > 0 && l.acks[0].at <= l.b.now && l.state == linkConnected {
		a := l.acks[0]
		l.acks = l.acks[:copy(l.acks, l.acks[1:])]
		l.answer(a.t, a.id, a.code)
	}
	switch {
	case l.due() > l.b.now:
	case l.state != linkConnected || l.mute:
		l.over()
	case l.round >= 0 && l.until <= l.b.now:
		l.disconnect(mqttcore.ReasonNotAuthorized, "")
	default: // MQTT-3.1.2-22
		l.b.Stats.KeepAliveTimeouts++
		l.disconnect(mqttcore.ReasonKeepAliveTimeout, "")
	}
}

// mark sees to it that the link is flushed.
func (l *link) mark() {
	if !l.dirty {
		l.dirty = true
		l.b.dirty = append(l.b.dirty, l)
	}
}

// fromServer is the dialect in which the link writes.
func (l *link) fromServer() mqttcore.Dialect {
	return mqttcore.Dialect{Version: l.d.Version, From: mqttcore.FromServer}
}

// send writes a packet, and reports whether it could be: not when it is larger
// than the client takes (MQTT-3.1.2-24), or cannot be said in its version.
// Reason strings and user properties go first, except in PUBLISH (MQTT-3.4.2-2,
// MQTT-3.4.2-3).
func (l *link) send(p mqttcore.Packet) bool {
	if l.mute || l.state == linkOver {
		return true // as lost as it would be on the way
	}
	start := len(l.out)
	out, err := p.AppendTo(l.out, l.fromServer())
	if err == nil && l.largest != 0 && len(out)-start > int(l.largest) {
		l.trim(p)
		if out, err = p.AppendTo(l.out, l.fromServer()); len(out)-start > int(l.largest) {
			return false
		}
	}
	if err != nil {
		return false
	}
	l.out = out
	l.b.Stats.PacketsOut++
	l.mark()
	return true
}

// trim takes off p what may be left out.
func (l *link) trim(p mqttcore.Packet) {
	var props *mqttcore.Properties
	switch p := p.(type) {
	case *mqttcore.ConnAck:
		props = &p.Props
	case *mqttcore.Ack:
		props = &p.Props
	case *mqttcore.SubAck:
		props = &p.Props
	case *mqttcore.UnsubAck:
		props = &p.Props
	case *mqttcore.Disconnect:
		props = &p.Props
	case *mqttcore.Auth:
		props = &p.Props
	default:
		return
	}
	left, err := mqttcore.ParseProperties(props.AppendWithout(nil,
		mqttcore.PropReasonString.Mask()|mqttcore.PropUserProperty.Mask()))
	if err != nil {
		panic("sim: " + err.Error())
	}
	*props = left
}

// holdsBack reports whether acknowledgements wait before they are sent.
func (l *link) holdsBack() bool { return l.b.Config.AckDelay > 0 || len(l.acks) > 0 }

// acknowledge answers a message, now or after AckDelay.
func (l *link) acknowledge(t mqttcore.PacketType, id uint16, code mqttcore.ReasonCode) {
	if l.holdsBack() {
		l.acks = append(l.acks, heldAck{l.b.now + l.b.Config.AckDelay, t, id, code})
		l.b.arm(l)
		return
	}
	l.answer(t, id, code)
}
