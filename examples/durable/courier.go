// This file holds the courier: the loop around a client, and what it does about
// events. How bytes get to disk is store.go's.

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"mqttcore"
)

// courier is the application.
type courier struct {
	*options
	client      *mqttcore.Client
	ledger      ledger
	store       *store
	effectStore *store // nil: effects are in store

	out     []byte // for the socket, once ops and effects are on disk
	ops     []byte // of the journal, not on disk
	effects []byte // of the application, not on disk
}

// done reports whether the program may end.
func (k *courier) done() bool {
	l := &k.ledger
	return l.subscribed && len(l.settled) >= k.send && k.receive >= 0 && len(l.distinct) >= k.receive
}

// effect notes a change to the ledger, which the next commit takes to disk.
func (k *courier) effect(format string, args ...any) error {
	line := fmt.Sprintf(format, args...)
	k.effects = append(append(k.effects, line...), '\n')
	return k.ledger.note(line)
}

// converse is the loop of one connection. Its error is one that another
// connection would not mend.
func (k *courier) converse(conn net.Conn) (err error) {
	now := time.Now()
	in := make([]byte, 0, 4096)
	if k.out, err = k.client.Connect(k.out[:0], now); err != nil {
		return err
	}
	for {
		if err := k.turn(conn, now); err != nil || k.client.State() == mqttcore.StateDisconnected {
			return err
		}
		if k.done() {
			k.out, err = k.client.Disconnect(k.out, now, nil)
			return errors.Join(err, k.act(now), k.turn(conn, now))
		}
		// A read whose deadline has passed sees nothing, and commit and write
		// may have taken long.
		deadline, soon := k.client.Deadline(), time.Now().Add(time.Millisecond)
		if k.client.More() || !deadline.IsZero() && deadline.Before(soon) {
			deadline = soon
		}
		conn.SetReadDeadline(deadline)
		n, readErr := conn.Read(in[len(in):cap(in)])
		now = time.Now()
		k.at("read")

		// Act: one packet at a time, its events before the next.
		rest := in[:len(in)+n]
		for more := true; more; {
			var taken int
			k.out, taken, err = k.client.Receive(k.out, now, rest)
			rest = rest[taken:]
			more = taken > 0
			if errors.Is(err, mqttcore.ErrPending) { // so many ops wait that they have to be taken first
				more = true
				if err := k.commit(); err != nil {
					return err
				}
			}
			if err := k.act(now); err != nil {
				return err
			}
		}
		in = append(in[:0], rest...)
		if whole, _ := mqttcore.FrameSize(in); whole > cap(in) {
			in = slices.Grow(in, whole-len(in))
		}
		if readErr != nil && !errors.Is(readErr, os.ErrDeadlineExceeded) {
			k.client.Lost(now, readErr)
		}
		k.out = k.client.Tick(k.out, now)
		if err := k.act(now); err != nil {
			return err
		}
	}
}

// turn is the end of one turn of the loop: commit, then write.
func (k *courier) turn(conn net.Conn, now time.Time) error {
	k.at("acted")
	if err := k.commit(); err != nil {
		return err
	}
	k.at("committed")
	half := len(k.out) / 2
	conn.SetWriteDeadline(now.Add(10 * time.Second))
	_, err := conn.Write(k.out[:half])
	k.at("half written")
	if err == nil {
		_, err = conn.Write(k.out[half:])
	}
	k.at("written")
	k.out = k.out[:0]
	if err != nil {
		k.client.Lost(now, err)
		return errors.Join(k.act(now), k.commit())
	}
	return nil
}

// commit takes to disk what has happened: in one transaction, or first what
// the application did and then what the session is.
func (k *courier) commit() error {
	for op := new(mqttcore.Op); k.client.NextOp(op); {
		k.ops, _ = op.AppendBinary(k.ops)
	}
	var err error
	switch {
	case len(k.ops)+len(k.effects) == 0:
		return nil
	case k.effectStore == nil:
		err = k.store.commit(group{session: k.ops, ledger: k.effects})
	default:
		err = k.effectStore.commit(group{ledger: k.effects})
		k.at("between")
		if err == nil {
			err = k.store.commit(group{session: k.ops})
		}
	}
	k.ops, k.effects = k.ops[:0], k.effects[:0]
	if err == nil {
		err = k.compact()
	}
	return err
}

// compact replaces what has grown too long by what it comes to.
func (k *courier) compact() error {
	long := func(st *store) bool { return st != nil && st.size > st.base+max(st.base, k.options.compact) }
	if long(k.effectStore) {
		if err := k.effectStore.restart(group{ledger: k.ledger.lines()}); err != nil {
			return err
		}
	}
	if !long(k.store) {
		return nil
	}
	var g group
	var err error
	if g.session, err = k.client.Session().AppendBinary(nil); err != nil {
		return err
	}
	if k.effectStore == nil {
		g.ledger = k.ledger.lines()
	}
	return k.store.restart(g)
}

// act does what the events and the application's own plans demand.
func (k *courier) act(now time.Time) (err error) {
	for ev := new(mqttcore.Event); err == nil && k.client.Next(ev); {
		switch ev.Kind {
		case mqttcore.EventConnected:
			if !ev.SessionPresent || !k.ledger.subscribed {
				err = k.subscribe(now)
			}
		case mqttcore.EventSubscribed:
			err = k.effect("subscribed")
			if code := mqttcore.ReasonCode(ev.Codes[0]); code.IsError() {
				err = errors.New(ev.String())
			}
		case mqttcore.EventMessage:
			err = k.effect("received %q", ev.Message.Payload)
		case mqttcore.EventPublished:
			err = k.effect("settled %d published", ev.Tag)
		case mqttcore.EventDropped:
			if ev.Why != mqttcore.DropConnectionLost { // that is the SUBSCRIBE
				err = k.effect("settled %d %v, %v", ev.Tag, ev.Why, ev.Code)
			}
		}
	}
	for err == nil && k.client.State() == mqttcore.StateConnected && k.ledger.asked < k.send && k.client.Session().Len() < 20 {
		if err = k.publish(now, k.ledger.asked+1); err == nil {
			err = k.effect("asked %d", k.ledger.asked+1)
		}
	}
	return err
}

// again gives a new client what the ledger was asked for and the session does
// not know: where the two are apart, the last process may have ended between
// them. What has a fate is not among it, for the fate is noted before the
// session forgets the message.
func (k *courier) again(now time.Time) error {
	known := map[int]bool{}
	for m := range k.client.Session().Outgoing() {
		known[int(m.Tag)] = true
	}
	for n := 1; n <= k.ledger.asked; n++ {
		if len(k.ledger.settled[n]) == 0 && !known[n] {
			if err := k.publish(now, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k *courier) subscribe(now time.Time) error {
	list, err := mqttcore.NewSubscriptions(mqttcore.Subscription{Filter: []byte(k.id + "/in"), QoS: mqttcore.QoS2})
	if err == nil {
		k.out, err = k.client.Subscribe(k.out, now, &mqttcore.Subscribe{Subscriptions: list}, 0)
	}
	return err
}

func (k *courier) publish(now time.Time, n int) (err error) {
	m := mqttcore.Publish{Topic: []byte(k.id + "/out"), Payload: strconv.AppendInt(nil, int64(n), 10), QoS: mqttcore.QoS(k.qos)}
	k.out, err = k.client.Publish(k.out, now, &m, uint64(n))
	return err
}
