// This file holds what a client is told before it connects, Config, what the
// server lets it do, Limits, and Stats. It decides nothing.

package mqttcore

import "time"

// Config is how a client connects and behaves. It is a value; the client keeps
// its slices, which must not be changed.
type Config struct {
	Version    Version // 0: 5.0
	Options    Options // deviations from the specification
	ClientID   []byte  // empty: in 5.0 the server assigns one, in 3.1.1 only with CleanStart
	CleanStart bool    // Clean Session in 3.x
	KeepAlive  uint16  // seconds; 0: off. In 5.0 the server's value wins.
	Username   []byte  // nil: absent
	Password   []byte  // nil: absent
	Will       *Will   // nil: absent. A server that cannot have its QoS or RETAIN refuses the connection (0x9B, 0x9A).
	// Props are the properties of CONNECT: Session Expiry Interval, Receive
	// Maximum, Maximum Packet Size, Topic Alias Maximum and so on are
	// announced by them, and obeyed.
	Props Properties

	// ConnectTimeout is how long CONNECT may stay unanswered; 0: 30 s, less
	// than 0: for ever.
	ConnectTimeout time.Duration
	// PingTimeout is how long the server may be silent after a PINGREQ; 0: 10 s,
	// less than 0: for ever.
	PingTimeout time.Duration
	// ManualPing: EventKeepAliveDue comes where a PINGREQ would be sent.
	ManualPing bool

	// MaxPacketSize is the size in bytes of the largest packet that is taken
	// from the server, besides what Props announces; 0: the protocol's.
	MaxPacketSize uint32
	// MaxInflight bounds the QoS 1 and 2 messages under way; 0: 65,535 in 5.0,
	// where the server's Receive Maximum lowers it, and 20 in 3.x, where servers
	// have limits too, and cannot tell them.
	MaxInflight uint16
	// MaxIncoming bounds the received QoS 2 identifiers that are kept, and the
	// messages that wait for Ack; 0: 65,535; less than 0: none. In 5.0 the
	// Receive Maximum in Props bounds them as well, and should not be above this:
	// a server that stays within the one and not the other is hung up on.
	MaxIncoming int
	// MaxQueued and MaxQueuedBytes bound the QoS 1 and 2 messages that wait
	// behind the window; 0: 1,000 messages, 1 MiB; less than 0: none.
	MaxQueued, MaxQueuedBytes int
	// DropOldest: where the queue is full, the oldest queued messages of lower
	// QoS than the new one, and then of the same, are dropped to make room
	// (DropOverflow), instead of refusing the new one with ErrQueueFull.
	DropOldest bool
	// DropQueued: messages that were never sent are dropped with the session,
	// too. They are kept otherwise, and so are those that were published while
	// there was none. That of a process that died counts until the next
	// connection.
	DropQueued bool
	// ManualAck: messages of QoS 1 and 2 are acknowledged by Ack, with the token
	// of their event. A QoS 2 message whose token is open is answered by Ack only,
	// also when a client without ManualAck goes on with its session; those of
	// QoS 2 that come after it wait for it.
	ManualAck bool
	// Journal: NextOp tells each change to the session.
	Journal bool
	// TopicAliases is how many topic aliases are assigned to outgoing messages,
	// least recently used first to go; the server's Topic Alias Maximum lowers
	// it. 0: none but those that the caller gives in the properties of messages.
	TopicAliases uint16
	// StreamAbove: a PUBLISH from the server larger than this number of bytes
	// comes as EventMessage, EventChunk and EventMessageEnd, and never has to be
	// in one piece; 0: none does. Its head, all but the payload, must not be
	// larger. RefuseInvalidPayload does not look at it.
	StreamAbove uint32
	// Resubscribe: when the session was lost, live subscriptions are asked for
	// again, with EventResubscribed; where the server's limits forbid one, that
	// tells so at once. A Subscribe or Unsubscribe for such a filter goes before.
	Resubscribe bool
	// Progress: EventProgress tells each step of QoS 1 and 2 messages.
	Progress bool
	// Burst is about how many bytes of publishes one call appends; 0: 64 KiB.
	Burst int
}

// Limits is what holds on a connection: the server's values, or the defaults
// of the specification. It is valid after a refusal, too.
type Limits struct {
	Present                  PropertyMask // which the server sent
	ReceiveMaximum           uint16       // QoS 1 and 2 messages under way; see Config.MaxInflight
	MaximumQoS               QoS
	RetainAvailable          bool
	WildcardAvailable        bool
	SubscriptionIDsAvailable bool
	SharedAvailable          bool
	MaximumPacketSize        uint32 // in bytes, 0: no limit
	TopicAliasMaximum        uint16
	KeepAlive                uint16 // seconds, 0: off
	SessionExpiry            uint32 // seconds
}

