// This file holds how the broker lets a client in: CONNECT and what is judged of
// it, enhanced authentication, take-over, and the CONNACK. What the session
// then goes on with stands in broker_session.go.

package sim

import (
	"errors"
	"fmt"
	"time"

	"mqttcore"
)

// takeConnect handles the first packet of a connection.
func (l *link) takeConnect(in []byte) int {
	// The version is not known yet, nor the Maximum Packet Size to the client; 3.1
	// permits most.
	f, n, err := mqttcore.ConsumeFrame(in, mqttcore.Dialect{Version: mqttcore.V31, From: mqttcore.FromClient}, 0)
	if err != nil || n > 0 && f.Type != mqttcore.TypeConnect {
		l.violate("5.0:MQTT-3.1.0-1", "the first packet is not a CONNECT")
		l.over()
		return 0
	}
	if n == 0 {
		return 0
	}
	l.b.Stats.Packets++
	v, err := mqttcore.ConnectVersion(f)
	if err != nil {
		l.d.Version = mqttcore.V311 // in which the refusal is said
		l.malformed(err)
		return 0
	}
	l.d = mqttcore.Dialect{Version: v, From: mqttcore.FromClient}
	if f, _, err = mqttcore.ConsumeFrame(in, l.d, 0); err == nil {
		c := new(mqttcore.Connect)
		if err = c.Decode(f.Clone(), l.d); err == nil {
			l.connects(c)
			return n
		}
	}
	var e *mqttcore.Error
	if v != mqttcore.V5 && errors.As(err, &e) && e.Code != mqttcore.ReasonClientIdentifierNotValid {
		l.violate(e.Rule.String(), "CONNECT: "+e.Rule.Text())
		l.over() // 3.1.1: MQTT-3.1.4-1
		return 0
	}
	l.malformed(err)
	return 0
}

// connects judges a CONNECT.
func (l *link) connects(c *mqttcore.Connect) {
	cfg := &l.b.Config
	l.connect = c
	l.obey(c)
	if code := l.judge(c); code != mqttcore.ReasonSuccess {
		l.refuse(code, cfg.Reference)
		return
	}
	method, ok := c.Props.AuthMethod()
	if !ok {
		l.accept(nil)
		return
	}
	l.auth = cfg.Auth
	l.state, l.until = linkAuthenticating, l.b.now+connectPatience
	if l.auth == nil || string(method) != l.auth.Method {
		l.refuse(mqttcore.ReasonBadAuthenticationMethod, "")
		return
	}
	l.round = 0
	l.challenge()
}

// judge is the reason not to let a client in, or success.
func (l *link) judge(c *mqttcore.Connect) mqttcore.ReasonCode {
	cfg := &l.b.Config
	password, known := cfg.Users[string(c.Username)]
	switch {
	case l.d.Version < cfg.MinVersion:
		return mqttcore.ReasonUnsupportedProtocolVersion
	case cfg.Redirect != mqttcore.ReasonSuccess:
		return cfg.Redirect
	case len(c.ClientID) == 0 && cfg.RefuseEmptyID:
		return mqttcore.ReasonClientIdentifierNotValid
	case cfg.Users != nil && (!known || c.Username == nil || password != string(c.Password)):
		return mqttcore.ReasonBadUserNameOrPassword
	case c.Will.Topic != nil && l.d.Version == mqttcore.V5 && c.Will.QoS > l.maximumQoS: // MQTT-3.2.2-12
		return mqttcore.ReasonQoSNotSupported
	case c.Will.Topic != nil && l.d.Version == mqttcore.V5 && c.Will.Retain && l.noRetain: // MQTT-3.2.2-13
		return mqttcore.ReasonRetainNotSupported
	}
	if cfg.RefuseConnect != nil {
		if code := cfg.RefuseConnect(c); code.IsError() {
			return code
		}
	}
	return l.mood()
}

