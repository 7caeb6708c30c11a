// Mqttdump shows what MQTT packets are made of.
//
//	mqttdump [-version 3|4|5] [-from client|server|either] [-full] [hex ...]
//	mqttdump [-version 3|4|5] [-from client|server|either] [-full] [-raw] < bytes
//	mqttdump -jsonl < requests > results
//
// # Listing
//
// The bytes come as hexadecimal digits in the arguments, or from standard
// input: hexadecimal there too when every byte is a hexadecimal digit or a
// blank, raw otherwise. -raw says that they are raw whatever they look like.
// Several packets may follow one another.
//
// Each packet is listed field by field: offset, bytes, field, value. Offsets
// count from the beginning of the input. Long fields are cut; -full shows all
// of them. Nothing is hidden, passwords included. A violation stands below the
// field in which it was found, with its offset, the statement that it breaks and
// the reason code that answers it. The fields around it are listed as far as the
// layout tells; the rules on them are not checked any further. The listing goes
// on with the next packet where the remaining length tells where that begins.
//
// The protocol version is that of -version. Without the flag it is taken from
// the CONNECT packets in the input, whole or cut after their protocol level, each
// being right for what follows it and the first also for what precedes it; in an
// input without CONNECT it is 5.
// -from says who sent the packets, because some rules depend on it; the default
// either leaves these rules out.
//
// The exit status is 0 when all is well, 1 after a violation or an incomplete
// packet, 2 when the command line or the hexadecimal digits are wrong.
//
// # Batch
//
// With -jsonl every line of standard input is a JSON object, and one line comes
// out for each, in order:
//
//	{"version":5,"from":"server","hex":"20030000 00"}
//
// version is 3, 4 or 5; from is client, server or either; blanks in hex do not
// count; other members are ignored. The answers:
//
//	{"status":"valid","packet":"CONNACK","size":5,"fields":{…},"encoded":"2003000000"}
//	{"status":"trailing", … the same: bytes follow the first packet}
//	{"status":"incomplete"}
//	{"status":"invalid","reason":129,"rule":"5.0:MQTT-1.5.4-1","offset":7,"error":"…"}
//	{"status":"error","error":"…"}
//
// The last answers a line that is not such an object; the batch goes on. size is
// that of the first packet in bytes, encoded what encoding the decoded packet
// gives, offset a place in the bytes as they were given.
//
// The members of fields, in this order, each where the packet has it:
//
//	name level flags keepalive clean        CONNECT: protocol name and level, connect flags as a number
//	topic qos dup retain                    PUBLISH (dup also in a repeated packet of 3.1)
//	session_present                         CONNACK: 0 or 1
//	packet_id
//	code                                    the reason or return code as on the wire
//	props                                   {"PUBLISH":[[identifier, value], …]}, with "Will Properties" in CONNECT
//	client_id will_topic will_payload will_qos will_retain username password
//	filters                                 [[filter, options], …] in SUBSCRIBE, [filter, …] in UNSUBSCRIBE
//	codes                                   SUBACK and UNSUBACK
//	payload
//
// Strings are JSON strings; binary data (will_payload, password, payload,
// Correlation Data, Authentication Data) is hexadecimal; the value of a user
// property is [name, value]. code and props are absent where a packet of 5.0
// leaves them out. A string that is not UTF-8, which MQTT 3.1 lets pass, is
// {"hex":"…"} instead of a JSON string.
//
// The exit status is 0 when every line was answered, whatever the answers.
package main
