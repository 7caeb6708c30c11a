// This file names the things of the protocol: versions, roles, packet types
// and one struct per packet type. It holds no wire format (encode.go,
// decode.go) and no rule (props.go, reason.go, topic.go).

package mqttcore

// Version is a protocol version, by the level byte that CONNECT carries.
type Version uint8

// The protocol versions.
const (
	V31  Version = 3 // MQTT 3.1, protocol name MQIsdp
	V311 Version = 4 // MQTT 3.1.1
	V5   Version = 5 // MQTT 5.0
)

// Role says who sends a packet. It is a property of the bytes, not of the
// reader: a client decodes what is FromServer and encodes what is FromClient.
type Role uint8

// The roles. FromEither skips the rules that depend on the direction; tools
// use it when they do not know who sent what they look at.
const (
	FromEither Role = 0
	FromClient Role = 1
	FromServer Role = 2
)

// Dialect says how bytes are to be read or written. It is a small value, meant
// to be passed along. A Version other than V31, V311 and V5 makes every call
// fail with [ErrVersion]; a From that is no Role has no meaning.
type Dialect struct {
	Version Version
	From    Role
	Options Options
}

// Options names the deviations from the specification, one bit each. Zero is
// the specification. Tolerances concern decoding (and the client's state
// rules) only: what is encoded is always strict. Refusals concern both ways.
type Options uint32

const (
	// AllowReservedFlags ignores the reserved flag bits in the fixed header of
	// CONNACK, PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK and PINGRESP, which
	// some servers fill with the QoS of the exchange (against MQTT-2.1.3-1).
	AllowReservedFlags Options = 1 << iota
	// AllowDupAtQoS0 ignores DUP on a QoS 0 PUBLISH (against MQTT-3.3.1-2).
	AllowDupAtQoS0
	// AllowLongLengths accepts a 5.0 remaining length that is not in its
	// shortest form (against MQTT-1.5.5-1), as 3.x does anyway.
	AllowLongLengths
	// AllowShortConnAck accepts a 5.0 CONNACK of two bytes, without property
	// length.
	AllowShortConnAck
	// AllowPresentWithError accepts a CONNACK that refuses and has session
	// present set (against MQTT-3.2.2-6); the bit reads as 0.
	AllowPresentWithError
	// AllowAnyReason accepts reason codes of the specification in packets
	// whose table does not list them, as a PUBREC with 0x93. Such a packet is
	// not one that can be encoded again.
	AllowAnyReason
	// AllowBridgeLevel accepts the bit 0x80 in the protocol level of CONNECT,
	// by which some bridges announce themselves. It is dropped.
	AllowBridgeLevel
	// AllowSessionPresent makes the client accept session present 1 when it
	// has no session state (against MQTT-3.2.2-4).
	AllowSessionPresent
	// AllowAboveReceiveMaximum makes the client take more unacknowledged messages
	// than the Receive Maximum that it announced (against MQTT-3.3.4-9);
	// Config.MaxIncoming bounds them.
	AllowAboveReceiveMaximum
	// RefuseControlChars refuses strings with control characters (U+0001 to
	// U+001F, U+007F to U+009F, and in 3.1 U+0000) or non-characters, which a
	// receiver may do (5.0 §1.5.4).
	RefuseControlChars
	// RefuseInvalidPayload refuses a PUBLISH or will whose payload format
	// indicator says UTF-8 and whose payload is not (0x99, 5.0 §3.3.2.3.2).
	RefuseInvalidPayload
)

// PacketType is the control packet type of the fixed header, 1 to 15.
type PacketType uint8

// The packet types.
const (
	TypeConnect     PacketType = 1
	TypeConnAck     PacketType = 2
	TypePublish     PacketType = 3
	TypePubAck      PacketType = 4
	TypePubRec      PacketType = 5
	TypePubRel      PacketType = 6
	TypePubComp     PacketType = 7
	TypeSubscribe   PacketType = 8
	TypeSubAck      PacketType = 9
	TypeUnsubscribe PacketType = 10
	TypeUnsubAck    PacketType = 11
	TypePingReq     PacketType = 12
	TypePingResp    PacketType = 13
	TypeDisconnect  PacketType = 14
	TypeAuth        PacketType = 15
)

// typeWill is the pseudo packet type under which the property table lists
// what a will may carry; 0 is reserved on the wire.
const typeWill PacketType = 0

// QoS is a quality of service, 0 to 2.
type QoS uint8

// The qualities of service.
const (
	QoS0 QoS = 0 // at most once
	QoS1 QoS = 1 // at least once
	QoS2 QoS = 2 // exactly once
)

// MaxPacketSize is the size in bytes of the largest packet that the protocol
// can express: a remaining length of 268,435,455 and its header.
const MaxPacketSize = maxRemaining + 5

const maxRemaining = 1<<28 - 1

