package mqttcore

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

// journalRig drives a client at random against a careless server and keeps a
// replica that only the journal feeds.
type journalRig struct {
	t       *testing.T
	rng     *rand.Rand
	now     time.Time
	cfg     Config
	c       *Client
	replica *Session
	log     []byte
	tokens  []AckToken
	ids     []uint16 // that the server has seen in a PUBLISH of QoS 2
	v       Version
}

func (j *journalRig) drain() {
	var ev Event
	for j.c.Next(&ev) {
		if ev.Token != 0 {
			j.tokens = append(j.tokens, ev.Token)
		}
	}
	var op Op
	for j.c.NextOp(&op) {
		at := len(j.log)
		j.log, _ = op.AppendBinary(j.log)
		var back Op
		if n, err := ConsumeOp(j.log[at:], &back); err != nil || n != len(j.log)-at {
			j.t.Fatalf("%v does not decode: %d, %v", op.Kind, n, err)
		}
		if err := j.replica.Apply(&back); err != nil {
			j.t.Fatalf("%v of message %d id %d does not apply: %v", back.Kind, back.Num, back.ID, err)
		}
	}
	live, _ := j.c.Session().AppendBinary(nil)
	folded, _ := j.replica.AppendBinary(nil)
	if !bytes.Equal(live, folded) {
		j.t.Fatalf("the fold of the ops is not the session:\nlive   %x\nfolded %x", live, folded)
	}
}

func (j *journalRig) receive(p Packet) {
	b, err := p.AppendTo(nil, Dialect{Version: j.v, From: FromServer})
	if err != nil {
		j.t.Fatal(err)
	}
	out, _, err := j.c.Receive(nil, j.now, b)
	if err != nil && !errors.Is(err, ErrClosed) {
		j.t.Fatal(err)
	}
	j.sent(out)
}

// sent notes what the client wrote.
func (j *journalRig) sent(out []byte) {
	d := Dialect{Version: j.v, From: FromClient}
	for len(out) > 0 {
		f, n, err := ConsumeFrame(out, d, 0)
		if err != nil || n == 0 {
			j.t.Fatalf("client wrote %x: %v", out, err)
		}
		out = out[n:]
		var p Publish
		if f.Type == TypePublish && p.Decode(f, d) == nil && p.ID != 0 {
			j.ids = append(j.ids, p.ID)
		}
	}
}

func (j *journalRig) step() {
	topic := []byte("t")
	id := uint16(1 + j.rng.IntN(6))
	if len(j.ids) > 0 && j.rng.IntN(2) == 0 {
		id = j.ids[j.rng.IntN(len(j.ids))]
	}
	switch j.rng.IntN(14) {
	case 0, 1, 2:
		p := &Publish{Topic: topic, Payload: []byte{byte(j.rng.Uint32())}, QoS: QoS(1 + j.rng.IntN(2))}
		if j.v == V5 && j.rng.IntN(3) == 0 {
			p.Props, _ = NewProperties(MessageExpiry(uint32(j.rng.IntN(4))), UserProperty("k", "v"))
		}
		out, err := j.c.Publish(nil, j.now, p, j.rng.Uint64())
		if err != nil && !errors.Is(err, ErrQueueFull) && !errors.Is(err, ErrNotSupported) {
			j.t.Fatal(err)
		}
		j.sent(out)
	case 3:
		j.receive(&Ack{Type: TypePubAck, ID: id})
	case 4, 5:
		code := ReasonSuccess
		if j.v == V5 && j.rng.IntN(4) == 0 {
			code = ReasonQuotaExceeded
		}
		j.receive(&Ack{Type: TypePubRec, ID: id, Code: code})
	case 6, 7:
		j.receive(&Ack{Type: TypePubComp, ID: id})
	case 8, 9:
		j.receive(&Publish{Topic: topic, ID: uint16(1 + j.rng.IntN(5)), QoS: QoS(1 + j.rng.IntN(2))})
	case 10:
		j.receive(&Ack{Type: TypePubRel, ID: uint16(1 + j.rng.IntN(5))})
	case 11:
		if len(j.tokens) > 0 {
			k := j.rng.IntN(len(j.tokens))
			out, err := j.c.Ack(nil, j.now, j.tokens[k], ReasonSuccess, Properties{})
			if err != nil && !errors.Is(err, ErrToken) {
				j.t.Fatal(err)
			}
			j.sent(out)
			j.tokens = append(j.tokens[:k], j.tokens[k+1:]...)
		}
	case 12:
		j.now = j.now.Add(time.Duration(j.rng.IntN(3)) * time.Second)
		j.sent(j.c.Tick(nil, j.now))
	case 13:
		if j.rng.IntN(3) == 0 {
			j.c.Lost(j.now, nil)
		}
	}
	j.drain()
	if j.c.State() == StateDisconnected {
		out, err := j.c.Connect(nil, j.now)
		if err != nil {
			j.t.Fatal(err)
		}
		j.sent(out)
		present := j.c.Session().Established() && j.rng.IntN(4) != 0 && j.v != V31
		a := &ConnAck{SessionPresent: present}
		if j.v == V5 {
			a.Props, _ = NewProperties(ReceiveMaximum(uint16(1+j.rng.IntN(4))), SessionExpiry(uint32(j.rng.IntN(3))))
			if j.rng.IntN(8) == 0 {
				_ = a.Props.Add(MaximumQoS(1))
			}
		}
		j.receive(a)
		j.drain()
	}
}

// TestJournalFold: with its ops taken, a session is the fold of its ops, and a
// client restored from the journal, or from a snapshot and the rest of the
// journal, goes on.
func TestJournalFold(t *testing.T) {
	for _, v := range []Version{V31, V311, V5} {
		for _, manual := range []bool{false, true} {
			for seed := range uint64(40) {
				j := newJournalRig(t, v, manual, seed)
				for range 400 {
					j.step()
					if j.rng.IntN(40) == 0 { // the process dies, and starts again from the log
						s := new(Session)
						if n, err := s.Replay(j.log); err != nil || n != len(j.log) {
							t.Fatalf("replay: %d of %d, %v", n, len(j.log), err)
						}
						if j.rng.IntN(2) == 0 { // from a snapshot
							snap, _ := s.AppendBinary(nil)
							s = new(Session)
							if err := s.UnmarshalBinary(snap); err != nil {
								t.Fatal(err)
							}
						}
						var err error
						if j.c, err = NewClient(j.cfg, s); err != nil {
							t.Fatal(err)
						}
						j.tokens = nil
						j.drain()
					}
				}
			}
		}
	}
}
