// This file holds the tests of how the broker lets clients in and out: sessions,
// wills, refusals, authentication, keep alive, restarts.

package sim

import (
	"slices"
	"testing"
	"time"

	"mqttcore"
)

func TestBrokerSessions(t *testing.T) {
	runFeatures(t, []feature{
		{"MQTT-3.1.3-6 an assigned identifier is nobody's", not31, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("assigned-1"))
			s.in("b", v, clean(""))
			s.heard("a", "CONNACK Success")
			if n := len(s.b.Sessions()); n != 2 {
				s.t.Errorf("%d sessions", n)
			}
		}},
		{"MQTT-4.4.0-1, MQTT-3.3.1-1 what is unfinished is sent again, in order", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, kept(v, "a"))
			s.say("a", sub(1, to("x", 2)))
			s.in("b", v, clean("b"))
			s.say("b", pub("x", "1", 2, 1), pub("x", "2", 1, 2), pub("x", "3", 2, 3), ack(pubrel, 1), ack(pubrel, 3))
			s.say("a", ack(pubrec, 1))
			s.cut("a")
			s.say("b", pub("x", "4", 1, 4), pub("x", "gone", 0, 0))
			s.in("a", v, kept(v, "a"))
			s.heard("a", []string{"CONNACK Success", "CONNACK Success session present"}[min(1, int(v-v31))], map[bool]string{true: "PUBREL id=1 dup", false: "PUBREL id=1"}[v == v31],
				`PUBLISH x q1 id=2 dup 1 byte "2"`, `PUBLISH x q2 id=3 dup 1 byte "3"`, `PUBLISH x q1 id=4 1 byte "4"`)
			s.say("a", ack(pubcomp, 1), ack(puback, 2), ack(pubrec, 3), ack(pubcomp, 3), ack(puback, 4))
			s.heard("a", "PUBREL id=3")
			if got := s.b.Sessions()[0]; !got.Settled() {
				s.t.Errorf("%+v is not settled", got)
			}
		}},
		{"MQTT-4.9.0-1 a smaller Receive Maximum on resuming", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, kept(v, "a"))
			s.say("a", sub(1, to("x", 2)), pub("x", "1", 1, 1), pub("x", "2", 1, 2), pub("x", "3", 2, 3), pub("x", "4", 1, 4), ack(pubrel, 3))
			s.say("a", ack(pubrec, 3))
			s.cut("a")
			s.in("a", v, kept(v, "a", mqttcore.ReceiveMaximum(1)))
			s.heard("a", "CONNACK Success session present", `PUBLISH x q1 id=1 dup 1 byte "1"`, "PUBREL id=3")
			s.say("a", ack(puback, 1))
			s.heard("a", `PUBLISH x q1 id=2 dup 1 byte "2"`)
			s.say("a", ack(pubcomp, 3)) // which was not charged here
			s.heard("a")
			s.say("a", ack(puback, 2))
			s.heard("a", `PUBLISH x q1 id=4 dup 1 byte "4"`)
		}},
		{"MQTT-4.3.3-10 a QoS 2 message that comes again", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("b", v, clean("b"))
			s.say("b", sub(1, to("x", 0)))
			s.in("a", v, kept(v, "a"))
			s.say("a", pub("x", "once", 2, 5))
			s.cut("a")
			s.in("a", v, kept(v, "a"))
			s.say("a", dup(pub("x", "once", 2, 5)), ack(pubrel, 5))
			s.cut("a")
			s.in("a", v, kept(v, "a"))
			s.client("a").got = nil
			s.say("a", ack(pubrel, 5), pub("x", "new", 2, 5), ack(pubrel, 5))
			want := []string{"PUBCOMP id=5", "PUBREC id=5", "PUBCOMP id=5"}
			if v == v5 {
				want[0] += " Packet Identifier not found"
			}
			s.heard("a", want...)
			s.heard("b", "CONNACK Success", "SUBACK id=1 [q0]", `PUBLISH x q0 4 bytes "once"`, `PUBLISH x q0 3 bytes "new"`)
			if s.b.Stats.Repeats != 1 {
				s.t.Errorf("%d repeats; want 1", s.b.Stats.Repeats)
			}
		}},
		{"MQTT-3.1.2-23 session expiry", only5, BrokerConfig{MaxSessionExpiry: 100}, func(s *scene, v mqttcore.Version) {
			var ended []string
			s.b.OnEnd = func(client string) { ended = append(ended, client) }
			s.in("a", v, kept(v, "a"))
			s.heard("a", "CONNACK Success {Session Expiry Interval: 100}")
			s.cut("a")
			s.wait(99 * time.Second)
			s.in("a", v, kept(v, "a"))
			s.heard("a", "CONNACK Success session present {Session Expiry Interval: 100}")
			s.say("a", &mqttcore.Disconnect{Props: list([]mqttcore.Property{mqttcore.SessionExpiry(5)})})
			s.wait(6 * time.Second)
			if want := []string{"a"}; !slices.Equal(ended, want) {
				s.t.Errorf("ended %q; want %q", ended, want)
			}
			s.in("a", v, kept(v, "a"))
			s.heard("a", "CONNACK Success {Session Expiry Interval: 100}")
		}},
		{"MQTT-3.1.2-4, MQTT-3.1.2-6 clean start", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, kept(v, "a"))
			s.say("a", sub(1, to("x", 1)))
			s.cut("a")
			s.in("a", v, clean("a"))
			s.heard("a", "CONNACK Success")
			s.say("a", pub("x", "m", 1, 1))
			s.heard("a", "PUBACK id=1")
			s.cut("a")
			if n := len(s.b.Sessions()); n != 0 {
				s.t.Errorf("%d sessions; want none", n)
			}
		}},
		{"MQTT-3.1.4-3 take-over", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("first", v, kept(v, "same"))
			s.in("second", v, kept(v, "same"))
			if v == v5 {
				s.heard("first", "CONNACK Success", "DISCONNECT Session taken over", "closed")
			} else {
				s.heard("first", "CONNACK Success", "closed")
			}
			s.heard("second", []string{"CONNACK Success", "CONNACK Success session present"}[min(1, int(v-v31))])
		}},
		{"a crash keeps sessions", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, kept(v, "a"))
			s.say("a", sub(1, to("x", 1)), pub("x", "m", 1, 1))
			s.w.Crash(s.host)
			s.wait(time.Second)
			s.in("a", v, kept(v, "a"))
			s.heard("a", []string{"CONNACK Success", "CONNACK Success session present"}[min(1, int(v-v31))], `PUBLISH x q1 id=1 dup 1 byte "m"`)
		}},
		{"a crash loses sessions", versions, BrokerConfig{LoseSessions: true}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, kept(v, "a"))
			s.say("a", sub(1, to("x", 1)), retain(pub("x", "m", 1, 1)))
			s.w.Crash(s.host)
			s.wait(time.Second)
			s.in("a", v, kept(v, "a"))
			s.say("a", ack(pubrel, 9)) // that of a session that was lost
			if v == v5 {
				s.heard("a", "CONNACK Success", "PUBCOMP id=9 Packet Identifier not found")
				s.broke("MQTT-4.3.3-4") // where the client knows
			} else {
				s.heard("a", "CONNACK Success", "PUBCOMP id=9")
			}
		}},
	})
}

