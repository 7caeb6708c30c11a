// This file holds packets that no library should take, to show how much each
// of them checks in the time that it takes.

package compare

import (
	"encoding/hex"
	"slices"
	"testing"

	"mqttcore"
)

// A fault is a packet that breaks one rule.
type fault struct {
	version   mqttcore.Version
	from      mqttcore.Role
	what      string
	statement string
	wire      string // hex
}

var faults = []fault{
	{mqttcore.V311, mqttcore.FromServer, "PUBLISH, topic not UTF-8", "3.1.1:MQTT-1.5.3-1", "30040002c080"},
	{mqttcore.V311, mqttcore.FromServer, "PUBLISH, U+0000 in the topic", "3.1.1:MQTT-1.5.3-2", "300400026100"},
	{mqttcore.V311, mqttcore.FromServer, "PUBLISH, wildcard in the topic", "3.1.1:MQTT-3.3.2-2", "30050003612f2b"},
	{mqttcore.V311, mqttcore.FromServer, "PUBLISH, topic of no character", "3.1.1:MQTT-4.7.3-1", "30020000"},
	{mqttcore.V311, mqttcore.FromServer, "PUBLISH, QoS 3", "3.1.1:MQTT-3.3.1-4", "36050001610001"},
	{mqttcore.V311, mqttcore.FromServer, "PUBLISH, packet identifier 0", "3.1.1:MQTT-2.3.1-1", "32050001610000"},
	{mqttcore.V311, mqttcore.FromServer, "PUBLISH, DUP at QoS 0", "3.1.1:MQTT-3.3.1-2", "3803000161"},
	{mqttcore.V311, mqttcore.FromServer, "PUBACK, reserved flag set", "3.1.1:MQTT-2.2.2-2", "42020001"},
	{mqttcore.V311, mqttcore.FromServer, "PUBACK, a byte too many", "3.1.1:§2.2.3", "4003000100"},
	{mqttcore.V311, mqttcore.FromServer, "SUBACK, return code 3", "3.1.1:MQTT-3.9.3-2", "9003000103"},
	{mqttcore.V311, mqttcore.FromClient, "SUBSCRIBE of nothing", "3.1.1:MQTT-3.8.3-3", "82020001"},
	{mqttcore.V311, mqttcore.FromClient, "SUBSCRIBE, filter a+", "3.1.1:MQTT-4.7.1-3", "820700010002612b00"},
	{mqttcore.V311, mqttcore.FromClient, "SUBSCRIBE, QoS 3", "3.1.1:MQTT-3.8.3-4", "8206000100016103"},
	{mqttcore.V311, mqttcore.FromClient, "CONNECT, reserved flag set", "3.1.1:MQTT-3.1.2-3", "100d00044d5154540403003c000161"},
	{mqttcore.V311, mqttcore.FromClient, "CONNECT, password and no user name", "3.1.1:MQTT-3.1.2-22", "101000044d5154540442003c000161000170"},
	{mqttcore.V5, mqttcore.FromServer, "PUBLISH, content type twice", "5.0:§3.3.2.3.9", "300c000161080300016103000162"},
	{mqttcore.V5, mqttcore.FromServer, "PUBLISH, a property of CONNECT", "5.0:§2.2.2.2", "3009000161051100000001"},
	{mqttcore.V5, mqttcore.FromServer, "PUBLISH, payload format 2", "5.0:§3.3.2.3.2", "3006000161020102"},
	{mqttcore.V5, mqttcore.FromServer, "PUBLISH, topic alias 0", "5.0:MQTT-3.3.2-8", "300700016103230000"},
	{mqttcore.V5, mqttcore.FromServer, "PUBLISH, wildcard in the response topic", "5.0:MQTT-3.3.2-14", "3009000161050800022f2b"},
	{mqttcore.V5, mqttcore.FromServer, "PUBLISH, content type not UTF-8", "5.0:MQTT-1.5.4-1", "300900016105030002c080"},
	{mqttcore.V5, mqttcore.FromServer, "PUBACK, no reason code of PUBACK", "5.0:MQTT-3.4.2-1", "4003000192"},
	{mqttcore.V5, mqttcore.FromClient, "SUBSCRIBE, retain handling 3", "5.0:§3.8.3.1", "820700010000016130"},
	{mqttcore.V5, mqttcore.FromClient, "CONNECT, receive maximum 0", "5.0:§3.1.2.11.3", "101100044d5154540502003c03210000000161"},
}

// verdict is what the library does with the packet, empty where it does not
// speak the version.
func (f fault) verdict(l library) (verdict string) {
	if !slices.Contains(l.speaks, f.version) {
		return ""
	}
	defer func() {
		if recover() != nil {
			verdict = "panics"
		}
	}()
	_, err := l.decode(mqttcore.Dialect{Version: f.version, From: f.from})(must(hex.DecodeString(f.wire)))
	if err != nil {
		return "refused"
	}
	return "taken"
}

// TestFaults: the core refuses all, and for what the table says.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		_, err := decodeOne(mqttcore.Dialect{Version: f.version, From: f.from}, must(hex.DecodeString(f.wire)))
		e, ok := err.(*mqttcore.Error)
		if !ok || e.Rule.String() != f.statement {
			t.Errorf("%s: %v, want %s", f.what, err, f.statement)
		}
	}
}
