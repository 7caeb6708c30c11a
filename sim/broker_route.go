// This file holds which message goes to whom: subscriptions, shared ones,
// retained messages, and the PUBLISH that a client gets. How an exchange goes on
// from there stands in broker_session.go.

package sim

import (
	"bytes"
	"slices"
	"time"

	"mqttcore"
)

// message is a message on its way through the broker. Topic alias and message
// expiry are not among its properties: they are made anew for each receiver.
type message struct {
	mqttcore.Publish
	from    string        // client identifier of the publisher
	expires time.Duration // or never
	own     *message      // the copy to keep; nil: none was made yet
}

// keep returns the message with bytes of its own.
func (m *message) keep() *message {
	if m.own == nil {
		var kept struct { // most have room there
			message
			text [16]byte
		}
		o := &kept.message
		*o = message{Publish: m.Publish, from: m.from, expires: m.expires}
		b := append(append(kept.text[:0], m.Topic...), m.Payload...)
		n := len(m.Topic)
		o.Topic, o.Payload, o.Props = b[:n:n], b[n:], m.Props.Clone()
		o.own, m.own = o, o
	}
	return m.own
}

func (m *message) expired(now time.Duration) bool { return m.expires <= now }

// subscription is one of a session's.
type subscription struct {
	mqttcore.Subscription
	s      *session
	number uint32 // the subscription identifier; 0: none
	share  *share // nil: it is not shared
}

// share is the group of the shared subscriptions with one name and filter.
type share struct {
	name    string // all of it, as $share/group/filter
	filter  []byte
	members []*subscription
	turn    int
}

// pick is the member whose turn it is. One that is connected comes first.
func (g *share) pick() *subscription {
	for _, connected := range [...]bool{true, false} {
		for i := range g.members {
			at := (g.turn + i) % len(g.members)
			if sub := g.members[at]; sub.s.link != nil || !connected {
				g.turn = at + 1
				return sub
			}
		}
	}
	return nil
}

// route is what is known of a topic: who subscribes to it.
type route struct {
	targets []target
	shares  []*share
}

// target is a session with those of its subscriptions that match.
type target struct {
	s    *session
	subs []*subscription
}

// maxRoutes is how many topics routes are kept for.
const maxRoutes = 4096

func (b *Broker) route(topic []byte) *route {
	if r := b.routes[string(topic)]; r != nil {
		return r
	}
	r := &route{}
	for _, s := range b.sessions {
		t := target{s: s}
		for _, sub := range s.subs {
			if sub.share == nil && matches(sub.Filter, topic) {
				t.subs = append(t.subs, sub)
			}
		}
		if t.subs != nil {
			r.targets = append(r.targets, t)
		}
	}
	for _, g := range b.shares {
		if matches(g.filter, topic) {
			r.shares = append(r.shares, g)
		}
	}
	if len(b.routes) >= maxRoutes {
		clear(b.routes)
	}
	b.routes[string(topic)] = r
	return r
}

// matches reports whether the filter matches the topic, level by level: the
// first that differ decide (5.0 §4.7). It is not the codec's, for the sake of
// a second opinion.
func matches(filter, topic []byte) bool {
	if len(topic) > 0 && topic[0] == '$' && (filter[0] == '#' || filter[0] == '+') { // MQTT-4.7.2-1
		return false
	}
	for {
		f, filterRest, filterGoesOn := bytes.Cut(filter, slash)
		if string(f) == "#" {
			return true
		}
		t, topicRest, topicGoesOn := bytes.Cut(topic, slash)
		switch {
		case string(f) != "+" && string(f) != string(t):
			return false
		case !filterGoesOn:
			return !topicGoesOn
		case !topicGoesOn:
			return string(filterRest) == "#" // which stands for the level above it too
		}
		filter, topic = filterRest, topicRest
	}
}

var slash = []byte{'/'}

