// This file holds rig, a client with a server that the test plays by hand. What
// the client sends and tells is a log of lines, which a test compares with what
// it wants. It checks nothing itself.

package mqttcore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type rig struct {
	testing.TB
	c      *Client
	now    time.Time
	log    []string   // since the last look: what was sent, after ">", and what was told
	tokens []AckToken // as they came
}

// newRig makes a client on a session and accepts its connection, if ack is not
// nil. The log is empty then.
func newRig(t testing.TB, cfg Config, s *Session, ack *ConnAck) *rig {
	t.Helper()
	if cfg.ClientID == nil {
		cfg.ClientID = []byte("me")
	}
	c, err := NewClient(cfg, s)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{TB: t, c: c, now: scriptStart}
	if ack != nil {
		r.connect(ack)
		r.log = nil
	}
	return r
}

func (r *rig) dialect(from Role) Dialect { return Dialect{Version: r.c.cfg.Version, From: from} }

func (r *rig) connect(ack *ConnAck) {
	r.Helper()
	r.do(r.c.Connect(nil, r.now))
	r.server(ack)
}

func (r *rig) lost() {
	r.Helper()
	r.c.Lost(r.now, nil)
	r.do(nil, nil)
}

// do takes what a call returned.
func (r *rig) do(out []byte, err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
	for len(out) > 0 {
		f, n, err := ConsumeFrame(out, r.dialect(FromClient), MaxPacketSize)
		if err != nil || n == 0 {
			r.Fatalf("the client sent % x: %v", out, err)
		}
		p, err := Decode(f, r.dialect(FromClient))
		if err != nil {
			r.Fatalf("the client sent % x: %v", out[:n], err)
		}
		text, _ := p.(interface{ AppendText([]byte) ([]byte, error) }).AppendText(nil)
		r.log = append(r.log, "> "+string(text))
		out = out[n:]
	}
	r.drain()
}

func (r *rig) drain() {
	var ev Event
	for r.c.Next(&ev) {
		r.log = append(r.log, ev.String())
		if ev.Token != 0 {
			r.tokens = append(r.tokens, ev.Token)
		}
	}
}

// server sends packets.
func (r *rig) server(ps ...Packet) {
	r.Helper()
	for _, p := range ps {
		r.input(mustAppend(p, r.dialect(FromServer)))
	}
}

// input sends bytes and drains all that they bring, until the connection ends.
func (r *rig) input(in []byte) {
	r.Helper()
	for len(in) > 0 && r.c.State() != StateDisconnected {
		out, n, err := r.c.Receive(nil, r.now, in)
		r.do(out, err)
		if in = in[n:]; n == 0 {
			return
		}
	}
}

func (r *rig) publish(p Publish, tag uint64) {
	r.Helper()
	r.do(r.c.Publish(nil, r.now, &p, tag))
}

// subscribe asks for filters with one QoS and properties, and unsubscribe for
// their end.
func (r *rig) subscribe(tag uint64, q QoS, props Properties, filters ...string) {
	r.Helper()
	p := Subscribe{Props: props}
	for _, f := range filters {
		if err := p.Subscriptions.Add(Subscription{Filter: []byte(f), QoS: q}); err != nil {
			r.Fatal(err)
		}
	}
	r.do(r.c.Subscribe(nil, r.now, &p, tag))
}

func (r *rig) unsubscribe(tag uint64, filters ...string) {
	r.Helper()
	r.do(r.c.Unsubscribe(nil, r.now, &Unsubscribe{Filters: filtersOf(filters...)}, tag))
}

// want compares the log and empties it.
func (r *rig) want(lines ...string) {
	r.Helper()
	if d := cmp.Diff(strings.Join(lines, "\n"), strings.Join(r.log, "\n")); d != "" {
		r.Errorf("(-want +got):\n%s", d[:min(len(d), 4000)])
	}
	r.log = nil
}

// refused wants a call to fail and to append nothing.
func (r *rig) refused(want error, out []byte, err error) {
	r.Helper()
	if !errors.Is(err, want) || len(out) != 0 {
		r.Errorf("% x, %v; want %v", out, err, want)
	}
	r.drain()
}

// message is a PUBLISH.
func message(topic, payload string, q QoS, id uint16, ps ...Property) *Publish {
	p := &Publish{Topic: []byte(topic), Payload: []byte(payload), QoS: q, ID: id}
	if len(ps) > 0 {
		p.Props = propsOf(ps...)
	}
	return p
}
