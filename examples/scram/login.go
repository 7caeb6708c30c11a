// This file holds the login: it carries the messages of SCRAM in the packets of
// MQTT's enhanced authentication (5.0 §4.12), on the client's side. It may be
// copied, with scram.go.

package main

import (
	"time"

	"mqttcore"
)

// login authenticates a client, and its server to it:
//
//	when connecting        CONNECT  >  client-first     again later  AUTH 0x19  >
//	                                <  server-first     <  AUTH 0x18
//	                     AUTH 0x18  >  client-final                  AUTH 0x18  >
//	                                <  server-final     <  AUTH 0x00
//
// where on the left AUTH 0x18 and CONNACK bring the server's messages.
type login struct {
	user, password string
	nonce          func() string // rand.Text of crypto/rand
	scram          *scramClient  // the exchange under way, or the last one
	err            error         // why the client gave up
}

// begin starts an exchange and returns the properties that belong into CONNECT.
// Since its nonce is for one connection alone, the next one needs properties
// anew, and with them a new Client, which goes on with the same Session.
func (l *login) begin() (p mqttcore.Properties, err error) {
	l.scram, err = newScramClient(l.user, l.password, l.nonce())
	if err != nil {
		return p, err
	}
	return authProperties(l.scram.first())
}

// again starts a re-authentication on a connection. Other traffic goes on. If it
// fails, an exchange that is under way goes on, too.
func (l *login) again(c *mqttcore.Client, out []byte, now time.Time) ([]byte, error) {
	before := l.scram
	p, err := l.begin()
	if err == nil {
		out, err = c.Auth(out, now, &mqttcore.Auth{Code: mqttcore.ReasonReAuthenticate, Props: p})
	}
	if err != nil {
		l.scram = before
	}
	return out, err
}

// on does what an event means for the authentication; the loop gives it every
// event. out is what was not yet handed to the transport.
func (l *login) on(c *mqttcore.Client, out []byte, now time.Time, ev *mqttcore.Event) []byte {
	data, _ := ev.Props.AuthData()
	var err error
	switch ev.Kind {
	case mqttcore.EventAuthChallenge:
		answer := mqttcore.Auth{Code: mqttcore.ReasonContinueAuthentication}
		var final string
		if final, err = l.scram.final(string(data)); err == nil {
			answer.Props, err = authProperties(final)
		}
		if err == nil {
			out, err = c.Auth(out, now, &answer)
		}
	case mqttcore.EventAuthDone:
		err = l.scram.verify(string(data))
	}
	if err != nil {
		// At the other end is not the server, whatever it accepted. Nothing
		// goes there, least of all messages that waited for CONNACK, which are
		// in out already. (To the session they are sent: they go out again with
		// DUP when it is resumed, and are told as dropped when it is not.) The
		// code is 0x83, for 0x87 is a server's. EventConnected may still come,
		// and then EventClosed.
		l.err = err
		out, _ = c.Disconnect(out[:0], now, &mqttcore.Disconnect{Code: mqttcore.ReasonImplementationSpecificError})
	}
	return out
}

// authProperties are those of a packet that carries a message of SCRAM. They
// fail with an *mqttcore.Error when it is longer than 65,535 bytes, which the
// other side's nonce can make it.
func authProperties(message string) (mqttcore.Properties, error) {
	return mqttcore.NewProperties(mqttcore.AuthMethod(method), mqttcore.AuthData(message))
}
