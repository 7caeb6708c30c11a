package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqttcore"
)

var update = flag.Bool("update", false, "write the listings in testdata anew")

func Example() {
	input := strings.NewReader(`{"version":5,"from":"server","hex":"20030000 00"}`)
	run([]string{"-jsonl"}, input, os.Stdout, os.Stderr)
	// Output:
	// {"status":"valid","packet":"CONNACK","size":5,"fields":{"session_present":0,"code":0,"props":{"CONNACK":[]}},"encoded":"2003000000"}
}

func Example_listing() {
	run([]string{"-version", "4", "c000"}, nil, os.Stdout, os.Stderr)
	// Output:
	// packet 1: PINGREQ, MQTT 3.1.1, 2 bytes
	//        0  c0                       packet type and flags  PINGREQ (12)
	//        1  00                       remaining length       0
	//
	// 1 packet, 2 bytes: no violation
}

// TestListing runs the scripts in testdata. A script is a command line after
// "$ mqttdump", standard input in hexadecimal with comments, and after "--" the
// exit status and the output.
func TestListing(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, want, _ := strings.Cut(string(script), "--\n")
			command, body, _ := strings.Cut(head, "\n")
			args, ok := strings.CutPrefix(command, "$ mqttdump")
			if !ok {
				t.Fatalf("%s does not begin with $ mqttdump", file)
			}
			var input strings.Builder
			for line := range strings.Lines(body) {
				line, _, _ = strings.Cut(line, "#")
				input.WriteString(line + "\n")
			}
			var out bytes.Buffer
			status := run(strings.Fields(args), strings.NewReader(input.String()), &out, &out)
			got := fmt.Sprintf("status %d\n%s", status, out.String())
			if *update {
				if err := os.WriteFile(file, []byte(head+"--\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestCommandLine(t *testing.T) {
	tests := []struct {
		name, args, stdin string
		status            int
		out               string // a part of the output, of standard error when status is 2
	}{
		{"hexadecimal in pieces", "c 0 00", "", 0, "PINGREQ"},
		{"standard input in hexadecimal", "", "C0\r\n00\n", 0, "PINGREQ"},
		{"standard input raw", "", "\xc0\x00", 0, "PINGREQ"},
		{"raw that looks like hexadecimal", "-raw", "01", 1, "PUBLISH, MQTT 5.0, 2 of 51 bytes"},
		{"nothing", "", "", 0, "0 packets, 0 bytes: no violation"},
		{"direction", "-from server c000", "", 1, "packet type is not for this sender"},
		{"version", "-version 4 f000", "", 1, "3.1.1:§2.2.1 packet type is reserved"},
		{"default version", "f0021800", "", 1, "5.0:§3.15.2.2.2"},
		{"half a byte", "c0001", "", 2, "half of a byte"},
		{"no digit", "c0x0", "", 2, "\"x\" is not a digit (digit 3)"},
		{"half a byte on standard input", "", "c", 2, "half of a byte"},
		{"unknown version", "-version 2 c000", "", 2, "-version 2 is not 3, 4 or 5"},
		{"version 0", "-version 0 c000", "", 2, "-version 0 is not 3, 4 or 5"},
		{"unknown sender", "-from me c000", "", 2, `from "me" is not client, server or either`},
		{"unknown flag", "-what", "", 2, "usage: mqttdump"},
		{"raw arguments", "-raw c000", "", 2, "-raw is for standard input"},
		{"batch with arguments", "-jsonl c000", "", 2, "-jsonl takes no other flag"},
		{"batch with version", "-jsonl -version 5", "", 2, "-jsonl takes no other flag"},
		{"batch", "-jsonl", "{}", 0, `{"status":"error"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(strings.Fields(test.args), strings.NewReader(test.stdin), &stdout, &stderr)
			if status != test.status {
				t.Errorf("status %d, want %d", status, test.status)
			}
			out, silent := &stdout, &stderr
			if test.status == 2 {
				out, silent = silent, out
			}
			if !strings.Contains(out.String(), test.out) || silent.Len() != 0 {
				t.Errorf("got\n%s\n(and %q), want %q", out, silent, test.out)
			}
		})
	}
}

// TestBatch has a line for every status, packet type and odd shape of fields.
func TestBatch(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"CONNECT of 3.1",
			`{"version":3,"from":"client","hex":"1016 00064d514973647003c2000a 000163 0001ff 000201ff"}`,
			`{"status":"valid","packet":"CONNECT","size":24,"fields":{"name":"MQIsdp","level":3,"flags":194,"keepalive":10,"clean":true,"client_id":"c","username":{"hex":"ff"},"password":"01ff"},"encoded":"101600064d514973647003c2000a0001630001ff000201ff"}`},
		{"CONNECT without the announced password",
			`{"version":3,"from":"client","hex":"1012 00064d514973647003c2000a 000163 000175"}`,
			`{"status":"valid","packet":"CONNECT","size":20,"fields":{"name":"MQIsdp","level":3,"flags":194,"keepalive":10,"clean":true,"client_id":"c","username":"u"},"encoded":"101200064d51497364700382000a000163000175"}`},
		{"CONNECT of 5.0 with a will",
			`{"version":5,"from":"client","hex":"102700044d515454052e0005 051100000078 000163 0c18000000012600016100013c 000174 00020009"}`,
			`{"status":"valid","packet":"CONNECT","size":41,"fields":{"name":"MQTT","level":5,"flags":46,"keepalive":5,"clean":true,"props":{"CONNECT":[[17,120]],"Will Properties":[[24,1],[38,["a","<"]]]},"client_id":"c","will_topic":"t","will_payload":"0009","will_qos":1,"will_retain":true},"encoded":"102700044d515454052e00050511000000780001630c18000000012600016100013c00017400020009"}`},
		{"CONNACK refusal of 3.1.1", `{"version":4,"from":"server","hex":"20020005"}`,
			`{"status":"valid","packet":"CONNACK","size":4,"fields":{"session_present":0,"code":5},"encoded":"20020005"}`},
		{"CONNACK with a session", `{"version":5,"from":"server","hex":"2003010000"}`,
			`{"status":"valid","packet":"CONNACK","size":5,"fields":{"session_present":1,"code":0,"props":{"CONNACK":[]}},"encoded":"2003010000"}`},
		{"PUBLISH with every kind of property",
			`{"version":5,"from":"server","hex":"3d27 0003612f62 0007 1d 0101 02ffffffff 0900020a0b 0b8001 23000a 2600013c0002c3a9 030000 6869"}`,
			`{"status":"valid","packet":"PUBLISH","size":41,"fields":{"topic":"a/b","qos":2,"dup":true,"retain":true,"packet_id":7,"props":{"PUBLISH":[[1,1],[2,4294967295],[9,"0a0b"],[11,128],[35,10],[38,["<","é"]],[3,""]]},"payload":"6869"},"encoded":"3d270003612f6200071d010102ffffffff0900020a0b0b800123000a2600013c0002c3a90300006869"}`},
		{"PUBLISH at QoS 0", `{"version":4,"from":"either","hex":"30050001613c3e"}`,
			`{"status":"valid","packet":"PUBLISH","size":7,"fields":{"topic":"a","qos":0,"dup":false,"retain":false,"payload":"3c3e"},"encoded":"30050001613c3e"}`},
		{"markup in a topic", `{"version":4,"from":"either","hex":"300500033c263e"}`,
			`{"status":"valid","packet":"PUBLISH","size":7,"fields":{"topic":"<&>","qos":0,"dup":false,"retain":false,"payload":""},"encoded":"300500033c263e"}`},
		{"PUBACK without a code", `{"version":5,"from":"client","hex":"40020007"}`,
			`{"status":"valid","packet":"PUBACK","size":4,"fields":{"packet_id":7},"encoded":"40020007"}`},
		{"PUBREC without properties", `{"version":5,"from":"client","hex":"5003000780"}`,
			`{"status":"valid","packet":"PUBREC","size":5,"fields":{"packet_id":7,"code":128},"encoded":"5003000780"}`},
		{"PUBCOMP in its long form", `{"version":5,"from":"client","hex":"700400070000"}`,
			`{"status":"valid","packet":"PUBCOMP","size":6,"fields":{"packet_id":7,"code":0,"props":{"PUBCOMP":[]}},"encoded":"70020007"}`},
		{"repeated PUBREL of 3.1", `{"version":3,"from":"client","hex":"6a020007"}`,
			`{"status":"valid","packet":"PUBREL","size":4,"fields":{"dup":true,"packet_id":7},"encoded":"6a020007"}`},
		{"SUBSCRIBE", `{"version":5,"from":"client","hex":"820a0007020b05 0002612f2d"}`,
			`{"status":"valid","packet":"SUBSCRIBE","size":12,"fields":{"packet_id":7,"props":{"SUBSCRIBE":[[11,5]]},"filters":[["a/",45]]},"encoded":"820a0007020b050002612f2d"}`},
		{"SUBACK", `{"version":4,"from":"server","hex":"900400070280"}`,
			`{"status":"valid","packet":"SUBACK","size":6,"fields":{"packet_id":7,"codes":[2,128]},"encoded":"900400070280"}`},
		{"UNSUBSCRIBE", `{"version":4,"from":"client","hex":"a2080007 000161 000162"}`,
			`{"status":"valid","packet":"UNSUBSCRIBE","size":10,"fields":{"packet_id":7,"filters":["a","b"]},"encoded":"a2080007000161000162"}`},
		{"UNSUBACK of 3.1.1", `{"version":4,"from":"server","hex":"b0020007"}`,
			`{"status":"valid","packet":"UNSUBACK","size":4,"fields":{"packet_id":7},"encoded":"b0020007"}`},
		{"UNSUBACK of 5.0", `{"version":5,"from":"server","hex":"b0050007000011"}`,
			`{"status":"valid","packet":"UNSUBACK","size":7,"fields":{"packet_id":7,"props":{"UNSUBACK":[]},"codes":[0,17]},"encoded":"b0050007000011"}`},
		{"PINGRESP", `{"version":5,"from":"server","hex":"d000"}`,
			`{"status":"valid","packet":"PINGRESP","size":2,"fields":{},"encoded":"d000"}`},
		{"DISCONNECT", `{"version":5,"from":"client","hex":"e000"}`,
			`{"status":"valid","packet":"DISCONNECT","size":2,"fields":{},"encoded":"e000"}`},
		{"DISCONNECT with a code", `{"version":5,"from":"server","hex":"e0018e"}`,
			`{"status":"valid","packet":"DISCONNECT","size":3,"fields":{"code":142},"encoded":"e0018e"}`},
		{"AUTH", `{"version":5,"from":"server","hex":"f0061804 15000173"}`,
			`{"status":"valid","packet":"AUTH","size":8,"fields":{"code":24,"props":{"AUTH":[[21,"s"]]}},"encoded":"f006180415000173"}`},
		{"trailing", `{"version":4,"from":"client","hex":"c000c0"}`,
			`{"status":"trailing","packet":"PINGREQ","size":2,"fields":{},"encoded":"c000"}`},
		{"longer length than need be", `{"version":4,"from":"client","hex":"40820000 07"}`,
			`{"status":"valid","packet":"PUBACK","size":5,"fields":{"packet_id":7},"encoded":"40020007"}`},
		{"members that are not asked for", `{"note":[1],"hex":"C0\t00\n","version":4,"from":"client"}`,
			`{"status":"valid","packet":"PINGREQ","size":2,"fields":{},"encoded":"c000"}`},
		{"incomplete", `{"version":4,"from":"client","hex":"3005000161"}`, `{"status":"incomplete"}`},
		{"no bytes", `{"version":4,"from":"client","hex":""}`, `{"status":"incomplete"}`},
		{"invalid string", `{"version":5,"from":"server","hex":"3006000361ff6200"}`,
			`{"status":"invalid","reason":129,"rule":"5.0:MQTT-1.5.4-1","offset":4,"error":"mqttcore: PUBLISH: string is not well-formed UTF-8 (5.0:MQTT-1.5.4-1, Malformed Packet, byte 4)"}`},
		{"offset behind a long length", `{"version":4,"from":"server","hex":"40828000 0000"}`,
			`{"status":"invalid","reason":130,"rule":"3.1.1:MQTT-2.3.1-6","offset":4,"error":"mqttcore: PUBACK: packet identifier 0 acknowledges no message (3.1.1:MQTT-2.3.1-6, Protocol Error, byte 4)"}`},
		{"offset not there yet", `{"version":4,"from":"server","hex":"4003"}`,
			`{"status":"invalid","reason":129,"rule":"3.1.1:§2.2.3","offset":1,"error":"mqttcore: PUBACK: remaining length is more than this packet can have (3.1.1:§2.2.3, Malformed Packet, byte 1)"}`},
		{"offset 0", `{"version":4,"from":"server","hex":"c000"}`,
			`{"status":"invalid","reason":130,"rule":"3.1.1:§2.2.1","offset":0,"error":"mqttcore: PINGREQ: packet type is not for this sender (3.1.1:§2.2.1, Protocol Error)"}`},
		{"not JSON", `hello`, `{"status":"error","error":"not a request: invalid character 'h' looking for beginning of value"}`},
		{"blank line", ``, `{"status":"error","error":"not a request: unexpected end of JSON input"}`},
		{"no object", `[]`, `{"status":"error","error":"not a request: no object"}`},
		{"null", `null`, `{"status":"error","error":"no version"}`},
		{"two objects", `{} {}`, `{"status":"error","error":"not a request: invalid character '{' after top-level value"}`},
		{"no version", `{"from":"client","hex":"c000"}`, `{"status":"error","error":"no version"}`},
		{"no from", `{"version":4,"hex":"c000"}`, `{"status":"error","error":"no from"}`},
		{"no hex", `{"version":4,"from":"client"}`, `{"status":"error","error":"no hex"}`},
		{"unknown version", `{"version":6,"from":"client","hex":"c000"}`, `{"status":"error","error":"version 6 is not 3, 4 or 5"}`},
		{"version as a string", `{"version":"5","from":"client","hex":"c000"}`, `{"status":"error","error":"version is not a whole number"}`},
		{"unknown sender", `{"version":4,"from":"Client","hex":"c000"}`, `{"status":"error","error":"from \"Client\" is not client, server or either"}`},
		{"odd digits", `{"version":4,"from":"client","hex":"c00"}`, `{"status":"error","error":"hexadecimal: 3 digits, half of a byte is missing"}`},
		{"names in another case", `{"version":4,"Version":9,"from":"client","FROM":1,"hex":"c000","HEX":"e000"}`,
			`{"status":"valid","packet":"PINGREQ","size":2,"fields":{},"encoded":"c000"}`},
		{"hex as a number", `{"version":4,"from":"client","hex":12}`, `{"status":"error","error":"hex is not a string"}`},
		{"from as null", `{"version":4,"from":null,"hex":"c000"}`, `{"status":"error","error":"no from"}`},
		{"a letter of another script", `{"version":4,"from":"client","hex":"c0é0"}`, `{"status":"error","error":"hexadecimal: \"é\" is not a digit (digit 3)"}`},
		{"no digit", `{"version":4,"from":"client","hex":"c0zz"}`, `{"status":"error","error":"hexadecimal: \"z\" is not a digit (digit 3)"}`},
	}
	var in strings.Builder
	for _, test := range tests {
		in.WriteString(test.in + "\n")
	}
	var out bytes.Buffer
	// Without its last newline the last line counts as well.
	if err := batch(strings.NewReader(strings.TrimSuffix(in.String(), "\n")), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(tests) {
		t.Fatalf("%d answers to %d lines", len(lines), len(tests))
	}
	for i, test := range tests {
		if diff := cmp.Diff(test.want, lines[i]); diff != "" {
			t.Errorf("%s: -want +got\n%s", test.name, diff)
		}
	}
}

// TestBatchLongLine sends a packet of eight megabytes between two others.
func TestBatchLongLine(t *testing.T) {
	const payload = 8 << 20
	b, err := (&mqttcore.Publish{Topic: []byte("t"), Payload: make([]byte, payload)}).AppendTo(nil, mqttcore.Dialect{Version: mqttcore.V5})
	if err != nil {
		t.Fatal(err)
	}
	const ping = `{"version":5,"from":"client","hex":"c000"}`
	in := fmt.Sprintf("%s\n{\"version\":5,\"from\":\"either\",\"hex\":\"%x\"}\n%s", ping, b, ping)
	var out bytes.Buffer
	if err := batch(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 4 || lines[0] != lines[2] || !strings.Contains(lines[0], "PINGREQ") {
		t.Fatalf("%d lines, beginning with %.200s", len(lines), out.String())
	}
	var answer struct {
		Status, Encoded string
		Size            int
	}
	if err := json.Unmarshal([]byte(lines[1]), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Status != "valid" || answer.Size != len(b) || answer.Encoded != fmt.Sprintf("%x", b) {
		t.Errorf("status %s, size %d, %d digits encoded", answer.Status, answer.Size, len(answer.Encoded))
	}
}

// TestBatchAnswersAtOnce waits for each answer before it sends the next line.
func TestBatchAnswersAtOnce(t *testing.T) {
	in, lines := io.Pipe()
	answers, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- batch(in, out) }()
	// When no answer comes, the pipe ends instead.
	defer time.AfterFunc(10*time.Second, func() { out.CloseWithError(errors.New("no answer")) }).Stop()
	r := bufio.NewReader(answers)
	for range 3 {
		fmt.Fprintln(lines, `{"version":5,"from":"client","hex":"c000"}`)
		if answer, err := r.ReadString('\n'); err != nil || !strings.Contains(answer, "PINGREQ") {
			t.Fatal(answer, err)
		}
	}
	lines.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// packets are valid packets with every kind of field, as first byte and body.
var packets = []struct {
	version mqttcore.Version
	first   byte
	body    string
}{
	{mqttcore.V31, 0x10, "0006 4d5149736470 03 f6 000a 000163 0003612f62 0003627965 000175 0003616263"},
	{mqttcore.V311, 0x10, "0004 4d515454 04 f6 000a 000163 0003612f62 0003627965 000175 0003616263"},
	{mqttcore.V5, 0x10, "0004 4d515454 05 f6 000a 05 1100000078 000163 0f 1800000001 2600016100023c3c 0101 0003612f62 000179 000175 0003616263"},
	{mqttcore.V311, 0x20, "01 00"},
	{mqttcore.V5, 0x20, "01 00 13 1100000001 12000161 210001 220003 2400 2501"},
	{mqttcore.V5, 0x3B, "0003612f62 0007 1a 0101 02ffffffff 0900020a0b 23000a 2600013c0002c3a9 030000 6869"},
	{mqttcore.V311, 0x40, "0001"},
	{mqttcore.V5, 0x62, "0001 92 05 1f00026e6f"},
	{mqttcore.V31, 0x8A, "0007 0003612f6202 00016101"},
	{mqttcore.V5, 0x82, "0007 020b05 0003612f622d 00016101"},
	{mqttcore.V5, 0x90, "0007 00 000187"},
	{mqttcore.V5, 0xA2, "0007 05 2600000000 000161"},
	{mqttcore.V311, 0xB0, "0007"},
	{mqttcore.V5, 0xB0, "0007 00 11"},
	{mqttcore.V5, 0xC0, ""},
	{mqttcore.V5, 0xE0, "8e 05 1f00026e6f"},
	{mqttcore.V5, 0xF0, "18 08 15000173 16000164"},
}

// TestWalk checks that the rows of a packet follow one another without a gap,
// that those of a valid packet leave no rest, and that any beginning of it and
// any change of a byte can be listed.
func TestWalk(t *testing.T) {
	check := func(b []byte, v mqttcore.Version) []row {
		t.Helper()
		at := 0
		rows := walk(b, v, false)
		for _, r := range rows {
			if r.off != at || r.size <= 0 {
				t.Fatalf("% x: %q begins at %d after %d, %d bytes", b, r.field, r.off, at, r.size)
			}
			at += r.size
		}
		if at != len(b) {
			t.Fatalf("% x: rows end at %d of %d", b, at, len(b))
		}
		return rows
	}
	for _, p := range packets {
		body, err := parseHex([]byte(p.body))
		if err != nil {
			t.Fatal(err)
		}
		f := mqttcore.Frame{Type: mqttcore.PacketType(p.first >> 4), Flags: p.first & 15, Body: body}
		if _, err := mqttcore.Decode(f, mqttcore.Dialect{Version: p.version}); err != nil {
			t.Errorf("%v %s %s: %v", p.version, f.Type, p.body, err)
		}
		b := f.AppendTo(nil)
		rows := check(b, p.version)
		if last := rows[len(rows)-1]; last.field == "(rest)" {
			t.Errorf("%v %s %s: a rest at %d", p.version, f.Type, p.body, last.off)
		}
		for i := range b {
			if i > 0 {
				check(b[:i], p.version)
			}
			for _, x := range []byte{0x01, 0x80, 0xFF} {
				b[i] ^= x
				check(b, p.version)
				b[i] ^= x
			}
		}
	}
}

// TestPropertyForms compares the forms with the codec: each property is encoded
// from a number and from a text, and must be as long as its form says.
func TestPropertyForms(t *testing.T) {
	size := map[form]int{formByte: 2, formUint16: 3, formUint32: 5, formVarint: 2, formString: 4, formBinary: 4, formPair: 7}
	for id := range 256 {
		x := mqttcore.Property{ID: mqttcore.PropertyID(id), Num: 1, Key: []byte("k"), Value: []byte("v")}
		ps, err := mqttcore.NewProperties(x)
		want := 0
		if id < len(propertyForms) {
			want = size[propertyForms[id]]
		}
		if err != nil && want != 0 || err == nil && ps.Len() != want {
			t.Errorf("property %#x: %d bytes (%v), the form says %d", id, ps.Len(), err, want)
		}
		_, err = mqttcore.NewProperties(mqttcore.Property{ID: x.ID, Num: 1, Value: []byte{0xFF}})
		if want == 4 && (err == nil) != (propertyForms[id] == formBinary) {
			t.Errorf("property %#x: string or binary data, %v", id, err)
		}
	}
}

// TestVectors runs the vector files in the directory that MQTT_VECTORS names
// through the batch: the status must be the same, and the fields where the
// vector has them. Vectors marked as questionable are counted only.
func TestVectors(t *testing.T) {
	dir := os.Getenv("MQTT_VECTORS")
	if dir == "" {
		t.Skip("MQTT_VECTORS does not name a directory of vector files: not compared")
	}
	if !filepath.IsAbs(dir) { // it is meant from the module's root
		dir = filepath.Join("..", "..", dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatal("no vector files", err)
	}
	type vector struct {
		Name, Packet, Status, Hex, Note string
		Fields                          map[string]any
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := batch(bytes.NewReader(data), &out); err != nil {
			t.Fatal(err)
		}
		answers := strings.Split(out.String(), "\n")
		agree, questionable := 0, 0
		for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
			var want, got vector
			if err := json.Unmarshal([]byte(line), &want); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(answers[i]), &got); err != nil {
				t.Fatal(err)
			}
			decoded := want.Status == "valid" || want.Status == "trailing"
			switch {
			case want.Status == got.Status && (!decoded ||
				want.Packet == got.Packet && (len(want.Fields)+len(got.Fields) == 0 || cmp.Equal(want.Fields, got.Fields))):
				agree++
			case strings.Contains(want.Note, "QUESTIONABLE"):
				questionable++
			default:
				t.Errorf("%s:%d %s %s\nwant %s\n got %s", filepath.Base(file), i+1, want.Name, want.Hex, line, answers[i])
			}
		}
		t.Logf("%s: %d agree, %d questionable ones differ", filepath.Base(file), agree, questionable)
	}
}

// BenchmarkBatch reports the time for a line of a small packet.
func BenchmarkBatch(b *testing.B) {
	const lines = 1000
	in := strings.Repeat(`{"version":5,"from":"client","hex":"3215 0003612f62 0007 09 2600016b0003766c75 68656c6c"}`+"\n", lines)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if err := batch(strings.NewReader(in), io.Discard); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lines, "ns/line")
}
