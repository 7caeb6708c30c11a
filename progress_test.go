// This file tests progress: the steps of messages, their order and their
// number.

package mqttcore

import (
	"errors"
	"testing"
)

// TestProgress follows messages of both directions.
func TestProgress(t *testing.T) {
	ack := func(typ PacketType, id uint16, code ReasonCode) *Ack { return &Ack{Type: typ, ID: id, Code: code} }
	cfg := Config{Progress: true, Props: propsOf(SessionExpiry(60))}
	for _, row := range []struct {
		name string
		do   func(r *rig)
		want []string
	}{
		{"out, QoS 1", func(r *rig) {
			r.publish(*message("a", "", QoS1, 0), 5)
			r.server(&Ack{Type: TypePubAck, ID: 1, Props: propsOf(ReasonString("why"))})
		}, []string{
			`> PUBLISH a q1 id=1 0 bytes`,
			`progress: queued, message of client tag=5`,
			`progress: sent, message of client tag=5 id=1`,
			`progress: acknowledged, message of client tag=5 id=1 {Reason String: why}`,
			`published tag=5 {Reason String: why}`,
		}},
		{"out, QoS 2", func(r *rig) {
			r.publish(*message("a", "", QoS2, 0), 5)
			r.server(ack(TypePubRec, 1, 0x10), ack(TypePubComp, 1, 0))
		}, []string{
			`> PUBLISH a q2 id=1 0 bytes`,
			`progress: queued, message of client tag=5`,
			`progress: sent, message of client tag=5 id=1`,
			`> PUBREL id=1`,
			`progress: received, message of client tag=5 id=1, No matching subscribers`,
			`progress: released, message of client tag=5 id=1`,
			`progress: completed, message of client tag=5 id=1`,
			`published tag=5`,
		}},
		{"out, refused", func(r *rig) {
			r.publish(*message("a", "", QoS2, 0), 5)
			r.server(ack(TypePubRec, 1, 0x87))
		}, []string{
			`> PUBLISH a q2 id=1 0 bytes`,
			`progress: queued, message of client tag=5`,
			`progress: sent, message of client tag=5 id=1`,
			`progress: received, message of client tag=5 id=1, Not authorized`,
			`dropped tag=5: refused, Not authorized`,
		}},
		{"out, again", func(r *rig) {
			r.publish(*message("a", "", QoS2, 0), 5)
			r.publish(*message("b", "", QoS1, 0), 6)
			r.server(ack(TypePubRec, 1, 0))
			r.log = nil
			r.lost()
			r.connect(&ConnAck{SessionPresent: true})
		}, []string{
			`closed: transport invalid`,
			reconnect,
			`> PUBREL id=1`,
			`> PUBLISH b q1 id=2 dup 0 bytes`,
			`connected session present`,
			`progress: released, message of client tag=5 id=1`,
			`progress: resent, message of client tag=6 id=2`,
		}},
		{"out, of the wrong kind", func(r *rig) {
			r.publish(*message("a", "", QoS1, 0), 5)
			r.log = nil
			r.server(ack(TypePubRec, 1, 0))
			r.log = r.log[:1] // the text of the violation is not at stake
		}, []string{`> DISCONNECT Protocol Error`}},
		{"in, QoS 0", func(r *rig) { r.server(message("a", "", QoS0, 0)) }, []string{`message PUBLISH a q0 0 bytes`}},
		{"in, QoS 1", func(r *rig) { r.server(message("a", "", QoS1, 9)) }, []string{
			`> PUBACK id=9`,
			`progress: published, message of server id=9`,
			`progress: acknowledged, message of server id=9`,
			`message PUBLISH a q1 id=9 0 bytes`,
		}},
		{"in, QoS 2, twice", func(r *rig) {
			r.server(message("a", "", QoS2, 9), message("a", "", QoS2, 9), ack(TypePubRel, 9, 0), ack(TypePubRel, 9, 0x92))
		}, []string{
			`> PUBREC id=9`,
			`progress: published, message of server id=9`,
			`progress: received, message of server id=9`,
			`message PUBLISH a q2 id=9 0 bytes`,
			`> PUBREC id=9`,
			`progress: received, message of server id=9`,
			`> PUBCOMP id=9`,
			`progress: released, message of server id=9`,
			`progress: completed, message of server id=9`,
			`> PUBCOMP id=9 Packet Identifier not found`,
			`progress: released, message of server id=9, Packet Identifier not found`,
			`progress: completed, message of server id=9, Packet Identifier not found`,
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t, cfg, nil, &ConnAck{})
			row.do(r)
			r.want(row.want...)
		})
	}
}

// TestProgressOff: nothing is told that was not asked for.
func TestProgressOff(t *testing.T) {
	r := newRig(t, Config{}, nil, &ConnAck{})
	r.publish(*message("a", "", QoS1, 0), 5)
	r.server(&Ack{Type: TypePubAck, ID: 1})
	r.want(`> PUBLISH a q1 id=1 0 bytes`, `published tag=5`)
}

// TestProgressBounded: steps that nobody takes stop the client, and do not pile
// up, however slowly they are taken.
func TestProgressBounded(t *testing.T) {
	r := newRig(t, Config{Progress: true, MaxQueued: 10_000}, nil, &ConnAck{})
	p := message("a", "", QoS1, 0)
	n := 0
	for ; ; n++ {
		out, err := r.c.Publish(nil, r.now, p, 1)
		if err != nil {
			if !errors.Is(err, ErrPending) || len(out) != 0 {
				t.Fatal(err)
			}
			break
		}
	}
	if n == 0 || r.c.progress.untold() > maxSteps+2 {
		t.Fatalf("%d messages, %d steps", n, r.c.progress.untold())
	}
	var ev Event
	for range 100_000 { // one message for two steps: some are always left
		r.c.Next(&ev)
		if r.c.Next(&ev); ev.Kind != EventProgress {
			t.Fatal(&ev)
		}
		if _, err := r.c.Publish(nil, r.now, p, 1); err != nil {
			if errors.Is(err, ErrQueueFull) {
				break
			}
			t.Fatal(err)
		}
	}
	if got := cap(r.c.progress.steps.items); got > 8*maxSteps {
		t.Errorf("room for %d steps", got)
	}

	// A long resend comes in parts, as the steps are taken.
	s := newRig(t, Config{Progress: true, Burst: 1 << 30, Props: propsOf(SessionExpiry(60))}, nil, &ConnAck{})
	for range 3000 {
		s.publish(*p, 1)
	}
	s.lost()
	if _, err := s.c.Connect(nil, s.now); err != nil {
		t.Fatal(err)
	}
	in := mustAppend(&ConnAck{SessionPresent: true}, s.dialect(FromServer))
	if _, _, err := s.c.Receive(nil, s.now, in); err != nil {
		t.Fatal(err)
	}
	for resent, i := 0, 0; resent < 3000; i++ {
		if untold := s.c.progress.untold(); i > 100 || untold > maxSteps || untold == maxSteps && s.c.More() {
			t.Fatalf("%d resent, %d steps wait, more is %v", resent, untold, s.c.More())
		}
		for s.c.Next(&ev) {
			if ev.Kind == EventProgress {
				resent++
			}
		}
		if s.c.More() != (resent < 3000) {
			t.Fatalf("%d resent, more is %v", resent, s.c.More())
		}
		s.c.Tick(nil, s.now)
	}
}
