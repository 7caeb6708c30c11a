// This file tests Clone and AppendState under random traffic: a copy goes its
// own way, and every field that makes a difference is in the encoding.

package mqttcore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

// walker drives a client at random and logs what it does. The same seeds give
// the same walk.
type walker struct {
	c      *Client
	rng    *rand.Rand
	now    time.Time
	in     []byte // sent by the server and not taken
	tokens []AckToken
	tag    uint64
	log    strings.Builder
}

func newWalker(t testing.TB, seed uint64) *walker {
	rng := rand.New(rand.NewPCG(seed, 0))
	bits := seed
	bit := func() bool { bits, seed = bits>>1, bits; return seed&1 != 0 }
	cfg := Config{
		ClientID: []byte("me"), KeepAlive: 30, MaxQueued: 12, DropOldest: true, StreamAbove: 40,
		ManualAck: bit(), Progress: bit(), Journal: bit(), Resubscribe: bit(),
		Props: propsOf(SessionExpiry(3600), TopicAliasMaximum(3), ReceiveMaximum(20)),
	}
	if bit() {
		cfg.TopicAliases = 2
	}
	if cfg.ManualPing = bit(); cfg.ManualPing {
		cfg.Burst = 1
	}
	c, err := NewClient(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &walker{c: c, rng: rng, now: scriptStart}
}

// fork is a walker on a clone of the client. It goes on at random from a seed
// of its own.
func (w *walker) fork(seed uint64) *walker {
	return &walker{c: w.c.Clone(), rng: rand.New(rand.NewPCG(seed, 1)), now: w.now,
		in: bytes.Clone(w.in), tokens: slices.Clone(w.tokens), tag: w.tag}
}

func (w *walker) server(p Packet) {
	w.in = append(w.in, mustAppend(p, Dialect{Version: V5, From: FromServer})...)
}

func (w *walker) did(what string, out []byte, err error) {
	fmt.Fprintf(&w.log, "%s: % x %v\n", what, out, err)
}

func (w *walker) drain(most int) {
	var ev Event
	for ; most > 0 && w.c.Next(&ev); most-- {
		var ids []string
		for l := range ev.Matches() {
			ids = append(ids, string(l.Filter))
		}
		fmt.Fprintf(&w.log, "%v %d %v\n", &ev, ev.Token, ids)
		if ev.Token != 0 {
			w.tokens = append(w.tokens, ev.Token)
		}
	}
}

func (w *walker) step() {
	r := w.rng
	topic := []byte(fmt.Sprint("topic/", r.IntN(5)))
	payload := bytes.Repeat([]byte{byte('a' + r.IntN(26))}, r.IntN(60))
	id := uint16(1 + r.IntN(12))
	var out []byte
	var err error
	what := r.IntN(20)
	switch what {
	case 0:
		if r.IntN(3) == 0 {
			w.c.Lost(w.now, errors.New("cut"))
			w.in = nil
		}
	case 1, 2, 3:
		p := Publish{Topic: topic, Payload: payload, QoS: QoS(r.IntN(3))}
		if r.IntN(3) == 0 {
			p.Props = propsOf(MessageExpiry(uint32(r.IntN(40))))
		} else if r.IntN(3) == 0 {
			p.Props = propsOf(TopicAlias(1))
		}
		w.tag++
		out, err = w.c.Publish(nil, w.now, &p, w.tag)
	case 4:
		var s Subscribe
		_ = s.Subscriptions.Add(Subscription{Filter: topic, QoS: QoS1, NoLocal: r.IntN(2) == 0})
		if r.IntN(2) == 0 {
			s.Props = propsOf(SubscriptionID(uint32(1 + r.IntN(3))))
		}
		out, err = w.c.Subscribe(nil, w.now, &s, 1000)
	case 5:
		out, err = w.c.Unsubscribe(nil, w.now, &Unsubscribe{Filters: filtersOf(string(topic))}, 2000)
	case 6:
		if n := len(w.tokens); n > 0 {
			at := r.IntN(n)
			out, err = w.c.Ack(nil, w.now, w.tokens[at], []ReasonCode{0, 0x80}[r.IntN(2)], propsOf(ReasonString("r")))
			w.tokens = slices.Delete(w.tokens, at, at+1)
		}
	case 7:
		w.now = w.now.Add(time.Duration(r.IntN(20)) * time.Second)
		out = w.c.Tick(nil, w.now)
	case 8:
		out, err = w.c.Ping(nil, w.now)
	case 9:
		var op Op
		for n := r.IntN(20); n > 0 && w.c.NextOp(&op); n-- {
			b, _ := op.AppendBinary(nil)
			fmt.Fprintf(&w.log, "op %x\n", b)
		}
	default:
		if len(w.in) == 0 {
			w.answer(topic, payload, id)
		}
		n := len(w.in)
		if n > 0 && r.IntN(3) == 0 {
			n = 1 + r.IntN(n)
		}
		out, n, err = w.c.Receive(nil, w.now, w.in[:n:n])
		w.in = w.in[n:] // the events alias it: it is never written again
		if w.c.State() == StateDisconnected {
			w.in = nil
		}
	}
	w.did(fmt.Sprint(what), out, err)
	if r.IntN(3) > 0 {
		w.drain(r.IntN(10))
	}
}

// answer has the server send something that it may.
func (w *walker) answer(topic, payload []byte, id uint16) {
	r := w.rng
	switch w.c.State() {
	case StateDisconnected:
		w.drain(1000)
		out, err := w.c.Connect(nil, w.now)
		w.did("connect", out, err)
		return
	case StateConnecting:
		p := ConnAck{Props: propsOf(TopicAliasMaximum(uint16(r.IntN(4))), ReceiveMaximum(uint16(1+r.IntN(5))))}
		p.SessionPresent = w.c.s.established && r.IntN(3) > 0
		w.server(&p)
		return
	}
	p := Publish{Topic: topic, Payload: payload, QoS: QoS(r.IntN(3))}
	if p.QoS != QoS0 {
		p.ID = id
	}
	switch r.IntN(8) {
	case 0:
		p.Props = propsOf(TopicAlias(uint16(1+r.IntN(3))), SubscriptionID(2))
		w.server(&p)
	case 1:
		w.server(&p)
	case 2:
		w.server(&Ack{Type: TypePubRel, ID: id})
	case 3:
		w.server(&Ping{Type: TypePingResp})
	case 4:
		if r.IntN(10) == 0 {
			w.server(&Disconnect{Code: ReasonServerShuttingDown, Props: propsOf(ReasonString("bye"))})
		}
	default:
		i := w.c.s.out.ids.find(id)
		if i == 0 {
			return
		}
		rec := &w.c.s.out.slab[i]
		ack := Ack{Type: TypePubAck, ID: id}
		if r.IntN(4) == 0 {
			ack.Props = propsOf(ReasonString("because"))
		}
		switch {
		case rec.flags&isSubscribe != 0:
			w.server(&SubAck{ID: id, Codes: []byte{[]byte{1, 0x87}[r.IntN(2)]}})
			return
		case rec.flags&isUnsubscribe != 0:
			w.server(&UnsubAck{ID: id, Codes: []byte{0}})
			return
		case rec.list == listReleased:
			ack.Type = TypePubComp
		case rec.qos() == QoS2:
			ack.Type = TypePubRec
		}
		w.server(&ack)
	}
}

func walk(t testing.TB, seed uint64, steps int) *walker {
	w := newWalker(t, seed)
	for range steps {
		w.step()
	}
	return w
}

func (w *walker) state() []byte { return w.c.AppendState(nil, w.now) }

// TestClone: a clone and its original, driven apart by different traffic in
// turns, each do what a client does that was never cloned.
func TestClone(t *testing.T) {
	for seed := range uint64(150) {
		before := 20 + int(seed)
		orig := walk(t, seed, before)
		control := [2]*walker{walk(t, seed, before), walk(t, seed, before)}
		if d := cmp.Diff(control[0].log.String(), orig.log.String()); d != "" {
			t.Fatalf("seed %d: the same calls, and not the same effects\n%s", seed, d)
		}
		state := orig.state()
		pair := [2]*walker{orig, orig.fork(seed)}
		if !bytes.Equal(pair[1].state(), state) {
			t.Fatalf("seed %d: the clone is another\n%s\n%s", seed, dump(nil, orig.c), dump(nil, pair[1].c))
		}
		mine := map[uintptr]string{}
		addresses("c", reflect.ValueOf(orig.c), func(at uintptr, path string) { mine[at] = path })
		addresses("c", reflect.ValueOf(pair[1].c), func(at uintptr, path string) {
			if was, ok := mine[at]; ok {
				t.Fatalf("seed %d: %s of the clone is %s of the original", seed, path, was)
			}
		})
		control[1] = &walker{c: control[1].c, rng: rand.New(rand.NewPCG(seed, 1)), now: control[1].now,
			in: control[1].in, tokens: control[1].tokens, tag: control[1].tag}
		for range 150 {
			pair[0].step()
			pair[1].step()
		}
		for i, c := range control {
			for range 150 {
				c.step()
			}
			if d := cmp.Diff(c.log.String(), pair[i].log.String()); d != "" {
				t.Fatalf("seed %d, %v (-alone +cloned):\n%s", seed, [...]string{"original", "clone"}[i], d[:min(len(d), 3000)])
			}
			if !bytes.Equal(c.state(), pair[i].state()) {
				t.Fatalf("seed %d: states differ", seed)
			}
		}
	}
}

// addresses tells where what belongs to a client is in memory. The texts of an
// event belong to the caller, but for a topic, and those of an op are never
// changed.
func addresses(path string, v reflect.Value, tell func(uintptr, string)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Map:
		if v.IsNil() {
			return
		}
		tell(v.Pointer(), path)
		if v.Kind() == reflect.Pointer {
			addresses(path, v.Elem(), tell)
		}
	case reflect.Slice:
		if v.Cap() > 0 {
			tell(v.Pointer(), path)
		}
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			addresses(path+"[]", v.Index(i), tell)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			switch at := path + "." + v.Type().Field(i).Name; at {
			case "c.cfg", "c.base", "c.ev.Message.Payload", "c.ev.Message.Props", "c.ev.Props", "c.ev.Codes", "c.s.j.metas.items[].clientID":
			default:
				addresses(at, v.Field(i), tell)
			}
		}
	}
}

