// This file tests Explore where nothing is wrong with the client, and how it
// tells what is wrong. That it finds bugs is shown in explore_bugs_test.go.

package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqttcore"
)

// digits is a list of messages by their QoS.
func digits(list string) (q []mqttcore.QoS) {
	for _, c := range list {
		q = append(q, mqttcore.QoS(c-'0'))
	}
	return q
}

// TestExplore looks at small scopes to exhaustion, and finds the same in each
// run, however many look.
func TestExplore(t *testing.T) {
	for _, row := range []struct {
		name               string
		toBroker, toClient string
		reconnects         int
		keepAlive, window  uint16
		atOnce             bool
		least              int // states
	}{
		{"nothing", "", "", 0, 0, 0, false, 4},
		{"a connection that is lost", "", "", 2, 30, 0, false, 50},
		{"QoS 0", "00", "0", 1, 0, 0, false, 200},
		{"QoS 1", "1", "1", 1, 0, 0, false, 400},
		{"QoS 2", "2", "2", 1, 0, 0, false, 800},
		{"QoS 2 and a full window", "22", "", 1, 0, 1, false, 300},
		{"all at once", "021", "120", 1, 0, 2, true, 1000},
		{"pings", "2", "", 1, 60, 0, false, 100},
	} {
		for _, v := range versions {
			t.Run(row.name+"/"+versionName(v), func(t *testing.T) {
				s := Scope{Version: v, ToBroker: digits(row.toBroker), ToClient: digits(row.toClient),
					Reconnects: row.reconnects, KeepAlive: row.keepAlive, Window: row.window, AtOnce: row.atOnce, Workers: 1}
				one := Explore(s)
				if one.Elapsed = 0; v == v5 {
					s.Workers = 3
					three := Explore(s)
					three.Elapsed = 0
					if d := cmp.Diff(one, three); d != "" {
						t.Errorf("-with 1 worker +with 3\n%s", d)
					}
				}
				if one.Err != nil {
					t.Fatalf("%v\n%v", one.Err, one.Trace)
				}
				if !one.Complete || one.Frontier != 0 || one.States < row.least || one.Settled == 0 || one.Depth == 0 ||
					one.Transitions < uint64(one.States-1) {
					t.Errorf("%+v; want at least %d states", one, row.least)
				}
			})
		}
	}
}

// TestExploreGivesUp: with a bound it says that it has not seen all.
func TestExploreGivesUp(t *testing.T) {
	s := Scope{Version: v5, ToBroker: digits("2"), ToClient: digits("2"), Reconnects: 2, MaxStates: 500}
	if found := Explore(s); found.Err != nil || found.Complete || found.States != 500 || found.Frontier == 0 {
		t.Errorf("%+v", found)
	}
}

