// This file tests topic aliases in both directions (5.0 §3.3.2.3.4).

package mqttcore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// aliasing accepts that many aliases.
func aliasing(n uint16) *ConnAck { return &ConnAck{Props: propsOf(TopicAliasMaximum(n))} }

// TestAliasesAssigned: the one that was used least recently goes to a new
// topic, and each connection begins with none (MQTT-3.3.2-7).
func TestAliasesAssigned(t *testing.T) {
	r := newRig(t, Config{TopicAliases: 2}, nil, aliasing(5))
	for _, topic := range []string{"aaaa", "bbbb", "aaaa", "cccc", "aaaa", "bbbb", "abc"} {
		r.publish(*message(topic, "", QoS0, 0), 0)
	}
	r.want(
		`> PUBLISH aaaa q0 0 bytes {Topic Alias: 1}`,
		`> PUBLISH bbbb q0 0 bytes {Topic Alias: 2}`,
		`> PUBLISH "" q0 0 bytes {Topic Alias: 1}`,
		`> PUBLISH cccc q0 0 bytes {Topic Alias: 2}`, // bbbb was the oldest
		`> PUBLISH "" q0 0 bytes {Topic Alias: 1}`,
		`> PUBLISH bbbb q0 0 bytes {Topic Alias: 2}`,
		`> PUBLISH abc q0 0 bytes`, // no longer than the alias
	)
	for _, max := range []uint16{0, 1} {
		r.lost()
		r.connect(aliasing(max))
		r.log = nil
		r.publish(*message("aaaa", "", QoS0, 0), 0)
		r.publish(*message("bbbb", "", QoS0, 0), 0)
		if max == 0 {
			r.want(`> PUBLISH aaaa q0 0 bytes`, `> PUBLISH bbbb q0 0 bytes`)
		} else {
			r.want(`> PUBLISH aaaa q0 0 bytes {Topic Alias: 1}`, `> PUBLISH bbbb q0 0 bytes {Topic Alias: 1}`)
		}
	}
	r.lost()
	r.connect(&ConnAck{}) // the property is absent: 0
	r.log = nil
	r.publish(*message("aaaa", "", QoS0, 0), 0)
	r.want(`> PUBLISH aaaa q0 0 bytes`)
}

// TestAliasTable compares the table with a slice in the order of use.
func TestAliasTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 3, 8, 100} {
		table := newAliasTable(uint16(n))
		var order []string // oldest first
		known := map[string]uint16{}
		for range 5000 {
			topic := fmt.Sprint("topic ", rng.IntN(2*n))
			alias, ok := table.assign([]byte(topic))
			if alias < 1 || int(alias) > n {
				t.Fatalf("alias %d of %d", alias, n)
			}
			at := slices.Index(order, topic)
			if ok != (at >= 0) || ok && known[topic] != alias {
				t.Fatalf("%s: alias %d, known %v; want %d, %v", topic, alias, ok, known[topic], at >= 0)
			}
			switch {
			case at >= 0:
				order = slices.Delete(order, at, at+1)
			case len(order) == n:
				if known[order[0]] != alias {
					t.Fatalf("alias %d was taken, the oldest is %d", alias, known[order[0]])
				}
				delete(known, order[0])
				order = order[1:]
			}
			order = append(order, topic)
			known[topic] = alias
		}
	}
}

// TestAliasesStored: a stored message keeps its topic and no alias, and on
// another connection it goes out by that connection's aliases.
func TestAliasesStored(t *testing.T) {
	r := newRig(t, Config{TopicAliases: 2, Journal: true, Props: propsOf(SessionExpiry(60))}, nil, aliasing(2))
	r.publish(*message("aaaa", "", QoS0, 0), 0)
	r.publish(*message("aaaa", "1", QoS1, 0, ContentType("t")), 1)
	r.publish(*message("bbbb", "2", QoS2, 0), 2)
	r.want(
		`> PUBLISH aaaa q0 0 bytes {Topic Alias: 1}`,
		`> PUBLISH "" q1 id=1 1 byte "1" {Topic Alias: 1, Content Type: t}`,
		`> PUBLISH bbbb q2 id=2 1 byte "2" {Topic Alias: 2}`,
	)
	var op Op
	for puts := 0; r.c.NextOp(&op); {
		if op.Kind == OpPut {
			want := []string{"aaaa", "bbbb"}[puts]
			puts++
			if string(op.Topic) != want || op.Props.Mask().Has(PropTopicAlias) {
				t.Errorf("the journal has topic %q, %v", op.Topic, op.Props)
			}
		}
	}
	for m := range r.c.Session().Outgoing() {
		if len(m.Message.Topic) != 4 || m.Message.Props.Mask().Has(PropTopicAlias) {
			t.Errorf("stored: %v", m.Message)
		}
	}
	r.lost()
	r.log = nil
	r.connect(&ConnAck{SessionPresent: true, Props: propsOf(TopicAliasMaximum(1))})
	r.want(
		"> CONNECT me keepalive=0 {Session Expiry Interval: 60}",
		`> PUBLISH aaaa q1 id=1 dup 1 byte "1" {Topic Alias: 1, Content Type: t}`,
		`> PUBLISH bbbb q2 id=2 dup 1 byte "2" {Topic Alias: 1}`,
		"connected session present {Topic Alias Maximum: 1}",
	)
}

