// This file holds the model server as its users see it: Broker, its
// configuration, what it tells, and the order in which it does things. What a
// client's packets lead to stands in the other broker files: broker_link.go
// (connections), broker_connect.go (CONNECT, authentication),
// broker_session.go (deliveries), broker_route.go (topics),
// broker_hostile.go (what it does out of malice). Nothing of the broker may use
// the core's client.

package sim

import (
	"fmt"
	"slices"
	"time"

	"mqttcore"
)

// BrokerConfig says what a [Broker] takes, announces and refuses. The zero value
// takes everything and limits nothing. Fields that concern 5.0 only mean
// nothing on other connections.
type BrokerConfig struct {
	// ReceiveMaximum is how many QoS 1 and 2 messages a client may have
	// unfinished; 0: 65,535, and it is not announced. It is not enforced in 3.x,
	// which has no way to announce it.
	ReceiveMaximum uint16
	// MaximumPacketSize is that of the packets that the broker takes, in bytes;
	// 0: the protocol's.
	MaximumPacketSize uint32
	// TopicAliasMaximum is how many topic aliases a client may use.
	TopicAliasMaximum uint16
	// Aliases is how many topic aliases the broker uses towards a client, whose
	// own Topic Alias Maximum lowers it.
	Aliases uint16
	// NoQoS1 and NoQoS2 lower the Maximum QoS to 0 and to 1.
	NoQoS1, NoQoS2 bool
	// NoRetain, NoWildcards, NoShared and NoSubscriptionIDs make the broker one
	// that does not have the feature, and says so.
	NoRetain, NoWildcards, NoShared, NoSubscriptionIDs bool
	// MaxKeepAlive is the Server Keep Alive, in seconds, of clients that ask for
	// more, or for none; 0: the client's own value holds. NoKeepAlive turns keep
	// alive off with a Server Keep Alive of 0.
	MaxKeepAlive uint16
	NoKeepAlive  bool
	// MaxSessionExpiry bounds the Session Expiry Interval, in seconds; 0: it is
	// the client's.
	MaxSessionExpiry uint32
	// ResponseInfo is told to clients that ask for response information.
	ResponseInfo string
	// Copies makes overlapping subscriptions bring a copy each. Otherwise they
	// bring one, with all their identifiers.
	Copies bool
	// NoMatching makes acknowledgements tell that a message had no subscriber
	// (0x10).
	NoMatching bool
	// AckDelay is how long PUBACK, PUBREC and PUBCOMP are held back.
	AckDelay time.Duration

	// MinVersion is the lowest version that is taken; 0: 3.1.
	MinVersion mqttcore.Version
	// RefuseEmptyID makes the broker assign no client identifiers.
	RefuseEmptyID bool
	// Users are the passwords of the user names that are let in; nil: anyone is.
	Users map[string]string
	// Auth is the one enhanced authentication that is known; nil: none.
	Auth *AuthScript
	// Redirect, when it is 0x9C or 0x9D, sends every client to Reference.
	Redirect  mqttcore.ReasonCode
	Reference string
	// RefuseConnect, RefusePublish and RefuseSubscribe, when set, are asked for
	// the reason code of what is about to be accepted; 0x80 and above refuses.
	// A message that is refused in 3.x is acknowledged and forgotten.
	RefuseConnect   func(c *mqttcore.Connect) mqttcore.ReasonCode
	RefusePublish   func(client string, p *mqttcore.Publish) mqttcore.ReasonCode
	RefuseSubscribe func(client string, filter []byte) mqttcore.ReasonCode

	// Unique promises that no two messages of a client have the same topic and
	// payload, so that one that comes again can be told from a new one with the
	// same packet identifier: more violations are found.
	Unique bool
	// LowIDs makes the broker use the lowest packet identifier that is free, not
	// the next one.
	LowIDs bool
	// LoseSessions makes a crash end all sessions and forget retained messages.
	LoseSessions bool
	// Hostile makes the broker do what it need not, and must not. The zero value
	// does neither.
	Hostile Hostility
}

