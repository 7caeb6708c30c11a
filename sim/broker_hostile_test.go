// This file holds the tests of the broker's own devices: matching, and what it
// does when it is hostile, also to the real client.

package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mqttcore"
)

func TestBrokerMatches(t *testing.T) {
	tests := []struct {
		filter, topic string
		want          bool
	}{
		{"a", "a", true}, {"a", "a/b", false}, {"a/b", "a", false}, {"a/#", "a", true}, {"a/#", "a/b/c", true},
		{"+", "a", true}, {"+", "a/b", false}, {"+/+", "a/", true}, {"#", "", true}, {"#", "$a", false}, {"+/a", "$b/a", false},
		{"$b/+", "$b/a", true}, {"a/+/c", "a//c", true}, {"/+", "/a", true}, {"+", "/a", false}, {"$share/g/a", "a", false},
	}
	for _, test := range tests {
		if got := matches([]byte(test.filter), []byte(test.topic)); got != test.want {
			t.Errorf("%q, %q: %v; want %v", test.filter, test.topic, got, test.want)
		}
	}
	// All short strings: the codec is of the same opinion.
	const letters = "a/+#$"
	var all []string
	for n, from := 1, 0; n <= 4; n++ {
		if n == 1 {
			all = append(all, "")
		}
		end := len(all)
		for _, s := range all[from:end] {
			for _, c := range letters {
				all = append(all, s+string(c))
			}
		}
		from = end
	}
	pairs := 0
	for _, f := range all {
		if mqttcore.CheckTopicFilter([]byte(f)) != nil {
			continue
		}
		for _, n := range all {
			if mqttcore.CheckTopicName([]byte(n)) != nil {
				continue
			}
			pairs++
			if a, b := matches([]byte(f), []byte(n)), mqttcore.Match([]byte(f), []byte(n)); a != b {
				t.Errorf("%q, %q: %v; the codec says %v", f, n, a, b)
			}
		}
	}
	if pairs < 1000 {
		t.Errorf("%d pairs", pairs)
	}
}

