// This file tests the storage of records.go against naive models: slices and
// maps.

package mqttcore

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// inOrder is the records of a list, from both ends.
func inOrder(t *testing.T, s *records, l listID) []uint32 {
	t.Helper()
	var got, back []uint32
	for i := s.lists[l].head; i != 0; i = s.next(i) {
		got = append(got, i)
	}
	if l == listFree { // it is linked one way
		return got
	}
	for i := s.lists[l].tail; i != 0; i = s.near[i].prev {
		back = append(back, i)
	}
	slices.Reverse(back)
	if !slices.Equal(got, back) {
		t.Fatalf("list %d is %v forwards and %v backwards", l, got, back)
	}
	return got
}

func TestRecords(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var s records
	var model [listCount][]uint32
	remove := func(from listID, i uint32) {
		model[from] = slices.DeleteFunc(model[from], func(x uint32) bool { return x == i })
	}
	pick := func() (listID, uint32) {
		l := listQueued + listID(rng.IntN(int(listCount-listQueued)))
		if len(model[l]) == 0 {
			return l, 0
		}
		return l, model[l][rng.IntN(len(model[l]))]
	}
	for step := range 5000 {
		switch rng.IntN(4) {
		case 0, 1:
			to := listQueued + listID(rng.IntN(int(listCount-listQueued)))
			i := s.get(to)
			if free := model[listFree]; len(free) > 0 && !slices.Contains(free, i) {
				t.Fatalf("step %d: get grows the slab while %v are free", step, free)
			}
			if r := &s.slab[i]; r.tag != 0 || r.id != 0 || r.epoch != 0 || r.propsLen != 0 || len(r.buf) != 0 {
				t.Fatalf("step %d: get returns a record that is not empty: %+v", step, *r)
			}
			s.slab[i].tag, s.slab[i].id, s.slab[i].epoch, s.slab[i].propsLen = 1, 2, 3, 4
			s.slab[i].buf = append(s.slab[i].buf, "what was there"...)
			remove(listFree, i)
			model[to] = append(model[to], i)
		case 2:
			if from, i := pick(); i != 0 {
				to := listQueued + listID(rng.IntN(int(listCount-listQueued)))
				s.move(i, to)
				remove(from, i)
				model[to] = append(model[to], i)
			}
		case 3:
			if from, i := pick(); i != 0 {
				s.put(i)
				remove(from, i)
				model[listFree] = append(model[listFree], i)
			}
		}
		for l := range listCount {
			got := inOrder(t, &s, l)
			if l == listFree { // a set: which of them comes first is its own affair
				slices.Sort(got)
				slices.Sort(model[l])
			}
			if !slices.Equal(got, model[l]) || int(s.lists[l].n) != len(got) {
				t.Fatalf("step %d: list %d is %v, counted %d, want %v", step, l, got, s.lists[l].n, model[l])
			}
		}
	}
}

// TestRecordBuffer is about the buffer of a finished record: it is used again
// unless it is large.
func TestRecordBuffer(t *testing.T) {
	for _, row := range []struct {
		size int
		kept bool
	}{{100, true}, {keepBuf, true}, {keepBuf + 1, false}} {
		var s records
		i := s.get(listQueued)
		s.slab[i].buf = make([]byte, row.size)
		s.put(i)
		if j := s.get(listSent); j != i {
			t.Fatalf("record %d, want %d again", j, i)
		}
		if kept := cap(s.slab[i].buf) >= row.size; kept != row.kept {
			t.Errorf("a buffer of %d bytes is kept: %t, want %t", row.size, kept, row.kept)
		}
	}
}

// TestIDPool checks identifiers against a queue of the free ones.
func TestIDPool(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	var p idPool
	taken := map[uint16]uint32{}
	var order []uint16 // taken ones, to choose from
	var freed []uint16 // given back, in that order
	for step := range 200_000 {
		// First it fills up, then it goes up and down, then it empties.
		put := rng.IntN(2) == 0
		if step < 70_000 {
			put = false
		} else if step > 130_000 {
			put = true
		}
		if put {
			if len(order) == 0 {
				continue
			}
			k := rng.IntN(len(order))
			id := order[k]
			order[k] = order[len(order)-1]
			order = order[:len(order)-1]
			p.giveBack(id)
			delete(taken, id)
			freed = append(freed, id)
			if p.find(id) != 0 {
				t.Fatalf("step %d: %d is found after it was given back", step, id)
			}
			continue
		}
		if want := len(taken) < maxID; p.available() != want {
			t.Fatalf("step %d: available is %t with %d taken", step, !want, len(taken))
		}
		id := p.take(uint32(step + 1))
		if len(taken) == maxID {
			if id != 0 {
				t.Fatalf("step %d: %d is handed out when all are taken", step, id)
			}
			continue
		}
		if _, twice := taken[id]; id == 0 || twice {
			t.Fatalf("step %d: %d is handed out", step, id)
		}
		taken[id] = uint32(step + 1)
		order = append(order, id)
		// One that was given back comes again only when all that are free for
		// longer have come.
		if len(freed) > 0 && slices.Contains(freed, id) {
			if freed[0] != id {
				t.Fatalf("step %d: %d is handed out before %d", step, id, freed[0])
			}
			freed = freed[1:]
		}
		if p.find(id) != uint32(step+1) {
			t.Fatalf("step %d: find(%d) is %d", step, id, p.find(id))
		}
	}
	for id, i := range taken {
		if p.find(id) != i {
			t.Fatalf("find(%d) is %d, want %d", id, p.find(id), i)
		}
	}
	if err := checkPool(&p, len(taken)); err != nil {
		t.Fatal(err)
	}
}

