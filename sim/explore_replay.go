// This file holds how a trace that Explore found is done again, to be looked at.

package sim

import (
	"fmt"
	"time"
)

// Watch looks at what happens in a replay. Each of its functions may be nil.
type Watch struct {
	// OnAction is told of each action before it happens.
	OnAction func(a Action)
	// OnData is told of each packet that arrives; conn numbers the connections
	// from 1, and client tells whether the client sent it.
	OnData func(now time.Time, conn int, client bool, data []byte)
	// OnNote is told of what shows on no link, and on which side it was.
	OnNote func(now time.Time, client bool, text string)
	// OnCut is told of the end of the connection.
	OnCut func(now time.Time, text string)
}

// Replay does the actions of a trace, and returns what they contradict: nil, when
// it is only after them that things do not settle. It fails when an action cannot
// happen.
func (s Scope) Replay(trace []Action, w Watch) error {
	if err := s.Check(); err != nil {
		return err
	}
	p := newPlay(&s)
	st := p.player()
	st.watch = &w
	m := p.first()
	for i, a := range trace {
		if a.Kind >= actionKinds || !st.possible(a.Kind, m) {
			return fmt.Errorf("sim: action %d of the trace cannot happen: %v", i+1, a)
		}
		if w.OnAction != nil {
			w.OnAction(a)
		}
		if m = st.one(m, a); st.err != nil {
			return st.err
		}
	}
	return p.player().all(m).err
}
