// This file tests Clone and AppendState of the broker under random traffic: a
// copy goes its own way, and every field that makes a difference is in the
// encoding.

package sim

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"mqttcore"
)

// brokerWalk drives a broker at random, with packets that clients may send and
// with others, and logs what it writes. The same seeds give the same walk.
type brokerWalk struct {
	b     *Broker
	w     *World
	h     *Host
	rng   *rand.Rand
	conns [3]*Conn
	heard [3][]mqttcore.Packet // what may be answered
	n     uint64               // connections
	log   strings.Builder
}

func newBrokerWalk(seed uint64) *brokerWalk {
	cfg := BrokerConfig{Unique: seed%2 == 0, LowIDs: seed%3 == 0, TopicAliasMaximum: 2, Aliases: 2, MaxKeepAlive: 40,
		ReceiveMaximum: 30, MaximumPacketSize: 500,
		Auth: &AuthScript{Method: "m", Rounds: []AuthRound{{[]byte("1"), []byte("one")}, {[]byte("2"), []byte("two")}}}}
	if seed%4 < 2 {
		cfg.AckDelay = time.Second
	}
	if seed%5 == 0 {
		cfg.NoRetain, cfg.NoWildcards, cfg.NoShared, cfg.NoSubscriptionIDs = true, true, true, true
	}
	if seed%3 > 0 {
		cfg.Hostile = Hostility{Odd: 100, Illegal: 5, Late: 300}
	}
	return newWalkOf(NewBroker(cfg), seed, 0)
}

func newWalkOf(b *Broker, seed, stream uint64) *brokerWalk {
	w := &brokerWalk{b: b, w: New(Seed(seed), Faults{}), rng: rand.New(rand.NewPCG(seed, stream))}
	w.h = &Host{Name: "broker", node: b, w: w.w, at: never}
	return w
}

// fork is a walk with a copy of the broker, which goes on at random from a seed
// of its own.
func (w *brokerWalk) fork(seed uint64) *brokerWalk {
	f := newWalkOf(nil, seed, 1)
	f.w.now, f.n = w.w.now, w.n
	f.b = w.b.Clone(func(c *Conn) *Conn {
		d := &Conn{host: f.h, id: c.id, sent: true}
		if i := slices.Index(w.conns[:], c); i >= 0 {
			f.conns[i] = d
		}
		return d
	})
	f.h.node = f.b
	for i, c := range w.conns {
		if c != nil && f.conns[i] == nil {
			f.conns[i] = &Conn{host: f.h, id: c.id, sent: true, over: true} // the broker has closed it
		}
		f.heard[i] = slices.Clone(w.heard[i])
	}
	return f
}

func (w *brokerWalk) state() []byte { return w.b.AppendState(nil, w.h.Now()) }

func (w *brokerWalk) version(i int) mqttcore.Version { return [...]mqttcore.Version{v5, v5, v311}[i] }

// tell lets the broker handle something, and takes what it writes.
func (w *brokerWalk) tell(e Event) {
	w.b.Handle(w.h, e)
	for i, c := range w.conns {
		if c == nil {
			continue
		}
		fmt.Fprintf(&w.log, "%d %x\n", i, c.out)
		d := mqttcore.Dialect{Version: w.version(i), From: mqttcore.FromServer}
		for in := bytes.Clone(c.out); ; {
			f, n, err := mqttcore.ConsumeFrame(in, d, 0)
			if err != nil || n == 0 {
				break
			}
			if p, err := mqttcore.Decode(f, d); err == nil {
				w.heard[i] = append(w.heard[i], p)
			}
			in = in[n:]
		}
		if c.out = nil; c.over {
			w.conns[i], w.heard[i] = nil, nil
		}
	}
}

func (w *brokerWalk) say(i int, p mqttcore.Packet) {
	b, err := p.AppendTo(nil, mqttcore.Dialect{Version: w.version(i), From: mqttcore.FromClient})
	if err != nil {
		fmt.Fprintf(&w.log, "%v\n", err)
		return
	}
	if w.rng.IntN(10) == 0 { // in two pieces
		n := 1 + w.rng.IntN(len(b))
		w.tell(Event{Kind: Received, Conn: w.conns[i], Data: b[:n:n]})
		if b = b[n:]; w.conns[i] == nil || w.rng.IntN(4) == 0 || len(b) == 0 {
			return
		}
	}
	w.tell(Event{Kind: Received, Conn: w.conns[i], Data: b})
}