// TestAliasesFit: an alias makes no packet larger than the server takes, for
// every size around its limit.
func TestAliasesFit(t *testing.T) {
	for _, limit := range []uint32{60, 200, 300} {
		for size := range int(limit) {
			r := newRig(t, Config{TopicAliases: 1}, nil,
				&ConnAck{Props: propsOf(TopicAliasMaximum(1), MaximumPacketSize(limit))})
			p := message("aaaa", strings.Repeat("x", size), QoS0, 0, CorrelationData(make([]byte, min(size, 120))))
			for range 2 {
				out, err := r.c.Publish(nil, r.now, p, 0)
				if err != nil && !errors.Is(err, ErrTooLarge) || len(out) > int(limit) {
					t.Fatalf("%d bytes, limit %d: %d bytes, %v", size, limit, len(out), err)
				}
			}
		}
	}
	// The largest fixed header, and properties whose size gets longer.
	r := newRig(t, Config{TopicAliases: 1}, nil, aliasing(1))
	p := message("aaaa", strings.Repeat("x", 1<<21), QoS0, 0, CorrelationData(make([]byte, 124)))
	plain := p.Size(r.dialect(FromClient))
	for more := range 12 {
		r.c.lim.MaximumPacketSize = uint32(plain + more)
		r.c.aliases().assigned = newAliasTable(1)
		if out, err := r.c.Publish(nil, r.now, p, 0); err != nil || len(out) > plain+more {
			t.Errorf("%d bytes, limit %d: %v", len(out), plain+more, err)
		}
	}
}

// TestAliasesChosen: the caller's own aliases.
func TestAliasesChosen(t *testing.T) {
	r := newRig(t, Config{}, nil, aliasing(3))
	fails := func(p *Publish) {
		t.Helper()
		out, err := r.c.Publish(nil, r.now, p, 0)
		r.refused(ErrTopicAlias, out, err)
	}
	fails(message("", "", QoS0, 0, TopicAlias(1)))
	fails(message("a", "", QoS0, 0, TopicAlias(4)))
	r.publish(*message("a", "", QoS0, 0, TopicAlias(1)), 0)
	r.publish(*message("", "1", QoS0, 0, TopicAlias(1)), 0)
	r.publish(*message("b", "", QoS0, 0, TopicAlias(1)), 0)
	r.publish(*message("", "2", QoS1, 0, TopicAlias(1)), 1) // stored under its topic
	fails(message("", "", QoS1, 0, TopicAlias(2)))
	r.publish(*message("c", "", QoS1, 0, TopicAlias(2)), 2)
	fails(message("", "", QoS0, 0, TopicAlias(2))) // the server was not told
	r.want(
		`> PUBLISH a q0 0 bytes {Topic Alias: 1}`,
		`> PUBLISH "" q0 1 byte "1" {Topic Alias: 1}`,
		`> PUBLISH b q0 0 bytes {Topic Alias: 1}`,
		`> PUBLISH b q1 id=1 1 byte "2"`,
		`> PUBLISH c q1 id=2 0 bytes`,
	)
	r.lost()
	fails(message("a", "", QoS1, 0, TopicAlias(1))) // no connection
	r.connect(aliasing(3))
	fails(message("", "", QoS0, 0, TopicAlias(1))) // a new one

	// The size that counts is that with the topic.
	r.publish(*message(strings.Repeat("t", 50), "", QoS0, 0, TopicAlias(1)), 0)
	r.c.lim.MaximumPacketSize = 40
	out, err := r.c.Publish(nil, r.now, message("", "", QoS1, 0, TopicAlias(1)), 0)
	r.refused(ErrTooLarge, out, err)
	r.log = nil
	r.publish(*message("", "", QoS0, 0, TopicAlias(1)), 0)
	r.want(`> PUBLISH "" q0 0 bytes {Topic Alias: 1}`)

	auto := newRig(t, Config{TopicAliases: 2}, nil, aliasing(3))
	out, err = auto.c.Publish(nil, r.now, message("a", "", QoS0, 0, TopicAlias(1)), 0)
	auto.refused(ErrTopicAlias, out, err)
}