// AuthScript is an enhanced authentication: the broker sends the challenges, one
// a round, and compares the answers.
type AuthScript struct {
	Method string
	Rounds []AuthRound
	Final  []byte // the authentication data of success; nil: none
}

// AuthRound is one challenge, and the answer to it.
type AuthRound struct{ Challenge, Answer []byte }

// Violation is something that a client sent and that the specification forbids.
type Violation struct {
	At     time.Time
	Client string // its identifier; empty before CONNECT was understood
	Rule   string // as 5.0:MQTT-3.3.4-9
	Text   string // what was wrong
}

// String says it in one line.
func (v Violation) String() string {
	return fmt.Sprintf("%s: client %q: %s: %s", v.At.Format("15:04:05.000000"), v.Client, v.Rule, v.Text)
}

// maxViolations is how many violations are kept.
const maxViolations = 100

// BrokerStats counts what a broker did.
type BrokerStats struct {
	Packets, PacketsOut uint64 // received; sent
	Connects, Refusals  uint64 // CONNECTs accepted; refused
	Resumes             uint64 // CONNECTs that found a session
	TakeOvers           uint64
	Accepted            uint64 // messages taken from clients, each once
	Repeats             uint64 // QoS 2 messages that came again
	Delivered           uint64 // messages taken on to deliver
	Resent              uint64 // PUBLISH and PUBREL sent again on a new connection
	Discarded           uint64 // messages that expired, or were too large
	KeepAliveTimeouts   uint64
	Wills               uint64
	SessionsEnded       uint64
	Violations          uint64
	Oddities, Illegal   uint64 // what a hostile broker did
}

// Broker is a naive model of an MQTT server of the versions 3.1, 3.1.1 and 5.0.
// It is a [Node], and serves all that dial its host. It is strict about what
// clients send, and keeps what they should not have sent in Violations. Make
// one with [NewBroker].
type Broker struct {
	// Config may be changed at any time; what is told to a client when it
	// connects holds for that connection.
	Config BrokerConfig
	// Violations are the first hundred.
	Violations []Violation
	// Stats are the counters so far.
	Stats BrokerStats

	// OnPublish, when set, is told each message that is accepted from a client,
	// wills included; a QoS 2 message is told once.
	OnPublish func(client string, p *mqttcore.Publish)
	// OnDeliver, when set, is told each message that the broker takes on to
	// deliver, with the QoS, RETAIN and topic that it will have. At QoS 1 and 2
	// it is owed from then on; at QoS 0 it has been sent.
	OnDeliver func(client string, p *mqttcore.Publish)
	// OnDiscard, when set, is told each QoS 1 or 2 message that was owed and will
	// not be delivered: it has expired, or is larger than the client takes.
	OnDiscard func(client string, p *mqttcore.Publish)
	// OnEnd, when set, is told when a session ends; what was owed to it is owed no
	// more.
	OnEnd func(client string)
	// OnViolation, when set, is told each violation.
	OnViolation func(v Violation)
	// OnOddity, when set, is told the name of each thing that a hostile broker
	// does.
	OnOddity func(name string)
	// OnIllegal, when set, is told over which connection something illegal goes to
	// a client, and the reason code for which the client is to close it.
	// ReasonProtocolError is as good: a packet may break several rules.
	OnIllegal func(client string, c *Conn, code mqttcore.ReasonCode)
	// OnCopy, when set, is told each PUBLISH of QoS 1 or 2 that comes from a
	// client, as it came, whether it is new or not.
	OnCopy func(client string, c *Conn, p *mqttcore.Publish)

	host     *Host
	now      time.Duration // since epoch, by the host's clock
	links    []*link
	dirty    []*link // have output to be written
	alarms   alarms
	assigned int // client identifiers that were made up

	sessions []*session // in the order in which they began
	byID     map[string]*session
	shares   []*share
	retained []*message        // by topic
	routes   map[string]*route // what is known of topics; emptied when subscriptions change

	// Used again and again.
	pub, out mqttcore.Publish
	hooked   mqttcore.Publish // what OnDeliver is told
	ack      mqttcore.Ack
	in       message
	props    mqttcore.Properties
	wire     []byte
	numbers  []uint32
	free     []*exchange
}

