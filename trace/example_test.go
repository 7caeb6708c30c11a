package trace_test

import (
	"fmt"
	"os"
	"time"

	"mqttcore"
	"mqttcore/trace"
)

func Example() {
	var rec trace.Recorder
	now := time.Unix(0, 0)
	after := func(d time.Duration) time.Time { now = now.Add(d); return now }

	// What a client writes and reads, here as bytes, in any pieces.
	rec.Sent(now, []byte("\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04demo"))
	rec.Received(after(2*time.Millisecond), []byte("\x20\x02\x00"))
	rec.Received(after(time.Millisecond), []byte("\x00\x40\x02"))
	rec.Note(now, mqttcore.FromClient, "connected")
	rec.Cut(after(time.Second), "")

	ladder := rec.Ladder()
	ladder.Width = 80
	fmt.Print(ladder)
	// Output:
	//        client                                                             broker
	// 0.000  │─ CONNECT demo clean keepalive=60 (MQTT 3.1.1) ───────────────────────>│
	// 0.003  │<─ CONNACK Success ────────────────────────────────────────────────────│
	// 0.003  │* connected                                                            │
	// 1.003  ╳╌╌ connection lost (lost: 2 bytes from the server) ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╳
}

func ExampleLadder_WriteSVG() {
	var rec trace.Recorder
	rec.Sent(time.Unix(0, 0), []byte("\xc0\x00"))
	ladder := rec.Ladder()
	ladder.Title = "A ping"
	file, err := os.CreateTemp("", "ladder*.svg")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(file.Name())
	if err := ladder.WriteSVG(file); err != nil {
		fmt.Println(err)
	}
	if err := file.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
}

func ExampleRecorder_Ladder() {
	var rec trace.Recorder
	rec.Received(time.Unix(0, 0), []byte("\xd0\x00\x36\x00"))
	for _, e := range rec.Ladder().Entries {
		fmt.Println(e.From, e.Type, e.Size, e.Err)
	}
	// Output:
	// server PINGRESP 2 <nil>
	// server PUBLISH 2 mqttcore: PUBLISH: QoS 3 does not exist (5.0:MQTT-3.3.1-4, Malformed Packet)
}
