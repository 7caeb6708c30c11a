// This file holds what a client tells: Event, its kinds, causes and reasons.
// It decides nothing.

package mqttcore

import (
	"strconv"
	"time"
)

// EventKind says what an Event tells, and by that which of its fields count.
type EventKind uint8

// The kinds of events.
const (
	EventNone EventKind = iota
	// EventConnected: the server accepted the connection. SessionPresent and
	// Props count.
	EventConnected
	// EventClosed: the connection is over, or never came to be. Cause, Code,
	// Props and Err count. The caller writes what is in out, then closes the
	// transport.
	EventClosed
	// EventMessage: a message arrived. Message counts, and Token with
	// Config.ManualAck at QoS 1 and 2; Matches tells the subscriptions. When
	// Partial is set, the payload, of Size bytes, follows in EventChunk events,
	// and the token in EventMessageEnd.
	EventMessage
	// EventPublished: a QoS 1 or 2 message is with the server. Tag, Code and
	// Props count.
	EventPublished
	// EventSubscribed: a SUBSCRIBE was answered. Tag, Codes (one a filter, 0x80
	// and above a refusal) and Props count.
	EventSubscribed
	// EventUnsubscribed: an UNSUBSCRIBE was answered. Tag, Codes (5.0) and Props
	// count.
	EventUnsubscribed
	// EventDropped: a message or request will not be done. Tag, Why, Code and
	// Props count.
	EventDropped
	// EventPong: a PINGREQ was answered. RTT counts; it is 0 for one that was
	// sent while three were under way, or one for which it is 0.
	EventPong
	// EventKeepAliveDue: with Config.ManualPing, it is time to call Ping.
	EventKeepAliveDue
	// EventAuthChallenge: the server asks for the next step of an
	// authentication, which Auth answers. Props counts.
	EventAuthChallenge
	// EventAuthDone: an authentication succeeded. Props counts. The first one of
	// a connection comes right before EventConnected; messages that waited for
	// CONNACK go out when it was taken.
	EventAuthDone
	// EventResubscribed: a subscription that was lost with the session was asked
	// for again, with Config.Resubscribe. Filter counts, Code (the QoS granted,
	// 0x80 and above a refusal) and Props.
	EventResubscribed
	// EventProgress: a message went a step further, with Config.Progress. Status,
	// From (who sent the message), Tag (of one of the client's own), ID, Code and
	// Props count.
	EventProgress
	// EventChunk: the next part of a streamed message. Message.Payload counts.
	EventChunk
	// EventMessageEnd: a streamed message is whole. Token counts, as in
	// EventMessage.
	EventMessageEnd
	// EventMessageAborted: the connection ended in the middle of a streamed
	// message. Its parts are to be forgotten; at QoS 1 and 2 it comes again.
	EventMessageAborted
)

var eventNames = [...]string{"none", "connected", "closed", "message", "published", "subscribed",
	"unsubscribed", "dropped", "pong", "keep alive due", "auth challenge", "auth done",
	"resubscribed", "progress", "chunk", "message end", "message aborted"}

// String names the kind.
func (k EventKind) String() string { return nameOf(eventNames[:], uint8(k)) }

// Cause says why a connection is over.
type Cause uint8

// The causes. Those up to CauseSpecific are the cases of Qt's ClientError.
const (
	CauseNone                   Cause = iota
	CauseInvalidProtocolVersion       // the server does not take this version
	CauseIDRejected                   // the server does not take the client identifier
	CauseServerUnavailable            // the server cannot be used, or another one is to be
	CauseBadUsernameOrPassword
	CauseNotAuthorized
	CauseTransportInvalid  // Lost was called; Err is what it was given
	CauseProtocolViolation // the server broke the protocol, or says that the client did; Err is an *Error in the first case
	CauseUnknown           // the server gave 0x80, unspecified error
	CauseSpecific          // the server gave another reason code of 5.0
	CauseKeepAliveTimeout  // a PINGREQ was not answered in time
	CauseConnectTimeout    // CONNECT was not answered in time
	CauseServerDisconnect  // the server sent DISCONNECT; Code tells why
	CauseLocalDisconnect   // Disconnect was called
)

var causeNames = [...]string{"none", "invalid protocol version", "client identifier rejected", "server unavailable",
	"bad user name or password", "not authorized", "transport invalid", "protocol violation", "unknown error",
	"reason of 5.0", "keep alive timeout", "connect timeout", "server disconnect", "local disconnect"}

// String names the cause.
func (c Cause) String() string { return nameOf(causeNames[:], uint8(c)) }

// causeOfRefusal is the cause of a CONNACK that refuses.
func causeOfRefusal(c ReasonCode) Cause {
	switch c {
	case ReasonUnsupportedProtocolVersion:
		return CauseInvalidProtocolVersion
	case ReasonClientIdentifierNotValid:
		return CauseIDRejected
	case ReasonServerUnavailable, ReasonServerBusy, ReasonUseAnotherServer, ReasonServerMoved:
		return CauseServerUnavailable
	case ReasonBadUserNameOrPassword:
		return CauseBadUsernameOrPassword
	case ReasonNotAuthorized:
		return CauseNotAuthorized
	case ReasonMalformedPacket, ReasonProtocolError:
		return CauseProtocolViolation
	case ReasonUnspecifiedError:
		return CauseUnknown
	}
	return CauseSpecific
}

