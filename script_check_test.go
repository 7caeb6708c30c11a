// This file holds what the scripts' harness examines after every step: that a
// client's parts agree, that calls which fail change nothing, and that the
// journal tells the session. It runs no script (script_test.go).

package mqttcore

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/google/go-cmp/cmp"
)

// dumpState writes everything in a client and its session.
func dumpState(c *Client) string { return string(dump(nil, c)) }

// fold takes the ops and checks that the replica, which only they feed, is the
// session.
func (st *stage) fold() error {
	var op Op
	for st.c.NextOp(&op) {
		b, err := op.AppendBinary(nil)
		if err != nil {
			return err
		}
		var back Op
		if n, err := ConsumeOp(b, &back); err != nil || n != len(b) {
			return fmt.Errorf("op %v does not decode: %d %w", op.Kind, n, err)
		}
		if err := st.replica.Apply(&back); err != nil {
			return fmt.Errorf("op %v does not apply: %w", op.Kind, err)
		}
	}
	if !st.cfg.Journal {
		return nil
	}
	live, err := st.s.AppendBinary(nil)
	folded, err2 := st.replica.AppendBinary(nil)
	if !bytes.Equal(live, folded) {
		return fmt.Errorf("the fold of the ops is not the session:\nlive   %x\nfolded %x", live, folded)
	}
	return errors.Join(err, err2)
}

// examine checks what must hold after every step.
func (st *stage) examine() error {
	c := st.c
	if err := errors.Join(st.fold(), checkClient(c)); err != nil {
		return err
	}
	if c.State() != StateDisconnected {
		return nil
	}
	// Without a connection nothing comes out, and nothing changes.
	before := dumpState(c)
	mark := []byte("mark")
	out, n, err := c.Receive(mark, st.now, []byte{0x20, 0x02, 0x00, 0x00})
	if err != ErrClosed || n != 0 || string(out) != "mark" {
		return fmt.Errorf("Receive without a connection: %q %d %v", out, n, err)
	}
	for name, call := range map[string]func() ([]byte, error){
		"Publish":     func() ([]byte, error) { return c.Publish(mark, st.now, &Publish{Topic: []byte("a")}, 1) },
		"Subscribe":   func() ([]byte, error) { return c.Subscribe(mark, st.now, someSubscribe, 1) },
		"Unsubscribe": func() ([]byte, error) { return c.Unsubscribe(mark, st.now, someUnsubscribe, 1) },
		"Ping":        func() ([]byte, error) { return c.Ping(mark, st.now) },
		"Disconnect":  func() ([]byte, error) { return c.Disconnect(mark, st.now, nil) },
		"Auth":        func() ([]byte, error) { return c.Auth(mark, st.now, new(Auth)) },
	} {
		if out, err := call(); err != ErrNotConnected || string(out) != "mark" {
			return fmt.Errorf("%s without a connection: %q %v", name, out, err)
		}
	}
	c.Lost(st.now, nil)
	if c.Window() != 0 || c.More() || c.waiting() || dumpState(c) != before {
		return fmt.Errorf("calls without a connection have changed the state:\n%s", cmp.Diff(before, dumpState(c)))
	}
	return nil
}

var (
	someSubscribe = func() *Subscribe {
		list, _ := NewSubscriptions(Subscription{Filter: []byte("a")})
		return &Subscribe{Subscriptions: list}
	}()
	someUnsubscribe = func() *Unsubscribe {
		list, _ := NewFilters("a")
		return &Unsubscribe{Filters: list}
	}()
)

// checkClient checks a client's bounds, its session, and that the counters of
// the connection are those of the session's records.
func checkClient(c *Client) error {
	if w := c.Window(); w < 0 || w > int(c.lim.ReceiveMaximum) {
		return fmt.Errorf("window of %d", w)
	}
	if err := checkSession(c.s); err != nil || c.state != StateConnected {
		return err
	}
	charged, fresh := 0, 0
	for _, l := range []listID{listSent, listReleased} {
		for i := c.s.out.lists[l].head; i != 0; i = c.s.out.next(i) {
			if c.s.out.slab[i].epoch == c.s.epoch {
				charged++
			}
		}
	}
	if in := c.s.inbox; in != nil {
		for l := range in.lists {
			for at := in.lists[l].head; at != 0; at = in.next(at) {
				if in.slab[at].epoch == c.s.epoch {
					fresh++
				}
			}
		}
	}
	switch {
	case charged != int(c.conn.inflight) || fresh != int(c.conn.unacked):
		return fmt.Errorf("under way: %d out and %d in, and %d and %d counted", charged, fresh, c.conn.inflight, c.conn.unacked)
	case fresh > c.receiveMaximum() && c.cfg.Options&AllowAboveReceiveMaximum == 0:
		return fmt.Errorf("%d received messages, above the receive maximum", fresh)
	}
	return nil
}
