// This file holds runnable examples of the types beside the client: Backoff,
// NewClientID, Requests.

package mqttcore_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	mqtt "mqttcore"
)

// The pauses between attempts to connect. The random numbers are the caller's:
// here always the same, in a program those of rand.Uint64.
func ExampleBackoff() {
	random := rand.New(rand.NewPCG(1, 2)).Uint64
	b := mqtt.Backoff{Min: time.Second, Max: 10 * time.Second}
	for range 5 {
		fmt.Println(b.Next(random()).Round(100 * time.Millisecond))
	}
	b.Reset() // connected
	fmt.Println("after a connection:", b.Next(random()).Round(100*time.Millisecond))
	// Output:
	// 1.8s
	// 2.8s
	// 6.5s
	// 8.2s
	// 3.1s
	// after a connection: 1s
}

// A client identifier of 8 random bytes, of crypto/rand in a program.
func ExampleNewClientID() {
	random := []byte("\x9a\x01\xf3\x77\x2c\x08\xe6\x55")
	id, err := mqtt.NewClientID("pump", random)
	fmt.Println(string(id), err)
	// Output:
	// pumpDDmIIYzXzkr <nil>
}

// A request and its answer. The request waits before it is sent, so that no
// answer is too early.
func ExampleRequests() {
	now := time.Unix(1_700_000_000, 0)
	requests, err := mqtt.NewRequests([]byte("clients/7/answers"), 0x5EED, 100)
	if err != nil {
		fmt.Println(err)
		return
	}

	// This client asks, with tag 42. A Client's Publish would send it.
	request := mqtt.Publish{Topic: []byte("rooms/hall/temperature")}
	if _, err := requests.Prepare(&request.Props, now, 5*time.Second, 42); err != nil {
		fmt.Println(err)
		return
	}

	// Another client gets the request and answers.
	answer := mqtt.Publish{Payload: []byte("21 °C")}
	answer.Topic, err = mqtt.ResponseTo(&request, &answer.Props)
	if err != nil {
		fmt.Println(err)
		return
	}

	// At EventMessage, this client sees which request that is for.
	if tag, ok := requests.Match(&answer); ok {
		fmt.Printf("answer to %d: %s\n", tag, answer.Payload)
	}

	// A second request is answered by nobody.
	request.Props.Reset()
	if _, err := requests.Prepare(&request.Props, now, 5*time.Second, 43); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("waiting for", requests.Deadline().Sub(now))
	if tag, ok := requests.Expire(now.Add(5 * time.Second)); ok {
		fmt.Println("no answer to", tag)
	}
	// Output:
	// answer to 42: 21 °C
	// waiting for 5s
	// no answer to 43
}
