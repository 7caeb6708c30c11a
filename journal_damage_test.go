// This file tests the bytes of journals and snapshots: what is damaged, torn,
// unknown or does not fit is refused, and never applied in part.

package mqttcore

import (
	"bytes"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// someJournal is the journal of a session in which everything happened: its
// bytes, where each op ends, and the session after each of them.
func someJournal(t testing.TB) (log []byte, ends []int, states [][]byte) {
	s, seen := new(Session), map[OpKind]bool{}
	ends, states = []int{0}, [][]byte{snapshot(s)}
	op := func(op Op) {
		var err error
		if log, err = op.AppendBinary(log); err == nil {
			err = s.Apply(&op)
		}
		if err != nil {
			t.Fatalf("%+v: %v", op, err)
		}
		seen[op.Kind] = true
		ends, states = append(ends, len(log)), append(states, snapshot(s))
	}
	props := propsOf(MessageExpiry(60), UserProperty("k", "v"))
	op(Op{Kind: OpMeta, ClientID: []byte("me"), Tried: true})
	op(Op{Kind: OpMeta, ClientID: []byte("me"), Expiry: 100, Established: true})
	op(Op{Kind: OpPut, Num: 1, Tag: 7, QoS: QoS1, Retain: true, Topic: []byte("a/b"), Payload: []byte("one")})
	op(Op{Kind: OpPut, Num: 2, Tag: 8, QoS: QoS2, Topic: []byte("a"), Props: props, Expires: 60e9, Payload: []byte("two")})
	op(Op{Kind: OpSent, Num: 1, ID: 1})
	op(Op{Kind: OpSent, Num: 2, ID: 0xFFFF})
	op(Op{Kind: OpRelease, Num: 2})
	op(Op{Kind: OpPutIncoming, ID: 5})
	op(Op{Kind: OpPutIncoming, ID: 6})
	op(Op{Kind: OpDeleteIncoming, ID: 5})
	op(Op{Kind: OpPut, Num: 9, Tag: 9, QoS: QoS2, Topic: []byte("c")})
	op(Op{Kind: OpSent, Num: 9, ID: 2})
	op(Op{Kind: OpHold, Num: 9})
	op(Op{Kind: OpDelete, Num: 1})
	op(Op{Kind: OpPut, Num: 10, Tag: 10, QoS: QoS1, Topic: []byte("d")})
	op(Op{Kind: OpClear, Sent: true, Incoming: true})
	op(Op{Kind: OpMeta, ClientID: []byte("me")})
	for k := OpPut; k < opKinds; k++ {
		if !seen[k] {
			t.Fatalf("no op of kind %v", k)
		}
	}
	return log, ends, states
}

// snapshot is everything in a session.
func snapshot(s *Session) []byte {
	b, err := s.AppendBinary(nil)
	if err != nil {
		panic(err)
	}
	return b
}

// restored is a session made from a snapshot.
func restored(t testing.TB, b []byte) *Session {
	t.Helper()
	s := new(Session)
	if err := s.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	return s
}

// busyState is a state of someJournal in which the session holds most.
func busyState(states [][]byte) []byte {
	return slices.MaxFunc(states, func(a, b []byte) int { return len(a) - len(b) })
}

func TestSnapshotDamage(t *testing.T) {
	_, _, states := someJournal(t)
	good, other := busyState(states), states[2]
	refused := func(name string, i int, b []byte) {
		t.Helper()
		s := restored(t, other)
		if err := s.UnmarshalBinary(b); err != ErrCorrupt {
			t.Errorf("%s %d: UnmarshalBinary: %v", name, i, err)
		}
		if n, err := s.ConsumeBinary(b); n != 0 || err != ErrCorrupt {
			t.Errorf("%s %d: ConsumeBinary: %d, %v", name, i, n, err)
		}
		if !bytes.Equal(snapshot(s), other) {
			t.Fatalf("%s %d: the session has changed", name, i)
		}
	}
	for i := range good {
		refused("cut at byte", i, good[:i])
	}
	for i := range len(good) * 8 {
		b := bytes.Clone(good)
		b[i/8] ^= 1 << (i % 8)
		refused("flipped bit", i, b)
	}
	s := restored(t, good)
	if !bytes.Equal(snapshot(s), good) {
		t.Error("the restored session is another")
	}
	longer := append(bytes.Clone(good), opMagic)
	if err := s.UnmarshalBinary(longer); err != ErrCorrupt {
		t.Errorf("UnmarshalBinary of a byte too many: %v", err)
	}
	if n, err := s.ConsumeBinary(longer); n != len(good) || err != nil {
		t.Errorf("ConsumeBinary with more behind it: %d, %v", n, err)
	}
}

// TestSnapshotInside: a snapshot with good sums is refused for what is in it.
func TestSnapshotInside(t *testing.T) {
	log, ends, states := someJournal(t)
	for name, b := range map[string][]byte{
		"a torn op":                sealedRecord(opFormat, opSnapshot, 0, log[:ends[3]-1]),
		"an op that does not fit":  sealedRecord(opFormat, opSnapshot, 0, log[ends[3]:]),
		"a snapshot":               sealedRecord(opFormat, opSnapshot, 0, states[0]),
		"flags":                    sealedRecord(opFormat, opSnapshot, 1, log),
		"another version":          sealedRecord(2, opSnapshot, 0, log),
		"an op instead of a whole": log,
	} {
		s := restored(t, states[4])
		if err := s.UnmarshalBinary(b); err != ErrCorrupt {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.ConsumeBinary(b); err != ErrCorrupt {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(snapshot(s), states[4]) {
			t.Errorf("%s: the session has changed", name)
		}
	}
}

// sealedRecord makes a record with good sums from any parts.
func sealedRecord(format byte, kind OpKind, flags byte, body []byte) []byte {
	b := []byte{opMagic, format, byte(kind), flags}
	b = appendUint32(b, uint32(len(body)))
	b = appendUint32(b, crc32.ChecksumIEEE(b))
	return appendUint32(append(b, body...), crc32.ChecksumIEEE(body))
}

// TestJournalTorn: cut anywhere, a journal restores to the state before the op
// that is not whole.
func TestJournalTorn(t *testing.T) {
	log, ends, states := someJournal(t)
	whole := 0
	for i := range len(log) + 1 {
		for whole+1 < len(ends) && ends[whole+1] <= i {
			whole++
		}
		s := new(Session)
		n, err := s.Replay(log[:i])
		if n != ends[whole] || err != nil {
			t.Fatalf("cut at byte %d: %d, %v; want %d", i, n, err, ends[whole])
		}
		if !bytes.Equal(snapshot(s), states[whole]) {
			t.Fatalf("cut at byte %d: not the state after %d ops", i, whole)
		}
		if n, err := s.Replay(log[n:]); err != nil || n != len(log)-ends[whole] || !bytes.Equal(snapshot(s), states[len(states)-1]) {
			t.Fatalf("cut at byte %d: cannot go on: %d, %v", i, n, err)
		}
	}
}

// TestJournalDamage: any flipped bit is found, in the last op too, where it
// must not look like the end of the file.
func TestJournalDamage(t *testing.T) {
	log, ends, states := someJournal(t)
	at := 0 // the op that holds the bit
	for i := range len(log) * 8 {
		for ends[at+1] <= i/8 {
			at++
		}
		b := bytes.Clone(log)
		b[i/8] ^= 1 << (i % 8)
		for _, b := range [][]byte{b, b[:ends[at+1]]} { // and with the op as the last one
			s := new(Session)
			n, err := s.Replay(b)
			if n != ends[at] || err != ErrCorrupt {
				t.Fatalf("bit %d of the op at %d: %d, %v", i-8*ends[at], ends[at], n, err)
			}
			if !bytes.Equal(snapshot(s), states[at]) {
				t.Fatalf("bit %d of the op at %d: was applied in part", i-8*ends[at], ends[at])
			}
		}
		op := Op{Tag: 42}
		if err := op.UnmarshalBinary(b[ends[at]:ends[at+1]]); err != ErrCorrupt || op.Kind != 0 || op.Tag != 42 {
			t.Fatalf("bit %d of the op at %d: %+v, %v", i-8*ends[at], ends[at], op, err)
		}
	}
}

// TestOpUnknown: what has good sums and is still no op of this format.
func TestOpUnknown(t *testing.T) {
	log, ends, _ := someJournal(t)
	for i := 1; i < len(ends); i++ {
		b := log[ends[i-1]:ends[i]]
		kind, flags, body := OpKind(b[2]), b[3], b[opHeader:len(b)-opTrailer]
		refused := func(name string, b []byte) {
			t.Helper()
			var op Op
			if n, err := ConsumeOp(b, &op); n != 0 || err != ErrCorrupt {
				t.Errorf("%v: %s: %d, %v", kind, name, n, err)
			}
		}
		if again := sealedRecord(opFormat, kind, flags, body); !bytes.Equal(again, b) {
			t.Fatalf("%v: the form is another:\n%x\n%x", kind, b, again)
		}
		for v := range 256 {
			if v != opFormat {
				refused("version", sealedRecord(byte(v), kind, flags, body))
			}
			if v == 0 || v >= int(opKinds) {
				refused("kind", sealedRecord(opFormat, OpKind(v), flags, body))
			}
		}
		for bit := range 8 {
			if f := byte(1 << bit); f&opLayout[kind].flags == 0 {
				refused("flag", sealedRecord(opFormat, kind, flags|f, body))
			}
		}
		if !opLayout[kind].text {
			refused("longer body", sealedRecord(opFormat, kind, flags, append(bytes.Clone(body), 0)))
		}
		if len(body) > 0 && opLayout[kind].size > 0 {
			refused("shorter body", sealedRecord(opFormat, kind, flags, body[:opLayout[kind].size-1]))
		}
		var whole Op
		if err := whole.UnmarshalBinary(b); err != nil || whole.Kind != kind {
			t.Errorf("%v: %v, %v", kind, whole, err)
		}
		if again, err := whole.AppendBinary(nil); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%v: %x is encoded again as %x, %v", kind, b, again, err)
		}
		if err := new(Op).UnmarshalBinary(append(bytes.Clone(b), b...)); err != ErrCorrupt {
			t.Errorf("%v: two ops: %v", kind, err)
		}
		if err := new(Op).UnmarshalBinary(b[:len(b)-1]); err != ErrCorrupt {
			t.Errorf("%v: torn: %v", kind, err)
		}
	}
}

// badOps are ops that cannot be.
func badOps() map[string]Op {
	return map[string]Op{
		"no kind":               {},
		"unknown kind":          {Kind: opKinds},
		"snapshot":              {Kind: opSnapshot},
		"put without number":    {Kind: OpPut, QoS: QoS1},
		"put at QoS 0":          {Kind: OpPut, Num: 50},
		"put at QoS 3":          {Kind: OpPut, Num: 50, QoS: 3},
		"put with long topic":   {Kind: OpPut, Num: 50, QoS: QoS1, Topic: make([]byte, maxString+1)},
		"put with wildcard":     {Kind: OpPut, Num: 50, QoS: QoS1, Topic: []byte("a/#")},
		"put with topic alias":  {Kind: OpPut, Num: 50, QoS: QoS1, Props: propsOf(TopicAlias(1))},
		"put with odd property": {Kind: OpPut, Num: 50, QoS: QoS1, Props: propsOf(ReceiveMaximum(1))},
		"put too large":         {Kind: OpPut, Num: 50, QoS: QoS1, Payload: make([]byte, maxRemaining+1)},
		"sent without number":   {Kind: OpSent, ID: 50},
		"sent without ID":       {Kind: OpSent, Num: 10},
		"release of nothing":    {Kind: OpRelease},
		"incoming without ID":   {Kind: OpPutIncoming},
		"meta with long ID":     {Kind: OpMeta, ClientID: make([]byte, maxString+1)},
	}
}

func TestOpImpossible(t *testing.T) {
	for name, op := range badOps() {
		b, err := op.AppendBinary([]byte("mark"))
		if err != ErrCorrupt || string(b) != "mark" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
		if err := new(Session).Apply(&op); err != ErrCorrupt {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestApplyRefuses: ops that do not fit change nothing.
func TestApplyRefuses(t *testing.T) {
	s := new(Session)
	for _, op := range []Op{
		{Kind: OpPut, Num: 1, QoS: QoS1, Topic: []byte("queued")},
		{Kind: OpPut, Num: 2, QoS: QoS1, Topic: []byte("sent")}, {Kind: OpSent, Num: 2, ID: 2},
		{Kind: OpPut, Num: 3, QoS: QoS2, Topic: []byte("sent")}, {Kind: OpSent, Num: 3, ID: 3},
		{Kind: OpPut, Num: 4, QoS: QoS2}, {Kind: OpSent, Num: 4, ID: 4}, {Kind: OpRelease, Num: 4},
		{Kind: OpPut, Num: 5, QoS: QoS2}, {Kind: OpSent, Num: 5, ID: 5}, {Kind: OpHold, Num: 5},
		{Kind: OpPut, Num: 6, QoS: QoS2}, {Kind: OpDelete, Num: 6},
		{Kind: OpPut, Num: 8, QoS: QoS1}, {Kind: OpSent, Num: 8, ID: 8}, {Kind: OpHold, Num: 8},
		{Kind: OpPutIncoming, ID: 1},
	} {
		if err := s.Apply(&op); err != nil {
			t.Fatalf("%+v: %v", op, err)
		}
	}
	before := dump(nil, s)
	for name, op := range map[string]Op{
		"put twice":                {Kind: OpPut, Num: 1, QoS: QoS1, Topic: []byte("x")},
		"sent twice":               {Kind: OpSent, Num: 2, ID: 9},
		"identifier twice":         {Kind: OpSent, Num: 1, ID: 2},
		"identifier of released":   {Kind: OpSent, Num: 1, ID: 4},
		"identifier of held":       {Kind: OpSent, Num: 1, ID: 5},
		"sent of nothing":          {Kind: OpSent, Num: 7, ID: 9},
		"sent of what was deleted": {Kind: OpSent, Num: 6, ID: 9},
		"release of queued":        {Kind: OpRelease, Num: 1},
		"release at QoS 1":         {Kind: OpRelease, Num: 2},
		"release twice":            {Kind: OpRelease, Num: 4},
		"release of held":          {Kind: OpRelease, Num: 5},
		"hold of queued":           {Kind: OpHold, Num: 1},
		"hold of released":         {Kind: OpHold, Num: 4},
		"hold twice":               {Kind: OpHold, Num: 5},
		"delete twice":             {Kind: OpDelete, Num: 6},
		"delete of nothing":        {Kind: OpDelete, Num: 1 << 40},
		"incoming twice":           {Kind: OpPutIncoming, ID: 1},
		"no such incoming":         {Kind: OpDeleteIncoming, ID: 2},
	} {
		if err := s.Apply(&op); err != ErrCorrupt {
			t.Errorf("%s: %v", name, err)
		}
		if after := dump(nil, s); !bytes.Equal(before, after) {
			t.Fatalf("%s: the session has changed", name)
		}
	}
	c, err := NewClient(Config{ClientID: []byte("me")}, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkSession(s); err != nil {
		t.Error(err)
	}
	b := snapshot(s)
	if err := s.Apply(&Op{Kind: OpClear, Sent: true}); err != ErrInUse {
		t.Errorf("Apply to a session in use: %v", err)
	}
	if err := s.UnmarshalBinary(b); err != ErrInUse {
		t.Errorf("UnmarshalBinary of a session in use: %v", err)
	}
	if n, err := c.Session().Replay(sealedRecord(opFormat, OpClear, clearSent, nil)); n != 0 || err != ErrInUse {
		t.Errorf("Replay to a session in use: %d, %v", n, err)
	}
	if !bytes.Equal(b, snapshot(s)) {
		t.Error("the session in use has changed")
	}
}

// TestJournalMemory: what a journal makes of memory follows from its size, not
// from the numbers in it.
func TestJournalMemory(t *testing.T) {
	s := new(Session)
	for _, num := range []uint64{1 << 63, 1<<64 - 1, 1 << 32, 1} {
		if err := s.Apply(&Op{Kind: OpPut, Num: num, QoS: QoS1, Topic: []byte("t")}); err != nil {
			t.Fatal(err)
		}
	}
	if n := cap(s.out.slab) + cap(s.out.near); n > 32 {
		t.Errorf("four messages take %d places", n)
	}
	if again := restored(t, snapshot(s)); !bytes.Equal(snapshot(again), snapshot(s)) {
		t.Error("the snapshot is another")
	}
}

// TestSnapshotAnyMoment: snapshots in the middle of anything restore to the
// same.
func TestSnapshotAnyMoment(t *testing.T) {
	for _, v := range allVersions {
		j := newJournalRig(t, v, false, 99)
		for range 500 {
			j.step()
			b := snapshot(j.c.Session())
			if again := snapshot(restored(t, b)); !bytes.Equal(b, again) {
				t.Fatalf("%x\nis restored to\n%x", b, again)
			}
		}
	}
}

// newJournalRig is a rig with a client.
func newJournalRig(t *testing.T, v Version, manual bool, seed uint64) *journalRig {
	j := &journalRig{t: t, rng: rand.New(rand.NewPCG(seed, uint64(v))), now: time.Unix(1000, 0), replica: new(Session), v: v}
	j.cfg = Config{Version: v, ClientID: []byte("me"), Journal: true, ManualAck: manual, MaxQueued: 20, MaxInflight: 8}
	if v == V5 {
		j.cfg.Props = propsOf(SessionExpiry(100))
	}
	var err error
	if j.c, err = NewClient(j.cfg, nil); err != nil {
		t.Fatal(err)
	}
	return j
}