// receive takes a message from a client, and returns the code to acknowledge it
// with.
func (b *Broker) receive(s *session, p *mqttcore.Publish) mqttcore.ReasonCode {
	v5 := s.link.d.Version == mqttcore.V5
	if b.Config.RefusePublish != nil {
		if code := b.Config.RefusePublish(s.id, p); code.IsError() {
			if !v5 {
				return mqttcore.ReasonSuccess
			}
			return code
		}
	}
	if n := b.accept(s, p); n == 0 && v5 && p.QoS > mqttcore.QoS0 && (b.Config.NoMatching || b.odd(oddNoMatching)) {
		return mqttcore.ReasonNoMatchingSubscribers
	}
	return mqttcore.ReasonSuccess
}

// accept publishes a message, from nil when it is the broker's own, and returns
// to how many it goes. p is lent.
func (b *Broker) accept(from *session, p *mqttcore.Publish) (receivers int) {
	m := &b.in
	*m = message{Publish: *p, expires: never}
	m.ID, m.Dup = 0, false
	if seconds, ok := p.Props.MessageExpiry(); ok {
		m.expires = b.now + time.Duration(seconds)*time.Second
	}
	const perHop = mqttcore.PropertyMask(1)<<mqttcore.PropMessageExpiry | 1<<mqttcore.PropTopicAlias
	if p.Props.Mask()&perHop != 0 {
		b.wire = p.Props.AppendWithout(b.wire[:0], perHop)
		props, err := mqttcore.ParseProperties(b.wire)
		if err != nil {
			panic("sim: " + err.Error())
		}
		m.Props = props
	}
	if from != nil {
		m.from = from.id
		b.Stats.Accepted++
		if b.OnPublish != nil {
			b.OnPublish(from.id, &m.Publish)
		}
	}
	if m.Retain && !b.Config.NoRetain {
		b.retain(m)
	}
	r := b.route(p.Topic)
	for i := range r.targets {
		t := &r.targets[i]
		receivers += b.bring(m, t.s, from == t.s, t.subs)
	}
	for _, g := range r.shares {
		if sub := g.pick(); sub != nil {
			b.bring(m, sub.s, false, []*subscription{sub})
			receivers++
		}
	}
	return receivers
}

// bring delivers a message to the subscriptions of a session: one copy, with the
// highest QoS and all identifiers, or one each (MQTT-3.3.4-2, MQTT-3.3.4-4).
func (b *Broker) bring(m *message, s *session, local bool, subs []*subscription) (copies int) {
	q, retain, numbers := mqttcore.QoS0, false, b.numbers[:0]
	for _, sub := range subs {
		if sub.NoLocal && local { // MQTT-3.8.3-3
			continue
		}
		copies++
		if sub.number != 0 {
			numbers = append(numbers, sub.number)
		}
		q, retain = max(q, sub.QoS), retain || sub.RetainAsPublished
		if b.Config.Copies {
			s.deliver(m, min(m.QoS, sub.QoS), m.Retain && sub.RetainAsPublished, numbers, sub.share)
			numbers = numbers[:0]
		}
	}
	b.numbers = numbers
	if copies > 0 && !b.Config.Copies {
		s.deliver(m, min(m.QoS, q), m.Retain && retain, numbers, subs[0].share)
	}
	return copies
}

// retain keeps a message for those who subscribe later, in place of the last one
// of its topic (MQTT-3.3.1-5), or forgets that (MQTT-3.3.1-6, MQTT-3.3.1-7).
func (b *Broker) retain(m *message) {
	i, found := slices.BinarySearchFunc(b.retained, m, func(r, m *message) int { return bytes.Compare(r.Topic, m.Topic) })
	switch {
	case len(m.Payload) > 0 && found:
		b.retained[i] = m.keep()
	case len(m.Payload) > 0:
		b.retained = slices.Insert(b.retained, i, m.keep())
	case found:
		b.retained = slices.Delete(b.retained, i, i+1)
	}
}

// sendRetained delivers the retained messages of a new subscription.
func (sub *subscription) sendRetained() {
	b := sub.s.b
	b.retained = slices.DeleteFunc(b.retained, func(m *message) bool { return m.expired(b.now) })
	var numbers []uint32
	if sub.number != 0 {
		numbers = []uint32{sub.number}
	}
	for _, m := range b.retained {
		if matches(sub.Filter, m.Topic) && !(sub.NoLocal && m.from == sub.s.id) {
			sub.s.deliver(m, min(m.QoS, sub.QoS), true, numbers, nil)
		}
	}
}

