// This file holds link: one transport with a goroutine that reads it and one
// that writes it. It knows nothing of MQTT but how large a packet is.

package main

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"mqttcore"
)

const (
	readBuffer = 4096
	linger     = time.Second // how long the peer has to close first
)

// link hands buffers to and fro: whoever has a buffer may touch it, and nobody
// else. There is one for reading, and two for writing, so that one is filled
// while the other is written. No send of the owner's ever blocks.
type link struct {
	conn   net.Conn
	input  chan input  // to the owner: all bytes that are not taken
	rest   chan []byte // from the owner: the end of them, to be kept
	output chan []byte // from the owner: to be written
	spare  chan []byte // to the owner: a buffer that was written
	failed chan error  // to the owner: it could not be written
	over   chan struct{}
	idle   []byte // the owner's second buffer; nil: the writer has it
	detach func() bool
}

// input is what the reader has read. After an error there is no more.
type input struct {
	bytes []byte
	err   error
}

// newLink starts the two goroutines. The end of ctx cuts the transport.
func newLink(ctx context.Context, conn net.Conn, writeTimeout time.Duration, running *sync.WaitGroup) *link {
	l := &link{
		conn:   conn,
		input:  make(chan input),
		rest:   make(chan []byte, 1),
		output: make(chan []byte, 2),
		spare:  make(chan []byte, 2),
		failed: make(chan error, 1),
		over:   make(chan struct{}),
		idle:   []byte{},
	}
	l.detach = context.AfterFunc(ctx, func() { conn.Close() })
	read := make(chan struct{})
	running.Go(func() {
		defer close(read)
		l.readAll()
	})
	running.Go(func() {
		l.writeAll(writeTimeout)
		<-read
		l.detach()
		conn.Close()
	})
	return l
}

// write hands b to the writer, which is idle, and returns the other buffer.
func (l *link) write(b []byte) []byte {
	l.output <- b
	b, l.idle = l.idle, nil
	return b
}

// finish lets the writer write last and all that it has, and then close.
func (l *link) finish(last []byte) {
	l.output <- last
	close(l.output)
	close(l.over)
}

// abort closes at once.
func (l *link) abort() {
	l.conn.Close()
	close(l.output)
	close(l.over)
}

func (l *link) readAll() {
	buf := make([]byte, 0, readBuffer)
	for {
		n, err := l.conn.Read(buf[len(buf):cap(buf)])
		select {
		case l.input <- input{buf[:len(buf)+n], err}: // now it is the owner's
		case <-l.over:
			io.Copy(io.Discard, l.conn)
			return
		}
		rest := <-l.rest // now it is ours again
		if err != nil {
			return
		}
		buf = append(buf[:0], rest...)
		if whole, _ := mqttcore.FrameSize(buf); whole > cap(buf) {
			buf = slices.Grow(buf, whole-len(buf)) // the Client has let its size pass
		}
	}
}

func (l *link) writeAll(timeout time.Duration) {
	for b := range l.output {
		l.conn.SetWriteDeadline(time.Now().Add(timeout))
		if _, err := l.conn.Write(b); err != nil {
			l.failed <- err
			<-l.over // the owner is to see this error, not that of a closed transport
			l.conn.Close()
			return
		}
		l.spare <- b[:0]
	}
	// A transport that is closed while input waits may be reset, and what was
	// written last be lost. So the peer gets the chance to close first.
	if half, ok := l.conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	l.conn.SetReadDeadline(time.Now().Add(linger))
}