// NewBroker makes a broker without clients, sessions or messages.
func NewBroker(cfg BrokerConfig) *Broker {
	return &Broker{Config: cfg, byID: map[string]*session{}, routes: map[string]*route{}}
}

// Handle implements [Node].
func (b *Broker) Handle(h *Host, e Event) time.Time {
	b.host, b.now = h, h.since()
	switch e.Kind {
	case Opened:
		b.open(e.Conn)
	case Received:
		if l, ok := e.Conn.User.(*link); ok {
			l.receive(e.Data)
		}
	case Lost:
		if l, ok := e.Conn.User.(*link); ok {
			l.over()
		}
	case Crashed:
		b.restart()
	}
	b.ring()
	b.flush()
	if len(b.alarms) == 0 {
		return time.Time{}
	}
	return epoch.Add(b.alarms[0].at)
}

// act does something that no client asked for, and lets the host see to what
// follows from it.
func (b *Broker) act(f func()) {
	if b.host == nil {
		return
	}
	b.now = b.host.since()
	f()
	b.host.handle(Event{Kind: Tick})
}

// Disconnect ends a client's connection, if it has one: in 5.0 with a DISCONNECT
// of the given code, and with a Server Reference if one is given. Its will is
// published.
func (b *Broker) Disconnect(client string, code mqttcore.ReasonCode, reference string) {
	b.act(func() {
		if s := b.byID[client]; s != nil && s.link != nil {
			s.link.disconnect(code, reference)
		}
	})
}

// Forget ends a session, if there is one, and its connection.
func (b *Broker) Forget(client string) {
	b.act(func() {
		if s := b.byID[client]; s != nil {
			if s.link != nil {
				s.link.disconnect(mqttcore.ReasonAdministrativeAction, "")
			}
			if b.byID[client] == s {
				b.end(s)
			}
		}
	})
}

// Publish delivers a message of the broker's own. Its ID, Dup and Topic Alias
// mean nothing.
func (b *Broker) Publish(p *mqttcore.Publish) {
	b.act(func() { b.accept(nil, p) })
}

// SessionInfo is what a session looks like from outside.
type SessionInfo struct {
	ClientID      string
	Connected     bool
	Subscriptions int
	Queued        int // messages to the client that were never sent
	Sent          int // messages to the client that are not acknowledged
	Released      int // messages to the client whose PUBREL is not answered
	Incoming      int // QoS 2 messages of the client's that it has not released
	Held          int // packet identifiers that cannot be used while the session lives
}

// Settled reports whether no exchange is unfinished.
func (s SessionInfo) Settled() bool { return s.Queued+s.Sent+s.Released+s.Incoming == 0 }

// Sessions are the sessions that live, in the order in which they began.
func (b *Broker) Sessions() []SessionInfo {
	infos := make([]SessionInfo, 0, len(b.sessions))
	for _, s := range b.sessions {
		info := SessionInfo{ClientID: s.id, Connected: s.link != nil, Subscriptions: len(s.subs),
			Queued: s.queue.n, Incoming: s.open, Held: s.held}
		for x := s.sent.first; x != nil; x = x.next {
			if x.released {
				info.Released++
			} else {
				info.Sent++
			}
		}
		infos = append(infos, info)
	}
	return infos
}

// Retained is the number of retained messages.
func (b *Broker) Retained() int { return len(b.retained) }