// inUse checks the packet identifier of a request.
func (l *link) inUse(id uint16) {
	if a := l.s.arrivals[id]; a.state == arrivalHeld || a.state == arrivalReceived {
		l.violate(l.rule("MQTT-2.2.1-3"), "packet identifier of an unfinished message used for a request")
	}
}

// subscribe handles SUBSCRIBE.
func (l *link) subscribe(p *mqttcore.Subscribe) {
	l.inUse(p.ID)
	number, numbered := p.Props.SubscriptionID()
	if numbered && l.noIdentifiers {
		l.fault(mqttcore.ReasonSubscriptionIdentifiersNotSupported, "5.0:§3.2.2.3.12", "subscription identifier, which is not available")
		return
	}
	ack := &mqttcore.SubAck{ID: p.ID}
	var retained []*subscription
	for want := range p.Subscriptions.All() {
		_, rest, shared := mqttcore.SplitShared(want.Filter)
		shared = shared && l.d.Version == mqttcore.V5
		if !shared {
			rest = want.Filter
		}
		switch {
		case shared && l.noShared:
			l.fault(mqttcore.ReasonSharedSubscriptionsNotSupported, "5.0:§3.2.2.3.13", "shared subscription, which is not available")
			return
		case l.noWildcards && bytes.ContainsAny(rest, "#+"):
			l.fault(mqttcore.ReasonWildcardSubscriptionsNotSupported, "5.0:§3.2.2.3.11", "wildcard subscription, which is not available")
			return
		}
		if refuse := l.b.Config.RefuseSubscribe; refuse != nil {
			if code := refuse(l.s.id, want.Filter); code.IsError() {
				if l.d.Version != mqttcore.V5 {
					code = mqttcore.ReasonUnspecifiedError
				}
				ack.Codes = append(ack.Codes, byte(code))
				continue
			}
		}
		want.QoS = min(want.QoS, l.maximumQoS)
		ack.Codes = append(ack.Codes, byte(want.QoS))
		sub, existed := l.s.subscribe(want, number, shared)
		if !shared && (want.RetainHandling == mqttcore.RetainSend || want.RetainHandling == mqttcore.RetainSendIfNew && !existed) {
			retained = append(retained, sub)
		}
	}
	if l.d.Version == mqttcore.V31 {
		for i, c := range ack.Codes {
			ack.Codes[i] = min(c, byte(mqttcore.QoS2)) // 3.1 cannot refuse
		}
	}
	early := l.b.odd(oddEarlyPublish)
	for _, first := range [...]bool{early, !early} {
		if !first {
			ack.Props = l.longRemarks()
			l.send(ack)
			continue
		}
		for _, sub := range retained {
			if sub.s == l.s && !l.s.ended {
				sub.sendRetained()
			}
		}
	}
}

// subscribe adds a subscription, or replaces the one with the same filter
// (MQTT-3.8.4-3).
func (s *session) subscribe(want mqttcore.Subscription, number uint32, shared bool) (sub *subscription, existed bool) {
	b := s.b
	for _, old := range s.subs {
		if string(old.Filter) == string(want.Filter) && (old.share != nil) == shared {
			want.Filter = old.Filter
			old.Subscription, old.number = want, number
			return old, true
		}
	}
	want.Filter = bytes.Clone(want.Filter)
	sub = &subscription{Subscription: want, s: s, number: number}
	if shared {
		sub.share = b.share(want.Filter)
		sub.share.members = append(sub.share.members, sub)
	}
	s.subs = append(s.subs, sub)
	clear(b.routes)
	return sub, false
}

func (b *Broker) share(filter []byte) *share {
	for _, g := range b.shares {
		if g.name == string(filter) {
			return g
		}
	}
	_, rest, _ := mqttcore.SplitShared(filter)
	g := &share{name: string(filter), filter: rest}
	b.shares = append(b.shares, g)
	return g
}

