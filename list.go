// This file holds the lists that SUBSCRIBE and UNSUBSCRIBE carry: validated
// wire bytes and an iterator, like Properties.

package mqttcore

import (
	"bytes"
	"iter"
)

// RetainHandling says which retained messages a subscription brings.
type RetainHandling uint8

// The values of retain handling.
const (
	RetainSend      RetainHandling = 0 // at every SUBSCRIBE
	RetainSendIfNew RetainHandling = 1 // when the subscription did not exist
	RetainDoNotSend RetainHandling = 2 // none
)

// Subscription is a topic filter with its options. In 3.x it has a QoS only.
type Subscription struct {
	Filter            []byte
	QoS               QoS
	NoLocal           bool // messages of this client's own are not sent to it
	RetainAsPublished bool // RETAIN arrives as it was published
	RetainHandling    RetainHandling
}

const (
	optionQoS               = 0x03
	optionNoLocal           = 0x04
	optionRetainAsPublished = 0x08
	optionRetainHandling    = 0x30
	optionReserved          = 0xC0
)

// Options is the subscription options byte of 5.0, in 3.x the requested QoS.
func (s Subscription) Options() uint8 {
	o := uint8(s.QoS)&optionQoS | uint8(s.RetainHandling)<<4&optionRetainHandling
	if s.NoLocal {
		o |= optionNoLocal
	}
	if s.RetainAsPublished {
		o |= optionRetainAsPublished
	}
	return o
}

func subscriptionOf(filter []byte, o uint8) Subscription {
	return Subscription{
		Filter:            filter,
		QoS:               QoS(o & optionQoS),
		NoLocal:           o&optionNoLocal != 0,
		RetainAsPublished: o&optionRetainAsPublished != 0,
		RetainHandling:    RetainHandling(o >> 4 & 3),
	}
}

// optionFault is the rule that forbids o as the options of a subscription.
func optionFault(o uint8, filter []byte, v Version) rule {
	switch {
	case o&optionQoS == 3:
		return ruleOptionQoS
	case o&^optionQoS == 0:
		return ruleNone
	case v != V5 || o&optionReserved != 0:
		return ruleOptionBits
	case o&optionRetainHandling == optionRetainHandling:
		return ruleRetainHandling
	case o&optionNoLocal != 0 && isShared(filter):
		return ruleNoLocalShared
	}
	return ruleNone
}

// filterList is a list of filters on the wire, each with an options byte or
// not, and what must be known to write it in another version.
type filterList struct {
	wire []byte
	n    int32
	opts uint8 // all options, or-ed
	// only31 is set when a string is one that only 3.1 permits, not5 when a
	// filter is one that 5.0 forbids.
	only31, not5, owned bool
}

func (l *filterList) add(t PacketType, filter []byte, o uint8) error {
	r := filterFault(filter, Dialect{Version: V31})
	if len(filter) > maxString {
		r = ruleLongString
	}
	if r == ruleNone {
		r = optionFault(o, filter, V5)
	}
	if r != ruleNone {
		return fail(t, Dialect{Version: V5}, r, 0)
	}
	if !l.owned {
		l.wire = append(make([]byte, 0, len(l.wire)+len(filter)+3), l.wire...)
		l.owned = true
	}
	l.wire = appendString(l.wire, filter)
	if t == TypeSubscribe {
		l.wire = append(l.wire, o)
	}
	l.n++
	l.opts |= o
	l.only31 = l.only31 || stringFault(filter, Dialect{Version: V311}) != ruleNone
	l.not5 = l.not5 || shareFault(filter) != ruleNone
	return nil
}

func (l *filterList) reset() {
	if !l.owned {
		*l = filterList{}
		return
	}
	*l = filterList{wire: l.wire[:0], owned: true}
}

// consume validates b, all that is left of a packet.
func (l *filterList) consume(b []byte, t PacketType, d Dialect) (r rule, off int) {
	*l = filterList{wire: b[:len(b):len(b)]}
	tail := 0
	if t == TypeSubscribe {
		tail = 1
	}
	for i := 0; i < len(b); {
		if len(b)-i < 2 {
			return ruleTruncated, i
		}
		n := int(b[i])<<8 | int(b[i+1])
		if len(b)-i-2-tail < n {
			return ruleTruncated, i
		}
		f := b[i+2 : i+2+n]
		if !plainFilter(f) || f[0] == '$' || d.Options&RefuseControlChars != 0 {
			if r := filterFault(f, d); r != ruleNone {
				return r, i + 2
			}
			l.only31 = l.only31 || d.Version == V31 && stringFault(f, Dialect{Version: V311}) != ruleNone
			l.not5 = l.not5 || d.Version != V5 && shareFault(f) != ruleNone
		}
		i += 2 + n
		if tail == 1 {
			o := b[i]
			if r := optionFault(o, f, d.Version); r != ruleNone {
				return r, i
			}
			l.opts |= o
			i++
		}
		l.n++
	}
	if l.n == 0 {
		return emptyListRule(t), 0
	}
	return ruleNone, 0
}

