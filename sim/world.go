package sim

import (
	"encoding/binary"
	"errors"
	"time"
)

// Faults says how often the world does what to a link. Chances are in a
// thousand, drawn for each delivery; zero is a perfect network.
type Faults struct {
	Chunk    int           // the delivery is split at a random byte
	Cut      int           // the link is cut, each direction at a byte of its own
	HalfOpen int           // one direction goes silent, and nobody is told
	Latency  time.Duration // most that a delivery takes; the least is a microsecond
	Jump     int           // the receiving host's clock jumps, by up to JumpBy back or forth
	JumpBy   time.Duration
	Refuse   int // a dialled connection is refused
}

// Node is what runs on a host: a client, a server, an application, a proxy.
type Node interface {
	// Handle is told what happened, and returns when it wants to be woken by a
	// Tick at the latest; the zero time is never. It may dial, write and close.
	Handle(h *Host, e Event) (deadline time.Time)
}

// EventKind is the kind of an [Event].
type EventKind uint8

// The kinds of events.
const (
	Started  EventKind = iota // the host is there: first thing a node is told
	Opened                    // Conn is connected: dialled by this node, or accepted
	Received                  // Data arrived on Conn; it is lent until Handle returns
	Lost                      // Conn is over: Err tells why, io.EOF-like when the peer closed it
	Tick                      // the deadline has come
	Crashed                   // the host lost its memory and all connections, and starts again
)

// Event is something that happened to a node.
type Event struct {
	Kind EventKind
	Conn *Conn
	Data []byte
	Err  error
}

// The reasons of a Lost connection.
var (
	ErrRefused = errors.New("sim: connection refused")
	ErrCut     = errors.New("sim: connection reset")
	ErrPeer    = errors.New("sim: closed by the peer")
)

// Host is a place in the world with a name and a clock of its own.
type Host struct {
	Name string
	node Node
	w    *World
	skew time.Duration
	open []*Conn

	at    time.Duration // when the node wants to be woken, in world time
	armed time.Duration // when it is, or is asked again: no later than that
	wake  uint32        // number of the wake-up that counts

	// What was last told and answered: mostly it is told and answered again.
	seen     time.Duration
	now      time.Time
	answer   time.Time
	deadline time.Duration
}

// World is the world: its time, its hosts, and what is about to happen. Make
// one with [New].
type World struct {
	// Faults may be changed between steps: a run that is to converge ends with
	// none.
	Faults Faults
	// OnData, when set, sees every delivery: who wrote it, and what arrives.
	OnData func(now time.Time, c *Conn, data []byte)
	// OnCut, when set, sees every connection that the world ends.
	OnCut func(now time.Time, c *Conn, err error)
	// OnNote, when set, sees what happens on a host and shows on no link, in
	// words: that it crashed, say. Nodes add to it with [Host.Note].
	OnNote func(now time.Time, h *Host, text string)

	src   Source
	now   time.Duration // since epoch
	hosts []*Host
	queue queue
	seq   uint64
	steps uint64
	conns uint64
	count Counts
	hash  uint64
}

// Counts are what a world has done so far.
type Counts struct {
	Deliveries, Bytes                      uint64
	Cuts, HalfOpens, Jumps, Refused, Dials uint64
	Crashes, Chunks, FailedCommits         uint64
}

// never is a time that does not come.
const never = time.Duration(1<<63 - 1)

// epoch is when every world begins.
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// New makes an empty world.
func New(src Source, f Faults) *World {
	return &World{Faults: f, src: src, hash: 14695981039346656037}
}

// Add puts a node into the world. It is told Started at once.
func (w *World) Add(name string, n Node) *Host {
	h := &Host{Name: name, node: n, w: w, at: never, armed: never, now: epoch}
	w.hosts = append(w.hosts, h)
	h.handle(Event{Kind: Started})
	return h
}

// Source is the world's entropy, for nodes that need some.
func (w *World) Source() Source { return w.src }

// Now is the world's time. Nodes see their host's, which may be wrong.
func (w *World) Now() time.Time { return epoch.Add(w.now) }

// Counts are the counters so far.
func (w *World) Counts() Counts { return w.count }

// Steps is the number of steps so far.
func (w *World) Steps() uint64 { return w.steps }

// Hash is a digest of all that was delivered, when, and to whom: two runs with
// the same hash were the same.
func (w *World) Hash() uint64 { return w.hash }

// chance draws a fault: true in permille of the cases, never for 0. 0 from the
// source is no fault.
func (w *World) chance(permille int) bool {
	return permille > 0 && w.src.Intn(1000) >= 1000-permille
}

// Now is the host's time.
func (h *Host) Now() time.Time {
	if d := h.since(); d != h.seen {
		h.seen, h.now = d, epoch.Add(d)
	}
	return h.now
}

