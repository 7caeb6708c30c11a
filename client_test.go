package mqttcore

import (
	"testing"
	"time"
	"unsafe"
)

// TestRecordSize pins the record to one cache line.
func TestRecordSize(t *testing.T) {
	if n := unsafe.Sizeof(record{}); n > 64 {
		t.Errorf("record has %d bytes, want at most 64", n)
	}
	t.Log(unsafe.Sizeof(Client{}), unsafe.Sizeof(Session{}), unsafe.Sizeof(Config{}), unsafe.Sizeof(Event{}), unsafe.Sizeof(connection{}))
}

func TestSmoke(t *testing.T) {
	now := time.Unix(1000, 0)
	c, err := NewClient(Config{ClientID: []byte("me"), KeepAlive: 10}, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Connect(nil, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%x", out)
	var ev Event
	recv := func(in ...byte) {
		out, n, err := c.Receive(nil, now, in)
		t.Logf("recv %x: out %x n=%d err=%v", in, out, n, err)
		for c.Next(&ev) {
			t.Log(ev.String())
		}
	}
	recv(0x20, 3, 0, 0, 0)
	for q := range QoS(3) {
		out, err = c.Publish(nil, now, &Publish{Topic: []byte("a/b"), Payload: []byte("hi"), QoS: q}, uint64(q))
		t.Logf("%x %v", out, err)
	}
	recv(0x40, 2, 0, 1)
	recv(0x50, 2, 0, 2)
	recv(0x70, 2, 0, 2)
	subs, _ := NewSubscriptions(Subscription{Filter: []byte("x"), QoS: 2})
	out, err = c.Subscribe(nil, now, &Subscribe{Subscriptions: subs}, 7)
	t.Logf("%x %v", out, err)
	recv(0x90, 4, 0, 3, 0, 2)
	recv(0x34, 7, 0, 1, 'a', 0, 9, 0, 'x')
	recv(0x34, 7, 0, 1, 'a', 0, 9, 0, 'x')
	recv(0x62, 2, 0, 9)
	t.Log(c.Deadline().Sub(now))
	recv(0x41, 2, 0, 9)
	recv(0x41, 2, 0, 9)
}
