// This file holds wire: a connection that can be cut at a chosen packet or
// byte, and records what really passed. It knows packets by their headers
// only.

package interop

import (
	"errors"
	"io"
	"net"
	"time"

	"mqttcore"
	"mqttcore/trace"
)

// errCut is what reading and writing fail with once the wire is cut.
var errCut = errors.New("the test cut the connection")

// verdict is what becomes of a packet on the wire.
type verdict int

const (
	pass     verdict = iota
	cut              // it is lost, with the connection
	cutAfter         // it is the last one that passes
)

// faults says where a wire is cut. The zero value does not cut.
type faults struct {
	// packet is asked about every packet; n counts the packets of its
	// direction on this connection from 0, CONNECT and CONNACK included.
	packet func(from mqttcore.Role, t mqttcore.PacketType, n int) verdict
	// bytes is how many bytes may pass before the cut, by direction; 0: all.
	toServer, toClient int
	// reset ends the connection at once, so that the broker may lose what it
	// has not read yet and fail in what it writes. Otherwise the broker reads
	// all that was sent, and its answers go nowhere.
	reset bool
}

// at makes faults that cut once, at packet k (from 0) of a type.
func at(v verdict, from mqttcore.Role, t mqttcore.PacketType, k int) faults {
	seen := 0
	return faults{packet: func(f mqttcore.Role, typ mqttcore.PacketType, _ int) verdict {
		if f != from || typ != t {
			return pass
		}
		if seen++; seen == k+1 {
			return v
		}
		return pass
	}}
}

// wire is one connection of a client under test.
type wire struct {
	conn   *net.TCPConn
	rec    *trace.Recorder
	page   *page
	faults faults

	ahead     []byte // read from conn, and not yet passed
	sent, got int    // packets
	up, down  int    // bytes
	broken    bool
}

func dial(addr string, rec *trace.Recorder, pg *page, f faults) (*wire, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn.(*net.TCPConn), rec: rec, page: pg, faults: f}, nil
}

// sentBytes and received note what passed.
func (w *wire) sentBytes(b []byte) {
	w.rec.Sent(time.Now(), b)
	w.page.passed(mqttcore.FromClient, b)
}

func (w *wire) received(b []byte) {
	w.rec.Received(time.Now(), b)
	w.page.passed(mqttcore.FromServer, b)
}

// write sends b, whole packets.
func (w *wire) write(b []byte) error {
	for len(b) > 0 {
		n, _ := mqttcore.FrameSize(b)
		v := w.ask(mqttcore.FromClient, b, &w.sent)
		if v == cut {
			return w.cut("the packet is lost")
		}
		p := b[:n]
		if m := w.faults.toServer; m > 0 && w.up+n >= m {
			p, v = b[:m-w.up], cutAfter
		}
		w.up += len(p)
		if w.broken {
			return errCut
		}
		w.conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
		m, err := w.conn.Write(p)
		w.sentBytes(p[:m])
		if err != nil {
			return err
		}
		if v == cutAfter {
			return w.cut("after the packet")
		}
		b = b[n:]
	}
	return nil
}

// read reads what passes until the deadline.
func (w *wire) read(b []byte, deadline time.Time) (int, error) {
	if w.broken {
		return 0, errCut
	}
	if w.faults.packet == nil && w.faults.toClient == 0 {
		w.conn.SetReadDeadline(deadline)
		n, err := w.conn.Read(b)
		w.received(b[:n])
		return n, err
	}
	return w.readPackets(b, deadline)
}

// readPackets reads a packet, or as much of it as fits, and asks about each.
func (w *wire) readPackets(b []byte, deadline time.Time) (int, error) {
	for {
		size, ok := mqttcore.FrameSize(w.ahead)
		if ok && len(w.ahead) >= size {
			break
		}
		w.conn.SetReadDeadline(deadline)
		n, err := w.conn.Read(b)
		w.ahead = append(w.ahead, b[:n]...)
		if err != nil {
			return 0, err
		}
	}
	size, _ := mqttcore.FrameSize(w.ahead)
	v := w.ask(mqttcore.FromServer, w.ahead, &w.got)
	if v == cut {
		return 0, w.cut("the packet is lost")
	}
	if m := w.faults.toClient; m > 0 && w.down+size >= m {
		size, v = m-w.down, cutAfter
	}
	// A packet that does not fit has to be asked about once only, so the
	// caller's buffer is as large as any of them.
	n := copy(b, w.ahead[:size])
	if n < size {
		return 0, io.ErrShortBuffer
	}
	w.ahead = w.ahead[n:]
	w.down += n
	w.received(b[:n])
	if v == cutAfter {
		return n, w.cut("after the packet")
	}
	return n, nil
}

func (w *wire) ask(from mqttcore.Role, b []byte, n *int) verdict {
	if w.broken || w.faults.packet == nil {
		return pass
	}
	*n++
	return w.faults.packet(from, mqttcore.PacketType(b[0]>>4), *n-1)
}

// cut ends the connection by the test's will.
func (w *wire) cut(why string) error {
	if w.faults.reset {
		w.conn.SetLinger(0)
	}
	w.page.ended(byTest)
	w.end("cut: " + why)
	return errCut
}

// end closes the connection. Unless it is to be reset, the broker gets the
// time to read everything, and has given the connection up when end returns.
func (w *wire) end(why string) {
	if w.broken {
		return
	}
	w.broken = true
	if !w.faults.reset {
		w.conn.CloseWrite()
		w.conn.SetReadDeadline(time.Now().Add(3 * time.Second))
		io.Copy(io.Discard, w.conn)
	}
	w.conn.Close()
	w.rec.Cut(time.Now(), why)
}