func (w *brokerWalk) step() {
	r := w.rng
	i := r.IntN(len(w.conns))
	if w.conns[i] == nil {
		w.dial(i)
		return
	}
	ps := func(p ...mqttcore.Property) []mqttcore.Property {
		if w.version(i) != v5 {
			return nil
		}
		return p
	}
	topic, id, q := fmt.Sprint("t/", r.IntN(3)), uint16(1+r.IntN(6)), mqttcore.QoS(r.IntN(3))
	switch r.IntN(16) {
	case 0:
		w.w.now += time.Duration(r.IntN(3000)) * time.Millisecond
		w.tell(Event{Kind: Tick})
	case 1:
		if r.IntN(3) == 0 {
			w.conns[i].over = true
			w.tell(Event{Kind: Lost, Conn: w.conns[i]})
		}
	case 2:
		w.say(i, numberedIf(w.version(i) == v5 && !w.b.Config.NoSubscriptionIDs && r.IntN(2) == 0, sub(id, to(topic, q), to("t/"+fmt.Sprint(r.IntN(3)), q))))
	case 3:
		if filter := "$share/g/" + topic; w.version(i) == v5 && !w.b.Config.NoShared {
			w.say(i, sub(id, to(filter, q)))
		}
	case 4:
		w.say(i, unsub(id, topic))
	case 5, 6, 7:
		var props []mqttcore.Property
		switch r.IntN(4) {
		case 0:
			props = ps(mqttcore.MessageExpiry(uint32(r.IntN(10))))
		case 1:
			props = ps(mqttcore.TopicAlias(uint16(1 + r.IntN(2))))
		case 2:
			props = ps(mqttcore.ContentType("x"))
		}
		p := pub(topic, fmt.Sprint(r.IntN(100)), q, id, props...)
		p.Retain = r.IntN(4) == 0 && !w.b.Config.NoRetain
		if p.Dup = r.IntN(4) == 0 && q > 0; q == 0 {
			p.ID = 0
		}
		w.say(i, p)
	case 8:
		w.say(i, ack(pubrel, id))
	case 9:
		if r.IntN(5) == 0 {
			d := new(mqttcore.Disconnect)
			if w.version(i) == v5 && r.IntN(2) == 0 {
				d.Code = mqttcore.ReasonDisconnectWithWill
			}
			w.say(i, d)
		}
	case 10:
		if i == 0 {
			w.say(i, &mqttcore.Auth{Code: mqttcore.ReasonReAuthenticate, Props: list(ps(mqttcore.AuthMethod("m")))})
		}
	default:
		w.answer(i)
	}
}

func numberedIf(is bool, p *mqttcore.Subscribe) *mqttcore.Subscribe {
	if is {
		return numbered(p, 7)
	}
	return p
}

// dial connects, with one of the clients of the connection.
func (w *brokerWalk) dial(i int) {
	r := w.rng
	w.n++
	w.conns[i] = &Conn{host: w.h, id: w.n, sent: true}
	w.tell(Event{Kind: Opened, Conn: w.conns[i]})
	if r.IntN(8) == 0 {
		return
	}
	c := &mqttcore.Connect{ClientID: fmt.Append(nil, "client", i), CleanStart: r.IntN(5) == 0, KeepAlive: uint16(r.IntN(50))}
	if w.version(i) == v5 {
		props := []mqttcore.Property{mqttcore.SessionExpiry(uint32(r.IntN(100))), mqttcore.TopicAliasMaximum(uint16(r.IntN(3))),
			mqttcore.ReceiveMaximum(uint16(1 + r.IntN(4))), mqttcore.MaximumPacketSize(uint32(60 + r.IntN(3))), mqttcore.RequestProblemInfo(uint8(r.IntN(2)))}
		if i == 0 {
			props = append(props, mqttcore.AuthMethod("m"))
		}
		c.Props = list(props)
		if r.IntN(10) == 0 {
			c.ClientID = nil
		}
	}
	if r.IntN(2) == 0 {
		c.Will = mqttcore.Will{Topic: []byte("t/1"), Payload: []byte("will"), QoS: 1}
		if w.version(i) == v5 {
			c.Will.Props = list([]mqttcore.Property{mqttcore.WillDelay(uint32(r.IntN(30)))})
		}
	}
	w.say(i, c)
}

