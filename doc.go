// Package mqttcore is the MQTT protocol, 3.1, 3.1.1 and 5.0, without input and
// output: a codec of pure functions, and a client that consumes bytes and time
// and returns bytes and events. Sockets, TLS, goroutines, timers, clocks and
// randomness are the caller's.
//
// # Codec
//
// [ConsumeFrame] takes one packet off a stream, a packet struct's Decode reads
// it, and AppendTo writes it:
//
//	f, n, err := mqttcore.ConsumeFrame(in, dialect, limit)
//	err = publish.Decode(f, dialect)
//	out, err = publish.AppendTo(out, dialect)
//
// A [Dialect] says which version is spoken, who the sender is, and which named
// deviations from the specification are tolerated. What the specification
// forbids is refused, when decoding and when encoding, with an [*Error] that
// names the statement. Decoded packets alias the input and allocate nothing;
// [Frame.Clone] first gives a packet that owns its bytes. In every struct nil
// is absent, and empty but not nil is present and empty; what a packet always
// has, such as a payload, is empty when nil.
//
// # Client
//
// A [Client] is driven by a loop of the caller's, whole:
//
//	set the read deadline from Deadline; read
//	repeat { Receive one packet, appending to out; drain Next } until it takes nothing
//	Tick if the deadline passed, or if More
//	with a journal: drain NextOp once; commit the ops together with your effects of the events
//	write out; if More, or if Receive failed with ErrPending, go round again without waiting
//
// Commands (Publish, Subscribe, …) append to the same out, and may be given
// while events are drained. An error that a call returns is misuse: nothing
// changed, and out is as it was. What the server does wrong is
// [EventClosed], with the DISCONNECT of 5.0 already in out. When the transport
// fails, or bytes of out could not be written, the caller says [Client.Lost],
// after Receive has taken what was read.
//
// Every accepted QoS 1 or 2 publish, subscribe and unsubscribe has a tag, the
// caller's own number, which comes back in exactly one event: published,
// subscribed, unsubscribed, or dropped with the reason.
//
// Messages of QoS 1 and 2 are acknowledged when they are handed over. With
// Config.ManualAck they wait for [Client.Ack], in any order, with the token of
// their event, and what is acknowledged is sent in the order of the protocol.
//
// A [Session] is what outlives a connection. The same Client, or another one
// made with the same Session, connects again and goes on where the last
// connection ended. With Config.Journal each change to it is an [Op]: a process
// that has committed the ops before it writes may end at any instant, and
// another one goes on with the session that they make ([Session.Replay]).
//
// The same calls give the same bytes and events, and so does any way of
// cutting the input into pieces, but for the borders of the chunks of a streamed
// message. The time is an argument, so that tests of what is built on the core
// need no clock. Those of a program with sockets and goroutines of its own can
// use testing/synctest: see TestExampleSynctest.
package mqttcore