// TestAliasesInbound: each alias up to the own maximum is taken; what is above
// it, or stands for nothing, ends the connection (5.0 §3.3.4).
func TestAliasesInbound(t *testing.T) {
	const most = 3
	cfg := Config{Props: propsOf(TopicAliasMaximum(most), SessionExpiry(60))}
	present := &ConnAck{SessionPresent: true}
	r := newRig(t, cfg, nil, &ConnAck{})
	for alias := uint16(1); alias <= most; alias++ {
		r.server(message(fmt.Sprint("t", alias), "", QoS0, 0, TopicAlias(alias)))
	}
	r.server(
		message("", "", QoS0, 0, TopicAlias(2)),
		message("new", "", QoS0, 0, TopicAlias(2)),
		message("", "", QoS0, 0, TopicAlias(2)),
		message("two", "", QoS2, 1, TopicAlias(1)),
		message("again", "", QoS2, 1, TopicAlias(1)), // no second delivery, but the alias changes
		message("", "", QoS0, 0, TopicAlias(1)),
	)
	r.want(
		"message PUBLISH t1 q0 0 bytes {Topic Alias: 1}",
		"message PUBLISH t2 q0 0 bytes {Topic Alias: 2}",
		"message PUBLISH t3 q0 0 bytes {Topic Alias: 3}",
		"message PUBLISH t2 q0 0 bytes {Topic Alias: 2}",
		"message PUBLISH new q0 0 bytes {Topic Alias: 2}",
		"message PUBLISH new q0 0 bytes {Topic Alias: 2}",
		"> PUBREC id=1",
		"message PUBLISH two q2 id=1 0 bytes {Topic Alias: 1}",
		"> PUBREC id=1",
		"message PUBLISH again q0 0 bytes {Topic Alias: 1}",
	)
	for _, bad := range []struct {
		name string
		in   []byte
		code ReasonCode
	}{
		{"one of the last connection", mustAppend(message("", "", QoS0, 0, TopicAlias(1)), r.dialect(FromServer)), ReasonProtocolError},
		{"above the maximum", mustAppend(message("t", "", QoS0, 0, TopicAlias(most+1)), r.dialect(FromServer)), ReasonTopicAliasInvalid},
		{"0", []byte{0x30, 7, 0, 1, 't', 3, 0x23, 0, 0}, ReasonTopicAliasInvalid},
	} {
		t.Run(bad.name, func(t *testing.T) {
			r.TB = t
			if r.c.State() != StateDisconnected {
				r.lost()
			}
			r.connect(present)
			r.log = nil
			r.input(bad.in)
			if r.c.closed.code != bad.code || len(r.log) != 2 || !strings.HasPrefix(r.log[0], "> DISCONNECT") {
				t.Errorf("%v; want %v", r.log, bad.code)
			}
		})
	}
	none := newRig(t, Config{}, nil, &ConnAck{})
	none.server(message("t", "", QoS0, 0, TopicAlias(1)))
	if none.c.closed.code != ReasonTopicAliasInvalid {
		t.Errorf("an alias without maximum: %v", none.log)
	}
}

// TestAliasAfterRemap: a topic that stood behind an alias holds for its event.
func TestAliasAfterRemap(t *testing.T) {
	r := newRig(t, Config{Props: propsOf(TopicAliasMaximum(1))}, nil, &ConnAck{})
	r.server(message("aaa", "", QoS0, 0, TopicAlias(1)))
	in := mustAppend(message("", "", QoS0, 0, TopicAlias(1)), r.dialect(FromServer))
	if _, _, err := r.c.Receive(nil, r.now, in); err != nil {
		t.Fatal(err)
	}
	twin := r.c.Clone() // the event waits in both
	r.drain()
	r.server(message("bbb", "", QoS0, 0, TopicAlias(1)))
	var ev Event
	if !twin.Next(&ev) || string(ev.Message.Topic) != "aaa" {
		t.Errorf("%v; want the topic aaa", &ev)
	}
}
