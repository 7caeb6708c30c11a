// This file fuzzes what is read from disk: journals and snapshots, as they are,
// and with their sums made right, so that what is in them is reached.

package mqttcore

import (
	"bytes"
	"testing"
	"time"
)

// sealAll reads b as pieces, each kind, flags, size and body, and makes a
// journal of them with good sums.
func sealAll(b []byte) (log []byte) {
	for len(b) >= 4 {
		n := min(int(b[2])<<8|int(b[3]), len(b)-4)
		log = append(log, sealedRecord(opFormat, OpKind(b[0]), b[1], b[4:4+n])...)
		b = b[4+n:]
	}
	return log
}

// pieces is the inverse of sealAll for a good journal.
func pieces(log []byte) (b []byte) {
	for len(log) > 0 {
		kind, flags, body, n, _ := unseal(log)
		b = append(append(b, byte(kind), flags, byte(len(body)>>8), byte(len(body))), body...)
		log = log[n:]
	}
	return b
}

func FuzzJournal(f *testing.F) {
	log, ends, states := someJournal(f)
	f.Add(log, false)
	f.Add(log[:len(log)-3], false)
	f.Add(pieces(log), true)
	for i := 1; i < len(ends); i++ {
		f.Add(pieces(log[:ends[i]]), true)
		f.Add(states[i], false)
	}
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if len(b) > 1<<16 {
			return
		}
		if seal {
			b = sealAll(b)
		}
		s := new(Session)
		n, err := s.Replay(b)
		if err != nil && err != ErrCorrupt || n > len(b) || n < 0 {
			t.Fatalf("%d, %v", n, err)
		}
		fuzzRestored(t, s, len(b))

		// The same bytes as a snapshot, and in one.
		for _, b := range [][]byte{b, sealedRecord(opFormat, opSnapshot, 0, b[:n])} {
			s := new(Session)
			if err := s.UnmarshalBinary(b); err != nil {
				if err != ErrCorrupt || !bytes.Equal(snapshot(s), snapshot(new(Session))) {
					t.Fatalf("refused with %v, and the session has changed", err)
				}
				continue
			}
			fuzzRestored(t, s, len(b))
		}
		for at := 0; at < n; {
			var op Op
			k, err := ConsumeOp(b[at:], &op)
			if err != nil || k == 0 {
				t.Fatalf("an op was applied that does not decode: %v", err)
			}
			if again, err := op.AppendBinary(nil); err != nil || !bytes.Equal(again, b[at:at+k]) {
				t.Fatalf("%x\nencodes as\n%x: %v", b[at:at+k], again, err)
			}
			at += k
		}
	})
}

// fuzzRestored checks a session that was made of so many bytes, and that a
// client can go on with it.
func fuzzRestored(t *testing.T, s *Session, size int) {
	if places := size/(opHeader+opTrailer+8) + 1; len(s.out.slab) > places+1 || s.inbox.len() > int32(places) {
		t.Fatalf("%d bytes have made %d records", size, len(s.out.slab))
	}
	held := 0
	for i := range s.out.slab {
		held += cap(s.out.slab[i].buf)
	}
	if held > 4*size+4096 {
		t.Fatalf("%d bytes have made messages of %d", size, held)
	}
	snap := snapshot(s)
	if !bytes.Equal(snapshot(restored(t, snap)), snap) {
		t.Fatal("the snapshot restores to another session")
	}
	c, err := NewClient(Config{ClientID: s.ClientID(), Props: propsOf(SessionExpiry(9)), Journal: true}, s)
	if err != nil {
		return // a client identifier that 5.0 does not have
	}
	now := time.Unix(1000, 0)
	for _, call := range []func(){
		func() {},
		func() { c.Connect(nil, now) },
		func() { c.Receive(nil, now, []byte{0x20, 3, 1, 0, 0}) },
		func() { c.Receive(nil, now, []byte{0x50, 2, 0, 1}) },
		func() { c.Receive(nil, now, []byte{0x70, 2, 0, 1}) },
		func() { c.Receive(nil, now, []byte{0x62, 2, 0, 1}) },
		func() { c.Tick(nil, now.Add(time.Second)) },
		func() { c.Lost(now, nil) },
	} {
		call()
		for ev := new(Event); c.Next(ev); {
		}
		for op := new(Op); c.NextOp(op); {
		}
		if err := checkSession(s); err != nil {
			t.Fatal(err)
		}
	}
}
