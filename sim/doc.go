// Package sim runs MQTT clients, servers, or anything else that talks over byte
// streams, deterministically: in virtual time, over links that cut, delay and
// tear, with every decision taken from one source of entropy. The same source
// gives the same run, byte for byte.
//
// A [World] has hosts; on each runs a [Node], which is anyone's code behind one
// method. Nodes dial each other and get a [Conn], which loses, delays and cuts
// what is written to it as the world's [Faults] say, but never reorders it.
//
//	w := sim.New(sim.Seed(1), sim.Faults{Cut: 5})
//	server := w.Add("server", myServer)
//	client := w.Add("client", myClient)
//	w.Run(time.Minute)
//
// A [Gate] lets real connections into a world, whose time is then the clock's:
// for programs that need a server to talk to, or a bad network on the way.
// [Pipe] is all of that in one call, for a single connection.
//
// [Broker] is a naive model of an MQTT server. It shares with the client under
// test only the codec, so that a bug cannot cancel itself out. What it says is
// compared with what mosquitto says: see differences.md in the interop module.
//
// [Explore] looks at everything that can happen to the real client and the
// broker within a small [Scope], breadth first, and finds a shortest way to what
// must not be.
package sim
