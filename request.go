// This file holds Requests, the requests of 5.0 §4.10 that wait for their
// answer, and ResponseTo for the other side. Both make and read properties; they
// know no client and have no clock.

package mqttcore

import "time"

// RequestID names a request that waits, for Cancel; 0 names none.
type RequestID uint64

// Requests are the requests that wait for their answer (5.0 §4.10). A request
// is a message with a Response Topic, to which the answer is to go, and
// Correlation Data, which come back with it and tell which request it is for:
//
//	subscribe to the response topic, and wait for EventSubscribed
//	Prepare the properties of the request; Publish it; Cancel if that fails
//	at EventMessage: if Match, it is the answer to the request of that tag
//	when Deadline has passed: Expire
//
// The request waits from Prepare on, before a byte of it can be sent, so that
// no answer is too early. It waits across connections; what ends it without an
// answer is Expire or Cancel. An answer is taken once: what matches nothing (a
// repetition, one that is late, one to an earlier process) is an ordinary
// message.
//
// Whoever may publish to the response topic can answer, and who sees a request
// can guess the correlation data of the next: the server's access control
// decides, not this type.
type Requests struct {
	topic []byte
	salt  uint64
	limit int
	count uint64 // of all requests so far
	slots []request
	// order is a permutation of the slots: first those that wait, n of them, as
	// a heap by deadline, then the free ones.
	order []uint16
	n     int
}

type request struct {
	id       RequestID // number of the request, then 16 bits of slot; 0: free
	tag      uint64
	deadline time.Time // zero: none
	at       int32     // in order
}

const (
	maxRequests       = 1 << 16
	defaultRequests   = 1000
	correlationLength = 16
)

// NewRequests makes an empty set whose answers go to responseTopic, a topic
// name of this client's alone, which it copies. salt tells these requests from
// those of an earlier process with the same response topic, whose answers may
// still come: 64 random bits, which are no secret. At most limit requests wait
// at a time, up to 65,536; 0 and less: 1,000. Memory is taken as needed, about
// 64 bytes for each that waits at the same time, and used again.
//
// It fails with an *Error when responseTopic is no topic name (MQTT-3.3.2-14).
func NewRequests(responseTopic []byte, salt uint64, limit int) (*Requests, error) {
	if err := CheckTopicName(responseTopic); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = defaultRequests
	}
	return &Requests{topic: append([]byte(nil), responseTopic...), salt: salt, limit: min(limit, maxRequests)}, nil
}

// Topic is the response topic. It aliases the set.
func (r *Requests) Topic() []byte { return r.topic }

// Len is the number of requests that wait.
func (r *Requests) Len() int { return r.n }

// Prepare makes a request wait for its answer, and adds to props, the
// properties of its message, the Response Topic, the Correlation Data and, with
// a timeout other than 0, the Message Expiry Interval in seconds, rounded up,
// unless props has one: who is asked too late need not answer. tag is the
// caller's own number, which Match and Expire give back. Without a timeout the
// request waits until it is cancelled.
//
// It fails with ErrTooManyRequests, or with an *Error when props has a Response
// Topic or Correlation Data already; nothing changed then.
func (r *Requests) Prepare(props *Properties, now time.Time, timeout time.Duration, tag uint64) (RequestID, error) {
	if r.n == r.limit {
		return 0, ErrTooManyRequests
	}
	slot := uint16(r.n)
	if r.n < len(r.order) {
		slot = r.order[r.n]
	}
	id := RequestID((r.count+1)<<16 | uint64(slot))
	var data [correlationLength]byte
	appendUint64(appendUint64(data[:0], r.salt), uint64(id))
	before := *props
	err := props.Add(Property{ID: PropResponseTopic, Value: r.topic})
	if err == nil {
		err = props.Add(Property{ID: PropCorrelationData, Value: data[:]})
	}
	if err == nil && timeout != 0 && !props.mask.Has(PropMessageExpiry) {
		err = props.Add(MessageExpiry(expirySeconds(timeout)))
	}
	if err != nil {
		*props = before
		return 0, err
	}
	r.count++
	if r.n == len(r.order) {
		r.order = append(r.order, slot)
		r.slots = append(r.slots, request{})
	}
	q := &r.slots[slot]
	*q = request{id: id, tag: tag, at: int32(r.n)}
	if timeout != 0 {
		q.deadline = now.Add(timeout)
	}
	r.n++
	r.up(r.n - 1)
	return id, nil
}

