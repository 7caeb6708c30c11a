// This file holds the ledger's requests, which live as long as a connection, and
// what must be true of connections and of what goes over them.

package sim

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"mqttcore"
)

// requestRow is a SUBSCRIBE or UNSUBSCRIBE. Its tag has one fate, unless the
// process ends first: it is no part of the session.
type requestRow struct {
	app, epoch int
	answer     mqttcore.EventKind
	filters    int
	state      requestState
}

type requestState uint8

const (
	requestRefused requestState = iota // by the call
	requestOpen
	requestDone
)

// request enters a request that is about to be made, and returns its tag.
func (l *Ledger) request(a *App, answer mqttcore.EventKind, filters int) uint64 {
	l.requests = append(l.requests, requestRow{app: a.id, epoch: a.epoch, answer: answer, filters: filters})
	return uint64(len(l.requests)-1) | tagBit
}

// requested is told what the call returned.
func (l *Ledger) requested(tag uint64, err error) {
	if err == nil {
		l.requests[tag&^tagBit].state = requestOpen
	}
}

// answered is told of the fate of a request.
func (l *Ledger) answered(a *App, ev *mqttcore.Event) {
	n := ev.Tag &^ tagBit
	if ev.Tag&tagBit == 0 || n >= uint64(len(l.requests)) || l.requests[n].app != a.id {
		l.fail(a, "a fate of a request that nobody made: %v", ev)
		return
	}
	r := &l.requests[n]
	switch {
	case r.state == requestRefused:
		l.fail(a, "request %d was never accepted, and has a fate: %v", n, ev)
	case r.state == requestDone:
		l.fail(a, "request %d has two fates", n)
	case r.epoch != a.epoch:
		l.fail(a, "request %d is of a process that has ended, and has a fate: %v", n, ev)
	case ev.Kind == mqttcore.EventDropped:
		if ev.Why != mqttcore.DropConnectionLost || a.c.State() != mqttcore.StateDisconnected {
			l.fail(a, "request %d was dropped, and the connection is there: %v", n, ev)
		}
		l.seen("request dropped")
	case ev.Kind != r.answer:
		l.fail(a, "request %d has the fate of another: %v", n, ev)
	case len(ev.Codes) != r.filters && (ev.Kind == mqttcore.EventSubscribed || a.Config.Version == mqttcore.V5):
		l.fail(a, "request %d has %d filters and %d codes", n, r.filters, len(ev.Codes))
	}
	r.state = requestDone
}

// unanswered finds a request that has no fate, and whose process lives.
func (l *Ledger) unanswered() error {
	for n := range l.requests {
		r := &l.requests[n]
		if row := &l.apps[r.app]; r.state == requestOpen && row.app != nil && r.epoch == row.app.epoch {
			return &Contradiction{row.name, fmt.Sprintf("request %d has no fate", n)}
		}
	}
	return nil
}

// Illegal is told by the broker that something illegal goes to a client, over
// which connection, and the reason code with which the client is to end it.
func (l *Ledger) Illegal(client string, c *Conn, right mqttcore.ReasonCode) {
	if i, ok := l.names[client]; ok {
		l.apps[i].illegal, l.apps[i].right = c.id, right
	}
}

// violated is told that a client found the broker to violate the protocol. It
// must have, on that connection; in 5.0 a DISCONNECT with the reason goes out.
func (l *Ledger) violated(a *App, ev *mqttcore.Event) {
	row := &l.apps[a.id]
	if a.conn == nil || row.illegal != a.conn.id {
		if l.Strict {
			l.fail(a, "closed: %v", ev)
		}
		return
	}
	l.seen("illegal packet answered")
	if ev.Code != row.right && ev.Code != mqttcore.ReasonProtocolError {
		l.fail(a, "closed for the wrong reason, which is %v: %v", row.right, ev)
	}
	told := bytes.HasSuffix(a.out, []byte{byte(mqttcore.TypeDisconnect) << 4, 1, byte(ev.Code)})
	if told != (a.Config.Version == mqttcore.V5) {
		l.fail(a, "closed for %v, and what goes out ends with %x", ev.Code, a.out[max(0, len(a.out)-3):])
	}
}

// left is told that an application learns that its connection is over, which the
// client has not ended. The broker's end of one comes after all that it wrote.
func (l *Ledger) left(a *App, err error) {
	if errors.Is(err, ErrPeer) && l.apps[a.id].illegal == a.conn.id && a.c.State() != mqttcore.StateDisconnected {
		l.fail(a, "something illegal came, and the client goes on")
	}
}

// Copy is told by the broker of each PUBLISH of QoS 1 or 2 that comes: DUP is set
// when its message was sent on an earlier connection, and only then
// (MQTT-3.3.1-1). One that was committed and not written counts as sent.
func (l *Ledger) Copy(client string, c *Conn, p *mqttcore.Publish) {
	n, ok := messageOf(p.Payload)
	if !ok || int(n) >= len(l.messages) {
		return
	}
	m := &l.messages[n]
	switch first := m.sentOn == c.id; {
	case !m.sent:
		l.contradict(client, "message %d was sent before its identifier was committed", n)
	case first && p.Dup:
		l.contradict(client, "message %d is sent for the first time, with DUP", n)
	case !first && !p.Dup:
		l.contradict(client, "message %d is sent again, without DUP", n)
	}
}

// heldBy is how many identifiers a client keeps for messages that it has dropped
// and that the broker may have.
func (l *Ledger) heldBy(client string) int {
	if i, ok := l.names[client]; ok {
		return len(l.apps[i].held)
	}
	return 0
}

// outgoing looks at the packet identifiers of what is not finished: what was sent
// has one of its own, what was not has none.
func (l *Ledger) outgoing(a *App) {
	ids := l.ids[:0]
	for m := range a.c.Session().Outgoing() {
		if id := m.Message.ID; (id == 0) != (m.State == mqttcore.OutgoingQueued) {
			l.fail(a, "message %d is %v and has the identifier %d", m.Tag, m.State, id)
		} else if id != 0 {
			ids = append(ids, id)
		}
	}
	l.ids = ids
	slices.Sort(ids)
	for i := 1; i < len(ids); i++ {
		if ids[i] == ids[i-1] {
			l.fail(a, "two messages have the identifier %d", ids[i])
		}
	}
}