// Stats counts since the client was made.
type Stats struct {
	BytesIn, BytesOut       uint64
	PacketsIn               uint64
	Connects                uint64 // CONNECTs sent
	Repeats                 uint64 // QoS 2 messages that came again and were not delivered
	Resent                  uint64 // PUBLISH and PUBREL sent again after a reconnect
	UnknownAcks             uint64 // acknowledgements whose identifier was not in use
	PingsSent, PongsUnasked uint64
}

const (
	defaultConnectTimeout = 30 * time.Second
	defaultPingTimeout    = 10 * time.Second
	defaultMaxQueued      = 1000
	defaultMaxQueuedBytes = 1 << 20
	defaultBurst          = 64 << 10
	defaultInflight3      = 20
)

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// setDefaults puts the default in the place of each zero that means one.
func (cfg *Config) setDefaults() {
	setDefault(&cfg.Version, V5)
	setDefault(&cfg.ConnectTimeout, defaultConnectTimeout)
	setDefault(&cfg.PingTimeout, defaultPingTimeout)
	setDefault(&cfg.MaxQueued, defaultMaxQueued)
	setDefault(&cfg.MaxQueuedBytes, defaultMaxQueuedBytes)
	if cfg.Burst <= 0 {
		cfg.Burst = defaultBurst
	}
	if cfg.Version != V5 {
		setDefault(&cfg.MaxInflight, defaultInflight3)
	}
	setDefault(&cfg.MaxInflight, 0xFFFF)
	setDefault(&cfg.MaxIncoming, 0xFFFF)
	cfg.MaxIncoming = min(cfg.MaxIncoming, 0xFFFF)
	setDefault(&cfg.MaxPacketSize, MaxPacketSize)
	if n, ok := cfg.Props.MaximumPacketSize(); ok {
		cfg.MaxPacketSize = min(cfg.MaxPacketSize, n)
	}
}

// connect makes the CONNECT packet, for the session of the client identifier id
// if there is one.
func (cfg *Config) connect(id []byte) Connect {
	if len(id) == 0 {
		id = cfg.ClientID
	}
	p := Connect{
		ClientID: id, CleanStart: cfg.CleanStart, KeepAlive: cfg.KeepAlive,
		Username: cfg.Username, Password: cfg.Password, Props: cfg.Props,
	}
	if w := cfg.Will; w != nil {
		p.Will = *w
		if p.Will.Topic == nil {
			p.Will.Topic = []byte{} // which the encoder refuses, where nil is no will
		}
	}
	return p
}

// limits are the values in force when the server sends props.
func (c *Client) limits(props Properties) Limits {
	l := Limits{
		ReceiveMaximum: 0xFFFF, MaximumQoS: QoS2, RetainAvailable: true, WildcardAvailable: true,
		SubscriptionIDsAvailable: true, SharedAvailable: true, KeepAlive: c.cfg.KeepAlive,
	}
	if c.cfg.Version == V5 {
		l.SessionExpiry, _ = c.cfg.Props.SessionExpiry()
	} else if !c.cfg.CleanStart {
		l.SessionExpiry = 0xFFFFFFFF
	}
	for p := range props.All() {
		l.Present |= p.ID.Mask()
		switch p.ID {
		case PropReceiveMaximum:
			l.ReceiveMaximum = uint16(p.Num)
		case PropMaximumQoS:
			l.MaximumQoS = QoS(p.Num)
		case PropRetainAvailable:
			l.RetainAvailable = p.Num == 1
		case PropWildcardAvailable:
			l.WildcardAvailable = p.Num == 1
		case PropSubscriptionIDsAvailable:
			l.SubscriptionIDsAvailable = p.Num == 1
		case PropSharedAvailable:
			l.SharedAvailable = p.Num == 1
		case PropMaximumPacketSize:
			l.MaximumPacketSize = p.Num
		case PropTopicAliasMaximum:
			l.TopicAliasMaximum = uint16(p.Num)
		case PropServerKeepAlive:
			l.KeepAlive = uint16(p.Num)
		case PropSessionExpiry:
			l.SessionExpiry = p.Num
		}
	}
	return l
}