func emptyListRule(t PacketType) rule {
	if t == TypeSubscribe {
		return ruleNoSubscription
	}
	return ruleNoFilter
}

// fault is the rule that forbids the list in the dialect.
func (l *filterList) fault(t PacketType, d Dialect) rule {
	switch {
	case l.n == 0:
		return emptyListRule(t)
	case d.Version != V5 && l.opts&^optionQoS != 0:
		return ruleOptionBits
	case d.Version == V5 && l.not5, d.Version != V31 && l.only31, d.Options&RefuseControlChars != 0:
		for f, _, b := nextFilter(l.wire, t); f != nil; f, _, b = nextFilter(b, t) {
			if r := filterFault(f, d); r != ruleNone {
				return r
			}
		}
	}
	return ruleNone
}

// nextFilter takes the first filter and its options off b. The filter is nil
// at the end, and when a caller changed bytes that a list aliases.
func nextFilter(b []byte, t PacketType) (filter []byte, o uint8, rest []byte) {
	n := stringSize(b)
	if t == TypeSubscribe {
		if len(b) < n+1 {
			return nil, 0, nil
		}
		return b[2:n:n], b[n], b[n+1:]
	}
	if len(b) < n {
		return nil, 0, nil
	}
	return b[2:n:n], 0, b[n:]
}

func (l *filterList) equal(m *filterList) bool { return bytes.Equal(l.wire, m.wire) }

// Subscriptions is the list of a SUBSCRIBE: its bytes as on the wire,
// validated. The zero value is empty, which no packet may be. Decoded, it
// aliases the frame. Copies share bytes as copies of a slice do: do not Add to
// two copies of one list.
type Subscriptions struct{ list filterList }

// NewSubscriptions makes a list of its own from subs.
func NewSubscriptions(subs ...Subscription) (Subscriptions, error) {
	var l Subscriptions
	for _, s := range subs {
		if err := l.Add(s); err != nil {
			return Subscriptions{}, err
		}
	}
	return l, nil
}

// Add appends a subscription, copying its filter. An error, for what no
// version permits, changes nothing.
func (l *Subscriptions) Add(s Subscription) error {
	if s.QoS > QoS2 || s.RetainHandling > RetainDoNotSend {
		r := ruleOptionQoS
		if s.QoS <= QoS2 {
			r = ruleRetainHandling
		}
		return fail(TypeSubscribe, Dialect{Version: V5}, r, 0)
	}
	return l.list.add(TypeSubscribe, s.Filter, s.Options())
}

// Reset makes the list empty and keeps the space that it owns.
func (l *Subscriptions) Reset() { l.list.reset() }

// Len is the number of subscriptions.
func (l Subscriptions) Len() int { return int(l.list.n) }

// All yields the subscriptions in order; the filters alias the list.
func (l Subscriptions) All() iter.Seq[Subscription] {
	return func(yield func(Subscription) bool) {
		f, o, b := nextFilter(l.list.wire, TypeSubscribe)
		for f != nil && yield(subscriptionOf(f, o)) {
			f, o, b = nextFilter(b, TypeSubscribe)
		}
	}
}

// Equal reports whether both lists are the same.
func (l Subscriptions) Equal(m Subscriptions) bool { return l.list.equal(&m.list) }

// Filters is the list of an UNSUBSCRIBE, in the manner of [Subscriptions].
type Filters struct{ list filterList }

// NewFilters makes a list of its own from filters.
func NewFilters[T Text](filters ...T) (Filters, error) {
	var l Filters
	for _, f := range filters {
		if err := l.Add([]byte(f)); err != nil {
			return Filters{}, err
		}
	}
	return l, nil
}

// Add appends a filter, copying it. An error, for what no version permits,
// changes nothing.
func (l *Filters) Add(filter []byte) error { return l.list.add(TypeUnsubscribe, filter, 0) }

// Reset makes the list empty and keeps the space that it owns.
func (l *Filters) Reset() { l.list.reset() }

// Len is the number of filters.
func (l Filters) Len() int { return int(l.list.n) }

// All yields the filters in order; they alias the list.
func (l Filters) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		f, _, b := nextFilter(l.list.wire, TypeUnsubscribe)
		for f != nil && yield(f) {
			f, _, b = nextFilter(b, TypeUnsubscribe)
		}
	}
}

// Equal reports whether both lists are the same.
func (l Filters) Equal(m Filters) bool { return l.list.equal(&m.list) }
