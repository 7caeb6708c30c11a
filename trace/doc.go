// Package trace records what a client and a server say to each other and draws
// it as a ladder: the client on the left, the broker on the right, one arrow a
// packet, from top to bottom in the order in which things happened.
//
// A [Recorder] takes the bytes of both directions in whatever pieces they come
// and cuts them into packets:
//
//	var rec trace.Recorder
//	rec.Sent(now, out)     // what the client writes
//	rec.Received(now, in)  // what the client reads
//	rec.Note(now, mqttcore.FromClient, ev.String())
//	rec.Cut(now, "connection reset by peer")
//	fmt.Print(rec.Ladder())
//
// [Recorder.Ladder] is a copy of what is recorded so far, as a list of entries
// that prints as text ([Ladder.AppendText]) or as a drawing
// ([Ladder.WriteSVG]).
//
// Any bytes may be recorded. Those that are no MQTT are shown in hexadecimal
// with the statement that they break, and so is all that follows them in the
// same direction of the same connection, since nobody can tell where the next
// packet begins. Memory is bounded by [Recorder.Limit] and
// [Recorder.MaxEntries], whatever the bytes say.
//
// Passwords and authentication data of packets that parse are never shown. Of
// a CONNECT, CONNACK or AUTH that does not parse, only the bytes before any such
// field are. Other bytes that do not parse are shown as they are.
package trace
