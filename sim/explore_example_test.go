package sim_test

import (
	"fmt"

	"mqttcore"
	"mqttcore/sim"
)

// Everything that can happen to a client that publishes one message at QoS 2, and
// may lose its connection once: no process that dies and no packet that is lost
// makes the message get lost, or arrive twice.
func ExampleExplore() {
	scope := sim.Scope{Version: mqttcore.V5, ToBroker: []mqttcore.QoS{mqttcore.QoS2}, Reconnects: 1}
	found := sim.Explore(scope)
	fmt.Println("complete:", found.Complete, "contradiction:", found.Err)

	// One of the ways that were looked at, with a crash at the worst moment.
	err := scope.Replay([]sim.Action{
		{Kind: sim.ActConnect},
		{Kind: sim.ActToBroker}, // CONNECT
		{Kind: sim.ActToClient}, // CONNACK
		{Kind: sim.ActPublish},
		{Kind: sim.ActToBroker},           // PUBLISH
		{Kind: sim.ActToClient, Crash: 2}, // PUBREC: it is committed, and PUBREL is not written
	}, sim.Watch{OnAction: func(a sim.Action) { fmt.Println(a) }})
	fmt.Println(err)
	// Output:
	// complete: true contradiction: <nil>
	// the client connects
	// a packet reaches the broker
	// a packet reaches the client
	// the client publishes
	// a packet reaches the broker
	// a packet reaches the client, crash between committing and writing
	// <nil>
}