// obey takes over what the client announces, and what the broker announces to
// it.
func (l *link) obey(c *mqttcore.Connect) {
	cfg := &l.b.Config
	l.quota, l.receiveMaximum, l.maximumQoS = 0xFFFF, 0xFFFF, mqttcore.QoS2
	l.maxPacket = cfg.MaximumPacketSize
	l.keepAlive = time.Duration(c.KeepAlive) * time.Second * 3 / 2
	if l.d.Version != mqttcore.V5 {
		return
	}
	if n, ok := c.Props.ReceiveMaximum(); ok {
		l.quota = int(n)
	}
	l.largest, _ = c.Props.MaximumPacketSize()
	if n, _ := c.Props.TopicAliasMaximum(); n > 0 && cfg.Aliases > 0 {
		l.aliasesOut = make([][]byte, min(n, cfg.Aliases))
	}
	if n, ok := c.Props.RequestProblemInfo(); ok {
		l.problemInfo = n == 1
	}
	l.connectedExpiry, _ = c.Props.SessionExpiry()
	l.receiveMaximum = l.b.window()
	switch {
	case cfg.NoQoS1:
		l.maximumQoS = mqttcore.QoS0
	case cfg.NoQoS2:
		l.maximumQoS = mqttcore.QoS1
	}
	l.noRetain, l.noWildcards, l.noShared, l.noIdentifiers = cfg.NoRetain, cfg.NoWildcards, cfg.NoShared, cfg.NoSubscriptionIDs
	if n := cfg.TopicAliasMaximum; n > 0 {
		l.aliasMaximum, l.aliasesIn = n, make([][]byte, n)
	}
	if n, ok := cfg.keepAlive(c.KeepAlive); ok {
		l.keepAlive = time.Duration(n) * time.Second * 3 / 2
	}
}

// keepAlive is the Server Keep Alive, if there is one for a client that asks for
// the given one.
func (c *BrokerConfig) keepAlive(asked uint16) (seconds uint16, ok bool) {
	switch {
	case c.NoKeepAlive:
		return 0, true
	case c.MaxKeepAlive > 0 && (asked == 0 || asked > c.MaxKeepAlive):
		return c.MaxKeepAlive, true
	}
	return 0, false
}

// capped is the session expiry interval that the broker agrees to.
func (b *Broker) capped(expiry uint32) uint32 {
	if b.Config.MaxSessionExpiry > 0 {
		return min(expiry, b.Config.MaxSessionExpiry)
	}
	return expiry
}

// returnCodes are the refusals that 3.x says with another reason's return code.
var returnCodes = [...]struct{ code, as mqttcore.ReasonCode }{
	{mqttcore.ReasonUseAnotherServer, mqttcore.ReasonServerUnavailable},
	{mqttcore.ReasonServerMoved, mqttcore.ReasonServerUnavailable},
	{mqttcore.ReasonServerBusy, mqttcore.ReasonServerUnavailable},
	{mqttcore.ReasonBanned, mqttcore.ReasonNotAuthorized},
}

// refuse answers CONNECT with a CONNACK that refuses, where the version has one,
// and ends the connection.
func (l *link) refuse(code mqttcore.ReasonCode, reference string) {
	l.b.Stats.Refusals++
	p := &mqttcore.ConnAck{Code: code}
	if l.d.Version == mqttcore.V5 {
		if !code.AllowedIn(mqttcore.TypeConnAck, mqttcore.FromServer) {
			p.Code = mqttcore.ReasonProtocolError
		}
		p.Props = l.remarks(true)
		if reference != "" && (code == mqttcore.ReasonUseAnotherServer || code == mqttcore.ReasonServerMoved) {
			l.add(&p.Props, mqttcore.ServerReference(reference))
		}
	}
	for _, r := range returnCodes {
		if l.d.Version != mqttcore.V5 && r.code == code {
			p.Code = r.as
		}
	}
	if _, ok := p.Code.ReturnCode(); l.d.Version == mqttcore.V5 || l.d.Version != 0 && ok {
		l.send(p)
	}
	l.over()
}

// accept lets the client in.
func (l *link) accept(final []byte) {
	b, c := l.b, l.connect
	id := string(c.ClientID)
	if id == "" {
		for id == "" || b.byID[id] != nil { // a client may have chosen it (MQTT-3.1.3-6)
			b.assigned++
			id = fmt.Sprintf("assigned-%d", b.assigned)
		}
	}
	if old := b.byID[id]; old != nil && old.link != nil { // MQTT-3.1.4-3
		b.Stats.TakeOvers++
		old.link.disconnect(mqttcore.ReasonSessionTakenOver, "")
	}
	if old := b.byID[id]; old != nil && c.CleanStart {
		b.end(old)
	}
	present := b.byID[id] != nil
	b.Stats.Connects++
	if present {
		b.Stats.Resumes++
	}
	s := b.session(id)
	s.link, l.s = l, s
	s.expires, s.will, s.willAt = never, nil, never
	switch {
	case l.d.Version == mqttcore.V5:
		s.expiry = b.capped(l.connectedExpiry)
	case c.CleanStart:
		s.expiry = 0
	default:
		s.expiry = forever
	}
	if c.Will.Topic != nil {
		s.setWill(&c.Will)
	}
	l.state, l.round, l.resentTo = linkConnected, -1, 0
	p := &mqttcore.ConnAck{SessionPresent: present && l.d.Version != mqttcore.V31}
	if l.d.Version == mqttcore.V5 {
		p.Props = l.announcement(id, final)
	}
	greeting := l.connect
	l.connect = nil
	if !l.spoil(greeting) {
		l.send(p)
	}
	b.arm(l)
	s.resume(present)
}

