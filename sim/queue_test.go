package sim

import (
	"slices"
	"testing"
	"time"
)

// fickle changes its mind about when it wants to be woken, each time that it
// hears something.
type fickle struct {
	wishes []time.Duration
	ticks  []time.Duration
	wish   time.Time
}

func (n *fickle) Handle(h *Host, e Event) time.Time {
	switch e.Kind {
	case Tick:
		n.ticks = append(n.ticks, h.since())
		n.wish = time.Time{}
	case Received:
		n.wish = epoch.Add(n.wishes[0])
		n.wishes = n.wishes[1:]
	}
	return n.wish
}

// TestWake: a node is woken once, at the time that it asked for last, whether it
// has put that off or wants to be woken earlier.
func TestWake(t *testing.T) {
	for _, c := range []struct {
		name   string
		wishes []time.Duration
		want   []time.Duration
	}{
		{"once", []time.Duration{30 * time.Second}, []time.Duration{30 * time.Second}},
		{"put off", []time.Duration{30 * time.Second, time.Minute, time.Hour}, []time.Duration{time.Hour}},
		{"earlier", []time.Duration{time.Hour, time.Minute, 30 * time.Second}, []time.Duration{30 * time.Second}},
		{"to and fro", []time.Duration{time.Minute, time.Hour, 20 * time.Second, 30 * time.Second}, []time.Duration{30 * time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, n := New(Seed(1), Faults{}), &fickle{wishes: c.wishes}
			a := &asker{to: w.Add("fickle", n)}
			h := w.Add("asker", a)
			conn := h.Dial(a.to)
			w.Run(time.Millisecond)
			for range c.wishes {
				conn.Write([]byte{1})
				w.Run(time.Millisecond)
			}
			conn.Abort()
			w.Run(2 * time.Hour)
			if !slices.Equal(n.ticks, c.want) {
				t.Errorf("woken at %v, want %v", n.ticks, c.want)
			}
		})
	}
}

// TestLowIDs: with LowIDs a packet identifier is the lowest that is free, else the
// one after the last.
func TestLowIDs(t *testing.T) {
	for _, c := range []struct {
		low  bool
		want []uint16
	}{{true, []uint16{1, 2, 3, 2, 4, 1, 3, 5}}, {false, []uint16{1, 2, 3, 4, 5, 6, 7, 8}}} {
		s := NewBroker(BrokerConfig{LowIDs: c.low}).session("a")
		var got []uint16
		take := func(n int) {
			for range n {
				x := new(exchange)
				if !s.identify(x) {
					t.Fatal("no identifier is free")
				}
				got = append(got, x.id)
			}
		}
		take(3)
		s.release(2)
		take(2)
		s.release(3)
		s.release(1)
		take(3)
		if !slices.Equal(got, c.want) {
			t.Errorf("low %v: %v, want %v", c.low, got, c.want)
		}
	}
}
