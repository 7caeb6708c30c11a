// This file holds the owner: the goroutine that alone touches the Client. It
// waits for its next turn, and for nothing else longer than a moment. Bytes are
// read and written by link.go.

package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"mqttcore"
)

// The bounds of the output that waits for the writer, in bytes. Above the
// first no command is taken, above the second no input.
const (
	maxCommandOutput = 256 << 10
	maxOutput        = 4 << 20
)

const (
	dialTimeout = 30 * time.Second
	steady      = 30 * time.Second // a connection that has lasted so long was no failure
	moment      = time.Millisecond // for the reader to read what waits
)

type owner struct {
	Options
	conn *Conn
	c    *mqttcore.Client
	ctx  context.Context
	now  time.Time // one clock for all that a turn does
	out  []byte    // not given to the writer yet

	link   *link // nil: no transport
	dialed chan dialed
	retry  time.Time // when to dial again; zero: no need to
	since  time.Time // when the broker accepted the connection; zero: it has not
	over   bool

	tag     uint64
	pending map[uint64]chan Result
	running sync.WaitGroup // readers, writers and a dial
}

type dialed struct {
	conn net.Conn
	err  error
}

func newOwner(ctx context.Context, conn *Conn, c *mqttcore.Client, o Options) *owner {
	return &owner{
		Options: o, conn: conn, c: c, ctx: ctx,
		dialed:  make(chan dialed, 1),
		pending: map[uint64]chan Result{},
		// A session brings back the tags of the Conn that had it before.
		tag: uint64(time.Now().UnixNano()),
	}
}

func (o *owner) run() {
	ctx, stopDial := context.WithCancel(o.ctx)
	timer := time.NewTimer(0) // the first turn dials
	o.retry = time.Now()
	closing := o.conn.closing
	for !o.over {
		var in chan input
		var spare chan []byte
		var failed chan error
		if l := o.link; l != nil {
			spare, failed = l.spare, l.failed
			if len(o.out) <= maxOutput {
				in = l.input
			}
		}
		commands := o.conn.commands
		if len(o.out) > maxCommandOutput {
			commands = nil
		}

		select {
		case i := <-in:
			o.now = time.Now()
			o.receive(i)
		case b := <-spare:
			o.now = time.Now()
			o.link.idle = b
		case err := <-failed:
			o.now = time.Now()
			o.c.Lost(o.now, err)
		case d := <-o.dialed:
			o.now = time.Now()
			o.connect(d)
		case cmd := <-commands:
			o.now = time.Now()
			o.do(cmd)
		case <-timer.C:
			o.now = time.Now()
		case <-closing:
			o.now, closing = time.Now(), nil
			o.disconnect()
		case <-o.ctx.Done():
			o.now = time.Now()
			o.over, o.conn.err = true, context.Cause(o.ctx)
			o.c.Lost(o.now, o.conn.err)
		}

		o.hear()
		o.out = o.c.Tick(o.out, o.now) // what is due, and more of a long output
		o.drain()
		if o.link != nil && o.link.idle != nil && len(o.out) > 0 {
			o.out = o.link.write(o.out)
		}
		if !o.retry.IsZero() && !o.now.Before(o.retry) {
			o.retry = time.Time{}
			o.dial(ctx)
		}
		setTimer(timer, o.c.Deadline(), o.retry)
	}
	timer.Stop()
	stopDial()
	o.running.Wait()
	select {
	case d := <-o.dialed:
		if d.conn != nil {
			d.conn.Close()
		}
	default:
	}
	for _, fate := range o.pending {
		fate <- Result{Err: ErrEnded}
	}
	o.conn.cancel()
	close(o.conn.done)
}

// hear takes what has arrived before Tick says that nothing came in time: when
// the owner was held up, the timer and the answer wait for it together. So it
// does also when there is too much output to take more input.
func (o *owner) hear() {
	due := o.c.Deadline()
	if due.IsZero() || o.now.Before(due) {
		return
	}
	if o.drain(); o.link == nil {
		return
	}
	for _, pause := range [...]time.Duration{0, moment} {
		time.Sleep(pause)
		select {
		case i := <-o.link.input:
			o.receive(i)
			return
		default:
		}
	}
}

// setTimer sets the timer to the first of two times of which either may be
// zero: never.
func setTimer(timer *time.Timer, a, b time.Time) {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		a = b
	}
	if a.IsZero() {
		timer.Stop()
	} else {
		timer.Reset(time.Until(a))
	}
}