// answer answers the oldest packet that was heard, if it wants an answer.
func (w *brokerWalk) answer(i int) {
	if len(w.heard[i]) == 0 {
		return
	}
	p := w.heard[i][0]
	w.heard[i] = w.heard[i][1:]
	switch p := p.(type) {
	case *mqttcore.Publish:
		if p.QoS > 0 {
			w.say(i, ack([...]mqttcore.PacketType{puback, pubrec}[p.QoS-1], p.ID))
		}
	case *mqttcore.Ack:
		if next := map[mqttcore.PacketType]mqttcore.PacketType{pubrec: pubrel, pubrel: pubcomp}[p.Type]; next != 0 {
			w.say(i, ack(next, p.ID))
		}
	case *mqttcore.Auth:
		data, _ := p.Props.AuthData()
		answer := map[string]string{"1": "one", "2": "two"}[string(data)]
		if p.Code == mqttcore.ReasonContinueAuthentication {
			w.say(i, &mqttcore.Auth{Code: p.Code, Props: list([]mqttcore.Property{mqttcore.AuthMethod("m"), mqttcore.AuthData(answer)})})
		}
	}
}

func walkBroker(seed uint64, steps int) *brokerWalk {
	w := newBrokerWalk(seed)
	for range steps {
		w.step()
	}
	return w
}

// TestBrokerClone: a clone and its original, driven apart by different traffic,
// each do what a broker does that was never cloned.
func TestBrokerClone(t *testing.T) {
	for seed := range uint64(60) {
		steps := 20 + 3*int(seed)
		orig, alone := walkBroker(seed, steps), walkBroker(seed, steps)
		first, second := orig.fork(seed), orig.fork(seed)
		if !bytes.Equal(first.state(), orig.state()) {
			t.Fatalf("seed %d: the clone is another", seed)
		}
		mine := map[uintptr]string{}
		seen := map[uintptr]bool{}
		belongs("b", reflect.ValueOf(orig.b), seen, func(at uintptr, path string) { mine[at] = path })
		clear(seen)
		belongs("b", reflect.ValueOf(first.b), seen, func(at uintptr, path string) {
			if was, ok := mine[at]; ok {
				t.Fatalf("seed %d: %s of the clone is %s of the original", seed, path, was)
			}
		})
		for range 100 { // in turns: what the one does to the other would show
			first.step()
			orig.step()
		}
		for range 100 {
			second.step()
			alone.step()
		}
		for _, pair := range [...][2]*brokerWalk{{orig, alone}, {first, second}} {
			if d := cmp.Diff(pair[1].log.String(), pair[0].log.String()); d != "" {
				t.Fatalf("seed %d (-alone +together):\n%s", seed, d[:min(len(d), 3000)])
			}
			if !bytes.Equal(pair[0].state(), pair[1].state()) {
				t.Fatalf("seed %d: states differ", seed)
			}
		}
	}
}

// belongs tells where what belongs to a broker is in memory. Messages are never
// changed, and shared.
func belongs(path string, v reflect.Value, seen map[uintptr]bool, tell func(uintptr, string)) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || seen[v.Pointer()] {
			return
		}
		seen[v.Pointer()] = true
		switch v.Type() {
		case reflect.TypeFor[*message](), reflect.TypeFor[*Host](), reflect.TypeFor[*AuthScript](), reflect.TypeFor[*mqttcore.Connect]():
			return
		}
		tell(v.Pointer(), path)
		belongs(path, v.Elem(), seen, tell)
	case reflect.Map:
		if v.IsNil() {
			return
		}
		tell(v.Pointer(), path)
		for it := v.MapRange(); it.Next(); {
			belongs(path+"[]", it.Value(), seen, tell)
		}
	case reflect.Slice:
		if v.Cap() > 0 {
			tell(v.Pointer(), path)
		}
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			belongs(path+"[]", v.Index(i), seen, tell)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			switch f := v.Type().Name() + "." + v.Type().Field(i).Name; f {
			case "Broker.Config", "Broker.host", "Conn.host", "share.filter":
			default:
				belongs(path+"."+v.Type().Field(i).Name, v.Field(i), seen, tell)
			}
		}
	}
}