// leftOut is the fields that are not in the encoding, or are places in it.
var leftOut = map[string]string{
	"Client.cfg":        "is the same in clients that are compared",
	"Client.stats":      "statistics",
	"Client.base":       "what times are counted from",
	"inbox.tokens":      "tokens are names: how long ago one was given out is encoded",
	"Event.Err":         "never set in Client.ev",
	"Event.subs":        "never set in Client.ev: it is Client.subs",
	"Event.Status":      "never set in Client.ev: it is in Client.progress",
	"Event.From":        "never set in Client.ev: it is in Client.progress",
	"Event.ID":          "never set in Client.ev: it is in Client.progress",
	"Event.Cause":       "never set in Client.ev: it is in Client.closed",
	"Properties.mask":   "told by the bytes",
	"Session.used":      "set in each session that a client has",
	"registry.place":    "an index of registry.live",
	"list.head":         "walked",
	"list.tail":         "walked",
	"neighbours.prev":   "walked",
	"neighbours.next":   "walked",
	"record.list":       "walked",
	"idPool.slot":       "walked, and told by the records",
	"idPool.first":      "walked",
	"idPool.last":       "the end of the walk",
	"inbox.table":       "an index of inbox.slab",
	"inbox.keyed":       "counts inbox.table",
	"inbox.lists":       "walked",
	"inbox.free":        "places in the slab are names",
	"inRecord.list":     "walked",
	"aliasTable.bucket": "an index of aliasTable.entry",
	"aliasEntry.hash":   "told by the topic",
	"aliasEntry.chain":  "part of the index",
	"aliasEntry.older":  "walked",
	"aliasEntry.newer":  "walked",
	"fifo.next":         "what was taken",
	"journal.limbo":     "places in the slab are names",
	"journal.taken":     "numbers are names",
	"journal.record":    "nil when a client has the session",
}

