// This file tests what docs/asks.md lists and no script shows.

package mqttcore

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// namedTest is a part of the test in.
type namedTest struct {
	in, name string
	test     func(*testing.T)
}

func runNamed(t *testing.T, tests []namedTest) {
	for _, n := range tests {
		if n.in != t.Name() {
			t.Errorf("%s is of %s", n.name, n.in)
		}
		t.Run(n.name, n.test)
	}
}

var asks = []namedTest{
	{"TestAsks", "inspect-the-queue", asksQueue},
	{"TestAsks", "survive-a-restart", asksRestart},
	{"TestAsks", "drop-oldest", asksDropOldest},
	{"TestAsks", "automatic-topic-aliases", asksAliases},
	{"TestAsks", "large-payloads-in-parts", asksParts},
}

func TestAsks(t *testing.T) { runNamed(t, asks) }

// outgoing is what a session holds, as lines.
func outgoing(s *Session) (lines []string) {
	for m := range s.Outgoing() {
		lines = append(lines, fmt.Sprintf("%v tag=%d %s", m.State, m.Tag, &m.Message))
	}
	return lines
}

// asksHalfWay is a client with a message in each state.
func asksHalfWay(t *testing.T, cfg Config) *qtLink {
	t.Helper()
	cfg.MaxInflight = 2
	l := qtConnect(t, cfg, nil, qtAccept)
	l.publish(QoS2, 11)
	l.publish(QoS1, 12)
	l.publish(QoS1, 13)
	l.receive(&Ack{Type: TypePubRec, ID: 1})
	return l
}

var asksOutgoing = []string{
	"released tag=11 PUBLISH \"\" q2 id=1 0 bytes",
	"sent tag=12 PUBLISH a q1 id=2 0 bytes",
	"queued tag=13 PUBLISH a q1 0 bytes",
}

func asksQueue(t *testing.T) {
	l := asksHalfWay(t, qtKeep(t))
	if diff := cmp.Diff(asksOutgoing, outgoing(l.c.Session())); diff != "" {
		t.Error(diff)
	}
}

// A journal, written as it comes, gives another process the same messages in
// the same order.
func asksRestart(t *testing.T) {
	cfg := qtKeep(t)
	cfg.Journal = true
	l := asksHalfWay(t, cfg)
	var file []byte
	for op := (Op{}); l.c.NextOp(&op); {
		file, _ = op.AppendBinary(file)
	}
	s := new(Session)
	if n, err := s.Replay(file); n != len(file) || err != nil {
		t.Fatal(n, err)
	}
	if diff := cmp.Diff(asksOutgoing, outgoing(s)); diff != "" {
		t.Error(diff)
	}
	cfg.MaxInflight = 2
	next := qtConnect(t, cfg, s, nil)
	next.receive(qtPresent)
	next.want("> PUBREL id=1", "> PUBLISH a q1 id=2 dup 0 bytes", "* connected session present")
	next.receive(&Ack{Type: TypePubComp, ID: 1})
	next.want("> PUBLISH a q1 id=3 0 bytes", "* published tag=11")
}

func asksDropOldest(t *testing.T) {
	for _, c := range []struct {
		drop bool
		want []string
	}{
		{false, []string{"queued tag=1 PUBLISH a q2 0 bytes", "queued tag=2 PUBLISH a q1 0 bytes"}},
		{true, []string{"queued tag=1 PUBLISH a q2 0 bytes", "queued tag=3 PUBLISH a q1 0 bytes"}},
	} {
		l := qtConnect(t, Config{MaxQueued: 2, DropOldest: c.drop}, nil, nil)
		l.publish(QoS2, 1)
		l.publish(QoS1, 2)
		l.want()
		_, err := l.c.Publish(nil, l.now, &Publish{Topic: []byte("a"), QoS: QoS1}, 3)
		if full := errors.Is(err, ErrQueueFull); full == c.drop {
			t.Error(err)
		}
		l.do(nil, nil)
		if c.drop {
			l.want("* dropped tag=2: overflow")
		}
		if diff := cmp.Diff(c.want, outgoing(l.c.Session())); diff != "" {
			t.Error(diff)
		}
	}
}

