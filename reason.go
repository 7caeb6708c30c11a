// This file holds THE reason-code table: code × packet × sender, and the maps
// to and from the CONNACK return codes of 3.x. It must not know packets'
// layouts or the client.

package mqttcore

// ReasonCode is a reason code of 5.0. Values of 0x80 and above are refusals
// and errors. In 3.x CONNACK and SUBACK use it too, through the maps below.
type ReasonCode uint8

// The reason codes, by the specification's names. Success, NormalDisconnection
// and GrantedQoS0 are the three names of 0x00.
const (
	ReasonSuccess                             ReasonCode = 0x00
	ReasonNormalDisconnection                 ReasonCode = 0x00
	ReasonGrantedQoS0                         ReasonCode = 0x00
	ReasonGrantedQoS1                         ReasonCode = 0x01
	ReasonGrantedQoS2                         ReasonCode = 0x02
	ReasonDisconnectWithWill                  ReasonCode = 0x04
	ReasonNoMatchingSubscribers               ReasonCode = 0x10
	ReasonNoSubscriptionExisted               ReasonCode = 0x11
	ReasonContinueAuthentication              ReasonCode = 0x18
	ReasonReAuthenticate                      ReasonCode = 0x19
	ReasonUnspecifiedError                    ReasonCode = 0x80
	ReasonMalformedPacket                     ReasonCode = 0x81
	ReasonProtocolError                       ReasonCode = 0x82
	ReasonImplementationSpecificError         ReasonCode = 0x83
	ReasonUnsupportedProtocolVersion          ReasonCode = 0x84
	ReasonClientIdentifierNotValid            ReasonCode = 0x85
	ReasonBadUserNameOrPassword               ReasonCode = 0x86
	ReasonNotAuthorized                       ReasonCode = 0x87
	ReasonServerUnavailable                   ReasonCode = 0x88
	ReasonServerBusy                          ReasonCode = 0x89
	ReasonBanned                              ReasonCode = 0x8A
	ReasonServerShuttingDown                  ReasonCode = 0x8B
	ReasonBadAuthenticationMethod             ReasonCode = 0x8C
	ReasonKeepAliveTimeout                    ReasonCode = 0x8D
	ReasonSessionTakenOver                    ReasonCode = 0x8E
	ReasonTopicFilterInvalid                  ReasonCode = 0x8F
	ReasonTopicNameInvalid                    ReasonCode = 0x90
	ReasonPacketIdentifierInUse               ReasonCode = 0x91
	ReasonPacketIdentifierNotFound            ReasonCode = 0x92
	ReasonReceiveMaximumExceeded              ReasonCode = 0x93
	ReasonTopicAliasInvalid                   ReasonCode = 0x94
	ReasonPacketTooLarge                      ReasonCode = 0x95
	ReasonMessageRateTooHigh                  ReasonCode = 0x96
	ReasonQuotaExceeded                       ReasonCode = 0x97
	ReasonAdministrativeAction                ReasonCode = 0x98
	ReasonPayloadFormatInvalid                ReasonCode = 0x99
	ReasonRetainNotSupported                  ReasonCode = 0x9A
	ReasonQoSNotSupported                     ReasonCode = 0x9B
	ReasonUseAnotherServer                    ReasonCode = 0x9C
	ReasonServerMoved                         ReasonCode = 0x9D
	ReasonSharedSubscriptionsNotSupported     ReasonCode = 0x9E
	ReasonConnectionRateExceeded              ReasonCode = 0x9F
	ReasonMaximumConnectTime                  ReasonCode = 0xA0
	ReasonSubscriptionIdentifiersNotSupported ReasonCode = 0xA1
	ReasonWildcardSubscriptionsNotSupported   ReasonCode = 0xA2
)

// senders is a set of (packet type, sender) pairs: bit t for a client that
// sends a packet of type t, bit 16+t for a server.
type senders uint32

func (s senders) has(t PacketType, from Role) bool {
	if t > TypeAuth {
		return false
	}
	m := senders(0)
	if from != FromServer {
		m |= 1 << t
	}
	if from != FromClient {
		m |= 1 << (t + 16)
	}
	return s&m != 0
}

const (
	byClient senders = 1
	byServer senders = 1 << 16
	byBoth           = byClient | byServer

	inConnAck      = byServer << TypeConnAck
	inPubAck       = byBoth << TypePubAck
	inPubRec       = byBoth << TypePubRec
	inPubRel       = byBoth << TypePubRel
	inPubComp      = byBoth << TypePubComp
	inSubAck       = byServer << TypeSubAck
	inUnsubAck     = byServer << TypeUnsubAck
	inDisconnect   = byBoth << TypeDisconnect
	inDisconnectC  = byClient << TypeDisconnect
	inDisconnectS  = byServer << TypeDisconnect
	inAuthC        = byClient << TypeAuth
	inAuthS        = byServer << TypeAuth
	inPublishFail  = inPubAck | inPubRec
	inServerAck    = (byServer << TypePubAck) | (byServer << TypePubRec)
	inSubscribeAck = inSubAck | inUnsubAck
)

type reasonRow struct {
	name string
	in   senders
}

