// This file runs the codec over packets collected elsewhere: files of JSON
// lines, each a packet with the verdict that the specification gives it. They
// are no part of the project; MQTT_VECTORS names their directory.

package mqttcore

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// vectorLine is one line of such a file.
type vectorLine struct {
	Name    string         `json:"name"`
	Version int            `json:"version"`
	From    string         `json:"from"`
	Packet  string         `json:"packet"`
	Hex     string         `json:"hex"`
	Status  string         `json:"status"`
	Clauses []string       `json:"clauses"`
	Fields  map[string]any `json:"fields"`
	Note    string         `json:"note"`
}

// questionable lists the packets whose source and the specification disagree,
// with what this package does and why. Each must get exactly that verdict.
var questionable = map[string]struct{ status, reason string }{
	"4 20020082":                 {"invalid", "3.1.1 reserves the return codes from 6 on; 5.0 codes do not belong into its CONNACK (3.1.1 §3.2.2.3)"},
	"4 20020182":                 {"invalid", "reserved return code, and session present with a refusal (3.1.1 MQTT-3.2.2-4)"},
	"4 20020185":                 {"invalid", "reserved return code, and session present with a refusal (3.1.1 MQTT-3.2.2-4)"},
	"4 20020186":                 {"invalid", "reserved return code, and session present with a refusal (3.1.1 MQTT-3.2.2-4)"},
	"4 20020187":                 {"invalid", "reserved return code, and session present with a refusal (3.1.1 MQTT-3.2.2-4)"},
	"4 20020188":                 {"invalid", "reserved return code, and session present with a refusal (3.1.1 MQTT-3.2.2-4)"},
	"4 380a0003612f6268656c6c6f": {"invalid", "DUP at QoS 0 (MQTT-3.3.1-2); AllowDupAtQoS0 takes it"},
	"5 50020007":                 {"valid", "the short form of PUBREC, which 5.0 §3.5.2.1 permits"},
	"5 e000":                     {"valid", "the short form of DISCONNECT, which 5.0 §3.14.2.1 permits"},
	"3 101200064d51497364708300001e000474657374": {"invalid", "a bridge's mark in the protocol level is in no specification; AllowBridgeLevel takes it"},
	"3 101200064d51497364708400001e000474657374": {"invalid", "MQIsdp goes with level 3 alone, with or without a bridge's mark"},
	"5 20020001": {"invalid", "a CONNACK of 5.0 has a property length (5.0 §3.2.2); that it is a refusal in 3.1.1's shape is for the client to tell, which asked"},
	"5 200101":   {"invalid", "a CONNACK has two bytes at least (5.0 §3.2.2)"},
	"5 20020100": {"invalid", "a CONNACK of 5.0 has a property length (5.0 §3.2.2); AllowShortConnAck takes it"},
	"3 102000064d514973647003f6001e0005746f70696300077061796c6f616400020000":                                                                                                                                         {"valid", "3.1 lets user name and password be missing though their flags are set"},
	"3 102a00064d514973647003f6001e0005746f70696300077061796c6f61640008757365726e616d6500020000":                                                                                                                     {"valid", "likewise, and 3.1 has no rule against U+0000"},
	"5 205700005411000004d22101b0240225012700000064120004746573742201c81f00047465737426000474657374000474657374280129012a001304d21a0004746573741c0004746573741500047465737416000401020304":                           {"invalid", "Maximum QoS is 0 or 1 (5.0 §3.2.2.3.4)"},
	"5 206400006111000004d22101b0240225012700000064120004746573742201c81f0004746573742600047465737400047465737426000474657374000474657374280129012a001304d21a0004746573741c0004746573741500047465737416000401020304": {"invalid", "Maximum QoS is 0 or 1 (5.0 §3.2.2.3.4)"},
	"4 20020104":   {"invalid", "session present with a refusal (3.1.1 MQTT-3.2.2-4)"},
	"5 2003018600": {"invalid", "session present with a refusal (MQTT-3.2.2-6); AllowPresentWithError takes it"},
	"5 b003432100": {"invalid", "an UNSUBACK has a reason code for each filter (MQTT-3.11.3-2)"},
}