func TestBrokerTalks(t *testing.T) {
	const remark = " {User Property: mood=bad, Reason String: because, User Property: mood=worse}"
	story := func(s *scene, ps ...mqttcore.Property) []string {
		s.in("a", v5, clean("a", ps...))
		s.say("a", sub(1, to("x", 0)), pub("y", "", 1, 1), pub("y", "", 2, 2), ack(pubrel, 2), unsub(3, "x"))
		s.b.Disconnect("a", mqttcore.ReasonServerBusy, "")
		s.wait(time.Second)
		return s.client("a").got
	}
	plain := []string{"CONNACK Success", "SUBACK id=1 [q0]", "PUBACK id=1", "PUBREC id=2", "PUBCOMP id=2", "UNSUBACK id=3 [Success]", "DISCONNECT Server busy", "closed"}
	silent := slices.Clone(plain)
	silent[0] += remark
	silent[6] += remark
	full := slices.Clone(plain)
	for i := range full[:7] {
		full[i] += remark
	}
	for _, test := range []struct {
		name string
		ps   []mqttcore.Property
		want []string
	}{
		{"everywhere", nil, full},
		{"MQTT-3.1.2-29 only where it may", []mqttcore.Property{mqttcore.RequestProblemInfo(0)}, silent},
		{"MQTT-3.4.2-2, MQTT-3.4.2-3 not where it is too long", []mqttcore.Property{mqttcore.MaximumPacketSize(20)}, plain},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := story(newScene(t, BrokerConfig{Hostile: Hostility{Talk: 1000}}), test.ps...)
			if !slices.Equal(got, test.want) {
				t.Errorf("heard\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// What is illegal comes last, and the connection ends even if the client does
// not end it.
func TestBrokerIllegalIsLast(t *testing.T) {
	eachVersion(t, func(t *testing.T, v mqttcore.Version) {
		for seed := range uint64(30) {
			w, b := New(Seed(seed), Faults{}), NewBroker(BrokerConfig{})
			server, r := w.Add("broker", b), &raw{v: v}
			h := w.Add("client", r)
			c := h.Dial(server)
			w.Run(time.Millisecond)
			for i, p := range []mqttcore.Packet{kept(v, "a"), sub(1, to("x", 1)), pub("x", "m", 1, 1), &mqttcore.Ping{Type: mqttcore.TypePingReq}} {
				out, err := p.AppendTo(nil, mqttcore.Dialect{Version: v, From: mqttcore.FromClient})
				if err != nil {
					t.Fatal(err)
				}
				c.Write(out)
				if i == 0 {
					w.Run(time.Second)
					b.Config.Hostile.Illegal = 1000
				}
			}
			w.Run(time.Second)
			// CONNACK, SUBACK, and one that is wrong, or wrong where it comes.
			if len(r.got) != 3 || !strings.HasPrefix(r.got[1], "SUBACK") || !strings.HasPrefix(r.got[2], "mqttcore: ") && r.got[2] != "CONNACK Success" {
				t.Errorf("seed %d: heard %q", seed, r.got)
			}
			if b.Stats.Illegal != 1 || r.over {
				t.Errorf("seed %d: %d illegal packets, over %v", seed, b.Stats.Illegal, r.over)
			}
			w.Run(illegalPatience)
			if !r.over {
				t.Errorf("seed %d: the connection goes on", seed)
			}
			if info := b.Sessions()[0]; info.Connected || info.Queued != 1 {
				t.Errorf("seed %d: %+v; want the message waiting", seed, info)
			}
		}
	})
}

// What comes in place of CONNACK ends the attempt, and the next one finds all as
// it was.
func TestBrokerSpoilsGreeting(t *testing.T) {
	for _, clean := range []bool{false, true} {
		seen := map[string]bool{}
		eachVersion(t, func(t *testing.T, v mqttcore.Version) {
			for seed := range uint64(300) {
				b := NewBroker(BrokerConfig{Hostile: Hostility{Illegal: 1000}})
				s := &stage{t: t, w: New(Seed(seed), Faults{}), b: b}
				s.host = s.w.Add("broker", b)
				var told mqttcore.ReasonCode
				b.OnOddity = func(name string) { seen[name] = true }
				b.OnIllegal = func(_ string, _ *Conn, code mqttcore.ReasonCode) { told = code }
				cfg := lasting(v)
				cfg.CleanStart = clean
				p := s.peer(cfg)
				p.conn = p.h.Dial(s.host)
				s.run()
				ev := p.take(mqttcore.EventClosed)
				if ev.Cause != mqttcore.CauseProtocolViolation || ev.Code != told && ev.Code != mqttcore.ReasonProtocolError {
					t.Errorf("seed %d: %v; want a protocol violation, %v", seed, &ev, told)
				}
				b.Config.Hostile = Hostility{}
				s.connect(p)
				s.settled(p)
			}
		})
		for _, row := range greetings {
			if name := "illegal: " + row.name; !seen[name] {
				t.Errorf("clean start %v: never %s", clean, name)
			}
		}
		if seen["illegal: Session Present on Clean Start"] != clean {
			t.Errorf("clean start %v: %v", clean, seen)
		}
	}
}

// What an earlier connection left unanswered is acknowledged where the window
// makes sure that it has not come again; the client gives no place in the window
// back for it, and does not send it again.
func TestBrokerLateAck(t *testing.T) {
	for _, test := range []struct {
		window uint16 // on the second connection
		late   int    // so many of five messages
		again  int    // that come again
	}{{5, 0, 5}, {4, 1, 4}, {1, 4, 1}} {
		t.Run(fmt.Sprint(test.window), func(t *testing.T) {
			s := newStage(t, BrokerConfig{AckDelay: time.Hour, Hostile: Hostility{Late: 1000}})
			late := 0
			s.b.OnOddity = func(string) { late++ }
			cfg := lasting(v5)
			p := s.peer(cfg)
			s.connect(p)
			for i := range 5 {
				p.publish("x", fmt.Sprint(i), 1, uint64(i))
			}
			s.run()
			p.drop()
			s.run()
			s.b.Config.AckDelay, s.b.Config.ReceiveMaximum = 0, test.window
			s.connect(p)
			s.settled(p)
			again := 0
			for _, typ := range p.sent {
				if typ == mqttcore.TypePublish {
					again++
				}
			}
			if late != test.late || again != test.again {
				t.Errorf("%d acknowledged late and %d sent again, want %d and %d", late, again, test.late, test.again)
			}
		})
	}
}

// The same source gives the same run, malice included, and so does its tape.
func TestBrokerIsDeterministic(t *testing.T) {
	run := func(src Source) (uint64, BrokerStats) {
		w := New(src, Faults{Latency: 20 * time.Millisecond, Cut: 10, Chunk: 50})
		b := NewBroker(BrokerConfig{Aliases: 3, Hostile: Hostility{Odd: 100, Talk: 100, Illegal: 20, Shrink: 3}})
		s := &stage{t: t, w: w, b: b, host: w.Add("broker", b)}
		cfg := lasting(v5)
		cfg.Props = list([]mqttcore.Property{mqttcore.SessionExpiry(100), mqttcore.TopicAliasMaximum(2)})
		ps := []*peer{s.peer(cfg), s.peer(cfg)}
		for i := range 500 {
			for _, p := range ps {
				if p.conn == nil {
					p.conn = p.h.Dial(s.host)
				} else if p.c.State() == mqttcore.StateConnected && i%5 == 0 {
					p.do(p.c.Subscribe(p.out, p.h.Now(), sub(0, to("x/#", 2)), 1))
				}
				p.publish("x/y", "m", mqttcore.QoS(1+i%2), 1)
				p.events = nil
			}
			w.Run(20 * time.Millisecond)
		}
		return w.Hash(), b.Stats
	}
	rec := &Recorder{Source: Seed(3)}
	hash, stats := run(rec)
	for _, src := range []Source{Seed(3), Tape(rec.Taken)} {
		if h, st := run(src); h != hash || st != stats {
			t.Errorf("%x, %+v; again %x, %+v", hash, stats, h, st)
		}
	}
	if stats.Oddities < 50 || stats.Illegal < 5 || stats.Resumes < 5 {
		t.Errorf("too little happened: %+v", stats)
	}
}

// A hostile broker, and clients that stand it: at QoS 2 everything arrives once
// in the end.
func TestBrokerHostile(t *testing.T) {
	eachVersion(t, func(t *testing.T, v mqttcore.Version) {
		seen := map[string]int{}
		var stats BrokerStats
		for seed := range uint64(40) {
			faults := Faults{Latency: 20 * time.Millisecond}
			if seed%2 == 1 {
				faults = Faults{Latency: 50 * time.Millisecond, Chunk: 100, Cut: 5, HalfOpen: 2, Refuse: 10}
			}
			s := &stage{t: t, w: New(Seed(seed), faults), b: NewBroker(BrokerConfig{
				Unique: true, TopicAliasMaximum: 3, Aliases: 2, AckDelay: time.Duration(seed%3) * time.Millisecond,
				Hostile: Hostility{Odd: 60, Talk: 100, Illegal: 10, Shrink: 5}})}
			s.host = s.w.Add("broker", s.b)
			s.b.OnOddity = func(name string) { seen[name]++ }
			cfg := lasting(v)
			cfg.TopicAliases, cfg.KeepAlive = 2, 5
			if v == v5 {
				cfg.Props = list([]mqttcore.Property{mqttcore.SessionExpiry(1000), mqttcore.ReceiveMaximum(4), mqttcore.TopicAliasMaximum(2)})
			}
			p := s.peer(cfg)
			const messages = 40
			copies := make([]int, messages)
			told := make([]int, messages+1)
			published := make([]int, messages)
			count := func() {
				for _, ev := range p.events {
					switch {
					case ev.Kind == mqttcore.EventMessage && len(ev.Message.Payload) == 1:
						copies[ev.Message.Payload[0]]++
					case ev.Kind == mqttcore.EventPublished:
						told[ev.Tag]++
					}
				}
				p.events = nil
			}
			for i := range 4000 {
				if i == 3000 {
					s.b.Config.Hostile, s.b.Config.AckDelay, s.w.Faults = Hostility{}, 0, Faults{}
				}
				if seed%4 == 3 && i < 3000 && i%500 == 99 {
					s.w.Crash(s.host)
				}
				if p.conn == nil {
					p.conn = p.h.Dial(s.host)
				}
				if i%10 == 3 && p.c.State() == mqttcore.StateConnected {
					p.do(p.c.Subscribe(p.out, p.h.Now(), sub(0, to("x", 2)), messages))
				}
				if _, ok := p.c.Subscribed([]byte("x")); ok && i%30 == 9 && i/30 < messages {
					p.publish("x", string(rune(i/30)), 2, uint64(i/30))
					told[i/30]--
					published[i/30]++
				}
				if i%30 == 19 {
					p.publish("nobody", fmt.Sprint(i), mqttcore.QoS(1+i%2), messages)
				}
				s.w.Run(50 * time.Millisecond)
				count()
			}
			for _, x := range s.b.Violations {
				t.Errorf("seed %d: violation: %v", seed, x)
			}
			s.settled(p)
			for i := range messages {
				if told[i] != 0 || copies[i] != published[i] {
					t.Errorf("seed %d: message %d: %d copies, fates off by %d", seed, i, copies[i], told[i])
				}
			}
			stats.Illegal += s.b.Stats.Illegal
			stats.Resumes += s.b.Stats.Resumes
			if t.Failed() {
				return
			}
		}
		for _, name := range Oddities() {
			if seen[name] == 0 && v == v5 && name != oddNames[oddLateAck] { // which has a test of its own
				t.Errorf("never: %s", name)
			}
		}
		t.Logf("%d illegal packets, %d resumes, %v", stats.Illegal, stats.Resumes, seen)
	})
}