// Two aliases for three topics: the least recently used one goes to the new
// topic. What is sent again is whole, and aliases begin anew.
func asksAliases(t *testing.T) {
	cfg := qtKeep(t)
	cfg.TopicAliases = 10
	l := qtConnect(t, cfg, nil, &ConnAck{Props: mustProps(t, TopicAliasMaximum(2))})
	publish := func(topic string, q QoS) {
		t.Helper()
		l.do(l.c.Publish(nil, l.now, &Publish{Topic: []byte(topic), QoS: q}, 1))
	}
	for _, topic := range []string{"room/1", "room/2", "room/1", "room/3", "room/1", "room/2"} {
		publish(topic, QoS0)
	}
	publish("room/2", QoS1)
	l.want(
		"> PUBLISH room/1 q0 0 bytes {Topic Alias: 1}",
		"> PUBLISH room/2 q0 0 bytes {Topic Alias: 2}",
		"> PUBLISH \"\" q0 0 bytes {Topic Alias: 1}",
		"> PUBLISH room/3 q0 0 bytes {Topic Alias: 2}",
		"> PUBLISH \"\" q0 0 bytes {Topic Alias: 1}",
		"> PUBLISH room/2 q0 0 bytes {Topic Alias: 2}",
		"> PUBLISH \"\" q1 id=1 0 bytes {Topic Alias: 2}",
	)
	l.reconnect(qtPresent)
	publish("room/1", QoS0)
	l.want("> CONNECT me keepalive=0 {Session Expiry Interval: 3600}",
		"> PUBLISH room/2 q1 id=1 dup 0 bytes", "* connected session present", "> PUBLISH room/1 q0 0 bytes")
}

// A message of 256 KiB passes through a buffer of 1 KiB. It is acknowledged
// when it is whole, and comes again when it was cut.
func asksParts(t *testing.T) {
	const size = 256 << 10
	cfg := qtKeep(t)
	cfg.StreamAbove = 512
	l := qtConnect(t, cfg, nil, qtAccept)
	p := &Publish{Topic: []byte("b"), QoS: QoS2, ID: 9, Payload: make([]byte, size)}
	for i := range p.Payload {
		p.Payload[i] = byte(i * i >> 8)
	}
	packet, err := p.AppendTo(nil, Dialect{Version: V5, From: FromServer})
	if err != nil {
		t.Fatal(err)
	}
	// read has the client read from a source through the buffer, and notes what
	// it tells; parts are put together.
	var whole []byte
	read := func(source []byte) {
		t.Helper()
		buffer, n := make([]byte, 1024), 0
		for len(source) > 0 {
			k := copy(buffer[n:], source)
			source, n = source[k:], n+k
			for {
				out, k, err := l.c.Receive(nil, l.now, buffer[:n])
				if err != nil {
					t.Fatal(err)
				}
				var ev Event
				for l.c.Next(&ev) {
					switch ev.Kind {
					case EventMessage:
						if !ev.Partial || ev.Size != size {
							t.Errorf("partial %v, %d bytes", ev.Partial, ev.Size)
						}
						whole = nil
						l.log = append(l.log, "* message "+string(ev.Message.Topic))
					case EventChunk:
						whole = append(whole, ev.Message.Payload...)
					default:
						l.log = append(l.log, "* "+ev.Kind.String())
					}
				}
				l.do(out, nil)
				n = copy(buffer, buffer[k:n])
				if k == 0 {
					break
				}
			}
		}
	}
	read(packet[:len(packet)/2])
	l.want("* message b")
	l.c.Lost(l.now, nil)
	l.do(nil, nil)
	l.want("* message aborted", "* closed: transport invalid")
	l.connect(qtPresent)
	l.log = nil
	read(packet)
	l.want("* message b", "* message end", "> PUBREC id=9")
	if string(whole) != string(p.Payload) {
		t.Errorf("%d bytes came", len(whole))
	}
	read(packet) // a repeat
	l.want("> PUBREC id=9")
}