// restart is what is left after a crash.
func (b *Broker) restart() {
	links := b.links
	b.links, b.dirty = nil, nil
	for _, l := range links {
		if b.Config.LoseSessions {
			l.state = linkOver
			if l.s != nil {
				l.s.link, l.s.will = nil, nil
			}
			continue
		}
		b.links = append(b.links, l)
	}
	for len(b.links) > 0 {
		b.links[0].over()
	}
	if b.Config.LoseSessions {
		for len(b.sessions) > 0 {
			b.end(b.sessions[0])
		}
		b.retained = nil
	}
}

// flush writes what the links have to say, and closes those that are to be.
func (b *Broker) flush() {
	for _, l := range b.dirty {
		l.dirty = false
		if len(l.out) > 0 {
			l.conn.Write(l.out)
			l.out = l.out[:0]
		}
		if l.state == linkOver {
			l.conn.Close()
		}
	}
	b.dirty = b.dirty[:0]
}

func (b *Broker) violation(client, rule, text string) {
	b.Stats.Violations++
	v := Violation{At: b.host.Now(), Client: client, Rule: rule, Text: text}
	if len(b.Violations) < maxViolations {
		b.Violations = append(b.Violations, v)
	}
	if b.OnViolation != nil {
		b.OnViolation(v)
	}
}

// session finds the session of a client, or makes one.
func (b *Broker) session(id string) *session {
	s := b.byID[id]
	if s == nil {
		s = &session{b: b, id: id, alarm: never, expires: never}
		b.byID[id] = s
		b.sessions = append(b.sessions, s)
	}
	return s
}

// end forgets a session: MQTT-3.1.2-4, MQTT-3.1.2-23. A will that waited is
// published now, and messages of shared subscriptions go to other members.
func (b *Broker) end(s *session) {
	b.Stats.SessionsEnded++
	s.ended = true
	delete(b.byID, s.id)
	b.sessions = slices.DeleteFunc(b.sessions, func(x *session) bool { return x == s })
	for len(s.subs) > 0 {
		s.unsubscribe(s.subs[0])
	}
	if b.OnEnd != nil {
		b.OnEnd(s.id)
	}
	s.publishWill()
	b.inherit(s)
}

// sleeper is something that waits for its time.
type sleeper interface {
	due() time.Duration      // when, or never
	ring()                   // the time has come
	alarmed() *time.Duration // the earliest alarm that is set for it
}

type alarm struct {
	at time.Duration
	sleeper
}

// alarms is a heap of alarms. Those that were set too early, because what they
// were for has been put off since, are set again when they ring; those whose
// sleeper has an earlier one are void.
type alarms []alarm

// arm sees to it that s rings when it is due. It must be called when it may be
// due earlier than before.
func (b *Broker) arm(s sleeper) {
	at := s.due()
	if at >= *s.alarmed() {
		return
	}
	*s.alarmed() = at
	b.alarms = append(b.alarms, alarm{})
	h, i := b.alarms, len(b.alarms)-1
	for i > 0 && at < h[(i-1)/2].at {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = alarm{at, s}
}

// ring wakes all whose time has come.
func (b *Broker) ring() {
	for len(b.alarms) > 0 && b.alarms[0].at <= b.now {
		a := b.alarms[0]
		b.drop()
		if a.at != *a.alarmed() {
			continue
		}
		*a.alarmed() = never
		if a.due() <= b.now {
			a.sleeper.ring()
		}
		b.arm(a.sleeper)
	}
}

// drop removes the first alarm.
func (b *Broker) drop() {
	h := b.alarms
	last := h[len(h)-1]
	h[len(h)-1] = alarm{}
	h = h[:len(h)-1]
	b.alarms = h
	i := 0
	for len(h) > 0 {
		down := 2*i + 1
		if down+1 < len(h) && h[down+1].at < h[down].at {
			down++
		}
		if down >= len(h) || last.at <= h[down].at {
			h[i] = last
			break
		}
		h[i] = h[down]
		i = down
	}
}
