// This file measures what a journal costs: the whole cycle of an outgoing
// message without one, with its ops taken, and with them in the form for disk.
// It checks nothing.

package mqttcore

import "testing"

// journaledCycle is one cycle on a connection with a journal.
func journaledCycle(t testing.TB, q QoS, encode bool) func() {
	c, err := NewClient(Config{Version: V311, ClientID: []byte("bench"), CleanStart: true, KeepAlive: 60, Journal: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.Connect(nil, benchNow); err != nil {
		t.Fatal(err)
	}
	feed(t, c, nil, []byte{0x20, 2, 0, 0})
	s := newCycle(t, c, q)
	log := make([]byte, 0, 4096)
	var op Op
	return func() {
		s.finish(t, s.publish(t))
		log = log[:0]
		for c.NextOp(&op) {
			if encode {
				log, _ = op.AppendBinary(log)
			}
		}
	}
}

func BenchmarkJournal(b *testing.B) {
	for _, q := range []QoS{QoS1, QoS2} {
		b.Run(q.String(), func(b *testing.B) {
			b.Run("off", func(b *testing.B) { clientCycle(b, q) })
			for _, row := range []struct {
				name   string
				encode bool
			}{{"taken", false}, {"encoded", true}} {
				b.Run(row.name, func(b *testing.B) {
					b.ReportAllocs()
					f := journaledCycle(b, q, row.encode)
					for b.Loop() {
						f()
					}
				})
			}
		})
	}
}

// BenchmarkSnapshot is a session of 1,000 messages of 64 bytes to a snapshot,
// and back.
func BenchmarkSnapshot(b *testing.B) {
	c, err := NewClient(Config{Version: V311, ClientID: []byte("bench")}, nil)
	if err != nil {
		b.Fatal(err)
	}
	p := benchPublishQoS0()
	p.QoS = QoS1
	for i := range 1000 {
		if _, err := c.Publish(nil, benchNow, p, uint64(i)); err != nil {
			b.Fatal(err)
		}
	}
	snap := snapshot(c.Session())
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(snap)))
		buf := make([]byte, 0, len(snap))
		for b.Loop() {
			if _, err := c.Session().AppendBinary(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("restore", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(snap)))
		for b.Loop() {
			if err := new(Session).UnmarshalBinary(snap); err != nil {
				b.Fatal(err)
			}
		}
	})
}
