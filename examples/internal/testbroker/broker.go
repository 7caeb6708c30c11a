// This file holds the server: connections, sessions and the answer to each
// packet. How a test cuts connections is its own affair (Server.Wrap).

package testbroker

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"

	"mqttcore"
)

// Server is a broker that listens on loopback until its test ends. Set the
// fields before Start.
type Server struct {
	// Wrap, unless nil, is put around every connection.
	Wrap func(net.Conn) net.Conn
	// Hook, unless nil, sees every packet first. An error of its ends the
	// connection.
	Hook func(mqttcore.Packet) error
	// Code is the reason code of every CONNACK.
	Code mqttcore.ReasonCode
	// TLS, unless nil, makes it speak TLS.
	TLS *tls.Config

	mu       sync.Mutex
	sessions map[string]*session
	conns    map[net.Conn]bool
	received []mqttcore.Publish
	faults   []error
	running  sync.WaitGroup
	closed   bool
}

// session is what a client's connections have in common.
type session struct {
	subs     []mqttcore.Subscription
	incoming map[uint16]bool // QoS 2 identifiers from PUBLISH to PUBREL
	outgoing []*delivery     // QoS 1 and 2, oldest first
	lastID   uint16
	conn     *conn // nil: the client is away
}

// delivery is a message on its way to a client.
type delivery struct {
	message  mqttcore.Publish
	released bool // PUBREC came
}

type conn struct {
	net.Conn
	server  *Server
	session *session
	version mqttcore.Version
}

// Start begins to listen and returns the address.
func (s *Server) Start(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.sessions, s.conns = map[string]*session{}, map[net.Conn]bool{}
	s.running.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			if s.Wrap != nil {
				nc = s.Wrap(nc)
			}
			if s.TLS != nil {
				nc = tls.Server(nc, s.TLS)
			}
			if s.add(nc) {
				s.running.Go(func() { s.serve(nc) })
			}
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.mu.Lock()
		s.closed = true
		for nc := range s.conns {
			nc.Close()
		}
		s.mu.Unlock()
		s.running.Wait()
		for _, err := range s.faults {
			t.Errorf("the client broke the protocol: %v", err)
		}
	})
	return l.Addr().String()
}

func (s *Server) add(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		nc.Close()
		return false
	}
	s.conns[nc] = true
	return true
}

// Received is every message that was published so far, in the order of
// arrival. One of QoS 2 is counted when it is new, one of QoS 1 each time.
func (s *Server) Received() []mqttcore.Publish {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.received)
}

// Send publishes a message from the server's side.
func (s *Server) Send(p mqttcore.Publish) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.route(p)
}

// CutAll closes every connection.
func (s *Server) CutAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for nc := range s.conns {
		nc.Close()
	}
}

var errDone = errors.New("testbroker: done with the connection")

func (s *Server) serve(nc net.Conn) {
	c := &conn{Conn: nc, server: s}
	defer func() {
		nc.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, nc)
		if c.session != nil && c.session.conn == c {
			c.session.conn = nil
		}
	}()
	in := make([]byte, 0, 1<<16)
	for {
		in = slices.Grow(in, 1<<12)
		n, err := nc.Read(in[len(in):cap(in)])
		in = in[:len(in)+n]
		rest := in
		for {
			k, fault := c.take(rest)
			rest = rest[k:]
			var wrong *mqttcore.Error
			if errors.As(fault, &wrong) {
				s.mu.Lock()
				s.faults = append(s.faults, wrong)
				s.mu.Unlock()
			}
			if fault != nil {
				return
			}
			if k == 0 {
				break
			}
		}
		in = append(in[:0], rest...)
		if err != nil {
			return
		}
	}
}