func TestBrokerWills(t *testing.T) {
	willed := func(v mqttcore.Version, c *mqttcore.Connect, delay uint32) *mqttcore.Connect {
		c.Will = mqttcore.Will{Topic: []byte("w"), Payload: []byte("gone"), QoS: 1, Retain: true}
		if v == v5 {
			c.Will.Props = list([]mqttcore.Property{mqttcore.WillDelay(delay), mqttcore.UserProperty("k", "v")})
		}
		return c
	}
	const plain, five = `PUBLISH w q0 4 bytes "gone"`, `PUBLISH w q0 4 bytes "gone" {User Property: k=v}`
	will := func(v mqttcore.Version) string {
		if v == v5 {
			return five
		}
		return plain
	}
	listen := func(s *scene, v mqttcore.Version) {
		s.in("b", v, clean("b"))
		s.say("b", sub(1, to("w", 0)))
		s.client("b").got = nil
	}
	runFeatures(t, []feature{
		{"MQTT-3.1.2-8 after a cut", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			listen(s, v)
			s.in("a", v, willed(v, clean("a"), 0))
			s.cut("a")
			s.heard("b", will(v))
			if s.b.Retained() != 1 {
				s.t.Error("the will was not retained")
			}
		}},
		{"MQTT-3.14.4-3 not after DISCONNECT", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			listen(s, v)
			s.in("a", v, willed(v, clean("a"), 0))
			s.say("a", &mqttcore.Disconnect{})
			s.cut("a")
			s.heard("b")
		}},
		{"§3.14.2.1 after DISCONNECT with will", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			listen(s, v)
			s.in("a", v, willed(v, clean("a"), 0))
			s.say("a", "\xE0\x01\x04")
			s.heard("b", will(v))
		}},
		{"MQTT-3.1.3-9 the delay, and coming back in time", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			listen(s, v)
			s.in("a", v, willed(v, kept(v, "a"), 10))
			s.cut("a")
			s.wait(9 * time.Second)
			s.in("a", v, willed(v, kept(v, "a"), 10))
			s.cut("a")
			s.wait(9 * time.Second)
			s.heard("b")
			s.wait(time.Second)
			s.heard("b", will(v))
		}},
		{"§3.1.3.2.2 the end of the session ends the delay", only5, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			listen(s, v)
			c := willed(v, clean("a", mqttcore.SessionExpiry(2)), 10)
			s.in("a", v, c)
			s.cut("a")
			s.wait(3 * time.Second)
			s.heard("b", will(v))
			s.in("a", v, willed(v, kept(v, "a"), 10))
			s.cut("a")
			s.in("a", v, clean("a"))
			s.heard("b", will(v))
		}},
		{"MQTT-3.1.2-22 silence", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			listen(s, v)
			c := willed(v, clean("a"), 0)
			c.KeepAlive = 10
			s.in("a", v, c)
			s.wait(8 * time.Second)
			s.say("a", &mqttcore.Ping{Type: mqttcore.TypePingReq})
			s.wait(14 * time.Second)
			s.heard("b")
			s.wait(time.Second)
			s.heard("b", will(v))
			want := []string{"CONNACK Success", "PINGRESP"}
			if v == v5 {
				want = append(want, "DISCONNECT Keep Alive timeout")
			}
			s.heard("a", append(want, "closed")...)
		}},
	})
}