// Packet is what the fifteen packet types have in common. The concrete types
// are *Connect, *ConnAck, *Publish, *Ack, *Subscribe, *SubAck, *Unsubscribe,
// *UnsubAck, *Ping, *Disconnect and *Auth.
type Packet interface {
	// PacketType is the type under which the packet is encoded.
	PacketType() PacketType
	// Decode reads the packet from f. Slices in it alias f.Body and hold as
	// long as that does. It allocates nothing when it succeeds. The error is an
	// *Error, or [ErrVersion], or [ErrPacketType] for a frame of another type;
	// after it the packet's contents are undefined.
	Decode(f Frame, d Dialect) error
	// AppendTo appends the encoded packet to dst. On error it returns dst as it
	// was: an *Error, or [ErrVersion], or [ErrPacketType] for an Ack or Ping
	// whose Type is not one of theirs.
	AppendTo(dst []byte, d Dialect) ([]byte, error)
	// Size is the number of bytes that AppendTo appends. Of a packet that
	// AppendTo refuses it means nothing.
	Size(d Dialect) int
	// AppendText appends one line of text for people; String returns it.
	AppendText(dst []byte) ([]byte, error)
	String() string
}

// Connect is the CONNECT packet. The version is that of the dialect.
type Connect struct {
	ClientID   []byte
	CleanStart bool   // Clean Session in 3.x
	KeepAlive  uint16 // seconds, 0: off
	Will       Will
	Username   []byte // nil: absent; empty: present and empty
	Password   []byte // binary; nil: absent. In 3.x it needs a Username.
	Props      Properties
}

// Will is the will message of a CONNECT. It is absent when Topic is nil.
type Will struct {
	Topic   []byte
	Payload []byte // may be empty
	QoS     QoS
	Retain  bool
	Props   Properties
}

// ConnAck is the CONNACK packet. The return codes 1 to 5 of 3.x appear as the
// reason codes of the same meaning: see [ReasonCode.ReturnCode].
type ConnAck struct {
	SessionPresent bool // never set in 3.1, which has no such bit
	Code           ReasonCode
	Props          Properties
}

// Publish is the PUBLISH packet.
type Publish struct {
	Topic   []byte // empty only with a topic alias
	Payload []byte
	ID      uint16 // 0 at QoS 0, never 0 above it
	QoS     QoS
	Dup     bool
	Retain  bool
	Props   Properties
}

// Ack is a PUBACK, PUBREC, PUBREL or PUBCOMP packet, as Type says.
type Ack struct {
	Type  PacketType
	Dup   bool       // PUBREL of 3.1 only
	Code  ReasonCode // success in 3.x
	ID    uint16     // never 0
	Props Properties
}

// Subscribe is the SUBSCRIBE packet.
type Subscribe struct {
	ID            uint16 // never 0
	Dup           bool   // 3.1 only
	Subscriptions Subscriptions
	Props         Properties
}

// SubAck is the SUBACK packet. Codes holds one reason code a subscription, in
// their order: 0, 1 or 2 is the QoS granted, 0x80 and above a refusal. 3.1 has no
// refusal of its own: 0x80 is taken and given there as in 3.1.1.
type SubAck struct {
	ID    uint16
	Codes []byte
	Props Properties
}

// Unsubscribe is the UNSUBSCRIBE packet.
type Unsubscribe struct {
	ID      uint16 // never 0
	Dup     bool   // 3.1 only
	Filters Filters
	Props   Properties
}

// UnsubAck is the UNSUBACK packet. Codes holds one reason code a filter, in
// their order; in 3.x there are none.
type UnsubAck struct {
	ID    uint16
	Codes []byte
	Props Properties
}

// Ping is a PINGREQ or PINGRESP packet, as Type says.
type Ping struct {
	Type PacketType
}

// Disconnect is the DISCONNECT packet.
type Disconnect struct {
	Code  ReasonCode // normal disconnection (0) in 3.x
	Props Properties
}

// Auth is the AUTH packet of 5.0.
type Auth struct {
	Code  ReasonCode
	Props Properties // the authentication method is mandatory
}

// PacketType returns TypeConnect.
func (*Connect) PacketType() PacketType { return TypeConnect }

// PacketType returns TypeConnAck.
func (*ConnAck) PacketType() PacketType { return TypeConnAck }

// PacketType returns TypePublish.
func (*Publish) PacketType() PacketType { return TypePublish }

// PacketType returns p.Type.
func (p *Ack) PacketType() PacketType { return p.Type }

// PacketType returns TypeSubscribe.
func (*Subscribe) PacketType() PacketType { return TypeSubscribe }

// PacketType returns TypeSubAck.
func (*SubAck) PacketType() PacketType { return TypeSubAck }

// PacketType returns TypeUnsubscribe.
func (*Unsubscribe) PacketType() PacketType { return TypeUnsubscribe }

// PacketType returns TypeUnsubAck.
func (*UnsubAck) PacketType() PacketType { return TypeUnsubAck }

// PacketType returns p.Type.
func (p *Ping) PacketType() PacketType { return p.Type }

// PacketType returns TypeDisconnect.
func (*Disconnect) PacketType() PacketType { return TypeDisconnect }

// PacketType returns TypeAuth.
func (*Auth) PacketType() PacketType { return TypeAuth }
