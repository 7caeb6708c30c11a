package mqttcore_test

import (
	"fmt"
	"time"

	"mqttcore"
)

// A session as a whole goes to disk as a snapshot, and comes back.
func ExampleSession_AppendBinary() {
	cfg := mqttcore.Config{Version: mqttcore.V311, ClientID: []byte("me")}
	c, err := mqttcore.NewClient(cfg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	m := mqttcore.Publish{Topic: []byte("a/b"), Payload: []byte("hello"), QoS: mqttcore.QoS1}
	if _, err = c.Publish(nil, time.Now(), &m, 42); err != nil { // kept until there is a connection
		fmt.Println(err)
		return
	}
	disk, err := c.Session().AppendBinary(nil)
	if err != nil {
		fmt.Println(err)
		return
	}

	restored := new(mqttcore.Session)
	if err := restored.UnmarshalBinary(disk); err != nil {
		fmt.Println(err)
		return
	}
	for m := range restored.Outgoing() {
		fmt.Printf("%v, tag %d: %s %q\n", m.State, m.Tag, m.Message.Topic, m.Message.Payload)
	}
	c, err = mqttcore.NewClient(cfg, restored) // and goes on
	fmt.Println(c.State(), err)
	// Output:
	// queued, tag 42: a/b "hello"
	// disconnected <nil>
}

// Each op is one record of a journal. A record that was not written to its end
// is told apart from one that is damaged.
func ExampleOp() {
	op := mqttcore.Op{Kind: mqttcore.OpSent, Num: 1, ID: 7}
	record, err := op.AppendBinary(nil)
	fmt.Println(len(record), err)

	var back mqttcore.Op
	n, err := mqttcore.ConsumeOp(record, &back)
	fmt.Println(n, err, back.Kind, back.ID)
	n, err = mqttcore.ConsumeOp(record[:20], &back)
	fmt.Println(n, err)
	record[13] ^= 1
	_, err = mqttcore.ConsumeOp(record, &back)
	fmt.Println(err)
	// Output:
	// 26 <nil>
	// 26 <nil> sent 7
	// 0 <nil>
	// mqttcore: the journal or snapshot is damaged, or does not fit the session
}

// The ops are taken, and brought to disk, before the bytes are written that
// tell the server of them.
func ExampleClient_NextOp() {
	c, err := mqttcore.NewClient(mqttcore.Config{Version: mqttcore.V311, ClientID: []byte("me"), Journal: true}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Now()
	out, _ := c.Connect(nil, now)
	out, _, _ = c.Receive(out, now, []byte{0x20, 2, 0, 0}) // CONNACK
	for ev := new(mqttcore.Event); c.Next(ev); {
		fmt.Println(ev)
	}
	op := new(mqttcore.Op)
	for c.NextOp(op) { // what the connection has changed
	}
	m := mqttcore.Publish{Topic: []byte("t"), Payload: []byte("hello"), QoS: mqttcore.QoS2}
	out, _ = c.Publish(out, now, &m, 1)
	in := []byte{0x50, 2, 0, 1} // PUBREC
	out, _, _ = c.Receive(out, now, in)
	for c.NextOp(op) {
		fmt.Println(op.Kind, op.Num)
	}
	_ = out // is written now
	// Output:
	// connected
	// put 1
	// sent 1
	// release 1
}

// A journal is replayed when a process starts again. The end of the last
// record may be missing: what it says was never done.
func ExampleSession_Replay() {
	var journal []byte
	for _, op := range []mqttcore.Op{
		{Kind: mqttcore.OpPut, Num: 1, Tag: 5, QoS: mqttcore.QoS1, Topic: []byte("t")},
		{Kind: mqttcore.OpSent, Num: 1, ID: 1},
		{Kind: mqttcore.OpDelete, Num: 1},
	} {
		journal, _ = op.AppendBinary(journal)
	}
	torn := journal[:len(journal)-1]

	var s mqttcore.Session
	n, err := s.Replay(torn)
	fmt.Println(len(torn)-n, "bytes to cut off,", err)
	for m := range s.Outgoing() {
		fmt.Println(m.State, m.Tag)
	}
	// Output:
	// 23 bytes to cut off, <nil>
	// sent 5
}
