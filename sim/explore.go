// This file holds the search: Explore, its scope and what it tells. What can
// happen, one thing at a time, stands in explore_play.go; what must not come of
// it in explore_promises.go.

package sim

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"mqttcore"
)

// Scope bounds what [Explore] looks at: one client and one broker, so many
// messages, so many connections.
type Scope struct {
	// Version is the client's.
	Version mqttcore.Version
	// ToBroker and ToClient are the messages of either direction, by their QoS.
	// Those of one direction are published in this order, at any time, and QoS 0
	// with a connection. At most eight each.
	ToBroker, ToClient []mqttcore.QoS
	// AtOnce makes either side publish all its messages in one action: there are
	// far fewer states, and those with much under way are among them.
	AtOnce bool
	// Reconnects is how many connections may follow the first one. Each is the
	// end of the one before, by a fault.
	Reconnects int
	// KeepAlive is the client's, in seconds; 0: off.
	KeepAlive uint16
	// Window bounds the QoS 1 and 2 messages under way in each direction, in 3.x
	// only those to the broker; 0: nothing bounds them.
	Window uint16

	// Workers is how many goroutines look; 0: as many as there are processors.
	// States and transitions do not depend on it; of several contradictions, which
	// one is told may.
	Workers int
	// MaxStates ends the exploration when so many states were found; 0: it ends
	// when there are no more, or 4,294,967,295.
	MaxStates int
	// Progress, when set, is told now and then how far the exploration is.
	Progress func(Exploration)
}

// maxMessages is how many messages a direction may have.
const maxMessages = 8

// Exploration is what [Explore] has found.
type Exploration struct {
	States      int    // that differ
	Transitions uint64 // from state to state, those to known ones included
	Depth       int    // of the state that is the furthest from the first
	Settled     int    // states in which nothing was owed any more
	Frontier    int    // states that were found and not yet looked at
	Complete    bool   // all states of the scope were looked at
	Elapsed     time.Duration

	// Err is a [Contradiction], or nil; Trace is a shortest way to it. Replay does
	// it again.
	Err   error
	Trace []Action
}

// Explore is an explicit-state model checker for the real client: it does all
// that can happen to a client and the model [Broker] within the scope, in every
// order, breadth first, and leaves out what leads to a state that is known. What
// happens is that a packet arrives at either end, that either side publishes its
// next message, that the client connects, that time goes on to the next deadline
// of either side, that the connection is cut between two packets, that the
// client's process dies (between two turns of its loop, between acting and
// committing, between committing and writing) and starts again from what it
// has committed, and that the broker loses its sessions. Faults end when the last
// reconnect is used up.
//
// At each step it checks the promises about messages and about the journal that
// [Ledger] checks in a simulated world. And from each
// state it must be possible, without another fault, to come to one in which the
// client is connected and nothing is owed.
//
// Two states are the same when a 128-bit hash of all that makes a difference is:
// of the client, of the broker, of what is stored and under way, and of what was
// promised. Only hashes are kept, besides the states of two layers.
func Explore(s Scope) Exploration {
	if err := s.Check(); err != nil {
		return Exploration{Err: err}
	}
	x := &explorer{Scope: s, play: newPlay(&s), began: time.Now()}
	if x.Workers <= 0 {
		x.Workers = runtime.GOMAXPROCS(0)
	}
	if x.most = math.MaxUint32; x.MaxStates > 0 {
		x.most = min(x.most, uint64(x.MaxStates))
	}
	x.run()
	x.found.Elapsed = time.Since(x.began)
	x.found.Frontier = len(x.layer)
	return x.found
}

// explorer is an exploration under way. States have numbers, in the order in
// which they were found.
type explorer struct {
	Scope
	play  *play
	most  uint64 // states
	began time.Time
	told  time.Time
	found Exploration

	seen   seen
	parent []uint32 // by state: from which it was found
	how    []Action // and by what
	next   []uint32 // the state that comes when nothing fails; itself when it is settled
	layer  []*moment
	// What states of the layer have in common, they share.
	processes map[part]*process
	servers   map[part]*server
}

// part is a client or a broker. What is the same at different times differs in
// the times that it holds.
type part struct {
	sum sum
	now time.Duration
}

// joint returns what a map has for p, which is v from now on if it had nothing.
func joint[T any](m map[part]*T, p part, v *T) *T {
	if old := m[p]; old != nil {
		return old
	}
	m[p] = v
	return v
}

// batch is a part of a layer, and what comes of it.
type batch struct {
	moments []*moment
	results []result
	done    chan struct{}
}

// result is what can happen in a moment.
type result struct {
	settled bool
	steps   []step
	err     error // what the last of the steps contradicts, or the moment itself when there is none
}

// step is one of the things that can happen.
type step struct {
	action Action
	sum    sum
	moment *moment
}

// batchSize is how many states a worker takes at a time.
const batchSize = 128

