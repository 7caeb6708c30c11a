// This file holds enhanced authentication (5.0 §4.12): the exchange of AUTH
// packets before CONNACK, and again at any time after it. What the data mean
// is the caller's.

package mqttcore

import (
	"bytes"
	"time"
)

// authState is how far an authentication has come.
type authState struct {
	busy bool // one is under way
	turn bool // the server has asked, and Auth is to answer
}

// Auth sends an AUTH packet: the answer to an EventAuthChallenge
// (ReasonContinueAuthentication), or on a connection the start of a
// re-authentication (ReasonReAuthenticate, MQTT-4.12.1-1). a.Props must name
// the method of Config.Props (MQTT-4.12.0-5). It fails with ErrAuth when it is
// not the client's turn, with ErrNotConnected, ErrTooLarge, or an *Error.
func (c *Client) Auth(dst []byte, now time.Time, a *Auth) ([]byte, error) {
	if c.state == StateDisconnected {
		return dst, ErrNotConnected
	}
	st := &c.conn.auth
	mine := st.turn && a.Code == ReasonContinueAuthentication ||
		!st.busy && c.state == StateConnected && a.Code == ReasonReAuthenticate
	if !mine || c.methodFault(a.Props) != ruleNone {
		return dst, ErrAuth
	}
	out, err := a.AppendTo(dst, c.dialect(FromClient))
	if err != nil {
		return dst, err
	}
	if !c.fits(len(out) - len(dst)) {
		return dst, ErrTooLarge
	}
	c.clock(now)
	*st = authState{busy: true}
	return c.end(out, len(dst)), nil
}

// methodFault is the rule that forbids props to go with the authentication
// method of CONNECT, or with its absence.
func (c *Client) methodFault(props Properties) rule {
	mine, asked := c.cfg.Props.AuthMethod()
	theirs, has := props.AuthMethod()
	switch {
	case !asked && has:
		return ruleAuthNone
	case asked && (!has || !bytes.Equal(mine, theirs)): // a method may be empty
		return ruleAuthSame
	}
	return ruleNone
}

func (c *Client) onAuth(f Frame, d Dialect) error {
	var p Auth
	if err := p.Decode(f, d); err != nil {
		return err
	}
	st := &c.conn.auth
	r := c.methodFault(p.Props)
	if r == ruleNone {
		r = c.problemFault(p.Props)
	}
	// Success before CONNACK is CONNACK's to tell (MQTT-4.12.0-2).
	switch {
	case p.Code == ReasonSuccess && c.state != StateConnected:
		r = ruleAuthStart
	case p.Code != ReasonSuccess && p.Code != ReasonContinueAuthentication: // let in by AllowAnyReason
		r = ruleReasonAuth
	}
	if r != ruleNone {
		return fail(TypeAuth, d, r, 0)
	}
	c.ev.Kind, c.ev.Props = EventAuthChallenge, p.Props
	*st = authState{busy: true, turn: true}
	if p.Code == ReasonSuccess {
		c.ev.Kind = EventAuthDone
		*st = authState{}
	}
	c.has |= hasPacket
	return nil
}