// TestIDPoolGrows is about memory: the pool is no larger than needed, and an
// identifier rests before it comes again.
func TestIDPoolGrows(t *testing.T) {
	var p idPool
	if p.find(1) != 0 || p.find(maxID) != 0 || !p.available() {
		t.Error("an empty pool knows identifiers, or has none")
	}
	for want := uint16(1); want <= firstIDs; want++ {
		id := p.take(1)
		if id != want {
			t.Errorf("identifier %d, want %d", id, want)
		}
		p.giveBack(id)
	}
	if id := p.take(1); id != 1 {
		t.Errorf("identifier %d after %d ones, want 1 again", id, firstIDs)
	}
	if len(p.slot) != firstIDs+1 {
		t.Errorf("%d slots for one identifier at a time, want %d", len(p.slot), firstIDs+1)
	}
	for range maxID - 1 {
		p.take(1)
	}
	if len(p.slot) != maxID+1 || p.available() || p.take(1) != 0 {
		t.Errorf("%d slots, %d free, when all are taken", len(p.slot), p.free)
	}
}

// TestInbox checks received messages against a map and a slice a list.
func TestInbox(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, ids := range []int{4, 300, 65535} {
		s := new(inbox)
		placeOf := map[uint16]uint16{} // of QoS 2
		var model [inListCount][]uint16
		remove := func(at uint16) {
			l := s.slab[at].list
			model[l] = slices.DeleteFunc(model[l], func(x uint16) bool { return x == at })
		}
		all := func() (n int) {
			for _, l := range model {
				n += len(l)
			}
			return n
		}
		for step := range 4000 {
			id := uint16(1 + rng.IntN(ids))
			to := inListID(rng.IntN(int(inListCount)))
			at, known := placeOf[id]
			if s.find(id) != at {
				t.Fatalf("step %d: find(%d) is %d, want %d", step, id, s.find(id), at)
			}
			switch op := rng.IntN(100); {
			case op == 0:
				s.clear()
				clear(placeOf)
				model = [inListCount][]uint16{}
			case op < 5 && all() < 500:
				at = s.put(id, QoS1, to)
				model[to] = append(model[to], at)
			case op < 55 && !known && all() < 500:
				at = s.put(id, QoS2, to)
				placeOf[id] = at
				model[to] = append(model[to], at)
				if r := &s.slab[at]; r.id != id || r.token != 0 || r.acked || r.epoch != 0 {
					t.Fatalf("step %d: put makes %+v", step, *r)
				}
				s.slab[at].token, s.slab[at].acked, s.slab[at].epoch = 1, true, 1
			case op < 70 && known:
				remove(at)
				s.move(at, to)
				model[to] = append(model[to], at)
			default:
				l := model[to]
				if len(l) == 0 {
					continue
				}
				at = l[rng.IntN(len(l))]
				remove(at)
				if s.slab[at].qos == QoS2 {
					delete(placeOf, s.slab[at].id)
				}
				s.remove(at)
			}
			if int(s.len()) != all() {
				t.Fatalf("step %d: %d messages, want %d", step, s.len(), all())
			}
			for l := range s.lists {
				var got []uint16
				for at := s.lists[l].head; at != 0; at = s.next(at) {
					got = append(got, at)
				}
				if !slices.Equal(got, model[l]) {
					t.Fatalf("step %d: list %d is %v, want %v", step, l, got, model[l])
				}
			}
			if err := checkInbox(s); err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
		}
		for id, at := range placeOf {
			if s.find(id) != at {
				t.Fatalf("find(%d) is %d, want %d", id, s.find(id), at)
			}
		}
	}
}

// TestInboxFull keeps every identifier at once.
func TestInboxFull(t *testing.T) {
	s := new(inbox)
	for id := uint16(1); id != 0; id++ {
		s.put(id, QoS2, inReceived)
	}
	if n := s.len(); n != maxID {
		t.Fatalf("%d messages, want %d", n, maxID)
	}
	if err := checkInbox(s); err != nil {
		t.Fatal(err)
	}
	s.clear()
	if s.len() != 0 || s.find(1) != 0 || s.find(maxID) != 0 {
		t.Error("identifiers are left after clear")
	}
}