func (o *owner) dial(ctx context.Context) {
	o.running.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		conn, err := o.Dial(ctx)
		o.dialed <- dialed{conn, err} // there is one at a time
	})
}

func (o *owner) connect(d dialed) {
	if d.err != nil {
		o.wait(d.err)
		return
	}
	out, err := o.c.Connect(o.out, o.now)
	if err != nil {
		d.conn.Close()
		o.over, o.conn.err = true, err
		return
	}
	o.out = out
	o.link = newLink(o.ctx, d.conn, o.WriteTimeout, &o.running)
}

func (o *owner) disconnect() {
	out, err := o.c.Disconnect(o.out, o.now, nil)
	o.out = out
	if err != nil { // there is no connection, or none that takes a DISCONNECT; else EventClosed ends it
		o.over = true
		o.c.Lost(o.now, err)
	}
}

// receive takes the packets in the reader's buffer, which is the owner's until
// the rest of it goes back: so long hold the slices of the events.
func (o *owner) receive(i input) {
	l, rest := o.link, i.bytes
	for taken := -1; taken != 0; rest = rest[taken:] {
		o.out, taken, _ = o.c.Receive(o.out, o.now, rest) // closed, it takes nothing
		o.drain()
	}
	if o.link != l {
		rest = nil // what the client refused is not to be gathered
	}
	l.rest <- rest
	if i.err != nil {
		o.c.Lost(o.now, i.err)
	}
}

func (o *owner) do(cmd command) {
	o.tag++
	out, err := cmd.do(o.c, o.out, o.now, o.tag)
	o.out = out
	switch {
	case err == nil && cmd.tagged:
		o.pending[o.tag] = cmd.fate
	case err == nil:
		cmd.fate <- Result{}
	}
	cmd.accepted <- err
}

// drain tells the events, and does what they mean for the Conn.
func (o *owner) drain() {
	for ev := new(mqttcore.Event); o.c.Next(ev); {
		o.OnEvent(ev)
		switch ev.Kind {
		case mqttcore.EventConnected:
			o.since = o.now
		case mqttcore.EventPublished, mqttcore.EventSubscribed, mqttcore.EventUnsubscribed:
			o.tell(ev.Tag, Result{Codes: bytes.Clone(ev.Codes)})
		case mqttcore.EventDropped:
			o.tell(ev.Tag, Result{Err: &DroppedError{ev.Why, ev.Code}})
		case mqttcore.EventClosed:
			o.closed(ev)
		}
	}
}

func (o *owner) tell(tag uint64, r Result) {
	if fate := o.pending[tag]; fate != nil {
		delete(o.pending, tag)
		fate <- r
	}
}

// closed gives up the transport: at once when it is broken, else when all that
// the client still has to say, DISCONNECT for one, is written.
func (o *owner) closed(ev *mqttcore.Event) {
	if ev.Cause == mqttcore.CauseTransportInvalid {
		o.link.abort()
	} else {
		o.link.finish(o.out)
	}
	o.link, o.out = nil, nil
	switch cause := fmt.Errorf("mqtt: %v", ev); {
	case o.over, o.ctx.Err() != nil: // which may have cut the transport
	case ev.Cause == mqttcore.CauseLocalDisconnect:
		o.over = true
	case isFinal(ev):
		o.over, o.conn.err = true, cause
	default:
		o.wait(cause)
	}
}

// isFinal reports whether another attempt would end in the same way.
func isFinal(ev *mqttcore.Event) bool {
	switch ev.Cause {
	case mqttcore.CauseInvalidProtocolVersion, mqttcore.CauseIDRejected,
		mqttcore.CauseBadUsernameOrPassword, mqttcore.CauseNotAuthorized:
		return true
	case mqttcore.CauseServerDisconnect:
		return ev.Code == mqttcore.ReasonSessionTakenOver // or both would throw the other out for ever
	}
	return false
}

// wait sets the time of the next attempt. That a connection was accepted is not
// enough to begin with short pauses again: the broker may hang up on each.
func (o *owner) wait(cause error) {
	if !o.since.IsZero() && o.now.Sub(o.since) >= steady {
		o.Backoff.Reset()
	}
	o.since = time.Time{}
	pause := o.Backoff.Next(rand.Uint64())
	o.retry = o.now.Add(pause)
	o.OnRetry(cause, pause)
}
