// This file holds tests against a server that says only what the test has it
// say. What needs a whole broker is in conn_test.go.

package main

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"mqttcore"
)

// peer is the server's end of a connection.
type peer struct{ net.Conn }

// take reads one packet and says which; 0 is the end.
func (p peer) take() mqttcore.PacketType {
	var in []byte
	for {
		b := make([]byte, 1)
		if _, err := io.ReadFull(p, b); err != nil {
			return 0
		}
		in = append(in, b...)
		if n, ok := mqttcore.FrameSize(in); ok && n == len(in) {
			return mqttcore.PacketType(in[0] >> 4)
		}
	}
}

func (p peer) send(t *testing.T, packet mqttcore.Packet) {
	b, err := packet.AppendTo(nil, mqttcore.Dialect{Version: mqttcore.V5, From: mqttcore.FromServer})
	if err == nil {
		_, err = p.Write(b)
	}
	if err != nil {
		t.Error(err)
	}
}

// dialPeer dials a server that is serve, which gets the number of the connection
// from 0; each ends with it.
func dialPeer(serve func(i int, p peer)) func(context.Context) (net.Conn, error) {
	i := 0
	return func(context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func(i int) {
			defer theirs.Close()
			serve(i, peer{theirs})
		}(i)
		i++
		return ours, nil
	}
}

// Close ends also where the server takes no packet as large as a DISCONNECT.
func TestCloseWithoutDisconnect(t *testing.T) {
	noLeaks(t)
	seen := newEvents()
	var limit mqttcore.Properties
	if err := limit.Add(mqttcore.MaximumPacketSize(1)); err != nil {
		t.Fatal(err)
	}
	c := start(t, Options{Config: config(mqttcore.V5), OnEvent: seen.add, Dial: dialPeer(func(_ int, p peer) {
		p.take()
		p.send(t, &mqttcore.ConnAck{Props: limit})
		if last := p.take(); last != 0 {
			t.Errorf("the server got %v", last)
		}
	})})
	seen.wait(t, "connected")
	closeConn(t, c)
}

// The demonstration subscribes again when the connection is lost before SUBACK,
// whether the session is lost or not.
func TestDemonstrationLostBeforeSubAck(t *testing.T) {
	second := make(chan mqttcore.PacketType, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	dial := dialPeer(func(i int, p peer) {
		p.take()
		p.send(t, &mqttcore.ConnAck{SessionPresent: i > 0})
		if got := p.take(); i == 1 {
			second <- got
			cancel()
			p.take() // DISCONNECT
		}
	})
	if err := demonstrate(ctx, mqttcore.V5, 0, 0, io.Discard, dial); err == nil {
		t.Error("the demonstration has come to its end")
	}
	if got := <-second; got != mqttcore.TypeSubscribe {
		t.Errorf("%v on the second connection", got)
	}
}
