// Package brokers starts MQTT brokers on free loopback ports, for tests,
// demonstrations and measurements: mochi-mqtt and the simulator's model broker
// in this process, and mosquitto as a process of its own. It knows nothing of
// any client.
//
// What a broker is asked for is in [Options]; what it cannot do is refused
// with an error, never left out silently. [Broker.Close] ends it.
package brokers
