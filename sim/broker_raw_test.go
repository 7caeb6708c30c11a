// This file holds what the tests of the broker share: clients that say exactly
// what they are told to, packet by packet, over a perfect network, and keep what
// they are answered as text.

package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqttcore"
)

const (
	v31  = mqttcore.V31
	v311 = mqttcore.V311
	v5   = mqttcore.V5
)

func versionName(v mqttcore.Version) string {
	return map[mqttcore.Version]string{v31: "3.1", v311: "3.1.1", v5: "5.0"}[v]
}

// raw is a client without a mind.
type raw struct {
	v    mqttcore.Version
	c    *Conn
	in   []byte
	got  []string
	over bool
}

func (r *raw) Handle(h *Host, e Event) time.Time {
	switch e.Kind {
	case Received:
		r.in = append(r.in, e.Data...)
		d := mqttcore.Dialect{Version: r.v, From: mqttcore.FromServer}
		for {
			f, n, err := mqttcore.ConsumeFrame(r.in, d, 0)
			if err != nil {
				r.got = append(r.got, err.Error())
				r.in = nil
			}
			if n == 0 {
				return time.Time{}
			}
			p, err := mqttcore.Decode(f.Clone(), d)
			if err != nil {
				r.got = append(r.got, err.Error())
			} else {
				r.got = append(r.got, p.String())
			}
			r.in = r.in[:copy(r.in, r.in[n:])]
		}
	case Lost:
		r.got = append(r.got, "closed")
		r.over = true
	}
	return time.Time{}
}

// scene is a broker and its raw clients.
type scene struct {
	t       *testing.T
	w       *World
	b       *Broker
	host    *Host
	names   []string
	clients []*raw
	hosts   []*Host
	broken  int // violations that were expected
}

func newScene(t *testing.T, cfg BrokerConfig) *scene {
	s := &scene{t: t, w: New(Seed(1), Faults{}), b: NewBroker(cfg)}
	s.host = s.w.Add("broker", s.b)
	t.Cleanup(func() {
		for _, v := range s.b.Violations[s.broken:] {
			t.Errorf("violation: %v", v)
		}
	})
	return s
}

// dial opens a new connection for a client.
func (s *scene) dial(name string, v mqttcore.Version) {
	i := slices.Index(s.names, name)
	if i < 0 {
		i = len(s.names)
		s.names = append(s.names, name)
		s.clients = append(s.clients, &raw{})
		s.hosts = append(s.hosts, s.w.Add(name, s.clients[i]))
	}
	r := s.clients[i]
	*r = raw{v: v, c: s.hosts[i].Dial(s.host)}
	s.w.Run(time.Millisecond)
}

func (s *scene) client(name string) *raw { return s.clients[slices.Index(s.names, name)] }

// say writes packets, or bytes, and lets the broker answer.
func (s *scene) say(name string, what ...any) {
	s.t.Helper()
	r := s.client(name)
	for _, x := range what {
		switch x := x.(type) {
		case string:
			r.c.Write([]byte(x))
		case mqttcore.Packet:
			b, err := x.AppendTo(nil, mqttcore.Dialect{Version: r.v, From: mqttcore.FromEither})
			if err != nil {
				s.t.Fatalf("%v: %v", x, err)
			}
			r.c.Write(b)
		}
	}
	s.wait(10 * time.Millisecond)
}

func (s *scene) wait(d time.Duration) { s.w.Run(d) }

// heard expects what a client was answered since the last time.
func (s *scene) heard(name string, want ...string) {
	s.t.Helper()
	r := s.client(name)
	if d := cmp.Diff(want, r.got); d != "" && len(want)+len(r.got) > 0 {
		s.t.Errorf("%s heard (-want +got)\n%s", name, d)
	}
	r.got = nil
}

// cut ends a client's connection without a word.
func (s *scene) cut(name string) {
	s.client(name).c.Close()
	s.wait(10 * time.Millisecond)
	s.client(name).got = nil
}

