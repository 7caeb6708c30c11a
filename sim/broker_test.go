// This file holds the tests of what the broker does for clients that keep to the
// specification, named after its statements. What it does to those that do not
// is in broker_strict_test.go.

package sim

import (
	"testing"
	"time"

	"mqttcore"
)

// feature is a story with raw clients, in each of the versions.
type feature struct {
	name string
	in   []mqttcore.Version
	cfg  BrokerConfig
	run  func(s *scene, v mqttcore.Version)
}

func runFeatures(t *testing.T, features []feature) {
	for _, f := range features {
		for _, v := range f.in {
			t.Run(f.name+"/"+versionName(v), func(t *testing.T) { f.run(newScene(t, f.cfg), v) })
		}
	}
}

var (
	only5 = []mqttcore.Version{v5}
	not31 = []mqttcore.Version{v311, v5}
)

func TestBrokerDelivers(t *testing.T) {
	runFeatures(t, []feature{
		{"MQTT-3.1.2-25 an alias makes no packet too large", only5, BrokerConfig{Aliases: 5}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a", mqttcore.TopicAliasMaximum(5), mqttcore.MaximumPacketSize(20)))
			s.say("a", sub(1, to("topic", 1)))
			s.in("b", v, clean("b"))
			s.say("b", pub("topic", "12345678", 1, 1)) // 20 bytes
			s.heard("b", "CONNACK Success", "PUBACK id=1")
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q1]", `PUBLISH topic q1 id=1 8 bytes "12345678"`)
			if s.b.Stats.Discarded != 0 {
				s.t.Errorf("%d discarded", s.b.Stats.Discarded)
			}
		}},
		{"MQTT-3.8.4-8 the lower QoS wins", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("to", v, clean("to"))
			s.say("to", sub(1, to("0", 0), to("1", 1), to("2", 2)))
			s.in("from", v, clean("from"))
			s.heard("to", "CONNACK Success", "SUBACK id=1 [q0, q1, q2]")
			s.say("from", pub("0", "a", 2, 1), ack(pubrel, 1), pub("1", "b", 2, 2), ack(pubrel, 2), pub("2", "c", 1, 3), pub("2", "d", 2, 4))
			s.heard("from", "CONNACK Success", "PUBREC id=1", "PUBCOMP id=1", "PUBREC id=2", "PUBCOMP id=2", "PUBACK id=3", "PUBREC id=4")
			s.heard("to", `PUBLISH 0 q0 1 byte "a"`, `PUBLISH 1 q1 id=1 1 byte "b"`, `PUBLISH 2 q1 id=2 1 byte "c"`, `PUBLISH 2 q2 id=3 1 byte "d"`)
			s.say("to", ack(puback, 1), ack(puback, 2), ack(pubrec, 3), ack(pubcomp, 3))
			s.heard("to", "PUBREL id=3")
			s.say("from", ack(pubrel, 4))
		}},
		{"MQTT-3.3.5-1, MQTT-3.3.4-2 one copy of overlapping subscriptions, at the highest QoS", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", sub(1, to("#", 0), to("x/+", 1), to("x/y", 0)), pub("x/y", "m", 1, 9))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q0, q1, q0]", `PUBLISH x/y q1 id=1 1 byte "m"`, "PUBACK id=9")
		}},
		{"§3.3.4 copies of overlapping subscriptions", only5, BrokerConfig{Copies: true}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", numbered(sub(1, to("#", 0)), 7), numbered(sub(2, to("x", 1)), 8), pub("x", "m", 1, 9))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q0]", "SUBACK id=2 [q1]",
				`PUBLISH x q0 1 byte "m" {Subscription Identifier: 7}`, `PUBLISH x q1 id=1 1 byte "m" {Subscription Identifier: 8}`, "PUBACK id=9")
		}},
		{"MQTT-3.3.4-4 all subscription identifiers in one copy", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", numbered(sub(1, to("#", 0)), 7), sub(3, to("+", 0)), numbered(sub(2, to("x", 1)), 268435455), pub("x", "m", 0, 0))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q0]", "SUBACK id=3 [q0]", "SUBACK id=2 [q1]",
				`PUBLISH x q0 1 byte "m" {Subscription Identifier: 7, Subscription Identifier: 268435455}`)
		}},
		{"MQTT-4.7.2-1 wildcards and $", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", sub(1, to("#", 0), to("+/x", 0)), pub("$a/x", "no", 0, 0), pub("b/x", "yes", 0, 0), sub(2, to("$a/#", 0)), pub("$a", "too", 0, 0))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q0, q0]", `PUBLISH b/x q0 3 bytes "yes"`, "SUBACK id=2 [q0]", `PUBLISH $a q0 3 bytes "too"`)
		}},
		{"MQTT-3.8.3-3 no local", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.in("b", v, clean("b"))
			s.say("a", sub(1, mqttcore.Subscription{Filter: []byte("x"), NoLocal: true}), pub("x", "own", 0, 0))
			s.say("b", pub("x", "b's", 0, 0))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q0]", `PUBLISH x q0 3 bytes "b's"`)
		}},
		{"MQTT-3.10.4-1, MQTT-3.11.3-2 unsubscribing", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", sub(1, to("x", 0), to("+", 0)), unsub(2, "x", "y"), pub("x", "1", 0, 0), unsub(3, "+"), pub("x", "2", 0, 0))
			codes := []string{"UNSUBACK id=2", "UNSUBACK id=3"}
			if v == v5 {
				codes = []string{"UNSUBACK id=2 [Success, No subscription existed]", "UNSUBACK id=3 [Success]"}
			}
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q0, q0]", codes[0], `PUBLISH x q0 1 byte "1"`, codes[1])
		}},
		{"§4.8.2 shared subscriptions take turns", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			for _, name := range []string{"a", "b"} {
				s.in(name, v, kept(v, name))
				s.say(name, sub(1, to("$share/g/x", 1)))
			}
			s.in("c", v, clean("c"))
			s.say("c", sub(1, to("x", 0)), pub("x", "1", 1, 1), pub("x", "2", 1, 2), pub("x", "3", 1, 3))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q1]", `PUBLISH x q1 id=1 1 byte "1"`, `PUBLISH x q1 id=2 1 byte "3"`)
			s.heard("b", "CONNACK Success", "SUBACK id=1 [q1]", `PUBLISH x q1 id=1 1 byte "2"`)
			s.cut("b")
			s.say("c", pub("x", "4", 1, 4), pub("x", "5", 1, 5)) // who is there comes first
			s.heard("a", `PUBLISH x q1 id=3 1 byte "4"`, `PUBLISH x q1 id=4 1 byte "5"`)
		}},
		{"MQTT-4.8.2-4, MQTT-4.8.2-5 interrupted shared QoS 2 goes on with the same client", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			for _, name := range []string{"a", "b"} {
				s.in(name, v, kept(v, name))
				s.say(name, sub(1, to("$share/g/x", 2)))
			}
			s.in("c", v, clean("c"))
			s.say("c", pub("x", "2", 2, 1), ack(pubrel, 1))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q2]", `PUBLISH x q2 id=1 1 byte "2"`)
			s.cut("a")
			s.heard("b", "CONNACK Success", "SUBACK id=1 [q2]")
			s.in("a", v, kept(v, "a"))
			s.heard("a", "CONNACK Success session present", `PUBLISH x q2 id=1 dup 1 byte "2"`)
			s.b.Forget("a")
			s.wait(time.Millisecond)
			s.heard("b")
		}},
		{"§4.8.2 shared QoS 1 is inherited", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			for _, name := range []string{"a", "b"} {
				s.in(name, v, kept(v, name))
				s.say(name, sub(1, to("$share/g/x", 1)))
			}
			s.in("c", v, clean("c"))
			s.say("c", pub("x", "m", 1, 1))
			s.b.Forget("a")
			s.wait(time.Millisecond)
			s.heard("b", "CONNACK Success", "SUBACK id=1 [q1]", `PUBLISH x q1 id=1 1 byte "m"`)
		}},
		{"MQTT-3.4.2-1 no matching subscribers", only5, BrokerConfig{NoMatching: true}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", pub("x", "m", 1, 1), pub("x", "m", 2, 2), ack(pubrel, 2))
			s.heard("a", "CONNACK Success", "PUBACK id=1 No matching subscribers", "PUBREC id=2 No matching subscribers", "PUBCOMP id=2")
		}},
		{"MQTT-3.3.2-5, MQTT-3.3.2-6 message expiry", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, kept(v, "a"))
			s.say("a", sub(1, to("x", 1)))
			s.cut("a")
			s.in("b", v, clean("b"))
			s.say("b", pub("x", "short", 1, 1, mqttcore.MessageExpiry(5)), pub("x", "long", 1, 2, mqttcore.ContentType("c"), mqttcore.MessageExpiry(50)))
			s.wait(10 * time.Second)
			s.in("a", v, kept(v, "a"))
			s.heard("a", "CONNACK Success session present", `PUBLISH x q1 id=1 4 bytes "long" {Message Expiry Interval: 40, Content Type: c}`)
		}},
		{"MQTT-3.3.4-9, MQTT-4.9.0-2 the client's Receive Maximum", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a", mqttcore.ReceiveMaximum(2)))
			s.say("a", sub(1, to("x", 2)))
			s.in("b", v, clean("b"))
			s.say("b", pub("x", "1", 1, 1), pub("x", "2", 2, 2), pub("x", "3", 2, 3), pub("x", "4", 1, 4), pub("x", "0", 0, 0))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q2]", `PUBLISH x q1 id=1 1 byte "1"`, `PUBLISH x q2 id=2 1 byte "2"`, `PUBLISH x q0 1 byte "0"`)
			s.say("a", ack(pubrec, 2))
			s.heard("a", "PUBREL id=2") // which gives no quota back
			s.say("a", ack(puback, 1))
			s.heard("a", `PUBLISH x q2 id=3 1 byte "3"`)
			s.say("a", &mqttcore.Ack{Type: pubrec, ID: 3, Code: mqttcore.ReasonQuotaExceeded})
			s.heard("a", `PUBLISH x q1 id=4 1 byte "4"`)
			s.say("a", ack(pubcomp, 2), ack(puback, 4))
			s.say("b", ack(pubrel, 2), ack(pubrel, 3))
			for _, info := range s.b.Sessions() {
				if !info.Settled() {
					s.t.Errorf("%+v is not settled", info)
				}
			}
		}},
		{"MQTT-3.1.2-24, MQTT-3.1.2-25 the client's Maximum Packet Size", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, kept(v, "a", mqttcore.MaximumPacketSize(18)))
			s.say("a", sub(1, to("x", 1)))
			s.in("b", v, clean("b"))
			const nine, ten = "012345678", "0123456789"
			s.say("b", pub("x", ten+"a", 1, 1), pub("x", nine, 1, 2), pub("x", ten+ten, 0, 0), pub("x", ten, 1, 3))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q1]", `PUBLISH x q1 id=2 9 bytes "012345678"`, `PUBLISH x q1 id=3 10 bytes "0123456789"`)
			if s.b.Stats.Discarded != 1 {
				s.t.Errorf("%d discarded; want 1", s.b.Stats.Discarded)
			}
			s.cut("a")
			s.in("a", v, kept(v, "a", mqttcore.MaximumPacketSize(17))) // too small for what was sent: its identifier stays taken
			s.heard("a", "CONNACK Success session present", `PUBLISH x q1 id=2 dup 9 bytes "012345678"`)
			if got := s.b.Sessions()[0]; got.Held != 1 || got.Sent != 1 {
				s.t.Errorf("%+v; want one message sent, and one identifier held", got)
			}
		}},
		{"MQTT-3.3.2-7 topic aliases both ways", only5, BrokerConfig{TopicAliasMaximum: 2, Aliases: 9}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a", mqttcore.TopicAliasMaximum(1)))
			s.say("a", sub(1, to("#", 0)))
			s.say("a", pub("x", "1", 0, 0, mqttcore.TopicAlias(2)), pub("", "2", 0, 0, mqttcore.TopicAlias(2)),
				pub("y", "3", 0, 0, mqttcore.TopicAlias(2)), pub("", "4", 0, 0, mqttcore.TopicAlias(2)), pub("x", "5", 0, 0))
			s.heard("a", "CONNACK Success {Topic Alias Maximum: 2}", "SUBACK id=1 [q0]",
				`PUBLISH x q0 1 byte "1" {Topic Alias: 1}`, `PUBLISH "" q0 1 byte "2" {Topic Alias: 1}`,
				`PUBLISH y q0 1 byte "3" {Topic Alias: 1}`, `PUBLISH "" q0 1 byte "4" {Topic Alias: 1}`, `PUBLISH x q0 1 byte "5" {Topic Alias: 1}`)
		}},
		{"MQTT-3.12.4-1 PINGREQ", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", &mqttcore.Ping{Type: mqttcore.TypePingReq})
			s.heard("a", "CONNACK Success", "PINGRESP")
		}},
		{"properties go on as they came", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.in("old", v311, clean("old"))
			s.say("a", sub(1, to("x", 1)))
			s.say("old", sub(1, to("x", 1)))
			s.say("a", pub("x", "m", 1, 1, mqttcore.UserProperty("b", "1"), mqttcore.PayloadFormat(1), mqttcore.UserProperty("a", "2"), mqttcore.UserProperty("b", "3")))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q1]",
				`PUBLISH x q1 id=1 1 byte "m" {User Property: b=1, Payload Format Indicator: 1, User Property: a=2, User Property: b=3}`, "PUBACK id=1")
			s.heard("old", "CONNACK Success", "SUBACK id=1 [q1]", `PUBLISH x q1 id=1 1 byte "m"`)
		}},
		{"acknowledgements held back", versions, BrokerConfig{AckDelay: time.Second}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", pub("x", "1", 1, 1), pub("x", "2", 2, 2))
			s.heard("a", "CONNACK Success")
			s.wait(time.Second)
			s.heard("a", "PUBACK id=1", "PUBREC id=2")
			s.say("a", ack(pubrel, 2))
			s.wait(time.Second)
			s.heard("a", "PUBCOMP id=2")
		}},
	})
}