// perturber changes every value that is reachable from a client, one at a time,
// and notes which of them the encoding shows.
type perturber struct {
	w     *walker
	was   []byte
	shown map[string]bool // by path from the client
	left  map[string]bool // of leftOut, those that were met
}

// try changes a value, looks at the encoding, and changes it back.
func (p *perturber) try(path string, v reflect.Value, change func()) {
	if p.shown[path] {
		return
	}
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	change()
	defer func() {
		v.Set(old)
		_ = recover() // a number beyond what it counts
	}()
	p.shown[path] = false
	p.shown[path] = !bytes.Equal(p.w.c.AppendState(nil, p.w.now), p.was)
}

// visit looks at the value of a field: path tells where it is, field its type
// and name.
func (p *perturber) visit(path, field string, v reflect.Value) {
	if !v.CanSet() {
		v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
	}
	if leftOut[field] != "" {
		p.left[field] = true
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			p.visit(path, field, v.Elem())
		}
	case reflect.Struct:
		name, _, _ := strings.Cut(v.Type().Name(), "[")
		for i := range v.NumField() {
			f := v.Type().Field(i).Name
			p.visit(path+"."+f, name+"."+f, v.Field(i))
		}
	case reflect.Array, reflect.Slice:
		for i := range v.Len() {
			p.visit(path+"[]", field+"[]", v.Index(i))
		}
		if v.Kind() == reflect.Slice && v.Len() > 0 && !slabs[field] {
			p.try(path, v, func() { v.SetLen(v.Len() - 1) })
		}
	case reflect.Bool:
		p.try(path, v, func() { v.SetBool(!v.Bool()) })
	case reflect.String:
		p.try(path, v, func() { v.SetString(v.String() + "x") })
	case reflect.Interface:
		if !v.IsNil() {
			p.try(path, v, func() { v.Set(reflect.ValueOf(errors.New("another"))) })
		}
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		bit := uint64(1)
		switch { // the lower parts are the places of records
		case strings.HasSuffix(path, ".j.ops.items[]"):
			bit = 1 << 48
		case v.Type() == reflect.TypeFor[AckToken]():
			bit = 1 << 16
		}
		p.try(path, v, func() { v.SetUint(v.Uint() ^ bit) })
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		p.try(path, v, func() { v.SetInt(v.Int() + 1) })
	default:
		panic("what is " + path + "?")
	}
}

