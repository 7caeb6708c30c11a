// This file holds scenarios that are said word by word, by speakers without a
// mind. Nothing is expected here but that mosquitto and the simulator's model
// broker say the same: see differences_test.go.

package interop

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"mqttcore"
	"mqttcore/interop/brokers"
)

const (
	pubAck  = mqttcore.TypePubAck
	pubRec  = mqttcore.TypePubRec
	pubRel  = mqttcore.TypePubRel
	pubComp = mqttcore.TypePubComp
)

var wordByWord = []struct {
	name     string
	versions []mqttcore.Version
	options  brokers.Options
	run      func(s *scene)
}{
	{"retained", versions, brokers.Options{}, func(s *scene) {
		a := s.connect("a")
		for i, topic := range []string{"r/b", "r/a", "r/c/d", "other"} {
			m := s.message(topic, "first "+topic, mqttcore.QoS(i%3), uint16(min(1, i%3)))
			m.Retain = true
			a.say(m)
		}
		m := s.message("r/a", "second", 1, 1)
		m.Retain = true
		a.say(m)
		s.connect("b").say(s.subscribe(1, "r/#"))
		c := s.connect("c")
		c.say(s.subscribe(2, "r/a"))
		c.say(s.subscribe(2, "r/a")) // they come again
		a.say(s.message("r/a", "not retained", 0, 0))
		m.Payload = nil
		a.say(m) // forgets
		d := s.connect("d")
		d.say(s.subscribe(2, "r/#", "other"))
		d.say(s.subscribe(2, "r/c/+")) // they come for this one
	}},
	{"overlaps", versions, brokers.Options{}, overlaps},
	{"overlaps, a copy each", withProps, brokers.Options{Copies: true}, overlaps},
	{"wildcards", versions, brokers.Options{}, func(s *scene) {
		for _, f := range []string{"#", "+", "+/+", "/+", "a/#", "a/+", "+/b/#", "/#", "$x/#", "$x/+", "$x", "+/y"} {
			s.connect("of " + f).say(s.subscribe(1, f))
		}
		a := s.connect("a")
		for _, topic := range []string{"a", "/a", "a/", "a/b", "a/b/c", "/", "//", "$x/y", "$x", "a b", "$x/", "ü/b"} {
			a.say(s.message(topic, topic, 1, 1))
		}
	}},
	{"unsubscribe", versions, brokers.Options{}, func(s *scene) {
		a := s.connect("a")
		a.say(s.subscribe(1, "x", "y", "z/#"))
		f, err := mqttcore.NewFilters("y", "never", "z/+", "y")
		if err != nil {
			s.t.Fatal(err)
		}
		a.say(&mqttcore.Unsubscribe{ID: 9, Filters: f})
		for _, topic := range []string{"x", "y", "z/1"} {
			a.say(s.message(topic, topic, 1, 1))
		}
	}},
	{"$share", versions, brokers.Options{}, func(s *scene) {
		b, c := s.connect("b"), s.connect("c")
		b.say(s.subscribe(1, "$share/g/t", "t"))
		c.say(s.subscribe(1, "$share/g/t"))
		a := s.connect("a")
		for _, payload := range []string{"1", "2", "3", "4"} {
			a.say(s.message("t", payload, 1, 1))
		}
		c.end()
		for _, payload := range []string{"5", "6"} {
			a.say(s.message("t", payload, 1, 1))
		}
	}},
	{"options", withProps, brokers.Options{}, func(s *scene) {
		b := s.connect("b")
		for i, o := range everyOption {
			a := s.connect(fmt.Sprint("a", i))
			topic := fmt.Sprint("t/", i)
			b.say(s.retained(topic, "old"))
			for range 2 {
				a.say(s.with(o, topic))
				a.say(s.retained(topic, "of its own"))
				b.say(s.retained(topic, "of another's"))
			}
		}
	}},
	{"options changed", withProps, brokers.Options{}, func(s *scene) {
		b := s.connect("b")
		for i, o := range everyOption {
			a := s.connect(fmt.Sprint("a", i))
			topic := fmt.Sprint("t/", i)
			a.say(s.with(mqttcore.Subscription{}, topic))
			a.say(s.with(o, topic))
			a.say(s.message(topic, "of its own", 1, 1))
			b.say(s.retained(topic, "of another's"))
		}
	}},
	{"PUBREL again", versions, brokers.Options{}, func(s *scene) {
		a := s.connect("a")
		a.rude = true
		a.say(s.subscribe(0, "t"))
		a.say(s.message("t", "x", 2, 7))
		a.say(ack(pubRel, 7, 0))
		a.say(ack(pubRel, 7, 0))
		a.say(ack(pubRel, 8, 0))
	}},
	{"PUBLISH again", versions, brokers.Options{}, func(s *scene) {
		a := s.connect("a")
		a.say(s.subscribe(0, "t"))
		a.rude = true
		m := s.message("t", "x", 2, 7)
		a.say(m)
		m.Dup = true
		a.say(m)
		a.say(ack(pubRel, 7, 0))
		m.Dup = false
		a.say(m) // a new message with the same identifier
		a.say(ack(pubRel, 7, 0))
	}},
	{"acknowledgements of nothing", versions, brokers.Options{}, func(s *scene) {
		for _, t := range types(pubAck, pubRec, pubComp) {
			a := s.connect("a, " + t.String())
			a.rude = true
			a.say(ack(t, 3, 0))
		}
	}},
	{"acknowledgements of the wrong kind", versions, brokers.Options{}, func(s *scene) {
		b := s.connect("b")
		for q, ts := range [][]mqttcore.PacketType{1: types(pubRec, pubComp), 2: types(pubAck, pubComp)} {
			for _, t := range ts {
				a := s.connect(fmt.Sprint("QoS ", q, ", ", t))
				a.rude = true
				a.say(s.subscribe(2, "t"))
				b.say(s.message("t", "x", mqttcore.QoS(q), 1))
				a.say(ack(t, id(a), 0))
			}
		}
	}},
	{"acknowledgements that refuse", withProps, brokers.Options{}, func(s *scene) {
		a, b := s.connect("a", s.kept(100)), s.connect("b")
		a.say(s.subscribe(2, "t"))
		a.rude = true
		for q, t := range types(0, pubAck, pubRec) {
			if q > 0 {
				b.say(s.message("t", "refused", mqttcore.QoS(q), 1))
				a.say(ack(t, id(a), mqttcore.ReasonQuotaExceeded))
			}
		}
		a.end()
		s.connect("a", s.kept(100)).say() // nothing is left
	}},
	{"offline", versions, brokers.Options{}, func(s *scene) {
		a, b := s.connect("a", s.kept(100)), s.connect("b")
		a.say(s.subscribe(2, "t"))
		a.end()
		for q := range mqttcore.QoS2 + 1 {
			b.say(s.message("t", "away", q, uint16(q)))
		}
		a = s.dial("a")
		a.rude = true
		a.connect("a", s.kept(100)).say()
		a.end() // without an answer
		a = s.connect("a", s.kept(100))
		a.say()
	}},
	{"resume in every state", versions, brokers.Options{}, func(s *scene) {
		a, b := s.connect("a", s.kept(100)), s.connect("b")
		a.rude = true
		a.say(s.subscribe(2, "t"))
		for i, q := range []mqttcore.QoS{2, 1, 2, 1, 2} {
			b.say(s.message("t", string(rune('A'+i)), q, 1))
			if i == 0 || i == 4 {
				a.say(ack(pubRec, id(a), 0))
			}
		}
		a.end()
		b.say(s.message("t", "F", 1, 1))
		s.connect("a", s.kept(100)).say()
	}},
	{"clean start", versions, brokers.Options{}, func(s *scene) {
		s.connect("a", s.kept(100)).say(s.subscribe(1, "t"))
		s.speakers[0].end()
		b := s.connect("b")
		s.connect("a").leave(mqttcore.Disconnect{}) // ends the session
		s.connect("a", s.kept(100)).say()
		b.say(s.message("t", "nobody", 1, 1))
	}},
	{"session expiry", withProps, brokers.Options{}, func(s *scene) {
		seconds := []uint32{0, 1, 100, 0xFFFFFFFF}
		for _, n := range seconds {
			name := fmt.Sprint("a", n)
			s.connect(name, s.kept(n)).end()
			s.connect(name, s.kept(100)).leave(mqttcore.Disconnect{Props: props(s.t, s.v, mqttcore.SessionExpiry(0))})
			s.connect(name, s.kept(n)).leave(mqttcore.Disconnect{})
		}
		time.Sleep(3 * time.Second)
		for _, n := range seconds {
			s.connect(fmt.Sprint("a", n), s.kept(0)).leave(mqttcore.Disconnect{})
		}
		k := s.connect("raised")
		k.say(&mqttcore.Disconnect{Props: props(s.t, s.v, mqttcore.SessionExpiry(5))}) // after 0
	}},
	{"will", versions, brokers.Options{}, func(s *scene) {
		b := s.connect("b")
		b.say(s.subscribe(2, "will/#"))
		will := func(c *mqttcore.Connect) {
			c.Will = mqttcore.Will{Topic: []byte("will/" + string(c.ClientID)), Payload: []byte("gone"), QoS: mqttcore.QoS2, Retain: true,
				Props: props(s.t, s.v, mqttcore.ContentType("text"), mqttcore.MessageExpiry(100))}
		}
		s.connect("cut", will).end()
		s.settle()
		s.connect("polite", will).leave(mqttcore.Disconnect{})
		s.settle()
		if s.v == v5 {
			s.connect("explicit", will).leave(mqttcore.Disconnect{Code: mqttcore.ReasonDisconnectWithWill})
			s.settle()
		}
		s.connect("bad", will).bytes("F0 00")
		s.settle()
		s.connect("taken over", will)
		s.connect("taken over").say()
		s.connect("late").say(s.subscribe(2, "will/#"))
	}},
	{"will delay", withProps, brokers.Options{}, func(s *scene) {
		b := s.connect("b")
		b.say(s.subscribe(2, "will/#"))
		will := func(delay, expiry uint32) func(*mqttcore.Connect) {
			return func(c *mqttcore.Connect) {
				s.kept(expiry)(c)
				c.Will = mqttcore.Will{Topic: []byte("will/" + string(c.ClientID)), Payload: []byte("gone"), QoS: mqttcore.QoS1,
					Props: props(s.t, s.v, mqttcore.WillDelay(delay))}
			}
		}
		s.connect("back in time", will(2, 100)).end()
		s.settle()
		s.connect("back in time", s.kept(100)).say()
		s.connect("late", will(1, 100)).end()
		s.settle()
		s.connect("session first", will(100, 3)).end()
		s.settle()
		time.Sleep(6 * time.Second)
		s.settle()
	}},
	{"take over", versions, brokers.Options{}, func(s *scene) {
		s.connect("a", s.kept(100)).say(s.subscribe(1, "t"))
		a := s.connect("a", s.kept(100))
		a.say(s.message("t", "to the new one", 1, 1))
		s.connect("a").say(s.message("t", "to nobody", 1, 1))
	}},
	{"the client's Receive Maximum", withProps, brokers.Options{}, func(s *scene) {
		a := s.connect("a", func(c *mqttcore.Connect) { c.Props = props(s.t, s.v, mqttcore.ReceiveMaximum(2)) })
		a.say(s.subscribe(2, "t"))
		a.rude = true
		b := s.connect("b")
		for _, payload := range []string{"1", "2", "3", "4", "5"} {
			b.say(s.message("t", payload, 2, 1))
		}
		first := id(a)
		a.say(ack(pubRec, first, 0)) // gives nothing back
		a.say(ack(pubComp, first, 0))
		a.say(ack(pubRec, id(a), mqttcore.ReasonQuotaExceeded))
	}},
	{"the server's Receive Maximum", versions, brokers.Options{}, func(s *scene) {
		a := s.connect("a")
		a.rude = true
		for n := range uint16(21) {
			a.say(s.message("t", "x", 2, n+1))
		}
	}},
	{"aliases", withProps, brokers.Options{}, func(s *scene) {
		for _, steps := range [][]struct {
			topic string
			alias uint16
		}{
			{{"t/1", 1}, {"", 1}, {"t/2", 10}, {"", 10}, {"t/3", 1}, {"", 1}},
			{{"", 1}},
			{{"t/1", 11}},
		} {
			a := s.connect("a")
			a.say(s.subscribe(0, "t/+"))
			for _, step := range steps {
				if a.over {
					break
				}
				m := s.message(step.topic, "x", 0, 0)
				m.Props = props(s.t, s.v, mqttcore.TopicAlias(step.alias))
				a.say(m)
			}
			if !a.over {
				a.leave(mqttcore.Disconnect{}) // aliases are of one connection
			}
		}
	}},
	{"what connects in 3.x", []mqttcore.Version{v31, v311}, brokers.Options{}, func(s *scene) {
		long := func(c *mqttcore.Connect) { c.ClientID = slices.Repeat([]byte("i"), 23) }
		s.connect("23 characters", long)
		s.connect("password", func(c *mqttcore.Connect) { c.Username, c.Password = []byte("u"), []byte("p") })
		s.connect("no password", func(c *mqttcore.Connect) { c.Username = []byte{} })
		s.settle()
	}},
}

