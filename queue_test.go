// This file tests the queue of outgoing messages: what waits in it, and what
// goes when it is full.

package mqttcore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// queued are the tags of the messages that wait.
func (r *rig) queued() (tags []uint64) {
	for m := range r.c.Session().Outgoing() {
		if m.State == OutgoingQueued {
			tags = append(tags, m.Tag)
		}
	}
	return tags
}

// TestDropOldest: a full queue makes room: messages of lower QoS go before
// those of the same, older ones before younger, none of higher.
func TestDropOldest(t *testing.T) {
	for _, row := range []struct {
		name         string
		count, bytes int
		queue        string // QoS of the messages, each of 10 bytes, tags from 1
		qos          QoS
		size         int
		dropped      []uint64
		err          error
	}{
		{"room", 4, 100, "111", QoS1, 10, nil, nil},
		{"the oldest of the same", 3, 100, "111", QoS1, 10, []uint64{1}, nil},
		{"lower ones first", 4, 100, "2121", QoS2, 10, []uint64{2}, nil},
		{"then the same", 100, 40, "2121", QoS2, 30, []uint64{2, 4, 1}, nil},
		{"none of higher", 3, 100, "222", QoS1, 10, nil, ErrQueueFull},
		{"not enough of lower and same", 100, 40, "2221", QoS1, 20, nil, ErrQueueFull},
		{"as many as needed", 100, 40, "1111", QoS1, 25, []uint64{1, 2, 3}, nil},
		{"larger than the queue", 100, 40, "1111", QoS2, 41, nil, ErrQueueFull},
		{"as large as the queue", 100, 40, "1112", QoS2, 40, []uint64{1, 2, 3, 4}, nil},
		{"no queue at all", -1, 100, "", QoS2, 10, nil, ErrQueueFull},
		{"no bytes", 10, -1, "", QoS2, 10, nil, ErrQueueFull},
	} {
		for _, journal := range []bool{false, true} {
			t.Run(fmt.Sprint(row.name, journal), func(t *testing.T) {
				r := newRig(t, Config{DropOldest: true, Journal: journal, MaxQueued: row.count, MaxQueuedBytes: row.bytes}, nil, nil)
				fold := new(Session)
				var want []uint64
				for i, q := range row.queue {
					tag := uint64(i + 1)
					r.publish(*message("t", strings.Repeat("x", 9), QoS(q-'0'), 0), tag)
					if !slices.Contains(row.dropped, tag) {
						want = append(want, tag)
					}
				}
				out, err := r.c.Publish(nil, r.now, message("t", strings.Repeat("x", row.size-1), row.qos, 0), 99)
				if !errors.Is(err, row.err) || len(out) != 0 {
					t.Fatalf("%v, want %v", err, row.err)
				}
				if err == nil {
					want = append(want, 99)
				}
				r.drain()
				var log []string
				for _, tag := range row.dropped {
					log = append(log, fmt.Sprintf("dropped tag=%d: overflow", tag))
				}
				r.want(log...)
				if d := cmp.Diff(want, r.queued()); d != "" {
					t.Errorf("the queue:\n%s", d)
				}
				r.sameFold(fold)
			})
		}
	}
}

// sameFold takes the ops, applies them and compares the sessions.
func (r *rig) sameFold(fold *Session) {
	r.Helper()
	var op Op
	for r.c.NextOp(&op) {
		if err := fold.Apply(&op); err != nil {
			r.Fatal(op, err)
		}
	}
	if !r.c.cfg.Journal {
		return
	}
	got, _ := fold.AppendBinary(nil)
	want, _ := r.c.Session().AppendBinary(nil)
	var a, b []string
	if err := new(Session).UnmarshalBinary(want); err != nil {
		r.Fatal(err)
	}
	for m := range fold.Outgoing() {
		a = append(a, fmt.Sprint(m.State, m.Tag, &m.Message))
	}
	for m := range r.c.Session().Outgoing() {
		b = append(b, fmt.Sprint(m.State, m.Tag, &m.Message))
	}
	if d := cmp.Diff(b, a); d != "" || len(got) != len(want) {
		r.Errorf("the fold of the ops is not the session: %d and %d bytes\n%s", len(got), len(want), d)
	}
}