// unsubscribe removes a subscription.
func (s *session) unsubscribe(sub *subscription) {
	b := s.b
	s.subs = slices.DeleteFunc(s.subs, func(x *subscription) bool { return x == sub })
	if g := sub.share; g != nil {
		g.members = slices.DeleteFunc(g.members, func(x *subscription) bool { return x == sub })
		if len(g.members) == 0 {
			b.shares = slices.DeleteFunc(b.shares, func(x *share) bool { return x == g })
		}
	}
	clear(b.routes)
}

// unsubscribe handles UNSUBSCRIBE.
func (l *link) unsubscribe(p *mqttcore.Unsubscribe) {
	l.inUse(p.ID)
	ack := &mqttcore.UnsubAck{ID: p.ID}
	for f := range p.Filters.All() {
		code := mqttcore.ReasonNoSubscriptionExisted
		for _, sub := range l.s.subs {
			if string(sub.Filter) == string(f) {
				l.s.unsubscribe(sub)
				code = mqttcore.ReasonSuccess
				break
			}
		}
		if l.d.Version == mqttcore.V5 {
			ack.Codes = append(ack.Codes, byte(code))
		}
	}
	ack.Props = l.longRemarks()
	l.send(ack)
}

// inherit gives what a session that has ended had of shared subscriptions to
// their other members: what was never sent, and QoS 1 messages that were not
// acknowledged; never those of QoS 2 (MQTT-4.8.2-5).
func (b *Broker) inherit(s *session) {
	for _, q := range [...]*line{&s.sent, &s.queue} {
		for q.n > 0 {
			x := q.first
			q.remove(x)
			if x.share != nil && (q == &s.queue || x.qos == mqttcore.QoS1) {
				if sub := x.share.pick(); sub != nil {
					b.bring(x.m, sub.s, false, []*subscription{sub})
				}
			}
			b.recycle(x)
		}
	}
	s.ids = nil
}

// sendMessage sends a PUBLISH, and reports whether it could be sent: see send.
func (l *link) sendMessage(m *message, id uint16, q mqttcore.QoS, dup, retain bool, ids []uint32) bool {
	b, p := l.b, &l.b.out
	*p = mqttcore.Publish{Topic: m.Topic, Payload: m.Payload, ID: id, QoS: q, Dup: dup && q > mqttcore.QoS0, Retain: retain}
	if l.d.Version != mqttcore.V5 {
		return l.send(p)
	}
	if m.expires == never && len(ids) == 0 && len(l.aliasesOut) == 0 {
		p.Props = m.Props
		return l.send(p)
	}
	b.props.Reset()
	if m.expires != never {
		left := max(0, m.expires-b.now+time.Second-1)
		l.add(&b.props, mqttcore.MessageExpiry(uint32(left/time.Second))) // MQTT-3.3.2-6
	}
	for _, n := range ids {
		l.add(&b.props, mqttcore.SubscriptionID(n))
	}
	slot := -1
	if len(l.aliasesOut) > 0 {
		slot = l.alias(m.Topic)
		l.add(&b.props, mqttcore.TopicAlias(uint16(slot+1)))
		if string(l.aliasesOut[slot]) == string(m.Topic) {
			p.Topic = nil
		}
	}
	if err := b.props.AddFrom(m.Props, 0); err != nil {
		panic("sim: " + err.Error())
	}
	p.Props = b.props
	sent := l.send(p)
	if !sent && slot >= 0 { // it may be the alias that makes it too large
		props, err := mqttcore.ParseProperties(p.Props.AppendWithout(nil, mqttcore.PropTopicAlias.Mask()))
		if err != nil {
			panic("sim: " + err.Error())
		}
		p.Topic, p.Props = m.Topic, props
		return l.send(p)
	}
	if sent && slot >= 0 && p.Topic != nil {
		l.aliasesOut[slot] = append(l.aliasesOut[slot][:0], m.Topic...)
	}
	return sent
}

// alias is the alias, less 1, that a topic is sent with: the one that it has, or
// the one that was given out the longest ago.
func (l *link) alias(topic []byte) int {
	if !l.b.odd(oddAlias) {
		for i, t := range l.aliasesOut {
			if string(t) == string(topic) {
				return i
			}
		}
	}
	l.nextAlias++
	return (l.nextAlias - 1) % len(l.aliasesOut)
}
