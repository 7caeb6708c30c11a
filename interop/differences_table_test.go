// This file holds in which mosquitto 2.0 and the simulator's model broker differ:
// all of it, each with the reason. differences_test.go compares what they say,
// and fails for what is not here, and for what is here and is no longer so.

package interop

// difference is one between the transcripts of mosquitto and of the model.
type difference struct {
	scenario string   // the test in which it occurs
	versions []string // nil: in all that the test has
	pages    []string // titles of the connections on which it occurs; nil: any
	// theirs and ours are what mosquitto and the model do, in words, and why
	// tells how that can be.
	theirs, ours, why string
	// from is a pattern of what mosquitto's transcript has, and to what the
	// model's has in its place, as in regexp.ReplaceAllString.
	from, to string
}

// Reasons that several differences have.
const (
	takenOver    = "MQTT-3.1.4-3 asks for it in 5.0"
	noDisconnect = "a server that closes for an error should say why before (5.0 §4.13), and mosquitto mostly does; the model always does"
	noCode       = "the specification names no code for it; any of them tells the client that it is at fault"
	is82         = "the specification calls it a protocol error (5.0 §3.8.2.1.2, §3.8.3, §3.8.3.1, §3.10.3)"
	unknownID    = "0x92 tells what happened and is no error (5.0 §3.6.2.1, §3.7.2.1); mosquitto never uses it"
	dup31        = "3.1 sets DUP on a PUBREL that is sent again (3.1 §2.1); mosquitto follows 3.1.1, which does not"
	lenient      = "mosquitto does not look; the model refuses what the specification calls malformed, or a protocol error"
	qos2Late     = "mosquitto looks for subscribers of a QoS 2 message when PUBREL comes, the model at once: both are methods of 5.0 §4.3.3. Then it knows nothing yet when it sends PUBREC"
	localCounts  = "mosquitto counts a subscription with No Local as matching. Telling 0x10 is voluntary (5.0 §3.4.2.1)"
	oneCopy      = "either is legal (5.0 §3.3.4). With BrokerConfig.Copies the model does as mosquitto"
	keptOptions  = "mosquitto keeps the options of the first SUBSCRIBE; they must be replaced (MQTT-3.8.4-3)"
)

// What transcripts say of ends.
const (
	ends         = "\t" + byServer
	endsNot      = "\t" + byTest
	disconnects  = "\t<- DISCONNECT "
	protocol     = disconnects + "Protocol Error\n" + ends
	malformation = disconnects + "Malformed Packet\n" + ends
)

var (
	v3only  = []string{"3.1", "3.1.1"}
	v31only = []string{"3.1"}
	v5only  = []string{"5.0"}
)

