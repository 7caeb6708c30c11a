// This file holds progress: the steps of a message on its way, told when
// Config.Progress asks for it. It decides nothing.

package mqttcore

// MessageStatus is a step of a QoS 1 or 2 message on its way, out or in.
type MessageStatus uint8

// The steps. Those of Qt have Qt's names. Out, a QoS 1 message is Queued, Sent,
// Acknowledged; a QoS 2 message Queued, Sent, Received, Released, Completed. In,
// they are Published, Acknowledged, and Published, Received, Released,
// Completed.
const (
	StatusUnknown      MessageStatus = iota
	StatusPublished                  // in: the message arrived
	StatusAcknowledged               // PUBACK arrived, or was sent
	StatusReceived                   // PUBREC arrived, or was sent
	StatusReleased                   // PUBREL was sent, or arrived
	StatusCompleted                  // PUBCOMP arrived, or was sent
	StatusQueued                     // out: accepted by Publish
	StatusSent                       // out: PUBLISH was sent
	StatusResent                     // out: PUBLISH was sent again on another connection
)

var statusNames = [...]string{"unknown", "published", "acknowledged", "received", "released", "completed", "queued", "sent", "resent"}

// String names the status.
func (s MessageStatus) String() string { return nameOf(statusNames[:], uint8(s)) }

// progress is the steps that were not told yet.
type progress struct{ steps fifo[step] }

type step struct {
	tag    uint64
	id     uint16
	status MessageStatus
	from   Role // who sent the message
	code   ReasonCode
	packet bool // the properties at hand are those of its packet
}

// maxSteps is the number of untold steps at which no further messages are sent.
const maxSteps = 256

// step notes a step if anybody wants to know.
func (c *Client) step(s step) {
	if c.progress != nil {
		c.progress.steps.push(s)
	}
}

// stepOut notes a step of an outgoing message.
func (p *progress) stepOut(status MessageStatus, r *record) {
	p.steps.push(step{status: status, from: FromClient, tag: r.tag, id: r.id})
}

// untold is the number of steps that wait.
func (p *progress) untold() int {
	if p == nil {
		return 0
	}
	return p.steps.len()
}

// tell moves the oldest step to *ev.
func (p *progress) tell(ev *Event, props Properties) {
	s := p.steps.pop()
	*ev = Event{Kind: EventProgress, Status: s.status, From: s.from, Tag: s.tag, ID: s.id, Code: s.code}
	if s.packet {
		ev.Props = props
	}
}
