// This file holds what can go wrong: Error for bytes that break the protocol,
// the table of the statements they break, and Misuse for calls that the caller
// should not have made.

package mqttcore

import "strconv"

// Error reports a packet that breaks the protocol: one received from the peer,
// or one that the caller asked to encode.
//
// Where a packet breaks several rules, any one of them is reported.
type Error struct {
	// Code is the reason code to answer with. In 3.x that is only possible in a
	// CONNACK, where [ReasonCode.ReturnCode] knows it; otherwise it is to log.
	Code ReasonCode
	Type PacketType // the packet, as far as its first byte tells
	Rule Rule       // the statement that was broken; 0 in an error of the caller's own
	// Off is where it was broken, in bytes from the first byte of the packet;
	// in its body, as if the remaining length before it had its shortest form.
	// It is 0 when encoding, for the first byte, and for what concerns the packet
	// as a whole, as where it comes at a wrong time.
	Off int
}

// Error says what was broken, where, and by which statement.
func (e *Error) Error() string {
	b := append([]byte(nil), "mqttcore: "...)
	b = append(b, e.Type.String()...)
	b = append(b, ": "...)
	if e.Rule != 0 {
		b = append(b, e.Rule.Text()...)
		b = append(b, " ("...)
		b = append(b, e.Rule.String()...)
		b = append(b, ", "...)
	}
	b = append(b, e.Code.String()...)
	if e.Off > 0 {
		b = append(b, ", byte "...)
		b = strconv.AppendInt(b, int64(e.Off), 10)
	}
	if e.Rule != 0 {
		b = append(b, ')')
	}
	return string(b)
}

// Is reports whether target is an *Error with the same Code, so that
// errors.Is(err, &Error{Code: ReasonPacketTooLarge}) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Misuse is the error of a call that cannot be done: nothing changed, and no
// byte was appended. Its values are the Err constants.
type Misuse string

// Error returns the text.
func (m Misuse) Error() string { return string(m) }

// The misuse errors: of the codec, of the client, of journals and snapshots, and
// of the helpers.
const (
	ErrVersion    Misuse = "mqttcore: unknown protocol version"
	ErrPacketType Misuse = "mqttcore: the frame or struct is of another packet type"
	ErrProperty   Misuse = "mqttcore: not a value that the property can have"

	ErrPending      Misuse = "mqttcore: events or ops wait; call Next, and NextOp, until they return false"
	ErrClosed       Misuse = "mqttcore: there is no connection to receive from"
	ErrConnected    Misuse = "mqttcore: there is a connection already"
	ErrNotConnected Misuse = "mqttcore: not connected"
	ErrQueueFull    Misuse = "mqttcore: the queue is full"
	ErrNoIdentifier Misuse = "mqttcore: all packet identifiers are taken"
	ErrSession      Misuse = "mqttcore: the session is of another client identifier"
	ErrNotSupported Misuse = "mqttcore: the server does not take this (see Limits)"
	ErrTooLarge     Misuse = "mqttcore: the packet is larger than the server takes"
	ErrTopicAlias   Misuse = "mqttcore: the topic alias is not one that may be used"
	ErrToken        Misuse = "mqttcore: the acknowledgement token is stale"
	ErrAuth         Misuse = "mqttcore: no authentication that could go on"
	ErrExpiry       Misuse = "mqttcore: a session expiry of 0 cannot be raised by DISCONNECT"

	ErrCorrupt Misuse = "mqttcore: the journal or snapshot is damaged, or does not fit the session"
	ErrInUse   Misuse = "mqttcore: the session has been used by a client"

	ErrTooManyRequests Misuse = "mqttcore: too many requests wait for their answer"
	ErrNoResponseTopic Misuse = "mqttcore: the message has no response topic"
	ErrClientID        Misuse = "mqttcore: the client identifier would not be 1 to 23 characters of 0-9, A-Z and a-z"
)