// since is the host's time since epoch.
func (h *Host) since() time.Duration { return h.w.now + h.skew }

// World is the world that the host is in.
func (h *Host) World() *World { return h.w }

// Note tells the world's OnNote, when it is set, what happened on the host.
func (h *Host) Note(text string) {
	if h.w.OnNote != nil {
		h.w.OnNote(h.w.Now(), h, text)
	}
}

// Dial opens a connection to a host. Both ends are told Opened, or this one
// Lost when it is refused.
func (h *Host) Dial(to *Host) *Conn {
	w := h.w
	w.conns++
	w.count.Dials++
	a, b := &Conn{host: h, id: w.conns, dialed: true}, &Conn{host: to, id: w.conns}
	a.peer, b.peer = b, a
	h.open = append(h.open, a)
	kind := actOpen
	if w.chance(w.Faults.Refuse) {
		w.count.Refused++
		kind = actRefuse
	}
	w.schedule(w.latency(), action{kind: kind, conn: a})
	return a
}

// Crash makes the host lose its memory and its connections: the node is told
// Crashed, its peers Lost.
func (w *World) Crash(h *Host) {
	w.count.Crashes++
	h.Note("crash")
	for len(h.open) > 0 {
		h.open[0].Abort()
	}
	h.handle(Event{Kind: Crashed})
}

// Heal ends the connections, of those that which picks, of which a direction is
// silent: nobody but the nodes' own time-outs would, and not all have one.
func (w *World) Heal(which func(c *Conn) bool) {
	for _, h := range w.hosts {
		for _, c := range h.open {
			if (c.silent || c.peer.silent) && which(c) {
				c.lose(actCut)
			}
		}
	}
}

// Conn is one end of a connection.
type Conn struct {
	// User is the node's own.
	User any

	host   *Host
	peer   *Conn
	id     uint64
	dialed bool
	over   bool // this end is told nothing more
	// The direction from here to the peer.
	out     []byte // written and not delivered
	sent    bool   // a delivery is scheduled
	closing bool   // Close after what is in out
	silent  bool   // half-open: what is written is lost
	cut     int    // bytes until the cut, or -1
}

// Host is the host whose end this is.
func (c *Conn) Host() *Host { return c.host }

// Remote is the host at the other end.
func (c *Conn) Remote() *Host { return c.peer.host }

// ID numbers the connection, the same at both ends.
func (c *Conn) ID() uint64 { return c.id }

// Dialed reports whether this end dialled.
func (c *Conn) Dialed() bool { return c.dialed }

// Write sends b, which is copied. On a connection that is over it does nothing.
func (c *Conn) Write(b []byte) {
	if c.over || c.closing || c.silent || len(b) == 0 {
		return
	}
	c.out = append(c.out, b...)
	c.send()
}

// Close ends the connection after what was written has arrived. This end is
// told nothing more.
func (c *Conn) Close() {
	if c.over {
		return
	}
	c.drop()
	c.closing = true
	if !c.silent {
		c.send()
	}
}

// Abort ends the connection at once: what was written and has not arrived is
// gone, and the peer is told Lost. This end is told nothing more.
func (c *Conn) Abort() {
	if c.over {
		return
	}
	c.drop()
	c.silent, c.out = true, c.out[:0]
	c.peer.silent = true
	c.peer.lose(actCut)
}

func (c *Conn) send() {
	if !c.sent {
		c.sent = true
		c.host.w.schedule(c.host.w.latency(), action{kind: actDeliver, conn: c})
	}
}

// drop takes the end off its host.
func (c *Conn) drop() {
	c.over = true
	for i, o := range c.host.open {
		if o == c {
			c.host.open = append(c.host.open[:i], c.host.open[i+1:]...)
			return
		}
	}
}

// lose schedules that this end learns that the connection is over, and how.
func (c *Conn) lose(how actKind) {
	if !c.over {
		c.host.w.schedule(c.host.w.latency(), action{kind: how, conn: c})
	}
}

// Step does the next thing that is to happen, and returns false when nothing
// ever will.
func (w *World) Step() bool {
	if w.next() == never {
		return false
	}
	it := w.queue.pop()
	w.now = max(w.now, it.at)
	w.steps++
	w.act(&it.action)
	return true
}

// Run steps until d of virtual time has passed, or nothing is to happen.
func (w *World) Run(d time.Duration) {
	end := w.now + d
	for w.next() <= end && w.Step() {
	}
	w.now = max(w.now, end)
}