func overlaps(s *scene) {
	a, b := s.connect("a"), s.connect("b")
	b.say(s.subscribe(0, "a/#"))
	b.say(s.subscribe(1, "a/+"))
	b.say(s.subscribe(2, "a/b"))
	for q := range mqttcore.QoS2 + 1 {
		a.say(s.message("a/b", "three", q, uint16(q)))
	}
	a.say(s.message("a/c", "two", 2, 1))
	a.say(s.message("a/c/d", "one", 2, 1))
}

// everyOption are the options of a subscription.
var everyOption = []mqttcore.Subscription{
	{}, {NoLocal: true}, {RetainAsPublished: true}, {RetainHandling: mqttcore.RetainSendIfNew},
	{RetainHandling: mqttcore.RetainDoNotSend}, {NoLocal: true, RetainAsPublished: true},
}

// with makes a SUBSCRIBE at QoS 2 with options.
func (s *scene) with(o mqttcore.Subscription, filter string) *mqttcore.Subscribe {
	s.t.Helper()
	o.Filter, o.QoS = []byte(filter), mqttcore.QoS2
	l, err := mqttcore.NewSubscriptions(o)
	if err != nil {
		s.t.Fatal(err)
	}
	return &mqttcore.Subscribe{ID: 1, Subscriptions: l}
}