// slabs are longer than what is in them.
var slabs = map[string]bool{"records.slab": true, "inbox.slab": true, "aliasTable.entry": true, "records.near": true, "inbox.near": true, "inbox.props": true, "aliases.in": true, "aliases.chosen": true}

// TestAppendStateFields changes every field of clients in many states, and sees
// the encoding change in at least one of them.
func TestAppendStateFields(t *testing.T) {
	p := &perturber{shown: map[string]bool{}, left: map[string]bool{}}
	for seed := range uint64(300) {
		w := newWalker(t, seed)
		for range 30 {
			for range 5 {
				w.step()
			}
			p.w, p.was = w, w.state()
			p.visit("c", "", reflect.ValueOf(w.c).Elem())
			if again := w.state(); !bytes.Equal(again, p.was) {
				t.Fatal("it was not changed back")
			}
		}
	}
	r := resubscribing(t, Config{Burst: 1}) // which is rare
	r.connect(&ConnAck{})
	p.w = &walker{c: r.c, now: r.now}
	p.was = p.w.state()
	p.visit("c", "", reflect.ValueOf(r.c).Elem())

	met := 0
	for path, shown := range p.shown {
		if !shown {
			t.Errorf("%s makes no difference to the encoding", path)
		}
		met++
	}
	for path, why := range leftOut {
		if !p.left[path] {
			t.Errorf("%s is left out (%s), and is not there", path, why)
		}
	}
	if met < 120 {
		t.Errorf("%d fields", met)
	}
}