// reasonTable is indexed by code; rows without a name do not exist. 0x8C in
// DISCONNECT, which one table of the specification lists and another does not,
// and 0x9B in a client's, which the text asks for and the table denies, are
// decisions of this package.
var reasonTable = [0xA3]reasonRow{
	0x00: {"Success", inConnAck | inPubAck | inPubRec | inPubRel | inPubComp | inSubAck | inUnsubAck | inDisconnect | inAuthS},
	0x01: {"Granted QoS 1", inSubAck},
	0x02: {"Granted QoS 2", inSubAck},
	0x04: {"Disconnect with Will Message", inDisconnectC},
	0x10: {"No matching subscribers", inServerAck},
	0x11: {"No subscription existed", inUnsubAck},
	0x18: {"Continue authentication", inAuthC | inAuthS},
	0x19: {"Re-authenticate", inAuthC},
	0x80: {"Unspecified error", inConnAck | inPublishFail | inSubscribeAck | inDisconnect},
	0x81: {"Malformed Packet", inConnAck | inDisconnect},
	0x82: {"Protocol Error", inConnAck | inDisconnect},
	0x83: {"Implementation specific error", inConnAck | inPublishFail | inSubscribeAck | inDisconnect},
	0x84: {"Unsupported Protocol Version", inConnAck},
	0x85: {"Client Identifier not valid", inConnAck},
	0x86: {"Bad User Name or Password", inConnAck},
	0x87: {"Not authorized", inConnAck | inPublishFail | inSubscribeAck | inDisconnectS},
	0x88: {"Server unavailable", inConnAck},
	0x89: {"Server busy", inConnAck | inDisconnectS},
	0x8A: {"Banned", inConnAck},
	0x8B: {"Server shutting down", inDisconnectS},
	0x8C: {"Bad authentication method", inConnAck | inDisconnect},
	0x8D: {"Keep Alive timeout", inDisconnectS},
	0x8E: {"Session taken over", inDisconnectS},
	0x8F: {"Topic Filter invalid", inSubscribeAck | inDisconnectS},
	0x90: {"Topic Name invalid", inConnAck | inPublishFail | inDisconnect},
	0x91: {"Packet Identifier in use", inPublishFail | inSubscribeAck},
	0x92: {"Packet Identifier not found", inPubRel | inPubComp},
	0x93: {"Receive Maximum exceeded", inDisconnect},
	0x94: {"Topic Alias invalid", inDisconnect},
	0x95: {"Packet too large", inConnAck | inDisconnect},
	0x96: {"Message rate too high", inDisconnect},
	0x97: {"Quota exceeded", inConnAck | inPublishFail | inSubAck | inDisconnect},
	0x98: {"Administrative action", inDisconnect},
	0x99: {"Payload format invalid", inConnAck | inPublishFail | inDisconnect},
	0x9A: {"Retain not supported", inConnAck | inDisconnectS},
	0x9B: {"QoS not supported", inConnAck | inDisconnect},
	0x9C: {"Use another server", inConnAck | inDisconnectS},
	0x9D: {"Server moved", inConnAck | inDisconnectS},
	0x9E: {"Shared Subscriptions not supported", inSubAck | inDisconnectS},
	0x9F: {"Connection rate exceeded", inConnAck | inDisconnectS},
	0xA0: {"Maximum connect time", inDisconnectS},
	0xA1: {"Subscription Identifiers not supported", inSubAck | inDisconnectS},
	0xA2: {"Wildcard Subscriptions not supported", inSubAck | inDisconnectS},
}

// IsError reports whether c is a refusal or an error, 0x80 or above.
func (c ReasonCode) IsError() bool { return c >= 0x80 }

// Known reports whether the specification defines c.
func (c ReasonCode) Known() bool {
	return int(c) < len(reasonTable) && reasonTable[c].name != ""
}

// AllowedIn reports whether a 5.0 packet of type t may carry c when it is sent
// by from; FromEither asks whether anyone may send it.
func (c ReasonCode) AllowedIn(t PacketType, from Role) bool {
	return int(c) < len(reasonTable) && reasonTable[c].in.has(t, from)
}

// String returns the specification's name of the code.
func (c ReasonCode) String() string {
	if c.Known() {
		return reasonTable[c].name
	}
	const hex = "0123456789abcdef"
	return "reason 0x" + string([]byte{hex[c>>4], hex[c&15]})
}

// returnCodes are the CONNACK return codes of 3.x, by number.
var returnCodes = [6]ReasonCode{
	ReasonSuccess,
	ReasonUnsupportedProtocolVersion,
	ReasonClientIdentifierNotValid,
	ReasonServerUnavailable,
	ReasonBadUserNameOrPassword,
	ReasonNotAuthorized,
}

// ReturnCode is the CONNACK return code of 3.x with the meaning of c, or false
// where 3.x has none.
func (c ReasonCode) ReturnCode() (code uint8, ok bool) {
	for i, r := range returnCodes {
		if r == c {
			return uint8(i), true
		}
	}
	return 0, false
}

// ReasonOfReturnCode is the reason code with the meaning of a CONNACK return
// code of 3.x, or false for the codes from 6 on, which are reserved.
func ReasonOfReturnCode(code uint8) (c ReasonCode, ok bool) {
	if int(code) < len(returnCodes) {
		return returnCodes[code], true
	}
	return 0, false
}
