// This program uses what nearly every program with a client uses. It is built,
// and never run.
package main

import (
	"time"

	"mqttcore"
)

func main() {
	c, err := mqttcore.NewClient(mqttcore.Config{ClientID: []byte("x")}, nil)
	if err != nil {
		println(err.Error())
		return
	}
	var now time.Time
	out, _ := c.Connect(nil, now)
	out, n, _ := c.Receive(out, now, out)
	subs, _ := mqttcore.NewSubscriptions(mqttcore.Subscription{Filter: []byte("a/#")})
	out, _ = c.Subscribe(out, now, &mqttcore.Subscribe{Subscriptions: subs}, 1)
	out, _ = c.Publish(out, now, &mqttcore.Publish{Topic: []byte("a")}, 2)
	out = c.Tick(out, now)
	var ev mqttcore.Event
	for c.Next(&ev) {
		println(n, len(out), ev.String())
	}
}
