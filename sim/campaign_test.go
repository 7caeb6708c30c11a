package sim

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"mqttcore"

	"github.com/google/go-cmp/cmp"
)

// TestCampaign: a few hundred runs with all oracles, of all versions and of
// each alone.
func TestCampaign(t *testing.T) {
	for _, c := range []struct {
		version mqttcore.Version
		runs    uint64
	}{{0, 300}, {mqttcore.V31, 60}, {mqttcore.V311, 60}, {mqttcore.V5, 60}} {
		t.Run(fmt.Sprintf("version %d", c.version), func(t *testing.T) {
			t.Parallel()
			runs := c.runs
			if testing.Short() {
				runs /= 10
			}
			reached := map[string]int{}
			for seed := uint64(1); seed <= runs; seed++ {
				src := Seed(seed)
				k := Draw(src, Limits{Clients: 4, Steps: 1500, Version: c.version})
				r := Run(src, k, nil)
				if r.Err != nil {
					t.Fatalf("seed %d, step %d: %v\n%v", seed, r.Step, r.Err, k)
				}
				for _, c := range r.Counters {
					reached[c.Name] += c.N
				}
				for _, kc := range k.Clients {
					if c.version != 0 && kc.Version != c.version {
						t.Fatalf("seed %d: a client of version %v", seed, kc.Version)
					}
				}
			}
			if testing.Short() {
				return
			}
			// Those that need luck are left to longer campaigns; 3.1 does not tell of
			// a session, and 3.x of no receive maximum.
			for _, s := range []string{"accepted again", "backlog over quota", "broker lost its sessions", "broker restarted",
				"crash after write", "crash before act", "crash between act and commit", "crash between commit and write",
				"delivered again", "dropped: session lost", "failed commit", "illegal packet answered", "request dropped",
				"resumed while released", "resumed while sent", "session ended",
				"session present", "stale token"} {
				if !slices.Contains(RareStates(), s) {
					t.Errorf("%q is no rare state", s)
				}
				if reached[s] == 0 && (s != "session present" || c.version != mqttcore.V31) &&
					(s != "backlog over quota" || c.version == 0 || c.version == mqttcore.V5) {
					t.Errorf("%q was never reached", s)
				}
			}
		})
	}
}

// TestRunAgain: the same source gives the same run, and so does its tape;
// another one another.
func TestRunAgain(t *testing.T) {
	limits := Limits{Clients: 3, Steps: 600}
	hashes := map[uint64]uint64{}
	for seed := uint64(1); seed <= 20; seed++ {
		rec := &Recorder{Source: Seed(seed)}
		first := Run(rec, Draw(rec, limits), nil)
		for name, src := range map[string]Source{"seed": Seed(seed), "tape": Tape(rec.Taken)} {
			again := Run(src, Draw(src, limits), nil)
			if diff := cmp.Diff(first, again); diff != "" {
				t.Errorf("%s %d is another run the second time:\n%s", name, seed, diff)
			}
		}
		if other, ok := hashes[first.Hash]; ok {
			t.Errorf("seeds %d and %d are the same run", seed, other)
		}
		hashes[first.Hash] = seed
	}
}

// TestRunWatched: to watch a run does not change it, and a run that is watched
// shows what happens.
func TestRunWatched(t *testing.T) {
	limits := Limits{Clients: 3, Steps: 1000}
	cuts, crashes := 0, uint64(0)
	for seed := uint64(1); seed <= 10; seed++ {
		src := Seed(seed)
		unseen := Run(src, Draw(src, limits), nil)
		bytes := uint64(0)
		src = Seed(seed)
		seen := Run(src, Draw(src, limits), func(w *World) {
			w.OnData = func(_ time.Time, _ *Conn, b []byte) { bytes += uint64(len(b)) }
			w.OnCut = func(time.Time, *Conn, error) { cuts++ }
			w.OnNote = func(_ time.Time, _ *Host, text string) {
				if strings.HasPrefix(text, "crash") {
					crashes++
				}
			}
		})
		if diff := cmp.Diff(unseen, seen); diff != "" {
			t.Errorf("seed %d is another run when it is watched:\n%s", seed, diff)
		}
		if bytes != seen.Counts.Bytes || bytes == 0 {
			t.Errorf("seed %d: %d bytes seen of %d", seed, bytes, seen.Counts.Bytes)
		}
		crashes -= seen.Counts.Crashes
	}
	if cuts == 0 || crashes != 0 {
		t.Errorf("%d cuts seen, and %d crashes too many", cuts, int64(crashes))
	}
}

// TestDrawNoFaults: a world without faults has none.
func TestDrawNoFaults(t *testing.T) {
	for seed := uint64(1); seed <= 30; seed++ {
		src := Seed(seed)
		r := Run(src, Draw(src, Limits{Clients: 3, Steps: 500, NoFaults: true}), nil)
		if r.Err != nil {
			t.Errorf("seed %d: %v", seed, r.Err)
		}
		c := r.Counts
		if n := c.Cuts + c.HalfOpens + c.Jumps + c.Refused + c.Crashes + c.Chunks + c.FailedCommits + r.Stats.Illegal; n != 0 {
			t.Errorf("seed %d: %d faults: %+v", seed, n, c)
		}
	}
}

// restless is a node that wants to be woken at once, always.
type restless struct{}

func (restless) Handle(h *Host, _ Event) time.Time { return h.Now() }

// TestPass: a world that does not let time pass is found out, and one in which
// something is wrong is not gone on with.
func TestPass(t *testing.T) {
	w, l := New(Seed(1), Faults{}), &Ledger{}
	w.Add("r", restless{})
	if pass(w, l, time.Second); l.Failure == nil || l.Failure.Error() != "world: 1000000 steps in less than 1s, and nobody asked for anything" {
		t.Errorf("got %v", l.Failure)
	}
	steps := w.Steps()
	if pass(w, l, time.Second); w.Steps() != steps {
		t.Errorf("%d steps more", w.Steps()-steps)
	}
}

// TestRunUnsettled: a world in which nobody can connect does not settle.
func TestRunUnsettled(t *testing.T) {
	w := New(Seed(1), Faults{})
	l, b := &Ledger{Strict: true}, NewBroker(BrokerConfig{})
	b.Config.RefuseConnect = func(*mqttcore.Connect) mqttcore.ReasonCode { return mqttcore.ReasonServerBusy }
	a := &App{Config: ClientKnobs{Version: mqttcore.V5, Queue: 9}.config("c0"), Server: w.Add("broker", b), Ledger: l,
		Load: Load{Every: time.Second, Publish: 1, Topics: 1, QoS: [3]int{0, 1, 1}}}
	w.Add("c0", a)
	w.Run(time.Minute)
	if err := settle(w, l, b, []*App{a}); err == nil || err.Error() != "sim: the world does not settle: c0: is not connected" {
		t.Errorf("got %v", err)
	}
}

// BenchmarkCampaign is a campaign on one core, all oracles on.
func BenchmarkCampaign(b *testing.B) {
	packets, seed := uint64(0), uint64(0)
	b.ReportAllocs()
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // as mqttsim does
	for b.Loop() {
		seed++
		src := Seed(seed)
		r := Run(src, Draw(src, Limits{Clients: 4, Steps: 2000}), nil)
		if r.Err != nil {
			b.Fatalf("seed %d: %v", seed, r.Err)
		}
		packets += r.Packets
	}
	b.ReportMetric(float64(packets)/b.Elapsed().Seconds(), "packets/s")
	b.ReportMetric(float64(packets)/float64(seed), "packets/op")
}
