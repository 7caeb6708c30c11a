//go:build !race

// This file measures how much memory a world with many idle clients takes. It is
// left out under the race detector, which takes several times as much.

package sim

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"mqttcore"
)

// TestCrowd: 100,000 clients that do nothing but keep their connections alive
// are in one world within 1 GiB, with their journals, their sessions at the
// broker, and the oracles that watch them.
func TestCrowd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const (
		clients   = 100_000
		most      = 1 << 30 // bytes
		keepAlive = time.Minute
		pings     = 2
	)
	debug.FreeOSMemory() // what other tests have left
	before := held()
	w := New(Seed(1), Faults{Latency: 100 * time.Millisecond})
	b := NewBroker(BrokerConfig{})
	l := &Ledger{Strict: true}
	watchBroker(b, l)
	server := w.Add("broker", b)
	for i := range clients {
		id := fmt.Sprintf("c%d", i)
		cfg := mqttcore.Config{ClientID: []byte(id), Version: mqttcore.V311, KeepAlive: uint16(keepAlive / time.Second)}
		w.Add(id, &App{Config: cfg, Server: server, Ledger: l, Load: Load{Every: 24 * time.Hour}})
	}
	peak := uint64(0)
	for end := w.Now().Add((pings + 1) * keepAlive); w.Now().Before(end); {
		w.Run(keepAlive / 4)
		peak = max(peak, held())
	}
	if l.Failure != nil {
		t.Fatal(l.Failure)
	}
	connected := 0
	for _, s := range b.Sessions() {
		if s.Connected {
			connected++
		}
	}
	if connected != clients || b.Stats.Connects != clients {
		t.Errorf("%d clients are connected, of %d connections", connected, b.Stats.Connects)
	}
	if n := b.Stats.Packets; n < clients*(1+pings) {
		t.Errorf("the broker received %d packets: not every client has pinged %d times", n, pings)
	}
	runtime.GC()
	var live runtime.MemStats
	runtime.ReadMemStats(&live)
	t.Logf("%d clients: %d MiB of the system's memory at most, %d MiB before; %d bytes of heap each, alive",
		clients, peak>>20, before>>20, live.HeapAlloc/clients)
	if peak > most {
		t.Errorf("%d bytes, want at most %d", peak, most)
	}
	runtime.KeepAlive(w)
}

// held is how many bytes the process has from the system: heap, garbage, stacks
// and what the runtime needs for itself.
func held() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys - m.HeapReleased
}