// TestAppendStateEqual: states that were reached in different ways and behave
// alike have the same encoding.
func TestAppendStateEqual(t *testing.T) {
	live := Config{Props: propsOf(SessionExpiry(60), TopicAliasMaximum(2)), KeepAlive: 10}
	still := Config{Props: propsOf(SessionExpiry(60))}
	present := &ConnAck{SessionPresent: true}
	connect := func(r *rig) { r.connect(&ConnAck{}) }
	for _, row := range []struct {
		name string
		cfg  Config
		a, b func(r *rig)
	}{
		{"numbers of connections", live, connect, func(r *rig) {
			for range 5 {
				connect(r)
				r.lost()
			}
			connect(r)
		}},
		{"places of records", still,
			func(r *rig) { r.publish(*message("b", "", QoS1, 0), 2) },
			func(r *rig) {
				r.publish(*message("a", "x", QoS2, 0, MessageExpiry(0)), 1)
				r.publish(*message("b", "", QoS1, 0), 2)
				r.do(r.c.Tick(nil, r.now), nil)
			}},
		{"the time", live,
			func(r *rig) {
				connect(r)
				r.publish(*message("a", "x", QoS1, 0, MessageExpiry(7)), 1)
				r.do(r.c.Ping(nil, r.now))
				r.now = r.now.Add(3 * time.Second)
			},
			func(r *rig) {
				r.now = r.now.Add(1234567 * time.Millisecond)
				connect(r)
				r.publish(*message("a", "x", QoS1, 0, MessageExpiry(7)), 1)
				r.do(r.c.Ping(nil, r.now))
				r.now = r.now.Add(3 * time.Second)
			}},
		{"time that nobody counts", still, connect, func(r *rig) {
			connect(r)
			r.now = r.now.Add(time.Hour)
			r.publish(*message("a", "x", QoS0, 0), 0)
			r.server(message("a", "x", QoS0, 0))
		}},
		{"the order of received identifiers", still,
			func(r *rig) { connect(r); r.server(message("a", "", QoS2, 8), message("a", "", QoS2, 9)) },
			func(r *rig) { connect(r); r.server(message("a", "", QoS2, 9), message("a", "", QoS2, 8)) }},
		{"events that were taken", live,
			func(r *rig) { connect(r); r.server(message("a", "", QoS0, 0, TopicAlias(1))) },
			func(r *rig) { connect(r); r.server(message("a", "text", QoS0, 0, TopicAlias(1), ContentType("t"))) }},
		{"a released message's content", still,
			func(r *rig) {
				connect(r)
				r.publish(*message("a", "x", QoS2, 0), 1)
				r.server(&Ack{Type: TypePubRec, ID: 1})
			},
			func(r *rig) {
				connect(r)
				r.publish(*message("b", "", QoS2, 0), 1)
				r.server(&Ack{Type: TypePubRec, ID: 1})
			}},
		{"tokens given out before", Config{ManualAck: true, Props: propsOf(SessionExpiry(60))},
			func(r *rig) { connect(r); r.server(message("a", "", QoS1, 8)) },
			func(r *rig) {
				connect(r)
				r.server(message("a", "", QoS1, 7))
				r.do(r.c.Ack(nil, r.now, r.tokens[0], 0, Properties{}))
				r.server(message("a", "", QoS1, 8))
			}},
		{"a snapshot", still,
			func(r *rig) {
				connect(r)
				r.server(message("a", "", QoS2, 8), message("a", "", QoS2, 5))
				r.lost()
				r.publish(*message("a", "x", QoS2, 0, ContentType("t"), MessageExpiry(9)), 1)
				r.publish(*message("b", "y", QoS1, 0), 2)
			},
			func(r *rig) {
				connect(r)
				r.server(message("a", "", QoS2, 5), message("a", "", QoS2, 8))
				r.lost()
				r.publish(*message("a", "x", QoS2, 0, ContentType("t"), MessageExpiry(9)), 1)
				r.publish(*message("b", "y", QoS1, 0), 2)
				b, _ := r.c.Session().AppendBinary(nil)
				var s Session
				if err := s.UnmarshalBinary(b); err != nil {
					r.Fatal(err)
				}
				r.c = newRig(r, r.c.cfg, &s, nil).c
				r.do(r.c.Tick(nil, r.now), nil)
			}},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, b := newRig(t, row.cfg, nil, nil), newRig(t, row.cfg, nil, nil)
			row.a(a)
			row.b(b)
			x, y := a.c.AppendState(nil, a.now), b.c.AppendState(nil, b.now)
			if !bytes.Equal(x, y) {
				t.Errorf("% x\n% x\n%s\n%s", x, y, dump(nil, a.c), dump(nil, b.c))
			}
			if a.c.State() == StateConnected { // what is the same goes on the same way
				a.lost()
				b.lost()
				a.log, b.log = nil, nil
				a.connect(present)
				b.connect(present)
				b.want(a.log...)
			}
		})
	}
}

// TestAppendStateOrder: what is the same but for the order of messages is not
// the same.
func TestAppendStateOrder(t *testing.T) {
	states := map[string]string{}
	for _, order := range [][]uint64{{1, 2, 3}, {1, 3, 2}, {2, 1, 3}, {3, 2, 1}, {1, 2}, {}} {
		r := newRig(t, Config{}, nil, nil)
		for _, tag := range order {
			r.publish(*message("t", "", QoS1, 0), tag)
		}
		s := string(r.c.AppendState(nil, r.now))
		if was, ok := states[s]; ok {
			t.Errorf("%v and %v are the same", was, order)
		}
		states[s] = fmt.Sprint(order)
		if again := r.c.AppendState([]byte("prefix"), r.now); string(again) != "prefix"+s {
			t.Error("AppendState does not append")
		}
	}
}
