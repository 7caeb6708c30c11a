// This file holds speaker: a client that says what it is told to, legal or not,
// and keeps in the transcript what it is answered. It has no client of the
// core's in it. The scenarios that it is for stand in wordbyword_test.go.

package interop

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"mqttcore"
	"mqttcore/trace"
)

// scene is a broker with its speakers.
type scene struct {
	t        *testing.T
	h        host
	v        mqttcore.Version
	speakers []*speaker
}

// speaker is one connection.
type speaker struct {
	s    *scene
	wire *wire
	page *page
	in   []byte
	// What it answers to PUBLISH, PUBREC and PUBREL by itself: nothing when it is
	// rude.
	rude  bool
	heard int // packets, PINGRESP aside
	pongs int
	over  bool
	got   []mqttcore.Packet
}

// dial opens a connection. What is said on it stands under the name.
func (s *scene) dial(name string) *speaker {
	s.t.Helper()
	w, err := dial(s.h.Addr, new(trace.Recorder), nil, faults{})
	if err != nil {
		s.t.Fatal(err)
	}
	k := &speaker{s: s, wire: w, page: s.h.book.page(name, s.v)}
	s.t.Cleanup(func() {
		k.page.ended(byTest)
		w.faults.reset = true
		w.end("end of the test")
	})
	s.speakers = append(s.speakers, k)
	return k
}

// connect opens a connection with a clean session that ends with it, or with what
// change makes of that, and waits for the answer.
func (s *scene) connect(name string, change ...func(*mqttcore.Connect)) *speaker {
	s.t.Helper()
	return s.dial(name).connect(name, change...)
}

func (k *speaker) connect(name string, change ...func(*mqttcore.Connect)) *speaker {
	k.s.t.Helper()
	c := &mqttcore.Connect{ClientID: []byte(name), CleanStart: true}
	for _, f := range change {
		f(c)
	}
	k.send(c)
	for end := time.Now().Add(limit); k.heard == 0 && !k.over; {
		k.hear(end)
	}
	return k
}

// kept makes a session that outlives its connection, by so many seconds in 5.0.
func (s *scene) kept(seconds uint32) func(*mqttcore.Connect) {
	return func(c *mqttcore.Connect) {
		c.CleanStart = false
		c.Props = props(s.t, s.v, mqttcore.SessionExpiry(seconds))
	}
}

// hear reads once and takes what came.
func (k *speaker) hear(until time.Time) {
	buf := make([]byte, 4096)
	k.wire.conn.SetReadDeadline(until)
	n, err := k.wire.conn.Read(buf)
	k.in = append(k.in, buf[:n]...)
	d := mqttcore.Dialect{Version: k.s.v, From: fromServer}
	for {
		f, n, bad := mqttcore.ConsumeFrame(k.in, d, 0)
		if n == 0 {
			if bad != nil {
				k.s.t.Errorf("the broker says % x: %v", k.in, bad)
				k.in = nil
			}
			break
		}
		p, _ := mqttcore.Decode(f.Clone(), d) // nil: a CONNACK of another version
		k.take(p, k.in[:n])
		k.in = k.in[n:]
	}
	if err != nil && !isTimeout(err) {
		k.over = true
		k.page.ended(byServer)
	}
}

func isTimeout(err error) bool {
	late, ok := err.(interface{ Timeout() bool })
	return ok && late.Timeout()
}

// take notes a packet and answers it.
func (k *speaker) take(p mqttcore.Packet, b []byte) {
	if p == nil || p.PacketType() != mqttcore.TypePingResp {
		k.heard++
		k.page.passed(fromServer, b)
	} else {
		k.pongs++
	}
	k.got = append(k.got, p)
	answer := &mqttcore.Ack{}
	switch p := p.(type) {
	case *mqttcore.Publish:
		answer.ID = p.ID
		answer.Type = map[mqttcore.QoS]mqttcore.PacketType{1: mqttcore.TypePubAck, 2: mqttcore.TypePubRec}[p.QoS]
	case *mqttcore.Ack:
		answer.ID = p.ID
		answer.Type = map[mqttcore.PacketType]mqttcore.PacketType{
			mqttcore.TypePubRec: mqttcore.TypePubRel, mqttcore.TypePubRel: mqttcore.TypePubComp}[p.Type]
		if p.Code.IsError() {
			return
		}
	}
	if answer.Type != 0 && !k.rude {
		k.send(answer)
	}
}

// send writes packets.
func (k *speaker) send(ps ...mqttcore.Packet) {
	k.s.t.Helper()
	for _, p := range ps {
		b, err := p.AppendTo(nil, mqttcore.Dialect{Version: k.s.v, From: fromClient})
		if err != nil {
			k.s.t.Fatalf("%v: %v", p, err)
		}
		k.page.passed(fromClient, b)
		k.write(b)
	}
}

func (k *speaker) write(b []byte) {
	k.wire.conn.SetWriteDeadline(time.Now().Add(limit))
	_, _ = k.wire.conn.Write(b) // when it fails, reading does
}

// say writes packets, and waits until all that follows from them has happened.
func (k *speaker) say(ps ...mqttcore.Packet) {
	k.s.t.Helper()
	k.send(ps...)
	k.s.settle()
}

// bytes writes what no packet is, in hexadecimal with blanks where wanted. A
// broker that ends the connection for it gets the time to do so.
func (k *speaker) bytes(text string) {
	k.s.t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		k.s.t.Fatal(err)
	}
	k.page.passed(fromClient, b)
	k.write(b)
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end) && !k.over; {
		k.hear(end)
	}
}

// end closes the connection without a word.
func (k *speaker) end() {
	k.page.ended(byClient)
	k.over = true
	k.wire.end("end")
}

// leave says goodbye, and waits until the broker has taken note.
func (k *speaker) leave(d mqttcore.Disconnect) {
	k.s.t.Helper()
	k.send(&d)
	k.end()
}

// settle goes round all connections until none has anything more to say: a
// broker answers PINGREQ after all that it has to say before.
func (s *scene) settle() {
	s.t.Helper()
	for quiet := false; !quiet; {
		quiet = true
		for _, k := range s.speakers {
			before, want := k.heard, k.pongs+1
			if !k.over {
				b, _ := (&mqttcore.Ping{Type: mqttcore.TypePingReq}).AppendTo(nil, mqttcore.Dialect{Version: s.v, From: fromClient})
				k.write(b)
			}
			for end := time.Now().Add(limit); k.pongs < want && !k.over; k.hear(end) {
				if time.Now().After(end) {
					s.t.Fatal("neither PINGRESP nor the end")
				}
			}
			quiet = quiet && k.heard == before
		}
	}
}

// message makes a PUBLISH.
func (s *scene) message(topic, payload string, q mqttcore.QoS, id uint16) *mqttcore.Publish {
	return &mqttcore.Publish{Topic: []byte(topic), Payload: []byte(payload), QoS: q, ID: id}
}

// subscribe makes a SUBSCRIBE of filters, all at one QoS.
func (s *scene) subscribe(q mqttcore.QoS, filters ...string) *mqttcore.Subscribe {
	s.t.Helper()
	p := &mqttcore.Subscribe{ID: 1}
	for _, f := range filters {
		if err := p.Subscriptions.Add(mqttcore.Subscription{Filter: []byte(f), QoS: q}); err != nil {
			s.t.Fatal(err)
		}
	}
	return p
}

// ack makes an acknowledgement.
func ack(t mqttcore.PacketType, id uint16, code mqttcore.ReasonCode) *mqttcore.Ack {
	return &mqttcore.Ack{Type: t, ID: id, Code: code}
}