// announcement is what CONNACK tells.
func (l *link) announcement(id string, final []byte) mqttcore.Properties {
	cfg, c := &l.b.Config, l.connect
	p := l.remarks(true)
	tell := func(when bool, x mqttcore.Property) {
		if when {
			l.add(&p, x)
		}
	}
	tell(l.s.expiry != l.connectedExpiry, mqttcore.SessionExpiry(l.s.expiry))
	tell(l.receiveMaximum != 0xFFFF, mqttcore.ReceiveMaximum(l.receiveMaximum))
	tell(l.maximumQoS < mqttcore.QoS2, mqttcore.MaximumQoS(uint8(l.maximumQoS)))
	tell(l.noRetain, mqttcore.RetainAvailable(0))
	tell(l.maxPacket != 0, mqttcore.MaximumPacketSize(l.maxPacket))
	tell(len(c.ClientID) == 0, mqttcore.AssignedClientID(id))
	tell(l.aliasMaximum > 0, mqttcore.TopicAliasMaximum(l.aliasMaximum))
	tell(l.noWildcards, mqttcore.WildcardAvailable(0))
	tell(l.noIdentifiers, mqttcore.SubscriptionIDsAvailable(0))
	tell(l.noShared, mqttcore.SharedAvailable(0))
	n, ok := cfg.keepAlive(c.KeepAlive)
	tell(ok, mqttcore.ServerKeepAlive(n))
	asked, _ := c.Props.RequestResponseInfo()
	tell(asked == 1 && cfg.ResponseInfo != "", mqttcore.ResponseInfo(cfg.ResponseInfo))
	if l.auth != nil {
		tell(true, mqttcore.AuthMethod(l.auth.Method))
		tell(final != nil, mqttcore.AuthData(final))
	}
	return p
}

// challenge sends the challenge of the round, or ends an authentication that has
// come through all.
func (l *link) challenge() {
	if l.round < len(l.auth.Rounds) {
		l.until = l.b.now + connectPatience
		l.sendAuth(mqttcore.ReasonContinueAuthentication, l.auth.Rounds[l.round].Challenge)
		l.b.arm(l)
		return
	}
	if l.state == linkAuthenticating {
		l.accept(l.auth.Final)
		return
	}
	l.round = -1
	l.sendAuth(mqttcore.ReasonSuccess, l.auth.Final)
}

func (l *link) sendAuth(code mqttcore.ReasonCode, data []byte) {
	p := &mqttcore.Auth{Code: code, Props: l.remarks(false)}
	l.add(&p.Props, mqttcore.AuthMethod(l.auth.Method))
	if data != nil {
		l.add(&p.Props, mqttcore.AuthData(data))
	}
	l.send(p)
}

// authenticate handles AUTH.
func (l *link) authenticate(p *mqttcore.Auth) {
	method, _ := p.Props.AuthMethod()
	data, _ := p.Props.AuthData()
	protocol := mqttcore.ReasonProtocolError
	switch {
	case l.auth == nil:
		l.fault(protocol, "5.0:MQTT-4.12.0-7", "AUTH, and CONNECT named no method")
	case string(method) != l.auth.Method:
		l.fault(protocol, "5.0:MQTT-4.12.0-5", "AUTH of another method than CONNECT's")
	case p.Code == mqttcore.ReasonReAuthenticate && l.state != linkConnected:
		l.fault(protocol, "5.0:MQTT-4.12.1-1", "re-authentication before CONNACK")
	case p.Code == mqttcore.ReasonReAuthenticate && l.round >= 0:
		l.fault(protocol, "5.0:MQTT-4.12.1-1", "re-authentication during another one")
	case p.Code == mqttcore.ReasonReAuthenticate:
		l.round = 0
		l.challenge()
	case l.round < 0:
		l.fault(protocol, "5.0:MQTT-4.12.0-3", "AUTH that answers nothing")
	case string(data) != string(l.auth.Rounds[l.round].Answer):
		l.disconnect(mqttcore.ReasonNotAuthorized, "")
	default:
		l.round++
		l.challenge()
	}
}