func TestBrokerAnnounces(t *testing.T) {
	runFeatures(t, []feature{
		{"§3.2.2.3 all limits", only5, BrokerConfig{ReceiveMaximum: 5, MaximumPacketSize: 1000, TopicAliasMaximum: 3, NoQoS2: true,
			NoRetain: true, NoWildcards: true, NoShared: true, NoSubscriptionIDs: true, MaxKeepAlive: 20, ResponseInfo: "r"},
			func(s *scene, v mqttcore.Version) {
				s.in("a", v, clean("", mqttcore.RequestResponseInfo(1)))
				s.heard("a", "CONNACK Success {Receive Maximum: 5, Maximum QoS: 1, Retain Available: 0, Maximum Packet Size: 1000, "+
					"Assigned Client Identifier: assigned-1, Topic Alias Maximum: 3, Wildcard Subscription Available: 0, "+
					"Subscription Identifier Available: 0, Shared Subscription Available: 0, Server Keep Alive: 20, Response Information: r}")
				s.say("a", sub(1, to("x", 2)))
				s.heard("a", "SUBACK id=1 [q1]")
				s.wait(30 * time.Second)
				s.heard("a", "DISCONNECT Keep Alive timeout", "closed")
			}},
		{"MQTT-3.2.2-21 keep alive turned off", only5, BrokerConfig{NoKeepAlive: true}, func(s *scene, v mqttcore.Version) {
			c := clean("a")
			c.KeepAlive = 1
			s.in("a", v, c)
			s.wait(time.Minute)
			s.heard("a", "CONNACK Success {Server Keep Alive: 0}")
		}},
		{"MQTT-3.1.3-6 an identifier is made up", not31, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean(""))
			s.in("b", v, clean(""))
			if got := s.b.Sessions(); len(got) != 2 || got[0].ClientID == got[1].ClientID {
				s.t.Errorf("sessions %+v; want two", got)
			}
		}},
	})
}