func TestBrokerRetains(t *testing.T) {
	runFeatures(t, []feature{
		{"MQTT-3.3.1-5, MQTT-3.3.1-8, MQTT-3.3.1-9 kept for later, one a topic", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", sub(1, to("x", 1)), retain(pub("x", "1", 1, 1)), retain(pub("y", "other", 0, 0)), retain(pub("x", "2", 0, 0)))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q1]", `PUBLISH x q1 id=1 1 byte "1"`, "PUBACK id=1", `PUBLISH x q0 1 byte "2"`)
			s.say("a", sub(2, to("#", 1)))
			s.heard("a", "SUBACK id=2 [q1]", `PUBLISH x q0 retain 1 byte "2"`, `PUBLISH y q0 retain 5 bytes "other"`)
		}},
		{"MQTT-3.3.1-10 an empty one clears, and is not kept", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", retain(pub("x", "1", 1, 1)), sub(1, to("x", 0)), retain(pub("x", "", 0, 0)), unsub(2, "x"), sub(3, to("x", 0)), retain(pub("z", "", 0, 0)))
			if n := s.b.Retained(); n != 0 {
				s.t.Errorf("%d retained; want none", n)
			}
			s.heard("a", append([]string{"CONNACK Success", "PUBACK id=1", "SUBACK id=1 [q0]", `PUBLISH x q0 retain 1 byte "1"`, `PUBLISH x q0 0 bytes`},
				unsuback(v, 2), "SUBACK id=3 [q0]")...)
		}},
		{"§3.8.3.1, MQTT-3.8.4-4 retain handling", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", retain(pub("x", "m", 0, 0)))
			handling := func(id uint16, h mqttcore.RetainHandling) *mqttcore.Subscribe {
				return sub(id, mqttcore.Subscription{Filter: []byte("x"), RetainHandling: h})
			}
			s.say("a", handling(1, mqttcore.RetainDoNotSend), unsub(2, "x"), handling(3, mqttcore.RetainSendIfNew), handling(4, mqttcore.RetainSendIfNew), handling(5, mqttcore.RetainSend))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q0]", unsuback(v, 2), "SUBACK id=3 [q0]", `PUBLISH x q0 retain 1 byte "m"`,
				"SUBACK id=4 [q0]", "SUBACK id=5 [q0]", `PUBLISH x q0 retain 1 byte "m"`)
		}},
		{"MQTT-3.3.1-12, MQTT-3.3.1-13 retain as published", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", sub(1, mqttcore.Subscription{Filter: []byte("x"), RetainAsPublished: true}), retain(pub("x", "1", 0, 0)), pub("x", "2", 0, 0))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q0]", `PUBLISH x q0 retain 1 byte "1"`, `PUBLISH x q0 1 byte "2"`)
		}},
		{"§3.3.2.3.3 retained messages expire", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", retain(pub("x", "m", 0, 0, mqttcore.MessageExpiry(10))))
			s.wait(4 * time.Second)
			s.say("a", sub(1, to("x", 0)))
			s.wait(7 * time.Second)
			s.say("a", sub(2, to("x", 0)))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q0]", `PUBLISH x q0 retain 1 byte "m" {Message Expiry Interval: 6}`, "SUBACK id=2 [q0]")
		}},
		{"§4.8.2 not for shared subscriptions", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", retain(pub("x", "m", 0, 0)), sub(1, to("$share/g/x", 0)))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q0]")
		}},
		{"3.x knows no shared subscriptions", []mqttcore.Version{v31, v311}, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", sub(1, to("$share/g/x", 0)), pub("x", "m", 0, 0), pub("$share/g/x", "literal", 0, 0))
			s.heard("a", "CONNACK Success", "SUBACK id=1 [q0]", `PUBLISH $share/g/x q0 7 bytes "literal"`)
		}},
	})
}

func unsuback(v mqttcore.Version, id byte) string {
	s := "UNSUBACK id=" + string('0'+rune(id))
	if v == v5 {
		s += " [Success]"
	}
	return s
}