// broke expects the violations since the last time, each by a part of its text,
// or by the name of the statement in 5.0.
func (s *scene) broke(want ...string) {
	s.t.Helper()
	var got []string
	for _, v := range s.b.Violations[s.broken:] {
		got = append(got, v.Rule+" "+v.Text)
	}
	s.broken = len(s.b.Violations)
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !broken(got[i], want[i]) {
			s.t.Errorf("violations %q; want %q", got, want)
			return
		}
	}
}

func broken(got, want string) bool {
	for _, row := range statements {
		if row.v5 == want {
			return strings.HasPrefix(got, "5.0:"+row.v5+" ") || strings.HasPrefix(got, "3.1.1:"+row.v311+" ") || strings.HasPrefix(got, "3.1:"+row.v31+" ")
		}
	}
	return strings.Contains(got, want)
}

// in opens a connection, sends CONNECT and expects to be let in.
func (s *scene) in(name string, v mqttcore.Version, c *mqttcore.Connect) {
	s.t.Helper()
	s.dial(name, v)
	s.say(name, c)
	r := s.client(name)
	if len(r.got) == 0 || !strings.HasPrefix(r.got[0], "CONNACK Success") {
		s.t.Fatalf("%s heard %q; want to be let in", name, r.got)
	}
}

func list(ps []mqttcore.Property) mqttcore.Properties {
	p, err := mqttcore.NewProperties(ps...)
	if err != nil {
		panic(err)
	}
	return p
}

// clean and kept are CONNECTs whose session ends with the connection, and whose
// session is kept.
func clean(id string, ps ...mqttcore.Property) *mqttcore.Connect {
	return &mqttcore.Connect{ClientID: []byte(id), CleanStart: true, Props: list(ps)}
}

func kept(v mqttcore.Version, id string, ps ...mqttcore.Property) *mqttcore.Connect {
	c := &mqttcore.Connect{ClientID: []byte(id)}
	if v == v5 {
		c.Props = list(append(ps, mqttcore.SessionExpiry(1000)))
	}
	return c
}

func pub(topic, payload string, q mqttcore.QoS, id uint16, ps ...mqttcore.Property) *mqttcore.Publish {
	return &mqttcore.Publish{Topic: []byte(topic), Payload: []byte(payload), QoS: q, ID: id, Props: list(ps)}
}

func dup(p *mqttcore.Publish) *mqttcore.Publish {
	p.Dup = true
	return p
}

func retain(p *mqttcore.Publish) *mqttcore.Publish {
	p.Retain = true
	return p
}

func ack(t mqttcore.PacketType, id uint16) *mqttcore.Ack { return &mqttcore.Ack{Type: t, ID: id} }

func sub(id uint16, ss ...mqttcore.Subscription) *mqttcore.Subscribe {
	l, err := mqttcore.NewSubscriptions(ss...)
	if err != nil {
		panic(err)
	}
	return &mqttcore.Subscribe{ID: id, Subscriptions: l}
}

func to(filter string, q mqttcore.QoS) mqttcore.Subscription {
	return mqttcore.Subscription{Filter: []byte(filter), QoS: q}
}

// numbered gives a SUBSCRIBE a subscription identifier.
func numbered(p *mqttcore.Subscribe, n uint32) *mqttcore.Subscribe {
	p.Props = list([]mqttcore.Property{mqttcore.SubscriptionID(n)})
	return p
}

func unsub(id uint16, filters ...string) *mqttcore.Unsubscribe {
	l, err := mqttcore.NewFilters(filters...)
	if err != nil {
		panic(err)
	}
	return &mqttcore.Unsubscribe{ID: id, Filters: l}
}

const (
	puback  = mqttcore.TypePubAck
	pubrec  = mqttcore.TypePubRec
	pubrel  = mqttcore.TypePubRel
	pubcomp = mqttcore.TypePubComp
)

var versions = []mqttcore.Version{v31, v311, v5}

func eachVersion(t *testing.T, f func(t *testing.T, v mqttcore.Version)) {
	for _, v := range versions {
		t.Run(versionName(v), func(t *testing.T) { f(t, v) })
	}
}
