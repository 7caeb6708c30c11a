// This file holds what an application does wrong: commands that fail. One that
// fails changes nothing, as is looked at here.

package sim

import (
	"bytes"
	"time"

	"mqttcore"
)

// lookEvery is of how many commands one is looked at closely, which takes time.
const lookEvery = 64

// attempt gives a command. When it fails, the client is as before, and so is
// what was to be written.
func (a *App) attempt(command func() error) {
	a.tries++
	if err := a.try(command, a.tries%lookEvery == 0); err != nil {
		a.Ledger.seen("misuse: ", err.Error())
	}
}

// try is attempt; closely is whether the whole state is compared.
func (a *App) try(command func() error, closely bool) error {
	was, now := len(a.out), a.h.Now()
	b := &a.Ledger.scratch
	if closely {
		b[0] = a.c.AppendState(b[0][:0], now)
		b[1] = append(b[1][:0], a.out...)
	}
	err := command()
	if err == nil {
		return nil
	}
	if len(a.out) != was || closely && !bytes.Equal(a.out, b[1]) {
		a.Ledger.fail(a, "a command wrote something, and failed: %v", err)
	}
	if closely {
		if b[2] = a.c.AppendState(b[2][:0], now); !bytes.Equal(b[0], b[2]) {
			a.Ledger.fail(a, "a command changed something, and failed: %v", err)
		}
	}
	return err
}

// misuses are calls that fail in every state and version.
var misuses = [...]struct {
	name string
	call func(c *mqttcore.Client, out []byte, now time.Time) ([]byte, error)
}{
	{"PUBLISH to a filter", func(c *mqttcore.Client, out []byte, now time.Time) ([]byte, error) {
		return c.Publish(out, now, &mqttcore.Publish{Topic: []byte("topic/+"), QoS: mqttcore.QoS1}, nobody)
	}},
	{"PUBLISH to nothing", func(c *mqttcore.Client, out []byte, now time.Time) ([]byte, error) {
		return c.Publish(out, now, &mqttcore.Publish{QoS: mqttcore.QoS2}, nobody)
	}},
	{"PUBLISH at QoS 3", func(c *mqttcore.Client, out []byte, now time.Time) ([]byte, error) {
		return c.Publish(out, now, &mqttcore.Publish{Topic: []byte("topic/0"), QoS: 3}, nobody)
	}},
	{"SUBSCRIBE to nothing", func(c *mqttcore.Client, out []byte, now time.Time) ([]byte, error) {
		return c.Subscribe(out, now, &mqttcore.Subscribe{}, nobody)
	}},
	{"UNSUBSCRIBE from nothing", func(c *mqttcore.Client, out []byte, now time.Time) ([]byte, error) {
		return c.Unsubscribe(out, now, &mqttcore.Unsubscribe{}, nobody)
	}},
	{"acknowledgement of nothing", func(c *mqttcore.Client, out []byte, now time.Time) ([]byte, error) {
		return c.Ack(out, now, 0, mqttcore.ReasonSuccess, mqttcore.Properties{})
	}},
	{"acknowledgement of what never came", func(c *mqttcore.Client, out []byte, now time.Time) ([]byte, error) {
		return c.Ack(out, now, 1<<63|1, mqttcore.ReasonSuccess, mqttcore.Properties{})
	}},
	{"DISCONNECT of a server's reason", func(c *mqttcore.Client, out []byte, now time.Time) ([]byte, error) {
		return c.Disconnect(out, now, &mqttcore.Disconnect{Code: mqttcore.ReasonServerShuttingDown})
	}},
	{"AUTH without a method", func(c *mqttcore.Client, out []byte, now time.Time) ([]byte, error) {
		return c.Auth(out, now, &mqttcore.Auth{Code: mqttcore.ReasonReAuthenticate})
	}},
	{"CONNECT while connected, PINGREQ while not", func(c *mqttcore.Client, out []byte, now time.Time) ([]byte, error) {
		if c.State() != mqttcore.StateDisconnected {
			return c.Connect(out, now)
		}
		return c.Ping(out, now)
	}},
	{"another configuration while connected, input while not", func(c *mqttcore.Client, out []byte, now time.Time) ([]byte, error) {
		if c.State() != mqttcore.StateDisconnected {
			return out, c.Configure(mqttcore.Config{ClientID: []byte("other")})
		}
		out, _, err := c.Receive(out, now, []byte{0xD0, 0})
		return out, err
	}},
}

// nobody is the tag of what is never accepted.
const nobody = tagBit - 1

// misuse calls the client as it must not be called.
func (a *App) misuse() {
	m := &misuses[a.src().Intn(len(misuses))]
	a.Ledger.seen("misuse: ", m.name)
	err := a.try(func() (err error) {
		a.out, err = m.call(a.c, a.out, a.h.Now())
		return err
	}, true)
	if err == nil {
		a.Ledger.fail(a, "no error: %s", m.name)
	}
}
