// Package testbroker is a small MQTT broker for the tests of the examples. It
// listens on loopback, speaks 3.1, 3.1.1 and 5.0, keeps sessions over lost
// connections, and notes what was published. It is written for clarity, never
// sends what a test did not ask for, and a client that breaks the protocol
// fails the test.
package testbroker
