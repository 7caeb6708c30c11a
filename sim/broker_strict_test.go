// This file holds the tests of what the broker finds wrong with clients.

package sim

import (
	"testing"

	"mqttcore"
)

func TestBrokerIsStrict(t *testing.T) {
	// cuts is a QoS 2 message that was interrupted, and a new connection.
	again := func(s *scene, v mqttcore.Version, first ...any) {
		s.in("a", v, kept(v, "a"))
		s.say("a", first...)
		s.cut("a")
		s.in("a", v, kept(v, "a"))
		s.client("a").got = nil
	}
	// sent is that the broker sends messages of QoS 1 (1, 2) and 2 (3, 4).
	sent := func(s *scene, v mqttcore.Version) {
		s.in("a", v, clean("a"))
		s.say("a", sub(1, to("x", 2)))
		s.in("b", v, clean("b"))
		s.say("b", pub("x", "1", 1, 1), pub("x", "2", 1, 2), pub("x", "3", 2, 3), pub("x", "4", 2, 4), ack(pubrel, 3), ack(pubrel, 4))
	}
	disconnect := func(s *scene, v mqttcore.Version, code string) {
		s.t.Helper()
		got := s.client("a").got
		want := []string{"closed"}
		if v == v5 {
			want = []string{"DISCONNECT " + code, "closed"}
		}
		if len(got) < len(want) {
			s.t.Fatalf("heard %q; want %q", got, want)
		}
		s.client("a").got = got[len(got)-len(want):]
		s.heard("a", want...)
	}
	runFeatures(t, []feature{
		{"MQTT-3.1.0-1 the first packet", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.dial("a", v)
			s.say("a", "\xC0\x00")
			s.heard("a", "closed")
			s.broke("MQTT-3.1.0-1")
		}},
		{"MQTT-3.1.0-2 a second CONNECT", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", clean("a"))
			disconnect(s, v, "Protocol Error")
			s.broke("MQTT-3.1.0-2")
		}},
		{"MQTT-3.1.2-3 a malformed CONNECT", not31, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.dial("a", v)
			if v == v5 {
				s.say("a", "\x10\x0E\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x01a")
				s.heard("a", "CONNACK Malformed Packet", "closed")
			} else {
				s.say("a", "\x10\x0D\x00\x04MQTT\x04\x03\x00\x00\x00\x01a")
				s.heard("a", "closed")
			}
			s.broke("MQTT-3.1.2-3")
		}},
		{"MQTT-3.1.2-2 a version that does not exist", []mqttcore.Version{v311}, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.dial("a", v)
			s.say("a", "\x10\x0D\x00\x04MQTT\x06\x02\x00\x00\x00\x01a")
			s.heard("a", "CONNACK Unsupported Protocol Version", "closed")
			s.broke("MQTT-3.1.2-2")
		}},
		{"MQTT-3.1.3-8 an empty identifier for a session that is kept", []mqttcore.Version{v311}, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.dial("a", v)
			s.say("a", "\x10\x0C\x00\x04MQTT\x04\x00\x00\x00\x00\x00")
			s.heard("a", "CONNACK Client Identifier not valid", "closed")
			s.broke("MQTT-3.1.3-8")
		}},
		{"MQTT-3.14.4-1 something after DISCONNECT", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", &mqttcore.Disconnect{})
			s.say("a", "\xC0\x00")
			s.broke("MQTT-3.14.4-1")
		}},
		{"MQTT-3.14.4-1 something right after DISCONNECT", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", &mqttcore.Disconnect{}, "\xC0\x00")
			s.broke("MQTT-3.14.4-1")
		}},
		{"§3.14.2.2.2 an expiry raised from 0", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", &mqttcore.Disconnect{Props: list([]mqttcore.Property{mqttcore.SessionExpiry(1)})})
			disconnect(s, v, "Protocol Error")
			s.broke("§3.14.2.2.2")
		}},
		{"§2.1.2 a packet of the server's", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", "\xD0\x00")
			disconnect(s, v, "Protocol Error")
			s.broke("§2")
		}},
		{"MQTT-3.3.4-6 a malformed PUBLISH", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", "\x30\x06\x00\x01a\x02\x0B\x01")
			disconnect(s, v, "Protocol Error")
			s.broke("MQTT-3.3.4-6")
		}},
		{"MQTT-3.2.2-15 a packet too large", only5, BrokerConfig{MaximumPacketSize: 30}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", pub("x", "012345678901234567890123", 0, 0)) // 30 bytes
			s.broke()
			s.say("a", pub("x", "0123456789012345678901234", 0, 0))
			disconnect(s, v, "Packet too large")
			s.broke("MQTT-3.2.2-15")
		}},
		{"MQTT-3.2.2-11 QoS above the maximum", only5, BrokerConfig{NoQoS1: true}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", pub("x", "m", 1, 1))
			disconnect(s, v, "QoS not supported")
			s.broke("MQTT-3.2.2-11")
		}},
		{"MQTT-3.2.2-14 RETAIN where there is none", only5, BrokerConfig{NoRetain: true}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", retain(pub("x", "m", 0, 0)))
			disconnect(s, v, "Retain not supported")
			s.broke("MQTT-3.2.2-14")
		}},
		{"MQTT-3.2.2-17 an alias above the maximum", only5, BrokerConfig{TopicAliasMaximum: 1}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", pub("x", "m", 0, 0, mqttcore.TopicAlias(2)))
			disconnect(s, v, "Topic Alias invalid")
			s.broke("MQTT-3.2.2-17")
		}},
		{"MQTT-3.3.2-7 an alias of an earlier connection", only5, BrokerConfig{TopicAliasMaximum: 1}, func(s *scene, v mqttcore.Version) {
			again(s, v, pub("x", "m", 0, 0, mqttcore.TopicAlias(1)))
			s.say("a", pub("", "m", 0, 0, mqttcore.TopicAlias(1)))
			disconnect(s, v, "Protocol Error")
			s.broke("§3.3.4")
		}},
		{"§3.2.2.3.11 a wildcard where there is none", only5, BrokerConfig{NoWildcards: true}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", sub(1, to("a/+", 0)))
			disconnect(s, v, "Wildcard Subscriptions not supported")
			s.broke("§3.2.2.3.11")
		}},
		{"§3.2.2.3.12 an identifier where there is none", only5, BrokerConfig{NoSubscriptionIDs: true}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", numbered(sub(1, to("a", 0)), 1))
			disconnect(s, v, "Subscription Identifiers not supported")
			s.broke("§3.2.2.3.12")
		}},
		{"§3.2.2.3.13 a shared one where there is none", only5, BrokerConfig{NoShared: true}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", sub(1, to("$share/g/a", 0)))
			disconnect(s, v, "Shared Subscriptions not supported")
			s.broke("§3.2.2.3.13")
		}},
		{"MQTT-3.3.4-9 more than the Receive Maximum", only5, BrokerConfig{ReceiveMaximum: 2}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", pub("x", "1", 2, 1), pub("x", "2", 2, 2), pub("x", "0", 0, 0))
			s.say("a", ack(pubrel, 1), pub("x", "3", 2, 3))
			s.broke()
			s.say("a", pub("x", "4", 1, 4))
			disconnect(s, v, "Receive Maximum exceeded")
			s.broke("MQTT-3.3.4-9")
		}},
		{"MQTT-3.3.4-9 more of QoS 1 than the Receive Maximum", only5, BrokerConfig{ReceiveMaximum: 2, AckDelay: 1}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", pub("x", "1", 1, 1), pub("x", "2", 1, 2), pub("x", "3", 1, 3))
			s.broke("MQTT-3.3.4-9")
		}},
		{"MQTT-3.3.4-9 repeats count on a new connection", only5, BrokerConfig{ReceiveMaximum: 2}, func(s *scene, v mqttcore.Version) {
			again(s, v, pub("x", "1", 2, 1), pub("x", "2", 2, 2))
			s.say("a", dup(pub("x", "1", 2, 1)), dup(pub("x", "2", 2, 2)))
			s.broke()
			s.say("a", pub("x", "3", 2, 3))
			s.broke("MQTT-3.3.4-9")
		}},
		{"MQTT-2.2.1-3 an identifier in use, other content", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			again(s, v, pub("x", "1", 2, 1))
			s.say("a", dup(pub("x", "2", 2, 1)))
			s.broke("MQTT-2.2.1-3")
		}},
		{"MQTT-2.2.1-3 an identifier in use, other QoS", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			again(s, v, pub("x", "1", 2, 1))
			s.say("a", dup(pub("x", "1", 1, 1)))
			s.broke("MQTT-2.2.1-3")
		}},
		{"MQTT-2.2.1-3 an identifier in use, SUBSCRIBE", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", pub("x", "1", 2, 1), sub(1, to("x", 0)), unsub(1, "x"))
			s.broke("MQTT-2.2.1-3", "MQTT-2.2.1-3")
		}},
		{"MQTT-3.3.1-1 sent again without DUP", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			again(s, v, pub("x", "1", 2, 1))
			s.say("a", pub("x", "1", 2, 1))
			s.broke("MQTT-3.3.1-1")
		}},
		{"MQTT-4.4.0-1 sent again on the same connection", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", pub("x", "1", 2, 1), dup(pub("x", "1", 2, 1)))
			s.broke("MQTT-4.4.0-1")
		}},
		{"MQTT-4.6.0-1 QoS 2 sent again in another order", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			again(s, v, pub("x", "1", 2, 7), pub("x", "2", 2, 3))
			s.say("a", dup(pub("x", "2", 2, 3)), dup(pub("x", "1", 2, 7)))
			s.broke("MQTT-4.6.0-1")
		}},
		{"MQTT-4.3.3-6 sent again after PUBREL", versions, BrokerConfig{Unique: true}, func(s *scene, v mqttcore.Version) {
			again(s, v, pub("x", "1", 2, 1), ack(pubrel, 1))
			s.say("a", dup(pub("x", "2", 2, 1)), ack(pubrel, 1)) // a new one, lost before it came
			s.broke()
			s.say("a", dup(pub("x", "2", 2, 1)))
			s.broke("MQTT-4.3.3-6")
		}},
		{"MQTT-4.6.0-1 an identifier used again is not out of order", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			again(s, v, pub("x", "1", 1, 1), pub("x", "2", 2, 2))
			s.say("a", dup(pub("x", "2", 2, 2)), dup(pub("x", "1", 1, 1)))
			s.broke()
		}},
		{"MQTT-4.6.0-1 QoS 1 and 2 sent again in another order", versions, BrokerConfig{Unique: true}, func(s *scene, v mqttcore.Version) {
			again(s, v, pub("x", "1", 1, 7), pub("x", "2", 2, 3))
			s.say("a", dup(pub("x", "2", 2, 3)), dup(pub("x", "1", 1, 7)))
			s.broke("MQTT-4.6.0-1")
		}},
		{"MQTT-4.6.0-1 an old message after one that never came", versions, BrokerConfig{Unique: true}, func(s *scene, v mqttcore.Version) {
			again(s, v, pub("x", "1", 1, 7))
			s.say("a", dup(pub("x", "2", 1, 3)), dup(pub("x", "1", 1, 7)))
			s.broke("MQTT-4.6.0-1")
		}},
		{"MQTT-4.6.0-1 in order", versions, BrokerConfig{Unique: true}, func(s *scene, v mqttcore.Version) {
			again(s, v, pub("x", "1", 1, 7), pub("x", "2", 2, 3))
			s.say("a", dup(pub("x", "1", 1, 7)), dup(pub("x", "2", 2, 3)), dup(pub("x", "3", 1, 9)), pub("x", "4", 1, 1))
			s.broke()
		}},
		{"MQTT-4.3.3-4 PUBREL without PUBREC", versions, BrokerConfig{AckDelay: 1e9}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", pub("x", "1", 2, 1), ack(pubrel, 1))
			s.broke("MQTT-4.3.3-4")
		}},
		{"MQTT-4.3.3-4 PUBREL twice", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", pub("x", "1", 2, 1), ack(pubrel, 1), ack(pubrel, 1))
			s.broke("MQTT-4.3.3-4")
		}},
		{"MQTT-4.6.0-4 PUBRELs in another order", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", pub("x", "1", 2, 1), pub("x", "2", 2, 2), ack(pubrel, 2), ack(pubrel, 1))
			s.broke("MQTT-4.6.0-4")
		}},
		{"MQTT-4.6.0-2 PUBACKs in another order", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			sent(s, v)
			s.say("a", ack(puback, 2), ack(puback, 1))
			s.broke("MQTT-4.6.0-2")
		}},
		{"MQTT-4.6.0-3 PUBRECs in another order", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			sent(s, v)
			s.say("a", ack(pubrec, 4), ack(pubrec, 3))
			s.broke("MQTT-4.6.0-3")
		}},
		{"in order, each kind for itself", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			sent(s, v)
			s.say("a", ack(pubrec, 3), ack(puback, 1), ack(pubrec, 4), ack(puback, 2), ack(pubcomp, 4), ack(pubcomp, 3))
			s.broke()
			if got := s.b.Sessions()[0]; !got.Settled() {
				s.t.Errorf("%+v is not settled", got)
			}
		}},
		{"PUBACK for QoS 2", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			sent(s, v)
			s.say("a", ack(puback, 3))
			disconnect(s, v, "Protocol Error")
			s.broke("MQTT-4.3.3-3")
		}},
		{"PUBREC for QoS 1", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			sent(s, v)
			s.say("a", ack(pubrec, 1))
			disconnect(s, v, "Protocol Error")
			s.broke("MQTT-4.3.2-3")
		}},
		{"PUBCOMP without PUBREL", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			sent(s, v)
			s.say("a", ack(pubcomp, 3))
			disconnect(s, v, "Protocol Error")
			s.broke("MQTT-4.3.3-4")
		}},
		{"PUBREC twice", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			sent(s, v)
			s.say("a", ack(pubrec, 3), ack(pubrec, 3))
			s.broke("MQTT-2.2.1-5")
		}},
		{"MQTT-2.2.1-5 acknowledgements of nothing", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", ack(puback, 1), ack(pubrec, 2), ack(pubcomp, 3))
			s.broke("MQTT-2.2.1-5", "MQTT-2.2.1-5", "MQTT-2.2.1-5")
			want := []string{"CONNACK Success", "PUBREL id=2"}
			if v == v5 {
				want[1] += " Packet Identifier not found"
			}
			s.heard("a", want...)
		}},
	})
}
