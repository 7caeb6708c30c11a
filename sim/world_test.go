package sim

import (
	"bytes"
	"testing"
	"time"
)

// echo sends back what it receives; asker writes at its ticks and keeps what
// comes back.
type echo struct{}

func (echo) Handle(h *Host, e Event) time.Time {
	if e.Kind == Received {
		e.Conn.Write(e.Data)
	}
	return time.Time{}
}

type asker struct {
	to   *Host
	c    *Conn
	sent []byte // on the present connection
	got  []byte
	lost int
	next time.Time
}

func (a *asker) Handle(h *Host, e Event) time.Time {
	switch e.Kind {
	case Started:
		a.next = h.Now().Add(time.Second)
	case Received:
		a.got = append(a.got, e.Data...)
	case Lost:
		a.c = nil
		a.lost++
	case Opened:
		a.c, a.sent, a.got = e.Conn, nil, nil
	case Tick:
		a.next = h.Now().Add(time.Second)
		if a.c == nil {
			h.Dial(a.to)
			break
		}
		b := []byte{byte(len(a.sent)), 1, 2, 3}
		a.sent = append(a.sent, b...)
		a.c.Write(b)
	}
	return a.next
}

// TestWorld: bytes come back in order and whole on a perfect network, in order
// on any other, and the same source gives the same run.
func TestWorld(t *testing.T) {
	for _, f := range []Faults{
		{},
		{Chunk: 500, Latency: 3 * time.Second},
		{Chunk: 300, Cut: 50, Latency: time.Second, Refuse: 200, Jump: 50, JumpBy: time.Minute},
	} {
		run := func(src Source) (*World, *asker) {
			w := New(src, f)
			a := &asker{to: w.Add("echo", echo{})}
			w.Add("asker", a)
			for range 300 {
				w.Run(time.Second)
				if !bytes.HasPrefix(a.sent, a.got) {
					t.Fatalf("sent %x, got %x", a.sent, a.got)
				}
			}
			return w, a
		}
		rec := &Recorder{Source: Seed(7)}
		w, a := run(rec)
		if f == (Faults{}) && (a.lost != 0 || len(a.got) < 4*290) {
			t.Errorf("a perfect network lost %d connections, and brought %d bytes", a.lost, len(a.got))
		}
		if f.Cut > 0 && a.lost == 0 {
			t.Error("no connection was ever lost")
		}
		again, _ := run(Seed(7))
		taped, _ := run(Tape(rec.Taken))
		if w.Hash() != again.Hash() || w.Hash() != taped.Hash() || w.Counts() != taped.Counts() {
			t.Errorf("%x, again %x, from the tape %x", w.Hash(), again.Hash(), taped.Hash())
		}
	}
}

// lazy wants to be woken soon, and when it hears something, much later instead.
type lazy struct{ ticks int }

func (n *lazy) Handle(h *Host, e Event) time.Time {
	switch e.Kind {
	case Started:
		return h.Now().Add(time.Second)
	case Tick:
		n.ticks++
	}
	return h.Now().Add(time.Hour)
}

// Run goes no further than it is asked to, also past a wake-up that was put off.
func TestRunEnds(t *testing.T) {
	w := New(Seed(1), Faults{})
	n := new(lazy)
	h := w.Add("lazy", n)
	w.Add("other", new(lazy)).Dial(h)
	began := w.Now()
	w.Run(2 * time.Second)
	if d := w.Now().Sub(began); d != 2*time.Second || n.ticks != 0 {
		t.Errorf("%v passed, with %d ticks; want 2 s, 0", d, n.ticks)
	}
}