func TestBrokerRefuses(t *testing.T) {
	user := func(name, password string) *mqttcore.Connect {
		c := clean("a")
		c.Username, c.Password = []byte(name), []byte(password)
		return c
	}
	refused := func(want31, want5 string, c *mqttcore.Connect) func(s *scene, v mqttcore.Version) {
		return func(s *scene, v mqttcore.Version) {
			s.dial("a", v)
			s.say("a", c)
			if want := want31; v != v5 {
				s.heard("a", "CONNACK "+want, "closed")
			} else {
				s.heard("a", "CONNACK "+want5, "closed")
			}
		}
	}
	willed := clean("a")
	willed.Will = mqttcore.Will{Topic: []byte("w"), QoS: 2, Retain: true}
	users := BrokerConfig{Users: map[string]string{"anna": "right"}}
	const bad = "Bad User Name or Password"
	runFeatures(t, []feature{
		{"password", versions, users, refused(bad, bad, user("anna", "wrong"))},
		{"user name", versions, users, refused(bad, bad, user("bob", "right"))},
		{"no user name", versions, users, refused(bad, bad, clean("a"))},
		{"let in", versions, users, func(s *scene, v mqttcore.Version) { s.in("a", v, user("anna", "right")) }},
		{"MQTT-3.1.3-8 no identifier", not31, BrokerConfig{RefuseEmptyID: true}, refused("Client Identifier not valid", "Client Identifier not valid", clean(""))},
		{"MQTT-3.1.2-2 version", []mqttcore.Version{v31, v311}, BrokerConfig{MinVersion: v5}, refused("Unsupported Protocol Version", "", clean("a"))},
		{"§4.13 redirect", versions, BrokerConfig{Redirect: mqttcore.ReasonServerMoved, Reference: "there:1883"},
			refused("Server unavailable", "Server moved {Server Reference: there:1883}", clean("a"))},
		{"MQTT-3.2.2-12 will QoS", only5, BrokerConfig{NoQoS2: true}, refused("", "QoS not supported", willed)},
		{"MQTT-3.2.2-13 will retain", only5, BrokerConfig{NoRetain: true}, refused("", "Retain not supported", willed)},
		{"hook", versions, BrokerConfig{RefuseConnect: func(*mqttcore.Connect) mqttcore.ReasonCode { return mqttcore.ReasonBanned }},
			refused("Not authorized", "Banned", clean("a"))},
		{"MQTT-3.4.2-1, MQTT-4.3.3-9 messages", versions, BrokerConfig{RefusePublish: func(client string, p *mqttcore.Publish) mqttcore.ReasonCode {
			if string(p.Payload) == "no" {
				return mqttcore.ReasonQuotaExceeded
			}
			return mqttcore.ReasonSuccess
		}}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", sub(9, to("x", 0)), pub("x", "no", 1, 1), pub("x", "no", 2, 2))
			if v == v5 {
				s.say("a", pub("x", "yes", 2, 2), ack(pubrel, 2)) // the identifier is free
				s.heard("a", "CONNACK Success", "SUBACK id=9 [q0]", "PUBACK id=1 Quota exceeded", "PUBREC id=2 Quota exceeded",
					`PUBLISH x q0 3 bytes "yes"`, "PUBREC id=2", "PUBCOMP id=2")
			} else {
				s.heard("a", "CONNACK Success", "SUBACK id=9 [q0]", "PUBACK id=1", "PUBREC id=2")
			}
		}},
		{"MQTT-3.8.4-6 subscriptions", not31, BrokerConfig{RefuseSubscribe: func(client string, filter []byte) mqttcore.ReasonCode {
			if string(filter) == "no" {
				return mqttcore.ReasonNotAuthorized
			}
			return mqttcore.ReasonSuccess
		}}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", sub(1, to("yes", 1), to("no", 1)), pub("no", "m", 0, 0))
			s.heard("a", "CONNACK Success", map[bool]string{true: "SUBACK id=1 [q1, Not authorized]", false: "SUBACK id=1 [q1, Unspecified error]"}[v == v5])
		}},
		{"MQTT-3.14.0-1 a DISCONNECT later", versions, BrokerConfig{}, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.b.Disconnect("a", mqttcore.ReasonUseAnotherServer, "there")
			s.wait(time.Second)
			if v == v5 {
				s.heard("a", "CONNACK Success", "DISCONNECT Use another server {Server Reference: there}", "closed")
			} else {
				s.heard("a", "CONNACK Success", "closed")
			}
		}},
	})
}