// fail makes the Error of a broken rule.
//
//go:noinline
func fail(t PacketType, d Dialect, r rule, off int) error {
	id := Rule(d.Version)<<8 | Rule(r)
	if r.property() != 0 {
		id |= Rule(t) << 16
	}
	return &Error{Code: ruleTable[r.row()].code, Type: t, Rule: id, Off: off}
}

// failAt is fail with an offset counted from the packet's body.
//
//go:noinline
func failAt(f Frame, d Dialect, r rule, off int) error {
	return fail(f.Type, d, r, off+1+SizeUvarint(uint32(len(f.Body))))
}

// Rule names a statement of a version of the specification. It prints as
// 5.0:MQTT-3.3.2-8, or as 5.0:§3.3.2.3.4 where the statement has no number.
// Rules are compared with ==, of which a property has one for each packet; the
// numbers mean nothing.
type Rule uint32 // the rule, from bit 8 the version, from bit 16 the packet of a property

// Version is the version whose statement it is.
func (r Rule) Version() Version { return Version(r >> 8) }

// String names the statement; the zero Rule is none.
func (r Rule) String() string {
	if r == 0 {
		return "none"
	}
	id := rule(r)
	row := &ruleTable[id.row()]
	var v, s string
	switch r.Version() {
	case V31:
		v, s = "3.1:", row.v31
	case V311:
		v, s = "3.1.1:", row.v311
	default:
		v, s = "5.0:", row.v5
	}
	if p := id.property(); p != 0 {
		s = propertyTable[p].sectionIn(PacketType(r >> 16))
	}
	if s == "" {
		s = "-"
	}
	return v + s
}

// Text says in a few words what the statement demands.
func (r Rule) Text() string {
	id := rule(r)
	if p := id.property(); p != 0 {
		return propertyTable[p].name + ruleTable[id.row()].text
	}
	return ruleTable[id.row()].text
}

// rule is a row of the rule table, without the version. Those from
// rulePropertyValue on carry a property identifier.
type rule uint8

const (
	rulePropertyValue     rule = 0x80 // + identifier: value out of range
	rulePropertyDuplicate rule = 0xC0 // + identifier: more than once
)

// row is the rule's place in the table.
func (r rule) row() rule {
	switch {
	case r >= rulePropertyDuplicate:
		return rowPropertyDuplicate
	case r >= rulePropertyValue:
		return rowPropertyValue
	case r >= ruleCount: // made by hand
		return ruleNone
	}
	return r
}

func (r rule) property() PropertyID {
	if p := PropertyID(r & 0x3F); r >= rulePropertyValue && int(p) < len(propertyTable) {
		return p
	}
	return 0
}

const (
	ruleNone rule = iota
	ruleRemainingLength
	ruleLongVarint
	ruleShortestLength
	rulePacketSize
	rulePacketSizeServer
	rulePacketType
	ruleDirection
	ruleFlags
	ruleFlagsPubRel
	ruleFlagsSubscribe
	ruleFlagsUnsubscribe
	ruleFlagsDisconnect
	ruleFlagsAuth
	ruleQoS3
	ruleDupQoS0
	ruleLongBody
	ruleTruncated
	ruleTrailing
	ruleUTF8
	ruleNUL
	ruleControlChar
	ruleLongString
	rulePacketID
	rulePacketIDServer
	rulePacketIDQoS0
	ruleAckPacketID
	ruleSubAckPacketID
	ruleTopicWildcard
	ruleTopicEmpty
	ruleTopicNoAlias
	ruleFilterEmpty
	ruleMultiLevel
	ruleSingleLevel
	ruleShareName
	ruleShareFilter
	ruleNoSubscription
	ruleNoFilter
	ruleOptionBits
	ruleOptionQoS
	ruleRetainHandling
	ruleNoLocalShared
	ruleSubAckCodes
	ruleUnsubAckCodes
	ruleReasonConnAck
	ruleReasonPubAck
	ruleReasonPubRec
	ruleReasonPubRel
	ruleReasonPubComp
	ruleReasonSubAck
	ruleReasonUnsubAck
	ruleReasonDisconnect
	ruleReasonAuth
	ruleConnAckFlags
	rulePresentWithError
	ruleProtocolName
	ruleProtocolLevel
	ruleConnectReserved
	ruleWillQoS3
	ruleWillQoS
	ruleWillRetain
	rulePasswordAlone
	ruleClientID
	rulePropertyLength
	rulePropertyUnknown
	rulePropertyMisplaced
	rulePropertyVersion
	ruleTopicAliasZero
	ruleResponseTopic
	ruleSubscriptionIDClient
	ruleServerExpiry
	ruleServerReference
	ruleAuthMethod
	ruleAuthData
	rulePayloadFormat
	ruleFirstPacket
	ruleSecondConnAck
	ruleSessionPresent
	ruleCleanPresent
	ruleAssignedID
	ruleResponseInfo
	ruleProblemInfo
	ruleReceiveMaximum
	ruleMaximumQoS
	ruleAliasRange
	ruleAliasUnknown
	ruleAckKind
	ruleAckQoS1
	ruleAckQoS2
	ruleSubAckCount
	ruleUnsubAckCount
	ruleAuthNone
	ruleAuthSame
	ruleAuthStart
	ruleOwnLimit
	rowPropertyValue
	rowPropertyDuplicate
	ruleCount
)