// DropReason says why a message or request will not be done.
type DropReason uint8

// The reasons.
const (
	DropNone           DropReason = iota
	DropRefused                   // the server's acknowledgement refuses it; Code tells why
	DropSessionLost               // it was sent, and the server does not know the session any more
	DropSessionEnded              // it was sent, and the session ended with the connection
	DropConnectionLost            // a SUBSCRIBE or UNSUBSCRIBE whose connection ended
	DropExpired                   // its message expiry interval ended before it was sent
	// DropNotAllowed: the server does not take such a message, and Code tells what
	// it lacks. One that was sent before keeps its identifier while the session
	// lives, or until the server acknowledges it after all.
	DropNotAllowed
	DropOverflow // it was queued, and had to make room for another (Config.DropOldest)
)

var dropNames = [...]string{"none", "refused", "session lost", "session ended", "connection lost", "expired", "not allowed", "overflow"}

// String names the reason.
func (d DropReason) String() string { return nameOf(dropNames[:], uint8(d)) }

func nameOf(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return "?" + strconv.Itoa(int(i))
}

// AckToken names an incoming message that waits for Ack; 0 names none. One of
// QoS 1 is stale when its connection is over, for the message comes again; one
// of QoS 2 holds until the session is lost. A token is not stored: in another
// process it is stale, and the message comes again with a new one.
type AckToken uint64

// Event is something that happened to a client. Fields that do not count for
// its Kind are zero. Slices alias the input of the Receive call that brought
// it and hold until the caller changes those bytes; a topic that came as a
// topic alias, and Filter, hold until the next call of a method of the client.
type Event struct {
	Kind           EventKind
	Cause          Cause
	Why            DropReason
	Code           ReasonCode
	SessionPresent bool
	Partial        bool
	Status         MessageStatus
	From           Role
	ID             uint16 // packet identifier
	Size           uint32 // of the payload of a streamed message, in bytes
	Tag            uint64
	Token          AckToken
	RTT            time.Duration
	Message        Publish
	Props          Properties // of the packet that brought the event
	Codes          []byte
	Filter         []byte
	Err            error

	subs *registry // for Matches
}

// AppendText appends the event as one line for people. The error is nil.
func (e *Event) AppendText(b []byte) ([]byte, error) {
	b = append(b, e.Kind.String()...)
	switch e.Kind {
	case EventConnected:
		if e.SessionPresent {
			b = append(b, " session present"...)
		}
	case EventClosed:
		b = append(append(b, ": "...), e.Cause.String()...)
		if e.Code != 0 {
			b = append(append(b, ", "...), e.Code.String()...)
		}
		if e.Err != nil {
			b = append(append(b, ", "...), e.Err.Error()...)
		}
	case EventMessage:
		b = append(b, ' ')
		b, _ = e.Message.AppendText(b)
		if e.Partial {
			b = strconv.AppendUint(append(b, ", streamed, "...), uint64(e.Size), 10)
			b = append(b, " bytes"...)
		}
	case EventPublished, EventSubscribed, EventUnsubscribed, EventDropped:
		b = strconv.AppendUint(append(b, " tag="...), e.Tag, 10)
		for i, c := range e.Codes {
			sep := ", "
			if i == 0 {
				sep = ": "
			}
			b = append(append(b, sep...), ReasonCode(c).String()...)
		}
		if e.Why != DropNone {
			b = append(append(b, ": "...), e.Why.String()...)
		}
		if e.Code != 0 {
			b = append(append(b, ", "...), e.Code.String()...)
		}
	case EventResubscribed:
		b = strconv.AppendQuote(append(b, ' '), string(e.Filter))
		b = append(append(b, ": "...), e.Code.String()...)
	case EventProgress:
		b = append(append(b, ": "...), e.Status.String()...)
		b = append(append(b, ", message of "...), e.From.String()...)
		if e.From == FromClient {
			b = strconv.AppendUint(append(b, " tag="...), e.Tag, 10)
		}
		if e.ID != 0 {
			b = strconv.AppendUint(append(b, " id="...), uint64(e.ID), 10)
		}
		if e.Code != 0 {
			b = append(append(b, ", "...), e.Code.String()...)
		}
	case EventChunk:
		b = strconv.AppendInt(append(b, ' '), int64(len(e.Message.Payload)), 10)
		b = append(b, " bytes"...)
	case EventPong:
		b = append(append(b, " after "...), e.RTT.String()...)
	}
	if e.Props.Len() > 0 {
		b = append(b, ' ')
		b, _ = e.Props.AppendText(b)
	}
	return b, nil
}

// String returns the line that AppendText appends.
func (e *Event) String() string {
	b, _ := e.AppendText(nil)
	return string(b)
}