// expirySeconds is a timeout as a Message Expiry Interval.
func expirySeconds(d time.Duration) uint32 {
	s := d / time.Second
	if d%time.Second > 0 {
		s++
	}
	return uint32(min(max(s, 0), 0xFFFFFFFF))
}

// Match reports whether p is the answer to a request that waits, and which tag
// that has. The request then waits no longer.
func (r *Requests) Match(p *Publish) (tag uint64, ok bool) {
	data, ok := p.Props.CorrelationData()
	if !ok || len(data) != correlationLength || string(p.Topic) != string(r.topic) || be64(data) != r.salt {
		return 0, false
	}
	return r.end(RequestID(be64(data[8:])))
}

// Cancel ends the wait for an answer and reports whether there was one. The
// request itself may be under way, and answered to nobody.
func (r *Requests) Cancel(id RequestID) bool {
	_, ok := r.end(id)
	return ok
}

// end takes a request out of those that wait.
func (r *Requests) end(id RequestID) (tag uint64, ok bool) {
	slot := int(id & 0xFFFF)
	if id == 0 || slot >= len(r.slots) || r.slots[slot].id != id {
		return 0, false
	}
	r.remove(int(r.slots[slot].at))
	return r.slots[slot].tag, true
}

// Deadline is when Expire is to be called at the latest; zero: no need to.
func (r *Requests) Deadline() time.Time {
	if r.n == 0 {
		return time.Time{}
	}
	return r.slots[r.order[0]].deadline
}

// Expire ends the wait of one request whose time is over by now, the earliest
// first, and gives its tag; false: there is none. Call it until it returns
// false.
func (r *Requests) Expire(now time.Time) (tag uint64, ok bool) {
	if r.n == 0 {
		return 0, false
	}
	q := &r.slots[r.order[0]]
	if q.deadline.IsZero() || now.Before(q.deadline) {
		return 0, false
	}
	r.remove(0)
	return q.tag, true
}

// before reports whether the request at i of order ends before the one at j:
// by deadline, none being the last, then by age.
func (r *Requests) before(i, j int) bool {
	a, b := &r.slots[r.order[i]], &r.slots[r.order[j]]
	if a.deadline.IsZero() != b.deadline.IsZero() {
		return b.deadline.IsZero()
	}
	if c := a.deadline.Compare(b.deadline); c != 0 {
		return c < 0
	}
	return a.id < b.id
}

func (r *Requests) swap(i, j int) {
	o := r.order
	o[i], o[j] = o[j], o[i]
	r.slots[o[i]].at, r.slots[o[j]].at = int32(i), int32(j)
}

// remove makes the place i of the heap a free one.
func (r *Requests) remove(i int) {
	r.n--
	r.slots[r.order[i]].id = 0
	r.swap(i, r.n)
	if i < r.n {
		r.down(i)
		r.up(i)
	}
}

func (r *Requests) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !r.before(i, parent) {
			return
		}
		r.swap(i, parent)
		i = parent
	}
}

func (r *Requests) down(i int) {
	for {
		first := i
		for child := 2*i + 1; child <= 2*i+2 && child < r.n; child++ {
			if r.before(child, first) {
				first = child
			}
		}
		if first == i {
			return
		}
		r.swap(i, first)
		i = first
	}
}

// ResponseTo is the other side: it returns the topic that the answer to a request
// is to be published to, the request's Response Topic, and adds the request's
// Correlation Data, if it has any, to props, the properties of the answer. The
// topic aliases the request.
//
// It fails with ErrNoResponseTopic when the message has no Response Topic, and with an
// *Error when props has Correlation Data already; nothing changed then.
func ResponseTo(request *Publish, props *Properties) (topic []byte, err error) {
	topic, ok := request.Props.ResponseTopic()
	if !ok {
		return nil, ErrNoResponseTopic
	}
	if data, ok := request.Props.Get(PropCorrelationData); ok {
		if err := props.Add(data); err != nil {
			return nil, err
		}
	}
	return topic, nil
}