var differences = []difference{
	{"TestBadPassword", nil, nil,
		"refuses a wrong name or password with 5, or 0x87, not authorized", "refuses with 4, or 0x86, bad user name or password",
		"both are codes for it (3.1.1 §3.2.2.3, 5.0 §3.2.2.2)",
		`CONNACK Not authorized`, `CONNACK Bad User Name or Password`},
	{"TestIdentifierRefused", v5only, nil,
		"refuses an empty client identifier with 0x80", "refuses with 0x85",
		"0x85 is named for it (5.0 §3.1.3.1); 0x80 says that it does not say why",
		`CONNACK Unspecified error`, `CONNACK Client Identifier not valid`},
	{"TestClientPacketSize", v5only, []string{"5.0, client 1, connection 1"},
		"sends a PUBLISH of one byte more than the client's Maximum Packet Size, and the client hangs up", "drops the message",
		"mosquitto leaves out the first byte of the packet when it counts (against MQTT-3.1.2-24)",
		`PINGRESP\n\t-> DISCONNECT Packet too large\n((?:.*-> PUBACK\n)*)\t<- PUBLISH .*\n\t` + byClient, "PINGRESP (2 times)\n$1" + endsNot},
	{"TestTakeOver", v5only, nil,
		"ends the old connection without a word", "says DISCONNECT 0x8E before", takenOver,
		ends, disconnects + "Session taken over\n" + ends},
	{"TestWordByWord/take over", v5only, []string{"a"},
		"ends the old connection without a word", "says DISCONNECT 0x8E before", takenOver,
		ends, disconnects + "Session taken over\n" + ends},
	{"TestWordByWord/will", v5only, []string{"taken over"},
		"ends the old connection without a word", "says DISCONNECT 0x8E before", takenOver,
		ends, disconnects + "Session taken over\n" + ends},
	{"TestSilentClient", nil, []string{"client 3, connection 1"},
		"gives up a client of 5.0 that was silent without a word", "says DISCONNECT 0x8D before",
		"a server may (5.0 §4.13)",
		ends, disconnects + "Keep Alive timeout\n" + ends},
	{"TestResumeIncoming", v31only, nil,
		"sends PUBREL again without DUP", "with DUP", dup31,
		`^\t<- PUBREL,`, "\t<- PUBREL dup,"},
	{"TestWordByWord/resume in every state", v31only, nil,
		"sends PUBREL again without DUP", "with DUP", dup31,
		`^\t<- PUBREL,`, "\t<- PUBREL dup,"},
	{"TestResumeOutgoing", v5only, []string{"5.0/QoS 2, after PUBREL, before PUBCOMP, client 2, connection 2"},
		"answers a PUBREL that it has answered before with success", "with 0x92, packet identifier not found", unknownID,
		`^(\t-> PUBREL, <- PUBCOMP)$`, "$1 Packet Identifier not found"},
	{"TestWordByWord/PUBREL again", v5only, nil,
		"answers a PUBREL for nothing with success", "with 0x92, packet identifier not found", unknownID,
		`(^\t|<- PUBCOMP, )(-> PUBREL, <- PUBCOMP)$`, "$1$2 Packet Identifier not found"},
	{"TestWordByWord/acknowledgements of nothing", v5only, []string{"a, PUBREC"},
		"answers a PUBREC for nothing with PUBREL and success", "with 0x92, packet identifier not found", unknownID,
		`(<- PUBREL)$`, "$1 Packet Identifier not found"},
	{"TestSessionLost", v5only, nil,
		"does not tell in PUBREC that nobody subscribes", "tells it, with 0x10", qos2Late,
		`<- PUBREC,`, "<- PUBREC No matching subscribers,"},
	{"TestWordByWord/retained", v5only, []string{"a"},
		"does not tell in PUBREC that nobody subscribes", "tells it, with 0x10", qos2Late,
		`<- PUBREC,`, "<- PUBREC No matching subscribers,"},
	{"TestWordByWord/the server's Receive Maximum", v5only, nil,
		"does not tell in PUBREC that nobody subscribes", "tells it, with 0x10", qos2Late,
		`<- PUBREC \(20 times\)`, "<- PUBREC No matching subscribers (20 times)"},
	{"TestWordByWord/the server's Receive Maximum", v5only, nil,
		"answers a message above its Receive Maximum with PUBREC 0x97, quota exceeded, and ends the connection", "says DISCONNECT 0x93, Receive Maximum exceeded",
		"0x93 is named for it (5.0 §3.3.4)",
		`, <- PUBREC Quota exceeded\n`, "\n" + disconnects + "Receive Maximum exceeded\n"},
	{"TestWordByWord/the server's Receive Maximum", v3only, nil,
		"ends the connection of a client of 3.x with more than 20 messages under way", "takes them",
		"3.x has no way to announce a limit",
		ends, endsNot},
	{"TestWordByWord/options", v5only, []string{"a1", "a5"},
		"does not say 0x10 when the only subscriber is the publisher itself, with No Local", "says it", localCounts,
		`"of its own", <- PUBACK `, `"of its own", <- PUBACK No matching subscribers `},
	{"TestWordByWord/options changed", v5only, []string{"a1", "a5"},
		"still sends a client its own messages when No Local was added", "does not", keptOptions,
		`(-> PUBLISH .* <- PUBACK)\n\t<- PUBLISH .* "of its own", -> PUBACK`, "$1 No matching subscribers"},
	{"TestWordByWord/options changed", v5only, []string{"a2", "a5"},
		"still drops RETAIN when Retain As Published was added", "keeps it", keptOptions,
		`q1 (12 bytes "of another's")`, "q1 retain $1"},
	{"TestWordByWord/overlaps", v5only, []string{"b"},
		"brings a client a copy for each of its subscriptions that matches", "brings one, as both do in 3.x", oneCopy,
		`(q0 5 bytes "three") \(5 times\)\n.*"two"(\n.*"one"\n.*-> PUBACK) \(3 times\)`, "$1$2"},
	{"TestSubscriptionIDs", v5only, nil,
		"brings a copy for each subscription, with its identifier", "brings one, with both identifiers", oneCopy,
		`\t<- PUBLISH .* q1 .*\n(.*"both" \{)`, "${1}Subscription Identifier: 1, "},
	{"TestWordByWord/$share", v3only, []string{"c"},
		"has shared subscriptions in 3.x", "takes $share/g/t for an ordinary filter",
		"they came with 5.0 (§4.8.2)",
		`\t<- PUBLISH t .*\n`, ""},
	{"TestWordByWord/acknowledgements of the wrong kind", v5only, []string{"QoS 1, PUBREC", "QoS 1, PUBCOMP", "QoS 2, PUBACK", "QoS 2, PUBCOMP"},
		"ends the connection without a word", "says DISCONNECT 0x82 before", noDisconnect,
		ends, protocol},
	{"TestWordByWord/will", v5only, []string{"bad"},
		"ends the connection without a word", "says DISCONNECT 0x82 before", noDisconnect,
		ends, protocol},
	{"TestMalformed", v5only, []string{"second CONNECT, 5.0", "CONNACK", "AUTH without a method", "PUBLISH with content type twice"},
		"ends the connection without a word", "says DISCONNECT 0x82 before", noDisconnect,
		ends, protocol},
	{"TestMalformed", v5only, []string{"DISCONNECT with an unknown code", "length of five bytes"},
		"ends the connection without a word", "says DISCONNECT 0x81 before", noDisconnect,
		ends, malformation},
	{"TestMalformed", v5only, []string{"type 0", "PUBLISH to a filter, 5.0"},
		"says DISCONNECT 0x82, protocol error", "0x81, malformed packet", noCode,
		"Protocol Error", "Malformed Packet"},
	{"TestMalformed", v5only, []string{"SUBSCRIBE to nothing, 5.0", "UNSUBSCRIBE from nothing, 5.0", "SUBSCRIBE with retain handling 3",
		"SUBSCRIBE with subscription identifier 0"},
		"says DISCONNECT 0x81, malformed packet", "0x82, protocol error", is82,
		"Malformed Packet", "Protocol Error"},
	{"TestMalformed", v5only, []string{"PUBLISH with alias 0"},
		"says DISCONNECT 0x81, malformed packet", "0x94, topic alias invalid", noCode,
		"Malformed Packet", "Topic Alias invalid"},
	{"TestMalformed", v3only, []string{"unknown protocol"},
		"ends the connection without a word", "answers with CONNACK 1, unacceptable protocol version", "a server may do either (MQTT-3.1.2-1)",
		`$(\n` + ends + `)`, ", <- CONNACK Unsupported Protocol Version$1"},
	{"TestMalformed", v5only, []string{"unknown protocol"},
		"ends the connection without a word", "answers with CONNACK 1 in the form of 3.1.1", "a server may do either (MQTT-3.1.2-1)",
		`$(\n` + ends + `)`, ", <- 20 02 00 01$1"},
	{"TestMalformed", v3only, []string{"PINGRESP", "PINGREQ with a payload"},
		"goes on", "ends the connection", lenient,
		endsNot, ends},
	{"TestMalformed", v31only, []string{"SUBSCRIBE to nothing", "UNSUBSCRIBE from nothing"},
		"answers, of nothing", "ends the connection", lenient,
		`(, <- 90 02 00 01|\n\t<- UNSUBACK)\n` + endsNot, "\n" + ends},
	{"TestMalformed", v5only, []string{"PINGRESP", "PUBLISH with a subscription identifier"},
		"goes on", "says DISCONNECT 0x82, protocol error", lenient,
		endsNot, protocol},
	{"TestMalformed", v5only, []string{"PINGREQ with a payload", "PUBACK with an unknown code"},
		"goes on", "says DISCONNECT 0x81, malformed packet", lenient,
		endsNot, malformation},
	{"TestMalformed", v5only, []string{"SUBSCRIBE, shared, no local", "SUBSCRIBE, shared, without a name"},
		"subscribes", "says DISCONNECT 0x82, protocol error", lenient,
		`\t<- SUBACK \[q0\]\n` + endsNot, protocol},
}
