// This file holds what the rest of a program sees: Conn, its options and the
// commands. What is done with them stands in owner.go.

package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"mqttcore"
)

// ErrEnded is the error of commands that a Conn which has ended cannot do, or
// could not bring to an end. A message of QoS 1 or 2 stays in the Session.
var ErrEnded = errors.New("mqtt: the connection has ended")

// Options says how a Conn connects. Dial and Config are needed.
type Options struct {
	// Dial opens a transport, within 30 s.
	Dial func(context.Context) (net.Conn, error)
	// Config is that of the Client. Keep the session over lost connections
	// with CleanStart false and, in 5.0, a session expiry interval.
	Config mqttcore.Config
	// Session is what to go on with; nil: a new one.
	Session *mqttcore.Session
	// OnEvent is told every event, by the owner: it must return soon, and must
	// not wait for a method of the Conn. The event's slices lie in the read
	// buffer, which goes back to the reader afterwards: copy what is to stay.
	OnEvent func(*mqttcore.Event)
	// OnRetry is told, in the same way, why there is no connection, and how long
	// the pause is before the next attempt.
	OnRetry func(cause error, pause time.Duration)
	// WriteTimeout is how long a write may take; 0: 10 s.
	WriteTimeout time.Duration
	// Backoff gives the pauses before the next attempt, which grow until a
	// connection has lasted for 30 s.
	Backoff mqttcore.Backoff
}

// Result is what became of a command. Codes are those of EventSubscribed and
// EventUnsubscribed, and belong to the receiver.
type Result struct {
	Codes []byte
	Err   error // *DroppedError, or ErrEnded
}

// DroppedError says why a message or request will not be done.
type DroppedError struct {
	Why  mqttcore.DropReason
	Code mqttcore.ReasonCode
}

// Error says why.
func (e *DroppedError) Error() string {
	if e.Code == 0 {
		return "mqtt: " + e.Why.String()
	}
	return "mqtt: " + e.Why.String() + ", " + e.Code.String()
}

// Conn keeps a client connected. All methods may be called by several
// goroutines at a time.
type Conn struct {
	commands chan command
	closing  chan struct{}
	once     sync.Once // for closing
	cancel   context.CancelFunc
	done     chan struct{}
	err      error // why it ended; to be read after done
}

// action is a call of the Client's.
type action func(c *mqttcore.Client, out []byte, now time.Time, tag uint64) ([]byte, error)

// command is an action that another goroutine wants. The owner does it at once,
// so that what it refers to is the caller's again as soon as accepted has its
// error; the fate comes later. Neither channel ever makes the owner wait.
type command struct {
	do       action
	tagged   bool // an event brings the fate
	accepted chan error
	fate     chan Result
}

// Start begins to connect, and keeps on until Close, the end of ctx, or a
// refusal that will not change.
func Start(ctx context.Context, o Options) (*Conn, error) {
	client, err := mqttcore.NewClient(o.Config, o.Session)
	if err != nil {
		return nil, err
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 10 * time.Second
	}
	if o.OnEvent == nil {
		o.OnEvent = func(*mqttcore.Event) {}
	}
	if o.OnRetry == nil {
		o.OnRetry = func(error, time.Duration) {}
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &Conn{commands: make(chan command), closing: make(chan struct{}), cancel: cancel, done: make(chan struct{})}
	go newOwner(ctx, c, client, o).run()
	return c, nil
}

// Publish gives a message to the client. The error says that it was not taken
// (as mqttcore.Client.Publish); then p is the caller's again. At QoS 1 and 2
// the result comes when the broker has the message, at QoS 0 at once.
func (c *Conn) Publish(ctx context.Context, p *mqttcore.Publish) (<-chan Result, error) {
	tagged := p.QoS > mqttcore.QoS0
	return c.command(ctx, tagged, func(c *mqttcore.Client, out []byte, now time.Time, tag uint64) ([]byte, error) {
		return c.Publish(out, now, p, tag)
	})
}

// Subscribe subscribes, as mqttcore.Client.Subscribe.
func (c *Conn) Subscribe(ctx context.Context, s *mqttcore.Subscribe) (<-chan Result, error) {
	return c.command(ctx, true, func(c *mqttcore.Client, out []byte, now time.Time, tag uint64) ([]byte, error) {
		return c.Subscribe(out, now, s, tag)
	})
}

// Unsubscribe unsubscribes, as mqttcore.Client.Unsubscribe.
func (c *Conn) Unsubscribe(ctx context.Context, u *mqttcore.Unsubscribe) (<-chan Result, error) {
	return c.command(ctx, true, func(c *mqttcore.Client, out []byte, now time.Time, tag uint64) ([]byte, error) {
		return c.Unsubscribe(out, now, u, tag)
	})
}

// command hands a command over and waits until it is accepted, or not.
func (c *Conn) command(ctx context.Context, tagged bool, do action) (<-chan Result, error) {
	cmd := command{do: do, tagged: tagged, accepted: make(chan error, 1), fate: make(chan Result, 1)}
	select {
	case c.commands <- cmd:
		return cmd.fate, <-cmd.accepted
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.done:
		return nil, ErrEnded
	}
}

// Close disconnects, and returns when the DISCONNECT is written and all
// goroutines have ended. The end of ctx cuts the connection instead.
func (c *Conn) Close(ctx context.Context) error {
	c.once.Do(func() { close(c.closing) })
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		c.cancel()
		<-c.done
		return ctx.Err()
	}
}

// Done is closed when the Conn has ended; Err then says why.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is nil before Done and after Close, else the reason of the end.
func (c *Conn) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}