// TestVectors compares verdict and fields of every line. It prints what it
// found for each file, also without -v.
func TestVectors(t *testing.T) {
	dir := os.Getenv("MQTT_VECTORS")
	if dir == "" {
		t.Skip("MQTT_VECTORS is not set: it names a directory of *.jsonl files")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no *.jsonl in %s (%v)", dir, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			agree, disagree, decided := 0, 0, 0
			lines := bufio.NewScanner(f)
			lines.Buffer(nil, 1<<26)
			for n := 1; lines.Scan(); n++ {
				var v vectorLine
				if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
					t.Fatalf("line %d: %v", n, err)
				}
				want := v.Status
				if strings.Contains(v.Note, "QUESTIONABLE") {
					q, ok := questionable[fmt.Sprint(v.Version, " ", v.Hex)]
					if !ok {
						t.Errorf("line %d (%s): questionable and not decided", n, v.Name)
					}
					want = q.status
					decided++
				}
				if fault := vectorFault(&v, want); fault != "" {
					disagree++
					t.Errorf("line %d (%s): %s\n%d %s %s\n%v", n, v.Name, fault, v.Version, v.From, v.Hex, v.Clauses)
				} else {
					agree++
				}
			}
			if err := lines.Err(); err != nil {
				t.Fatal(err)
			}
			show("vectors: %-34s agree %4d, disagree %d (questionable lines, decided in the test: %d)\n",
				filepath.Base(file), agree, disagree, decided)
		})
	}
}

// vectorFault says what differs from the line, if anything does.
func vectorFault(v *vectorLine, want string) string {
	b, err := hex.DecodeString(v.Hex)
	if err != nil {
		return err.Error()
	}
	from, ok := map[string]Role{"client": FromClient, "server": FromServer, "either": FromEither}[v.From]
	if !ok {
		return "unknown sender " + v.From
	}
	d := Dialect{Version: Version(v.Version), From: from}
	f, n, err := ConsumeFrame(b, d, 0)
	var p Packet
	if n > 0 {
		p, err = Decode(f, d)
	}
	got := "valid"
	switch {
	case err != nil:
		got = "invalid"
	case n == 0:
		got = "incomplete"
	case n < len(b):
		got = "trailing"
	}
	if got != want {
		return fmt.Sprintf("is %s (%v), want %s", got, err, want)
	}
	if err != nil {
		return reasonFault(err, v.Clauses)
	}
	if p == nil {
		return ""
	}
	if p.PacketType().String() != v.Packet {
		return "is a " + p.PacketType().String()
	}
	fields := vectorFields(p, f, d)
	for k, w := range v.Fields {
		if g := fields[k]; !reflect.DeepEqual(g, w) {
			return fmt.Sprintf("%s is %#v, want %#v", k, g, w)
		}
	}
	out, err := p.AppendTo(nil, d)
	if err != nil {
		return "does not encode: " + err.Error()
	}
	if len(out) > n || d.Version != V31 && len(out) == n && !bytes.Equal(out, b[:n]) {
		return fmt.Sprintf("encodes to %x", out)
	}
	return ""
}

// reasonFault checks that the reason code is of the class of the clauses: a
// malformed packet, a protocol error, or the specific code of one rule.
func reasonFault(err error, clauses []string) string {
	var e *Error
	if !errors.As(err, &e) {
		return fmt.Sprintf("%v is no *Error", err)
	}
	specific := map[ReasonCode][]string{
		ReasonUnsupportedProtocolVersion: {"3.1.2-1", "3.1.2-2"},
		ReasonClientIdentifierNotValid:   {"client id", "ClientID", "ClientId", "3.1.3-"},
		ReasonTopicAliasInvalid:          {"3.3.2-8", "opic Alias", "opic alias"},
	}
	if e.Code == ReasonMalformedPacket || e.Code == ReasonProtocolError {
		return ""
	}
	for _, s := range specific[e.Code] {
		if strings.Contains(strings.Join(clauses, "\n"), s) {
			return ""
		}
	}
	return fmt.Sprintf("%v has a reason code that the clauses do not explain", err)
}