// brokerLeftOut is the fields that are not in the encoding, or are places in it.
var brokerLeftOut = map[string]string{
	"Broker.Config":      "is the same in brokers that are compared",
	"Broker.Violations":  "of no effect",
	"Broker.Stats":       "statistics",
	"Broker.host":        "where it runs",
	"Broker.now":         "times are relative",
	"Broker.dirty":       "told by link.dirty",
	"Broker.alarms":      "told by what is due",
	"Broker.byID":        "an index of Broker.sessions",
	"Broker.routes":      "made again when it is wanted",
	"Broker.pub":         "used again and again",
	"Broker.out":         "used again and again",
	"Broker.hooked":      "used again and again",
	"Broker.ack":         "used again and again",
	"Broker.in":          "used again and again",
	"Broker.props":       "used again and again",
	"Broker.wire":        "used again and again",
	"Broker.numbers":     "used again and again",
	"Broker.free":        "used again and again",
	"link.b":             "the broker",
	"link.conn":          "connections are told by their order",
	"link.s":             "a place in Broker.sessions",
	"link.alarm":         "told by what is due",
	"link.auth":          "the one of the configuration",
	"link.connect":       "told by its bytes",
	"link.out":           "empty between two events",
	"session.b":          "the broker",
	"session.link":       "told by the link",
	"session.ended":      "never set in Broker.sessions",
	"session.alarm":      "told by what is due",
	"session.ids":        "an index of session.sent, but for those held",
	"session.arrivals":   "tried by arrival",
	"session.arrived":    "told by the ranks",
	"session.recs":       "told by the ranks",
	"session.low":        "where the search for the lowest identifier may begin",
	"line.last":          "the end of the walk",
	"exchange.prev":      "walked",
	"subscription.s":     "its session",
	"subscription.share": "a place in Broker.shares",
	"share.members":      "places in session.subs",
	"share.filter":       "told by the name",
	"message.own":        "the same message",
	"Dialect.From":       "always FromClient",
	"Dialect.Options":    "never set",
	"Properties.mask":    "told by the bytes",
	"Publish.ID":         "never set in a message that is kept",
	"Publish.Dup":        "never set in a message that is kept",
}

// brokerPerturber changes every value that is reachable from a broker, one at a
// time, and notes which of them the encoding shows.
type brokerPerturber struct {
	w     *brokerWalk
	was   []byte
	shown map[string]bool // by field
}

func (p *brokerPerturber) try(field string, v reflect.Value, change func()) {
	if p.shown[field] {
		return
	}
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	change()
	defer v.Set(old)
	p.shown[field] = !bytes.Equal(p.w.state(), p.was)
}