// TestQueueRandom compares the queue with a slice under random messages, with
// the journal on; each tag has one fate.
func TestQueueRandom(t *testing.T) {
	type entry struct {
		tag  uint64
		qos  QoS
		size int
	}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		const count, bytes = 8, 200
		r := newRig(t, Config{DropOldest: true, Journal: true, MaxQueued: count, MaxQueuedBytes: bytes, Props: propsOf(SessionExpiry(60))}, nil, nil)
		fold := new(Session)
		var model []entry
		fates := map[uint64]int{}
		total := func(l []entry) (n int) {
			for _, e := range l {
				n += e.size
			}
			return n
		}
		for tag := uint64(1); tag <= 500; tag++ {
			e := entry{tag, QoS(1 + rng.IntN(2)), 1 + rng.IntN(90)}
			next := slices.Clone(model)
			var gone []uint64
			for q := QoS1; q <= e.qos; q++ {
				for i := 0; i < len(next) && (len(next)+1 > count || total(next)+e.size > bytes); {
					if next[i].qos == q {
						gone = append(gone, next[i].tag)
						next = slices.Delete(next, i, i+1)
						continue
					}
					i++
				}
			}
			fits := len(next)+1 <= count && total(next)+e.size <= bytes
			_, err := r.c.Publish(nil, r.now, message("t", strings.Repeat("x", e.size-1), e.qos, 0), tag)
			if (err == nil) != fits || err != nil && !errors.Is(err, ErrQueueFull) {
				t.Fatalf("seed %d, %v: %v; the queue has %v", seed, e, err, model)
			}
			if !fits {
				gone, next = nil, model
			} else {
				next = append(next, e)
			}
			model = next
			if rng.IntN(4) == 0 || len(gone) > 0 {
				r.drain()
				var log []string
				for _, tag := range gone {
					log = append(log, fmt.Sprintf("dropped tag=%d: overflow", tag))
					fates[tag]++
				}
				r.want(log...)
				r.sameFold(fold)
			}
			var want []uint64
			for _, e := range model {
				want = append(want, e.tag)
			}
			if got := r.queued(); !slices.Equal(got, want) || r.c.s.out.bytes != total(model) {
				t.Fatalf("seed %d: queue %v of %d bytes, want %v of %d", seed, got, r.c.s.out.bytes, want, total(model))
			}
		}
		// What is left goes out in its order.
		r.connect(&ConnAck{})
		r.sameFold(fold)
		var sent []uint64
		for m := range r.c.Session().Outgoing() {
			if m.State != OutgoingSent {
				t.Fatalf("%v after connecting", m.State)
			}
			sent = append(sent, m.Tag)
		}
		for i, e := range model {
			if sent[i] != e.tag {
				t.Fatalf("sent %v", sent)
			}
		}
	}
}

// TestDropOldestUntold: fates that nobody takes do not pile up without end.
func TestDropOldestUntold(t *testing.T) {
	r := newRig(t, Config{DropOldest: true, MaxQueued: 5}, nil, nil)
	p := message("t", "", QoS1, 0)
	var err error
	n := 0
	for ; err == nil && n < 200_000; n++ {
		_, err = r.c.Publish(nil, r.now, p, 1)
	}
	if !errors.Is(err, ErrPending) {
		t.Fatalf("after %d messages: %v", n, err)
	}
	if got := len(r.c.s.out.slab); got > maxID+5+10 {
		t.Errorf("%d records", got)
	}
	r.drain()
	if _, err := r.c.Publish(nil, r.now, p, 1); err != nil {
		t.Error(err)
	}
}

// TestOutgoing: what is on its way can be looked at, in the order in which it
// goes or went out.
func TestOutgoing(t *testing.T) {
	r := newRig(t, Config{Props: propsOf(SessionExpiry(60))}, nil, &ConnAck{Props: propsOf(ReceiveMaximum(2))})
	r.publish(*message("a", "1", QoS1, 0), 11)
	r.publish(*message("b", "2", QoS2, 0), 12)
	late := *message("c", "3", QoS1, 0, MessageExpiry(30), ContentType("t"))
	late.Retain = true
	r.publish(late, 13)
	r.server(&Ack{Type: TypePubRec, ID: 2})
	var got []string
	for m := range r.c.Session().Outgoing() {
		s := fmt.Sprintf("%v tag=%d %v", m.State, m.Tag, &m.Message)
		if !m.Expires.IsZero() {
			s += fmt.Sprint(" for ", m.Expires.Sub(r.now))
		}
		got = append(got, s)
	}
	want := []string{
		`released tag=12 PUBLISH "" q2 id=2 0 bytes`,
		`sent tag=11 PUBLISH a q1 id=1 1 byte "1"`,
		`queued tag=13 PUBLISH c q1 retain 1 byte "3" {Message Expiry Interval: 30, Content Type: t} for 30s`,
	}
	if d := cmp.Diff(want, got); d != "" || r.c.Session().Len() != 3 {
		t.Errorf("%d messages\n%s", r.c.Session().Len(), d)
	}
	for range r.c.Session().Outgoing() {
		break
	}
	r.now = r.now.Add(30 * time.Second)
	r.log = nil
	r.do(r.c.Tick(nil, r.now), nil)
	r.want("dropped tag=13: expired")
}
