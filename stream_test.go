// This file tests streaming: messages above Config.StreamAbove, in parts.

package mqttcore

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// streaming is what StreamAbove is in the tests.
const streaming = 40

// feedCut gives input in pieces of the given size, as from a buffer: what is
// not taken stays. It returns the log with the chunks of a message joined.
func (r *rig) feedCut(in []byte, size int) []string {
	r.Helper()
	var buf []byte
	for len(in) > 0 && r.c.State() != StateDisconnected {
		n := min(size, len(in))
		buf, in = append(buf, in[:n]...), in[n:]
		for r.c.State() != StateDisconnected {
			out, n, err := r.c.Receive(nil, r.now, buf)
			r.do(out, err)
			if buf = buf[n:]; n == 0 {
				break
			}
		}
	}
	var log []string
	total := 0
	for _, l := range r.log {
		var n int
		if k, _ := fmt.Sscanf(l, "chunk %d bytes", &n); k == 1 {
			total += n
			continue
		}
		if l == "message end" {
			l = fmt.Sprintf("message end after %d bytes", total)
			total = 0
		}
		log = append(log, l)
	}
	r.log = nil
	return log
}

// TestStream: however the input is cut, the head comes as one event, with all
// but the payload, and the message is acknowledged when it is whole.
func TestStream(t *testing.T) {
	big := strings.Repeat("x", 100)
	v5 := Dialect{Version: V5, From: FromServer}
	v311 := Dialect{Version: V311, From: FromServer}
	list := func(d Dialect, ps ...Packet) (b []byte) {
		for _, p := range ps {
			b = append(b, mustAppend(p, d)...)
		}
		return b
	}
	dup := message("q2", big, QoS2, 8)
	dup.Dup = true
	for _, row := range []struct {
		name string
		v    Version
		in   []byte
		want []string
	}{
		{"QoS 0", V5, list(v5, message("a", big, QoS0, 0, ContentType("t")), message("b", "small", QoS0, 0)), []string{
			`message PUBLISH a q0 0 bytes {Content Type: t}, streamed, 100 bytes`,
			`message end after 100 bytes`,
			`message PUBLISH b q0 5 bytes "small"`,
		}},
		{"QoS 1", V311, list(v311, message("a", big, QoS1, 7), message("b", "", QoS1, 8)), []string{
			`message PUBLISH a q1 id=7 0 bytes, streamed, 100 bytes`,
			`> PUBACK id=7`,
			`message end after 100 bytes`,
			`> PUBACK id=8`,
			`message PUBLISH b q1 id=8 0 bytes`,
		}},
		{"QoS 2, and again", V5, list(v5, message("q2", big, QoS2, 8), dup, &Ack{Type: TypePubRel, ID: 8}, message("q2", big, QoS2, 8)), []string{
			`message PUBLISH q2 q2 id=8 0 bytes, streamed, 100 bytes`,
			`> PUBREC id=8`,
			`message end after 100 bytes`,
			`> PUBREC id=8`, // a repeat, without events
			`> PUBCOMP id=8`,
			`message PUBLISH q2 q2 id=8 0 bytes, streamed, 100 bytes`,
			`> PUBREC id=8`,
			`message end after 100 bytes`,
		}},
		{"alias", V5, list(v5, message("top", big, QoS0, 0, TopicAlias(1)), message("", big, QoS0, 0, TopicAlias(1))), []string{
			`message PUBLISH top q0 0 bytes {Topic Alias: 1}, streamed, 100 bytes`,
			`message end after 100 bytes`,
			`message PUBLISH top q0 0 bytes {Topic Alias: 1}, streamed, 100 bytes`,
			`message end after 100 bytes`,
		}},
		{"at the limit", V311, list(v311, message("a", strings.Repeat("x", streaming-5), QoS0, 0)), []string{
			`message PUBLISH a q0 35 bytes "` + strings.Repeat("x", 32) + `"…`,
		}},
		{"one byte above", V311, list(v311, message("a", strings.Repeat("x", streaming-4), QoS0, 0)), []string{
			`message PUBLISH a q0 0 bytes, streamed, 36 bytes`,
			`message end after 36 bytes`,
		}},
		{"the head as large as allowed", V311, list(v311, message(strings.Repeat("t", streaming-4), "x", QoS0, 0)), []string{
			`message PUBLISH ` + strings.Repeat("t", streaming-4) + ` q0 0 bytes, streamed, 1 bytes`,
			`message end after 1 bytes`,
		}},
		{"a larger head", V5, list(v5, message(strings.Repeat("t", 34), "x", QoS0, 0, TopicAlias(1))), []string{
			`> DISCONNECT Packet too large`,
			`refused by 5.0:MQTT-3.1.2-24`,
		}},
		{"a topic that runs past the end", V5, append([]byte{0x30, 100, 0, 99}, make([]byte, 120)...), []string{
			`> DISCONNECT Malformed Packet`,
			`refused by 5.0:§2.1.4`,
		}},
		{"a topic too large for the head and properties past the end", V5,
			append(append([]byte{0x30, 60, 0, 45}, strings.Repeat("t", 45)...), 0xFF, 0xFF, 0xFF, 0x7F, 1, 2, 3, 4, 5, 6, 7, 8, 9), []string{
				`> DISCONNECT Packet too large`,
				`refused by 5.0:MQTT-3.1.2-24`,
			}},
		{"receive maximum", V5, list(v5, message("a", big, QoS2, 1), message("a", big, QoS2, 2), message("a", big, QoS2, 3)), []string{
			`message PUBLISH a q2 id=1 0 bytes, streamed, 100 bytes`,
			`> PUBREC id=1`,
			`message end after 100 bytes`,
			`message PUBLISH a q2 id=2 0 bytes, streamed, 100 bytes`,
			`> PUBREC id=2`,
			`message end after 100 bytes`,
			`> DISCONNECT Receive Maximum exceeded`,
			`refused by 5.0:MQTT-3.3.4-9`,
		}},
		{"the largest packet", V5, list(v5, message("a", strings.Repeat("x", 1000), QoS0, 0)), []string{
			`> DISCONNECT Packet too large`,
			`refused by 5.0:MQTT-3.1.2-24`,
		}},
		{"a bad head", V5, list(v5, message("a", big, QoS0, 0), &Ack{Type: TypePubRel, ID: 1})[:50], []string{
			`message PUBLISH a q0 0 bytes, streamed, 100 bytes`, // and then nothing is missing
		}},
		{"no identifier", V311, append([]byte{0x32, 100, 0, 1, 'a', 0, 0}, make([]byte, 95)...), []string{
			`refused by 3.1.1:MQTT-2.3.1-1`,
		}},
		{"a payload that is no text, though it says so", V5, list(v5, message("a", strings.Repeat("\xFF", 100), QoS0, 0, PayloadFormat(1)),
			message("a", "\xFF", QoS0, 0, PayloadFormat(1))), []string{
			`message PUBLISH a q0 0 bytes {Payload Format Indicator: 1}, streamed, 100 bytes`,
			`message end after 100 bytes`,
			`> DISCONNECT Payload format invalid`,
			`refused by 5.0:§3.3.2.3.2`,
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			for size := 1; size <= len(row.in); size++ {
				cfg := Config{Version: row.v, StreamAbove: streaming, MaxPacketSize: 500, Options: RefuseInvalidPayload}
				if row.v == V5 {
					cfg.Props = propsOf(ReceiveMaximum(2), TopicAliasMaximum(1))
				}
				r := newRig(t, cfg, nil, &ConnAck{})
				got := r.feedCut(row.in, size)
				if i := len(got) - 1; strings.HasPrefix(got[i], "closed: protocol violation") {
					var fault *Error
					if !errors.As(r.c.closed.err, &fault) {
						t.Fatal(got[i])
					}
					got[i] = "refused by " + fault.Rule.String()
				}
				if d := cmp.Diff(row.want, got); d != "" {
					t.Fatalf("in pieces of %d (-want +got):\n%s", size, d)
				}
			}
		})
	}
}