func TestBrokerAuthenticates(t *testing.T) {
	script := &AuthScript{Method: "m", Rounds: []AuthRound{{[]byte("c1"), []byte("a1")}, {[]byte("c2"), []byte("a2")}}, Final: []byte("f")}
	cfg := BrokerConfig{Auth: script}
	auth := func(code mqttcore.ReasonCode, method, data string) *mqttcore.Auth {
		return &mqttcore.Auth{Code: code, Props: list([]mqttcore.Property{mqttcore.AuthMethod(method), mqttcore.AuthData(data)})}
	}
	const more, again = mqttcore.ReasonContinueAuthentication, mqttcore.ReasonReAuthenticate
	const c1 = "AUTH Continue authentication {Authentication Method: m, Authentication Data: 2 bytes}"
	enter := func(s *scene, v mqttcore.Version) {
		s.dial("a", v)
		s.say("a", clean("a", mqttcore.AuthMethod("m")))
		s.say("a", auth(more, "m", "a1"), auth(more, "m", "a2"))
		if r := s.client("a"); len(r.got) != 3 || r.got[2][:15] != "CONNACK Success" {
			s.t.Fatalf("%q; want two challenges, and to be let in", r.got)
		}
		s.client("a").got = nil
	}
	rest := func(s *scene) []string {
		got := s.client("a").got
		s.client("a").got = nil
		for i, g := range got {
			got[i] = g[:min(len(g), 25)]
		}
		return got
	}
	expect := func(s *scene, want ...string) {
		s.t.Helper()
		got := rest(s)
		for i := range want {
			want[i] = want[i][:min(len(want[i]), 25)]
		}
		if !slices.Equal(got, want) {
			s.t.Errorf("heard %q; want %q", got, want)
		}
	}
	runFeatures(t, []feature{
		{"MQTT-4.12.0-2 several rounds, and again", only5, cfg, func(s *scene, v mqttcore.Version) {
			enter(s, v)
			s.say("a", auth(again, "m", "x"))
			s.say("a", pub("x", "meanwhile", 1, 1), auth(more, "m", "a1"), auth(more, "m", "a2"))
			expect(s, c1, "PUBACK id=1", c1, "AUTH Success {Authentication Method: m")
		}},
		{"MQTT-4.12.0-1 an unknown method", only5, cfg, func(s *scene, v mqttcore.Version) {
			s.dial("a", v)
			s.say("a", clean("a", mqttcore.AuthMethod("other")))
			s.heard("a", "CONNACK Bad authentication method", "closed")
		}},
		{"MQTT-4.12.0-4 a wrong answer", only5, cfg, func(s *scene, v mqttcore.Version) {
			s.dial("a", v)
			s.say("a", clean("a", mqttcore.AuthMethod("m")), auth(more, "m", "a2"))
			expect(s, c1, "CONNACK Not authorized", "closed")
		}},
		{"MQTT-4.12.1-2 a wrong answer later", only5, cfg, func(s *scene, v mqttcore.Version) {
			enter(s, v)
			s.say("a", auth(again, "m", ""), auth(more, "m", "no"))
			expect(s, c1, "DISCONNECT Not authorized", "closed")
		}},
		{"MQTT-4.12.0-5 another method", only5, cfg, func(s *scene, v mqttcore.Version) {
			enter(s, v)
			s.say("a", auth(again, "n", ""))
			s.broke("MQTT-4.12.0-5")
		}},
		{"MQTT-4.12.0-3 an answer to nothing", only5, cfg, func(s *scene, v mqttcore.Version) {
			enter(s, v)
			s.say("a", auth(more, "m", ""))
			s.broke("MQTT-4.12.0-3")
			s.heard("a", "DISCONNECT Protocol Error", "closed")
		}},
		{"MQTT-4.12.0-7 no method", only5, cfg, func(s *scene, v mqttcore.Version) {
			s.in("a", v, clean("a"))
			s.say("a", auth(again, "m", ""))
			s.broke("MQTT-4.12.0-7")
		}},
		{"MQTT-3.1.2-30 something else in between", only5, cfg, func(s *scene, v mqttcore.Version) {
			s.dial("a", v)
			s.say("a", clean("a", mqttcore.AuthMethod("m")), &mqttcore.Ping{Type: mqttcore.TypePingReq})
			s.broke("MQTT-3.1.2-30")
			expect(s, c1, "CONNACK Protocol Error", "closed")
		}},
		{"an answer that does not come", only5, cfg, func(s *scene, v mqttcore.Version) {
			s.dial("a", v)
			s.say("a", clean("a", mqttcore.AuthMethod("m")))
			s.wait(connectPatience)
			expect(s, c1, "closed")
		}},
	})
}