// TestExploreTells: a contradiction comes with a shortest way to it, which
// replays to the same.
func TestExploreTells(t *testing.T) {
	s := Scope{Version: v5, ToBroker: digits("1"), ToClient: digits("2"), Reconnects: 2}
	x := &explorer{Scope: s, play: newPlay(&s)}
	x.Workers, x.most = 2, 1e6
	x.play.broker.RefusePublish = func(string, *mqttcore.Publish) mqttcore.ReasonCode {
		return mqttcore.ReasonNotAuthorized // which the scope does not know
	}
	x.run()
	var c *Contradiction
	if !errors.As(x.found.Err, &c) || c.Text != "message 0 was dropped for no reason: refused" {
		t.Fatalf("%v", x.found.Err)
	}
	// Published before or after any of the others.
	want := []string{"the client connects", "a packet reaches the broker", "a packet reaches the client",
		"a packet reaches the broker", "a packet reaches the client", "the client publishes"}
	var got []string
	for _, a := range x.found.Trace {
		got = append(got, a.String())
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	m := x.play.first()
	st := x.play.player()
	for i, a := range x.found.Trace {
		if m = st.one(m, a); (st.err != nil) != (i == len(x.found.Trace)-1) {
			t.Errorf("%v: %v", a, st.err)
		}
	}
}

// TestExploreConverges: going round for ever is found, after all else.
func TestExploreConverges(t *testing.T) {
	s := Scope{Version: v5}
	for _, row := range []struct {
		next []uint32
		want int // actions to the first state from which nothing settles, or -1
	}{
		{[]uint32{1, 2, 2}, -1},
		{[]uint32{1, 2, 3, 3, 3}, -1},
		{[]uint32{1, 2, 0}, 0},
		{[]uint32{1, 1, 3, 4, 3}, 3},
		{[]uint32{0, 2, 3, 1}, 1},
	} {
		x := &explorer{Scope: s, play: newPlay(&s), next: row.next}
		for i := range row.next {
			x.parent, x.how = append(x.parent, uint32(max(0, i-1))), append(x.how, Action{Kind: ActPublish})
		}
		x.converges()
		got := -1
		if x.found.Err != nil {
			got = len(x.found.Trace)
		}
		if got != row.want {
			t.Errorf("%v: %d, want %d", row.next, got, row.want)
		}
	}
}

// TestExploreStandsStill: so is a state that goes on as itself, and has not
// settled.
func TestExploreStandsStill(t *testing.T) {
	x := &explorer{play: newPlay(&Scope{Version: v5})}
	first := x.play.first()
	x.add(first.sum(), 0, Action{})
	x.take(0, &result{steps: []step{{Action{Kind: ActClientTick}, first.sum(), first}}})
	if x.found.Err == nil {
		t.Error("it is taken for a state that settles")
	}
}

// TestReplay: a trace can be watched.
func TestReplay(t *testing.T) {
	s := Scope{Version: v311, ToBroker: digits("1"), ToClient: digits("0"), Reconnects: 2}
	trace := []Action{{Kind: ActPublish}, {Kind: ActConnect}, {Kind: ActToBroker}, {Kind: ActToClient}, {Kind: ActDeliver},
		{Kind: ActToBroker}, {Kind: ActToClient}, {Kind: ActToClient, Crash: 1}, {Kind: ActConnect, Crash: 0}, {Kind: ActToBroker}, {Kind: ActForget}}
	var got []string
	w := Watch{
		OnAction: func(a Action) { got = append(got, "> "+a.String()) },
		OnData: func(_ time.Time, conn int, client bool, data []byte) {
			got = append(got, fmt.Sprint(conn, " ", client, " ", mqttcore.PacketType(data[0]>>4)))
		},
		OnNote: func(_ time.Time, client bool, text string) { got = append(got, fmt.Sprint(client, " ", text)) },
		OnCut:  func(_ time.Time, text string) { got = append(got, text) },
	}
	if err := s.Replay(trace, w); err != nil {
		t.Error(err)
	}
	want := []string{
		"> the client publishes", "true publishes message 0 at QoS 1",
		"> the client connects",
		"> a packet reaches the broker", "1 true CONNECT",
		"> a packet reaches the client", "1 false CONNACK", "true connected",
		"> the broker publishes", "false publishes message 0 at QoS 0",
		"> a packet reaches the broker", "1 true PUBLISH",
		"> a packet reaches the client", "1 false PUBLISH", "true message",
		"> a packet reaches the client, crash between acting and committing", "1 false PUBACK", "true published",
		"true crash between acting and committing", "the client's process is gone",
		"> the client connects",
		"> a packet reaches the broker", "2 true CONNECT",
		"> the broker loses its sessions", "the broker is gone", "false loses its sessions", "true closed",
	}
	for i := range got { // of events, the kind
		if i < len(want) && strings.HasPrefix(got[i], want[i]) {
			got[i] = want[i]
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if err := s.Replay([]Action{{Kind: ActToClient}}, Watch{}); err == nil {
		t.Error("a packet reached a client that has no connection")
	}
}

func TestScopeCheck(t *testing.T) {
	for _, s := range []Scope{
		{},
		{Version: 6},
		{Version: v5, ToBroker: digits("3")},
		{Version: v5, ToClient: digits("111111111")},
		{Version: v5, Reconnects: -1},
	} {
		if s.Check() == nil || Explore(s).Err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}

// TestSeen: what was entered is found again with its number, also after the
// table has grown.
func TestSeen(t *testing.T) {
	var s seen
	of := func(i int) sum { return hash(fmt.Append(nil, "state ", i)) }
	for i := range 5000 {
		if n, fresh := s.add(of(i), uint32(i)); !fresh || n != uint32(i) {
			t.Fatal(i, n, fresh)
		}
	}
	for i := range 5000 {
		if n, fresh := s.add(of(i), 9999); fresh || n != uint32(i) {
			t.Fatal(i, n, fresh)
		}
	}
}

// TestHash: it is the same everywhere, and what differs in a bit or in length
// alone differs in both halves.
func TestHash(t *testing.T) {
	if got, want := hash([]byte("what is explored")), (sum{0x9ad94f01b56d7ffb, 0xb0b808e0f2756c4d}); got != want {
		t.Errorf("%#x, want %#x", got, want)
	}
	b := make([]byte, 40)
	seen := map[sum]bool{}
	for n := range len(b) {
		seen[hash(b[:n])] = true
		for bit := range 8 * n {
			c := slices.Clone(b[:n])
			c[bit/8] ^= 1 << (bit % 8)
			h := hash(c)
			if seen[h] || h[0] == hash(b[:n])[0] || h[1] == hash(b[:n])[1] {
				t.Fatalf("%x", c)
			}
			seen[h] = true
		}
	}
}