// retained makes a PUBLISH at QoS 1 with RETAIN.
func (s *scene) retained(topic, payload string) *mqttcore.Publish {
	m := s.message(topic, payload, 1, 1)
	m.Retain = true
	return m
}

// id is the packet identifier of the last message that a speaker got.
func id(k *speaker) uint16 {
	for _, p := range slices.Backward(k.got) {
		if m, ok := p.(*mqttcore.Publish); ok {
			return m.ID
		}
	}
	return 0
}

func TestWordByWord(t *testing.T) {
	t.Parallel()
	for _, w := range wordByWord {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			for _, v := range w.versions { // each with a broker that knows nothing yet
				eachVersion(t, w.options, []mqttcore.Version{v}, func(t *testing.T, h host, v mqttcore.Version) {
					w.run(&scene{t: t, h: h, v: v})
				}, mosquitto, model)
			}
		})
	}
}

// malformed is what a client may not say, in hexadecimal: after CONNECT, or
// instead of it.
var malformed = []struct {
	name     string
	versions []mqttcore.Version
	first    bool
	hex      string
}{
	{"not CONNECT", versions, true, "C000"},
	{"unknown protocol", versions, true, "1012 0004 58585858 05 02 0000 00 0005 68656C6C6F"},
	{"level 6", versions, true, "1011 0004 4D515454 06 02 0000 0005 68656C6C6F"},
	{"level 9 of MQIsdp", versions, true, "1013 0006 4D5149736470 09 02 0000 0005 68656C6C6F"},
	{"reserved flag of CONNECT", []mqttcore.Version{v311}, true, "1011 0004 4D515454 04 03 0000 0005 68656C6C6F"},
	{"will of QoS 3", []mqttcore.Version{v311}, true, "1017 0004 4D515454 04 1E 0000 0005 68656C6C6F 0001 77 0001 78"},
	{"will QoS without will", []mqttcore.Version{v311}, true, "1011 0004 4D515454 04 0A 0000 0005 68656C6C6F"},
	{"password without user name", []mqttcore.Version{v311}, true, "1014 0004 4D515454 04 42 0000 0005 68656C6C6F 0001 70"},
	{"password without user name, 5.0", withProps, true, "1015 0004 4D515454 05 42 0000 00 0005 68656C6C6F 0001 70"},
	{"identifier not UTF-8", []mqttcore.Version{v311}, true, "100E 0004 4D515454 04 02 0000 0002 C080"},
	{"no identifier, session to keep", []mqttcore.Version{v311}, true, "100C 0004 4D515454 04 00 0000 0000"},
	{"no identifier, clean", []mqttcore.Version{v311}, true, "100C 0004 4D515454 04 02 0000 0000"},
	{"no identifier, 3.1", []mqttcore.Version{v31}, true, "100E 0006 4D5149736470 03 02 0000 0000"},
	{"bytes after CONNECT's payload", []mqttcore.Version{v311}, true, "1012 0004 4D515454 04 02 0000 0005 68656C6C6F 00"},
	{"second CONNECT", []mqttcore.Version{v311}, false, "1011 0004 4D515454 04 02 0000 0005 68656C6C6F"},
	{"second CONNECT, 5.0", withProps, false, "1012 0004 4D515454 05 02 0000 00 0005 68656C6C6F"},
	{"type 0", versions, false, "0000"},
	{"CONNACK", versions, false, "20020000"},
	{"PINGRESP", versions, false, "D000"},
	{"AUTH in 3.x", []mqttcore.Version{v31, v311}, false, "F000"},
	{"AUTH without a method", withProps, false, "F000"},
	{"PUBLISH of QoS 3", versions, false, "3606 0001 74 0001 78"},
	{"PUBLISH with identifier 0", []mqttcore.Version{v31, v311}, false, "3206 0001 74 0000 78"},
	{"PUBLISH with identifier 0, 5.0", withProps, false, "3207 0001 74 0000 00 78"},
	{"PUBLISH to a filter", []mqttcore.Version{v31, v311}, false, "3005 0003 612F23"},
	{"PUBLISH to a filter, 5.0", withProps, false, "3006 0003 612F2B 00"},
	{"PUBLISH to no topic", []mqttcore.Version{v31, v311}, false, "3003 0000 78"},
	{"PUBLISH to no topic, 5.0", withProps, false, "3004 0000 00 78"},
	{"PUBLISH to a topic with NUL", []mqttcore.Version{v311}, false, "3005 0003 610062"},
	{"PUBLISH to a topic that is not UTF-8", []mqttcore.Version{v311}, false, "3004 0002 C080"},
	{"PUBLISH cut short", []mqttcore.Version{v311}, false, "3003 0005 61"},
	{"PUBLISH with alias 0", withProps, false, "3007 0001 74 03 230000"},
	{"PUBLISH with an unknown property", withProps, false, "3006 0001 74 02 7F00"},
	{"PUBLISH with a property of CONNECT", withProps, false, "3007 0001 74 03 21000A"},
	{"PUBLISH with content type twice", withProps, false, "300C 0001 74 08 03000161 03000162"},
	{"PUBLISH with a subscription identifier", withProps, false, "3006 0001 74 02 0B01"},
	{"PUBREL with wrong flags", []mqttcore.Version{v311}, false, "60020001"},
	{"SUBSCRIBE with wrong flags", []mqttcore.Version{v311}, false, "8006 0001 0001 74 00"},
	{"SUBSCRIBE to nothing", []mqttcore.Version{v31, v311}, false, "8202 0001"},
	{"SUBSCRIBE to nothing, 5.0", withProps, false, "8203 0001 00"},
	{"SUBSCRIBE with identifier 0", []mqttcore.Version{v311}, false, "8206 0000 0001 74 00"},
	{"SUBSCRIBE at QoS 3", []mqttcore.Version{v311}, false, "8206 0001 0001 74 03"},
	{"SUBSCRIBE with reserved options", withProps, false, "8207 0001 00 0001 74 C0"},
	{"SUBSCRIBE with retain handling 3", withProps, false, "8207 0001 00 0001 74 30"},
	{"SUBSCRIBE with subscription identifier 0", withProps, false, "8209 0001 02 0B00 0001 74 00"},
	{"SUBSCRIBE to a bad filter", []mqttcore.Version{v31, v311}, false, "8208 0001 0003 23 2F 61 00"},
	{"SUBSCRIBE to a bad filter, 5.0", withProps, false, "8209 0001 00 0003 61 2B 62 00"},
	{"SUBSCRIBE, shared, no local", withProps, false, "8210 0001 00 000A 2473686172652F672F74 04"},
	{"SUBSCRIBE, shared, without a name", withProps, false, "820F 0001 00 0009 2473686172652F2F74 00"},
	{"UNSUBSCRIBE from nothing", []mqttcore.Version{v31, v311}, false, "A202 0001"},
	{"UNSUBSCRIBE from nothing, 5.0", withProps, false, "A203 0001 00"},
	{"UNSUBSCRIBE from a bad filter", []mqttcore.Version{v311}, false, "A207 0001 0003 23 2F 61"},
	{"PINGREQ with a payload", versions, false, "C00100"},
	{"DISCONNECT with a payload", []mqttcore.Version{v311}, false, "E00100"},
	{"DISCONNECT with an unknown code", withProps, false, "E0017F"},
	{"PUBACK with an unknown code", withProps, false, "4003 0001 55"},
	{"length of five bytes", versions, false, "30FFFFFFFF01"},
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	eachVersion(t, brokers.Options{}, versions, func(t *testing.T, h host, v mqttcore.Version) {
		s := &scene{t: t, h: h, v: v}
		for i, m := range malformed {
			if !slices.Contains(m.versions, v) {
				continue
			}
			s.speakers = nil
			var k *speaker
			if m.first {
				k = s.dial(m.name)
			} else {
				k = s.connect(m.name, func(c *mqttcore.Connect) { c.ClientID = fmt.Append(nil, i) })
			}
			k.bytes(m.hex)
			for end := time.Now().Add(limit); m.first && k.heard == 0 && !k.over && time.Now().Before(end); {
				k.hear(end)
			}
			s.settle() // ends, or answers
		}
	}, mosquitto, model)
}
