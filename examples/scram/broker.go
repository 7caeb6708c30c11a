// This file holds the broker of the demonstration and the tests: as much of a
// server as authentication needs. It opens nothing either, and has one
// connection at a time.

package main

import (
	"fmt"

	"mqttcore"
)

// broker authenticates its client, acknowledges messages of QoS 1, and sends
// every message back at QoS 0.
type broker struct {
	users map[string]credentials
	nonce func() string
	// meddle, unless nil, sees each packet before it is sent; what it returns is
	// sent in its place.
	meddle func(mqttcore.Packet) mqttcore.Packet

	scram     *scramServer // nil: no exchange is under way
	user      string       // who is connected; "": nobody
	received  []string     // topics
	connected bool
}

var (
	fromClient = mqttcore.Dialect{Version: mqttcore.V5, From: mqttcore.FromClient}
	fromServer = mqttcore.Dialect{Version: mqttcore.V5, From: mqttcore.FromServer}
)

// serve takes the packets that the client wrote, whole ones, and returns those
// that answer them.
func (b *broker) serve(in []byte) (out []byte, err error) {
	for len(in) > 0 {
		f, n, err := mqttcore.ConsumeFrame(in, fromClient, 1<<16)
		if err != nil || n == 0 {
			return out, fmt.Errorf("broker: % x: %v", in, err)
		}
		in = in[n:]
		p, err := mqttcore.Decode(f, fromClient)
		if err != nil {
			return out, err
		}
		for _, answer := range b.answers(p) {
			if b.meddle != nil {
				answer = b.meddle(answer)
			}
			if out, err = answer.AppendTo(out, fromServer); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

// answers are the packets that answer p.
func (b *broker) answers(p mqttcore.Packet) []mqttcore.Packet {
	switch p := p.(type) {
	case *mqttcore.Connect:
		b.connected, b.scram = false, nil
		return []mqttcore.Packet{b.authenticate(p.Props)}
	case *mqttcore.Auth:
		return []mqttcore.Packet{b.authenticate(p.Props)}
	case *mqttcore.Publish:
		b.received = append(b.received, string(p.Topic))
		copied := []mqttcore.Packet{&mqttcore.Publish{Topic: p.Topic, Payload: p.Payload}}
		if p.QoS == mqttcore.QoS1 {
			return append(copied, &mqttcore.Ack{Type: mqttcore.TypePubAck, ID: p.ID})
		}
		return copied
	case *mqttcore.Ping:
		return []mqttcore.Packet{&mqttcore.Ping{Type: mqttcore.TypePingResp}}
	}
	return nil // DISCONNECT
}

// authenticate goes one step on with an exchange. It does not tell whether it
// was the user name or the password that was wrong.
func (b *broker) authenticate(p mqttcore.Properties) mqttcore.Packet {
	if name, _ := p.AuthMethod(); string(name) != method {
		return b.refusal(mqttcore.ReasonBadAuthenticationMethod)
	}
	data, _ := p.AuthData()
	again := b.connected
	message, done, err := b.step(string(data))
	if err == nil {
		p, err = authProperties(message)
	}
	switch {
	case err != nil:
		return b.refusal(mqttcore.ReasonNotAuthorized)
	case !done:
		return &mqttcore.Auth{Code: mqttcore.ReasonContinueAuthentication, Props: p}
	case again:
		return &mqttcore.Auth{Props: p}
	}
	return &mqttcore.ConnAck{Props: p}
}

// step answers a message of SCRAM, and tells whether the exchange is done.
func (b *broker) step(message string) (answer string, done bool, err error) {
	s := b.scram
	if s == nil {
		s, answer, err = newScramServer(message, b.users, b.nonce())
		if err == nil && b.connected && s.user != b.user {
			err = errProof // an authentication is renewed, not another's
		}
		b.scram = s
		return answer, false, err
	}
	b.scram = nil
	if answer, err = s.final(message); err == nil {
		b.connected, b.user = true, s.user
	}
	return answer, true, err
}

func (b *broker) refusal(code mqttcore.ReasonCode) mqttcore.Packet {
	if b.connected {
		b.connected = false
		return &mqttcore.Disconnect{Code: code}
	}
	return &mqttcore.ConnAck{Code: code}
}