// TestStreamCutHeads: every malformed head of a few bytes is refused in the
// same way, however it is cut.
func TestStreamCutHeads(t *testing.T) {
	interesting := []byte{0, 1, 2, 0x26, 0x7F, 0x80, 0xFF}
	for _, above := range []uint32{1, 3, 5, 12} {
		for n := range len(interesting) * len(interesting) * len(interesting) * len(interesting) {
			body := []byte{0, 0, 0, 0, 0, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o'}
			for i, k := 1, n; i < 5; i, k = i+1, k/len(interesting) {
				body[i] = interesting[k%len(interesting)]
			}
			for _, size := range []byte{2, 3, 4, 6, 20} {
				if uint32(size)+2 <= above {
					continue
				}
				for _, flags := range []byte{0x30, 0x32} {
					in := append([]byte{flags, size}, body[:size]...)
					var whole []string
					for _, cut := range []int{len(in), 1, 3} {
						c := newRig(t, Config{StreamAbove: above}, nil, &ConnAck{})
						c.c.s.established = false
						got := c.feedCut(in, cut)
						if whole == nil {
							whole = append(got, "")
						} else if d := cmp.Diff(whole, append(got, "")); d != "" {
							t.Fatalf("above %d, % x in pieces of %d:\n%s", above, in, cut, d)
						}
					}
					if len(whole) == 1 {
						t.Fatalf("above %d, % x: a whole packet, and nothing happens", above, in)
					}
				}
			}
		}
	}
}

// TestStreamCut: a message whose connection ends in the middle is aborted
// before EventClosed, not acknowledged, and comes again.
func TestStreamCut(t *testing.T) {
	big := strings.Repeat("x", 100)
	ends := map[string]func(r *rig){
		"lost":       func(r *rig) { r.lost() },
		"disconnect": func(r *rig) { r.do(r.c.Disconnect(nil, r.now, nil)) },
		"keep alive": func(r *rig) {
			r.do(r.c.Ping(nil, r.now))
			r.now = r.c.Deadline()
			r.do(r.c.Tick(nil, r.now), nil)
		},
	}
	closed := map[string][]string{
		"lost":       {"message aborted", "closed: transport invalid"},
		"disconnect": {"> DISCONNECT", "message aborted", "closed: local disconnect"},
		"keep alive": {"> PINGREQ", "message aborted", "closed: keep alive timeout"},
	}
	for name, end := range ends {
		for q := QoS0; q <= QoS2; q++ {
			r := newRig(t, Config{StreamAbove: streaming, KeepAlive: 60, Props: propsOf(SessionExpiry(60))}, nil, &ConnAck{})
			in := mustAppend(message("a", big, q, uint16(min(q, 1))*9), r.dialect(FromServer))
			r.input(in[:50])
			if r.c.conn.unacked != 0 {
				t.Error("counted before it is whole")
			}
			r.log = nil
			end(r)
			r.want(closed[name]...)
			r.connect(&ConnAck{SessionPresent: true})
			r.log = nil
			r.input(in)
			if len(r.log) < 3 || !strings.Contains(r.log[0], "streamed") || r.log[len(r.log)-1] != "message end" {
				t.Errorf("%s, QoS %d, again: %v", name, q, r.log)
			}
		}
	}

	// A repeat that is cut is nobody's message.
	r := newRig(t, Config{StreamAbove: streaming, Props: propsOf(SessionExpiry(60))}, nil, &ConnAck{})
	in := mustAppend(message("a", big, QoS2, 9), r.dialect(FromServer))
	r.input(in)
	r.input(in[:50])
	r.log = nil
	r.lost()
	r.want("closed: transport invalid")

	// An event of the last part that was not taken comes first.
	r = newRig(t, Config{StreamAbove: streaming}, nil, &ConnAck{})
	if _, _, err := r.c.Receive(nil, r.now, mustAppend(message("a", big, QoS0, 0), r.dialect(FromServer))); err != nil {
		t.Fatal(err)
	}
	r.lost()
	r.want("message PUBLISH a q0 0 bytes, streamed, 100 bytes", "message aborted", "closed: transport invalid")
}

// TestStreamAck: with manual acknowledgement the token comes with the end, and
// an acknowledgement in the middle of a repeat is answered once.
func TestStreamAck(t *testing.T) {
	big := strings.Repeat("x", 100)
	for q := QoS1; q <= QoS2; q++ {
		r := newRig(t, Config{StreamAbove: streaming, ManualAck: true}, nil, &ConnAck{})
		in := mustAppend(message("a", big, q, 9), r.dialect(FromServer))
		r.input(in[:len(in)-1])
		if len(r.tokens) != 0 || r.c.conn.unacked != 0 {
			t.Fatalf("token %v before the end", r.tokens)
		}
		r.input(in[len(in)-1:])
		if len(r.tokens) != 1 || r.log[len(r.log)-1] != "message end" {
			t.Fatalf("tokens %v, %v", r.tokens, r.log)
		}
		r.log = nil
		r.do(r.c.Ack(nil, r.now, r.tokens[0], ReasonSuccess, Properties{}))
		r.want([]string{1: "> PUBACK id=9", 2: "> PUBREC id=9"}[q])
	}
	for code, want := range map[ReasonCode][]string{
		ReasonSuccess:       {"> PUBREC id=9", "> PUBREC id=9"},
		ReasonNotAuthorized: {"> PUBREC id=9 Not authorized"},
	} {
		r := newRig(t, Config{StreamAbove: streaming, ManualAck: true}, nil, &ConnAck{})
		in := mustAppend(message("a", big, QoS2, 9), r.dialect(FromServer))
		r.input(in)
		r.input(in[:50])
		r.log = nil
		r.do(r.c.Ack(nil, r.now, r.tokens[0], code, Properties{}))
		r.input(in[50:])
		r.want(want...)
		if wait := r.c.s.inbox.lists[inWaiting].head; wait != 0 {
			t.Errorf("%v: a message that nobody was told of waits for Ack", code)
		}
	}
}

// TestStreamEmpty: a message that is large by its head alone cannot be streamed.
func TestStreamEmpty(t *testing.T) {
	r := newRig(t, Config{StreamAbove: streaming}, nil, &ConnAck{})
	r.server(message(strings.Repeat("t", 100), "", QoS0, 0))
	if r.c.closed.code != ReasonPacketTooLarge {
		t.Errorf("%v", r.log)
	}
}

// TestStreamAlive: parts that arrive show that the server lives, and the client
// still pings when it sends nothing.
func TestStreamAlive(t *testing.T) {
	r := newRig(t, Config{StreamAbove: streaming, KeepAlive: 10, PingTimeout: 5 * time.Second}, nil, &ConnAck{})
	in := mustAppend(message("a", strings.Repeat("x", 400), QoS1, 9), r.dialect(FromServer))
	for len(in) > 1 {
		r.now = r.now.Add(4 * time.Second)
		r.do(r.c.Tick(nil, r.now), nil)
		n := min(20, len(in)-1)
		r.input(in[:n])
		in = in[n:]
	}
	pings := 0
	for _, l := range r.log {
		if l == "> PINGREQ" {
			pings++
		}
	}
	if r.c.State() != StateConnected || pings < 7 {
		t.Fatalf("%v, %d PINGREQs", r.c.State(), pings)
	}
	r.log = nil
	r.input(in)
	r.want("> PUBACK id=9", "chunk 1 bytes", "message end")
}

// TestStreamLarge: the largest message there is passes through a buffer of 64
// KiB, and the client keeps nothing of it.
func TestStreamLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("256 MiB")
	}
	const (
		size  = maxRemaining // of what follows the fixed header
		chunk = 64 << 10
	)
	r := newRig(t, Config{StreamAbove: chunk}, nil, &ConnAck{})
	payload := size - len("\x00\x05large\x00\x07\x00")
	buf := append(make([]byte, 0, chunk), 0x32, 0xFF, 0xFF, 0xFF, 0x7F)
	buf = append(buf, "\x00\x05large\x00\x07\x00"...)
	out := make([]byte, 0, 64)
	before := heap()
	var (
		ev         Event
		made, seen int // of the payload
		most       uint64
		sum        uint64
	)
	at := func(i int) byte { return byte(i>>16) ^ byte(i>>8) ^ byte(i) }
	for seen < payload {
		for len(buf) < cap(buf) && made < payload { // the generator: 256 bytes at a time are one pattern
			n := min(cap(buf)-len(buf), payload-made)
			for i := range n {
				buf = append(buf, at(made+i))
			}
			made += n
		}
		sent, n, err := r.c.Receive(out, r.now, buf)
		if err != nil || n == 0 && len(buf) == cap(buf) {
			t.Fatal(n, err)
		}
		for r.c.Next(&ev) {
			switch ev.Kind {
			case EventMessage:
				if !ev.Partial || int(ev.Size) != payload || string(ev.Message.Topic) != "large" {
					t.Fatal(&ev)
				}
			case EventChunk:
				for i, b := range ev.Message.Payload[:min(8, len(ev.Message.Payload))] {
					if b != at(seen+i) {
						t.Fatalf("byte %d is %#x", seen+i, b)
					}
				}
				seen += len(ev.Message.Payload)
				sum++
			case EventMessageEnd:
				if seen != payload || string(sent) != "\x40\x02\x00\x07" {
					t.Fatalf("the end after %d bytes, sent % x", seen, sent)
				}
			default:
				t.Fatal(&ev)
			}
		}
		if sum%1000 == 1 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
		buf = buf[:copy(buf[:cap(buf)], buf[n:])]
	}
	if ev.Kind != EventMessageEnd || r.c.Stats().BytesIn < size {
		t.Errorf("the last event is %v, %d bytes", &ev, r.c.Stats().BytesIn)
	}
	if most > before+chunk {
		t.Errorf("the heap grew by %d bytes", most-before)
	}
}