// ruleRow is one row of the table. A statement that a version does not have is
// empty.
type ruleRow struct {
	code          ReasonCode
	v31, v311, v5 string
	text          string
}

const (
	malformed = ReasonMalformedPacket
	protocol  = ReasonProtocolError
)

// ruleTable is the one table of statements that this package enforces.
var ruleTable = [ruleCount]ruleRow{
	ruleRemainingLength:      {malformed, "§2.1", "§2.2.3", "§1.5.5", "remaining length is more than four bytes can say"},
	ruleLongVarint:           {malformed, "", "", "§1.5.5", "variable byte integer has more than four bytes"},
	ruleShortestLength:       {malformed, "", "", "MQTT-1.5.5-1", "variable byte integer is not in its shortest form"},
	rulePacketSize:           {ReasonPacketTooLarge, "§2.1", "§2.2.3", "MQTT-3.1.2-24", "packet is larger than the client takes"},
	rulePacketSizeServer:     {ReasonPacketTooLarge, "§2.1", "§2.2.3", "MQTT-3.2.2-15", "packet is larger than the server takes"},
	rulePacketType:           {malformed, "§2.1", "§2.2.1", "§2.1.2", "packet type is reserved in this version"},
	ruleDirection:            {protocol, "§2.1", "§2.2.1", "§2.1.2", "packet type is not for this sender"},
	ruleFlags:                {malformed, "§2.1", "MQTT-2.2.2-2", "MQTT-2.1.3-1", "reserved flags of the fixed header are set"},
	ruleFlagsPubRel:          {malformed, "§3.6", "MQTT-3.6.1-1", "MQTT-3.6.1-1", "flags of the fixed header must be 0010"},
	ruleFlagsSubscribe:       {malformed, "§3.8", "MQTT-3.8.1-1", "MQTT-3.8.1-1", "flags of the fixed header must be 0010"},
	ruleFlagsUnsubscribe:     {malformed, "§3.10", "MQTT-3.10.1-1", "MQTT-3.10.1-1", "flags of the fixed header must be 0010"},
	ruleFlagsDisconnect:      {malformed, "", "MQTT-3.14.1-1", "MQTT-3.14.1-1", "reserved flags of the fixed header are set"},
	ruleFlagsAuth:            {malformed, "", "", "MQTT-3.15.1-1", "reserved flags of the fixed header are set"},
	ruleQoS3:                 {malformed, "§2.1", "MQTT-3.3.1-4", "MQTT-3.3.1-4", "QoS 3 does not exist"},
	ruleDupQoS0:              {protocol, "§2.1", "MQTT-3.3.1-2", "MQTT-3.3.1-2", "DUP is set at QoS 0"},
	ruleLongBody:             {malformed, "§2.1", "§2.2.3", "§2.1.4", "remaining length is more than this packet can have"},
	ruleTruncated:            {malformed, "§2.1", "§2.2.3", "§2.1.4", "a field runs past the end of the packet"},
	ruleTrailing:             {malformed, "§2.1", "§2.2.3", "§2.1.4", "bytes are left after the last field"},
	ruleUTF8:                 {malformed, "", "MQTT-1.5.3-1", "MQTT-1.5.4-1", "string is not well-formed UTF-8"},
	ruleNUL:                  {malformed, "", "MQTT-1.5.3-2", "MQTT-1.5.4-2", "string contains U+0000"},
	ruleControlChar:          {malformed, "§2.5", "§1.5.3", "§1.5.4", "string contains a control or non-character"},
	ruleLongString:           {malformed, "§2.5", "§1.5.3", "§1.5.4", "string or binary data is longer than 65,535 bytes"},
	rulePacketID:             {protocol, "§2.4", "MQTT-2.3.1-1", "MQTT-2.2.1-3", "packet identifier is 0"},
	rulePacketIDServer:       {protocol, "§2.4", "MQTT-2.3.1-1", "MQTT-2.2.1-4", "packet identifier of a server's PUBLISH is 0"},
	rulePacketIDQoS0:         {protocol, "§2.4", "MQTT-2.3.1-5", "MQTT-2.2.1-2", "PUBLISH at QoS 0 has a packet identifier"},
	ruleAckPacketID:          {protocol, "§2.4", "MQTT-2.3.1-6", "MQTT-2.2.1-5", "packet identifier 0 acknowledges no message"},
	ruleSubAckPacketID:       {protocol, "§2.4", "MQTT-2.3.1-7", "MQTT-2.2.1-6", "packet identifier 0 answers no request"},
	ruleTopicWildcard:        {malformed, "§3.3", "MQTT-3.3.2-2", "MQTT-3.3.2-2", "topic name contains a wildcard"},
	ruleTopicEmpty:           {malformed, "§3.3", "MQTT-4.7.3-1", "MQTT-4.7.3-1", "topic name is empty"},
	ruleTopicNoAlias:         {protocol, "", "", "§3.3.2.1", "topic name is empty and there is no topic alias"},
	ruleFilterEmpty:          {malformed, "§3.8", "MQTT-4.7.3-1", "MQTT-4.7.3-1", "topic filter is empty"},
	ruleMultiLevel:           {malformed, "§A", "MQTT-4.7.1-2", "MQTT-4.7.1-1", "# must be the whole last level"},
	ruleSingleLevel:          {malformed, "§A", "MQTT-4.7.1-3", "MQTT-4.7.1-2", "+ must be a whole level"},
	ruleShareName:            {protocol, "", "", "MQTT-4.8.2-1", "share name is empty"},
	ruleShareFilter:          {protocol, "", "", "MQTT-4.8.2-2", "share name has a wildcard, or no topic filter follows it"},
	ruleNoSubscription:       {protocol, "§3.8", "MQTT-3.8.3-3", "MQTT-3.8.3-2", "SUBSCRIBE has no topic filter"},
	ruleNoFilter:             {protocol, "§3.10", "MQTT-3.10.3-2", "MQTT-3.10.3-2", "UNSUBSCRIBE has no topic filter"},
	ruleOptionBits:           {malformed, "§3.8", "MQTT-3.8.3-4", "MQTT-3.8.3-5", "reserved subscription option bits are set"},
	ruleOptionQoS:            {protocol, "§3.8", "MQTT-3.8.3-4", "§3.8.3.1", "subscription asks for QoS 3"},
	ruleRetainHandling:       {protocol, "", "", "§3.8.3.1", "retain handling 3 does not exist"},
	ruleNoLocalShared:        {protocol, "", "", "MQTT-3.8.3-4", "no local on a shared subscription"},
	ruleSubAckCodes:          {protocol, "§3.9", "MQTT-3.8.4-5", "MQTT-3.8.4-6", "SUBACK has no reason code"},
	ruleUnsubAckCodes:        {protocol, "", "", "MQTT-3.11.3-2", "UNSUBACK has no reason code"},
	ruleReasonConnAck:        {malformed, "§3.2", "§3.2.2.3", "MQTT-3.2.2-8", "reason code is not one of CONNACK"},
	ruleReasonPubAck:         {malformed, "§3.4", "§3.4.2", "MQTT-3.4.2-1", "reason code is not one of PUBACK, or not of this sender"},
	ruleReasonPubRec:         {malformed, "§3.5", "§3.5.2", "MQTT-3.5.2-1", "reason code is not one of PUBREC, or not of this sender"},
	ruleReasonPubRel:         {malformed, "§3.6", "§3.6.2", "MQTT-3.6.2-1", "reason code is not one of PUBREL"},
	ruleReasonPubComp:        {malformed, "§3.7", "§3.7.2", "MQTT-3.7.2-1", "reason code is not one of PUBCOMP"},
	ruleReasonSubAck:         {malformed, "§3.9", "MQTT-3.9.3-2", "MQTT-3.9.3-2", "reason code is not one of SUBACK"},
	ruleReasonUnsubAck:       {malformed, "", "", "MQTT-3.11.3-2", "reason code is not one of UNSUBACK"},
	ruleReasonDisconnect:     {malformed, "§3.14", "§3.14", "MQTT-3.14.2-1", "reason code is not one of DISCONNECT, or not of this sender"},
	ruleReasonAuth:           {malformed, "", "", "MQTT-3.15.2-1", "reason code is not one of AUTH, or not of this sender"},
	ruleConnAckFlags:         {malformed, "§3.2", "§3.2.2.1", "MQTT-3.2.2-1", "reserved connect acknowledge flags are set"},
	rulePresentWithError:     {protocol, "§3.2", "MQTT-3.2.2-4", "MQTT-3.2.2-6", "session present with a refusal"},
	ruleProtocolName:         {ReasonUnsupportedProtocolVersion, "MQTT31-01", "MQTT-3.1.2-1", "MQTT-3.1.2-1", "protocol name is not that of the version"},
	ruleProtocolLevel:        {ReasonUnsupportedProtocolVersion, "MQTT31-01", "MQTT-3.1.2-2", "MQTT-3.1.2-2", "protocol level is not that of the version"},
	ruleConnectReserved:      {malformed, "", "MQTT-3.1.2-3", "MQTT-3.1.2-3", "reserved connect flag is set"},
	ruleWillQoS3:             {malformed, "§3.1", "MQTT-3.1.2-14", "MQTT-3.1.2-12", "will QoS 3 does not exist"},
	ruleWillQoS:              {malformed, "§3.1", "MQTT-3.1.2-13", "MQTT-3.1.2-11", "will QoS without a will"},
	ruleWillRetain:           {malformed, "§3.1", "MQTT-3.1.2-15", "MQTT-3.1.2-13", "will retain without a will"},
	rulePasswordAlone:        {malformed, "MQTT31-11", "MQTT-3.1.2-22", "", "password without a user name"},
	ruleClientID:             {ReasonClientIdentifierNotValid, "MQTT31-02", "MQTT-3.1.3-8", "", "client identifier is one that the server must refuse"},
	rulePropertyLength:       {malformed, "", "", "§2.2.2.1", "property runs past the end of the properties, or these past the packet"},
	rulePropertyUnknown:      {malformed, "", "", "§2.2.2.2", "property identifier does not exist"},
	rulePropertyMisplaced:    {malformed, "", "", "§2.2.2.2", "property is not one of this packet"},
	rulePropertyVersion:      {protocol, "§2.1", "§2.2", "", "properties do not exist before 5.0"},
	ruleTopicAliasZero:       {ReasonTopicAliasInvalid, "", "", "MQTT-3.3.2-8", "topic alias 0 is not permitted"},
	ruleResponseTopic:        {protocol, "", "", "MQTT-3.3.2-14", "response topic has a wildcard or is empty"},
	ruleSubscriptionIDClient: {protocol, "", "", "MQTT-3.3.4-6", "a client's PUBLISH carries a subscription identifier"},
	ruleServerExpiry:         {protocol, "", "", "MQTT-3.14.2-2", "a server's DISCONNECT carries a session expiry interval"},
	ruleServerReference:      {protocol, "", "", "§3.14.2.2.5", "a client's DISCONNECT carries a server reference"},
	ruleAuthMethod:           {protocol, "", "", "§3.15.2.2.2", "AUTH names no authentication method"},
	ruleAuthData:             {protocol, "", "", "§3.1.2.11.10", "authentication data without a method"},
	rulePayloadFormat:        {ReasonPayloadFormatInvalid, "", "", "§3.3.2.3.2", "payload is not the UTF-8 that it claims to be"},
	ruleFirstPacket:          {protocol, "§3.2", "MQTT-3.2.0-1", "MQTT-3.2.0-1", "packet before CONNACK"},
	ruleSecondConnAck:        {protocol, "§3.2", "MQTT-3.2.0-1", "MQTT-3.2.0-2", "second CONNACK"},
	ruleSessionPresent:       {protocol, "", "", "MQTT-3.2.2-4", "session present, and the client has no session state"},
	ruleCleanPresent:         {protocol, "", "MQTT-3.2.2-1", "MQTT-3.2.2-2", "session present after a clean start"},
	ruleAssignedID:           {protocol, "", "", "MQTT-3.2.2-16", "empty client identifier and none assigned"},
	ruleResponseInfo:         {protocol, "", "", "MQTT-3.1.2-28", "response information that was not asked for"},
	ruleProblemInfo:          {protocol, "", "", "MQTT-3.1.2-29", "reason string or user property that was declined"},
	ruleReceiveMaximum:       {ReasonReceiveMaximumExceeded, "", "", "MQTT-3.3.4-9", "more unacknowledged messages than the receive maximum"},
	ruleMaximumQoS:           {ReasonQoSNotSupported, "", "", "§3.3.4", "QoS is above the Maximum QoS that the server announced"},
	ruleAliasRange:           {ReasonTopicAliasInvalid, "", "", "MQTT-3.1.2-26", "topic alias above the topic alias maximum"},
	ruleAliasUnknown:         {protocol, "", "", "§3.3.4", "topic alias that stands for no topic"},
	ruleAckKind:              {protocol, "§2.4", "MQTT-2.3.1-7", "§2.2.1", "acknowledgement is of another kind than its packet identifier waits for"},
	ruleAckQoS1:              {protocol, "§4.1", "MQTT-4.3.2-1", "§4.3.2", "not an acknowledgement of a QoS 1 message"},
	ruleAckQoS2:              {protocol, "§4.1", "MQTT-4.3.3-1", "§4.3.3", "not the acknowledgement that a QoS 2 message waits for"},
	ruleSubAckCount:          {protocol, "§3.9", "MQTT-3.8.4-5", "MQTT-3.8.4-6", "SUBACK has another number of reason codes than SUBSCRIBE had filters"},
	ruleUnsubAckCount:        {protocol, "", "", "MQTT-3.11.3-2", "UNSUBACK has another number of reason codes than UNSUBSCRIBE had filters"},
	ruleAuthNone:             {protocol, "", "", "MQTT-4.12.0-6", "authentication, and CONNECT named no method"},
	ruleAuthSame:             {protocol, "", "", "MQTT-4.12.0-5", "authentication method is not that of CONNECT"},
	ruleAuthStart:            {protocol, "", "", "MQTT-4.12.0-3", "AUTH outside an authentication that the client started"},
	ruleOwnLimit:             {ReasonReceiveMaximumExceeded, "§4.8", "§4.8", "§4.9", "more unfinished messages than this client keeps"},
	rowPropertyValue:         {protocol, "", "", "", " has a value that it cannot have"},
	rowPropertyDuplicate:     {protocol, "", "", "", " is present more than once"},
}
