// This file holds the registry of live subscriptions: what the server has
// granted, to tell which subscriptions a message is for and to subscribe again
// when the session was lost. It must not send anything itself.

package mqttcore

import "iter"

// LiveSubscription is a subscription that the server has granted.
type LiveSubscription struct {
	Subscription            // as it was asked for; the filter is a copy
	ID           uint32     // its subscription identifier; 0: none
	Granted      ReasonCode // the QoS that was granted
}

// registry is the live subscriptions by filter, a shared one under the whole of
// its $share filter: the two are different subscriptions.
type registry struct {
	live  []liveRow
	place map[string]int // in live; never iterated
	lost  []liveRow      // with Config.Resubscribe: to be granted again; without filter: settled
	next  int            // in lost: the next to ask for
}

type liveRow struct {
	filter  string
	id      uint32
	options uint8
	granted ReasonCode
}

func (l *liveRow) subscription() LiveSubscription {
	return LiveSubscription{Subscription: subscriptionOf([]byte(l.filter), l.options), ID: l.id, Granted: l.granted}
}

// put adds or replaces a subscription.
func (g *registry) put(filter []byte, options uint8, id uint32, granted ReasonCode) {
	if i, ok := g.place[string(filter)]; ok {
		l := &g.live[i]
		l.options, l.id, l.granted = options, id, granted
		return
	}
	if g.place == nil {
		g.place = make(map[string]int)
	}
	l := liveRow{filter: string(filter), options: options, id: id, granted: granted}
	g.place[l.filter] = len(g.live)
	g.live = append(g.live, l)
}

// remove takes out a subscription if it is there. The order of the others is
// kept but for the last, which takes its place.
func (g *registry) remove(filter []byte) {
	i, ok := g.place[string(filter)]
	if !ok {
		return
	}
	last := len(g.live) - 1
	delete(g.place, g.live[i].filter)
	if i != last {
		g.live[i] = g.live[last]
		g.place[g.live[i].filter] = i
	}
	g.live[last] = liveRow{}
	g.live = g.live[:last]
}

// sessionLost takes out all, to be asked for again or not.
func (g *registry) sessionLost(again bool) {
	if g == nil {
		return
	}
	lost := g.lost
	if again {
		lost = append(lost, g.live...)
	}
	*g = registry{lost: lost}
}

// unname takes the identifiers off, for a version that knows none.
func (g *registry) unname() {
	if g == nil {
		return
	}
	for _, rows := range [...][]liveRow{g.live, g.lost} {
		for i := range rows {
			rows[i].id = 0
		}
	}
}

// unlose takes a filter off those to be asked for again.
func (g *registry) unlose(filter []byte) {
	for i := range g.lost {
		if g.lost[i].filter == string(filter) {
			g.lost[i].filter = ""
		}
	}
}

// yield leaves the filters of a request of the caller's to that request: what
// was asked for before must not come after it. If it is never answered, they
// are asked for again on the next connection.
func (g *registry) yield(filters []byte, t PacketType) {
	if !g.due() {
		return
	}
	for f, _, b := nextFilter(filters, t); f != nil; f, _, b = nextFilter(b, t) {
		for i := g.next; i < len(g.lost); i++ {
			if g.lost[i].filter == string(f) {
				g.lost[i], g.lost[g.next] = g.lost[g.next], g.lost[i]
				g.next++
			}
		}
	}
}

// due reports whether a subscription is to be asked for again now.
func (g *registry) due() bool { return g != nil && g.next < len(g.lost) }

// connected begins a connection: what is not granted yet is asked for again.
func (g *registry) connected() {
	if g == nil {
		return
	}
	n := 0
	for _, l := range g.lost {
		if l.filter != "" {
			g.lost[n] = l
			n++
		}
	}
	g.lost, g.next = g.lost[:n], 0
}

// Subscriptions yields the live subscriptions: those that the server has
// granted, and that were not unsubscribed nor lost with the session. A new
// Client has none, whatever the session.
func (c *Client) Subscriptions() iter.Seq[LiveSubscription] {
	return func(yield func(LiveSubscription) bool) {
		if c.subs == nil {
			return
		}
		for i := range c.subs.live {
			if !yield(c.subs.live[i].subscription()) {
				return
			}
		}
	}
}

// Subscribed returns the live subscription with exactly this filter.
func (c *Client) Subscribed(filter []byte) (LiveSubscription, bool) {
	if c.subs != nil {
		if i, ok := c.subs.place[string(filter)]; ok {
			return c.subs.live[i].subscription(), true
		}
	}
	return LiveSubscription{}, false
}

// Matches yields the live subscriptions that an EventMessage is for: those
// whose subscription identifier the server names, and those without identifier
// whose filter matches (5.0 §3.8.4). Identifiers that no live subscription has
// are passed over: a message may have been on its way. It is computed when it
// is asked for, and before the next call of a method of the client.
func (e *Event) Matches() iter.Seq[LiveSubscription] {
	return func(yield func(LiveSubscription) bool) {
		if e.Kind != EventMessage || e.subs == nil {
			return
		}
		for i := range e.subs.live {
			l := &e.subs.live[i]
			hit := l.id == 0 && Match([]byte(l.filter), e.Message.Topic)
			if l.id != 0 {
				for id := range e.Message.Props.SubscriptionIDs() {
					if hit = id == l.id; hit {
						break
					}
				}
			}
			if hit && !yield(l.subscription()) {
				return
			}
		}
	}
}

// settle enters into the registry what a SUBACK or UNSUBACK says of the request
// r. codes is empty for an UNSUBACK of 3.x.
func (g *registry) settle(r *record, codes []byte) {
	t := TypeUnsubscribe
	if r.flags&isSubscribe != 0 {
		t = TypeSubscribe
	}
	for n, b := 0, r.buf; len(b) > 0; n++ {
		filter, options, rest := nextFilter(b, t)
		b = rest
		code := ReasonSuccess
		if n < len(codes) {
			code = ReasonCode(codes[n])
		}
		if r.flags&isOwn != 0 {
			g.lost[r.tag].filter = ""
		} else {
			g.unlose(filter)
		}
		switch {
		case code.IsError(): // what was there before stays as it was
		case t == TypeSubscribe:
			g.put(filter, options, uint32(r.expires), code)
		default:
			g.remove(filter)
		}
	}
}