// TestStreamCutWhileMore: how a message that comes in parts is cut makes no
// difference to what is sent in the meantime.
func TestStreamCutWhileMore(t *testing.T) {
	packet := mustAppend(message("t", strings.Repeat("x", 40), QoS1, 9), Dialect{Version: V311, From: FromServer})
	sent := func(cut int) string {
		r := newRig(t, Config{Version: V311, Burst: 1, StreamAbove: 20}, nil, nil)
		for tag := range uint64(6) {
			r.publish(*message("a", "", QoS1, 0), tag)
		}
		r.connect(&ConnAck{})
		var in []byte
		for _, piece := range [][]byte{packet[:cut], packet[cut:]} {
			if len(piece) == 0 {
				continue
			}
			in = append(in, piece...)
			for n := 1; n != 0; in = in[n:] {
				var out []byte
				var err error
				out, n, err = r.c.Receive(nil, r.now, in)
				r.do(out, err)
			}
		}
		log := slices.DeleteFunc(r.log, func(line string) bool { return !strings.HasPrefix(line, "> ") })
		return strings.Join(log, "\n")
	}
	want := sent(len(packet))
	for cut := range packet {
		if got := sent(cut); got != want {
			t.Fatalf("cut at %d:\n%s", cut, cmp.Diff(want, got))
		}
	}
}
