// This file holds the client's budgets: no allocation in the steady state, and
// what an idle client takes.

package mqttcore

import (
	"runtime"
	"testing"
	"unsafe"
)

// TestClientAllocs is about a connection that has warmed up.
func TestClientAllocs(t *testing.T) {
	type run func(*testing.T) func()
	sending := func(q QoS) run {
		return func(t *testing.T) func() {
			s := newCycle(t, benchClient(t), q)
			return func() {
				id := s.publish(t)
				if q != QoS0 {
					s.finish(t, id)
				}
			}
		}
	}
	receiving := func(q QoS) run {
		return func(t *testing.T) func() {
			p := benchPublishQoS0()
			p.QoS = q
			if q != QoS0 {
				p.ID = 7
			}
			s := newCycle(t, benchClient(t), q)
			in, rel := mustAppend(p, server311), []byte{0x62, 2, 0, 7}
			return func() {
				s.receive(t, in)
				if q == QoS2 {
					s.receive(t, rel)
				}
			}
		}
	}
	pong := []byte{0xD0, 0}
	for _, row := range []struct {
		name string
		run  run
	}{
		{"publish QoS 0", sending(QoS0)},
		{"publish QoS 1 and PUBACK", sending(QoS1)},
		{"publish QoS 2, PUBREC and PUBCOMP", sending(QoS2)},
		{"receive QoS 0", receiving(QoS0)},
		{"receive QoS 1", receiving(QoS1)},
		{"receive QoS 2 and PUBREL", receiving(QoS2)},
		{"publish QoS 1, 100 under way", func(t *testing.T) func() {
			s := newCycle(t, benchClient(t), QoS1)
			ids := make([]uint16, 100)
			for i := range ids {
				ids[i] = s.publish(t)
			}
			i := 0
			return func() {
				s.finish(t, ids[i])
				ids[i] = s.publish(t)
				i = (i + 37) % len(ids)
			}
		}},
		{"PUBACK of nothing", func(t *testing.T) func() {
			s := newCycle(t, benchClient(t), QoS1)
			return func() { s.finish(t, 9) }
		}},
		{"ping and its answer", func(t *testing.T) func() {
			s := newCycle(t, benchClient(t), QoS0)
			return func() {
				if _, err := s.c.Ping(s.buf, benchNow); err != nil {
					t.Fatal(err)
				}
				s.receive(t, pong)
			}
		}},
		{"tick and deadline", func(t *testing.T) func() {
			s := newCycle(t, benchClient(t), QoS0)
			return func() {
				s.c.Tick(s.buf, s.c.Deadline())
				s.receive(t, pong)
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := row.run(t)
			for range 200 {
				f()
			}
			if n := testing.AllocsPerRun(100, f); n != 0 {
				t.Errorf("%v allocations, want none", n)
			}
		})
	}
}

// TestClientSize pins what many clients are made of.
func TestClientSize(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the sizes are those of 64 bits")
	}
	for _, row := range []struct {
		name      string
		got, want uintptr
	}{
		{"record, a cache line", unsafe.Sizeof(record{}), 64},
		{"inRecord", unsafe.Sizeof(inRecord{}), 48},
		{"Client and Session", unsafe.Sizeof(Client{}) + unsafe.Sizeof(Session{}), 1024},
		{"Event", unsafe.Sizeof(Event{}), 232},
	} {
		if row.got > row.want {
			t.Errorf("%s has %d bytes, want at most %d", row.name, row.got, row.want)
		}
	}
}

// TestIdleClient measures what a connected client with an empty session takes:
// at most 1 KiB.
func TestIdleClient(t *testing.T) {
	const clients = 2000
	all := make([]*Client, clients)
	cfg := Config{ClientID: []byte("me"), CleanStart: true}
	buf := make([]byte, 0, 256)
	before := heap()
	for i := range all {
		c, err := NewClient(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = c.Connect(buf, benchNow); err != nil {
			t.Fatal(err)
		}
		feed(t, c, buf, []byte{0x20, 3, 0, 0, 0})
		all[i] = c
	}
	each := float64(heap()-before) / clients
	if each > 1024+8 { // 8 for what else the run allocates meanwhile
		t.Errorf("an idle client takes %.0f bytes, want at most 1,024", each)
	}
	runtime.KeepAlive(all)
}

// heap is how many bytes are alive.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