func (x *explorer) run() {
	first := x.play.first()
	x.add(first.sum(), 0, Action{})
	x.layer = []*moment{first}
	for from := 0; len(x.layer) > 0; x.found.Depth++ {
		layer := x.layer
		x.layer = nil
		x.processes, x.servers = map[part]*process{}, map[part]*server{}
		if x.expand(layer, from); x.found.Err != nil || x.full() {
			return
		}
		if from += len(layer); len(x.layer) == 0 {
			break
		}
	}
	x.found.Complete = true
	x.converges()
}

// add enters a state that may be new.
func (x *explorer) add(s sum, parent uint32, how Action) (state uint32, fresh bool) {
	state, fresh = x.seen.add(s, uint32(len(x.parent)))
	if fresh {
		x.parent, x.how, x.next = append(x.parent, parent), append(x.how, how), append(x.next, 0)
		x.found.States++
	}
	return state, fresh
}

func (x *explorer) full() bool { return uint64(x.found.States) >= x.most }

// expand looks at all states of a layer, the first of which has the number
// from. The workers are ahead by a few batches; what they find is taken in the
// order of the states.
func (x *explorer) expand(layer []*moment, from int) {
	todo, inOrder, stop := make(chan *batch), make(chan *batch, 4*x.Workers), make(chan struct{})
	defer close(stop)
	for range x.Workers {
		go func() {
			st := x.play.player()
			for b := range todo {
				b.results = make([]result, len(b.moments))
				for i, m := range b.moments {
					b.results[i] = st.all(m)
				}
				close(b.done)
			}
		}()
	}
	go func() {
		defer close(todo)
		defer close(inOrder)
		for part := range slices.Chunk(layer, batchSize) {
			b := &batch{moments: part, done: make(chan struct{})}
			for _, to := range [...]chan *batch{todo, inOrder} {
				select {
				case to <- b:
				case <-stop:
					return
				}
			}
		}
	}()
	state := uint32(from)
	for b := range inOrder {
		<-b.done
		for i := range b.results {
			if x.take(state, &b.results[i]); x.found.Err != nil || x.full() {
				return
			}
			b.moments[i] = nil
			state++
		}
		x.tell()
	}
}

// take enters what can happen in a state.
func (x *explorer) take(state uint32, r *result) {
	if r.settled {
		x.found.Settled++
		x.next[state] = state
	}
	for i, s := range r.steps {
		x.found.Transitions++
		if r.err != nil && i == len(r.steps)-1 {
			x.fail(r.err, append(x.trace(state), s.action))
			return
		}
		to, fresh := x.add(s.sum, state, s.action)
		if m := s.moment; fresh {
			m.process = joint(x.processes, part{m.process.sum, m.now}, m.process)
			m.server = joint(x.servers, part{m.server.sum, m.now}, m.server)
			x.layer = append(x.layer, m)
		}
		if i == 0 && !r.settled {
			if x.next[state] = to; to == state {
				x.fail(roundForEver(x.play.name), x.trace(state))
				return
			}
		}
	}
	if r.err != nil {
		x.fail(r.err, x.trace(state))
	}
}

func (x *explorer) fail(err error, trace []Action) {
	x.found.Err, x.found.Trace = err, trace
}

// trace is a shortest way to a state.
func (x *explorer) trace(state uint32) []Action {
	var way []Action
	for ; state != 0; state = x.parent[state] {
		way = append(way, x.how[state])
	}
	slices.Reverse(way)
	return way
}

// converges checks that each state leads to a settled one, when nothing fails
// and what is under way is delivered.
func (x *explorer) converges() {
	const open, onTheWay, settles = 0, 1, 2
	mark := make([]uint8, len(x.next))
	var way []uint32
	for i := range x.next {
		way = way[:0]
		s := uint32(i)
		for mark[s] == open {
			if x.next[s] == s {
				mark[s] = settles
				break
			}
			mark[s] = onTheWay
			way = append(way, s)
			s = x.next[s]
		}
		if mark[s] == onTheWay {
			x.fail(roundForEver(x.play.name), x.trace(s))
			return
		}
		for _, w := range way {
			mark[w] = settles
		}
	}
}

func roundForEver(client string) error {
	return &Contradiction{client, "it goes round for ever and does not settle"}
}

// tell calls Progress, once a second.
func (x *explorer) tell() {
	if x.Progress == nil || time.Since(x.told) < time.Second {
		return
	}
	x.told = time.Now()
	x.found.Elapsed = x.told.Sub(x.began)
	x.found.Frontier = len(x.layer)
	x.Progress(x.found)
}

// Check reports what is wrong with a scope, which Explore would tell in
// Exploration.Err.
func (s *Scope) Check() error {
	switch {
	case s.Version < mqttcore.V31 || s.Version > mqttcore.V5:
		return errors.New("sim: a scope needs a version")
	case len(s.ToBroker) > maxMessages || len(s.ToClient) > maxMessages:
		return fmt.Errorf("sim: more than %d messages in a direction", maxMessages)
	case s.Reconnects < 0 || s.Reconnects > 100:
		return errors.New("sim: the number of reconnects is not from 0 to 100")
	}
	for _, q := range slices.Concat(s.ToBroker, s.ToClient) {
		if q > mqttcore.QoS2 {
			return errors.New("sim: a QoS above 2")
		}
	}
	return nil
}