// take does what the first packet in b demands.
func (c *conn) take(b []byte) (int, error) {
	d := mqttcore.Dialect{Version: c.version, From: mqttcore.FromClient}
	if c.version == 0 {
		d.Version = mqttcore.V5
	}
	f, n, err := mqttcore.ConsumeFrame(b, d, 0)
	if n == 0 || err != nil {
		return 0, err
	}
	if c.version == 0 {
		if d.Version, err = mqttcore.ConnectVersion(f); err != nil {
			return 0, err
		}
		c.version = d.Version
	}
	p, err := mqttcore.Decode(f.Clone(), d)
	if err != nil {
		return 0, err
	}
	if c.server.Hook != nil {
		if err := c.server.Hook(p); err != nil {
			return 0, err
		}
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if connect, ok := p.(*mqttcore.Connect); ok {
		return n, c.connect(connect)
	}
	if c.session == nil || c.session.conn != c {
		return 0, errDone // no CONNECT, or another connection took the session over
	}
	return n, c.packet(p)
}

func (c *conn) connect(p *mqttcore.Connect) error {
	s := c.server
	if s.Code != mqttcore.ReasonSuccess {
		c.send(&mqttcore.ConnAck{Code: s.Code})
		return errDone
	}
	id := string(p.ClientID)
	old := s.sessions[id]
	if old != nil && old.conn != nil {
		old.conn.Close()
		old.conn = nil
	}
	if p.CleanStart || old == nil {
		s.sessions[id] = &session{incoming: map[uint16]bool{}}
	}
	c.session = s.sessions[id]
	c.session.conn = c
	present := c.session == old && c.version != mqttcore.V31
	c.send(&mqttcore.ConnAck{SessionPresent: present})
	for _, o := range c.session.outgoing {
		o.message.Dup = true
		c.deliver(o)
	}
	return nil
}

func (c *conn) packet(p mqttcore.Packet) error {
	ses := c.session
	switch p := p.(type) {
	case *mqttcore.Publish:
		if !ses.incoming[p.ID] {
			c.server.received = append(c.server.received, *p)
			c.server.route(*p)
		}
		switch p.QoS {
		case mqttcore.QoS1:
			c.send(&mqttcore.Ack{Type: mqttcore.TypePubAck, ID: p.ID})
		case mqttcore.QoS2:
			ses.incoming[p.ID] = true
			c.send(&mqttcore.Ack{Type: mqttcore.TypePubRec, ID: p.ID})
		}
	case *mqttcore.Ack:
		at := slices.IndexFunc(ses.outgoing, func(o *delivery) bool { return o.message.ID == p.ID })
		switch {
		case p.Type == mqttcore.TypePubRel:
			delete(ses.incoming, p.ID)
			c.send(&mqttcore.Ack{Type: mqttcore.TypePubComp, ID: p.ID})
		case at < 0:
		case p.Type == mqttcore.TypePubRec:
			ses.outgoing[at].released = true
			c.deliver(ses.outgoing[at])
		default:
			ses.outgoing = slices.Delete(ses.outgoing, at, at+1)
		}
	case *mqttcore.Subscribe:
		ack := mqttcore.SubAck{ID: p.ID}
		for sub := range p.Subscriptions.All() {
			ses.unsubscribe(sub.Filter) // a new subscription replaces the old one (MQTT-3.8.4-3)
			ses.subs = append(ses.subs, sub)
			ack.Codes = append(ack.Codes, byte(sub.QoS))
		}
		c.send(&ack)
	case *mqttcore.Unsubscribe:
		ack := mqttcore.UnsubAck{ID: p.ID}
		for filter := range p.Filters.All() {
			ses.unsubscribe(filter)
			if c.version == mqttcore.V5 {
				ack.Codes = append(ack.Codes, byte(mqttcore.ReasonSuccess))
			}
		}
		c.send(&ack)
	case *mqttcore.Ping:
		c.send(&mqttcore.Ping{Type: mqttcore.TypePingResp})
	case *mqttcore.Disconnect:
		return errDone
	}
	return nil
}

func (ses *session) unsubscribe(filter []byte) {
	ses.subs = slices.DeleteFunc(ses.subs, func(sub mqttcore.Subscription) bool {
		return string(sub.Filter) == string(filter)
	})
}

// route gives a message to every session that has a subscription for it, at
// the lower quality of service of both.
func (s *Server) route(p mqttcore.Publish) {
	p.Dup, p.Retain = false, false
	for _, ses := range s.sessions {
		for _, sub := range ses.subs {
			if !mqttcore.Match(sub.Filter, p.Topic) {
				continue
			}
			m := p
			m.ID, m.QoS = 0, min(p.QoS, sub.QoS)
			o := &delivery{message: m}
			if m.QoS > mqttcore.QoS0 {
				ses.lastID = max(ses.lastID+1, 1)
				o.message.ID = ses.lastID
				ses.outgoing = append(ses.outgoing, o)
			}
			if ses.conn != nil {
				ses.conn.deliver(o)
			}
		}
	}
}

func (c *conn) deliver(o *delivery) {
	if o.released {
		c.send(&mqttcore.Ack{Type: mqttcore.TypePubRel, ID: o.message.ID})
	} else {
		c.send(&o.message)
	}
}

// send writes a packet. When that fails, reading will, too.
func (c *conn) send(p mqttcore.Packet) {
	out, err := p.AppendTo(nil, mqttcore.Dialect{Version: c.version, From: mqttcore.FromServer})
	if err != nil {
		panic(err) // a fault of this package
	}
	if _, err := c.Write(out); err != nil {
		c.Close()
	}
}
