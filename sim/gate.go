// This file holds the way into a world from outside: Gate. The worlds of the
// other files know no clock and no goroutine; here are those of both. Nothing
// that a deterministic run needs may depend on it.

package sim

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Gate lets connections of the real world into a simulated one: sockets, or the
// ends of a [net.Pipe]. What they say reaches one host, which sees a connection
// like any other, with the world's faults. From NewGate on the world's time is
// the clock's, and the world must not be stepped by anybody else; Do is the way
// to its nodes. A run through a gate cannot be repeated.
//
// A [Broker] behind a gate is a server to test with that has to be installed
// nowhere.
type Gate struct {
	mu     sync.Mutex // guards all of it, and the world
	w      *World
	to     *Host
	here   *Host // where the connections come from
	began  time.Time
	offset time.Duration // the world's time when it began
	timer  *time.Timer
	guests map[*guest]bool
	closed bool
}

// ErrGateClosed is what [Gate.Serve] returns after [Gate.Close].
var ErrGateClosed = errors.New("sim: the gate is closed")

// guest is a connection from outside.
type guest struct {
	conn io.ReadWriteCloser
	in   *Conn
	turn sync.Cond // open, out or over changed
	open bool
	over bool // nothing follows what is in out
	out  []byte
}

// ahead is how far the world may be ahead of the clock: so that what follows at
// once from what was just said need not wait for a timer.
const ahead = time.Millisecond

// NewGate opens a way to a host of the world.
func NewGate(w *World, to *Host) *Gate {
	g := &Gate{w: w, to: to, began: time.Now(), offset: w.now, guests: map[*guest]bool{}}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.timer = time.AfterFunc(time.Hour, func() { g.Do(func() {}) })
	g.here = w.Add("outside", door{})
	g.settle()
	return g
}

// Pipe is a connection to node, by a [net.Pipe] and a gate, and all that a
// program without a network needs to talk to a [Broker]. The node is alone in a
// world of its own, in which nothing fails. Nobody else may touch it until Close
// of the connection returns, which the node must not call: then that world stands
// still, and the node may be looked at. It may have another Pipe, whose world
// begins its time anew: what the node has to do at a time is not due there then.
func Pipe(node Node) net.Conn {
	here, there := net.Pipe()
	w := New(Seed(1), Faults{})
	g := NewGate(w, w.Add("node", node))
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = g.Serve(there)
		g.Close()
	}()
	return pipe{here, over}
}

type pipe struct {
	net.Conn
	over chan struct{} // closed when the world stands still
}

func (p pipe) Close() error {
	err := p.Conn.Close()
	<-p.over
	return err
}

// Do calls f while the world stands still, which it otherwise does not: f may
// look at its nodes, change them, and tell them to do something. Neither f nor
// anything in the world may call g.
func (g *Gate) Do(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.w.Run(g.clock() - g.w.now)
	}
	f()
	g.settle()
}

// clock is what the world's time should be.
func (g *Gate) clock() time.Duration { return g.offset + time.Since(g.began) }

// settle lets happen what is due, and sets the timer for what is not.
func (g *Gate) settle() {
	now := g.clock()
	for !g.closed && g.w.next() <= now+ahead && g.w.Step() {
	}
	switch next := g.w.next(); {
	case g.closed || next == never:
		g.timer.Stop()
	default:
		g.timer.Reset(next - now)
	}
}

// Serve lets a connection in, and returns when it is over, and closed. What the
// host sends is kept until it can be written, however much that is.
func (g *Gate) Serve(conn io.ReadWriteCloser) error {
	v := &guest{conn: conn}
	v.turn.L = &g.mu
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		conn.Close()
		return ErrGateClosed
	}
	g.guests[v] = true
	g.mu.Unlock()

	g.Do(func() {
		v.in = g.here.Dial(g.to)
		v.in.User = v
	})
	var reading sync.WaitGroup
	reading.Go(func() { g.read(v) })
	g.write(v)
	conn.Close() // which ends the reading
	reading.Wait()

	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.guests, v)
	if g.closed {
		return ErrGateClosed
	}
	return nil
}

// read brings what conn says into the world. The end of its bytes is an orderly
// one; any other error may lose what is on its way.
func (g *Gate) read(v *guest) {
	g.mu.Lock()
	for !v.open && !v.over {
		v.turn.Wait()
	}
	g.mu.Unlock()
	buf := make([]byte, 4096)
	for {
		n, err := v.conn.Read(buf)
		g.Do(func() {
			v.in.Write(buf[:n])
			if err == io.EOF {
				v.in.Close()
			} else if err != nil {
				v.in.Abort()
			}
			if err != nil {
				v.end()
			}
		})
		if err != nil {
			return
		}
	}
}

// write brings what the world says to conn, until there will be no more.
func (g *Gate) write(v *guest) {
	var out []byte
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		for len(v.out) == 0 && !v.over {
			v.turn.Wait()
		}
		if len(v.out) == 0 {
			return
		}
		out, v.out = v.out, out[:0]
		g.mu.Unlock()
		_, err := v.conn.Write(out)
		g.mu.Lock()
		if err != nil {
			v.in.Abort()
			g.settle()
			return
		}
	}
}

// end makes the writer end after what is in out.
func (v *guest) end() {
	v.over = true
	v.turn.Broadcast()
}

// Close ends all connections and stops the world. It may be called several
// times. Connections that are being served are over when their Serve returns.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.closed = true
	g.timer.Stop()
	for v := range g.guests {
		v.out = nil
		v.end()
		v.conn.Close()
	}
}

// door is the node where the connections come from.
type door struct{}

// Handle implements [Node].
func (door) Handle(_ *Host, e Event) time.Time {
	if e.Conn == nil {
		return time.Time{}
	}
	v := e.Conn.User.(*guest)
	switch e.Kind {
	case Opened:
		v.open = true
		v.turn.Broadcast()
	case Received:
		v.out = append(v.out, e.Data...)
		v.turn.Broadcast()
	case Lost:
		v.end()
	}
	return time.Time{}
}
