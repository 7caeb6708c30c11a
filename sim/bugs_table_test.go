// This file holds the known bugs that TestBugs puts into the code, one at a time.
// How they are applied and hunted stands in bugs_test.go.

package sim

// bug is something that a client got wrong once, somewhere.
type bug struct {
	name   string
	breaks string // the statement that it breaks
	runs   int    // within how many runs it must be caught
	edits  []edit
}

// edit replaces a text that is in the file exactly once. File is relative to the
// module.
type edit struct{ file, find, replace string }

var bugs = []bug{
	{"PUBREL forgotten on resume", "MQTT-4.4.0-1", 50, []edit{{"state.go",
		`[2]uint32{s.out.lists[listReleased].head, s`, `[2]uint32{0, s`}}},
	{"PUBLISH forgotten on resume", "MQTT-4.4.0-1", 50, []edit{{"state.go",
		`.head, s.out.lists[listSent].head}`, `.head, 0}`}}},
	{"sent again in the opposite order", "MQTT-4.6.0-1", 50, []edit{
		{"state.go", `s.out.lists[listSent].head}`, `s.out.lists[listSent].tail}`},
		{"qos.go", `c.conn.resume[1] = o.slab[i].next`, `c.conn.resume[1] = o.slab[i].prev`}}},
	{"DUP not set on what is sent again", "MQTT-3.3.1-1", 50, []edit{{"qos.go",
		"\t\tflags |= flagDup\n\t\tc.stats.Resent++", "\t\tc.stats.Resent++"}}},
	{"DUP set on a PUBREL that is sent again", "MQTT-3.6.1-1", 50, []edit{{"qos.go",
		`if again && c.cfg.Version == V31 {`, `if again {`}}},
	{"queued messages overtake those that are to be sent again", "MQTT-4.6.0-1", 50, []edit{{"qos.go",
		`if i := c.conn.resume[1]; i != 0 {`, `if i := c.conn.resume[1]; i != 0 && o.lists[listQueued].head == 0 {`}}},
	{"a newer message overtakes the queue", "MQTT-4.6.0-6", 50, []edit{{"qos.go",
		`i := o.lists[listQueued].head
		if i == 0 ||`, `i := o.lists[listQueued].tail
		if i == 0 ||`}}},

	{"window raised by a PUBREC of success", "5.0 §4.9", 50, []edit{{"qos.go",
		"c.charge(r)\n\t\t\tc.s.release(i)", "c.charge(r)\n\t\t\tc.conn.inflight--\n\t\t\tc.s.release(i)"}}},
	{"window raised for an exchange that was not charged", "5.0 §4.9", 50, []edit{
		{"qos.go", "c.charge(r)\n\talias, topic", "if !again {\n\t\tc.charge(r)\n\t}\n\talias, topic"},
		{"qos.go", `if c.s.out.slab[i].epoch == c.s.epoch {`, `if i != 0 {`}}},
	{"window raised by a SUBACK", "5.0 §4.9", 500, []edit{{"subscribe.go",
		`c.tell(i, props, codes, DropNone, code)`, "c.conn.inflight--\n\tc.tell(i, props, codes, DropNone, code)"}}},
	{"what is sent again is not charged", "MQTT-3.3.4-9", 50, []edit{{"qos.go",
		"c.charge(r)\n\talias, topic", "if !again {\n\t\tc.charge(r)\n\t}\n\talias, topic"}}},
	{"window not given back by a PUBREC that refuses", "5.0 §4.9", 50, []edit{{"qos.go",
		`if c.s.out.slab[i].epoch == c.s.epoch {`, `if c.s.out.slab[i].epoch == c.s.epoch && !code.IsError() {`}}},
	{"the server's Receive Maximum ignored", "MQTT-3.3.4-7", 50, []edit{{"config.go",
		`l.ReceiveMaximum = uint16(p.Num)`, `l.ReceiveMaximum = 0xFFFF`}}},
	{"More is never true", "documentation of Client.More", 400, []edit{{"qos.go",
		`return c.conn.resume[0] != 0 || c.resubscribes() ||`, `return c.state != StateConnected &&`}}},

	{"received identifiers dropped at reconnect", "MQTT-4.3.3-10", 50, []edit{{"state.go",
		`c.state = StateConnected`, "c.state = StateConnected\n\ts.forgetIncoming()"}}},
	{"received identifiers kept when the session is lost, 5.0", "MQTT-3.2.2-5", 50, []edit{
		{"session.go", `flags := uint8(clearSent | clearIncoming)`, `flags := uint8(clearSent)`},
		{"session.go", "s.inbox.clear()\n\ts.note(OpClear, flags, 0, 0)", "s.note(OpClear, flags, 0, 0)"}}},
	{"received identifiers kept when the session is lost, 3.1.1", "3.1.1 MQTT-3.1.2-6", 3450, []edit{{"state.go",
		"s.forgetIncoming()\n\t}", "_ = s\n\t}"}}},
	{"PUBREL does not free the identifier", "MQTT-4.3.3-12", 50, []edit{{"qos.go",
		"\tif r.taken() {\n\t\tc.s.released(at)\n\t} else {", "\tif !r.taken() {"}}},
	{"PUBREL of an unknown identifier not answered", "MQTT-4.3.3-11", 50, []edit{{"qos.go",
		"if at == 0 {\n\t\treturn c.sendAck(dst, TypePubComp, p.ID, code), nil", "if at == 0 {\n\t\treturn dst, nil"}}},
	{"DUP trusted: such a message is taken for a repeat", "MQTT-4.3.3-10", 50, []edit{{"qos.go",
		"if fresh {\n\t\tc.has |= hasPacket", "if fresh && !p.Dup {\n\t\tc.has |= hasPacket"}}},
	{"QoS 2 message delivered again when it comes again", "MQTT-4.3.3-10", 50, []edit{{"qos.go",
		"if fresh {\n\t\tc.has |= hasPacket", "if fresh || p.QoS == QoS2 {\n\t\tc.has |= hasPacket"}}},
	{"repeat not answered with PUBREC", "MQTT-4.3.3-10", 50, []edit{{"qos.go",
		"in.move(at, inWaiting)\n\t\t\tdst = c.answer(dst, inWaiting)", "return dst, false, ruleNone"}}},
	{"PUBRECs not in the order of the messages", "MQTT-4.6.0-3", 50, []edit{{"qos.go",
		"case !seen:\n", "case !seen && in.slab[at].list != inReceived:\n"}}},
	{"acknowledgements in the order of Ack", "MQTT-4.6.0-2", 50, []edit{{"qos.go",
		`if r.list != inAway {`, "if r.list != inAway {\n\t\tfor in.lists[r.list].head != at {\n\t\t\tin.move(in.lists[r.list].head, r.list)\n\t\t}"}}},
	{"QoS 1 tokens outlive the connection", "MQTT-2.2.1-5", 50, []edit{{"qos.go",
		`for in.lists[inWaiting1].head != 0 {`, `for in.lists[inWaiting1].head != 0 && in.n < 0 {`}}},
	{"QoS 2 message acknowledged before it came again", "MQTT-2.2.1-5", 50, []edit{{"qos.go",
		`for in.lists[inWaiting].head != 0 {`, `for in.lists[inWaiting].head != 0 && in.n < 0 {`}}},

	{"Session Present ignored: the session is always there", "MQTT-3.2.2-5", 50, []edit{{"state.go",
		`case c.cfg.CleanStart, !p.SessionPresent && d.Version == V5:`, `case c.cfg.CleanStart:`}}},
	{"Session Present ignored: the session is never there", "MQTT-4.4.0-1", 50, []edit{{"state.go",
		`case c.cfg.CleanStart, !p.SessionPresent && d.Version == V5:`, `case c.cfg.CleanStart, d.Version == V5:`}}},
	{"session of no expiry kept", "MQTT-3.1.2-23", 50, []edit{{"state.go",
		`if accepted && c.s.expiry == 0 {`, `if accepted && c.s.expiry == 0 && c.cfg.CleanStart {`}}},
	{"queued messages dropped with the session", "documentation of Config.DropQueued", 50, []edit{{"session.go",
		"if queued {\n\t\tflags", "if !queued {\n\t\tflags"}}},
	{"session that may exist taken for a violation", "MQTT-3.2.2-4", 50, []edit{{"state.go",
		`c.s.setMeta(c.s.clientID, c.s.expiry, false, true)`, `_ = c.s`}}},

	{"packet identifier 0", "MQTT-2.2.1-3", 100, []edit{{"records.go",
		`from := max(len(p.slot), 1)`, `from := len(p.slot)`}}},
	{"packet identifier used again while it is taken", "MQTT-2.2.1-3", 50, []edit{{"journal.go",
		`if p.slot[id] == 0 {`, `if p.slot[id] == 0 || id == 1 {`}}},
	{"identifier leaked when the server refuses", "documentation of Client.Publish", 100, []edit{{"session.go",
		"s.out.ids.giveBack(r.id)\n\tr.id = 0\n\ts.free(i)", "if !r.code.IsError() {\n\t\ts.out.ids.giveBack(r.id)\n\t}\n\tr.id = 0\n\ts.free(i)"}}},
	{"identifier of a request leaked when the connection is lost", "documentation of Client.Subscribe", 350, []edit{{"session.go",
		"if r.id != 0 {\n\t\ts.out.ids", "if r.id != 0 && r.list != listRequests {\n\t\ts.out.ids"}}},
	{"a fate told twice", "documentation of Client.Publish", 50, []edit{{"qos.go",
		`c.s.retire(i)`, `c.s.finish(i, why, code)`}}},
	{"a message that was sent expires", "MQTT-4.3.3-7", 650, []edit{{"qos.go",
		`if !again && r.expires != 0 && c.now >= r.expires {`, `if r.expires != 0 && c.now >= r.expires {`}}},

	{"topic aliases kept across connections", "MQTT-3.3.2-7", 50, []edit{
		{"state.go", `c.conn = connection{}`, `c.conn = connection{aliases: c.conn.aliases}`},
		{"state.go", `lastRecv: c.now}`, `lastRecv: c.now, aliases: c.conn.aliases}`},
		{"state.go", `c.aliases().assigned = newAliasTable(n)`, "if a := c.aliases(); a.assigned == nil {\n\t\t\ta.assigned = newAliasTable(n)\n\t\t}"}}},
	{"the server's Topic Alias Maximum ignored", "MQTT-3.2.2-17", 50, []edit{{"state.go",
		`min(c.cfg.TopicAliases, lim.TopicAliasMaximum)`, `c.cfg.TopicAliases`}}},
	{"topic left out although the alias is new", "5.0 §3.3.2.3.4", 50, []edit{{"alias.go",
		"if known {\n\t\treturn alias, nil", "if known || alias == 1 {\n\t\treturn alias, nil"}}},
	{"alias of the server not remapped", "5.0 §3.3.2.3.4", 50, []edit{{"alias.go",
		"if len(p.Topic) > 0 {\n\t\t*known", "if len(p.Topic) > 0 && len(*known) == 0 {\n\t\t*known"}}},

	{"pings although keep alive is 0", "5.0 §3.1.2.10", 50, []edit{{"alive.go",
		"if k == 0 {\n\t\treturn never", "if k == 0 {\n\t\treturn c.conn.lastSent + int64(time.Minute)"}}},
	{"a server that does not answer is never given up", "5.0 §3.1.2.10", 50, []edit{{"alive.go",
		`if c.conn.pings == 0 || c.cfg.PingTimeout < 0 {`, `if c.conn.pings >= 0 {`}}},
	{"Server Keep Alive ignored", "MQTT-3.2.2-21", 50, []edit{{"config.go",
		`l.KeepAlive = uint16(p.Num)`, `_ = l.KeepAlive`}}},
	{"no time-out for CONNACK", "5.0 §3.1.4", 150, []edit{{"alive.go",
		"if c.cfg.ConnectTimeout > 0 {\n\t\t\tt = after", "if c.cfg.ConnectTimeout < 0 {\n\t\t\tt = after"}}},
	{"time goes back with the caller's clock", "documentation of the package", 100, []edit{{"state.go",
		`c.now = max(c.now, c.origin+int64(now.Sub(c.base)))`, `c.now = c.origin + int64(now.Sub(c.base))`}}},

	{"written before it is committed", "MQTT-4.3.3-2", 50, []edit{
		{"sim/app.go", `if a.crash("crash between act and commit") {`, "if a.conn != nil {\n\t\t\ta.conn.Write(a.out)\n\t\t\ta.out = a.out[:0]\n\t\t}\n\t\tif a.crash(\"crash between act and commit\") {"}}},
	{"no op when a message is queued", "documentation of Op", 50, []edit{{"session.go",
		"\ts.note(OpPut, 0, 0, i)\n", ""}}},
	{"no op when a message is sent", "documentation of Op", 50, []edit{{"session.go",
		"\ts.note(OpSent, 0, id, i)\n", ""}}},
	{"no op when a message is released", "documentation of Op", 500, []edit{{"session.go",
		"\ts.note(OpRelease, 0, 0, i)\n", ""}}},
	{"no op when a message is done", "documentation of Op", 500, []edit{{"session.go",
		"s.note(OpDelete, 0, 0, i)\n\t}\n\ts.out.ids", "_ = r\n\t}\n\ts.out.ids"}}},
	{"no op when a message is dropped", "documentation of Op", 500, []edit{{"session.go",
		"s.note(OpDelete, 0, 0, i)\n\t}\n\ts.done", "_ = i\n\t}\n\ts.done"}}},
	{"no op when an incoming message is taken", "documentation of Op", 500, []edit{{"session.go",
		`{ s.note(OpPutIncoming, 0, s.inbox.slab[at].id, 0) }`, `{}`}}},
	{"no op when an incoming message is released", "documentation of Op", 500, []edit{{"session.go",
		"\ts.note(OpDeleteIncoming, 0, s.inbox.slab[at].id, 0)\n", ""}}},
	{"no op when the session is lost", "documentation of Op", 500, []edit{{"session.go",
		"\ts.note(OpClear, flags, 0, 0)\n", "\t_ = flags\n"}}},
	{"no op when received identifiers are forgotten", "documentation of Op", 500, []edit{{"session.go",
		"\ts.note(OpClear, clearIncoming, 0, 0)\n", ""}}},
	{"no op when a session begins", "documentation of Op", 500, []edit{{"session.go",
		"established, tried\n\ts.note(OpMeta, 0, 0, 0)\n", "established, tried\n"}}},
}