func (p *brokerPerturber) visit(field string, v reflect.Value) {
	if !v.CanSet() {
		v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
	}
	if brokerLeftOut[field] != "" {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			p.visit(field, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			p.visit(v.Type().Name()+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Array, reflect.Slice:
		for i := range v.Len() {
			p.visit(field+"[]", v.Index(i))
		}
		if v.Kind() == reflect.Slice && v.Len() > 0 {
			p.try(field, v, func() { v.SetLen(v.Len() - 1) })
		}
	case reflect.Bool:
		p.try(field, v, func() { v.SetBool(!v.Bool()) })
	case reflect.String:
		p.try(field, v, func() { v.SetString(v.String() + "x") })
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		p.try(field, v, func() { v.SetUint(v.Uint() ^ 1) })
	case reflect.Int, reflect.Int64:
		p.try(field, v, func() { v.SetInt(v.Int() + 1) })
	case reflect.Func:
	default:
		panic("what is " + field + "?")
	}
}

// arrivals changes what came from the clients.
func (p *brokerPerturber) arrivals() {
	for _, s := range p.w.b.sessions {
		for id, a := range s.arrivals {
			change := func(field string, b arrival) {
				if s.arrivals[id] = b; !p.shown["arrival."+field] {
					p.shown["arrival."+field] = !bytes.Equal(p.w.state(), p.was)
				}
				s.arrivals[id] = a
			}
			v := reflect.TypeFor[arrival]()
			for i := range v.NumField() {
				b := a
				f := reflect.ValueOf(&b).Elem().Field(i)
				f = reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
				switch name := v.Field(i).Name; name {
				case "on", "last": // whether it is this connection
					f.SetUint(0)
					change(name, b)
				default:
					for _, d := range [...]uint64{1, ^uint64(0)} {
						f.SetUint((f.Uint() + d) & 0xFF)
						change(name, b)
					}
				}
			}
		}
	}
}

// TestBrokerAppendStateFields changes every field of brokers in many states, and
// sees the encoding change in at least one of them.
func TestBrokerAppendStateFields(t *testing.T) {
	p := &brokerPerturber{shown: map[string]bool{}}
	for seed := range uint64(200) {
		w := newBrokerWalk(seed)
		for range 20 {
			for range 7 {
				w.step()
			}
			p.w, p.was = w, w.state()
			p.visit("b", reflect.ValueOf(w.b).Elem())
			p.arrivals()
			if !bytes.Equal(w.state(), p.was) {
				t.Fatal("it was not changed back")
			}
		}
	}
	for field, shown := range p.shown {
		if !shown {
			t.Errorf("%s makes no difference to the encoding", field)
		}
	}
	for _, typ := range [...]reflect.Type{reflect.TypeFor[Broker](), reflect.TypeFor[link](), reflect.TypeFor[session](),
		reflect.TypeFor[exchange](), reflect.TypeFor[message](), reflect.TypeFor[subscription](), reflect.TypeFor[share](),
		reflect.TypeFor[arrival](), reflect.TypeFor[heldAck](), reflect.TypeFor[provocation]()} {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name := typ.Name() + "." + f.Name
			switch f.Type.Kind() {
			case reflect.Struct, reflect.Pointer, reflect.Func: // what is in them is tried
			default:
				if _, met := p.shown[name]; !met && brokerLeftOut[name] == "" {
					t.Errorf("%s was never met", name)
				}
			}
		}
	}
}

// TestBrokerAppendStateEqual: states that were reached in different ways and
// behave alike have the same encoding.
func TestBrokerAppendStateEqual(t *testing.T) {
	for _, row := range []struct {
		name string
		a, b func(s *scene)
	}{
		{"numbers of connections, and the time",
			func(s *scene) { s.in("a", v5, kept(v5, "a")) },
			func(s *scene) {
				s.in("a", v5, kept(v5, "a"))
				s.cut("a")
				s.wait(time.Minute)
				s.in("a", v5, kept(v5, "a"))
			}},
		{"numbers of messages",
			func(s *scene) { s.in("a", v5, kept(v5, "a")); s.say("a", pub("x", "1", 1, 1)) },
			func(s *scene) {
				s.in("a", v5, kept(v5, "a"))
				s.say("a", pub("x", "0", 1, 1), pub("x", "1", 1, 1))
			}},
		{"what is finished",
			func(s *scene) { s.in("a", v5, kept(v5, "a")); s.say("a", sub(1, to("x", 1))) },
			func(s *scene) {
				s.in("a", v5, kept(v5, "a"))
				s.say("a", sub(1, to("x", 1)), pub("x", "1", 0, 0))
			}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var states [2][]byte
			for i, f := range [...]func(s *scene){row.a, row.b} {
				s := newScene(t, BrokerConfig{})
				f(s)
				states[i] = s.b.AppendState(nil, s.w.Now())
			}
			if !bytes.Equal(states[0], states[1]) {
				t.Errorf("%x\n%x", states[0], states[1])
			}
		})
	}
}