// vectorFields gives a packet's fields the names and forms of the files.
func vectorFields(p Packet, f Frame, d Dialect) map[string]any {
	m := map[string]any{}
	props := func(name string, p Properties) {
		if d.Version != V5 {
			return
		}
		all, _ := m["props"].(map[string]any)
		if all == nil {
			all = map[string]any{}
			m["props"] = all
		}
		list := []any{}
		for x := range p.All() {
			list = append(list, []any{float64(x.ID), vectorProperty(x)})
		}
		all[name] = list
	}
	codes := func(c []byte) any {
		list := []any{}
		for _, c := range c {
			list = append(list, float64(c))
		}
		return list
	}
	name := p.PacketType().String()
	switch p := p.(type) {
	case *Connect:
		end := stringSize(f.Body)
		maps.Copy(m, map[string]any{
			"name": string(f.Body[2:end]), "level": float64(f.Body[end]), "flags": float64(f.Body[end+1]),
			"keepalive": float64(p.KeepAlive), "clean": p.CleanStart, "client_id": string(p.ClientID),
		})
		if p.Will.Topic != nil {
			maps.Copy(m, map[string]any{
				"will_topic": string(p.Will.Topic), "will_payload": hex.EncodeToString(p.Will.Payload),
				"will_qos": float64(p.Will.QoS), "will_retain": p.Will.Retain,
			})
			props("Will Properties", p.Will.Props)
		}
		if p.Username != nil {
			m["username"] = string(p.Username)
		}
		if p.Password != nil {
			m["password"] = hex.EncodeToString(p.Password)
		}
		props(name, p.Props)
	case *ConnAck:
		code := uint8(p.Code)
		if d.Version != V5 {
			code, _ = p.Code.ReturnCode()
		}
		m["code"] = float64(code)
		m["session_present"] = float64(0)
		if p.SessionPresent {
			m["session_present"] = float64(1)
		}
		props(name, p.Props)
	case *Publish:
		maps.Copy(m, map[string]any{
			"topic": string(p.Topic), "payload": hex.EncodeToString(p.Payload),
			"qos": float64(p.QoS), "dup": p.Dup, "retain": p.Retain, "packet_id": float64(p.ID),
		})
		props(name, p.Props)
	case *Ack:
		m["packet_id"], m["code"] = float64(p.ID), float64(p.Code)
		props(name, p.Props)
	case *Subscribe:
		list := []any{}
		for s := range p.Subscriptions.All() {
			list = append(list, []any{string(s.Filter), float64(s.Options())})
		}
		m["packet_id"], m["filters"] = float64(p.ID), list
		props(name, p.Props)
	case *SubAck:
		m["packet_id"], m["codes"] = float64(p.ID), codes(p.Codes)
		props(name, p.Props)
	case *Unsubscribe:
		list := []any{}
		for s := range p.Filters.All() {
			list = append(list, string(s))
		}
		m["packet_id"], m["filters"] = float64(p.ID), list
		props(name, p.Props)
	case *UnsubAck:
		m["packet_id"], m["codes"] = float64(p.ID), codes(p.Codes)
		props(name, p.Props)
	case *Disconnect:
		m["code"] = float64(p.Code)
		props(name, p.Props)
	case *Auth:
		m["code"] = float64(p.Code)
		props(name, p.Props)
	}
	return m
}

// vectorProperty is a property's value in the form of the files.
func vectorProperty(x Property) any {
	switch propertyTable[x.ID].kind {
	case kindPair:
		return []any{string(x.Key), string(x.Value)}
	case kindBinary:
		return hex.EncodeToString(x.Value)
	case kindString, kindTopic:
		return string(x.Value)
	}
	return float64(x.Num)
}