// next is when the next thing is to happen, which is then the first of the queue.
// It forgets the wake-ups that count no more, and puts off those that the node
// has put off since.
func (w *World) next() time.Duration {
	for len(w.queue) > 0 {
		it := &w.queue[0]
		h := it.host
		if it.kind != actWake || it.wake == h.wake && it.at >= h.at {
			return it.at
		}
		counts := it.wake == h.wake
		w.queue.pop()
		if counts {
			h.arm()
		}
	}
	return never
}

func (w *World) act(a *action) {
	c := a.conn
	switch a.kind {
	case actWake:
		a.host.armed = never
		a.host.handle(Event{Kind: Tick})
	case actOpen:
		if !c.over {
			c.cut, c.peer.cut = -1, -1
			c.peer.host.open = append(c.peer.host.open, c.peer)
			c.peer.host.handle(Event{Kind: Opened, Conn: c.peer})
			if !c.over {
				c.host.handle(Event{Kind: Opened, Conn: c})
			}
		}
	case actRefuse, actCut, actEnd:
		if !c.over {
			c.drop()
			c.peer.silent = true
			if w.OnCut != nil {
				w.OnCut(w.Now(), c, errs[a.kind])
			}
			c.host.handle(Event{Kind: Lost, Conn: c, Err: errs[a.kind]})
		}
	case actDeliver:
		c.sent = false
		w.deliver(c)
	}
}

// deliver moves bytes from c to its peer, as far as the faults let it.
func (w *World) deliver(c *Conn) {
	p := c.peer
	if w.chance(w.Faults.Cut) {
		w.count.Cuts++
		c.cut = w.src.Intn(len(c.out) + 1)
		p.cut = w.src.Intn(len(p.out) + 1)
	}
	if w.chance(w.Faults.HalfOpen) {
		w.count.HalfOpens++
		c.silent, c.out = true, c.out[:0]
	}
	n := len(c.out)
	if n > 1 && w.chance(w.Faults.Chunk) {
		w.count.Chunks++
		n = 1 + w.src.Intn(n-1)
	}
	cut := c.cut >= 0
	if cut {
		n = min(n, c.cut)
		c.cut -= n
	}
	if n > 0 {
		data := c.out[:n]
		if p.over {
			c.out = c.out[:0]
			return
		}
		if w.chance(w.Faults.Jump) {
			w.count.Jumps++
			by := int(w.Faults.JumpBy / time.Millisecond)
			p.host.skew += time.Duration(w.src.Intn(2*by+1)-by) * time.Millisecond
		}
		w.note(p, data)
		// The node may write to the other direction, never to this one.
		p.host.handle(Event{Kind: Received, Conn: p, Data: data})
		c.out = c.out[:copy(c.out, c.out[n:])]
	}
	switch {
	case cut && c.cut == 0:
		c.silent, c.out = true, c.out[:0]
		p.lose(actCut)
		c.lose(actCut)
	case len(c.out) > 0:
		c.send()
	case c.closing && !c.silent:
		p.lose(actEnd)
	}
}

// note counts and hashes a delivery.
func (w *World) note(p *Conn, data []byte) {
	w.count.Deliveries++
	w.count.Bytes += uint64(len(data))
	w.hash = digest(w.hash^uint64(w.now)^p.id<<1, data)
	if w.OnData != nil {
		w.OnData(w.Now(), p.peer, data)
	}
}

// digest is that of data, after what h is the digest of.
func digest(h uint64, data []byte) uint64 {
	const prime = 1099511628211
	h ^= uint64(len(data)) << 32
	for ; len(data) >= 8; data = data[8:] {
		h = (h ^ binary.LittleEndian.Uint64(data)) * prime
		h ^= h >> 29 // a product tells nothing of high bits in its low ones
	}
	for _, b := range data {
		h = (h ^ uint64(b)) * prime
	}
	return h
}

// handle tells the node and notes when it wants to be woken.
func (h *Host) handle(e Event) {
	h.at = never
	if t := h.node.Handle(h, e); !t.IsZero() {
		if t != h.answer {
			h.answer, h.deadline = t, t.Sub(epoch)
		}
		h.at = max(h.deadline-h.skew, h.w.now)
	}
	if h.at < h.armed {
		h.wake++ // what was scheduled before counts no more
		h.arm()
	}
}

// arm schedules the wake-up.
func (h *Host) arm() {
	if h.armed = h.at; h.at != never {
		h.w.push(h.at, action{kind: actWake, host: h, wake: h.wake})
	}
}

func (w *World) latency() time.Duration {
	most := int(w.Faults.Latency / time.Microsecond)
	if most <= 1 {
		return time.Microsecond
	}
	return time.Duration(1+w.src.Intn(most)) * time.Microsecond
}

func (w *World) schedule(in time.Duration, a action) { w.push(w.now+in, a) }

func (w *World) push(at time.Duration, a action) {
	w.seq++
	w.queue.push(item{at: at, seq: w.seq, action: a})
}
